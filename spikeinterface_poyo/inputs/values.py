"""Values in: numbers and labels, from quantities, masked arrays and what else holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..measures import are_quantities

LABEL_TYPES = (str, bytes, bool, np.bool_)  # even where they could be read as numbers


def with_one_unit(values: Any) -> Any:
    """A list of quantities as one; all else as it is."""
    if not isinstance(values, (list, tuple)) or not are_quantities(values, "values"):
        return values
    import quantities as pq

    units = values[0].units
    return pq.Quantity([value.rescale(units).magnitude for value in values], units)


def as_values(values: Any) -> np.ndarray:
    """Numbers as float64; labels, which are text, truth values or objects that are no numbers, as they are.

    What is masked, or pandas' NA, becomes NaN, of labels None.

    Raises
    ------
    ValueError
        For several columns of labels: each is a behaviour of its own; and for complex numbers, times and dates.
    """
    array = without_missing(values)
    if array.dtype.kind in "cmM":
        raise ValueError(f"behaviour must be real numbers or labels, got values of type {array.dtype}")
    if array.dtype.kind == "O" and not (array.ndim == 1 and any(isinstance(value, LABEL_TYPES) for value in array)):
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            pass
    if array.dtype.kind not in "USbO":
        return array.astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"labels must have shape (n,), got {array.shape}; give each column as a behaviour of its own, "
                         "in a dict by name")  # fmt: skip
    return array.astype(np.str_) if array.dtype.kind == "S" else array


def without_missing(values: Any) -> np.ndarray:
    """An array, in which entries that are masked, or pandas' NA, are NaN, or None where it holds no plain numbers."""
    array = np.asarray(values)
    if np.ma.is_masked(values):
        array = array.astype(np.float64 if array.dtype.kind in "iuf" else object)
        array[np.ma.getmaskarray(values)] = None  # in float64 NaN
    if array.dtype.kind == "O":
        missing = np.array([type(value).__name__ == "NAType" for value in array.flat], dtype=bool).reshape(array.shape)
        if missing.any():
            array = array.copy()
            array[missing] = None
    return array
