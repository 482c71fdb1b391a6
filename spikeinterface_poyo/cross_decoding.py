"""Held-out decoding: every sample is decoded by a decoder that has seen neither it nor its neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from .estimator import POYODecoder
from .readout import MeasuredReadout
from .samples import SpikeSamples
from .splitters import BlockedKFold


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What blocked cross-validation decoded.

    Parameters
    ----------
    decoded : ndarray, shape (n_samples, n_outputs)
        Decoded behaviour of each sample, by the decoder of the fold that tests on it, in the target's unit of measure.
    fold : ndarray of int, shape (n_samples,)
        That fold.
    scores : ndarray, shape (n_folds,)
        R2 within each fold, uniform average over outputs; of angles, of their cosines and sines.
    score : float
        R2 of all samples together, likewise.
    decoders : list of POYODecoder
        The folds' decoders.
    """

    decoded: np.ndarray
    fold: np.ndarray
    scores: np.ndarray
    score: float
    decoders: list[POYODecoder]

    @property
    def readout(self) -> MeasuredReadout:
        """What the behaviour is."""
        return only_readout(self.decoders[-1])


def cross_decode(
    decoder: POYODecoder,
    X: SpikeSamples,
    y: np.ndarray,
    splitter: BlockedKFold,
    after_fit: Callable[[], object] | None = None,
) -> HeldOut:
    """Fit a clone of ``decoder`` on each fold's training part and decode its tested part.

    Parameters
    ----------
    decoder : POYODecoder
        Its parameters are used.
    X : SpikeSamples, shape (n_samples,)
        Samples.
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Targets; NaN is unknown.
    splitter : BlockedKFold
        Folds.
    after_fit : callable, optional
        Called after each fit.

    Raises
    ------
    KeyboardInterrupt
        For the first Ctrl-C: half of a cross-validation is of no use.
    """
    y = y.reshape(len(y), -1)
    decoded, fold = np.full(y.shape, np.nan), np.full(len(X), -1)
    decoders, scores = [], []
    for k, (train, test) in enumerate(splitter.split(X)):
        decoders.append(fit_or_interrupt(decoder, X[train], y[train]))
        decoded[test] = decoders[-1].predict(X[test]).reshape(len(test), -1)
        fold[test] = k
        scores.append(only_readout(decoders[-1]).score(y[test], decoded[test]))
        if after_fit is not None:
            after_fit()
    return HeldOut(decoded, fold, np.array(scores), only_readout(decoders[-1]).score(y, decoded), decoders)


def only_readout(decoder: POYODecoder) -> MeasuredReadout:
    """What a decoder of one session, which has one behaviour of numbers or angles, reads out."""
    (name,) = decoder.sessions_.sessions
    (readout,) = decoder.sessions_.readouts_of(name)
    assert isinstance(readout, MeasuredReadout)
    return readout


def fit_or_interrupt(decoder: POYODecoder, X: SpikeSamples, y: np.ndarray) -> POYODecoder:
    """A fitted clone; where Ctrl-C ended its training early, KeyboardInterrupt."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training was interrupted")
        fitted = clone(decoder).fit(X, y)
    if fitted.interrupted_:
        raise KeyboardInterrupt
    return fitted


def check_folds(X: SpikeSamples, y: np.ndarray, splitter: BlockedKFold) -> None:
    """Refuse folds that cannot be trained or scored.

    Raises
    ------
    ValueError
        Where a fold has no sample to train on, or an output has too few known targets on either side.
    """
    y = y.reshape(len(y), -1)
    for k, (train, test) in enumerate(splitter.split(X)):
        for part, name in ((train, "trains"), (test, "tests")):
            known = (~np.isnan(y[part])).sum(axis=0)
            if known.min() < 2:
                raise ValueError(
                    f"fold {k} of {splitter.n_splits} {name} on {len(part)} samples, of which output "
                    f"{int(known.argmin())} is known in {known.min()}; expected at least 2. Give more behaviour, fewer "
                    "folds or a shorter gap"
                )
