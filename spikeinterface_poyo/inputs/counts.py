"""Counts in: binned spike counts as a session, and rows of counts as scikit-learn gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ..recognition import is_a
from ..sessions.samples import SpikeSamples
from ..sessions.session import Segment, Session
from .overlap import SLACK
from .seconds import as_seconds

COUNTED = ("dimensionless", "ct")  # units of a number of spikes, as quantities writes them
MOST = float(np.finfo(np.float32).max)
ROW_SPACING = 1000.0  # seconds between rows, so that no window holds two


def from_counts(counts: Any, times: Any, bin_size: float, unit_ids: Sequence[Any] | None = None) -> Session:
    """Binned counts as a session that stands where a sorting stands.

    The k spikes of one unit in one bin are k spikes at the bin's centre; they become one token that counts k-fold in
    attention, which gives the same numbers as k tokens at the cost of one.

    Parameters
    ----------
    counts : array_like or sparse, shape (n_bins, n_units)
        Any numbers from zero up (weights); a fraction is a fraction of a spike. A bin in which no unit fired is a row
        of zeros: further than a second from any row nothing is known.
    times : array_like, shape (n_bins,)
        Centres of the bins in seconds, in any order. A causal decoder reads a bin from its centre on; give the bins'
        ends for one that reads no bin before it is over.
    bin_size : float
        Width of a bin in seconds.
    unit_ids : sequence, optional
        Ids of the units. Where omitted, the columns of a pandas, polars or pynapple table, else 0, 1, ...

    Returns
    -------
    Session
        To be given where a sorting is.

    Raises
    ------
    ValueError
        Where counts are negative, not finite, masked, or rates with a unit, or the shapes do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from_counts(np.array([[1, 0], [2, 3]]), times=[0.025, 0.075], bin_size=0.05)
    Session(2 units, 1 segments, 6 spikes)
    """
    tables = ("pandas", "DataFrame"), ("polars", "DataFrame"), ("pynapple", "TsdFrame")
    if unit_ids is None and any(is_a(counts, *table) for table in tables):
        unit_ids = counts.columns
    counts = plain_counts(counts)
    times = as_seconds(times)
    width = as_seconds(bin_size)
    if width.size != 1:
        raise ValueError(f"bin_size must be one number of seconds, got an array of shape {width.shape}")
    bin_size = width.item()
    if counts.ndim != 2 or times.shape != counts.shape[:1]:
        raise ValueError(f"counts and times must have shapes (n_bins, n_units) and (n_bins,); got {counts.shape} and "
                         f"{times.shape}")  # fmt: skip
    if not (np.isfinite(bin_size) and bin_size > 0):
        raise ValueError(f"bin_size must be a positive number of seconds, got {bin_size!r}")
    if not np.isfinite(times).all():
        raise ValueError("times of the bins must be finite")
    check_counts(counts)
    ids = np.arange(counts.shape[1]) if unit_ids is None else np.asarray(unit_ids)
    if len(ids) != counts.shape[1]:
        raise ValueError(f"counts have {counts.shape[1]} units, but {len(ids)} unit_ids were given")
    order = np.argsort(times, kind="stable")
    extent = (times.min() - bin_size / 2, times.max() + bin_size / 2) if len(times) else (0.0, 0.0)
    segment = with_pauses(weighted_segment(counts[order], times[order], extent), times[order], bin_size)
    return Session(ids, (segment,))


def with_pauses(segment: Segment, times: np.ndarray, bin_size: float) -> Segment:
    """The segment, of which nothing is known between ascending bins that lie further apart than twice `SLACK`."""
    last = np.flatnonzero(np.diff(times) - bin_size > 2 * SLACK)
    if not len(last):
        return segment
    starts = np.append(segment.t_start, times[last + 1] - bin_size / 2)
    ends = np.append(times[last] + bin_size / 2, segment.t_stop)
    return replace(segment, observed=np.column_stack([starts, ends]))


def plain_counts(counts: Any) -> np.ndarray:
    """Counts as float64.

    Raises
    ------
    ValueError
        Where they are not real, else as of `check_plain`.
    """
    check_plain(counts)
    array = np.asarray(counts.toarray() if issparse(counts) else counts)
    if array.dtype.kind == "c":
        raise ValueError("counts must be real numbers, got complex ones")
    return array.astype(np.float64)


def check_plain(counts: Any) -> None:
    """Refuse what NumPy would take for other counts.

    Raises
    ------
    ValueError
        Where they have a unit of measure, as rates do, some are masked, or they are text.
    """
    if is_a(counts, "quantities", "Quantity") and counts.dimensionality.string not in COUNTED:
        raise ValueError(f"counts are in {counts.dimensionality.string!r}; give plain numbers of spikes in each bin, "
                         "which for rates is (rates * bin_size).simplified.magnitude")  # fmt: skip
    if np.ma.is_masked(counts):
        raise ValueError("counts must be known; some are masked: leave those bins out")
    if isinstance(counts, np.ndarray) and counts.dtype.kind in "US":
        raise ValueError(f"counts must be numbers, got text ({counts.dtype})")


def check_counts(counts: np.ndarray) -> None:
    """Counts are finite, in the network's float32 too, and not negative."""
    if not np.isfinite(counts).all():
        raise ValueError("counts must be finite; Input contains NaN or infinity")
    if (counts < 0).any():
        raise ValueError(f"Negative values in data: counts must be zero or more, the smallest is {counts.min()}")
    if (counts > MOST).any():
        raise ValueError(f"counts must be at most {MOST:.2g}, the largest is {counts.max()}")


def weighted_segment(counts: np.ndarray, times: np.ndarray, extent: tuple[float, float]) -> Segment:
    """One entry a bin and unit with a count above zero; ``times`` ascend."""
    weights = counts.astype(np.float32)
    row, unit = np.nonzero(weights)
    return Segment(times[row], unit.astype(np.int32), float(extent[0]), float(extent[1]), weights[row, unit])


def rows_as_samples(X: np.ndarray, unit_ids: Sequence[Any] | None = None) -> SpikeSamples:
    """Rows of a 2-D array (n_samples, n_units) as samples of a session in which each row stands by itself."""
    check_counts(X)
    times = np.arange(len(X)) * ROW_SPACING
    segment = weighted_segment(X, times, (-ROW_SPACING / 2, len(X) * ROW_SPACING))
    ids = np.arange(X.shape[1]) if unit_ids is None else np.asarray(unit_ids)
    session = Session(ids, (segment,), isolated_rows=True)
    zeros = np.zeros(len(X), dtype=np.int32)
    return SpikeSamples([session], zeros, zeros, times)
