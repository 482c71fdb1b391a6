"""Cheap tokens for dense populations: spikes of one unit that fall into one bin become one token that counts k-fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .session import NO_UNIT, Segment

# Bins begin at irrational places, where no clock ticks: rounding a spike's time does not move it to another bin.
BIN_PHASE = 1 / np.pi


def merge_spikes(segment: Segment, bin_size: float, latest: bool = False) -> Segment:
    """Segment with at most one entry a unit and bin; unless ``latest``, a spike alone in its bin keeps its exact time.

    Parameters
    ----------
    segment : Segment
        Spikes, weighted or not.
    bin_size : float
        Seconds.
    latest : bool
        Put every token at the end of its bin, so that none tells of a spike before it happened (causal decoding),
        rather than at its spikes' mean time.
    """
    times, units = np.asarray(segment.spike_times), np.asarray(segment.unit_index)
    if units.min(initial=0) == NO_UNIT:
        times, units = times[units != NO_UNIT], units[units != NO_UNIT]
    if len(times) == 0:
        return replace(segment, spike_times=times, unit_index=units)
    weights = np.ones(len(times)) if segment.weights is None else segment.weights.astype(np.float64)
    bins = np.floor(times / bin_size + BIN_PHASE).astype(np.int64)
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
    return replace(segment, spike_times=when[order], unit_index=unit[order], weights=total[order].astype(np.float32))
