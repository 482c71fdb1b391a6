"""What a fitted decoder knows: whose embedding is in which row, which behaviour is read out where, on what clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..network.merging import merge_spikes
from ..network.poyo import NetworkConfig
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
from ..sessions.samples import SpikeSamples, readable, seconds_covered
from ..sessions.session import Session
from ..sessions.signals import UNNAMED
from ..sessions.units import units_that_fire, without_units
from .known_session import KnownSession
from .same_session import check_places

REGULAR = 0.1  # intervals that differ by less than this share from their median are regular
LONG_GAP = 5.5  # intervals from which on a gap tells nothing of what is regular
MOST_MISSING = 10  # points of a regular grid a sample, at most


@dataclass
class Vocabulary:
    """All known sessions by id and behaviours by name.

    Row 0 of both embedding tables belongs to no unit and no session.
    """

    sessions: dict[str, KnownSession] = field(default_factory=dict)
    readouts: dict[str, Readout] = field(default_factory=dict)

    @classmethod
    def of(
        cls, X: SpikeSamples, y: np.ndarray, names: Mapping[int, str], readouts: Mapping[str, Readout], by_name: bool
    ) -> Vocabulary:
        """Vocabulary of the sessions that samples use.

        ``y`` (n_samples, most outputs) are their targets, ``names`` the sessions' ids by position.
        """
        known = cls(readouts=dict(readouts))
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
            interval = sample_interval_of(each)
            behaviors = tuple(info.name for info in X.targets[position])
            covered = sum(map(seconds_covered, times))
            known.add(name, X.sessions[position], behaviors, by_name, interval, covered)
        return known

    @property
    def n_unit_rows(self) -> int:
        """Rows of the unit table."""
        return 1 + sum(len(known.unit_names) for known in self.sessions.values())

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
        return Vocabulary(sessions, readouts)

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
        free = (name for k in itertools.count() if (name := f"session_{k}") not in taken)
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
        """Ids, by position, of the ``used`` ones among ``sessions``; a single unnamed one is the only known one.

        Raises
        ------
        ValueError
            Where a session is not known, or an unnamed one could be several.
        """
        is_unnamed = len(sessions) == 1 and sessions[0].session_id is None
        if is_unnamed and len(self.sessions) == 1:
            return dict.fromkeys(used, next(iter(self.sessions)))
        if is_unnamed:
            raise ValueError(f"the decoder knows several sessions; name one with session_id=: {sorted(self.sessions)}. "
                             "Samples get their names in align")  # fmt: skip
        check_places(sessions, self.sessions)
        names = {position: sessions[position].name(position) for position in used}
        unknown = sorted(set(names.values()) - set(self.sessions))
        if unknown:
            raise ValueError(f"unknown session(s) {unknown}; the decoder was fitted on {sorted(self.sessions)}. Give "
                             "session_id= of a known one, or add the new session with partial_fit")  # fmt: skip
        return names

    def block(
        self,
        session: Session,
        segment: int,
        name: str,
        config: NetworkConfig,
        times: np.ndarray,
        to_learn: bool = False,
    ) -> Block:
        """A segment of a known session, to be read around ``times``, with the rows of its units.

        Where the network wants spikes merged, they are, as far as windows around these samples reach; ``to_learn``
        from them, spikes that windows may read are not merged with such as are masked.
        """
        known = self.sessions[name]
        row = known.unit_rows
        rows = np.array([row.get(unit, 0) for unit in session.unit_names], dtype=np.int64)
        spikes = session.segments[segment]
        if not rows.all():  # units that were silent at fit
            spikes = without_units(spikes, rows > 0)
        if config.token_bin:
            reach = 2 * config.window_length
            first, last = times.min() - reach, times.max() + reach
            cuts = np.unique(readable(times, config.window_length)) if to_learn else ()
            spikes = merge_spikes(spikes, config.token_bin, config.causal, first, last, cuts)
        columns, behaviors = asked_for(self.readouts_of(name))
        return Block(spikes, rows[rows > 0], known.session_row, columns, behaviors)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "sessions": {name: asdict(known) for name, known in self.sessions.items()},
            "readouts": {name: readout.to_json() for name, readout in self.readouts.items()},
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
        )


def sample_interval_of(behaviors: Sequence[Sequence[np.ndarray]]) -> float | None:
    """The shortest interval, in seconds, of behaviours at these ascending times by segment; None if all are irregular.

    Where one is regular as it is, those that are so but for what is missing do not count.
    """
    for interval_of in (regular_interval, interval_between_gaps):
        found = [interval for times in behaviors if (interval := interval_of(positive_intervals(times))) is not None]
        if found:
            return min(found)
    return None


def positive_intervals(times: Sequence[np.ndarray]) -> np.ndarray:
    """Intervals between ascending sample times by segment, without zeros."""
    intervals = np.concatenate([np.diff(part) for part in times])
    return intervals[intervals > 0]


def regular_interval(intervals: np.ndarray) -> float | None:
    """Median interval; None where nine in ten are not near it."""
    if len(intervals) == 0:
        return None
    median = float(np.median(intervals))
    return median if np.mean(np.abs(intervals - median) < REGULAR * median) > 0.9 else None


def interval_between_gaps(intervals: np.ndarray) -> float | None:
    """Interval of regular samples of which some are missing, one by one or between trials; None where there is none.

    Nine in ten intervals, but for long gaps, are whole numbers of it. Pairs and bursts of events are no such samples:
    most intervals are no long gaps, and on a grid all over, one point in ten would be a sample.
    """
    if len(intervals) == 0:
        return None
    interval = float(np.median(intervals[intervals < 1.5 * np.quantile(intervals, 0.25)]))
    steps = intervals[intervals < LONG_GAP * interval] / interval
    near = np.abs(steps - np.maximum(np.round(steps), 1)) < REGULAR
    is_sparse = intervals.sum() / interval > MOST_MISSING * len(intervals)
    return interval if near.mean() > 0.9 and len(steps) > 0.6 * len(intervals) and not is_sparse else None
