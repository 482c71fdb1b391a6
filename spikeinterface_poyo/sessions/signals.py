"""Signals: behaviour as plain times and values, what it measures, and which of it goes together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from ..measures import magnitude_and_unit, rescale
from ..recognition import is_a

UNNAMED = "behavior"  # what a behaviour is called that the user gave no name
Kind = Literal["continuous", "circular", "categorical"]


@dataclass(frozen=True, eq=False)
class Signal:
    """One behaviour signal of one segment.

    Parameters
    ----------
    times : ndarray, shape (n,), float64
        Seconds.
    values : ndarray, shape (n,) or (n, n_outputs)
        float64, in ``units``; or labels, shape (n,), of any other type.
    units : str or None
        Unit of measure as quantities writes it; None where the values came without.
    names : tuple of str or None
        Names of the outputs.
    """

    times: np.ndarray
    values: np.ndarray
    units: str | None = None
    names: tuple[str, ...] | None = None

    @property
    def is_labels(self) -> bool:
        """Whether the values are labels and no numbers."""
        return self.values.dtype.kind != "f"


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
    kind : {"continuous", "circular", "categorical"} or None
        What they are; None where nobody said.
    period : float or None
        Of angles: what a full turn is, in ``units``; None where the unit tells.
    classes : tuple or None
        What the codes 0, 1, ... stand for, where targets are labels.
    one_dimensional : bool
        Whether they are a one-dimensional array.
    bare : bool
        Whether they are numbers that were never aligned with a signal: nothing is known of their unit of measure.
    """

    units: str | None = None
    names: tuple[str, ...] | None = None
    name: str = UNNAMED
    n_outputs: int | None = None
    kind: Kind | None = None
    period: float | None = None
    classes: tuple[Any, ...] | None = None
    one_dimensional: bool = False
    bare: bool = False


def n_outputs_of(values: np.ndarray) -> int:
    """Outputs of behaviour values (n,) or (n, n_outputs)."""
    return 1 if values.ndim == 1 else values.shape[1]


def with_kinds(targets: Mapping[str, TargetInfo], behavior_type: Any) -> dict[str, TargetInfo]:
    """Targets by name, with what the user says they are: of all, or by name.

    Raises
    ------
    ValueError
        For a kind or a name that does not exist.
    """
    if behavior_type is None:
        return dict(targets)
    by_name = behavior_type if isinstance(behavior_type, Mapping) else dict.fromkeys(targets, behavior_type)
    by_name = {str(name): given for name, given in by_name.items()}  # as behaviours are called
    strange = sorted(set(by_name) - set(targets))
    if strange:
        raise ValueError(f"behavior_type= names {strange}; the behaviours are {sorted(targets)}")
    told = {}
    for name, given in by_name.items():
        kind, *period = given if isinstance(given, (tuple, list)) and given else (given,)
        if kind not in get_args(Kind) or len(period) > (kind == "circular") or not all(map(is_positive, period)):
            raise ValueError(f"behavior_type must be 'continuous', 'circular', ('circular', full turn) or "
                             f"'categorical'; got {given!r} for {name!r}")  # fmt: skip
        told[name] = replace(
            targets[name], kind=kind, period=turn_in_units_of(targets[name], *period) if period else None
        )
    return {**targets, **told}


def is_positive(number: Any) -> bool:
    """Whether that is a number, or a quantity of one, above zero."""
    number = getattr(number, "magnitude", number)
    return bool(np.ndim(number) == 0 and np.asarray(number).dtype.kind in "iuf" and 0 < number < np.inf)


def turn_in_units_of(target: TargetInfo, period: Any) -> float:
    """A full turn as a number, in the target's unit of measure.

    Raises
    ------
    ValueError
        Where it has a unit of measure that the target's is not known to go with.
    """
    if not is_a(period, "quantities", "Quantity"):
        return float(period)
    turn, units = magnitude_and_unit(period)
    if target.units is None:
        raise ValueError(f"the full turn of {target.name!r} is in {units!r}, the behaviour has no unit of measure that "
                         "is known; give a plain number, in what the behaviour is measured in")  # fmt: skip
    return float(rescale(turn, units, target.units, f"the full turn of {target.name!r}"))


def check_goes_together(given: Signal | TargetInfo, target: TargetInfo, what: str) -> None:
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
