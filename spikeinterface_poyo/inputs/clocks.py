"""Clocks of SpikeInterface's objects: which of its wrappers hand on the times of what they were made from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..recognition import is_a
from ..warning import warn

OFF = 1.5  # times as fast as the sampling rate says a clock must be to be off all along
STEP = 0.05  # seconds, longer than the steps that clocks count in
PAUSE = 1.0  # seconds by which a clock must jump for the recording to have paused
SLICES = ("FrameSliceSorting", "SplitSegmentSorting")  # whose segments start as much later as they leave out


def forgets_clock(sorting: Any) -> bool:
    """Whether a sorting was made from one with a clock that its own times leave out."""
    if has_clock(sorting):
        return False
    parents = made_from(sorting, "BaseSorting")
    if is_a(sorting, "spikeinterface", *SLICES):
        return any(forgets_clock(parent) or has_time_vector(parent) for parent in parents)
    return any(has_clock(parent) or has_start(parent) or forgets_clock(parent) for parent in parents)


def has_clock(sorting: Any) -> bool:
    """Whether a sorting's times are other than sample indices over the rate, and not only as a slice."""
    if any(hasattr(segment, "get_unit_spike_train_in_seconds") for segment in sorting.segments):
        return True
    if sorting.has_recording() and (has_time_vector(sorting) or has_start(sorting._recording)):
        return True
    return has_start(sorting) and not is_a(sorting, "spikeinterface", *SLICES)


def has_time_vector(sorting: Any) -> bool:
    """Whether a sorting has a recording that tells the time of each of its samples."""
    return sorting._recording is not None and has_vector(sorting._recording)


def has_vector(recording: Any) -> bool:
    """Whether a recording tells the time of each of its samples."""
    return any(map(recording.has_time_vector, range(recording.get_num_segments())))


def has_start(extractor: Any) -> bool:
    """Whether a segment of a sorting or recording starts at another time than 0."""
    return any(map(start_of, extractor.segments))


def start_of(segment: Any) -> float:
    """Where a segment of a sorting or recording starts, in seconds: 0 where it was not told."""
    return segment._t_start or 0.0


def made_from(extractor: Any, kind: str) -> list[Any]:
    """What a sorting or recording was made from, of the ``kind`` "BaseSorting" or "BaseRecording"."""
    given = [value if isinstance(value, list) else [value] for value in extractor._kwargs.values()]
    return [value for values in given for value in values if is_a(value, "spikeinterface", kind)]


def check_times(recording: Any) -> None:
    """Make a recording's time vectors arrays, and say where it has lost the times of those that it was made from.

    It loses them by a slice and then a choice of channels, and by concatenation.
    """
    family = lineage(recording)
    for member in family:
        as_arrays(member)
    if not has_vector(recording) and any(map(starts_anew, family)):
        warn("a recording that SpikeInterface concatenated counts time from its own start, without the clocks of those "
             "that it was made from: behaviour must count likewise; shift_times(0) on it says that this is meant. "
             "append_recordings(...) keeps the clock of each, as a segment")  # fmt: skip
        return
    if not any(map(has_vector, family)):
        return
    for child in family:
        if lost_times(child):
            warn(f"SpikeInterface's {type(child).__name__} does not hand on the times of the recording that it was "
                 "made from, so what goes by its clock is off. set_times(...) of that one restores them, or to choose "
                 "channels before a slice; then register the recording again")  # fmt: skip
            return


def recorded_periods(clocked: Any, index: int, rate: float) -> np.ndarray:
    """Intervals (n, 2) in seconds between pauses of a recording, during which its time vector jumps.

    Frames a second apart are looked at, and those between only where more than that has gone by: a recording's vector
    may be larger than memory. A vector that is off all along, as one in microseconds, or that runs back, tells of none.

    Warns
    -----
    UserWarning
        Of a vector that is off all along.
    """
    n_frames = clocked.get_num_samples(segment_index=index)
    marks = np.append(np.arange(0, n_frames - 1, max(int(rate), 1)), n_frames - 1)
    seconds = np.asarray(clocked.sample_index_to_time(marks, segment_index=index), dtype=np.float64)
    whole = np.array([[seconds[0], seconds[-1] + 1 / rate]])
    late = np.diff(seconds) - np.diff(marks) / rate
    edges = [whole[0, :1]]
    for i in np.flatnonzero(late > PAUSE / 2):
        frames = np.arange(marks[i], marks[i + 1] + 1)
        between = np.asarray(clocked.sample_index_to_time(frames, segment_index=index), dtype=np.float64)
        apart = max(1, min(int(STEP * rate), len(between) - 1))
        speed = np.median(between[apart:] - between[:-apart]) * rate / apart
        if speed > OFF and np.median(late) > PAUSE / 2:
            warn(f"by a recording's time vector {speed:.4g} s go by in a second of its samples: are its times in "
                 "seconds?")  # fmt: skip
            return whole
        last = np.flatnonzero(np.diff(between) - 1 / rate > PAUSE)
        edges.append(np.column_stack([between[last] + 1 / rate, between[last + 1]]).ravel())
    edges.append(whole[0, 1:])
    periods = np.concatenate(edges)
    return periods.reshape(-1, 2) if (np.diff(periods) >= 0).all() else whole


