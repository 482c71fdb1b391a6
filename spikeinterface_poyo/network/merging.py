"""Cheap tokens for dense populations: spikes of one unit that fall into one bin become one token that counts k-fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..sessions.session import NO_UNIT, Segment
from ..sessions.stored_spikes import RECORDS_AT_ONCE
from .poyo import NetworkConfig
from .windows import Block

# Bins begin at irrational places, where no clock ticks: rounding a spike's time does not move it to another bin.
BIN_PHASE = 1 / np.pi


def as_read(block: Block, config: NetworkConfig, times: np.ndarray, cuts: Sequence[float] | np.ndarray = ()) -> Block:
    """The block as the network wants to read it around samples at ``times``: merged, as far as windows reach.

    ``cuts`` as in `merge_spikes`.
    """
    if not config.token_bin:
        return block
    reach = 2 * config.window_length
    start, stop = times.min() - reach, times.max() + reach
    merged_segment = merge_spikes(block.segment, config.token_bin, config.causal, start, stop, cuts)
    return replace(block, segment=merged_segment)


def merge_spikes(
    segment: Segment,
    bin_size: float,
    latest: bool = False,
    start: float = -np.inf,
    stop: float = np.inf,
    cuts: Sequence[float] | np.ndarray = (),
) -> Segment:
    """Segment with at most one entry a unit and bin; unless ``latest``, a spike alone in its bin keeps its exact time.

    Parameters
    ----------
    segment : Segment
        Spikes, weighted or not, in memory or on disk.
    bin_size : float
        Seconds.
    latest : bool
        Put every token at the end of its bin, or just before a cut in it, so that none tells of a spike before it
        happened (causal decoding), rather than at its spikes' mean time.
    start, stop : float
        Seconds; spikes outside [start, stop) are left out.
    cuts : array_like
        Ascending seconds; spikes before one and those from it on do not become one token.
    """
    (first,), (past,) = segment.span(np.array([start]), np.array([stop]))
    tokens = [(np.empty(0), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))]
    tokens += [merged(*some, bin_size, latest, cuts) for some in in_whole_bins(segment, first, past, bin_size)]
    times, units, weights = (np.concatenate(column) for column in zip(*tokens, strict=True))
    return replace(segment, spike_times=times, unit_index=units, weights=weights)


def in_whole_bins(
    segment: Segment, first: int, past: int, bin_size: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Times (s), unit indices, weights and bins of the spikes ``first`` to ``past``, in chunks that cut no bin in two.

    What is made of spikes on the way to tokens takes ten times their memory.
    """
    size = RECORDS_AT_ONCE
    while first < past:
        end = min(first + size, past)
        times, units, weights = segment.take(slice(first, end))
        bins = np.floor(times / bin_size + BIN_PHASE).astype(np.int64)
        whole = len(bins) if end == past else int(np.searchsorted(bins, bins[-1]))
        known = np.flatnonzero(units[:whole] != NO_UNIT)
        if len(known):
            counts = np.ones(len(known)) if weights is None else weights[known].astype(np.float64)
            yield times[known], units[known], counts, bins[known]
        first += whole
        size = RECORDS_AT_ONCE if whole else 2 * size  # all of these spikes were in one bin


def merged(
    times: np.ndarray,
    units: np.ndarray,
    weights: np.ndarray,
    bins: np.ndarray,
    bin_size: float,
    latest: bool,
    cuts: Sequence[float] | np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (s), unit indices and weights of the tokens of spikes, in order of time, then unit."""
    place = bins - bins[0] + np.searchsorted(cuts, times, side="right")  # both ascend: their sum tells both
    key = place * (int(units.max()) + 1) + units
    _, token, size = np.unique(key, return_inverse=True, return_counts=True)
    total = np.bincount(token, weights)
    when = np.empty(len(size))
    if latest:
        next_cut = np.append(cuts, np.inf)[np.searchsorted(cuts, times, side="right")]
        when[token] = np.minimum((bins + 1 - BIN_PHASE) * bin_size, np.nextafter(next_cut, -np.inf))
    else:  # by offsets from one of its spikes, which is exact for a spike that is alone
        when[token] = times
        when += np.bincount(token, weights * (times - when[token])) / total
    unit = np.zeros(len(size), dtype=np.int32)
    unit[token] = units
    order = np.lexsort((unit, when))
    return when[order], unit[order], total[order].astype(np.float32)
