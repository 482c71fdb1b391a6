"""What the baselines share: counts in bins, and the search for settings inside the training part."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from recordings import Recording

Config = dict[str, Any]
Search = dict[str, tuple[Any, list[Any]]]  # name -> (start, all the values tried)

FOLDS = 4  # contiguous, of the training part


def bin_counts(recording: Recording, bin_size: float, margin: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Counts (n_bins, n_units) and bin centres, from ``margin`` seconds before the samples to as long after them."""
    if recording.counts is not None:
        counts, centres, own = recording.counts
        together = max(1, round(bin_size / own))
        n_bins = len(counts) // together
        counts = counts[: n_bins * together].reshape(n_bins, together, -1).sum(axis=1)
        return counts, centres[: n_bins * together].reshape(n_bins, together).mean(axis=1)
    start, stop = recording.times[0] - margin, recording.times[-1] + margin
    edges = start + np.arange(int(np.ceil((stop - start) / bin_size)) + 1) * bin_size
    trains = recording.spikes.values()
    return np.column_stack([np.diff(np.searchsorted(train, edges)) for train in trains]), edges[:-1] + bin_size / 2


def at_bins(centres: np.ndarray, times: np.ndarray, values: np.ndarray, readable: np.ndarray) -> np.ndarray:
    """Values (n_samples, n_outputs) interpolated at the bins; NaN beside samples outside the mask ``readable``.

    Interpolation next to a sample that may not be read then gives NaN, not a mixture with it.
    """
    known = np.where(readable[:, None], values, np.nan)
    return np.column_stack([np.interp(centres, times, column, left=np.nan, right=np.nan) for column in known.T])


def allowed(recording: Recording, config: Config) -> bool:
    """Whether the bin size can be had from this recording."""
    ratio = config["bin_size"] / recording.counts[2] if recording.counts is not None else 1.0
    return ratio > 0.99 and abs(ratio - round(ratio)) < 1e-6


def coordinate_search(search: Search, score: Callable[[Config], tuple[float, Config]], passes: int = 1) -> Config:
    """Choose one setting after the other, each with the best of the others, and go round ``passes`` times.

    ``score`` gives the validation R2 of a configuration and what it found out besides (epochs, penalty). The result has
    these too, and the seconds that the choice took.
    """
    started = time.perf_counter()
    best: Config = {name: start for name, (start, _) in search.items()}
    best_score, best_found = score(best)
    seen = {repr(best)}
    for _ in range(passes):
        for name, (_, values) in search.items():
            for value in values:
                config = {**best, name: value}
                if repr(config) in seen:
                    continue
                seen.add(repr(config))
                result, found = score(config)
                if result > best_score:
                    best, best_score, best_found = config, result, found
    seconds = round(time.perf_counter() - started, 1)
    return {**best, **best_found, "validation_r2": round(float(best_score), 4), "tuning_s": seconds}
