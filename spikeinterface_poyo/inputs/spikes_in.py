"""Spikes in: one small adapter for each thing that holds sorted units, all ending in a `Session`.

Each segment's clock is resolved here, once, to float64 seconds: pickling a SpikeInterface sorting, or reloading it,
loses the recording that holds its clock, and with it the times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..paths import as_path, is_path
from ..recognition import is_a, is_list
from ..sessions.samples import SpikeSamples
from ..sessions.session import Session, from_trains, make_segment
from ..sessions.stored_spikes import is_stored
from ..sessions.units import units_that_fire
from ..warning import warn
from .epochs_in import tidy
from .saved_folders import from_folder
from .seconds import FARTHEST, as_seconds, in_seconds
from .spikeinterface_in import from_analyzer, from_spikeinterface
from .unit_properties import of_nwb_units, of_table

RARE = 0.02  # spikes a second; times in milliseconds make 20 Hz of it, those in samples less
ACCEPTED = (
    "a SpikeInterface sorting, the folder it was saved in, a SortingAnalyzer, neo SpikeTrains, Segment or Block, an "
    "NWB Units table or NWBFile, a pynapple TsGroup, a dict {unit_id: spike times in seconds}, or from_counts(...)"
)


def as_session(sorting: Any) -> Session:
    """Adapt a sorting of any accepted kind.

    Raises
    ------
    TypeError
        Where the kind is not known.
    ValueError
        Where it has no units, ids that repeat, or spike times that are not finite.
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
    elif is_path(sorting):
        session = from_folder(as_path(sorting))
    elif isinstance(sorting, SpikeSamples):
        raise TypeError("SpikeSamples are given by themselves, not in a list: samples of several sessions are "
                        "align([a, b], [behavior_a, behavior_b]), and some of them X[index]")  # fmt: skip
    else:
        raise TypeError(f"cannot read spikes from {type(sorting).__name__!r}; expected {ACCEPTED}")
    return check_session(session)


def as_sessions(sorting: Any, session_id: Any = None) -> list[Session]:
    """Sessions of one sorting or a list of them, named where names are given."""
    sortings = [sorting] if is_one_sorting(sorting) else list(sorting)
    if not sortings:
        raise ValueError("got an empty list of sortings; expected at least one")
    names = [None] * len(sortings) if session_id is None else checked_names(session_id, len(sortings))
    sessions = []
    for position, (one, name) in enumerate(zip(sortings, names, strict=True)):
        try:
            session = as_session(one)
        except ValueError as error:
            if len(sortings) == 1:
                raise
            raise ValueError(f"session {position if name is None else name!r}: {error}") from error
        sessions.append(session if name is None else replace(session, session_id=name))
    return sessions


def checked_names(session_id: Any, n_sessions: int) -> list[str]:
    """Ids of so many sessions, as text."""
    given = [session_id] if np.ndim(session_id) == 0 else list(session_id)
    if any(name is None for name in given):
        raise ValueError(f"each session needs a name where some have one; got session_id={given}")
    names = list(map(str, given))
    if len(names) != n_sessions or len(set(names)) < len(names):
        raise ValueError(f"expected {n_sessions} different session ids, one a sorting; got {given}")
    return names


def is_one_sorting(sorting: Any) -> bool:
    """Whether ``sorting`` is a single sorting and not a list of sessions."""
    return not (is_list(sorting) or isinstance(sorting, tuple)) or is_spiketrain_list(sorting)


def check_spikes(sessions: Sequence[Session], refuse: bool) -> None:
    """Refuse sessions without any spike, from which nothing can be learned, or warn of them."""
    for position, session in enumerate(sessions):
        if not any(len(segment.spike_times) for segment in session.segments):
            whose = f" of session {session.name(position)!r}" if len(sessions) > 1 else ""
            message = f"the sorting{whose} is empty: none of its {len(session.unit_ids)} units has a spike"
            if refuse:
                raise ValueError(message)
            warn(message)


