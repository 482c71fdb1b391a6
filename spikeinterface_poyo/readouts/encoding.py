"""How targets become what a network can learn: standardised numbers, points on a circle."""

from __future__ import annotations

import numpy as np

from ..measures import rescale

STILL = 1e-6  # standardised; numbers that vary by less are constant but for rounding, of float32 too
BLUR = 1e-9  # standardised; what rounding makes of a constant, which an optimiser would follow however small it is


def standardisation(targets: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each output over its known targets.

    The mean of constant outputs is what they are, to the bit. They scale by one, or by their size where it is less:
    what a network is off is then a small part of it.
    """
    known = ~np.isnan(targets) * weight[:, None]
    total = np.maximum(known.sum(axis=0), np.finfo(float).tiny)
    mean = (np.nan_to_num(targets) * known).sum(axis=0) / total
    with np.errstate(over="ignore"):
        variance = (np.nan_to_num(targets - mean) ** 2 * known).sum(axis=0) / total
    scale = np.sqrt(variance)
    size = np.abs(mean)
    varies = scale > 1e-12 * size
    first = targets[np.argmax(known > 0, axis=0), np.arange(targets.shape[1])]
    mean, size = np.where(varies, mean, np.nan_to_num(first)), np.where(size > 0, np.minimum(size, 1.0), 1.0)
    return mean, np.where(varies, scale, size)


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
