"""Behaviour in: what the animal did, from any accepted signal, as times in seconds and plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..measures import magnitude_and_unit
from ..recognition import is_a, is_list
from ..sessions.signals import Signal, n_outputs_of
from ..warning import warn
from .nwb_in import from_series, read_nwb_behavior
from .recording_in import from_recording
from .seconds import as_seconds, in_seconds
from .values import as_values, with_one_unit

MANY_OUTPUTS = 10  # times as many as samples are hardly meant
FALLING = 1.5  # times the span of times by which these hardly run back in all
ACCEPTED = (
    "a neo AnalogSignal or IrregularlySampledSignal, a tuple (times in seconds, values), a pandas Series or DataFrame "
    "with a time index, a pynapple Tsd or TsdFrame, an NWB TimeSeries or read_nwb_behavior(...), or a SpikeInterface "
    "recording; for labels a neo Event or Epoch too"
)


def as_signals(behavior: Any) -> list[Signal]:
    """Adapt one signal, or a list, neo Block or SpikeInterface recording with one signal a segment."""
    if is_a(behavior, "neo", "Block"):
        return [as_signal(segment) for segment in behavior.segments]
    if is_a(behavior, "spikeinterface", "BaseRecording"):
        return [check_signal(from_recording(behavior, index)) for index in range(behavior.get_num_segments())]
    if is_list(behavior):
        return [as_signal(signal) for signal in behavior]
    return [as_signal(behavior)]


def as_signal(behavior: Any) -> Signal:
    """Adapt one behaviour signal of any accepted kind.

    Raises
    ------
    TypeError
        Where the kind is not known.
    ValueError
        Where times and values do not fit together, or times are not finite.
    """
    if isinstance(behavior, Signal):
        signal = behavior
    elif is_a(behavior, "neo", "Segment"):
        signal = from_neo_segment(behavior)
    elif is_a(behavior, "neo", "AnalogSignal", "IrregularlySampledSignal"):
        signal = from_neo(behavior)
    elif is_a(behavior, "neo", "Event", "Epoch"):
        signal = from_labels(behavior)
    elif is_a(behavior, "pandas", "Series", "DataFrame"):
        signal = from_pandas(behavior)
    elif is_a(behavior, "pynapple", "Tsd", "TsdFrame", "TsdTensor"):
        signal = from_tsd(behavior)
    elif is_a(behavior, "pynwb", "TimeSeries"):
        signal = from_series(behavior)
    elif is_a(behavior, "pynwb", "NWBFile", "MultiContainerInterface"):
        signal = read_nwb_behavior(behavior)
    elif is_a(behavior, "spikeinterface", "BaseRecording"):
        signal = from_one_segment(behavior)
    elif isinstance(behavior, tuple) and len(behavior) == 2:
        signal = from_pair(*behavior)
    elif is_a(behavior, "pynwb", "TimeIntervals"):
        raise TypeError("an NWB table of intervals, as of trials, has several columns: give (times, values) of two, as "
                        "in (trials['start_time'].data[:], trials['choice'].data[:]), or all as epochs=")  # fmt: skip
    else:
        raise TypeError(f"cannot read behaviour from {type(behavior).__name__!r}, which does not tell its times; "
                        f"expected {ACCEPTED}")  # fmt: skip
    return check_signal(signal)


def check_signal(signal: Signal) -> Signal:
    """Refuse signals without samples or with times that are not finite, and tell of what look like transposed ones."""
    n_samples, n_outputs = len(signal.times), n_outputs_of(signal.values)
    if n_samples == 0:
        raise ValueError("the behaviour signal is empty. Of a segment without behaviour, give one sample of NaN, or "
                         "leave the segment out: select_segment_sorting(sorting, [...])")  # fmt: skip
    if n_outputs > MANY_OUTPUTS * max(n_samples, 10):
        warn(f"a behaviour signal has {n_samples} samples of {n_outputs} outputs: is it transposed? Its shape is to be "
             "(n_samples, n_outputs)")  # fmt: skip
    if not np.all(np.isfinite(signal.times)):
        raise ValueError(f"behaviour times must be finite; {np.sum(~np.isfinite(signal.times))} are NaN or infinite")
    return signal


def from_pair(times: Any, values: Any) -> Signal:
    """``(times, values)``; plain times are seconds, quantities are rescaled."""
    seconds = as_seconds(times)
    units, values = None, with_one_unit(values)
    if is_a(values, "quantities", "Quantity"):
        values, units = magnitude_and_unit(values)
    array = as_values(values)
    if seconds.ndim != 1 or array.ndim not in (1, 2) or len(seconds) != len(array):
        raise ValueError(
            f"(times, values) must have shapes (n,) and (n,) or (n, n_outputs); got {seconds.shape} and {array.shape}"
        )
    rises = array.ndim == 1 and array.dtype.kind in "fiu" and (np.diff(array) > 0).all()
    if rises and len(array) and np.diff(seconds).clip(max=0).sum() < -FALLING * np.ptp(seconds):
        warn("of a pair given as behaviour the second rises all along, as times do, and the first does not: (times, "
             "values) is expected")  # fmt: skip
    return Signal(seconds, array, units)


def from_labels(marks: Any) -> Signal:
    """Neo ``Event``, or ``Epoch``, which labels the middle of its time.

    Raises
    ------
    ValueError
        Where there are no labels.
    """
    if len(marks.labels) != len(marks.times):
        raise ValueError(f"a neo {type(marks).__name__} given as behaviour needs labels, one a time; it has "
                         f"{len(marks.labels)} for {len(marks.times)}")  # fmt: skip
    seconds = in_seconds(marks.times)
    if is_a(marks, "neo", "Epoch"):
        seconds = seconds + in_seconds(marks.durations) / 2
    return Signal(seconds, np.asarray(marks.labels).astype(np.str_))


def from_neo(signal: Any) -> Signal:
    """Neo ``AnalogSignal`` or ``IrregularlySampledSignal``; always two-dimensional."""
    names = signal.array_annotations.get("channel_names")
    values, units = magnitude_and_unit(signal)
    return Signal(
        in_seconds(signal.times),
        as_values(values),
        units,
        None if names is None else tuple(str(name) for name in names),
    )


def from_neo_segment(segment: Any) -> Signal:
    """The only signal of a neo ``Segment``."""
    signals = [*segment.analogsignals, *segment.irregularlysampledsignals]
    if len(signals) != 1:
        names = [signal.name for signal in signals]
        raise ValueError(f"a neo Segment given as behaviour must hold one signal, got {len(signals)}: {names}")
    return from_neo(signals[0])


def from_pandas(frame: Any) -> Signal:
    """Pandas ``Series`` or ``DataFrame`` indexed by seconds or by time differences."""
    columns = frame.columns if frame.ndim == 2 else ()
    if is_a(frame.index, "pandas", "RangeIndex"):
        among = f", set_index(...) one of the columns {list(map(str, columns))}" if len(columns) else ""
        raise ValueError("the index must be times in seconds; it has row numbers: set_axis(seconds) makes times the "
                         f"index{among}")  # fmt: skip
    if frame.index.dtype.kind in "iu" and frame.index.name is None:
        warn("the index of the behaviour holds whole numbers, which count as seconds. Where they are row or frame "
             "numbers, set_axis(seconds) makes times the index; seconds are told from them as floats")  # fmt: skip
    names = tuple(map(str, columns)) if frame.ndim == 2 else None
    return Signal(as_seconds(frame.index.to_numpy()), as_values(frame.to_numpy()), None, names)


def from_tsd(series: Any) -> Signal:
    """Pynapple ``Tsd`` or ``TsdFrame``, whose times are always seconds; its columns name the outputs."""
    names = getattr(series, "columns", None)
    names = None if names is None else tuple(str(name) for name in names)
    return replace(from_pair(series.t, series.values), names=names)


def from_one_segment(recording: Any) -> Signal:
    """SpikeInterface recording that stands for one segment."""
    n_segments = recording.get_num_segments()
    if n_segments != 1:
        raise ValueError(f"a recording of {n_segments} segments stands where behaviour of one was expected; give the "
                         "recording by itself, or recording.select_segments(index) here")  # fmt: skip
    return from_recording(recording, 0)
