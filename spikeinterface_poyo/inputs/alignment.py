"""`align`: sortings and behaviour become samples, ``X`` and ``y``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..measures import rescale
from ..recognition import is_list
from ..sessions.by_name import joint_samples, named_columns, of_one_kind, of_one_type, stacked
from ..sessions.samples import SpikeSamples
from ..sessions.session import Session, within
from ..sessions.signals import UNNAMED, Signal, TargetInfo, check_goes_together, n_outputs_of, with_kinds
from ..warning import warn
from .behavior_in import as_signals
from .epochs_in import as_segment_intervals
from .overlap import ROUNDING, SAME_CLOCK, describe, recorded
from .spikes_in import as_sessions, check_spikes, is_one_sorting, warn_of_rare_spikes

MOST_EPOCHS = 0.9  # share of epochs beside the behaviour from which their times are hardly in seconds


def align(
    sorting: Any,
    behavior: Any,
    session_id: Any = None,
    behavior_name: Any = None,
    epochs: Any = None,
    behavior_type: Any = None,
) -> tuple[SpikeSamples, np.ndarray]:
    """Pair spikes with behaviour: one sample for each time at which the behaviour is given.

    Parameters
    ----------
    sorting : sorting, or list of sortings
        SpikeInterface ``BaseSorting``, the path of the folder it was saved in, or ``SortingAnalyzer``; neo spike
        trains, ``Segment`` or ``Block``; NWB Units or ``NWBFile``; pynapple ``TsGroup``; ``{unit_id: seconds}`` or
        `from_counts`. A list of them is several sessions.
    behavior : signal, list of signals, dict of them by name, or a list of all that
        neo signal, ``(times, values)``, pandas, pynapple ``Tsd`` or ``TsdFrame``, NWB ``TimeSeries`` or
        `read_nwb_behavior`, or a SpikeInterface ``BaseRecording``; for labels neo ``Event`` or ``Epoch`` (each labels
        the middle of its time) too. A sorting of several segments takes one signal a segment (list, neo ``Block`` or
        recording). A dict holds several behaviours of one session, each at its own times. Several sessions take a list.
    session_id : str or list of str, optional
        Names of the sessions.
    behavior_name : str or list of str, optional
        Name of the behaviour, or one a session. Sessions whose behaviours bear one name share a readout, and unnamed
        behaviours are one; behaviours of another unit of measure or number of outputs need another name.
    epochs : epochs, list of epochs, or list of lists, optional
        Only samples inside count, both ends included. pynapple ``IntervalSet``, neo ``Epoch``, NWB ``TimeIntervals``
        or `read_nwb_epochs`, a table with ``start_time`` and ``stop_time``, SpikeInterface events with durations, or
        an array (n, 2) in seconds. Several segments take a list, one a segment, several sessions a list of those; None
        stands for all times. Spikes outside stay readable as context.
    behavior_type : str, tuple, or dict of them by name, optional
        What the behaviour is: "continuous" (numbers), "circular" (angles, in the unit of measure, or in radians;
        ``("circular", 24.0)`` has 24 as a full turn) or "categorical". Labels that are no numbers are categorical,
        all else is continuous where nothing is said; truth values are labels in a dict, by themselves 0 and 1.

    Returns
    -------
    X : SpikeSamples, shape (n_samples,)
        Samples in the order of the behaviour, session by session and segment by segment.
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Behaviour in the unit of measure of the first signal of its name, or labels. NaN stays NaN; a behaviour with
        fewer outputs than another is NaN in the columns it lacks. Behaviours in a dict make a structured array with
        one field each (``y["heading"]``), NaN or None where they are not known.

    Raises
    ------
    ValueError
        Where spikes and behaviour do not overlap in time, counts of segments, sessions or outputs do not fit, or units
        of measure cannot be converted, or no sample lies inside the epochs.
    TypeError
        For spikes or behaviour of a kind that cannot be read.

    Warns
    -----
    UserWarning
        Where behaviour lies more than a second outside the recording: those samples are left out.

    Examples
    --------
    >>> import numpy as np
    >>> spikes = {"a": np.arange(0, 10, 0.1), "b": np.arange(0, 10, 0.3)}
    >>> X, y = align(spikes, (np.arange(0, 9, 0.5), np.arange(18.0)))
    >>> X.shape, y.shape
    ((18,), (18,))
    """
    return pair(sorting, behavior, session_id, behavior_name, epochs, behavior_type)


def pair(
    sorting: Any,
    behavior: Any,
    session_id: Any = None,
    behavior_name: Any = None,
    epochs: Any = None,
    behavior_type: Any = None,
    leave_out: bool = True,
) -> tuple[SpikeSamples, np.ndarray]:
    """`align`, or, without ``leave_out``, with no sample left out that lies outside the recording: for scoring."""
    sessions = as_sessions(sorting, session_id)
    check_spikes(sessions, leave_out)
    if leave_out:
        warn_of_rare_spikes(sessions)
    signals = match_signals(sorting, behavior, sessions, name_behaviors(behavior_name, len(sessions)))
    intervals = match_epochs(sorting, epochs, sessions)
    targets: dict[str, TargetInfo] = {}
    samples, values = [], []
    for i, session in enumerate(sessions):
        for j, segment in enumerate(session.segments):
            where, times, columns = describe(sessions, i, j), [], {}
            for name, per_segment in signals[i].items():
                signal = inside_epochs(per_segment[j], intervals[i][j], where)
                target = check_target(signal, targets, name, where)
                inside = recorded(segment, signal, where, leave_out)
                times.append(signal.times[inside])
                what = f"behaviour of {where}"
                columns[name] = signal.values[inside]
                if not signal.is_labels:
                    columns[name] = rescale(columns[name], signal.units, target.units, what)
            joint, rows = joint_samples(times, list(columns.values()))
            values.append(dict(zip(columns, rows, strict=True)))
            samples.append((i, j, joint))
    if epochs is not None and not any(len(joint) for _, _, joint in samples):
        raise ValueError("no sample is left: the epochs are empty")
    targets = with_kinds(targets, behavior_type)
    X = SpikeSamples.from_segments(sessions, samples, [[targets[name] for name in mine] for mine in signals])
    if any(isinstance(one, Mapping) for one in one_a_sorting(sorting, behavior, len(sessions), "behaviours")):
        return X, named_columns(stacked(values, [len(joint) for _, _, joint in samples]))
    return X, join_values([column for part in values for column in part.values()])


def check_target(signal: Signal, targets: dict[str, TargetInfo], name: str, where: str) -> TargetInfo:
    """What the behaviour of that name measures: what its first signal measured, which others are compared with."""
    n_outputs = n_outputs_of(signal.values)
    first = TargetInfo(signal.units, signal.names, name, n_outputs, one_dimensional=signal.values.ndim == 1)
    target = targets.setdefault(name, first)
    what = f"behaviour of {where}"
    if n_outputs != target.n_outputs:
        raise ValueError(
            f"{what} has {n_outputs} output(s), what it goes with {target.n_outputs}; behaviours that differ "
            "need names, one a session: behavior_name="
        )
    check_goes_together(signal, target, what)
    return target


def one_a_sorting(sorting: Any, given: Any, n_sessions: int, what: str) -> list[Any]:
    """What was given for each session."""
    if is_one_sorting(sorting):
        return [given]
    if not is_list(given) or len(given) != n_sessions:
        was = f"a list of {len(given)}" if is_list(given) else f"one {type(given).__name__}"
        raise ValueError(f"{n_sessions} sortings need a list of {n_sessions} {what}; got {was}")
    return list(given)


def match_signals(
    sorting: Any, behavior: Any, sessions: Sequence[Session], names: Sequence[str]
) -> list[dict[str, list[Signal]]]:
    """For each session, by name of the behaviour, a list of signals, one a segment."""
    given = one_a_sorting(sorting, behavior, len(sessions), "behaviours")
    matched = []
    for session, one, name in zip(sessions, given, names, strict=True):
        if isinstance(one, Mapping):
            if name not in (UNNAMED, *one):
                raise ValueError(f"behaviours {list(one)} come with names, and none is {name!r}, which a behaviour of "
                                 "this session is called (by behavior_name=, or as it was at fit)")  # fmt: skip
            if not one:
                raise ValueError("got an empty dict of behaviours; expected at least one")
            if len(set(map(str, one))) < len(one) or "" in one:
                raise ValueError(f"behaviours need different names, as text, that are not empty; got {list(one)}")
        by_name = one if isinstance(one, Mapping) else {name: one}
        matched.append({str(key): one_a_segment(as_signals(value), session) for key, value in by_name.items()})
    return matched


def one_a_segment(signals: list[Signal], session: Session) -> list[Signal]:
    """The signals, of which there must be as many as segments."""
    if len(signals) != len(session.segments):
        raise ValueError(
            f"a sorting of {len(session.segments)} segment(s) needs a list of {len(session.segments)} behaviour "
            f"signal(s), one a segment, each on that segment's clock; got {len(signals)}"
        )
    return signals


def match_epochs(sorting: Any, epochs: Any, sessions: Sequence[Session]) -> list[list[np.ndarray | None]]:
    """One list of intervals a session, one array (n, 2) a segment; None where all times count."""
    if epochs is None:
        return [[None] * len(session.segments) for session in sessions]
    given = one_a_sorting(sorting, epochs, len(sessions), "epochs, one a sorting")
    intervals: list[list[np.ndarray | None]]
    intervals = [[None] * len(s.segments) if one is None else as_segment_intervals(one)
                 for s, one in zip(sessions, given, strict=True)]  # fmt: skip
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
    inside = within(signal.times, intervals, slack=ROUNDING)
    if len(intervals):
        check_epochs(intervals, signal.times, inside, where)
    return replace(signal, times=signal.times[inside], values=signal.values[inside])


def check_epochs(intervals: np.ndarray, times: np.ndarray, inside: np.ndarray, where: str) -> None:
    """Refuse epochs inside which no behaviour lies, and tell of such that mostly lie beside it."""
    first, last = times.min(), times.max()
    if not inside.any():
        raise ValueError(
            f"no behaviour sample of {where} lies inside the epochs: the behaviour spans {first:.3f} to {last:.3f} s, "
            f"the {len(intervals)} epoch(s) {intervals[0, 0]:.3f} to {intervals[-1, 1]:.3f} s{SAME_CLOCK}"
        )
    beside = (intervals[:, 1] < first) | (intervals[:, 0] > last)
    if beside.mean() > MOST_EPOCHS:
        warn(f"{beside.sum()} of {len(beside)} epochs, which span {intervals[0, 0]:.3f} to {intervals[-1, 1]:.3f} s, "
             f"lie outside the behaviour of {where}, {first:.3f} to {last:.3f} s{SAME_CLOCK}")  # fmt: skip


def name_behaviors(behavior_name: Any, n_sessions: int) -> list[str]:
    """One name a session: the one that all share, or each its own."""
    if behavior_name is None or isinstance(behavior_name, (str, int, np.integer)):
        return [UNNAMED if behavior_name is None else str(behavior_name)] * n_sessions
    names = [str(name) for name in behavior_name]
    if len(names) != n_sessions:
        raise ValueError(f"expected one behavior_name, or {n_sessions}, one a sorting; got {names}")
    return names


def join_values(values: Sequence[np.ndarray]) -> np.ndarray:
    """Targets of all segments; those of behaviours with fewer outputs are NaN in the columns they lack."""
    mixed = "some behaviours are numbers and some are labels; give them by name, as dicts"
    values = of_one_type(of_one_kind(values, mixed))
    if len({value.shape[1:] for value in values}) == 1:
        return np.concatenate(values)
    width = max(map(n_outputs_of, values))
    columns = [value.reshape(len(value), -1) for value in values]
    padding = [((0, 0), (0, width - value.shape[1])) for value in columns]
    return np.concatenate([np.pad(v, p, constant_values=np.nan) for v, p in zip(columns, padding, strict=True)])
