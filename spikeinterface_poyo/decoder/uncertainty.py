"""How far to trust a decoder: it is calibrated on samples that it has not seen, and then tells its own errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from tqdm.auto import tqdm

from ..fitted.calibration import FEWEST_SAMPLES, Calibration, ErrorModel, Temperature
from ..fitted.learned import Learned
from ..fitted.vocabulary import Vocabulary
from ..network.batch import WindowBatch
from ..network.poyo import POYO
from ..network.prediction import Read
from ..pipelines.splitters import BlockedKFold
from ..readouts.behaviors import behaviors_of, readout_columns
from ..readouts.readout import MeasuredReadout, Readout
from ..readouts.targets import Targets
from ..sessions.samples import SpikeSamples
from ..training import adaptation
from ..training.examples import Examples
from ..weights.pretrained import load_pretrained
from .decoding import answers, as_at_fit, check_sessions, to_average, unknown_outputs, used_sessions

if TYPE_CHECKING:
    from typing_extensions import Self

ROUNDING = 1e-6  # of float32 squares: smaller differences are none


class Evidence(NamedTuple):
    """Of one behaviour of one session, samples that the decoder has not seen.

    Of numbers and angles ``answers`` are spreads and ``truth`` errors, (n, n_outputs) each, NaN where unknown; of
    labels they are probabilities (n, n_classes) and known codes (n,).
    """

    is_measured: bool
    answers: np.ndarray
    truth: np.ndarray


def evidence(learned: Learned, examples: Examples) -> Iterator[tuple[tuple[str, str], Evidence]]:
    """Yield (session id, name of the behaviour) and what held-out samples tell of it, segment by segment."""
    vocabulary = learned.vocabulary
    true = known_targets(vocabulary, examples)
    for name, order, columns, spread in answers_with_spread(learned, examples.X, examples.names):
        for readout, outputs, place in readout_columns(vocabulary.readouts_of(name)):
            wanted = true[order, outputs]
            if isinstance(readout, MeasuredReadout):
                error = readout.error(wanted, readout.decode(columns[:, place]))
                yield (name, readout.name), Evidence(True, readout.spread(spread[:, place]), error)
            else:
                known = ~np.isnan(wanted[:, 0])
                yield (name, readout.name), Evidence(False, columns[known, place], wanted[known, 0].astype(int))


def known_targets(vocabulary: Vocabulary, examples: Examples) -> np.ndarray:
    """Targets (n_samples, most outputs) in the units of the readouts, NaN where unknown or of weight zero."""
    return np.where(examples.weight[:, None] > 0, vocabulary.in_units(examples.X, examples.y, examples.names), np.nan)


def check_known(vocabulary: Vocabulary, examples: Examples) -> None:
    """Whether enough targets of each output are known.

    Raises
    ------
    ValueError
        Where there are fewer than `FEWEST_SAMPLES`.
    """
    true = known_targets(vocabulary, examples)
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


def means_and_squares(readouts: Sequence[Readout]) -> Read:
    """What `to_average` reads, then its squares: averaged over windows, they tell how far windows agree."""
    once = to_average(readouts)

    def read(network: POYO, batch: WindowBatch) -> Tensor:
        answer = once(network, batch)
        return torch.cat([answer, answer.square()], dim=-1)

    return read


def answers_with_spread(
    learned: Learned, X: SpikeSamples, names: Mapping[int, str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (session id, sample indices, answers, their standard deviation over windows) for each segment.

    It is 0 where one window answers by itself: for a causal decoder, and for rows of counts.
    """
    for name, order, columns in answers(learned, X, names, means_and_squares):
        mean, square = np.split(columns, 2, axis=1)
        variance = square - mean**2
        yield name, order, mean, np.sqrt(np.where(variance > ROUNDING * square, variance, 0))


def predict_with_errors(
    learned: Learned,
    X: SpikeSamples,
    names: Mapping[int, str],
    calibration: Calibration,
    error: Callable[[ErrorModel, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Decoded behaviour as of `decoding.predict_samples`, and of each output the ``error`` by its model and spread.

    Labels have none: NaN.

    Raises
    ------
    NotFittedError
        Where a session was not calibrated.
    """
    vocabulary = learned.vocabulary
    check_sessions(vocabulary, X, names)
    check_calibrated(calibration, used_sessions(vocabulary, names))
    decoded, errors = (unknown_outputs(vocabulary, X, names) for _ in range(2))
    for name, order, columns, spread in answers_with_spread(learned, X, names):
        for readout, outputs, place in readout_columns(vocabulary.readouts_of(name)):
            decoded[order, outputs] = readout.decode(columns[:, place])
            models = calibration[name][readout.name]
            if isinstance(readout, MeasuredReadout) and isinstance(models, tuple):
                spreads = readout.spread(spread[:, place]).T
                each = [error(model, mine) for model, mine in zip(models, spreads, strict=True)]
                errors[order, outputs] = np.column_stack(each)
    return decoded, errors


def check_calibrated(calibration: Calibration, sessions: Iterable[str]) -> None:
    """Whether these sessions are calibrated."""
    missing = [name for name in sessions if name not in calibration]
    if missing:
        raise NotFittedError(f"session(s) {missing} are not calibrated: call calibrate(X, y) first, with the samples "
                             "that were trained on, or with others and cv='prefit'")  # fmt: skip


def predict_std(
    learned: Learned, X: SpikeSamples, names: Mapping[int, str], calibration: Calibration
) -> tuple[np.ndarray, np.ndarray]:
    """Decoded behaviour as users gave it at fit, and the standard deviation of its errors alike."""
    both = predict_with_errors(learned, X, names, calibration, ErrorModel.std)
    decoded, errors = (as_at_fit(learned.vocabulary, X, names, values) for values in both)
    return decoded, errors


def predict_interval(
    learned: Learned,
    X: SpikeSamples,
    names: Mapping[int, str],
    calibration: Calibration,
    coverage: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of what a share ``coverage`` of the true behaviour lies in, as users gave it at fit."""
    vocabulary, distance = learned.vocabulary, partial(ErrorModel.width, coverage=coverage)
    decoded, errors = predict_with_errors(learned, X, names, calibration, distance)
    lower, upper = np.full((2, *decoded.shape), np.nan)
    for position, mine in X.by_session():
        for readout, outputs, _ in readout_columns(vocabulary.readouts_of(names[position])):
            if isinstance(readout, MeasuredReadout):
                ends = readout.around(decoded[mine, outputs], errors[mine, outputs])
                lower[mine, outputs], upper[mine, outputs] = ends
    return as_at_fit(vocabulary, X, names, lower), as_at_fit(vocabulary, X, names, upper)


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
        learned, record = adaptation.learn(again, base, examples.take(train))
        if record.interrupted:
            raise KeyboardInterrupt("calibration was interrupted; the decoder is as it was")
        found += evidence(learned, examples.take(test))
    return calibration_of(found)


class UncertaintyMixin:
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
        check_sessions(self.sessions_, given.X, names)
        examples = Examples.of(given, sample_weight, names)
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
