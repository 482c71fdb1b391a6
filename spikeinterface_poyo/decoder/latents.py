"""`POYODecoder` as a transformer: what the network knows of each sample, before the readout says what it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from ..network.poyo import POYO
from .decoding import embed_samples


class LatentsMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """How a decoder gives the vectors that its readout reads."""

    network_: POYO
    _answer: Callable[..., np.ndarray]

    def transform(self, X: Any, times: Any = None, *, session_id: Any = None) -> np.ndarray:
        """Embed samples: the vector of each that the last, linear layer turns into behaviour.

        Vectors of different sessions lie in one space. Those of samples that the decoder was fitted on are fitted to
        their labels; in a pipeline, the step after it sees no such vectors of what is held out.

        Parameters
        ----------
        X, times, session_id
            As in `predict`.

        Returns
        -------
        ndarray, shape (n_samples, dim)
            Averaged over windows as predictions are, without unit of measure.

        Raises
        ------
        ValueError
            For an unknown session or units that were not there at fit.
        """
        return self._answer(embed_samples, X, times, session_id)

    @property
    def _n_features_out(self) -> int:
        return self.network_.config.dim
