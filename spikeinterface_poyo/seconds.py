"""Times in: plain numbers, quantities and what else holds them, as float64 seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recognition import is_a


def as_seconds(times: Any) -> np.ndarray:
    """Float64 seconds of times with or without a unit; plain numbers are seconds already."""
    if is_a(times, "quantities", "Quantity"):
        return in_seconds(times)
    if is_a(times, "pynapple", "Ts"):
        return np.asarray(times.t, dtype=np.float64)
    if isinstance(times, (list, tuple)) and len(times) and is_a(times[0], "quantities", "Quantity"):
        return np.array([in_seconds(time) for time in times])  # NumPy would drop the units without a word
    return np.asarray(times, dtype=np.float64)


def in_seconds(quantity: Any) -> np.ndarray:
    """Float64 seconds of a quantity of time (spike trains included, integer ones too).

    Raises
    ------
    ValueError
        Where its unit is not a unit of time.
    """
    import quantities as pq

    try:
        factor = float(pq.Quantity(1.0, quantity.units).rescale(pq.s).magnitude)
    except ValueError:
        unit = quantity.dimensionality.string
        raise ValueError(f"times must be in a unit of time such as s or ms, got {unit!r}") from None
    magnitude = np.asarray(quantity.magnitude, dtype=np.float64)
    # Division by 1000 is exactly rounded, the product with 0.001 is not: 1234 ms must be 1.234 s.
    return magnitude * factor if factor >= 1 else magnitude / round(1 / factor, 6)
