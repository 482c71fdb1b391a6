"""`BinnedCounts`: spike counts in bins around each sample, for scikit-learn's own regressors."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..fitted.same_session import names_of
from ..sessions.samples import SpikeSamples
from ..sessions.session import Segment
from ..warning import warn

EDGE = 1e-6  # share of a bin by which edges lie late, so that rounding cannot move what lies on an edge
SMOOTHING_REACH = 4.0  # standard deviations at which the smoothing kernel ends


class BinnedCounts(TransformerMixin, BaseEstimator):
    """Count the spikes of each unit in bins before, at and after each sample.

    Bins are laid around the samples themselves, not on a grid of their own: samples may be irregular, and a sample's
    counts do not depend on which others are there. ``make_pipeline(BinnedCounts(), Ridge())`` is the Wiener filter,
    on the same samples and splits as `POYODecoder`.

    Parameters
    ----------
    bin_size : float, default: 0.05
        Width of a bin in seconds.
    lags : int or sequence of int, default: 10
        Bins to count in, in bins from the sample, negative before it; ``n`` stands for all of ``-n`` to ``n``, or to 0
        with ``causal``. The bin of lag 0 is centred on the sample.
    smoothing : float, default: 0.0
        Standard deviation, in seconds, of a Gaussian by which counts are smoothed over neighbouring bins.
    causal : bool, default: False
        Count no spike later than the sample: the bin of lag 0 ends at the sample, lags are zero or negative, and
        smoothing reads no later bin.

    Attributes
    ----------
    session_id_ : str
        Session that `fit` saw.
    unit_ids_ : ndarray, shape (n_units,)
        Its units.
    lags_ : ndarray of int, shape (n_lags,)
        Lags in the order of the columns.
    n_features_out_ : int
        ``n_units * n_lags``.

    Notes
    -----
    A bin holds the spikes later than its start and no later than its end. Counts of `from_counts` count with their
    weights, at the centres of their bins. Spikes outside a subset of samples are counted as context. Bins beyond the
    ends of a recording are empty.

    Examples
    --------
    >>> import numpy as np
    >>> from spikeinterface_poyo import align
    >>> X, y = align({"a": [0.9, 1.0, 1.1], "b": [2.0]}, ([1.0, 2.0], [0.0, 1.0]))
    >>> BinnedCounts(bin_size=0.1, lags=1).fit_transform(X)
    array([[1., 1., 1., 0., 0., 0.],
           [0., 0., 0., 0., 1., 0.]])
    """

    def __init__(
        self,
        bin_size: float = 0.05,
        lags: int | Sequence[int] = 10,
        smoothing: float = 0.0,
        causal: bool = False,
    ) -> None:
        self.bin_size = bin_size
        self.lags = lags
        self.smoothing = smoothing
        self.causal = causal

    def fit(self, X: SpikeSamples, y: Any = None) -> BinnedCounts:
        """Take note of the session's units.

        Parameters
        ----------
        X : SpikeSamples
            Of one session.
        y : ignored
            There for pipelines.

        Returns
        -------
        BinnedCounts
            Itself.

        Raises
        ------
        TypeError
            Where ``X`` is not `SpikeSamples`.
        ValueError
            Where a parameter is out of range, or the samples are of several sessions: their units do not correspond.
        """
        check_samples(X)
        lags = self._checked_lags()
        position = only_session(X)
        if position is None:
            raise ValueError("BinnedCounts needs at least one sample; X has 0")
        self.session_id_ = X.session_name(position)
        self.unit_ids_ = X.sessions[position].unit_ids
        self.lags_ = lags
        self.n_features_out_ = len(self.unit_ids_) * len(lags)
        return self

    def transform(self, X: SpikeSamples) -> np.ndarray:
        """Counts around each sample.

        Parameters
        ----------
        X : SpikeSamples
            Samples of the session that `fit` saw, or of a single one without a name.

        Returns
        -------
        ndarray, shape (n_samples, n_units * n_lags), float64
            All lags of the first unit, then those of the second, and so on; see `get_feature_names_out`.

        Raises
        ------
        TypeError
            Where ``X`` is not `SpikeSamples`.
        ValueError
            For another session, several sessions, or units that were not there at fit.

        Warns
        -----
        UserWarning
            Where units that `fit` saw are missing; they count zero.
        """
        check_is_fitted(self)
        check_samples(X)
        position = only_session(X)
        out = np.zeros((len(X), len(self.unit_ids_), len(self.lags_)))
        if position is not None:
            columns = self._columns_of(X, position)
            for _, segment, order in X.blocks():
                spikes = X.sessions[position].segments[segment]
                out[order[:, None], columns] = self._count(spikes, len(columns), X.times[order])
        return out.reshape(len(X), self.n_features_out_)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns, ``<unit_id>_lag<lag>``; ``input_features`` is ignored."""
        check_is_fitted(self)
        return np.array([f"{unit}_lag{lag:+d}" for unit in self.unit_ids_ for lag in self.lags_], dtype=object)

    def _checked_lags(self) -> np.ndarray:
        """Lags as an array; all parameters are checked."""
        if not isinstance(self.bin_size, Real) or not 0 < self.bin_size < np.inf:
            raise ValueError(f"bin_size must be a positive number of seconds, got {self.bin_size!r}")
        if not isinstance(self.smoothing, Real) or not 0 <= self.smoothing < np.inf:
            raise ValueError(f"smoothing must be zero or more seconds, got {self.smoothing!r}")
        if isinstance(self.lags, (int, np.integer)):
            if self.lags < 0:
                raise ValueError(f"lags must be a number of bins, zero or more, or a sequence; got {self.lags}")
            return np.arange(-self.lags, 1 if self.causal else self.lags + 1)
        lags = np.asarray(self.lags)
        if lags.ndim != 1 or len(lags) == 0 or lags.dtype.kind not in "iu" or len(np.unique(lags)) < len(lags):
            raise ValueError(f"lags must be an integer, or a sequence of different integers; got {self.lags!r}")
        if self.causal and lags.max() > 0:
            raise ValueError(f"with causal=True no lag may lie after the sample, above 0; got {self.lags!r}")
        return lags.astype(np.int64)

    def _columns_of(self, X: SpikeSamples, position: int) -> np.ndarray:
        """Position among the fitted units of each unit of the samples' session."""
        session, name = X.sessions[position], names_of(X.sessions, [position], [self.session_id_])[position]
        if name != self.session_id_:
            raise ValueError(f"session {name!r} was not seen by fit, which saw {self.session_id_!r}; units of "
                             "different sessions do not correspond: fit BinnedCounts on each session")  # fmt: skip
        column = {str(unit): i for i, unit in enumerate(self.unit_ids_)}
        unknown = [unit for unit in session.unit_names if unit not in column]
        if unknown:
            raise ValueError(f"session {name!r} has units {unknown} that were not there at fit (known: "
                             f"{list(column)}); leave them out with SelectUnits")  # fmt: skip
        missing = sorted(set(column) - set(session.unit_names))
        if missing:
            warn(f"session {name!r} lacks units {missing} that were there at fit; they count zero")
        return np.array([column[unit] for unit in session.unit_names], dtype=np.intp)

    def _count(self, spikes: Segment, n_units: int, times: np.ndarray) -> np.ndarray:
        """Counts (n_samples, n_units, n_lags) around the ascending ``times`` in one segment."""
        bins, kernel = self._kernel()
        number = np.union1d(bins, bins + 1)  # of the edges
        edges = times[:, None] + (number - (1.0 if self.causal else 0.5) + EDGE) * self.bin_size
        if self.causal:
            edges = np.minimum(edges, times[:, None])
        past = spikes.spike_times.searchsorted(np.nextafter(edges, np.inf))  # spikes that are not later than an edge
        first, last = np.searchsorted(number, bins), np.searchsorted(number, bins + 1)
        out = np.empty((len(times), n_units, len(self.lags_)))
        lowest, highest = past.min(initial=len(spikes.spike_times)), past.max(initial=0)
        units = np.asarray(spikes.unit_index[lowest:highest])
        weights = np.ones(len(units)) if spikes.weights is None else spikes.weights[lowest:highest]
        by_unit = np.argsort(units, kind="stable")
        ends = np.searchsorted(units[by_unit], np.arange(n_units + 1))
        for unit in range(n_units):
            mine = by_unit[ends[unit] : ends[unit + 1]]  # ascending, as spikes are in order of time
            # In float64, running sums of integers and of float32 weights are exact as far as counts go.
            total = np.concatenate([[0.0], np.cumsum(weights[mine], dtype=np.float64)])
            up_to = total[np.searchsorted(mine, past - lowest)]
            counts = up_to[:, last] - up_to[:, first]
            out[:, unit] = counts if kernel is None else counts @ kernel
        return out

    def _kernel(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Bins to count in, and the matrix (n_bins, n_lags) that smooths them; None where nothing is smoothed."""
        if self.smoothing == 0:
            return self.lags_, None
        reach = int(np.ceil(SMOOTHING_REACH * self.smoothing / self.bin_size))
        bins = np.unique(self.lags_[:, None] + np.arange(-reach, reach + 1))
        if self.causal:
            bins = bins[bins <= 0]
        away = bins[:, None] - self.lags_
        kernel = np.exp(-0.5 * (away * self.bin_size / self.smoothing) ** 2) * (abs(away) <= reach)
        return bins, kernel / kernel.sum(axis=0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def check_samples(X: Any) -> None:
    """Refuse what is not `SpikeSamples`."""
    if not isinstance(X, SpikeSamples):
        raise TypeError(f"BinnedCounts needs the SpikeSamples of align(sorting, behavior), as counts in an array have "
                        f"no times; got {type(X).__name__}")  # fmt: skip


def only_session(X: SpikeSamples) -> int | None:
    """Position of the session that all samples belong to; None where there are no samples.

    Raises
    ------
    ValueError
        Where there are several.
    """
    used = np.unique(X.session_index)
    if len(used) > 1:
        names = [X.session_name(position) for position in used]
        raise ValueError(f"BinnedCounts takes samples of one session, as units of different sessions do not "
                         f"correspond; got {names}. Fit one pipeline for each: X[X.session_ids == {names[0]!r}]; "
                         "POYODecoder reads several at once")  # fmt: skip
    return int(used[0]) if len(used) else None
