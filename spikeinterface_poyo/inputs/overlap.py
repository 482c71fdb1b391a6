"""Which times lie inside a recording: those of behaviour, and those at which a prediction is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..sessions.samples import SpikeSamples
from ..sessions.session import Segment, Session, within
from ..sessions.signals import Signal
from ..warning import warn
from .seconds import FARTHEST, as_seconds

ROUNDING = 1e-9  # seconds; sums of steps of 0.1 s are as little as that off
SILENCE = 60.0  # seconds after the last spike at which a live decoder may still be asked
SLACK = 1.0  # seconds; without a recording it ends with its last spike, and cameras run a little longer than amplifiers
SAME_CLOCK = ". Are both on the same clock, in seconds?"


def describe(sessions: Sequence[Session], i: int, j: int) -> str:
    """Words for one segment of one session, for messages."""
    name = sessions[i].name(i)
    return name if len(sessions[i].segments) == 1 else f"{name}, segment {j}"


def overlap(segment: Segment, times: np.ndarray, where: str, what: str, silence: float = 0.0) -> np.ndarray:
    """Which of ``times`` lie inside the recording, give or take `SLACK` at its ends.

    It is an error if none does, unless some lie within ``silence`` seconds after a last spike that nothing tells to be
    the recording's end.
    """
    if segment.t_start > segment.t_stop or len(times) == 0:  # no spikes and no recording: nothing to compare with
        return np.ones(len(times), dtype=bool)
    inside = nearly_recorded(segment, times)
    ends_with_a_spike = segment.observed is None and segment.t_stop in segment.spike_times[-1:]
    late = (times > segment.t_stop) & (times <= segment.t_stop + silence) & ends_with_a_spike
    if not (inside | late).any():
        raise ValueError(
            f"spikes and {what} of {where} do not overlap in time: the spikes span {segment.t_start:.3f} to "
            f"{segment.t_stop:.3f} s{pauses(segment)}, the {what} {times.min():.3f} to {times.max():.3f} s"
            f"{SAME_CLOCK}{lost_clock(segment)}"
        )
    return inside


def lost_clock(segment: Segment) -> str:
    """What may have happened to the clock of a sorting that goes by sample indices, for messages."""
    return "" if segment.clock != "frames" else (" A sorting loses its recording's clock when it is saved or pickled: "
                                                 "sorting.register_recording(recording) restores it")  # fmt: skip


def pauses(segment: Segment) -> str:
    """Words for the pauses within a segment's extent, for messages."""
    n_periods = len(segment.periods)
    return f", with pauses between their {n_periods} periods" if n_periods > 1 else ""


def nearly_recorded(segment: Segment, times: np.ndarray) -> np.ndarray:
    """Which of ``times`` lie in the periods, or within `SLACK` before the first or after the last.

    Between them nothing was recorded: trials are often closer together than twice the slack. Bins of counts are not,
    and behaviour just beside a bin belongs to it.
    """
    periods = segment.periods
    ends = np.array([[periods[:, 0].min(initial=np.inf), periods[:, 1].max(initial=-np.inf)]])
    inside = within(times, periods, slack=ROUNDING + (0.0 if segment.weights is None else SLACK))
    return np.where(within(times, ends), inside, within(times, ends, slack=SLACK))


def recorded(segment: Segment, signal: Signal, where: str, leave_out: bool) -> np.ndarray:
    """Which of the signal's samples to use: all, or those inside the recording, with a warning if some are not."""
    inside = overlap(segment, signal.times, where, "behaviour")
    what = f"behaviour samples of {where}"
    then = " and are left out" if leave_out else (
        " and are scored all the same; score(*align(sorting, behavior)) leaves them out")  # fmt: skip
    warn_of_outside(segment, signal.times, inside, what, then)
    return inside if leave_out else np.ones_like(inside)


def warn_of_outside(segment: Segment, times: np.ndarray, inside: np.ndarray, what: str, then: str = "") -> None:
    """Say how many of ``times`` lie outside the recording, and what is done ``then``."""
    if inside.all():
        return
    n_periods = len(segment.periods)
    gaps = f", or between their {n_periods} periods" + "," * bool(then) if n_periods > 1 else ""
    most = SAME_CLOCK if 2 * inside.sum() < len(inside) else ""
    most += "" if inside.any() else lost_clock(segment)
    warn(f"{np.sum(~inside)} of {len(inside)} {what} ({times.min():.3f} to {times.max():.3f} s) lie more than a second "
         f"outside the spikes' {segment.t_start:.3f} to {segment.t_stop:.3f} s{gaps}{then}{most}")  # fmt: skip


def grid_samples(sessions: Sequence[Session], times: Any) -> SpikeSamples:
    """Samples at ``times``: one array for one segment, else a list with one array a segment, session by session."""
    segments = [(i, j) for i, session in enumerate(sessions) for j in range(len(session.segments))]
    if isinstance(times, np.ndarray) and times.ndim == 2 and len(times) == len(segments):
        times = list(times)  # a row a segment
    nested = isinstance(times, (list, tuple)) and len(times) and np.ndim(times[0]) > 0
    per_segment = list(times) if nested else [times]
    if len(per_segment) != len(segments):
        raise ValueError(f"times must be one array a segment: expected {len(segments)}, got {len(per_segment)}")
    parts = []
    for (i, j), given in zip(segments, per_segment, strict=True):
        seconds = as_seconds(given)
        far = ~(np.abs(seconds) <= FARTHEST)
        if seconds.ndim != 1 or len(seconds) == 0 or far.any():
            raise ValueError(
                f"times of {describe(sessions, i, j)} must be a one-dimensional array of finite seconds, at least one; "
                f"got shape {seconds.shape}, {far.sum()} of them NaN, infinite or beyond {FARTHEST:g} s"
            )
        inside = overlap(sessions[i].segments[j], seconds, describe(sessions, i, j), "times", SILENCE)
        warn_of_outside(sessions[i].segments[j], seconds, inside, f"times of {describe(sessions, i, j)}")
        parts.append((i, j, seconds))
    return SpikeSamples.from_segments(sessions, parts)