def as_arrays(recording: Any) -> None:
    """Make arrays of time vectors that SpikeInterface reloaded from JSON as lists, which it cannot index."""
    for index, segment in enumerate(recording.segments):
        if isinstance(segment._time_vector, list):
            recording.get_times(segment_index=index)  # keeps the array


def starts_anew(recording: Any) -> bool:
    """Whether a recording was concatenated from others with clocks, which do not go on in each other, and has none."""
    if not is_a(recording, "spikeinterface", "ConcatenateSegmentRecording"):
        return False
    if any(segment._t_start is not None or segment.has_time_vector() for segment in recording.segments):
        return False
    parts = [(part, i) for part in made_from(recording, "BaseRecording") for i in range(part.get_num_segments())]
    if any(part.has_time_vector(i) for part, i in parts):
        return True
    starts = np.array([start_of(part.segments[i]) for part, i in parts])
    ends = np.cumsum([part.get_num_samples(i) for part, i in parts]) / recording.get_sampling_frequency()
    apart = starts - np.concatenate([[0.0], ends[:-1]])
    return bool(starts.any() and np.abs(apart).max() > 1 / recording.get_sampling_frequency())


def lineage(recording: Any) -> list[Any]:
    """A recording and all that it was made from, each once."""
    family = {id(recording): recording}
    ahead = [recording]
    while ahead:
        new = [parent for parent in made_from(ahead.pop(), "BaseRecording") if id(parent) not in family]
        family |= {id(parent): parent for parent in new}
        ahead += new
    return list(family.values())


def lost_times(child: Any) -> bool:
    """Whether a recording of the same samples as the only one it was made from, or of a slice of them, has other times.

    Only time vectors get lost: where there is none before, SpikeInterface hands on the start.
    """
    parents = made_from(child, "BaseRecording")
    n_segments = child.get_num_segments()
    if is_a(child, "spikeinterface", "ChannelsAggregationRecording"):
        parents = parents[:1]  # others are of the same samples
    if len(parents) != 1 or parents[0].get_num_segments() != n_segments:
        return False
    (parent,) = parents
    if not any(map(has_vector, lineage(parent))):
        return False
    first = child._kwargs["start_frame"] if is_a(child, "spikeinterface", "FrameSliceRecording") else None
    rates = child.get_sampling_frequency(), parent.get_sampling_frequency()
    faster = rates[1] / rates[0]
    for index in range(n_segments):
        n_samples = child.get_num_samples(index)
        missing = parent.get_num_samples(index) - n_samples * faster
        spare = 2 * faster if faster > 1 else 0.5  # what decimation may leave over
        if child.has_time_vector(index) or (first is None and abs(missing) > spare):
            continue  # times of its own, or samples of its own
        off = differences(child, parent, index, np.array([0, n_samples - 1]), first or 0, faster)
        if start_of(child.segments[index]):  # its own, or that of a slice: only what lies between can be lost
            off -= off[0]
        if np.abs(off).max() > 1 / min(rates):
            return True
    return False


def differences(
    one: Any, other: Any, index: int, samples: np.ndarray, later: int = 0, faster: float = 1.0
) -> np.ndarray:
    """Seconds between times of samples of one recording, or sorting, and of those ``later`` of another one.

    The other has ``faster`` times as many samples a second.
    """
    own = [one.sample_index_to_time(int(sample), segment_index=index) for sample in samples]
    its = [other.sample_index_to_time(round(sample * faster) + later, segment_index=index) for sample in samples]
    return np.subtract(own, its)
