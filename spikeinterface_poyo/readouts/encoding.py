"""How targets become what a network can learn: standardised numbers, points on a circle."""

from __future__ import annotations

import numpy as np

from ..measures import rescale

ROUNDING = 16 * float(np.finfo(float).eps)  # relative; numbers that differ by no more are the same


def first_known(numbers: np.ndarray) -> np.ndarray:
    """The first known number in each column of (n, n_columns); NaN where none is."""
    return numbers[np.argmax(~np.isnan(numbers), axis=0), np.arange(numbers.shape[1])]


def are_constant(numbers: np.ndarray) -> np.ndarray:
    """Of which columns of (n, n_columns) all known numbers are the same but for rounding."""
    first = first_known(numbers)
    with np.errstate(over="ignore"):
        return ~(np.nan_to_num(np.abs(numbers - first)).max(axis=0) > ROUNDING * np.abs(first))


def standardisation(targets: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each output over its known targets.

    The mean of constant outputs is what they are, to the bit. They scale by one, or by their size where it is less:
    what a network is off is then a small part of it.
    """
    known = ~np.isnan(targets) * weight[:, None]
    total = np.maximum(known.sum(axis=0), np.finfo(float).tiny)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = (np.nan_to_num(targets) * known).sum(axis=0) / total
        mean += (np.nan_to_num(targets - mean) * known).sum(axis=0) / total  # what a long sum has lost
        scale = np.sqrt((np.nan_to_num(targets - mean) ** 2 * known).sum(axis=0) / total)
    weighty = np.where(known > 0, targets, np.nan)
    constant = are_constant(weighty) | (scale == 0)
    mean = np.where(constant, np.nan_to_num(first_known(weighty)), mean)
    size = np.where(mean != 0, np.minimum(np.abs(mean), 1.0), 1.0)
    return mean, np.where(constant, size, scale)


def on_circle(y: np.ndarray, period: float) -> np.ndarray:
    """Cosine and sine of each angle, (n, 2 n_outputs), from angles (n, n_outputs)."""
    angle = y * (2 * np.pi / period)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(len(y), -1)


def distances(vectors: np.ndarray) -> np.ndarray:
    """Lengths (n, n_outputs) of vectors (n, 2 n_outputs), each in two columns."""
    return np.hypot(vectors[:, ::2], vectors[:, 1::2])


def full_turn(units: str | None, name: str) -> float:
    """A full turn in ``units``: radians where there is none.

    Raises
    ------
    ValueError
        Where the unit is not one of angle.
    """
    try:
        return float(rescale(np.array(2 * np.pi), "rad", units, name))
    except ValueError:
        raise ValueError(f"behaviour {name!r} is in {units!r}, which is no unit of angle; give what a full turn is, as "
                         f"in behavior_type={{{name!r}: ('circular', 24.0)}}") from None  # fmt: skip
