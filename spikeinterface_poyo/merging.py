"""Cheap tokens for dense populations: spikes of one unit that fall into one bin become one token that counts k-fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .session import NO_UNIT, Segment

# Bins begin at irrational places, where no clock ticks: rounding a spike's time does not move it to another bin.
BIN_PHASE = 1 / np.pi
SPIKES_AT_ONCE = 1_000_000  # what is made of them on the way to tokens takes ten times their memory


def merge_spikes(
    segment: Segment, bin_size: float, latest: bool = False, start: float = -np.inf, stop: float = np.inf
) -> Segment:
    """Segment with at most one entry a unit and bin; unless ``latest``, a spike alone in its bin keeps its exact time.

    Parameters
    ----------
    segment : Segment
        Spikes, weighted or not, in memory or on disk.
    bin_size : float
        Seconds.
    latest : bool
        Put every token at the end of its bin, so that none tells of a spike before it happened (causal decoding),
        rather than at its spikes' mean time.
    start, stop : float
        Seconds; spikes outside [start, stop) are left out.
    """
    (first,), (past,) = segment.span(np.array([start]), np.array([stop]))
    tokens = [(np.empty(0), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))]
    tokens += [merged(*some, bin_size, latest) for some in in_whole_bins(segment, first, past, bin_size)]
    times, units, weights = (np.concatenate(column) for column in zip(*tokens, strict=True))
    return replace(segment, spike_times=times, unit_index=units, weights=weights)


Spikes = tuple[np.ndarray, np.ndarray, np.ndarray]  # times (s), unit indices, weights


def in_whole_bins(segment: Segment, first: int, past: int, bin_size: float) -> Iterator[Spikes]:
    """Spikes ``first`` to ``past`` in chunks that cut no bin in two."""
    size = SPIKES_AT_ONCE
    while first < past:
        end = min(first + size, past)
        times, units, weights = segment.take(np.arange(first, end))
        bins = bins_of(times, bin_size)
        whole = len(bins) if end == past else int(np.searchsorted(bins, bins[-1]))
        known = np.flatnonzero(units[:whole] != NO_UNIT)
        if len(known):
            yield times[known], units[known], np.ones(len(known)) if weights is None else weights[known]
        first += whole
        size = SPIKES_AT_ONCE if whole else 2 * size  # all of these spikes were in one bin


def bins_of(times: np.ndarray, bin_size: float) -> np.ndarray:
    """Number of the bin that each of the times lies in."""
    return np.floor(times / bin_size + BIN_PHASE).astype(np.int64)


def merged(times: np.ndarray, units: np.ndarray, weights: np.ndarray, bin_size: float, latest: bool) -> Spikes:
    """Tokens of spikes, in order of time, then unit."""
    weights = weights.astype(np.float64)
    bins = bins_of(times, bin_size)
    key = (bins - bins[0]) * (int(units.max()) + 1) + units
    _, token, size = np.unique(key, return_inverse=True, return_counts=True)
    total = np.bincount(token, weights)
    when = np.empty(len(size))
    if latest:
        when[token] = (bins + 1 - BIN_PHASE) * bin_size
    else:  # by offsets from one of its spikes, which is exact for a spike that is alone
        when[token] = times
        when += np.bincount(token, weights * (times - when[token])) / total
    unit = np.zeros(len(size), dtype=np.int32)
    unit[token] = units
    order = np.lexsort((unit, when))
    return when[order], unit[order], total[order].astype(np.float32)
