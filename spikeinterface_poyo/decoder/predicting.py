"""What a fitted decoder says, of `POYODecoder` and `POYOClassifier` alike: `predict`, `decode` and `score`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import door
from ..fitted.learned import Learned, learned_of
from ..fitted.vocabulary import Vocabulary
from ..inputs.overlap import grid_samples
from ..inputs.spikes_in import as_sessions
from ..network.device import put
from ..network.poyo import POYO
from ..readouts.targets import Targets
from ..sessions.samples import SpikeSamples
from .decoding import predict_samples, predict_targets, regular_samples, score_samples
from .neo_out import to_neo


class PredictingMixin:
    """How a decoder answers."""

    network_: POYO
    sessions_: Vocabulary
    device: str
    _enter_known: Callable[..., Targets]

    def predict(self, X: Any, times: Any = None, *, session_id: Any = None) -> np.ndarray:
        """Decode behaviour.

        Parameters
        ----------
        X : SpikeSamples, sorting, list of sortings, or array_like of shape (n_samples, n_units)
            What to decode. All spikes there are may be read as context.
        times : array_like, or list of one array a segment, optional
            Seconds at which to decode a sorting. Where omitted, a regular grid at the interval of the behaviour seen at
            fit, over the recording, or from first to last spike where no recording is known.
        session_id : str or list of str, optional
            Which known sessions these are.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
            In the target's unit of measure, or labels; one-dimensional where the targets were. Where sessions have
            different behaviours, those with fewer outputs are NaN in the columns they lack. Behaviours that came by
            name are the fields of a structured array, as in `align`.

        Raises
        ------
        ValueError
            For an unknown session or units that were not there at fit, behaviour without a regular interval where
            ``times`` are omitted, and times far from the recording.
        NotFittedError
            Before `fit`.

        Warns
        -----
        UserWarning
            Where units of the fit are missing, a clock is not that of the fit, or times lie outside the recording.
        """
        return self._answer(predict_targets, X, times, session_id)

    def decode(self, X: Any, times: Any = None, *, session_id: Any = None) -> Any:
        """`predict` in order of time, as neo objects that carry the target's unit of measure and channel names.

        Parameters
        ----------
        X, times, session_id
            As in `predict`; ``X`` has times.

        Returns
        -------
        neo.AnalogSignal, neo.IrregularlySampledSignal, neo.Event, or list of them
            Numbers are a regular signal where a sorting is decoded without ``times``, else an irregular one; labels are
            an event. A list where there are several segments or sessions. Behaviours that came by name are in a dict.

        Raises
        ------
        ValueError
            For an array of counts, whose rows have no times; else as in `predict`.
        """
        samples = self._enter_for_prediction(X, times, session_id)
        if not door.holds_spikes(X):
            raise ValueError("rows of counts have no times, which a neo signal needs: predict decodes them, and "
                             "from_counts(counts, times, bin_size) makes a session that decode takes")  # fmt: skip
        names = self._names(samples)
        values = predict_samples(self._learned(), samples, names)
        on_grid = times is None and not isinstance(X, SpikeSamples)
        return to_neo(samples, values, self.sessions_, names, on_grid)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, session_id: Any = None, epochs: Any = None) -> float:
        """Mean over sessions of the mean score of their behaviours.

        That is R2 of numbers, averaged over outputs; R2 of cosine and sine of angles; accuracy of labels.

        Parameters
        ----------
        X : SpikeSamples, sorting, list of sortings, or array_like of shape (n_samples, n_units)
            As in `predict`. All samples are scored, also those outside the recording.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs), structured array, or behaviour signal(s)
            True behaviour, as in `fit`, in any unit of measure that can be converted. NaN does not count.
        sample_weight : array_like of shape (n_samples,), optional
            Weight of each sample in the score.
        session_id : str or list of str, optional
            Which known sessions these are.
        epochs : epochs, list of epochs, or list of lists, optional
            Of a sorting and its behaviour, only samples inside count; see `align`.

        Returns
        -------
        float
            1 at best.

        Raises
        ------
        ValueError
            For an unknown session or unit, behaviour that is not what it was at fit, or a session of which fewer than
            two targets are known, of labels none.
        """
        given = self._enter_known(X, y, session_id, epochs, leave_out=False)
        weight, names = door.check_sample_weight(sample_weight, len(given.X)), self._names(given.X)
        decoded = predict_samples(self._learned(), given.X, names)
        return score_samples(self.sessions_, given, decoded, names, weight)

    def _answer(self, how: Callable[..., Any], X: Any, times: Any, session_id: Any) -> Any:
        """What a function of `decoding` says of samples, or of a sorting at ``times``."""
        samples = self._enter_for_prediction(X, times, session_id)
        return how(self._learned(), samples, self._names(samples))

    def _enter_for_prediction(self, X: Any, times: Any, session_id: Any) -> SpikeSamples:
        check_is_fitted(self, "network_")
        if not door.holds_spikes(X) and times is None and session_id is None:
            return door.rows_of_counts(self, X, reset=False)
        if door.holds_spikes(X) and not isinstance(X, SpikeSamples):
            sessions = as_sessions(X, session_id)
            return regular_samples(self.sessions_, sessions) if times is None else grid_samples(sessions, times)
        if times is not None or session_id is not None:
            raise ValueError("SpikeSamples have their own times and sessions, named in align(..., session_id=), and "
                             "arrays of counts have none; times= and session_id= are for sortings")  # fmt: skip
        return X

    def _names(self, X: SpikeSamples) -> dict[int, str]:
        return self.sessions_.resolve(X.sessions, np.unique(X.session_index).tolist())

    def _learned(self) -> Learned:
        put(self.network_, self.device)
        return learned_of(self)
