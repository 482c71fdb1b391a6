"""`POYODecoder`: scikit-learn's fit and predict around the network."""

from __future__ import annotations

import copy
from os import PathLike
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import door, weights
from .alignment import as_sessions, grid_samples
from .behavior_in import rescale
from .counts import rows_as_samples
from .defaults import choose_network, choose_training
from .initialisation import attend_to_near_times
from .network import POYO
from .prediction import predict_block
from .runtime import find_device, generator
from .samples import SpikeSamples, TargetInfo
from .scoring import session_scores
from .training import TrainingRecord, train
from .training_data import TrainingData, hold_out
from .vocabulary import Vocabulary, regular_interval


class POYODecoder(RegressorMixin, BaseEstimator):
    """Decode behaviour from spikes with POYO, trained from scratch on your sessions.

    Parameters
    ----------
    window_length : float or "auto", default: "auto"
        Seconds of spikes that the network reads at once. "auto" takes longer windows for lower firing rates, see
        `choose_window_length`.
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
        Windows a gradient step. "auto" is 32, fewer where they would hold more than 100,000 tokens.
    max_iter : int or "auto", default: "auto"
        Iterations at most. One iteration is 50 gradient steps, or one pass over the samples' time if that is longer.
        "auto" takes 6 to 30, more for more spikes.
    early_stopping : bool, default: True
        Hold out blocks of the samples, keep the latest weights that score within 0.02 of the best on them, and stop
        when scores have been worse than that for long.
    validation_fraction : float, default: 0.1
        Share of the samples' time that is held out, in contiguous blocks.
    n_iter_no_change : int, default: 8
        Iterations of worse validation scores after which training stops.
    device : str, default: "auto"
        "auto" is CUDA, else MPS, else the CPU.
    random_state : int, RandomState or None, default: None
        Two fits with one integer are the same bit for bit on one device with one number of threads. NumPy's and
        torch's global generators are left alone.
    verbose : bool, default: False
        Show a progress bar.

    Attributes
    ----------
    network_ : POYO
        The trained network.
    sessions_ : Vocabulary
        Sessions and units with their embedding rows.
    target_mean_, target_scale_ : ndarray, shape (n_outputs,)
        Standardisation of the targets.
    target_units_, target_names_ : str or None, tuple of str or None
        Unit of measure and names of the outputs, where the behaviour signal gave them.
    n_outputs_, n_iter_ : int
        Number of outputs and of iterations run.
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
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 8,
        device: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
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
        self.verbose = verbose

    def fit(self, X: Any, y: Any, *, session_id: Any = None, sample_weight: Any = None) -> POYODecoder:
        """Train on samples, or on a sorting and its behaviour.

        Parameters
        ----------
        X : SpikeSamples, sorting, list of sortings, or array_like of shape (n_samples, n_units)
            Anything that `align` takes; an array holds counts, each row read by itself.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs), or behaviour signal(s)
            Targets; NaN is unknown and has no part in the loss.
        session_id : str or list of str, optional
            Names of the sessions; ``session_0``, ``session_1``, ... where omitted.
        sample_weight : array_like of shape (n_samples,), optional
            Weight of each sample in the loss.

        Returns
        -------
        POYODecoder
            Itself, fitted.

        Raises
        ------
        ValueError
            For input that cannot be trained on, before any training: see the message.
        """
        door.check_parameters(self)
        X, y = self._enter(X, y, session_id, reset=True)
        sample_weight = door.check_sample_weight(sample_weight, len(X))
        known = Vocabulary()
        used = np.unique(X.session_index)
        for position in used:
            known.add(X.session_name(position), X.sessions[position], regular_interval(X, position))
        config = choose_network(self, X, 1 if y.ndim == 1 else y.shape[1])
        targets = y.reshape(len(y), -1)
        mean, scale = door.standardisation(targets, sample_weight)
        rng = generator(self.random_state)
        device = find_device(self.device)
        data = TrainingData.build(X, known, config, (targets - mean) / scale, sample_weight)
        trained, held_out = data, None
        if self.early_stopping:
            trained, held_out = hold_out(data, self.validation_fraction, config.window_length)
        settings = choose_training(self, X, trained, config, device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(int(rng.integers(2**63)))
            network = POYO(config, known.n_unit_rows, known.n_session_rows)
            attend_to_near_times(network)
            network.to(device)
            validate = None if held_out is None else lambda: held_out.score(network)
            record = train(network, trained.source(config, device), settings, rng, validate)
        self.network_, self.sessions_ = network, known
        self.target_mean_, self.target_scale_ = mean, scale
        self.target_units_, self.target_names_ = X.target.units, X.target.names
        self.n_outputs_ = targets.shape[1]
        self._flat_target = y.ndim == 1
        self._keep_record(record)
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
            In the target's unit of measure; one-dimensional where the targets were.

        Raises
        ------
        ValueError
            For an unknown session or units that were not there at fit.
        """
        check_is_fitted(self, "network_")
        return self._predict_samples(self._enter_for_prediction(X, times, session_id))

    def decode(self, X: Any, times: Any = None, *, session_id: Any = None) -> Any:
        """`predict`, as neo signals that carry the target's unit of measure and channel names.

        Returns
        -------
        neo.AnalogSignal, neo.IrregularlySampledSignal, or list of them
            Regular without ``times``, irregular with; a list where there are several segments.
        """
        from .neo_out import to_neo

        check_is_fitted(self, "network_")
        samples = self._enter_for_prediction(X, times, session_id)
        values = self._predict_samples(samples).reshape(len(samples), -1)
        on_grid = times is None and not isinstance(X, SpikeSamples)
        known = [self.sessions_.sessions[name] for name in self._names(samples)]
        intervals = [session.sample_interval for session in known] if on_grid else None
        return to_neo(samples, values, self.target_units_, self.target_names_, intervals)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, session_id: Any = None) -> float:
        """R2 of the prediction: uniform average over outputs, then over sessions. NaN targets do not count."""
        check_is_fitted(self, "network_")
        X, y = self._enter(X, y, session_id, reset=False)
        if X.target.units is not None:
            y = rescale(y, X.target.units, self.target_units_, "the behaviour to score against")
        names = np.array(self._names(X))[X.session_index]
        return float(np.mean(session_scores(y, self._predict_samples(X), names, sample_weight)))

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Save to a folder: weights as safetensors, the rest as JSON. Written aside, then moved into place."""
        check_is_fitted(self, "network_")
        weights.save(self, folder)

    @classmethod
    def from_pretrained(cls, folder: str | PathLike[str], device: str = "auto") -> POYODecoder:
        """Load what `save_pretrained` wrote; nothing is unpickled."""
        return weights.load(cls, folder, device)

    def _enter(self, X: Any, y: Any, session_id: Any, reset: bool) -> tuple[SpikeSamples, np.ndarray]:
        """The one door for training and scoring: raw inputs are aligned, arrays become rows, ``y`` is checked."""
        if door.is_array(X):
            X = self._rows(X, reset)
        elif reset:  # an earlier fit may have been on an array
            self.__dict__.pop("n_features_in_", None)
            self.__dict__.pop("feature_names_in_", None)
        target = None if reset else TargetInfo(self.target_units_, self.target_names_)
        return door.samples_and_targets(X, y, session_id, target)

    def _enter_for_prediction(self, X: Any, times: Any, session_id: Any) -> SpikeSamples:
        if door.is_array(X):
            return self._rows(X, reset=False)
        if isinstance(X, SpikeSamples):
            if times is not None or session_id is not None:
                raise ValueError("SpikeSamples have their own times and sessions; times= and session_id= are for "
                                 "sortings")  # fmt: skip
            return X
        sessions = as_sessions(X, session_id)
        if times is None:
            times = self._grid(sessions)
        return grid_samples(sessions, times)

    def _grid(self, sessions: list[Any]) -> list[np.ndarray]:
        names = self.sessions_.resolve(sessions, range(len(sessions)))
        grids = []
        for session, name in zip(sessions, names, strict=True):
            interval = self.sessions_.sessions[name].sample_interval
            if interval is None:
                raise ValueError(f"the targets of session {name!r} were irregular at fit; give times= to predict at")
            for segment in session.segments:
                if segment.t_start > segment.t_stop:
                    raise ValueError(f"a segment of {name!r} has neither spikes nor a recording; give times=")
                n_samples = int(np.floor((segment.t_stop - segment.t_start) / interval * (1 + 1e-12))) + 1
                grids.append(segment.t_start + interval * np.arange(n_samples))
        return grids

    def _rows(self, X: Any, reset: bool) -> SpikeSamples:
        counts = validate_data(self, X, reset=reset, dtype=np.float64)
        return rows_as_samples(counts, getattr(self, "feature_names_in_", None))

    def _names(self, X: SpikeSamples) -> list[str]:
        return self.sessions_.resolve(X.sessions, np.unique(X.session_index))

    def _predict_samples(self, X: SpikeSamples) -> np.ndarray:
        names = self._names(X)
        out = np.empty((len(X), self.n_outputs_))
        self.network_.to(find_device(self.device))
        for position in np.unique(X.session_index):
            self.sessions_.check(X.sessions[position], names[position])
        for position, segment, order in X.blocks():
            session = X.sessions[position]
            block = self.sessions_.block(session, segment, names[position], self.network_.config)
            out[order] = predict_block(self.network_, block, X.times[order], session.isolated_rows)
        out = out * self.target_scale_ + self.target_mean_
        return out[:, 0] if self._flat_target else out

    def _keep_record(self, record: TrainingRecord) -> None:
        self.n_iter_ = len(record.losses)
        self.loss_curve_ = record.losses
        self.loss_ = record.losses[-1] if record.losses else np.nan
        self.best_loss_ = None if self.early_stopping else min(record.losses, default=np.nan)
        self.validation_scores_ = record.scores if self.early_stopping else None
        self.best_validation_score_ = max(record.scores, default=np.nan) if self.early_stopping else None
        self.interrupted_ = record.interrupted

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "network_" in state:  # so that a decoder trained on a GPU unpickles anywhere
            state["network_"] = copy.deepcopy(state["network_"]).cpu()
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.required = True
        tags.input_tags.positive_only = True
        return tags
