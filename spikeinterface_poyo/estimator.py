"""`POYODecoder`: scikit-learn's fit and predict around the network."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import adaptation, door
from .alignment import as_sessions, is_one_sorting
from .counts import rows_as_samples
from .decoding import predict_samples, samples_to_decode
from .fitting import Labels, Learned, fit_from_scratch, keep, record_of
from .latents import LatentsMixin
from .pretrained import PretrainedMixin, load_pretrained
from .runtime import find_device
from .samples import SpikeSamples
from .scattered import warn_if_scattered
from .scoring import session_scores


class POYODecoder(PretrainedMixin, LatentsMixin, RegressorMixin, BaseEstimator):
    """Decode behaviour from spikes with POYO, trained from scratch on your sessions or adapted to them.

    Parameters
    ----------
    pretrained : str, path or None, default: None
        Weights to start from: what `save_pretrained` wrote (folder or its ``.safetensors`` file), a torch_brain
        checkpoint (``.ckpt``, ``.pt``), an ``http(s)://`` address with an optional ``#sha256=...``, a name from
        `list_pretrained`, or a model hub's ``owner/name``. The network's shape is then theirs. None: from scratch.
    window_length : float or "auto", default: "auto"
        Seconds of spikes that the network reads at once. "auto" takes longer windows for lower firing rates.
    causal : bool, default: False
        Read no spike later than the sample that is decoded.
    dim, depth, dim_head, cross_heads, self_heads : int
        Width of the network, its layers of self-attention, the width of an attention head (a multiple of 4), and the
        heads of cross- and of self-attention.
    num_latents_per_step, n_latent_steps : int
        Latents at each of the steps that a window is divided into.
    dropout : float, default: 0.1
        Share of residual activations dropped in training.
    unit_dropout : float, default: 0.2
        Each training window drops units at a rate drawn between 0 and this.
    learning_rate_init : float, default: 2e-3
        Peak learning rate of AdamW; warm-up and cosine decay around it.
    alpha : float, default: 0.01
        Weight decay.
    batch_size : int or "auto", default: "auto"
        Windows a gradient step. "auto" is 16 to 32, more for more labels; fewer where they have over 100,000 tokens.
    max_iter : int or "auto", default: "auto"
        Iterations at most. One iteration is 50 gradient steps, or one pass over the samples' time if that is longer.
        "auto" takes 6 to 30, more for more spikes. Unit identification and the start of several sessions come on top.
    early_stopping : bool or "auto", default: "auto"
        Hold out blocks of the samples, keep the latest weights that score within 0.02 of the best on them, and stop
        when scores have been worse than that for long. "auto" does so from 15 minutes of labels on: with fewer, what is
        held out is missed more.
    validation_fraction : float, default: 0.1
        Share of the samples' time that is held out, in contiguous blocks.
    n_iter_no_change : int, default: 8
        Iterations of worse validation scores after which training stops.
    device : str, default: "auto"
        "auto" is CUDA, else MPS, else the CPU.
    random_state : int, RandomState or None, default: None
        Two fits with one integer are the same bit for bit on one device with one number of threads. NumPy's and
        torch's global generators are left alone.
    checkpoint : path or None, default: None
        File that keeps the state of training, a minute old at most: the same fit goes on from there. See the guide.
    verbose : bool, default: False
        Show a progress bar.

    Attributes
    ----------
    network_ : POYO
        The trained network.
    sessions_ : Vocabulary
        Sessions and units with their embedding rows; behaviours with their units of measure, standardisation and
        columns of the readout.
    n_outputs_, n_iter_ : int
        Number of outputs (of the behaviour that has most) and of iterations run.
    loss_, best_loss_, loss_curve_ : float, float or None, list of float
        Training loss, standardised, one an iteration. ``best_loss_`` is None with early stopping.
    validation_scores_, best_validation_score_ : list of float or None, float or None
        R2 on the held-out blocks, one an iteration.
    interrupted_ : bool
        Whether Ctrl-C ended training.

    Notes
    -----
    Source of the network: Azabou et al., NeurIPS 2023 (arXiv 2310.16046). The recipe is ours.

    Examples
    --------
    >>> from spikeinterface_poyo import load_mouse_head_direction
    >>> sorting, heading = load_mouse_head_direction()
    >>> decoder = POYODecoder(max_iter=1, random_state=0).fit(sorting, heading)
    >>> decoder.predict(sorting, times=[700.0, 701.0]).shape
    (2, 2)
    """

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
        unit_dropout: float = 0.2,
        learning_rate_init: float = 2e-3,
        alpha: float = 0.01,
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
        sample_weight: Any = None,
    ) -> POYODecoder:
        """Train on samples, or on a sorting and its behaviour; with ``pretrained``, adapt those weights to them.

        Parameters
        ----------
        X : SpikeSamples, sorting, list of sortings, or array_like of shape (n_samples, n_units)
            Anything that `align` takes; an array holds counts, each row read by itself.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs), or behaviour signal(s)
            Targets; NaN is unknown and has no part in the loss.
        session_id : str or list of str, optional
            Names of the sessions; ``session_0``, ``session_1``, ... where omitted.
        behavior_name : str or list of str, optional
            Name of the behaviour, or one a session; see `align`.
        epochs : epochs, list of epochs, or list of lists, optional
            Of a sorting and its behaviour, only samples inside count; see `align`.
        sample_weight : array_like of shape (n_samples,), optional
            Weight of each sample in the loss.

        Returns
        -------
        POYODecoder
            Itself, fitted; it knows these sessions only.

        Raises
        ------
        ValueError
            For input that cannot be trained on, before any training: see the message.

        Warns
        -----
        UserWarning
            Where samples are scattered as by a shuffled splitter, whose scores are too high.
        """
        door.check_parameters(self)
        X, y = self._enter(X, y, session_id, behavior_name, epochs, reset=True)
        warn_if_scattered(X)
        names = {int(position): X.session_name(position) for position in np.unique(X.session_index)}
        labels = Labels.of(X, y, sample_weight, names)
        if self.pretrained is None:
            learned, record = fit_from_scratch(self, labels)
        else:
            learned, record = adaptation.adapt(self, load_pretrained(self.pretrained), labels)
        keep(self, learned, record)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        session_id: Any = None,
        behavior_name: Any = None,
        epochs: Any = None,
        sample_weight: Any = None,
        adapt: Literal["units", "all"] = "units",
    ) -> POYODecoder:
        """Go on from where the decoder is: add new sessions, or train one more iteration on known ones.

        New sessions are added by unit identification: their unit and session embeddings are learned, and a readout
        where the behaviour is new, and all else stays, so that what known sessions decode to is bit for bit the same.
        Known sessions train all weights. A decoder that is not fitted starts from ``pretrained``, or is fitted.

        Parameters
        ----------
        X, y, behavior_name, epochs, sample_weight
            As in `fit`.
        session_id : str or list of str, optional
            Names of the sessions. Where omitted, they are new (``session_<k>``, the next that is free), except that an
            array of counts is always of the same session.
        adapt : {"units", "all"}, default: "units"
            "all" trains all weights on the new sessions after unit identification. Older sessions then change.

        Returns
        -------
        POYODecoder
            Itself. If anything fails it is as it was.

        Raises
        ------
        ValueError
            Where new and known sessions are mixed, a known session has new units, or a behaviour is not what it was
            under its name.
        """
        door.check_parameters(self)
        if adapt not in ("units", "all"):
            raise ValueError(f"adapt must be 'units' or 'all', got {adapt!r}")
        if not hasattr(self, "network_"):
            if self.pretrained is None:
                options = {"session_id": session_id, "behavior_name": behavior_name, "sample_weight": sample_weight}
                return self.fit(X, y, epochs=epochs, **options)
            learned = load_pretrained(self.pretrained)
        else:
            learned = Learned(self.network_, self.sessions_)
        X, y = self._enter(X, y, session_id, behavior_name, epochs, reset=not hasattr(self, "network_"))
        names = learned.vocabulary.names_to_learn(X)
        labels = Labels.of(X, y, sample_weight, names)
        learned, record = adaptation.learn_more(self, learned, labels, adapt)
        if hasattr(self, "network_"):
            record = record_of(self).followed_by(record)
        keep(self, learned, record)
        return self

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
            In the target's unit of measure; one-dimensional where the targets were. Where sessions have different
            behaviours, those with fewer outputs are NaN in the columns they lack.

        Raises
        ------
        ValueError
            For an unknown session or units that were not there at fit.
        """
        return self._predict_samples(self._enter_for_prediction(X, times, session_id))

    def decode(self, X: Any, times: Any = None, *, session_id: Any = None) -> Any:
        """`predict`, as neo signals that carry the target's unit of measure and channel names.

        Returns
        -------
        neo.AnalogSignal, neo.IrregularlySampledSignal, or list of them
            Regular without ``times``, irregular with; a list where there are several segments.
        """
        from .neo_out import to_neo

        samples = self._enter_for_prediction(X, times, session_id)
        values = self._predict_samples(samples).reshape(len(samples), -1)
        on_grid = times is None and not isinstance(X, SpikeSamples)
        names = self._names(samples)
        known = [self.sessions_.sessions[name] for name in names]
        intervals = [session.sample_interval for session in known] if on_grid else None
        return to_neo(samples, values, [self.sessions_.readout_of(name) for name in names], intervals)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, session_id: Any = None, epochs: Any = None) -> float:
        """R2, averaged over outputs, then over sessions; NaN targets do not count, nor samples outside ``epochs``."""
        check_is_fitted(self, "network_")
        behavior_name = None
        if not (door.is_array(X) or isinstance(X, SpikeSamples)):
            sessions = as_sessions(X, session_id)  # read once: a sorting may be large
            X, session_id = sessions[0] if is_one_sorting(X) else sessions, None
            behavior_name = self.sessions_.behavior_names(sessions)
        X, y = self._enter(X, y, session_id, behavior_name, epochs, reset=False, leave_out=False)
        names = self._names(X)
        used = {int(position): names[position] for position in np.unique(X.session_index)}
        true = self.sessions_.in_units(X, y.reshape(len(y), -1), used)
        predicted = self._predict_samples(X).reshape(len(y), -1)
        return float(np.mean(session_scores(true, predicted, np.array(names)[X.session_index], sample_weight)))

    def _enter(
        self, X: Any, y: Any, session_id: Any, behavior_name: Any, epochs: Any, *, reset: bool, leave_out: bool = True
    ) -> tuple[SpikeSamples, np.ndarray]:
        """The one door for training and scoring: raw inputs are aligned, arrays become rows, ``y`` is checked."""
        if door.is_array(X):
            X = self._rows(X, reset)
        elif reset:  # an earlier fit may have been on an array
            self.__dict__.pop("n_features_in_", None)
            self.__dict__.pop("feature_names_in_", None)
        return door.samples_and_targets(X, y, session_id, behavior_name, epochs, leave_out)

    def _enter_for_prediction(self, X: Any, times: Any, session_id: Any) -> SpikeSamples:
        check_is_fitted(self, "network_")
        if door.is_array(X):
            return self._rows(X, reset=False)
        if not isinstance(X, SpikeSamples):
            return samples_to_decode(self.sessions_, as_sessions(X, session_id), times)
        if times is not None or session_id is not None:
            raise ValueError("SpikeSamples have their own times and sessions; times= and session_id= are for sortings")
        return X

    def _rows(self, X: Any, reset: bool) -> SpikeSamples:
        counts = validate_data(self, X, reset=reset, dtype=np.float64)
        return rows_as_samples(counts, getattr(self, "feature_names_in_", None))

    def _names(self, X: SpikeSamples) -> list[str]:
        return self.sessions_.resolve(X.sessions, np.unique(X.session_index))

    def _predict_samples(self, X: SpikeSamples) -> np.ndarray:
        self.network_.to(find_device(self.device))
        return predict_samples(self.network_, self.sessions_, X, self._names(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.required = True
        tags.input_tags.positive_only = True
        return tags
