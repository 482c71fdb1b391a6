"""Units of measure, as quantities writes them."""

from __future__ import annotations

import numpy as np

from .warning import warn

# What NWB files write where a quantity has no unit of measure, in lower case.
NO_UNIT = {"", "a.u.", "au", "arbitrary", "arbitrary unit", "arbitrary units", "n/a", "na", "none", "unknown"}


def known_unit(unit: str | None, name: str) -> str | None:
    """The unit of measure as quantities writes it; None, with a warning, where it does not know it."""
    if unit is None or unit.strip().lower() in NO_UNIT:
        return None
    import quantities as pq

    for spelling in (unit, unit.lower()):  # "Volts" stands in many files
        try:
            return pq.Quantity(1.0, spelling).dimensionality.string
        except (LookupError, SyntaxError, TypeError):
            continue
    warn(f"the unit {unit!r} of the NWB series {name!r} is unknown to quantities: taken as none")
    return None


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
