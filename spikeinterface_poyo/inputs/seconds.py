"""Times in: plain numbers, quantities and what else holds them, as float64 seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..measures import are_quantities
from ..recognition import is_a

FARTHEST = 1e12  # s, thirty thousand years, within which float64 resolves a tenth of a millisecond
ROUNDING = 1e-12  # relative, of a unit that is a whole part of a second


def as_seconds(times: Any) -> np.ndarray:
    """Float64 seconds of times with or without a unit; plain numbers are seconds already.

    Raises
    ------
    ValueError
        For units that are none of time, units on some of the times only, dates, truth values, and masked times.
    """
    if type(times) is np.ndarray and times.dtype.kind == "f":  # as of each unit, while a recording is followed
        return times.astype(np.float64)
    if is_a(times, "quantities", "Quantity"):
        return in_seconds(times)
    if is_a(times, "pynapple", "Ts", "Tsd", "TsdFrame", "TsdTensor"):
        return np.asarray(times.t, dtype=np.float64)
    if isinstance(times, (list, tuple)) and are_quantities(times, "times"):
        return np.array([in_seconds(time) for time in times])
    if np.ma.is_masked(times):
        raise ValueError("times must be known; some are masked: leave them out, for instance times.compressed()")
    array = np.asarray(times)
    objects = array.flat if array.dtype.kind == "O" else ()
    some = next((time for time in objects if type(time).__name__ != "NaTType"), None)  # NaT is both kinds
    if hasattr(some, "total_seconds"):
        return np.array([time.total_seconds() for time in array.flat]).reshape(array.shape)
    if array.dtype.kind == "M" or hasattr(some, "timestamp"):
        raise ValueError("dates on the clock cannot be compared with spike times; give seconds of the recording's "
                         "clock, for instance (dates - recording_start).total_seconds()")  # fmt: skip
    if array.dtype.kind == "b":
        raise ValueError("times must be numbers, in seconds, got truth values; give the times at which they are true, "
                         "for instance times[mask]")  # fmt: skip
    if array.dtype.kind == "c":
        raise ValueError("times must be real numbers, got complex ones")
    if array.dtype.kind == "m":
        return array / np.timedelta64(1, "s")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"times must be numbers, in seconds; got values of type {array.dtype}") from None


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
    parts = round(1 / factor)
    return magnitude / parts if abs(parts * factor - 1) < ROUNDING else magnitude * factor
