"""Calibrating a decoder: what samples that it has not seen tell of its errors, and of how sure its labels are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from ..fitted.calibration import FEWEST_SAMPLES, Calibration, ErrorModel, Temperature
from ..fitted.learned import Learned
from ..fitted.vocabulary import Vocabulary
from ..network.poyo import POYO
from ..pipelines.splitters import BlockedKFold
from ..readouts.behaviors import behaviors_of, readout_columns
from ..readouts.readout import MeasuredReadout
from ..readouts.targets import Targets
from ..sessions.samples import SpikeSamples
from ..training import adaptation
from ..training.examples import Examples
from ..weights.pretrained import load_pretrained
from .answers import smoothed_answers

if TYPE_CHECKING:
    from typing_extensions import Self


class Evidence(NamedTuple):
    """Of one behaviour of one session, samples that the decoder has not seen.

    Of numbers and angles ``answers`` are spreads and ``truth`` errors, (n, n_outputs) each, NaN where unknown; of
    labels they are probabilities (n, n_classes) and known codes (n,).
    """

    is_measured: bool
    answers: np.ndarray
    truth: np.ndarray


def evidence(learned: Learned, examples: Examples) -> Iterator[tuple[tuple[str, str], Evidence]]:
    """Yield (session id, name of the behaviour) and what held-out samples tell of it, segment by segment.

    ``examples`` are `Examples.as_read_out`.
    """
    vocabulary, true = learned.vocabulary, examples.weighty
    for name, order, columns, spread in smoothed_answers(learned, examples.X, examples.names):
        for readout, outputs, place in readout_columns(vocabulary.readouts_of(name)):
            wanted = true[order, outputs]
            if isinstance(readout, MeasuredReadout):
                error = readout.error(wanted, readout.decode(columns[:, place]))
                yield (name, readout.name), Evidence(True, readout.spread(spread[:, place]), error)
            else:
                known = ~np.isnan(wanted[:, 0])
                yield (name, readout.name), Evidence(False, columns[known, place], wanted[known, 0].astype(int))


def check_known(vocabulary: Vocabulary, examples: Examples) -> None:
    """Whether enough targets of each output are known; ``examples`` are `Examples.as_read_out`.

    Raises
    ------
    ValueError
        Where there are fewer than `FEWEST_SAMPLES`.
    """
    true = examples.weighty
    for position, mine in examples.X.by_session():
        for readout, outputs, _ in readout_columns(vocabulary.readouts_of(examples.names[position])):
            known = ~np.isnan(readout.encode(true[mine, outputs]))
            if known.sum(axis=0).min() < FEWEST_SAMPLES:
                raise ValueError(f"behaviour {readout.name!r} of session {examples.names[position]!r} has "
                                 f"{known.sum(axis=0).min()} known targets; to calibrate by them, {FEWEST_SAMPLES} are "
                                 "needed")  # fmt: skip


def calibration_of(found: Iterable[tuple[tuple[str, str], Evidence]]) -> Calibration:
    """Calibration from what held-out samples tell."""
    parts: dict[tuple[str, str], list[Evidence]] = {}
    for key, part in found:
        parts.setdefault(key, []).append(part)
    calibration: Calibration = {}
    for (session, behavior), mine in parts.items():
        given, truth = (np.concatenate([getattr(part, name) for part in mine]) for name in ("answers", "truth"))
        model = error_models(truth, given) if mine[0].is_measured else Temperature.of(given, truth)
        calibration.setdefault(session, {})[behavior] = model
    return calibration


def error_models(errors: np.ndarray, spreads: np.ndarray) -> tuple[ErrorModel, ...]:
    """A model of each output from arrays (n, n_outputs); errors are NaN where unknown."""
    known = ~np.isnan(errors)
    return tuple(ErrorModel.of(errors[mask, i], spreads[mask, i]) for i, mask in enumerate(known.T))


def check_not_trained_on(decoder: Any, base: Learned, examples: Examples) -> None:
    """Refuse to fit folds from weights that learned from what they would be tested on.

    They know a session that came with them, or that has its id from the user, or rows of counts, which need none.

    Raises
    ------
    ValueError
        Naming the sessions.
    """
    same = adaptation.named_sessions(examples).union(decoder._sessions_of_weights)
    seen = sorted(same.intersection(base.vocabulary.sessions, examples.names.values()))
    if seen:
        raise ValueError(f"the weights that pretrained= names know session(s) {seen}, so that what each fold is tested "
                         "on would have been learned from: calibrate on samples that they have not seen, with "
                         "cv='prefit', or train the folds from scratch, after set_params(pretrained=None)")  # fmt: skip


def check_folds_train_on_all(examples: Examples, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Whether each fold trains on all that it tests.

    Raises
    ------
    ValueError
        Naming the fold, and the sessions or the behaviour that it does not train on.
    """
    for k, (train, test) in enumerate(folds):
        trained, tested = examples.take(train), examples.take(test)
        missing = sorted(set(tested.names.values()) - set(trained.names.values()))
        why = f"it tests session(s) {missing} and trains on none of their samples" if missing else None
        try:
            behaviors_of(trained.X, trained.y)
        except ValueError as error:
            why = f"of what it trains on, {error}"
        if why is not None:
            raise ValueError(f"fold {k} of {len(folds)} cannot calibrate: {why}. Give other folds with cv=, or samples "
                             "that the decoder has not seen and cv='prefit'")  # fmt: skip


