"""`SelectUnits`: a first pipeline step that keeps some of the units."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..door import features_as_before_on_failure, forget_features, holds_spikes, rows_of_counts
from ..extras import needed
from ..fitted.same_session import names_of
from ..inputs.counts import check_plain
from ..inputs.spikes_in import as_sessions, is_one_sorting
from ..recognition import is_a
from ..sessions.samples import SpikeSamples
from ..sessions.session import Session
from ..sessions.units import firing_rates, keep_units


class SelectsInSamples:
    """Sends samples past `SelectorMixin`, whose wrapper would make a table of whatever it gives (``set_output``)."""

    fit: Callable[..., Any]
    _select: Callable[[Any], Any]

    def transform(self, X: Any) -> Any:
        """Keep the chosen units.

        Parameters
        ----------
        X : SpikeSamples, sorting or list of sortings, or array_like of shape (n_samples, n_units)
            Of the sessions that `fit` saw, or counts of the same units. A sorting may have no behaviour yet: a pipeline
            decodes it.

        Returns
        -------
        SpikeSamples, Session or list of Session, or ndarray of shape (n_samples, n_kept)
            The same samples of sessions that hold only the kept units; sessions with those, which `POYODecoder` takes
            for sortings; or their columns, a table after ``set_output``.

        Raises
        ------
        ValueError
            For a session that `fit` did not see, unnamed sessions that lack some of those that it saw, counts with a
            unit of measure or masked ones, or samples where it saw counts, and the other way round.
        """
        if holds_spikes(X):
            return self._select(X)
        check_is_fitted(self)
        check_plain(X)
        return super().transform(X)  # type: ignore[misc]

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Choose units and keep them."""
        return self.fit(X, y).transform(X)


