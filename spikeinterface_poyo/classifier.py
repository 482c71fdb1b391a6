"""`POYOClassifier`: labels from spikes, as scikit-learn's classifiers give them."""

from __future__ import annotations

from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from . import door
from .decoder.base import BasePOYO
from .decoder.decoding import predict_probabilities
from .readouts.codes import as_label_array
from .readouts.label_readout import CategoricalReadout

if TYPE_CHECKING:
    from typing_extensions import Self


class POYOClassifier(BasePOYO, ClassifierMixin, BaseEstimator):
    """Decode labels from spikes with POYO: choice, stimulus, place; one label a sample, an event or a trial.

    Samples are classified each by itself, from a window of spikes around it. For one answer a trial give one sample a
    trial, as `align` does for a neo ``Epoch`` (its middle) or ``Event``.

    Parameters
    ----------
    pretrained, window_length, causal, dim, depth, dim_head, cross_heads, self_heads, num_latents_per_step,
    n_latent_steps, dropout, unit_dropout, learning_rate_init, alpha, class_weight, warm_start, batch_size, max_iter,
    early_stopping, validation_fraction, n_iter_no_change, device, random_state, checkpoint, verbose
        As in `POYODecoder`.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        Labels, in ascending order. The other attributes are those of `POYODecoder`.

    See Also
    --------
    POYODecoder : Numbers and angles; also labels beside them, by name.

    Examples
    --------
    >>> from spikeinterface_poyo import align, load_mouse_head_direction
    >>> sorting, heading = load_mouse_head_direction()
    >>> X, y = align(sorting, heading)
    >>> faces = np.where(y[:, 0] > 0, "east", "west")
    >>> classifier = POYOClassifier(max_iter=1, random_state=0).fit(X[:8000], faces[:8000])
    >>> classifier.classes_.tolist()
    ['east', 'west']
    >>> classifier.predict_proba(X[8000:8002]).shape
    (2, 2)
    """

    @property
    def classes_(self) -> np.ndarray:
        """Labels, shape (n_classes,); of all behaviours where sessions have different ones."""
        readouts = self._label_readouts()
        if not readouts:
            raise AttributeError("classes_ are there after fit")
        if len(readouts) == 1:
            return as_label_array(readouts[0].classes)
        different = {label for readout in readouts for label in readout.classes}
        return as_label_array(sorted(different, key=lambda label: (type(label).__name__, label)))

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str], device: str = "auto") -> Self:
        """As `POYODecoder.from_pretrained`.

        Parameters
        ----------
        source, device
            As there.

        Returns
        -------
        Self
            A fitted classifier.

        Raises
        ------
        ValueError
            For weights that know no labels; else as there.
        """
        classifier = super().from_pretrained(source, device)
        if not classifier._label_readouts():
            raise ValueError(f"the weights {str(source)!r} know no labels: load them with POYODecoder.from_pretrained, "
                             "or adapt them with POYOClassifier(pretrained=...).fit")  # fmt: skip
        return classifier

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        *,
        session_id: Any = None,
        behavior_name: Any = None,
        epochs: Any = None,
        behavior_type: Any = None,
        sample_weight: Any = None,
        adapt: Literal["units", "all"] = "units",
    ) -> Self:
        """Go on from where the classifier is: add new sessions, or train one more iteration on known ones.

        Parameters
        ----------
        X, y, session_id, behavior_name, epochs, behavior_type, sample_weight, adapt
            As in `POYODecoder.partial_fit`.
        classes : array_like, shape (n_classes,), optional
            All labels that will ever come, some of which ``y`` may lack. They are fixed when a behaviour is first
            learned, by those in ``y`` where omitted, and may be left out from then on.

        Returns
        -------
        Self
            Itself. If anything fails it is as it was.

        Raises
        ------
        ValueError
            For labels that are not among the classes, or classes that are not those of the first call; else as in
            `POYODecoder.partial_fit`.
        """
        raw_inputs = door.RawInputs(session_id, behavior_name, epochs, behavior_type, classes)
        return self._partial_fit(X, y, raw_inputs, sample_weight, adapt)

    def predict_proba(self, X: Any, times: Any = None, *, session_id: Any = None) -> np.ndarray:
        """Probability of each class; after `calibrate`, that with which held-out labels came true.

        Parameters
        ----------
        X, times, session_id
            As in `predict`.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            In the order of ``classes_``, or of those that these sessions have; rows sum to one.

        Raises
        ------
        ValueError
            For several behaviours, of one session or of several; else as in `predict`.
        """
        check_is_fitted(self, "network_")
        how = partial(predict_probabilities, calibration=self.calibration_)
        return self._answer(how, X, times, session_id)

    def predict_log_proba(self, X: Any, times: Any = None, *, session_id: Any = None) -> np.ndarray:
        """Logarithm of `predict_proba`; parameters, shape and errors are as there."""
        return np.log(self.predict_proba(X, times, session_id=session_id))

    def _label_readouts(self) -> list[CategoricalReadout]:
        """Readouts of labels: one that sessions share, or several; none before fit."""
        known = getattr(self, "sessions_", None)
        readouts = [] if known is None else list(known.readouts.values())
        return [readout for readout in readouts if isinstance(readout, CategoricalReadout)]
