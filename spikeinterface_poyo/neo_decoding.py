"""`decode` of `POYODecoder` and `POYOClassifier`: what `predict` says, as neo objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import door
from .decoding import predict_samples
from .learned import Learned
from .neo_out import to_neo
from .samples import SpikeSamples
from .vocabulary import Vocabulary


class NeoMixin:
    """How a decoder gives neo objects."""

    sessions_: Vocabulary
    _enter_for_prediction: Callable[[Any, Any, Any], SpikeSamples]
    _learned: Callable[[], Learned]
    _names: Callable[[SpikeSamples], Mapping[int, str]]

    def decode(self, X: Any, times: Any = None, *, session_id: Any = None) -> Any:
        """`predict`, as neo objects that carry the target's unit of measure and channel names.

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
        if door.is_array(X):
            raise ValueError("rows of counts have no times, which a neo signal needs: predict decodes them, and "
                             "from_counts(counts, times, bin_size) makes a session that decode takes")  # fmt: skip
        names = self._names(samples)
        values = predict_samples(self._learned(), samples, names)
        on_grid = times is None and not isinstance(X, SpikeSamples)
        return to_neo(samples, values, self.sessions_, names, on_grid)
