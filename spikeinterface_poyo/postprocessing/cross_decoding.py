"""Held-out decoding: every sample is decoded by a decoder that has seen neither it nor its neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from ..decoder.base import BasePOYO
from ..pipelines.splitters import BlockedKFold
from ..readouts.number_readouts import CircularReadout, in_one_turn
from ..readouts.readout import Readout
from ..readouts.targets import as_columns
from ..sessions.samples import SpikeSamples
from ..sessions.signals import n_outputs_of


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What blocked cross-validation decoded.

    Parameters
    ----------
    targets : ndarray, shape (n_samples, n_outputs)
        Behaviour of each sample; labels as codes. NaN is unknown.
    decoded : ndarray, shape (n_samples, n_outputs)
        Decoded behaviour of each sample, by the decoder of the fold that tests on it, in the target's unit of measure.
    fold : ndarray of int, shape (n_samples,)
        That fold.
    scores : ndarray, shape (n_folds,)
        R2 within each fold, uniform average over outputs; of angles, of their cosines and sines; of labels, accuracy.
    score : float
        The same of all samples together.
    decoders : list of POYODecoder or POYOClassifier
        The folds' decoders.
    """

    targets: np.ndarray
    decoded: np.ndarray
    fold: np.ndarray
    scores: np.ndarray
    score: float
    decoders: list[BasePOYO]

    @property
    def readout(self) -> Readout:
        """What the behaviour is."""
        return only_readout(self.decoders[-1])


def cross_decode(
    decoder: BasePOYO,
    X: SpikeSamples,
    y: np.ndarray,
    splitter: BlockedKFold,
    after_fit: Callable[[], object] | None = None,
) -> HeldOut:
    """Fit a clone of ``decoder`` on each fold's training part and decode its tested part.

    Parameters
    ----------
    decoder : POYODecoder or POYOClassifier
        Its parameters are used.
    X : SpikeSamples, shape (n_samples,)
        Samples.
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Targets, as ``decoder.fit`` takes them.
    splitter : BlockedKFold
        Folds.
    after_fit : callable, optional
        Called after each fit.

    Raises
    ------
    KeyboardInterrupt
        For the first Ctrl-C: half of a cross-validation is of no use.
    """
    decoded, fold = np.full((len(X), n_outputs_of(y)), np.nan), np.full(len(X), -1)
    decoders, scores = [], []
    for k, (train, test) in enumerate(splitter.split(X)):
        decoders.append(fit_or_interrupt(decoder, X[train], y[train]))
        readout = only_readout(decoders[-1])
        decoded[test] = as_columns(readout, decoders[-1].predict(X[test]))
        fold[test] = k
        scores.append(readout.score(as_columns(readout, y[test]), decoded[test]))
        if after_fit is not None:
            after_fit()
    targets = as_columns(readout, y)
    if isinstance(readout, CircularReadout):  # some folds may have had no negative angles to learn from
        decoded = in_one_turn(decoded, np.nanmin(targets), readout.period)
    return HeldOut(targets, decoded, fold, np.array(scores), readout.score(targets, decoded), decoders)


def only_readout(decoder: BasePOYO) -> Readout:
    """What a decoder of one session, which has one behaviour, reads out."""
    (name,) = decoder.sessions_.sessions
    (readout,) = decoder.sessions_.readouts_of(name)
    return readout


def fit_or_interrupt(decoder: BasePOYO, X: SpikeSamples, y: np.ndarray) -> BasePOYO:
    """A fitted clone; where Ctrl-C ended its training early, KeyboardInterrupt."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training was interrupted")
        fitted = clone(decoder).fit(X, y)
    if fitted.interrupted_:
        raise KeyboardInterrupt
    return fitted


def check_folds(
    X: SpikeSamples, targets: np.ndarray, splitter: BlockedKFold, classes: Sequence[Any] | None = None
) -> None:
    """Refuse folds that cannot be trained or scored.

    Parameters
    ----------
    X : SpikeSamples, shape (n_samples,)
        Samples.
    targets : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Their targets, NaN where unknown; of labels the codes of ``classes``.
    splitter : BlockedKFold
        Folds.
    classes : sequence, optional
        Labels.

    Raises
    ------
    ValueError
        Where a fold has no sample to train on, an output has too few known targets on either side, or a fold does not
        train on all labels.
    """
    targets = targets.reshape(len(targets), -1)
    if classes is not None and len(classes) < 2:
        raise ValueError(f"all labels are {classes[0]!r}: there is nothing to decode")
    for k, (train, test) in enumerate(splitter.split(X)):
        for part, name in ((train, "trains"), (test, "tests")):
            known = (~np.isnan(targets[part])).sum(axis=0)
            if known.min() < 2:
                raise ValueError(
                    f"fold {k} of {splitter.n_splits} {name} on {len(part)} samples, of which output "
                    f"{int(known.argmin())} is known in {known.min()}; expected at least 2. Give more behaviour, fewer "
                    "folds or a shorter gap"
                )
        lacking = [label for code, label in enumerate(classes or ()) if not (targets[train] == code).any()]
        if lacking:
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise ValueError(f"fold {k} of {splitter.n_splits} does not train on the labels {lacking[:5]}{more}: they "
                             "are only in the part that it tests on, or within the gap of it; give other folds, or "
                             "None in their place")  # fmt: skip