def cross_fitted(decoder: Any, examples: Examples, cv: Any) -> Calibration:
    """Calibration by decoders that are fitted anew without each fold of ``examples``.

    Raises
    ------
    KeyboardInterrupt
        Where Ctrl-C ended the training of one of them.
    """
    base = None if decoder.pretrained is None else load_pretrained(decoder.pretrained)
    if base is not None:
        check_not_trained_on(decoder, base, examples)
    again = clone(decoder).set_params(checkpoint=None)  # that file is of the fit itself
    found: list[tuple[tuple[str, str], Evidence]] = []
    folds = list(cv.split(examples.X, examples.y[:, 0] if examples.y.shape[1] == 1 else examples.y))
    check_folds_train_on_all(examples, folds)
    for train, test in tqdm(folds, desc="calibration", unit="fold", disable=not decoder.verbose):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "training was interrupted")  # told of as an error
            learned, record = adaptation.learn(again, base, examples.take(train))
        if record.interrupted:
            raise KeyboardInterrupt("calibration was interrupted; the decoder is as it was")
        found += evidence(learned, examples.take(test))
    return calibration_of(found)


class CalibratingMixin:
    """How a decoder is calibrated."""

    network_: POYO
    sessions_: Vocabulary
    calibration_: Calibration
    _enter_known: Callable[..., Targets]
    _names: Callable[[SpikeSamples], dict[int, str]]
    _learned: Callable[[], Learned]

    def calibrate(
        self, X: Any, y: Any, *, cv: Any = 5, session_id: Any = None, epochs: Any = None, sample_weight: Any = None
    ) -> Self:
        """Learn from samples that were not trained on how large errors are, and how sure labels.

        After it there are intervals and standard deviations, and probabilities of labels are calibrated. What is
        decoded stays the same.

        Parameters
        ----------
        X, y, session_id, epochs
            As in `score`; of the sessions that are to be calibrated.
        sample_weight : array_like of shape (n_samples,), optional
            As in `fit`, for the decoders of the blocks. Errors count alike, but those of weight zero do not count.
        cv : int, splitter or "prefit", default: 5
            With a number of blocks, ``X`` and ``y`` are what the decoder was fitted on: for each block a decoder like
            it is fitted on the others, a window apart, and decodes it. This takes as long as so many fits. A splitter
            that needs no groups makes the blocks otherwise. "prefit" is for samples that the decoder has not seen, and
            takes a moment.

        Returns
        -------
        Self
            Itself. If anything fails it is as it was.

        Raises
        ------
        ValueError
            Where fewer than 20 targets of an output are known, the others of a block lack a session or a label, the
            decoder starts from weights that have seen the samples, or ``cv`` is none of the above.
        NotFittedError
            Before `fit`.
        KeyboardInterrupt
            After Ctrl-C.

        Notes
        -----
        Coverage is that of the blocks: behaviour that is unlike anything in them is covered less. ``fit`` and what
        else changes the weights drop the calibration.
        """
        check_is_fitted(self, "network_")
        given = self._enter_known(X, y, session_id, epochs, leave_out=True)
        names = self._names(given.X)
        self.sessions_.check_sessions(given.X, names)
        examples = Examples.of(given, sample_weight, names).as_read_out(self.sessions_)
        check_known(self.sessions_, examples)
        if isinstance(cv, str) and cv == "prefit":
            calibration = calibration_of(evidence(self._learned(), examples))
        elif isinstance(cv, (int, np.integer)):
            blocks = BlockedKFold(int(cv), gap=self.network_.config.window_length)
            calibration = cross_fitted(self, examples, blocks)
        elif not isinstance(cv, str) and hasattr(cv, "split"):
            calibration = cross_fitted(self, examples, cv)
        else:
            raise ValueError(f"cv must be a number of blocks, a splitter or 'prefit', got {cv!r:.100}")
        self.calibration_ = {**self.calibration_, **calibration}
        return self
