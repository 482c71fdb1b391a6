"""Samples: what scikit-learn splits.

One sample is one (session, segment, time) at which behaviour is known or wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .intervals import positive_intervals
from .session import Session
from .signals import TargetInfo

SHOWN = 3  # sessions at most that `repr` tells apart


class SpikeSamples:
    """Lazy, indexable samples of one or more sessions; the ``X`` of `POYODecoder`.

    Holds the sessions by reference and three small arrays, so that a subset costs nothing: spikes outside a subset stay
    readable as context, labels outside it are never seen.

    Parameters
    ----------
    sessions : sequence of Session
        The sessions the samples belong to.
    session_index, segment_index : array_like of int, shape (n_samples,)
        Where each sample lies.
    times : array_like of float, shape (n_samples,)
        Seconds on the segment's clock, in any order.
    targets : sequence of sequence of TargetInfo, optional
        For each session, the behaviours that the ``y`` aligned with its samples holds.

    Raises
    ------
    ValueError
        Where a time is not finite.
    """

    ndim = 1

    def __init__(
        self,
        sessions: Sequence[Session],
        session_index: Any,
        segment_index: Any,
        times: Any,
        targets: Sequence[Sequence[TargetInfo]] | None = None,
    ) -> None:
        self.sessions = tuple(sessions)
        unknown = ((TargetInfo(bare=True),),) * len(self.sessions)
        self.targets = unknown if targets is None else tuple(map(tuple, targets))
        self.session_index = np.asarray(session_index, dtype=np.int32)
        self.segment_index = np.asarray(segment_index, dtype=np.int32)
        self.times = np.asarray(times, dtype=np.float64)
        if not np.isfinite(self.times).all():
            raise ValueError("sample times must be finite")

    @classmethod
    def from_segments(
        cls,
        sessions: Sequence[Session],
        parts: Sequence[tuple[int, int, np.ndarray]],
        targets: Sequence[Sequence[TargetInfo]] | None = None,
    ) -> SpikeSamples:
        """Samples of several segments, each given as (session index, segment index, times), one after the other."""
        counts = [len(times) for _, _, times in parts]
        return cls(
            sessions,
            np.repeat([session for session, _, _ in parts], counts),
            np.repeat([segment for _, segment, _ in parts], counts),
            np.concatenate([times for _, _, times in parts]),
            targets,
        )

    @property
    def shape(self) -> tuple[int]:
        """``(n_samples,)``."""
        return self.times.shape

    @property
    def session_ids(self) -> np.ndarray:
        """Session id of each sample, shape (n_samples,); ``session_<position>`` where unnamed. For ``groups=``."""
        return np.array([self.session_name(i) for i in range(len(self.sessions))])[self.session_index]

    def used_sessions(self) -> list[Session]:
        """Sessions that some sample belongs to."""
        return [self.sessions[position] for position in np.unique(self.session_index)]

    def session_name(self, position: int) -> str:
        """Id of the session at ``position``."""
        return self.sessions[position].name(position)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, index: Any) -> SpikeSamples:
        if isinstance(index, tuple):  # scikit-learn indexes with (rows, Ellipsis), NumPy's where gives (rows,)
            if len(index) not in (1, 2) or (len(index) == 2 and index[1] is not Ellipsis):
                raise IndexError(f"SpikeSamples have one axis; got the index {index!r}")
            index = index[0]
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"sample {index} is out of range for {len(self)} samples")
            index = [index]
        elif not isinstance(index, slice):
            index = np.asarray(index)
            if index.ndim != 1:
                raise IndexError(f"SpikeSamples have one axis; got an index of shape {index.shape}")
            index = index.astype(np.intp) if index.size == 0 else index
        return SpikeSamples(
            self.sessions, self.session_index[index], self.segment_index[index], self.times[index], self.targets
        )

    def __iter__(self) -> Iterator[SpikeSamples]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        # Without this NumPy looks for numbers inside samples inside samples: half a minute, then an obscure error.
        raise TypeError(
            "SpikeSamples hold spike times, not a table of numbers, and cannot become an array; steps that need counts "
            "take a 2-D array (n_samples, n_units) instead"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the spikes of sessions that no sample needs; their place and name stay."""
        used = set(np.unique(self.session_index))
        sessions = tuple(s if i in used else replace(s, segments=()) for i, s in enumerate(self.sessions))
        return self.__dict__ | {"sessions": sessions}

    def __repr__(self) -> str:
        used = self.used_sessions()
        spikes = ", ".join(map(repr, used)) if len(used) <= SHOWN else f"{len(used)} sessions"
        return f"SpikeSamples({len(self)} samples of {spikes})"

    def by_session(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (session index, sample indices) for each session that has samples."""
        order = np.argsort(self.session_index, kind="stable")
        starts = np.flatnonzero(np.diff(self.session_index[order], prepend=-1))
        for mine in np.split(order, starts[1:]) if len(order) else []:
            yield int(self.session_index[mine[0]]), mine

    def blocks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield (session index, segment index, sample indices in order of time) for each segment that has samples."""
        key = self.session_index.astype(np.int64) << 32 | self.segment_index
        order = np.lexsort((self.times, key))
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        for block in np.split(order, starts[1:]) if len(order) else []:
            yield int(self.session_index[block[0]]), int(self.segment_index[block[0]]), block


def sample_interval(times: np.ndarray) -> float:
    """Median positive interval between ascending sample times, in seconds; 1 s where there is none."""
    intervals = positive_intervals([times])
    return float(np.median(intervals)) if len(intervals) else 1.0


def stretches(times: np.ndarray) -> np.ndarray:
    """Stretch number of each of the ascending ``times``; a gap of 3 median intervals, or 1 s if longer, begins one."""
    limit = max(3 * sample_interval(times), 1.0)
    return np.concatenate([[0], np.cumsum(np.diff(times) > limit)]).astype(np.int64)


def readable(times: np.ndarray, window_length: float) -> np.ndarray:
    """Seconds between which each stretch of ascending ``times`` reads spikes in training, shape (n_stretches, 2)."""
    number = stretches(times)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    last = np.append(first[1:], len(times)) - 1
    return np.column_stack([times[first] - window_length / 2, times[last] + window_length / 2])


def seconds_covered(times: np.ndarray) -> float:
    """Seconds that the stretches of ascending sample times cover, each sample counting for one interval."""
    number = stretches(times)
    gaps = np.diff(times)[np.diff(number) > 0]
    return float(times[-1] - times[0] - gaps.sum() + sample_interval(times) * (number[-1] + 1))
