"""What a fitted decoder knows of its sessions: whose embedding is in which row, and on what clock behaviour came."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .merging import merge_spikes
from .network import NetworkConfig
from .samples import SpikeSamples, sample_interval
from .session import Session
from .windows import Block

REGULAR = 0.1  # intervals that differ by less than this share from their median are regular


@dataclass(frozen=True)
class KnownSession:
    """One session that the decoder has learned.

    Parameters
    ----------
    unit_names : list of str
        Units in the order of their rows.
    first_unit_row, session_row : int
        Rows of the embedding tables.
    sample_interval : float or None
        Median interval of the behaviour seen at fit, in seconds; None where it was irregular.
    clocks : list of str
        Source of each segment's clock at fit.
    isolated_rows : bool
        Whether it was an array of counts, read row by row.
    """

    unit_names: list[str]
    first_unit_row: int
    session_row: int
    sample_interval: float | None
    clocks: list[str]
    isolated_rows: bool


@dataclass
class Vocabulary:
    """All known sessions by id. Row 0 of both embedding tables belongs to no unit and no session."""

    sessions: dict[str, KnownSession] = field(default_factory=dict)

    @property
    def n_unit_rows(self) -> int:
        """Rows of the unit table."""
        return 1 + sum(len(known.unit_names) for known in self.sessions.values())

    @property
    def n_session_rows(self) -> int:
        """Rows of the session table."""
        return 1 + len(self.sessions)

    def add(self, name: str, session: Session, interval: float | None) -> None:
        """Give a new session and its units the next rows."""
        clocks = [segment.clock for segment in session.segments]
        self.sessions[name] = KnownSession(
            session.unit_names,
            self.n_unit_rows,
            self.n_session_rows,
            interval,
            [str(clock) for clock in clocks],
            session.isolated_rows,
        )

    def resolve(self, sessions: Sequence[Session], used: Iterable[int]) -> list[str]:
        """Ids of ``sessions``, of which those at ``used`` matter; a single unnamed one is the only known one.

        Raises
        ------
        ValueError
            Where a session is not known, or an unnamed one could be several.
        """
        is_unnamed = len(sessions) == 1 and sessions[0].session_id is None
        if is_unnamed and len(self.sessions) == 1:
            return list(self.sessions)
        if is_unnamed:
            raise ValueError(f"the decoder knows several sessions; name one with session_id=: {sorted(self.sessions)}")
        names = [session.name(position) for position, session in enumerate(sessions)]
        unknown = sorted({names[position] for position in used} - set(self.sessions))
        if unknown:
            raise ValueError(f"unknown session(s) {unknown}; the decoder was fitted on {sorted(self.sessions)}. Give "
                             "session_id= of a known one, or fit a decoder that includes the new session")  # fmt: skip
        return names

    def block(self, session: Session, segment: int, name: str, config: NetworkConfig) -> Block:
        """A segment of a known session with the rows of its units, its spikes merged as the network wants them."""
        known = self.sessions[name]
        row = {unit: known.first_unit_row + i for i, unit in enumerate(known.unit_names)}
        rows = np.array([row[unit] for unit in session.unit_names], dtype=np.int64)
        spikes = session.segments[segment]
        if config.token_bin:
            spikes = merge_spikes(spikes, config.token_bin, latest=config.causal)
        return Block(spikes, rows, known.session_row)

    def check(self, session: Session, name: str) -> None:
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
        known = self.sessions[name]
        if session.isolated_rows != known.isolated_rows:
            was, given = ("an array of counts", "spikes in time")[:: 1 if known.isolated_rows else -1]
            raise ValueError(f"session {name!r} was {was} at fit, and {given} were given now")
        unknown = [unit for unit in session.unit_names if unit not in set(known.unit_names)]
        if unknown:
            raise ValueError(
                f"session {name!r} has units {unknown} that were not there at fit (known: {known.unit_names}). Leave "
                "them out, for instance with sorting.select_units(...), or fit a decoder that includes them"
            )
        missing = sorted(set(known.unit_names) - set(session.unit_names))
        if missing:
            warnings.warn(f"session {name!r} lacks units {missing} that were there at fit; predicting without them",
                          stacklevel=4)  # fmt: skip
        lost = {"recording", "native"}.intersection(known.clocks)
        if lost and any(segment.clock == "frames" for segment in session.segments):
            clock = "the clock of a recording" if "recording" in lost else "a clock of its own"
            warnings.warn(
                f"at fit, session {name!r} was on {clock}; this sorting has none, so its spike times are sample index "
                "/ sampling rate and may be shifted. sorting.register_recording(recording) restores the clock",
                stacklevel=4,
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: asdict(known) for name, known in self.sessions.items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Vocabulary:
        """Inverse of `to_json`."""
        return cls({name: KnownSession(**known) for name, known in data.items()})


def regular_interval(X: SpikeSamples, position: int) -> float | None:
    """Median interval of the samples of one session in seconds, None where nine in ten are not near it."""
    intervals = [np.diff(X.times[order]) for session, _, order in X.blocks() if session == position]
    joined = np.concatenate(intervals) if intervals else np.empty(0)
    joined = joined[joined > 0]
    if len(joined) == 0:
        return None
    median = sample_interval(np.cumsum(joined))
    return median if np.mean(np.abs(joined - median) < REGULAR * median) > 0.9 else None
