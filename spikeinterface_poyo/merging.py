"""Cheap tokens for dense populations: spikes of one unit that fall into one bin become one token that counts k-fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .session import Segment


def merge_spikes(segment: Segment, bin_size: float, latest: bool = False) -> Segment:
    """Segment with at most one entry a unit and bin; a spike that is alone in its bin keeps its exact time.

    Parameters
    ----------
    segment : Segment
        Spikes, weighted or not.
    bin_size : float
        Seconds; bins lie on the multiples of it.
    latest : bool
        Put a merged token at its last spike, so that it never tells of a spike before it happened (causal decoding),
        rather than at the spikes' mean time.
    """
    times, units = segment.spike_times, segment.unit_index
    if len(times) == 0:
        return segment
    weights = np.ones(len(times)) if segment.weights is None else segment.weights.astype(np.float64)
    bins = np.floor(times / bin_size).astype(np.int64)
    key = (bins - bins[0]) * (int(units.max()) + 1) + units
    _, token, size = np.unique(key, return_inverse=True, return_counts=True)
    total = np.bincount(token, weights)
    when = np.full(len(size), -np.inf)
    np.maximum.at(when, token, times)
    if not latest:  # by offsets from the last spike, which is exact for a spike that is alone
        when -= np.bincount(token, weights * (when[token] - times)) / total
    unit = np.zeros(len(size), dtype=np.int32)
    unit[token] = units
    order = np.lexsort((unit, when))
    return replace(segment, spike_times=when[order], unit_index=unit[order], weights=total[order].astype(np.float32))
