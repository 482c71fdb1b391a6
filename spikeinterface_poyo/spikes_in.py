"""Spikes in: one small adapter for each thing that holds sorted units, all ending in a `Session`.

Each segment's clock is resolved here, once, to float64 seconds: pickling a SpikeInterface sorting, or reloading it,
loses the recording that holds its clock, and with it the times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .clocks import forgets_clock
from .epochs_in import tidy
from .recognition import is_a
from .seconds import as_seconds, in_seconds
from .session import ClockSource, Segment, Session
from .stored_spikes import is_stored, stored_segment
from .unit_properties import of_analyzer, of_nwb_units, of_sorting, of_table
from .warning import warn

N_CHUNKS, CHUNK = 64, 256  # in how many places, of so many spikes each, the order of a saved file is looked at
ACCEPTED = (
    "a SpikeInterface sorting or SortingAnalyzer, the folder it was saved in, neo SpikeTrains, Segment or Block, an "
    "NWB Units table or NWBFile, a pynapple TsGroup, a dict {unit_id: spike times in seconds}, or from_counts(...)"
)


def as_session(sorting: Any) -> Session:
    """Adapt a sorting of any accepted kind.

    Raises
    ------
    TypeError
        Where the kind is not known.
    ValueError
        Where it has no units or no spikes, ids that repeat, or spike times that are not finite.
    """
    if isinstance(sorting, Session):
        session = sorting
    elif is_a(sorting, "spikeinterface", "SortingAnalyzer"):
        session = from_analyzer(sorting)
    elif is_a(sorting, "spikeinterface", "BaseSorting"):
        session = from_spikeinterface(sorting)
    elif is_a(sorting, "neo", "Block"):
        session = from_neo([segment.spiketrains for segment in sorting.segments])
    elif is_a(sorting, "neo", "Segment"):
        session = from_neo([sorting.spiketrains])
    elif is_spiketrain_list(sorting):
        session = from_neo([sorting])
    elif is_a(sorting, "pynwb", "NWBFile"):
        session = from_nwb_units(sorting.units)
    elif is_a(sorting, "pynwb", "Units"):
        session = from_nwb_units(sorting)
    elif is_a(sorting, "pynapple", "TsGroup"):
        session = from_tsgroup(sorting)
    elif isinstance(sorting, Mapping):
        session = from_dict(sorting)
    elif isinstance(sorting, (str, PathLike)):
        session = from_folder(Path(sorting))
    else:
        raise TypeError(f"cannot read spikes from {type(sorting).__name__!r}; expected {ACCEPTED}")
    return check_session(session)


def check_session(session: Session) -> Session:
    """Refuse sessions that cannot be decoded. Units without spikes are fine: silence is information."""
    if len(session.unit_ids) == 0:
        raise ValueError("the sorting is empty: it has no units")
    if session.unit_ids.ndim != 1:
        raise ValueError(f"unit ids must be integers or strings, got {session.unit_ids[0].tolist()}")
    names = session.unit_names
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"unit ids must differ when written as text; these repeat: {repeated}")
    if not any(len(segment.spike_times) for segment in session.segments):
        raise ValueError(f"the sorting is empty: none of its {len(names)} units has a spike")
    for segment in session.segments:
        if is_stored(segment):  # as sample indices, which are finite
            continue
        bad = ~np.isfinite(segment.spike_times)
        if bad.any():
            units = sorted({names[i] for i in np.unique(segment.unit_index[bad])})
            raise ValueError(f"spike times must be finite; {bad.sum()} are NaN or infinite, in unit(s) {units}")
    return session


def make_segment(
    times: np.ndarray, unit_index: np.ndarray, extent: tuple[float, float] | None, clock: ClockSource
) -> Segment:
    """Segment of spikes in any order.

    Spikes are put in order of time, then unit, so that the same spikes give the same numbers wherever they come from.
    """
    times = np.asarray(times, dtype=np.float64)
    unit_index = np.asarray(unit_index, dtype=np.int32)
    if not is_ordered(times, unit_index):
        order = np.lexsort((unit_index, times))
        times = times[order]  # one after the other, so that the memory of what came is free for the next
        unit_index = unit_index[order]
    if extent is None:
        extent = (float(times[0]), float(times[-1])) if len(times) else (np.inf, -np.inf)
    return Segment(times, unit_index, *extent, clock=clock)


def is_ordered(times: np.ndarray, unit_index: np.ndarray) -> bool:
    """Whether spikes are in order of time, then unit."""
    before, after = times[:-1], times[1:]
    return bool(np.all((before < after) | ((before == after) & (unit_index[:-1] <= unit_index[1:]))))


def from_trains(trains: Sequence[np.ndarray], extent: tuple[float, float] | None, clock: ClockSource) -> Segment:
    """Segment of one array of seconds a unit."""
    unit_index = np.arange(len(trains), dtype=np.int32).repeat([len(train) for train in trains])
    return make_segment(np.concatenate([np.empty(0), *trains]), unit_index, extent, clock)


def from_dict(trains: Mapping[Any, Any]) -> Session:
    """``{unit_id: spike times in seconds}``; times with quantities are rescaled."""
    arrays = []
    for unit, train in trains.items():
        seconds = as_seconds(train)
        if seconds.ndim != 1:
            raise ValueError(f"spike times of unit {unit!r} must be one-dimensional, got shape {seconds.shape}")
        arrays.append(seconds)
    return Session(np.array(list(trains)), (from_trains(arrays, None, "seconds"),))


def is_spiketrain_list(obj: Any) -> bool:
    """Whether ``obj`` is neo's own list of spike trains or a plain list of them."""
    if is_a(obj, "neo", "SpikeTrainList"):
        return True
    return isinstance(obj, (list, tuple)) and len(obj) > 0 and all(is_a(item, "neo", "SpikeTrain") for item in obj)


