"""`align`: sortings and behaviour become samples, ``X`` and ``y``; the one door for raw inputs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .behavior_in import as_signals
from .epochs_in import as_segment_intervals
from .samples import SpikeSamples
from .session import Segment, Session, within
from .signals import UNNAMED, Signal, TargetInfo, check_same_kind, rescale
from .spikes_in import as_seconds, as_session, is_spiketrain_list


def align(
    sorting: Any, behavior: Any, session_id: Any = None, behavior_name: Any = None, epochs: Any = None
) -> tuple[SpikeSamples, np.ndarray]:
    """Pair spikes with behaviour: one sample for each time at which the behaviour is given.

    Parameters
    ----------
    sorting : sorting, or list of sortings
        SpikeInterface ``BaseSorting`` or ``SortingAnalyzer``, neo spike trains, ``Segment`` or ``Block``, NWB Units,
        pynapple ``TsGroup``, ``{unit_id: seconds}`` or `from_counts`. A list of them is several sessions.
    behavior : signal, list of signals, or list of lists
        neo signal, ``(times, values)``, pandas, pynapple ``Tsd`` or ``TsdFrame``, NWB ``TimeSeries`` or
        `read_nwb_behavior`, or a SpikeInterface ``BaseRecording``. A sorting of several segments takes one signal a
        segment (list, neo ``Block`` or recording); several sessions take one of all that a session.
    session_id : str or list of str, optional
        Names of the sessions.
    behavior_name : str or list of str, optional
        Name of the behaviour, or one a session. Sessions whose behaviours bear one name share a readout, and unnamed
        behaviours are one; behaviours of another unit of measure or number of outputs need another name.
    epochs : epochs, list of epochs, or list of lists, optional
        Only samples inside count, both ends included. pynapple ``IntervalSet``, neo ``Epoch``, NWB ``TimeIntervals``
        or `read_nwb_epochs`, a table with ``start_time`` and ``stop_time``, SpikeInterface events with durations, or
        an array (n, 2) in seconds. Several segments take one a segment, several sessions one of that a session; None
        stands for all times. Spikes outside stay readable as context.

    Returns
    -------
    X : SpikeSamples, shape (n_samples,)
        Samples in the order of the behaviour, session by session and segment by segment.
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Behaviour in the unit of measure of the first signal of its name. NaN stays NaN; a behaviour with fewer outputs
        than another is NaN in the columns it lacks.

    Raises
    ------
    ValueError
        Where spikes and behaviour do not overlap in time, counts of segments, sessions or outputs do not fit, or units
        of measure cannot be converted, or no sample lies inside the epochs.

    Warns
    -----
    UserWarning
        Where behaviour lies outside the recording: those samples are left out.

    Examples
    --------
    >>> import numpy as np
    >>> spikes = {"a": np.arange(0, 10, 0.1), "b": np.arange(0, 10, 0.3)}
    >>> X, y = align(spikes, (np.arange(0, 9, 0.5), np.arange(18.0)))
    >>> X.shape, y.shape
    ((18,), (18,))
    """
    return pair(sorting, behavior, session_id, behavior_name, epochs)


def pair(
    sorting: Any,
    behavior: Any,
    session_id: Any = None,
    behavior_name: Any = None,
    epochs: Any = None,
    leave_out: bool = True,
) -> tuple[SpikeSamples, np.ndarray]:
    """`align`, or, without ``leave_out``, with no sample left out that lies outside the recording: for scoring."""
    sessions = as_sessions(sorting, session_id)
    signals = match_signals(sorting, behavior, sessions)
    intervals = match_epochs(sorting, epochs, sessions)
    names = name_behaviors(behavior_name, len(sessions))
    targets: dict[str, TargetInfo] = {}
    samples, values = [], []
    for i, (session, per_segment) in enumerate(zip(sessions, signals, strict=True)):
        for j, (segment, signal) in enumerate(zip(session.segments, per_segment, strict=True)):
            n_outputs = n_outputs_of(signal.values)
            target = targets.setdefault(names[i], TargetInfo(signal.units, signal.names, names[i], n_outputs))
            what = f"behaviour of {describe(sessions, i, j)}"
            if n_outputs != target.n_outputs:
                raise ValueError(
                    f"{what} has {n_outputs} output(s), what it goes with {target.n_outputs}; behaviours that differ "
                    "need names, one a session: behavior_name="
                )
            check_same_kind(signal, target, what)
            signal = inside_epochs(signal, intervals[i][j], describe(sessions, i, j))
            inside = recorded(segment, signal, describe(sessions, i, j), leave_out)
            values.append(rescale(signal.values[inside], signal.units, target.units, what))
            samples.append((i, j, signal.times[inside]))
    if epochs is not None and not any(map(len, values)):
        raise ValueError("no sample is left: the epochs are empty")
    return SpikeSamples.from_segments(sessions, samples, [targets[name] for name in names]), join_values(values)


def as_sessions(sorting: Any, session_id: Any = None) -> list[Session]:
    """Sessions of one sorting or a list of them, named where names are given."""
    sortings = [sorting] if is_one_sorting(sorting) else list(sorting)
    if not sortings:
        raise ValueError("got an empty list of sortings; expected at least one")
    sessions = [as_session(one) for one in sortings]
    if session_id is None:
        return sessions
    names = list(session_id) if isinstance(session_id, (list, tuple, np.ndarray)) else [session_id]
    if len(names) != len(sessions) or len(set(names)) < len(names):
        raise ValueError(f"expected {len(sessions)} different session ids, one a sorting; got {names}")
    return [replace(session, session_id=str(name)) for session, name in zip(sessions, names, strict=True)]


def is_one_sorting(sorting: Any) -> bool:
    """Whether ``sorting`` is a single sorting and not a list of sessions."""
    return not isinstance(sorting, (list, tuple)) or is_spiketrain_list(sorting)


def match_signals(sorting: Any, behavior: Any, sessions: Sequence[Session]) -> list[list[Signal]]:
    """One list of signals a session, one signal a segment."""
    if is_one_sorting(sorting):
        signals = [as_signals(behavior)]
    elif not isinstance(behavior, list) or len(behavior) != len(sessions):
        given = f"a list of {len(behavior)}" if isinstance(behavior, list) else f"one {type(behavior).__name__}"
        raise ValueError(f"{len(sessions)} sortings need a list of {len(sessions)} behaviours; got {given}")
    else:
        signals = [as_signals(one) for one in behavior]
    for session, per_segment in zip(sessions, signals, strict=True):
        if len(per_segment) != len(session.segments):
            raise ValueError(
                f"a sorting of {len(session.segments)} segment(s) needs a list of {len(session.segments)} behaviour "
                f"signal(s), one a segment, each on that segment's clock; got {len(per_segment)}"
            )
    return signals


def match_epochs(sorting: Any, epochs: Any, sessions: Sequence[Session]) -> list[list[np.ndarray | None]]:
    """One list of intervals a session, one array (n, 2) a segment; None where all times count."""
    if epochs is None:
        return [[None] * len(session.segments) for session in sessions]
    if is_one_sorting(sorting):
        intervals = [as_segment_intervals(epochs)]
    elif not isinstance(epochs, list) or len(epochs) != len(sessions):
        given = f"a list of {len(epochs)}" if isinstance(epochs, list) else f"one {type(epochs).__name__}"
        raise ValueError(f"{len(sessions)} sortings need a list of {len(sessions)} epochs, one a sorting; got {given}")
    else:
        intervals = [[None] * len(s.segments) if one is None else as_segment_intervals(one)
                     for s, one in zip(sessions, epochs, strict=True)]  # fmt: skip
    for session, per_segment in zip(sessions, intervals, strict=True):
        if len(per_segment) != len(session.segments):
            raise ValueError(
                f"a sorting of {len(session.segments)} segment(s) needs epochs for each, as a list of "
                f"{len(session.segments)}, each on that segment's clock; got {len(per_segment)}"
            )
    return intervals


def inside_epochs(signal: Signal, intervals: np.ndarray | None, where: str) -> Signal:
    """The signal's samples inside the intervals; all where there are none to go by."""
    if intervals is None:
        return signal
    inside = within(signal.times, intervals)
    if len(intervals) and not inside.any():
        raise ValueError(
            f"no behaviour sample of {where} lies inside the epochs: the behaviour spans {signal.times.min():.3f} to "
            f"{signal.times.max():.3f} s, the {len(intervals)} epoch(s) {intervals[0, 0]:.3f} to "
            f"{intervals[-1, 1]:.3f} s. Are both on the same clock, in seconds?"
        )
    return replace(signal, times=signal.times[inside], values=signal.values[inside])


