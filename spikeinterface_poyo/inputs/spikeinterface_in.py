"""SpikeInterface's sortings and analyzers in: their spikes on the clock that each segment has.

That is, in SpikeInterface's own order, a recording's, the file's own seconds, or sample index over sampling rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..recognition import is_a
from ..sessions.session import ClockSource, Segment, Session, from_trains, make_segment
from ..sessions.stored_spikes import stored_segment
from ..warning import warn
from .clocks import check_times, differences, forgets_clock, recorded_periods, start_of
from .unit_properties import of_analyzer, of_sorting

N_CHUNKS, CHUNK = 64, 256  # in how many places, of so many spikes each, the order of a saved file is looked at


def from_analyzer(analyzer: Any) -> Session:
    """``SortingAnalyzer``. Its sorting forgets the recording's clock when it is reloaded, so the recording is asked."""
    recording = analyzer.recording if analyzer.has_recording() or analyzer.has_temporary_recording() else None
    if recording is not None:
        warn_of_shift(analyzer.sorting, recording)
    session = from_spikeinterface(analyzer.sorting, recording)
    if recording is None and any(segment.clock == "frames" for segment in session.segments):
        warn("the SortingAnalyzer has no recording, so spike times count from its first sample; where the recording's "
             "clock does not start there, pauses or drifts, give it with "
             "analyzer.set_temporary_recording(recording)")  # fmt: skip
    return replace(session, properties=of_analyzer(analyzer))


def warn_of_shift(sorting: Any, recording: Any) -> None:
    """Say where an analyzer's sorting has other times than its recording, whose are all that there is on disk."""
    if not sorting.has_recording():
        return
    for index in range(sorting.get_num_segments()):
        last = min(clocked.get_num_samples(segment_index=index) for clocked in (sorting, recording)) - 1
        apart = differences(sorting, recording, index, np.array([0, last]))
        if np.abs(apart).max() > 0.5 / recording.get_sampling_frequency():
            warn(f"in segment {index} the analyzer's sorting is {apart[0]:.6g} to {apart[1]:.6g} s later than its "
                 "recording, whose times count: shift the recording, before create_sorting_analyzer")  # fmt: skip


def from_spikeinterface(sorting: Any, recording: Any = None) -> Session:
    """``BaseSorting``, all segments, by its spike vector, on the clock of a recording: the given or registered one."""
    if recording is None and not sorting.has_recording():
        return without_recording(sorting)
    check_times(sorting._recording if recording is None else recording)
    clocked = sorting if recording is None else recording
    rate, vector = sorting.get_sampling_frequency(), in_order_of_segments(sorting.to_spike_vector())
    segments = [from_recording_clock(clocked, index, *spikes_of(vector, index), rate)
                for index in range(sorting.get_num_segments())]  # fmt: skip
    return session_of(sorting, segments)


def without_recording(sorting: Any) -> Session:
    """``BaseSorting`` on its own clock: the file's own seconds, or sample index over sampling rate."""
    if is_mapped(sorting) and is_in_order(sorting.spikes):
        return from_mapped(sorting)
    for kind, adapter in CLOCK_OF_PARENT.items():
        if is_a(sorting, "spikeinterface", kind):
            return adapter(sorting)
    if forgets_clock(sorting):
        warn(f"SpikeInterface's {type(sorting).__name__} does not hand on the clock of the sorting that it was made "
             "from, so spike times are off by that one's start: sorting.register_recording(recording) restores the "
             "clock")  # fmt: skip
    native = [hasattr(segment, "get_unit_spike_train_in_seconds") for segment in sorting.segments]
    vector: Any = None if all(native) else in_order_of_segments(sorting.to_spike_vector())
    segments = []
    for index, segment in enumerate(sorting.segments):
        if native[index]:
            trains = [sorting.get_unit_spike_train_in_seconds(unit, segment_index=index) for unit in sorting.unit_ids]
            segments.append(from_trains(trains, None, "native"))
        else:
            frames, units = spikes_of(vector, index)
            shifted = start_of(segment) and not is_a(sorting, "spikeinterface", "FrameSliceSorting")
            clock: ClockSource = "native" if shifted else "frames"
            segments.append(make_segment(sorting.sample_index_to_time(frames, index), units, None, clock))
    return session_of(sorting, segments)


