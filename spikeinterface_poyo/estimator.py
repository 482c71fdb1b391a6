"""`POYODecoder`: scikit-learn's fit and predict around the network."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .decoder.base import BasePOYO
from .decoder.errors import predict_interval, predict_std


class POYODecoder(BasePOYO, RegressorMixin, BaseEstimator):
    """Decode behaviour from spikes with POYO, trained from scratch on your sessions or adapted to them.

    Parameters
    ----------
    pretrained : str, path or None, default: None
        Weights to start from: what `save_pretrained` wrote (folder or its ``.safetensors`` file), a torch_brain
        checkpoint (``.ckpt``, ``.pt``, ``.pth``), an ``http(s)://`` address with an optional ``#sha256=...``, a name
        from `list_pretrained`, or a model hub's ``owner/name`` or ``owner/name@revision``. The network's shape is then
        theirs. None: from scratch.
    window_length : float or "auto", default: "auto"
        Seconds of spikes that the network reads at once. "auto" takes 2 to 4, longer windows for lower firing rates,
        and at least 3 for more than 1,000 spikes a second.
    causal : bool, default: False
        Read no spike later than the sample that is decoded.
    dim, depth, dim_head, cross_heads, self_heads : int, default: 64, 2, 32, 2, 4
        Width of the network, its layers of self-attention, the width of an attention head (a multiple of 4), and the
        heads of cross- and of self-attention.
    num_latents_per_step, n_latent_steps : int, default: 8, 8
        Latents at each of the steps that a window is divided into, and these steps.
    dropout : float, default: 0.1
        Share of residual activations dropped in training.
    unit_dropout : float or "auto", default: "auto"
        Each training window drops units at a rate drawn between 0 and this. "auto" is 0.2, and 0.4 where labels are all
        that is learned.
    learning_rate_init : float or "auto", default: "auto"
        Peak learning rate of AdamW; warm-up and cosine decay around it. "auto" is 2e-3, and 1e-3 where labels are all
        that is learned.
    alpha : float, default: 0.01
        Weight decay of the network's matrices, which Muon trains.
    class_weight : dict, "balanced" or None, default: None
        Weights of the classes of labels in the loss; "balanced" makes all classes count alike.
    warm_start : bool, default: False
        ``fit`` on a fitted decoder adapts what it has learned, as it does ``pretrained`` weights; sessions and units
        that it knows go on from where they are.
    batch_size : int or "auto", default: "auto"
        Windows a gradient step. "auto" is 16 to 32, more for more labels; fewer where they have over 100,000 tokens.
    max_iter : int or "auto", default: "auto"
        Iterations at most. One iteration is 50 gradient steps, or one pass over the samples' time if that is longer.
        "auto" takes 2 to 30, more for more spikes. Unit identification and the start of several sessions come on top.
    early_stopping : bool or "auto", default: "auto"
        Hold out blocks of the samples, keep the latest weights that score within 0.02 of the best on them, and stop
        when scores have been worse than that for long. "auto" does so from 15 minutes of labels on, or 9,000 rows of
        counts: with fewer, what is held out is missed more.
    validation_fraction : float, default: 0.1
        Share of the samples' time that is held out, in contiguous blocks.
    n_iter_no_change : int, default: 8
        Iterations of worse validation scores after which training stops.
    device : str, default: "auto"
        A device of torch, such as "cpu" or "cuda:1". "auto" is CUDA, else MPS where torch has complex numbers there,
        else the CPU.
    random_state : int, RandomState or None, default: None
        Two fits with one integer are the same bit for bit on one kind of device. NumPy's and
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
    origins_ : tuple of Origin
        Weights that training started from, as far as others may be told of them: `model_card` lists them.
    n_outputs_, n_iter_ : int
        Number of outputs (of the behaviour that has most) and of iterations run.
    loss_, best_loss_, loss_curve_ : float, float or None, list of float
        Training loss, standardised, one an iteration. ``best_loss_`` is None with early stopping.
    validation_scores_, best_validation_score_ : list of float or None, float or None
        One minus the loss relative to chance on the held-out blocks, of each iteration that was validated. For numbers
        that is one minus the squared error over the variance of all targets of the fit: R2 where the blocks vary as
        much.
    interrupted_ : bool
        Whether Ctrl-C ended training.
    training_stages_ : list of dict
        What each stage of training was: its name, gradient steps, iterations, and the settings that "auto" came to.
    calibration_ : dict
        What `calibrate` has learned, by session and behaviour.

    Notes
    -----
    Source of the network: Azabou et al., NeurIPS 2023 (arXiv 2310.16046). The recipe is ours.

    From scikit-learn 1.9 on, ``set_callbacks`` takes its callbacks: ``ProgressBar`` and ``ScoringMonitor`` are told of
    each iteration, and one that answers True ends the stage that training is in.

    Examples
    --------
    >>> from spikeinterface_poyo import load_mouse_head_direction
    >>> sorting, heading = load_mouse_head_direction()
    >>> decoder = POYODecoder(max_iter=1, random_state=0).fit(sorting, heading)
    >>> decoder.predict(sorting, times=[700.0, 701.0]).shape
    (2, 2)
    """

    def predict(self, X: Any, times: Any = None, *, session_id: Any = None, return_std: bool = False) -> Any:
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
        return_std : bool, default: False
            Give the standard deviation of the errors too, as `calibrate` has found them.

        Returns
        -------
        y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
            In the target's unit of measure; one-dimensional where the targets were. Where sessions have different
            behaviours, those with fewer outputs are NaN in the columns they lack. Behaviours that came by name are the
            fields of a structured array, as in `align`.
        std : ndarray
            Only with ``return_std``: of each value in ``y``, in its unit of measure; None for labels.

        Raises
        ------
        ValueError
            For an unknown session or units that were not there at fit, behaviour without a regular interval where
            ``times`` are omitted, and times far from the recording.
        NotFittedError
            Before `fit`; for a standard deviation before `calibrate`.

        Warns
        -----
        UserWarning
            Where units of the fit are missing, a clock is not that of the fit, or times lie outside the recording.
        """
        if not return_std:
            return super().predict(X, times, session_id=session_id)
        check_is_fitted(self, "network_")
        return self._answer(partial(predict_std, calibration=self.calibration_), X, times, session_id)

    def predict_interval(
        self, X: Any, times: Any = None, *, coverage: float = 0.9, session_id: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Intervals in which the true behaviour lies with probability ``coverage``; needs `calibrate`.

        Parameters
        ----------
        X, times, session_id
            As in `predict`.
        coverage : float, default: 0.9
            Share of samples that intervals hold, between 0 and 1; of each output by itself.

        Returns
        -------
        lower, upper : ndarray
            Ends of the intervals, each as `predict` gives behaviour; None for labels. Those of angles are up to half a
            turn below and above the decoded one: an angle lies inside if it does so after adding full turns. Infinite
            where ``calibrate`` had so few samples, n, that none tells of such a coverage: above n / (n + 1).

        Raises
        ------
        ValueError, TypeError
            For a coverage out of range or that is no number; else as in `predict`.
        NotFittedError
            Before `calibrate`.

        Examples
        --------
        >>> from spikeinterface_poyo import align, load_mouse_head_direction
        >>> X, y = align(*load_mouse_head_direction())
        >>> decoder = POYODecoder(max_iter=1, random_state=0).fit(X[:8000], y[:8000])
        >>> decoder = decoder.calibrate(X[8100:9000], y[8100:9000], cv="prefit")
        >>> lower, upper = decoder.predict_interval(X[9000:], coverage=0.9)
        >>> bool((lower < upper).all())
        True
        """
        check_is_fitted(self, "network_")
        check_scalar(coverage, "coverage", Real, min_val=0, max_val=1, include_boundaries="neither")
        if coverage != coverage:  # NaN is within any bounds
            raise ValueError("coverage must be a number between 0 and 1, got NaN")
        how = partial(predict_interval, calibration=self.calibration_, coverage=float(coverage))
        return self._answer(how, X, times, session_id)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
