"""What `POYODecoder` and `POYOClassifier` share: parameters, training, and the door for what they are given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from .. import door
from ..fitted.calibration import Calibration
from ..fitted.learned import Learned, keep, learned_of, record_of
from ..inputs.spikes_in import as_sessions, is_one_sorting
from ..parameters import check_parameters
from ..readouts.readout import Readout
from ..readouts.targets import Targets
from ..sessions.samples import SpikeSamples
from ..sessions.scattered import warn_if_scattered
from ..training import adaptation
from ..training.callbacks import CallbackSupportMixin, watch_fit, with_callbacks
from ..training.examples import Examples
from ..weights.pretrained import PretrainedMixin, load_pretrained
from .calibrating import CalibratingMixin
from .latents import LatentsMixin
from .predicting import PredictingMixin

if TYPE_CHECKING:
    from typing_extensions import Self


class BasePOYO(PretrainedMixin, PredictingMixin, LatentsMixin, CalibratingMixin, CallbackSupportMixin):
    """Spikes in, POYO, behaviour out; see `POYODecoder` for the parameters. Goes before scikit-learn's own classes."""

    def __init__(
        self,
        *,
        pretrained: Any = None,
        window_length: float | Literal["auto"] = "auto",
        causal: bool = False,
        dim: int = 64,
        depth: int = 2,
        dim_head: int = 32,
        cross_heads: int = 2,
        self_heads: int = 4,
        num_latents_per_step: int = 8,
        n_latent_steps: int = 8,
        dropout: float = 0.1,
        unit_dropout: float | Literal["auto"] = "auto",
        learning_rate_init: float | Literal["auto"] = "auto",
        alpha: float = 0.01,
        class_weight: Any = None,
        warm_start: bool = False,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int | Literal["auto"] = "auto",
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 8,
        device: str = "auto",
        random_state: Any = None,
        checkpoint: Any = None,
        verbose: bool = False,
    ) -> None:
        self.pretrained = pretrained
        self.window_length = window_length
        self.causal = causal
        self.dim = dim
        self.depth = depth
        self.dim_head = dim_head
        self.cross_heads = cross_heads
        self.self_heads = self_heads
        self.num_latents_per_step = num_latents_per_step
        self.n_latent_steps = n_latent_steps
        self.dropout = dropout
        self.unit_dropout = unit_dropout
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        session_id: Any = None,
        behavior_name: Any = None,
        epochs: Any = None,
        behavior_type: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Train on samples, or on a sorting and its behaviour; with ``pretrained``, adapt those weights to them.

        Parameters
        ----------
        X : SpikeSamples, sorting, list of sortings, or array_like of shape (n_samples, n_units)
            Anything that `align` takes; an array holds counts, each row read by itself.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs), structured array, or behaviour signal(s)
            Targets; NaN is unknown and has no part in the loss. Several behaviours come by name: see `align`.
        session_id : str or list of str, optional
            Names of the sessions; ``session_0``, ``session_1``, ... where omitted.
        behavior_name : str or list of str, optional
            Name of the behaviour, or one a session; see `align`.
        epochs : epochs, list of epochs, or list of lists, optional
            Of a sorting and its behaviour, only samples inside count; see `align`.
        behavior_type : str, tuple, or dict of them by name, optional
            "continuous", "circular" or "categorical"; see `align`.
        sample_weight : array_like of shape (n_samples,), optional
            Weight of each sample in the loss.

        Returns
        -------
        Self
            Itself, fitted; it knows these sessions only.

        Raises
        ------
        ValueError, TypeError
            For input or parameters that cannot be trained with, before any training: see the message.
        FileNotFoundError, ConnectionError
            Where ``pretrained`` weights are not there.
        OSError
            Where no ``checkpoint`` can be written.

        Warns
        -----
        UserWarning
            Where samples are scattered as by a shuffled splitter, whose scores are too high.
        """
        return self._fit(X, y, door.RawInputs(session_id, behavior_name, epochs, behavior_type), sample_weight)

    @with_callbacks
    def _fit(self, X: Any, y: Any, raw_inputs: door.RawInputs, sample_weight: Any) -> Self:
        check_parameters(self)
        base, same = self._base()
        X, y, raw_inputs = door.aligned(X, y, raw_inputs)  # before callbacks, which score what they are told
        with door.features_as_before_on_failure(self):
            given = self._enter(X, y, raw_inputs, {} if base is None else base.vocabulary.readouts, reset=True)
            warn_if_scattered(given.X)
            names = {position: given.X.session_name(position) for position, _ in given.X.by_session()}
            examples = Examples.of(given, sample_weight, names)
            watch = watch_fit(self, X, y, sample_weight)
            keep(self, *adaptation.learn(self, base, examples, same, watch))
            if same is None:
                self._sessions_of_weights = ()
        if watch is not None:
            watch.end()
        return self

    def _base(self) -> tuple[Learned | None, Collection[str] | None]:
        """What `fit` starts from, and the sessions that it is known to know; None where their names must tell."""
        if self.warm_start and hasattr(self, "network_"):
            return learned_of(self).as_start(None), list(self.sessions_.sessions)
        return None if self.pretrained is None else load_pretrained(self.pretrained), None

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        session_id: Any = None,
        behavior_name: Any = None,
        epochs: Any = None,
        behavior_type: Any = None,
        sample_weight: Any = None,
        adapt: Literal["units", "all"] = "units",
    ) -> Self:
        """Go on from where the decoder is: add new sessions, or train one more iteration on known ones.

        New sessions are added by unit identification: their unit and session embeddings are learned, and a readout
        where the behaviour is new, and all else stays, so that what known sessions decode to is bit for bit the same.
        Known sessions train all weights. A decoder that is not fitted starts from ``pretrained``, or is fitted.
        Behaviours that are known stay in the unit of measure that they have.

        Parameters
        ----------
        X, y, behavior_name, epochs, behavior_type, sample_weight
            As in `fit`.
        session_id : str or list of str, optional
            Names of the sessions. Where omitted, they are new (``session_<k>``, the next that is free), except that an
            array of counts is always of the same session, and samples of several sessions bear their ``session_ids``.
        adapt : {"units", "all"}, default: "units"
            "all" trains all weights on the new sessions after unit identification. Older sessions then change.

        Returns
        -------
        Self
            Itself. If anything fails it is as it was.

        Raises
        ------
        ValueError
            Where new and known sessions are mixed, a known session has new units, or a behaviour is not what it was
            under its name.
        """
        raw_inputs = door.RawInputs(session_id, behavior_name, epochs, behavior_type)
        return self._partial_fit(X, y, raw_inputs, sample_weight, adapt)

    def _partial_fit(
        self, X: Any, y: Any, raw_inputs: door.RawInputs, sample_weight: Any, adapt: Literal["units", "all"]
    ) -> Self:
        check_parameters(self)
        if adapt not in ("units", "all"):
            raise ValueError(f"adapt must be 'units' or 'all', got {adapt!r}")
        is_first = not hasattr(self, "network_")
        if is_first and self.pretrained is None:
            return self._fit(X, y, raw_inputs, sample_weight)
        learned = load_pretrained(self.pretrained) if is_first else learned_of(self)
        known = list(learned.vocabulary.sessions)
        with door.features_as_before_on_failure(self):
            given = self._enter(X, y, raw_inputs, learned.vocabulary.readouts, reset=is_first)
            numbered = not is_first and isinstance(X, SpikeSamples) and len(X.sessions) > 1
            examples = Examples.of(given, sample_weight, learned.vocabulary.names_to_learn(given.X, numbered))
            is_new = not set(examples.names.values()) <= set(learned.vocabulary.sessions)
            if is_new:
                learned, record = adaptation.add_sessions(self, learned, examples, adapt)
            else:
                learned, record = adaptation.go_on(self, learned, examples)
        # Where only new units are learned, known sessions are decoded as before, and their errors stay what they were.
        calibration: Calibration = self.calibration_ if is_new and adapt == "units" and not is_first else {}
        if not is_first:
            record = record_of(self).followed_by(record)
        keep(self, learned, record)
        self.calibration_ = calibration
        if is_first:
            self._sessions_of_weights = known
        return self

    def _enter(
        self, X: Any, y: Any, raw: door.RawInputs, known: Mapping[str, Readout], *, reset: bool, leave_out: bool = True
    ) -> Targets:
        """The one door for training and scoring: raw inputs are aligned, arrays become rows, ``y`` is checked."""
        if not door.holds_spikes(X):
            X = door.rows_of_counts(self, X, reset)
        elif reset:  # an earlier fit may have been on an array
            door.forget_features(self)
        return door.samples_and_targets(X, y, raw, known, is_classifier(self), leave_out, fixed=not reset)

    def _enter_known(self, X: Any, y: Any, session_id: Any, epochs: Any, leave_out: bool) -> Targets:
        """The door for targets of known sessions."""
        check_is_fitted(self, "network_")
        behavior_name = None
        if door.holds_spikes(X) and not isinstance(X, SpikeSamples):
            sessions = as_sessions(X, session_id)  # read once: a sorting may be large
            X, session_id = sessions[0] if is_one_sorting(X) else sessions, None
            behavior_name = self.sessions_.behavior_names(sessions)
        raw_inputs = door.RawInputs(session_id, behavior_name, epochs)
        return self._enter(X, y, raw_inputs, self.sessions_.readouts, reset=False, leave_out=leave_out)

    def __sklearn_tags__(self) -> Any:
        estimator: Any = super()  # scikit-learn's
        tags = estimator.__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.positive_only = True
        return tags
