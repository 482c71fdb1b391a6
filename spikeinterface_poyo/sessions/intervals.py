"""Intervals between sample times, and which of them a regular grid may have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

REGULAR = 0.1  # intervals that differ by less than this share from their median are regular
TICK = 1e-3  # s; as are those that differ by one tick of times rounded to milliseconds
LONG_GAP = 5.5  # intervals from which on a gap tells nothing of what is regular
MOST_MISSING = 10  # points of a regular grid a sample, at most


def positive_intervals(times: Sequence[np.ndarray]) -> np.ndarray:
    """Intervals between ascending sample times by segment, without zeros."""
    intervals = np.concatenate([np.diff(part) for part in times])
    return intervals[intervals > 0]


def grid_interval(behaviors: Sequence[Sequence[np.ndarray]]) -> float | None:
    """The shortest interval, in seconds, of behaviours at these ascending times by segment; None if all are irregular.

    Where one is regular as it is, those that are so but for what is missing do not count.
    """
    each = [intervals for times in behaviors if len(intervals := positive_intervals(times))]
    for interval_of in (regular_interval, interval_between_gaps):
        found = [interval for interval in map(interval_of, each) if interval is not None]
        if found:
            return min(found)
    return None


def regular_interval(intervals: np.ndarray) -> float | None:
    """Mean interval where nine in ten are near the median or within a tick of each other; None where they are neither.

    The mean of those, since clocks count in steps: a camera at 30 Hz whose times are whole milliseconds has intervals
    of 33, 33 and 34 ms, one at 120 Hz of 8, 8 and 9, and seconds since 1970 are multiples of 0.2 us.
    """
    median = float(np.median(intervals))
    off = np.abs(intervals - median)
    near = off < REGULAR * median
    if near.mean() > 0.9:
        near |= (off < 1.01 * TICK) & (median > 1.5 * TICK)
        return float(intervals[near].mean())
    shortest, longest = np.quantile(intervals, [0.05, 0.95])
    if longest - shortest > 1.01 * TICK or median < 1.5 * TICK:
        return None
    middle = (shortest + longest) / 2
    return float(intervals[np.abs(intervals - middle) < TICK].mean())


def interval_between_gaps(intervals: np.ndarray) -> float | None:
    """Interval of regular samples of which some are missing, one by one or between trials; None where there is none.

    Nine in ten intervals, but for long gaps, are whole numbers of it. Pairs and bursts of events are no such samples:
    most intervals are no long gaps, and on a grid all over, one point in ten would be a sample.
    """
    median = np.median(intervals[intervals < 1.5 * np.quantile(intervals, 0.25)])
    close = intervals[np.abs(intervals - median) < REGULAR * median]
    if len(close) == 0:  # the median of two is between them
        return None
    interval = float(close.mean())
    steps = intervals[intervals < LONG_GAP * interval] / interval
    near = np.abs(steps - np.maximum(np.round(steps), 1)) < REGULAR
    is_sparse = intervals.sum() / interval > MOST_MISSING * len(intervals)
    return interval if near.mean() > 0.9 and len(steps) > 0.6 * len(intervals) and not is_sparse else None
