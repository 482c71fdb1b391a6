"""Epochs in: the stretches of time whose samples count, from anything that holds them, as intervals in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..recognition import is_a, is_list
from .seconds import as_seconds, in_seconds

ACCEPTED = (
    "a pynapple IntervalSet, a neo Epoch, an NWB TimeIntervals table such as nwbfile.trials, a pandas DataFrame with "
    "the columns start_time and stop_time, a SpikeInterface event object with durations or (event, channel_id), or an "
    "array of shape (n, 2) or list of pairs, start and stop in seconds, as in [(0, 60)]"
)


def as_segment_intervals(epochs: Any) -> list[np.ndarray | None]:
    """Intervals of each segment: of all segments of an event object, of a list's items, or of one segment.

    None, for all or in a list, stands for all times.
    """
    event, channel = event_and_channel(epochs)
    if event is not None:
        return [tidy(from_event(event, channel, index)) for index in range(event.get_num_segments())]
    if is_list(epochs) and not is_list_of_pairs(epochs):
        return [None if one is None else as_intervals(one) for one in epochs]
    return [None if epochs is None else as_intervals(epochs)]


def as_intervals(epochs: Any) -> np.ndarray:
    """Epochs of one segment, of any accepted kind.

    Returns
    -------
    ndarray, shape (n, 2), float64
        Start and stop in seconds, ascending; epochs that touch or overlap are joined.

    Raises
    ------
    TypeError
        Where the kind is not known.
    ValueError
        Where starts and stops are not finite, a stop precedes its start, or no epoch lasts any time.
    """
    event, channel = event_and_channel(epochs)
    if event is not None:
        n_segments = event.get_num_segments()
        if n_segments != 1:
            raise ValueError(f"events of {n_segments} segments stand where epochs of one were expected; give the event "
                             "object by itself, or event.select_segment(index) here")  # fmt: skip
        return tidy(from_event(event, channel, 0))
    if is_a(epochs, "pynapple", "IntervalSet"):
        return tidy(epochs.values)
    if is_a(epochs, "neo", "Epoch"):
        starts = in_seconds(epochs.times)
        return tidy(np.column_stack([starts, starts + in_seconds(epochs.durations)]))
    if is_a(epochs, "pynwb", "TimeIntervals"):
        return tidy(np.column_stack([epochs[name].data[:] for name in ("start_time", "stop_time")]))
    if is_a(epochs, "pandas", "DataFrame"):
        return tidy(from_frame(epochs))
    if isinstance(epochs, np.ndarray) or is_list_of_pairs(epochs):
        return tidy(from_pairs(epochs))
    raise TypeError(f"cannot read epochs from {type(epochs).__name__!r}; expected {ACCEPTED}")


def tidy(intervals: Any, what: str = "epochs") -> np.ndarray:
    """Float64, checked, in order and disjoint."""
    return join(check_intervals(np.asarray(intervals, dtype=np.float64), what))


def is_list_of_pairs(epochs: Any) -> bool:
    """Whether ``epochs`` is a list of (start, stop), rather than a list with the epochs of several segments."""
    if not isinstance(epochs, (list, tuple)):
        return False
    pairs = all(isinstance(pair, (list, tuple)) and len(pair) == 2 and np.ndim(pair[0]) == 0 for pair in epochs)
    return pairs and all(event_and_channel(pair)[0] is None for pair in epochs)


def from_pairs(pairs: Any) -> np.ndarray:
    """Array or list of (start, stop); plain numbers are seconds, quantities are rescaled."""
    seconds = as_seconds(pairs) if isinstance(pairs, np.ndarray) else np.array([as_seconds(pair) for pair in pairs])
    if seconds.size == 0:
        return np.empty((0, 2))
    if seconds.ndim != 2 or seconds.shape[1] != 2:
        raise ValueError(
            f"epochs must have shape (n, 2), start and stop in seconds, as in [(0, 60)]; got {seconds.shape}"
        )
    return seconds


def from_frame(frame: Any) -> np.ndarray:
    """Pandas table of intervals, as NWB and pynapple write them."""
    for start, stop in (("start_time", "stop_time"), ("start", "end")):
        if start in frame.columns and stop in frame.columns:
            return np.column_stack([as_seconds(frame[start]), as_seconds(frame[stop])])
    raise ValueError(f"a table of epochs needs the columns start_time and stop_time; it has {list(frame.columns)}")


def event_and_channel(epochs: Any) -> tuple[Any, Any]:
    """A SpikeInterface event object and the channel asked for, of ``event`` or ``(event, channel_id)``; else Nones."""
    if is_a(epochs, "spikeinterface", "BaseEvent"):
        return epochs, None
    if isinstance(epochs, tuple) and len(epochs) == 2 and is_a(epochs[0], "spikeinterface", "BaseEvent"):
        return epochs
    return None, None


def from_event(event: Any, channel: Any, index: int) -> np.ndarray:
    """Events with durations of one channel (None: the only one) and segment of a SpikeInterface ``BaseEvent``."""
    channels = list(event.channel_ids)
    if channel is None and len(channels) == 1:
        (channel,) = channels
    if channel not in channels:
        given = "" if channel is None else f", not {channel!r}"
        raise ValueError(
            f"epochs are the events of one channel; give (event, channel_id), of {[str(c) for c in channels]}{given}"
        )
    events = event.get_events(channel, segment_index=index)
    names = events.dtype.names or ()
    if "duration" not in names or (len(events) and np.isnan(events["duration"]).all()):
        raise ValueError(f"epochs need durations, which the events of channel {str(channel)!r} do not have; give an "
                         "array of shape (n, 2) instead: start and stop in seconds")  # fmt: skip
    starts = events["time" if "time" in names else "timestamp"].astype(np.float64)
    return np.column_stack([starts, starts + events["duration"]])


def check_intervals(intervals: np.ndarray, what: str) -> np.ndarray:
    """Refuse intervals that hold no time."""
    bad = ~np.isfinite(intervals).all(axis=1) | (intervals[:, 1] < intervals[:, 0])
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{what} must start and stop at finite times, the start first; {bad.sum()} of {len(bad)} do not, for "
            f"instance number {row}: {intervals[row].tolist()}"
        )
    if len(intervals) and not (intervals[:, 1] > intervals[:, 0]).any():
        raise ValueError(f"{what} must have a duration, start and stop of each; got {len(intervals)} that have "
                         "none, inside which there is no sample")  # fmt: skip
    return intervals


def join(intervals: np.ndarray) -> np.ndarray:
    """The same times as disjoint intervals, ascending."""
    if len(intervals) == 0:
        return intervals
    intervals = intervals[np.argsort(intervals[:, 0], kind="stable")]
    latest = np.maximum.accumulate(intervals[:, 1])
    first = np.concatenate([[True], intervals[1:, 0] > latest[:-1]])
    last = np.concatenate([first[1:], [True]])
    return np.column_stack([intervals[first, 0], latest[last]])