def from_neo(segments: Sequence[Any]) -> Session:
    """Lists of neo spike trains, one list a segment.

    A unit is known by its train's name, else by the annotation ``unit_id``, else by its place: in all segments
    alike.
    """
    segments = [list(trains) for trains in segments]
    ids = neo_unit_ids(segments)
    unit_ids = list(dict.fromkeys(unit for segment in ids for unit in segment))
    parts = []
    for trains, names in zip(segments, ids, strict=True):
        by_unit = {name: in_seconds(train) for name, train in zip(names, trains, strict=True)}
        extent = None
        if trains:
            extent = (
                min(float(in_seconds(train.t_start)) for train in trains),
                max(float(in_seconds(train.t_stop)) for train in trains),
            )
        parts.append(from_trains([by_unit.get(unit, np.empty(0)) for unit in unit_ids], extent, "seconds"))
    return Session(np.array(unit_ids), tuple(parts))


def neo_unit_ids(segments: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Unit ids of each segment's trains."""
    names = [[train.name or None for train in trains] for trains in segments]
    annotations = [[train.annotations.get("unit_id") for train in trains] for trains in segments]
    for ids in (names, annotations):
        if all(None not in units and len(set(map(str, units))) == len(units) for units in ids):
            return ids
    return [list(range(len(trains))) for trains in segments]


def from_tsgroup(group: Any) -> Session:
    """Pynapple ``TsGroup``: always seconds. Outside its time support, as after ``restrict``, spikes are not known.

    A unit is known by the metadata ``unit_id``, where SpikeInterface's exporter puts ids that are no integers, else by
    its index.
    """
    support = np.asarray(group.time_support.values, dtype=np.float64)
    extent = (float(support[0, 0]), float(support[-1, 1])) if len(support) else None
    segment = from_trains([group[key].t for key in group], extent, "seconds")
    if len(support) > 1:
        segment = replace(segment, observed=support)
    metadata = group.metadata
    ids = metadata["unit_id"] if "unit_id" in metadata.columns else list(group)
    return Session(np.array(list(ids)), (segment,), properties=of_table(metadata))


def from_nwb_units(units: Any) -> Session:
    """NWB ``Units`` table: seconds as the file has them.

    Where it tells when units were observed, nothing is known of spikes at times at which none of them was.
    """
    if units is None or "spike_times" not in units.colnames:
        raise ValueError("the NWB file has no Units table with spike_times")
    ends = np.asarray(units["spike_times"].data[:], dtype=np.int64)
    times = np.asarray(units["spike_times"].target.data[:], dtype=np.float64)
    unit_index = np.arange(len(ends)).repeat(np.diff(ends, prepend=0))
    segment = make_segment(times, unit_index, None, "native")
    if "obs_intervals" in units.colnames and len(intervals := units["obs_intervals"].target.data[:]):
        observed = tidy(intervals)
        start, stop = min(segment.t_start, observed[0, 0]), max(segment.t_stop, observed[-1, 1])
        segment = replace(segment, t_start=float(start), t_stop=float(stop), observed=observed)
    return Session(np.asarray(units.id[:]), (segment,), properties=of_nwb_units(units))


def from_analyzer(analyzer: Any) -> Session:
    """``SortingAnalyzer``. Its sorting forgets the recording's clock when it is reloaded, so the recording is asked."""
    recording = analyzer.recording if analyzer.has_recording() or analyzer.has_temporary_recording() else None
    session = from_spikeinterface(analyzer.sorting, recording)
    if recording is None and any(segment.clock == "frames" for segment in session.segments):
        warn("the SortingAnalyzer has no recording, so spike times count from its first sample; where the recording's "
             "clock does not start there, give it with analyzer.set_temporary_recording(recording)")  # fmt: skip
    return replace(session, properties=of_analyzer(analyzer))


def from_spikeinterface(sorting: Any, recording: Any = None) -> Session:
    """``BaseSorting``, all segments, by its spike vector: no loop over units.

    The clock is, in SpikeInterface's own order: a registered recording's, the file's own seconds, sample index over
    sampling rate.
    """
    has_recording = recording is not None or sorting.has_recording()
    if not has_recording and is_mapped(sorting) and is_in_order(sorting.spikes):
        return from_mapped(sorting)
    if not has_recording and is_a(sorting, "spikeinterface", "UnitsSelectionSorting"):
        return from_selection(sorting)
    if not has_recording and is_a(sorting, "spikeinterface", "SelectSegmentSorting"):
        return from_segments(sorting)
    if not has_recording and forgets_clock(sorting):
        warn(f"SpikeInterface's {type(sorting).__name__} does not hand on the clock of the sorting that it was made "
             "from, so spike times are off by that one's start: sorting.register_recording(recording) restores the "
             "clock")  # fmt: skip
    vector = None
    segments = []
    for index in range(sorting.get_num_segments()):
        if not has_recording and hasattr(sorting.segments[index], "get_unit_spike_train_in_seconds"):
            trains = [sorting.get_unit_spike_train_in_seconds(unit, segment_index=index) for unit in sorting.unit_ids]
            segments.append(from_trains(trains, None, "native"))
            continue
        if vector is None:
            vector = in_order_of_segments(sorting.to_spike_vector())
        first, past = np.searchsorted(vector["segment_index"], [index, index + 1])
        frames = vector["sample_index"][first:past]
        units = vector["unit_index"][first:past]
        if has_recording:
            segments.append(from_recording_clock(sorting, recording, index, frames, units))
        else:
            shifted = sorting.segments[index]._t_start and not is_a(sorting, "spikeinterface", "FrameSliceSorting")
            clock: ClockSource = "native" if shifted else "frames"
            segments.append(make_segment(sorting.sample_index_to_time(frames, index), units, None, clock))
    return Session(np.asarray(sorting.unit_ids), tuple(segments), properties=of_sorting(sorting))


def in_order_of_segments(vector: np.ndarray) -> np.ndarray:
    """A spike vector by segments, which SpikeInterface leaves as it was given."""
    index = vector["segment_index"]
    return vector if (index[1:] >= index[:-1]).all() else vector[np.argsort(index, kind="stable")]


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
    index = sorting.spikes["segment_index"]
    ends = np.searchsorted(index, np.arange(1, sorting.get_num_segments())).tolist()
    segments = []
    for segment, first, past in zip(sorting.segments, [0, *ends], [*ends, len(index)], strict=True):
        t_start = segment._t_start or 0.0
        stored = stored_segment(Path(sorting.spikes.filename), first, past, sorting.get_sampling_frequency(), t_start)
        segments.append(replace(stored, clock="native") if t_start else stored)
    return Session(np.asarray(sorting.unit_ids), tuple(segments), properties=of_sorting(sorting))


def from_folder(folder: Path) -> Session:
    """A folder that SpikeInterface saved; one of ``numpy_folder`` format, its default, stays on disk."""
    from spikeinterface.core import NumpyFolderSorting, load

    if not folder.is_dir():
        why = "is a file: open it with a SpikeInterface extractor or pynwb" if folder.exists() else "does not exist"
        raise ValueError(f"{str(folder)!r} {why}; a path is that of a folder in which SpikeInterface saved a sorting")
    if (folder / "numpysorting_info.json").is_file():
        return from_spikeinterface(NumpyFolderSorting(folder, mmap_mode="r"))
    return as_session(load(folder))


def from_selection(sorting: Any) -> Session:
    """``sorting.select_units(...)`` on its parent's clock: SpikeInterface drops the parent's own seconds and start."""
    parent = from_spikeinterface(sorting._parent_sorting)
    new_index = np.full(len(parent.unit_ids), -1, dtype=np.int32)
    new_index[sorting._parent_sorting.ids_to_indices(sorting._unit_ids)] = np.arange(len(sorting.unit_ids))
    segments = []
    for own, segment in zip(sorting.segments, parent.segments, strict=True):
        unit_index = new_index[segment.unit_index]
        kept = unit_index >= 0
        times = segment.spike_times[kept] + (own._t_start or 0.0)
        segments.append(make_segment(times, unit_index[kept], None, segment.clock))
    return Session(np.asarray(sorting.unit_ids), tuple(segments), properties=of_sorting(sorting))


def from_recording_clock(sorting: Any, recording: Any, index: int, frames: np.ndarray, units: np.ndarray) -> Segment:
    """Segment on the clock of ``recording``, or of the recording registered with ``sorting`` where that is None."""
    n_frames = (sorting if recording is None else recording).get_num_samples(segment_index=index)
    if len(frames) and (frames.max() >= n_frames or frames.min() < 0):
        raise ValueError(
            f"segment {index}: spikes lie at samples {frames.min()}..{frames.max()}, outside the recording's 0.."
            f"{n_frames - 1}; remove them with spikeinterface.curation.remove_excess_spikes(sorting, recording)"
        )
    source = sorting if recording is None else recording
    ends = np.asarray(source.sample_index_to_time(np.array([0, n_frames - 1]), segment_index=index), dtype=np.float64)
    extent = (float(ends[0]), float(ends[1]) + 1 / sorting.get_sampling_frequency())
    times = source.sample_index_to_time(frames, segment_index=index)
    return make_segment(times, units, extent, "recording")
