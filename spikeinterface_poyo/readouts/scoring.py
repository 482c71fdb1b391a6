"""Scores of numbers where targets may be unknown."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import r2_score

from .encoding import ROUNDING, are_constant


def mean_r2(y: np.ndarray, decoded: np.ndarray, weight: np.ndarray | None = None) -> float:
    """R2, uniform average over the outputs that have two known targets; NaN where none has.

    Where known targets differ by no more than rounding it is 1 if they are met but for that, else 0.

    Parameters
    ----------
    y, decoded : ndarray, shape (n_samples, n_outputs)
        True and decoded targets; NaN is unknown.
    weight : ndarray, shape (n_samples,), optional
        Weights of the samples.
    """
    scores = []
    for true, answer in zip(y.T, decoded.T, strict=True):
        known = ~np.isnan(true)
        if known.sum() >= 2:
            some = None if weight is None else weight[known]
            true, answer = true[known], answer[known]
            if are_constant(true[:, None])[0]:  # whose own rounding would be what errors are compared with
                off = answer - true[0]
                true, answer = np.zeros_like(true), np.where(np.abs(off) > ROUNDING * np.abs(true[0]), off, 0.0)
            scores.append(r2_score(true, answer, sample_weight=some))
    return float(np.mean(scores)) if scores else np.nan


def sum_of_squares(points: np.ndarray) -> np.ndarray:
    """Sum of squared deviations from the mean in each dimension of ``points`` (n, n_dimensions), NaN where unknown.

    Zero where they differ by no more than rounding.
    """
    mean = np.nanmean(points, axis=0)
    return np.where(are_constant(points), 0.0, np.nansum((points - mean) ** 2, axis=0))
