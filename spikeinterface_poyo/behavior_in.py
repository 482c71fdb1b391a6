"""Behaviour in: what the animal did, from any accepted signal, as times in seconds and plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .spikes_in import as_seconds, in_seconds, is_a

UNNAMED = "behavior"  # what a behaviour is called that the user gave no name
ACCEPTED = (
    "a neo AnalogSignal or IrregularlySampledSignal, a tuple (times in seconds, values), or a pandas Series or "
    "DataFrame with a time index"
)


@dataclass(frozen=True, eq=False)
class Signal:
    """One behaviour signal of one segment.

    Parameters
    ----------
    times : ndarray, shape (n,), float64
        Seconds.
    values : ndarray, shape (n,) or (n, n_outputs), float64
        In ``units``.
    units : str or None
        Unit of measure as quantities writes it; None where the values came without.
    names : tuple of str or None
        Names of the outputs.
    """

    times: np.ndarray
    values: np.ndarray
    units: str | None = None
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TargetInfo:
    """What targets measure.

    Parameters
    ----------
    units : str or None
        Unit of measure; None where unknown.
    names : tuple of str or None
        Names of the outputs.
    name : str
        Name of the behaviour: sessions whose behaviours bear one name share a readout.
    n_outputs : int or None
        Number of outputs; None where it is that of ``y``.
    """

    units: str | None = None
    names: tuple[str, ...] | None = None
    name: str = UNNAMED
    n_outputs: int | None = None


def as_signals(behavior: Any) -> list[Signal]:
    """Adapt one signal, or a list (or neo Block) with one signal a segment."""
    if is_a(behavior, "neo", "Block"):
        return [from_neo_segment(segment) for segment in behavior.segments]
    if isinstance(behavior, list):
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
    elif is_a(behavior, "pandas", "Series", "DataFrame"):
        signal = from_pandas(behavior)
    elif isinstance(behavior, tuple) and len(behavior) == 2:
        signal = from_pair(*behavior)
    else:
        raise TypeError(f"cannot read behaviour from {type(behavior).__name__!r}; expected {ACCEPTED}")
    if len(signal.times) == 0:
        raise ValueError("the behaviour signal is empty")
    if not np.all(np.isfinite(signal.times)):
        raise ValueError(f"behaviour times must be finite; {np.sum(~np.isfinite(signal.times))} are NaN or infinite")
    return signal


def from_pair(times: Any, values: Any) -> Signal:
    """``(times, values)``; plain times are seconds, quantities are rescaled."""
    seconds = as_seconds(times)
    units = None
    if is_a(values, "quantities", "Quantity"):
        units, values = values.dimensionality.string, values.magnitude
    array = np.asarray(values, dtype=np.float64)
    if seconds.ndim != 1 or array.ndim not in (1, 2) or len(seconds) != len(array):
        raise ValueError(
            f"(times, values) must have shapes (n,) and (n,) or (n, n_outputs); got {seconds.shape} and {array.shape}"
        )
    return Signal(seconds, array, units)


def from_neo(signal: Any) -> Signal:
    """Neo ``AnalogSignal`` or ``IrregularlySampledSignal``; always two-dimensional."""
    names = signal.array_annotations.get("channel_names")
    return Signal(
        in_seconds(signal.times),
        np.asarray(signal.magnitude, dtype=np.float64),
        signal.dimensionality.string,
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
    index = frame.index
    if is_a(index, "pandas", "TimedeltaIndex"):
        times = index.total_seconds().to_numpy(dtype=np.float64)
    elif is_a(index, "pandas", "DatetimeIndex"):
        raise ValueError(
            "dates on the clock cannot be compared with spike times; give an index in seconds of the recording's "
            "clock, for instance frame.set_index((frame.index - recording_start).total_seconds())"
        )
    else:
        times = index.to_numpy(dtype=np.float64)
    names = tuple(str(column) for column in frame.columns) if frame.ndim == 2 else None
    return Signal(times, frame.to_numpy(dtype=np.float64), None, names)


def rescale(values: np.ndarray, units: str | None, target: str | None, what: str) -> np.ndarray:
    """``values`` in the unit ``target``; values that came without a unit are taken to be in it.

    Raises
    ------
    ValueError
        Where the units cannot be converted, or only one side is dimensionless.
    """
    if units is None or target is None or units == target:
        return values
    import quantities as pq

    try:
        factor = float(pq.Quantity(1.0, units).rescale(target).magnitude)
    except (ValueError, LookupError):  # LookupError: a unit that quantities does not know
        raise ValueError(f"{what} is in {units!r}, which cannot be converted to {target!r}") from None
    return values * factor


def check_same_kind(given: Signal | TargetInfo, target: TargetInfo, what: str) -> None:
    """All signals of one behaviour have units of measure, or none has; outputs of the same names come in one order.

    ``target`` is what the behaviour's first signal measures, or what a decoder was fitted on.
    """
    if (given.units is None) != (target.units is None):
        raise ValueError(
            f"{what} has {'no unit of measure' if given.units is None else f'the unit {given.units!r}'}, what "
            f"it goes with has {'none' if target.units is None else repr(target.units)}; give all signals with units, "
            "or none"
        )
    if given.names and target.names and given.names != target.names and set(given.names) == set(target.names):
        raise ValueError(f"{what} has the outputs {given.names}, what it goes with has them as {target.names}; give "
                         "them in one order")  # fmt: skip