def describe(sessions: Sequence[Session], i: int, j: int) -> str:
    """Words for one segment of one session, for messages."""
    name = sessions[i].name(i)
    return name if len(sessions[i].segments) == 1 else f"{name}, segment {j}"


def overlap(segment: Segment, times: np.ndarray, where: str, what: str) -> np.ndarray:
    """Which of ``times`` lie inside the recording, give or take one second; it is an error if none does."""
    if segment.t_start > segment.t_stop or len(times) == 0:  # no spikes and no recording: nothing to compare with
        return np.ones(len(times), dtype=bool)
    inside = within(times, segment.periods, slack=1.0)
    if not inside.any():
        raise ValueError(
            f"spikes and {what} of {where} do not overlap in time: the spikes span {segment.t_start:.3f} to "
            f"{segment.t_stop:.3f} s, the {what} {times.min():.3f} to {times.max():.3f} s. Are both on the same clock, "
            "in seconds? A sorting loses its recording's clock when it is saved or pickled: "
            "sorting.register_recording(recording) restores it"
        )
    return inside


def recorded(segment: Segment, signal: Signal, where: str, leave_out: bool) -> np.ndarray:
    """Which of the signal's samples to use: all, or those inside the recording, with a warning if some are not."""
    inside = overlap(segment, signal.times, where, "behaviour")
    if not leave_out:
        return np.ones_like(inside)
    if not inside.all():
        gaps = "" if segment.observed is None else f", in {len(segment.observed)} period(s),"
        warnings.warn(
            f"{np.sum(~inside)} of {len(inside)} behaviour samples of {where} ({signal.times.min():.3f} to "
            f"{signal.times.max():.3f} s) lie outside the spikes' {segment.t_start:.3f} to {segment.t_stop:.3f} s"
            f"{gaps} and are left out",
            stacklevel=4,
        )
    return inside