def warn_of_rare_spikes(sessions: Sequence[Session]) -> None:
    """Tell of sessions whose units hardly ever fire, as those do whose times are in other units than seconds."""
    for position, session in enumerate(sessions):
        # Of counts those that are not zero, too, as of calcium events, whose sizes are in no unit.
        n_spikes = max(session.n_spikes, sum(len(segment.spike_times) for segment in session.segments))
        if not 0 < n_spikes < RARE * session.duration * len(session.unit_ids):
            continue
        fires = units_that_fire(session).sum()
        rate = n_spikes / session.duration / fires
        if rate < RARE:
            warn(f"the {fires} units of {session.name(position)} that fire do so {rate:.2g} times a second on average, "
                 f"in {session.duration:.4g} s: are their spike times in seconds?")  # fmt: skip


def check_session(session: Session) -> Session:
    """Refuse sessions that cannot be decoded. Silence is information: of a unit, and in prediction of all."""
    if len(session.unit_ids) == 0:
        raise ValueError("the sorting is empty: it has no units")
    if session.unit_ids.ndim != 1:
        raise ValueError(f"unit ids must be integers or strings, got {session.unit_ids[0].tolist()}")
    names = session.unit_names
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"unit ids must differ when written as text; these repeat: {repeated}")
    for segment in session.segments:
        if is_stored(segment):  # as sample indices, which are finite
            continue
        farthest = np.abs(segment.spike_times).max(initial=0)
        if FARTHEST < farthest < np.inf:
            raise ValueError(f"spike times must be seconds; they lie up to {farthest:.3g} from zero")
        bad = ~np.isfinite(segment.spike_times)
        if bad.any():
            units = sorted({names[i] for i in np.unique(segment.unit_index[bad])})
            raise ValueError(f"spike times must be finite; {bad.sum()} are NaN or infinite, in unit(s) {units}")
    return session


def from_dict(trains: Mapping[Any, Any]) -> Session:
    """``{unit_id: spike times in seconds}``; times with quantities are rescaled."""
    arrays = []
    for unit, train in trains.items():
        if isinstance(train, (Mapping, Session)) or is_a(train, "spikeinterface", "BaseSorting", "SortingAnalyzer"):
            raise TypeError(f"a dict is one session, {{unit_id: spike times}}, and under {unit!r} there is a sorting: "
                            "give several sessions as a list, and their names as session_id=")  # fmt: skip
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

    Raises
    ------
    ValueError
        Where places do not tell which units of two segments are one, as their numbers differ.
    """
    segments = [list(trains) for trains in segments]
    ids, by_place = neo_unit_ids(segments)
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
    return Session(np.array(unit_ids), tuple(parts), units_by_place=by_place)


def neo_unit_ids(segments: Sequence[Sequence[Any]]) -> tuple[list[list[Any]], bool]:
    """Unit ids of each segment's trains, and whether they are no more than places."""
    names = [[train.name or None for train in trains] for trains in segments]
    annotations = [[train.annotations.get("unit_id") for train in trains] for trains in segments]
    for ids in (names, annotations):
        if all(None not in units and len(set(map(str, units))) == len(units) for units in ids):
            return ids, False
    counts = [len(trains) for trains in segments]
    if len(set(filter(None, counts))) > 1:
        raise ValueError(f"neo segments have {counts} spike trains, and neither their names nor the annotation unit_id "
                         "tell which of them are of one unit: give each in a segment another train.name")  # fmt: skip
    some = [name for units in names for name in units if name is not None]
    if some:
        warn(f"{len(some)} of {sum(counts)} neo spike trains have a name, and {len(set(some))} different ones: units "
             "are known by their place in the list. train.name tells them where each has another")  # fmt: skip
    return [list(range(n)) for n in counts], True


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
        observed = tidy(intervals, "obs_intervals of the units")
        start, stop = min(segment.t_start, observed[0, 0]), max(segment.t_stop, observed[-1, 1])
        segment = replace(segment, t_start=float(start), t_stop=float(stop), observed=observed)
    return Session(nwb_unit_ids(units), (segment,), properties=of_nwb_units(units))


def nwb_unit_ids(units: Any) -> np.ndarray:
    """Ids of the units of an NWB table: the column ``unit_name``, as in SpikeInterface, or else the rows' own."""
    if "unit_name" in units.colnames:
        names = np.asarray(units["unit_name"].data[:]).astype(str)
        if len(set(names.tolist())) == len(names):
            return names
    return np.asarray(units.id[:])
