"""What a fitted decoder knows: whose embedding is in which row, which behaviour is read out where, on what clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..network.windows import Block
from ..readouts.behaviors import (
    asked_for,
    n_columns,
    n_outputs,
    readout_columns,
    readout_from_json,
    target_columns,
    target_columns_by_name,
)
from ..readouts.readout import Readout
from ..sessions.intervals import grid_interval
from ..sessions.samples import SpikeSamples
from ..sessions.session import PLACE, Session
from ..sessions.signals import UNNAMED
from ..sessions.units import units_that_fire, without_units
from .known_session import KnownSession
from .same_session import check_places, check_same, names_of


@dataclass
class Vocabulary:
    """All known sessions by id and behaviours by name.

    Row 0 of both embedding tables belongs to no unit and no session. ``n_places`` sessions without names were there
    when these were learned: their places are what they are called, of those too that were left out of a fit.
    """

    sessions: dict[str, KnownSession] = field(default_factory=dict)
    readouts: dict[str, Readout] = field(default_factory=dict)
    n_places: int = 0

    @classmethod
    def of(
        cls,
        X: SpikeSamples,
        y: np.ndarray,
        names: Mapping[int, str],
        readouts: Mapping[str, Readout],
        by_name: bool,
        labelled_seconds: Mapping[int, float | None],
    ) -> Vocabulary:
        """Vocabulary of the sessions that samples use.

        ``y`` (n_samples, most outputs) are their targets; ``names``, and the seconds that their labels cover, are by
        the sessions' positions.
        """
        unnamed = [place for place, session in enumerate(X.sessions) if session.session_id is None]
        known = cls(readouts=dict(readouts), n_places=max(unnamed, default=-1) + 1)
        samples: dict[int, list[np.ndarray]] = {position: [] for position in names}
        for position, _, order in X.blocks():
            samples[position].append(order)
        for position, name in names.items():
            times = [X.times[order] for order in samples[position]]
            each = [times]
            if by_name:
                has = [
                    ~np.isnan(y[:, place]).all(axis=1) for _, place in target_columns(X.targets[position], y.shape[1])
                ]
                each = [[X.times[order[mine[order]]] for order in samples[position]] for mine in has]
            interval = grid_interval(each)
            behaviors = tuple(info.name for info in X.targets[position])
            known.add(name, X.sessions[position], behaviors, by_name, interval, labelled_seconds[position])
        return known

    @property
    def n_units(self) -> int:
        """Units of all sessions."""
        return sum(len(known.unit_names) for known in self.sessions.values())

    @property
    def labelled_seconds(self) -> float | None:
        """Seconds that the labels of all sessions cover; None where that of one is not known."""
        each = [known.labelled_seconds for known in self.sessions.values()]
        told = [seconds for seconds in each if seconds is not None]
        return sum(told) if len(told) == len(each) else None

    @property
    def n_unit_rows(self) -> int:
        """Rows of the unit table."""
        return 1 + self.n_units

    @property
    def n_session_rows(self) -> int:
        """Rows of the session table."""
        return 1 + len(self.sessions)

    @property
    def n_columns(self) -> int:
        """Columns of the readout layer."""
        return n_columns(self.readouts.values())

    @property
    def n_outputs(self) -> int:
        """Outputs of the session, or else of the behaviour, that has most."""
        of_sessions = [n_outputs(self.readouts_of(name)) for name in self.sessions]
        return max(of_sessions or [readout.n_outputs for readout in self.readouts.values()])

    @property
    def reads_rows(self) -> bool:
        """Whether the sessions are arrays of counts, read row by row."""
        return any(known.isolated_rows for known in self.sessions.values())

    def readouts_of(self, name: str) -> list[Readout]:
        """Readouts of a session's behaviours."""
        return [self.readouts[behavior] for behavior in self.sessions[name].readouts]

    def add(
        self,
        name: str,
        session: Session,
        readouts: tuple[str, ...],
        by_name: bool,
        interval: float | None,
        labelled_seconds: float | None,
    ) -> None:
        """Give a new session and its units the next rows; units without a spike get none, unless all are silent."""
        fires = units_that_fire(session)
        if not fires.any():
            fires[:] = True
        self.sessions[name] = KnownSession(
            unit_names=[unit for unit, fired in zip(session.unit_names, fires, strict=True) if fired],
            first_unit_row=self.n_unit_rows,
            session_row=self.n_session_rows,
            sample_interval=interval,
            clocks=[str(segment.clock) for segment in session.segments],
            isolated_rows=session.isolated_rows,
            readouts=readouts,
            by_name=by_name,
            silent_units=[unit for unit, fired in zip(session.unit_names, fires, strict=True) if not fired],
            labelled_seconds=labelled_seconds,
        )

    def with_paces(self, paces: Mapping[str, Mapping[str, float]]) -> Vocabulary:
        """The same, told how quickly behaviours change, by session and behaviour."""
        told = {name: replace(self.sessions[name], paces=dict(of_session)) for name, of_session in paces.items()}
        return replace(self, sessions=self.sessions | told)

    def with_more_labels(self, names: Iterable[str]) -> Vocabulary:
        """The same once these sessions have learned from further labels, which may be those that they had or others."""
        more = {name: replace(self.sessions[name], labelled_seconds=None) for name in names}
        return replace(self, sessions=self.sessions | more)

    def joined(self, other: Vocabulary) -> Vocabulary:
        """A vocabulary of these sessions and another's, which take the rows and columns that follow.

        Behaviours of the other that are known here have its first columns, and stay where they are.
        """
        sessions, readouts = dict(self.sessions), dict(self.readouts)
        for name, known in other.sessions.items():
            sessions[name] = replace(
                known,
                first_unit_row=known.first_unit_row + self.n_unit_rows - 1,
                session_row=known.session_row + self.n_session_rows - 1,
            )
        n_shared = n_columns(readout for name, readout in other.readouts.items() if name in self.readouts)
        for name, readout in other.readouts.items():
            if name not in readouts:
                readouts[name] = replace(readout, first_column=readout.first_column + self.n_columns - n_shared)
        return Vocabulary(sessions, readouts, max(self.n_places, other.n_places))

    def behavior_names(self, sessions: Sequence[Session]) -> list[str]:
        """Names of the behaviours of known sessions that have one each; other sessions have an unnamed one."""
        known = [self.sessions.get(session.name(position)) for position, session in enumerate(sessions)]
        return [session.readouts[0] if session and len(session.readouts) == 1 else UNNAMED for session in known]

    def in_units(self, X: SpikeSamples, y: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
        """Targets (n_samples, most outputs) in the units of the readouts and the order of each session's behaviours.

        Those that are not given are NaN; ``names`` are session ids by position.

        Raises
        ------
        ValueError
            Where they cannot be converted, or have other outputs.
        """
        readouts = {position: self.readouts_of(name) for position, name in names.items()}
        out = np.full((len(y), max(map(n_outputs, readouts.values()))), np.nan)
        for position, mine in X.by_session():
            name = names[position]
            given = dict(target_columns_by_name(X.targets[position], y.shape[1], self.sessions[name].readouts))
            for readout, outputs, _ in readout_columns(readouts[position]):
                if readout.name in given:
                    info, place = given[readout.name]
                    why = readout.mismatch(info, place.stop - place.start)
                    if why is not None:
                        raise ValueError(f"the behaviour of session {name!r} is not {readout.name!r} as the decoder "
                                         f"reads it out: {why}")  # fmt: skip
                    what = f"behaviour of {name!r}"
                    out[mine, outputs] = readout.in_units(y[mine, place], info, what)
        return out

    def names_to_learn(self, X: SpikeSamples, numbered: bool) -> dict[int, str]:
        """Ids, by position, under which to learn the sessions that samples use: all known already, or all new.

        Unnamed sessions are new, except that rows of counts are always of the one session there is, and that sessions
        are known by their place where that is their id to the user (``numbered``: several in `SpikeSamples`).

        Raises
        ------
        ValueError
            Where some are known and some are not.
        """
        if numbered:
            check_places(X.sessions, self.sessions)
        names: dict[int, str] = {}
        taken = self.sessions.keys() | {session.session_id for session in X.sessions}
        free = (name for k in itertools.count(self.n_places) if (name := PLACE.format(k)) not in taken)
        for position in np.unique(X.session_index).tolist():
            session = X.sessions[position]
            if session.isolated_rows and session.session_id is None and len(self.sessions) == 1:
                names[position] = next(iter(self.sessions))
            else:
                is_new = session.session_id is None and not numbered
                names[position] = next(free) if is_new else X.session_name(position)
        known = sorted(set(names.values()) & set(self.sessions))
        if known and len(known) < len(names):
            new = sorted(set(names.values()) - set(known))
            raise ValueError(f"partial_fit takes known sessions or new ones, not both at once; known: {known}, new: "
                             f"{new}")  # fmt: skip
        return names

    def resolve(self, sessions: Sequence[Session], used: Iterable[int]) -> dict[int, str]:
        """Ids, by position, of the ``used`` ones among ``sessions``, as of `names_of`, all of which are known.

        Raises
        ------
        ValueError
            Where a session is not known, or an unnamed one could be several.
        """
        if len(sessions) == 1 < len(self.sessions) and sessions[0].session_id is None:
            raise ValueError(f"the decoder knows several sessions; name one with session_id=: {sorted(self.sessions)}. "
                             "Samples get their names in align")  # fmt: skip
        names = names_of(sessions, used, self.sessions)
        unknown = sorted(set(names.values()) - set(self.sessions))
        if unknown:
            raise ValueError(f"unknown session(s) {unknown}; the decoder was fitted on {sorted(self.sessions)}. Give "
                             "session_id= of a known one, or add the new session with partial_fit")  # fmt: skip
        return names

    def check_sessions(self, X: SpikeSamples, names: Mapping[int, str]) -> None:
        """Compare the sessions that samples use, of these ids by position, with what was seen at fit."""
        for position, name in names.items():
            check_same(X.sessions[position], name, self.sessions[name])

    def block(self, session: Session, segment: int, name: str) -> Block:
        """A segment of a known session, with the rows of its units."""
        known = self.sessions[name]
        row = known.unit_rows
        rows = np.array([row.get(unit, 0) for unit in session.unit_names], dtype=np.int64)
        spikes = session.segments[segment]
        if not rows.all():  # units that were silent at fit
            spikes = without_units(spikes, rows > 0)
        columns, behaviors = asked_for(self.readouts_of(name))
        return Block(spikes, rows[rows > 0], known.session_row, columns, behaviors)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "sessions": {name: asdict(known) for name, known in self.sessions.items()},
            "readouts": {name: readout.to_json() for name, readout in self.readouts.items()},
            "n_places": self.n_places,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Vocabulary:
        """Inverse of `to_json`."""
        return cls(
            {
                name: KnownSession(**known | {"readouts": tuple(known["readouts"])})
                for name, known in data["sessions"].items()
            },
            {name: readout_from_json(readout) for name, readout in data["readouts"].items()},
            data.get("n_places", 0),  # not in older files
        )
