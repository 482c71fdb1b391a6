"""A session: the spikes of one population, on clocks fixed once, as plain data.

Windows and tokens read spikes only through `Segment.span` and `Segment.take`. The arrays behind them may stay on disk,
see `stored_spikes`; what rewrites a session (unit selection, merging) makes arrays in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

PLACE = "session_{}"  # what a session without a name is called, by its place in a list
NO_UNIT = -1  # in `Segment.unit_index`, of a spike that is not to be read
ClockSource = Literal["recording", "native", "frames", "seconds"]


def within(times: np.ndarray, intervals: np.ndarray, slack: float = 0.0) -> np.ndarray:
    """Which of ``times`` lie in ascending, disjoint [start, stop], give or take ``slack``; all in seconds."""
    if len(intervals) == 0:
        return np.zeros(len(times), dtype=bool)
    latest = np.searchsorted(intervals[:, 0] - slack, times, side="right") - 1
    return (latest >= 0) & (times <= intervals[latest, 1] + slack)


@dataclass(frozen=True, eq=False)
class Segment:
    """One stretch of recording, on one clock.

    Parameters
    ----------
    spike_times : ndarray, shape (n_spikes,), float64
        Seconds, ascending, on the segment's own clock.
    unit_index : ndarray, shape (n_spikes,), int32
        Position of each spike's unit in the session's ``unit_ids``, or `NO_UNIT`.
    t_start, t_stop : float
        Extent of the recording in seconds; of its spikes where no recording is known.
    weights : ndarray, shape (n_spikes,), float32, optional
        How many equal spikes each entry stands for; one each where omitted.
    clock : {"recording", "native", "frames", "seconds"}
        Where the times come from: a registered recording, the file's own seconds, sample index over sampling rate, or
        seconds that the user gave.
    observed : ndarray, shape (n, 2), optional
        Ascending, disjoint intervals in seconds outside which nothing is known of spikes; all of the extent is known
        where omitted.
    """

    spike_times: np.ndarray
    unit_index: np.ndarray
    t_start: float
    t_stop: float
    weights: np.ndarray | None = None
    clock: ClockSource = "seconds"
    observed: np.ndarray | None = None

    @property
    def periods(self) -> np.ndarray:
        """Intervals in which spikes are known, shape (n, 2), in seconds."""
        return np.array([[self.t_start, self.t_stop]]) if self.observed is None else self.observed

    def span(self, starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Index ranges ``(first, past_last)`` of the spikes in each interval [start, stop), in seconds."""
        first, past = self.spike_times.searchsorted(np.stack([starts, stops]))
        return first, np.maximum(first, past)

    def take(self, index: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Times (float64 s), unit indices and weights of the spikes at ``index``."""
        weights = None if self.weights is None else self.weights[index]
        return self.spike_times[index], self.unit_index[index], weights


@dataclass(frozen=True, eq=False)
class Session:
    """One recording of one population.

    Parameters
    ----------
    unit_ids : ndarray, shape (n_units,)
        Ids as the user knows them, integers or strings.
    segments : tuple of Segment
        At least one.
    session_id : str or None
        Name; None until the user or the decoder gives one.
    isolated_rows : bool
        True where each sample is a row of counts that must be read by itself.
    properties : dict of ndarray, each of shape (n_units,)
        What is known of the units, by name: quality metrics and the like.
    units_by_place : bool
        True where units have no names, so that their ids are places in a list.
    """

    unit_ids: np.ndarray
    segments: tuple[Segment, ...]
    session_id: str | None = None
    isolated_rows: bool = False
    properties: Mapping[str, np.ndarray] = field(default_factory=dict)
    units_by_place: bool = False

    def name(self, position: int) -> str:
        """Id of the session, ``session_<position>`` where it has none."""
        return PLACE.format(position) if self.session_id is None else self.session_id

    @property
    def duration(self) -> float:
        """Seconds that all segments cover."""
        return float(sum(np.diff(segment.periods).clip(0).sum() for segment in self.segments))

    @property
    def n_spikes(self) -> float:
        """Spikes of all segments, weights counted."""
        return float(
            sum(len(s.spike_times) if s.weights is None else s.weights.sum(dtype=float) for s in self.segments)
        )

    @property
    def unit_names(self) -> list[str]:
        """Unit ids as strings, by which embeddings are found again."""
        return [str(unit) for unit in self.unit_ids]

    def __repr__(self) -> str:
        name = "" if self.session_id is None else f"{self.session_id!r}, "
        return f"Session({name}{len(self.unit_ids)} units, {len(self.segments)} segments, {self.n_spikes:.0f} spikes)"


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
