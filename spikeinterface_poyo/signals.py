"""Signals: behaviour as plain times and values, what it measures, and which of it goes together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNNAMED = "behavior"  # what a behaviour is called that the user gave no name


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
    except (ValueError, LookupError, SyntaxError):  # the latter two: a unit that quantities does not know
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
