"""Answers with their errors: what a calibration makes of how far windows agree, as deviations and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
from sklearn.exceptions import NotFittedError

from ..fitted.calibration import Calibration, ErrorModel
from ..fitted.learned import Learned
from ..readouts.behaviors import readout_columns
from ..readouts.readout import MeasuredReadout
from ..sessions.samples import SpikeSamples
from .answers import smoothed_answers
from .decoding import as_at_fit, unknown_outputs, used_sessions


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
    vocabulary.check_sessions(X, names)
    check_calibrated(calibration, used_sessions(vocabulary, names))
    decoded, errors = (unknown_outputs(vocabulary, X, names) for _ in range(2))
    for name, order, columns, spread in smoothed_answers(learned, X, names):
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