def session_of(sorting: Any, segments: Sequence[Segment]) -> Session:
    """These segments with the sorting's units and what it knows of them."""
    return Session(np.asarray(sorting.unit_ids), tuple(segments), properties=of_sorting(sorting))


def in_order_of_segments(vector: np.ndarray) -> np.ndarray:
    """A spike vector by segments, which SpikeInterface leaves as it was given."""
    index = vector["segment_index"]
    return vector if (index[1:] >= index[:-1]).all() else vector[np.argsort(index, kind="stable")]


def spikes_of(vector: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and units of the spikes of one segment."""
    first, past = np.searchsorted(vector["segment_index"], [index, index + 1])
    return vector["sample_index"][first:past], vector["unit_index"][first:past]


def from_split(sorting: Any) -> Session:
    """``split_sorting(...)``: each segment on the clock of its recording, shifted as the sorting was."""
    rate = sorting.get_sampling_frequency()
    vector = in_order_of_segments(sorting.to_spike_vector())
    recordings, (whole,) = sorting._kwargs["recording_or_recording_list"], sorting._kwargs["parent_sorting"].segments
    places = [(recording, i) for recording in recordings for i in range(recording.get_num_segments())]
    segments = []
    for index, (recording, i) in enumerate(places):
        check_times(recording)
        segment = from_recording_clock(recording, i, *spikes_of(vector, index), rate)
        seconds = shift_of(whole) + shift_of(sorting.segments[index])
        segments.append(later(segment, seconds) if abs(seconds) > 0.5 / rate else segment)
    return session_of(sorting, segments)


def shift_of(segment: Any) -> float:
    """Seconds by which ``shift_times`` moved a segment of a sorting."""
    return float(start_of(segment) - (segment._native_t_start or 0.0))


def later(segment: Segment, seconds: float) -> Segment:
    """The segment, so much later."""
    times, t_start, t_stop = segment.spike_times + seconds, segment.t_start + seconds, segment.t_stop + seconds
    observed = None if segment.observed is None else segment.observed + seconds
    return replace(segment, spike_times=times, t_start=t_start, t_stop=t_stop, observed=observed)


def from_segments(sorting: Any) -> Session:
    """``select_segment_sorting(...)`` on its parent's clock: SpikeInterface drops the parent's recording."""
    parent = from_spikeinterface(sorting._kwargs["sorting"])
    segments = tuple(parent.segments[index] for index in sorting._kwargs["segment_indices"])
    return replace(parent, segments=segments, properties=of_sorting(sorting))


def is_mapped(sorting: Any) -> bool:
    """Whether ``sorting`` is a folder that SpikeInterface saved, its spikes mapped into memory."""
    return is_a(sorting, "spikeinterface", "NumpyFolderSorting") and isinstance(sorting.spikes, np.memmap)


def is_in_order(spikes: np.ndarray) -> bool:
    """Whether a saved spike vector is in order of segments and time, in which windows are looked up.

    SpikeInterface saves what it is given. The order is looked at in places spread over the vector, since reading all of
    a large file takes long.
    """
    first = np.linspace(0, len(spikes), N_CHUNKS, endpoint=False).astype(np.int64)
    index = np.unique(first[:, None] + np.arange(CHUNK))
    some = spikes[index[index < len(spikes)]]
    segment, frame = some["segment_index"], some["sample_index"]
    later = (segment[1:] > segment[:-1]) | ((segment[1:] == segment[:-1]) & (frame[1:] >= frame[:-1]))
    return bool(later.all())


def from_mapped(sorting: Any) -> Session:
    """A saved folder whose spikes stay there: windows are read from it when they are needed."""
    starts = [start_of(segment) for segment in sorting.segments]
    segments = mapped_segments(sorting.spikes, starts, sorting.get_sampling_frequency())
    return session_of(sorting, segments)


def mapped_segments(spikes: np.memmap, starts: Sequence[float], rate: float) -> tuple[Segment, ...]:
    """Segments of spikes in a file, which start at these seconds."""
    ends = np.searchsorted(spikes["segment_index"], np.arange(1, len(starts))).tolist()
    segments = []
    for t_start, first, past in zip(starts, [0, *ends], [*ends, len(spikes)], strict=True):
        stored = stored_segment(Path(str(spikes.filename)), first, past, rate, t_start)
        segments.append(replace(stored, clock="native") if t_start else stored)
    return tuple(segments)


def from_saved(
    spikes: np.memmap, unit_ids: np.ndarray, n_segments: int, rate: float, properties: dict[str, np.ndarray]
) -> Session:
    """A spike vector in a file, as SpikeInterface saved it: the clock is not saved with it.

    Raises
    ------
    ValueError
        Where there are spikes of more segments.
    """
    is_ordered = is_in_order(spikes)
    vector = spikes if is_ordered else in_order_of_segments(np.asarray(spikes))
    if len(vector) and vector["segment_index"][-1] >= n_segments:
        raise ValueError(f"it has {n_segments} segments and spikes of others")
    if is_ordered:
        return Session(unit_ids, mapped_segments(spikes, [0.0] * n_segments, rate), properties=properties)
    parts = [spikes_of(vector, index) for index in range(n_segments)]
    segments = tuple(make_segment(frames / rate, units, None, "frames") for frames, units in parts)
    return Session(unit_ids, segments, properties=properties)


def from_selection(sorting: Any) -> Session:
    """``sorting.select_units(...)`` on its parent's clock: SpikeInterface drops the parent's own seconds and start."""
    parent = from_spikeinterface(sorting._parent_sorting)
    new_index = np.full(len(parent.unit_ids), -1, dtype=np.int32)
    new_index[sorting._parent_sorting.ids_to_indices(sorting._unit_ids)] = np.arange(len(sorting.unit_ids))
    segments = []
    for own, segment in zip(sorting.segments, parent.segments, strict=True):
        unit_index = new_index[segment.unit_index]
        kept = unit_index >= 0
        extent = (segment.t_start, segment.t_stop) if segment.clock == "recording" else None
        some = make_segment(segment.spike_times[kept], unit_index[kept], extent, segment.clock)
        segments.append(later(replace(some, observed=segment.observed), start_of(own)))
    return session_of(sorting, segments)


def from_recording_clock(clocked: Any, index: int, frames: np.ndarray, units: np.ndarray, rate: float) -> Segment:
    """Segment on the clock of a recording, or of the one that is registered with a sorting.

    While the recording paused nothing is known of spikes.
    """
    n_frames = clocked.get_num_samples(segment_index=index)
    if len(frames) and (frames.max() >= n_frames or frames.min() < 0):
        raise ValueError(
            f"segment {index}: spikes lie at samples {frames.min()}..{frames.max()}, outside the recording's 0.."
            f"{n_frames - 1}; remove them with spikeinterface.curation.remove_excess_spikes(sorting, recording)"
        )
    periods = recorded_periods(clocked, index, rate)
    times = clocked.sample_index_to_time(frames, segment_index=index)
    segment = make_segment(times, units, (float(periods[0, 0]), float(periods[-1, 1])), "recording")
    return replace(segment, observed=periods) if len(periods) > 1 else segment


# Wrappers that SpikeInterface leaves without the clock of what they wrap.
CLOCK_OF_PARENT = {
    "UnitsSelectionSorting": from_selection,
    "SelectSegmentSorting": from_segments,
    "SplitSegmentSorting": from_split,
}
