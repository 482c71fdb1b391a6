"""Scores: R2 where targets may be unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import r2_score


def session_scores(
    y: np.ndarray, predicted: np.ndarray, sessions: np.ndarray, sample_weight: Any = None
) -> list[float]:
    """R2 of each session: uniform average over outputs, NaN targets left out.

    Parameters
    ----------
    y, predicted : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        True and decoded targets.
    sessions : ndarray, shape (n_samples,)
        Session of each sample.
    sample_weight : array_like, shape (n_samples,), optional
        Weights.

    Raises
    ------
    ValueError
        Where a session has no output with two known targets.
    """
    y, predicted = y.reshape(len(y), -1), predicted.reshape(len(y), -1)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    scores = []
    for session in dict.fromkeys(sessions.tolist()):
        inside = sessions == session
        outputs = []
        for true, decoded in zip(y.T, predicted.T, strict=True):
            known = inside & ~np.isnan(true)
            if known.sum() >= 2:
                outputs.append(r2_score(true[known], decoded[known], sample_weight=weight[known]))
        if not outputs:
            raise ValueError(f"session {session!r} has fewer than two known targets; R2 is not defined")
        scores.append(float(np.mean(outputs)))
    return scores