def name_behaviors(behavior_name: Any, n_sessions: int) -> list[str]:
    """One name a session: the one that all share, or each its own."""
    if behavior_name is None or isinstance(behavior_name, str):
        return [UNNAMED if behavior_name is None else behavior_name] * n_sessions
    names = [str(name) for name in behavior_name]
    if len(names) != n_sessions:
        raise ValueError(f"expected one behavior_name, or {n_sessions}, one a sorting; got {names}")
    return names


def n_outputs_of(values: np.ndarray) -> int:
    """Outputs of behaviour values (n,) or (n, n_outputs)."""
    return 1 if values.ndim == 1 else values.shape[1]


def join_values(values: Sequence[np.ndarray]) -> np.ndarray:
    """Targets of all segments; those of behaviours with fewer outputs are NaN in the columns they lack."""
    if len({value.shape[1:] for value in values}) == 1:
        return np.concatenate(values)
    width = max(map(n_outputs_of, values))
    columns = [value.reshape(len(value), -1) for value in values]
    padding = [((0, 0), (0, width - value.shape[1])) for value in columns]
    return np.concatenate([np.pad(v, p, constant_values=np.nan) for v, p in zip(columns, padding, strict=True)])


def grid_samples(sessions: Sequence[Session], times: Any) -> SpikeSamples:
    """Samples at ``times``: one array for one segment, else a list with one array a segment, session by session."""
    segments = [(i, j) for i, session in enumerate(sessions) for j in range(len(session.segments))]
    nested = isinstance(times, (list, tuple)) and len(times) and np.ndim(times[0]) > 0
    per_segment = list(times) if nested else [times]
    if len(per_segment) != len(segments):
        raise ValueError(f"times must be one array a segment: expected {len(segments)}, got {len(per_segment)}")
    parts = []
    for (i, j), given in zip(segments, per_segment, strict=True):
        seconds = as_seconds(given)
        if seconds.ndim != 1 or len(seconds) == 0 or not np.isfinite(seconds).all():
            raise ValueError(
                f"times of {describe(sessions, i, j)} must be a one-dimensional array of finite seconds, at least one; "
                f"got shape {seconds.shape}, {np.sum(~np.isfinite(seconds))} of them NaN or infinite"
            )
        overlap(sessions[i].segments[j], seconds, describe(sessions, i, j), "times")
        parts.append((i, j, seconds))
    return SpikeSamples.from_segments(sessions, parts)
