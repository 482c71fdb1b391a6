"""How quickly behaviour changes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .samples import sample_interval

LAG = 1.0  # seconds over which change is measured, or one interval between samples where that is longer
NEAR = 1.25  # lags that two samples may be apart
ALL_CHANGED = 0.9  # of the variance, or more: what was a lag before tells hardly anything of what is


def pace_of(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """Rate, in 1/s, at which standardised behaviour forgets where it was.

    Its correlation over a time t is taken to be ``exp(-rate * t)``, as of a random walk that is drawn to the mean.

    Parameters
    ----------
    parts : sequence of (ndarray, ndarray)
        Ascending times (n,) in seconds, and values (n, n_columns) of standard deviation one, NaN where unknown.

    Returns
    -------
    float or None
        None where no two samples are about a lag apart, and where hardly anything is left after it.
    """
    squares, apart = [np.empty(0)], [np.empty(0)]
    for times, values in parts:
        lag = max(LAG, sample_interval(times))
        later = times.searchsorted(times + (1 - 1e-9) * lag)
        now = np.flatnonzero(later < len(times))
        later = later[now]
        between = times[later] - times[now]
        near = between < NEAR * lag
        change = np.square(values[later[near]] - values[now[near]])
        known = ~np.isnan(change).all(axis=1)
        squares.append(np.nanmean(change[known], axis=1))
        apart.append(between[near][known])
    each = np.concatenate(squares)
    if len(each) == 0:
        return None
    changed = each.mean() / 2
    return float(-math.log1p(-changed) / np.concatenate(apart).mean()) if changed < ALL_CHANGED else None
