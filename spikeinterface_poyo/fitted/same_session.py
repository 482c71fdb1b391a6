"""Whether sessions that are given are those that `fit` saw."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from ..sessions.session import PLACE, Session
from ..warning import warn
from .known_session import KnownSession


def check_places(sessions: Sequence[Session], known: Collection[str]) -> None:
    """Refuse to know unnamed sessions by their places in a list that lacks some of those known by theirs.

    Raises
    ------
    ValueError
        Where the list is shorter: who is at which place is then not known.
    """
    places = {PLACE.format(place) for place in range(len(sessions))}
    others = {name for name in known if re.fullmatch(PLACE.format(r"\d+"), name)} - places
    if others and not places.isdisjoint(known) and any(session.session_id is None for session in sessions):
        raise ValueError(f"{len(sessions)} session(s) without names were given, and fit saw {sorted(known)}: "
                         "name them with session_id=, of samples in align")  # fmt: skip


def names_of(sessions: Sequence[Session], used: Iterable[int], known: Collection[str]) -> dict[int, str]:
    """Ids, by position, of the ``used`` ones among ``sessions``; a single unnamed one is the only known one.

    Raises
    ------
    ValueError
        As of `check_places`.
    """
    if len(sessions) == len(known) == 1 and sessions[0].session_id is None:
        return dict.fromkeys(used, *known)
    check_places(sessions, known)
    return {position: sessions[position].name(position) for position in used}


def kind_of(isolated_rows: bool) -> str:
    """What a session is made of, in words."""
    return "an array of counts" if isolated_rows else "spikes in time"


def check_same(session: Session, name: str, known: KnownSession) -> None:
    """Compare a session given for prediction with what was seen at fit.

    Raises
    ------
    ValueError
        Where it has units that were not there at fit.

    Warns
    -----
    UserWarning
        Where units are missing, or the sorting has lost the recording whose clock it was fitted on.
    """
    if session.isolated_rows != known.isolated_rows:
        what = "rows of an array" if known.isolated_rows else "a sorting, or from_counts(...) of binned spikes"
        raise ValueError(f"session {name!r} was {kind_of(known.isolated_rows)} at fit, and "
                         f"{kind_of(session.isolated_rows)} were given now: give {what}")  # fmt: skip
    all_known = [*known.unit_names, *known.silent_units]
    unknown = sorted(set(session.unit_names).difference(all_known))
    if unknown:
        raise ValueError(
            f"session {name!r} has units {unknown} that were not there at fit (known: {all_known}). Leave them "
            "out, for instance with sorting.select_units(...), or learn them with partial_fit under a new "
            "session_id"
        )
    missing = sorted(set(known.unit_names) - set(session.unit_names))
    if session.units_by_place and missing:
        raise ValueError(f"session {name!r} had {len(all_known)} spike trains at fit and has {len(session.unit_ids)} "
                         "now; they have no names, so units are known by their places, which are others now: give "
                         "each a train.name, at fit too")  # fmt: skip
    if len(missing) == len(known.unit_names):
        raise ValueError(f"session {name!r} has none of the units that fired at fit: {known.unit_names}")
    if missing:
        warn(f"session {name!r} lacks units {missing} that were there at fit; going on without them")
    lost = {"recording", "native"}.intersection(known.clocks)
    if lost and any(segment.clock == "frames" for segment in session.segments):
        clock = "the clock of a recording" if "recording" in lost else "a clock of its own"
        warn(
            f"at fit, session {name!r} was on {clock}; this sorting has none, so its spike times are sample index "
            "/ sampling rate and may be shifted. sorting.register_recording(recording) restores the clock",
        )
    starts = [segment.t_start for segment in session.segments if segment.clock == "recording" and segment.t_start]
    if starts and "frames" in known.clocks:
        warn(f"at fit, session {name!r} was on no recording's clock, and this sorting is on that of one that starts "
             f"at {starts[0]:.6g} s. Unless that is a part of a recording that starts at 0, spikes of the fit were so "
             "much earlier than they should have been beside its behaviour: fit again with this sorting")  # fmt: skip
