"""scikit-learn's callbacks, from 1.9 on: a fit tells them of its stages, and of the iterations in each.

So ``decoder.set_callbacks(ScoringMonitor(scoring="r2"))`` works, alone and inside a search; a ``ProgressBar`` is set on
the outermost estimator. A callback that answers True at the end of an iteration ends the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .state import TrainingState

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9 has none

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for scikit-learn's where there is none."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Leave the method as it is."""
        return method


class FitWatch:
    """The callbacks of one fit.

    Parameters
    ----------
    decoder : POYODecoder or POYOClassifier
        Whose fit it is.
    X, y, sample_weight
        What it was given.
    """

    def __init__(self, decoder: Any, X: Any, y: Any, sample_weight: Any) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.told = {"estimator": decoder, "X": X, "y": y, "metadata": metadata}
        self.context = decoder._init_callback_context(max_subtasks=None)  # stages, which are not known yet
        self.context.call_on_fit_task_begin(**self.told)

    @contextmanager
    def stage(
        self, name: str, n_iterations: int, fitted: Callable[[TrainingState], dict[str, Any]]
    ) -> Iterator[StageWatch]:
        """Context of a stage; ``fitted`` makes the attributes that the decoder would have if training ended now."""
        context = self.context.subcontext(task_name=name, max_subtasks=n_iterations)
        context.call_on_fit_task_begin(**self.told)
        yield StageWatch(self, context, fitted)
        context.call_on_fit_task_end(**self.told)

    def end(self) -> None:
        """Tell that the decoder is fitted."""
        self.context.call_on_fit_task_end(**self.told, reconstruction_attributes={})


class StageWatch:
    """The callbacks of one stage of a fit, told of its iterations."""

    def __init__(self, fit: FitWatch, context: Any, fitted: Callable[[TrainingState], dict[str, Any]]) -> None:
        self.fit, self.context, self.fitted = fit, context, fitted
        self.iteration: Any = None

    def begin(self) -> None:
        """Tell that an iteration begins, unless one is under way."""
        if self.iteration is None:
            self.iteration = self.context.subcontext(task_name="iteration")
            self.iteration.call_on_fit_task_begin(**self.fit.told)

    def end(self, state: TrainingState) -> bool:
        """Tell that it has ended; whether the stage is to end too."""
        ended, self.iteration = self.iteration, None
        so_far = partial(self.fitted, state)
        return bool(ended.call_on_fit_task_end(**self.fit.told, reconstruction_attributes=so_far))


def watch_fit(decoder: Any, X: Any, y: Any, sample_weight: Any) -> FitWatch | None:
    """Callbacks of a fit that begins, where the decoder has any."""
    return FitWatch(decoder, X, y, sample_weight) if getattr(decoder, "_skl_callbacks", None) else None