class SelectUnits(SelectsInSamples, SelectorMixin, BaseEstimator):
    """Keep units by id, by firing rate or by their properties and quality metrics; by all that are given.

    Samples stay samples. Of counts in an array, a column a unit, columns are kept; an array tells of its units no more
    than their names, so that ``ids`` alone can choose among them.

    Parameters
    ----------
    ids : sequence, dict or None, default: None
        Unit ids to keep, in each session that has them; or ``{session_id: ids}``. None keeps all. Columns of an array
        are units 0, 1, ..., those of a table have names.
    min_rate : float, default: 0.0
        Units that fire less often, in spikes a second over the whole recording, are left out.
    query : str or None, default: None
        Condition on the units' properties, as pandas writes it: ``"snr > 5 and isi_violations_ratio < 0.1"``. They are
        the properties of a SpikeInterface sorting and the metrics of a ``SortingAnalyzer``, the columns of an NWB Units
        table or the metadata of a pynapple ``TsGroup``. Where a value is not known (NaN), ``<``, ``>`` and ``==`` are
        false. Needs pandas.

    Attributes
    ----------
    unit_ids_ : dict
        Session id to the array of unit ids kept.
    n_features_in_, feature_names_in_ : int, ndarray
        Number of columns, and their names where they have some; of counts only.

    Examples
    --------
    >>> import numpy as np
    >>> from spikeinterface_poyo import align
    >>> X, y = align({"a": np.arange(0, 10, 0.1), "b": [5.0]}, (np.arange(10.0), np.arange(10.0)))
    >>> SelectUnits(min_rate=1.0).fit(X).unit_ids_
    {'session_0': array(['a'], dtype='<U1')}
    """

    def __init__(
        self,
        ids: Sequence[Any] | dict[str, Sequence[Any]] | None = None,
        min_rate: float = 0.0,
        query: str | None = None,
    ) -> None:
        self.ids = ids
        self.min_rate = min_rate
        self.query = query

    def fit(self, X: Any, y: Any = None) -> SelectUnits:
        """Choose the units of each session that samples of ``X`` belong to.

        Parameters
        ----------
        X : SpikeSamples, or array_like of shape (n_samples, n_units)
            Samples, or counts with a column a unit.
        y : ignored
            There for pipelines.

        Returns
        -------
        SelectUnits
            Itself.

        Raises
        ------
        TypeError
            For sortings, which have no samples, and a rate that is no number.
        ValueError
            Where an id is unknown, the query names a property that the units do not have, or no unit is left; for a
            rate or a query where units are columns of counts, and for counts with a unit of measure or masked ones.
        """
        if holds_spikes(X) and not isinstance(X, SpikeSamples):
            raise TypeError(f"SelectUnits chooses by the SpikeSamples of align(sorting, behavior), or by counts in an "
                            f"array; got {type(X).__name__}")  # fmt: skip
        rate: Any = self.min_rate
        if is_a(rate, "quantities", "Quantity"):
            rate = rate.rescale("Hz")
        if isinstance(rate, np.ndarray) and rate.ndim == 0:
            rate = rate.item()
        check_scalar(rate, "min_rate", Real, min_val=0)
        with features_as_before_on_failure(self):
            self.unit_ids_ = self._choose(self._samples_of(X), rate)
        return self

    def _choose(self, X: SpikeSamples, rate: float) -> dict[str, np.ndarray]:
        """Ids of the units to keep of each session that samples use."""
        self._check_ids(X)
        chosen = {}
        for position in np.unique(X.session_index):  # of the others a subset may have lost the spikes
            session, name = X.sessions[position], X.session_name(position)
            keep = self._wanted(session, name)
            keep &= firing_rates(session) >= rate
            if self.query is not None:
                keep &= query_units(session, self.query, name)
            if not keep.any():
                raise ValueError(f"{self!r} leaves no unit of session {name!r}")
            chosen[name] = session.unit_ids[keep]
        return chosen

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the kept units: of columns, or ids; of several sessions ``<session_id>/<unit_id>``."""
        check_is_fitted(self)
        if hasattr(self, "n_features_in_"):
            return super().get_feature_names_out(input_features)
        several = len(self.unit_ids_) > 1
        names = [f"{name}/{unit}" if several else str(unit) for name, ids in self.unit_ids_.items() for unit in ids]
        return np.array(names, dtype=object)

    def _select(self, X: Any) -> SpikeSamples | Session | list[Session]:
        if isinstance(X, SpikeSamples):
            kept = self._kept(X.sessions, np.unique(X.session_index))
            return SpikeSamples(kept, X.session_index, X.segment_index, X.times, X.targets)
        sessions = as_sessions(X)
        kept = self._kept(sessions, range(len(sessions)))
        return kept[0] if is_one_sorting(X) else kept

    def _kept(self, sessions: Sequence[Session], used: Iterable[int]) -> list[Session]:
        """The sessions, those at the ``used`` positions with the chosen units only."""
        check_is_fitted(self)
        if hasattr(self, "n_features_in_"):
            raise ValueError("SelectUnits was fitted on an array of counts, and spikes in time were given now")
        kept = list(sessions)
        for position, name in names_of(sessions, used, self.unit_ids_).items():
            session = sessions[position]
            if name not in self.unit_ids_:
                raise ValueError(f"session {name!r} was not seen by fit; known sessions: {sorted(self.unit_ids_)}. "
                                 "Samples of align(..., session_id=) bear their names")  # fmt: skip
            units = [str(unit) for unit in self.unit_ids_[name]]
            keep = np.isin(session.unit_names, units)
            if not keep.any():
                raise ValueError(f"session {name!r} has none of the units that fit chose, {units}; it has "
                                 f"{session.unit_names}")  # fmt: skip
            kept[position] = keep_units(session, keep)
        return kept

    def _get_support_mask(self) -> np.ndarray:
        """Which columns of counts are kept."""
        check_is_fitted(self)
        if not hasattr(self, "n_features_in_"):
            raise ValueError("SelectUnits was fitted on SpikeSamples, which have no columns to choose from")
        (kept,) = self.unit_ids_.values()
        return np.isin(getattr(self, "feature_names_in_", np.arange(self.n_features_in_)), kept)

    def _samples_of(self, X: Any) -> SpikeSamples:
        """The samples to choose units by: those given, or rows of counts."""
        if isinstance(X, SpikeSamples):
            forget_features(self)  # an earlier fit may have been on an array
            return X
        if self.min_rate > 0 or self.query is not None:
            raise ValueError("an array of counts tells neither how long its bins are nor what properties units have; "
                             "min_rate= and query= need SpikeSamples")  # fmt: skip
        return rows_of_counts(self, X)

    def _wanted(self, session: Session, name: str) -> np.ndarray:
        ids = by_text(self.ids).get(name) if isinstance(self.ids, dict) else self.ids
        if ids is None:
            return np.ones(len(session.unit_ids), dtype=bool)
        return np.isin(session.unit_names, [str(unit) for unit in ids])

    def _check_ids(self, X: SpikeSamples) -> None:
        sessions = {X.session_name(position): session for position, session in enumerate(X.sessions)}
        if isinstance(self.ids, dict):
            by_session = by_text(self.ids)
            strangers = sorted(set(by_session) - set(sessions))
            if strangers:
                raise ValueError(f"unknown sessions {strangers} in ids; the samples have {sorted(sessions)}")
            pairs = [(ids, sessions[name].unit_names) for name, ids in by_session.items() if ids is not None]
        else:
            pairs = [] if self.ids is None else [(self.ids, [u for s in sessions.values() for u in s.unit_names])]
        for ids, known in pairs:
            if isinstance(ids, str) or not isinstance(ids, Collection):  # a generator would be used up by one look
                raise ValueError(f"ids must be a list of unit ids, or a dict of them by session; got {self.ids!r}")
            unknown = sorted({str(unit) for unit in ids} - set(known))
            if unknown:
                raise ValueError(f"unknown unit ids {unknown}; known are {sorted(set(known))}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def by_text(ids: Mapping[Any, Any]) -> dict[str, Any]:
    """What belongs to sessions, by their names as `align` writes them: as text."""
    return {str(name): of_session for name, of_session in ids.items()}


def query_units(session: Session, query: str, name: str) -> np.ndarray:
    """Which units of session ``name`` satisfy a pandas query over their properties, shape (n_units,).

    Raises
    ------
    ImportError
        Where pandas is not installed.
    ValueError
        Where the query names what the units do not have, or is no condition.
    """
    with needed("pandas", "SelectUnits(query=...)"):
        import pandas as pd
    table = pd.DataFrame(dict(session.properties), index=range(len(session.unit_ids)))
    known = f"its units have the properties {sorted(session.properties)}" if session.properties else (
        "its units have no properties: give a SortingAnalyzer with computed quality_metrics, or a sorting with "
        "set_property")  # fmt: skip
    try:
        result = table.eval(query, engine="python")
    except Exception as error:  # pandas raises what its parser meets: NameError, SyntaxError, TypeError, ...
        raise ValueError(f"cannot evaluate query={query!r} for session {name!r}: {error}; {known}") from error
    keep = np.asarray(result)
    if keep.dtype != bool or keep.shape != (len(table),):
        raise ValueError(
            f"query={query!r} must be a condition, true or false for each unit; for session {name!r} {known}"
        )
    return keep
