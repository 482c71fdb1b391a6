"""Units of measure, as quantities writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .recognition import is_a
from .warning import warn

# What files write where a quantity has no unit of measure, in lower case.
NO_MEASURE = {"", "1", "a.u.", "au", "arbitrary", "arbitrary unit", "arbitrary units", "n/a", "na", "none", "unknown"}

# What quantities raises for units that it does not know, or cannot convert.
UNKNOWN_UNIT = (ValueError, LookupError, SyntaxError)

LARGE_PREFIXES = "YZEPTGM"  # of SI, in capitals

OFFSET = {"degC", "degF"}  # scales of temperature that begin elsewhere than kelvin's, as quantities writes them


def known_unit(unit: str | None, what: str) -> str | None:
    """The unit of measure that a file states, as quantities writes it; None, with a warning, where it is unknown."""
    if unit is None or unit.strip().lower() in NO_MEASURE:
        return None
    latin = unit.replace("\u00b5", "u").replace("\u03bc", "u")  # the micro sign and the Greek letter
    name = spelled(latin)
    if name is None:
        words = re.sub("[A-Za-z]+", lambda word: in_lower_case(word.group()), latin)
        name = spelled(words) if words.islower() else None  # the S of "Deg/S" would be siemens
    if name is None:
        warn(f"the unit {unit!r} of {what} is unknown to quantities: taken as none")
    return name


def spelled(unit: str) -> str | None:
    """The unit of that spelling, as quantities writes it; None where it knows none."""
    import quantities as pq

    try:
        if float(pq.unit_registry[unit].magnitude) == 1.0:  # "0.1*mm" is no unit but a quantity
            return str(pq.Quantity(1.0, unit).dimensionality.string)
    except (LookupError, SyntaxError, TypeError, ValueError, AttributeError, ArithmeticError):
        pass  # which of them depends on how far quantities gets with it
    return None


def in_lower_case(word: str) -> str:
    """A word such as "Volts", which stands in many files; symbols, of which case changes the meaning, as they are.

    Those have two letters, as Mm and pT, or begin with a prefix of SI, as Mrad.
    """
    is_symbol = len(word) < 3 or (word[0] in LARGE_PREFIXES and spelled(word[1:]) is not None)
    return word if is_symbol else word.lower()


def are_quantities(values: Sequence[Any], what: str) -> bool:
    """Whether a list is one of quantities, whose units NumPy would drop without a word.

    Raises
    ------
    ValueError
        Where some are and some are not.
    """
    one_of_each_type = {type(value): value for value in values}.values()  # few, however many values there are
    with_unit = [is_a(value, "quantities", "Quantity") for value in one_of_each_type]
    if any(with_unit) and not all(with_unit):
        raise ValueError(f"some of the {what} have a unit of measure and some have none; give all with one, or none")
    return any(with_unit)


def magnitude_and_unit(quantity: Any) -> tuple[np.ndarray, str]:
    """Plain values of a quantity and their unit of measure, as it is kept: by its name.

    A unit whose name does not tell how large it is, such as a ``CompoundUnit("1/30*m")``, gives way to SI's base units.
    """
    import quantities as pq

    name = quantity.dimensionality.string
    try:
        faithful = float(pq.Quantity(1.0, quantity.units).rescale(name).magnitude) == 1.0
    except UNKNOWN_UNIT:
        faithful = False
    if faithful:
        return quantity.magnitude, name
    in_base_units = pq.Quantity(quantity.magnitude, quantity.units).simplified
    return in_base_units.magnitude, in_base_units.dimensionality.string


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
    except UNKNOWN_UNIT:
        raise ValueError(f"{what} is in {units!r}, which cannot be converted to {target!r}") from None
    if {units, target} & OFFSET:
        raise ValueError(f"{what} is in {units!r}, and quantities does not know where these scales have "
                         "their zero: convert the numbers yourself")  # fmt: skip
    return values * factor
