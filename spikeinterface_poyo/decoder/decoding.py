"""From sortings to the samples to decode, and from samples to behaviour in its own units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..fitted.calibration import Calibration, Temperature
from ..fitted.learned import Learned
from ..fitted.vocabulary import Vocabulary
from ..inputs.overlap import nearly_recorded
from ..inputs.spikes_in import check_spikes
from ..network.poyo import POYO
from ..readouts.behaviors import n_outputs, readout_columns
from ..readouts.codes import as_label_array
from ..readouts.label_readout import CategoricalReadout
from ..readouts.targets import Targets, as_given, users_targets
from ..sessions.samples import SpikeSamples
from ..sessions.session import Session
from ..warning import warn
from .answers import SMALLEST, answers, smoothed_answers

MOST_SAMPLES = 10**9  # of a grid: a year at 30 Hz


def regular_samples(vocabulary: Vocabulary, sessions: Sequence[Session]) -> SpikeSamples:
    """Samples at the interval of each session's behaviour at fit, in each segment from its recording's start to end.

    Raises
    ------
    ValueError
        Where there is no interval or no extent to lay a grid over.

    Warns
    -----
    UserWarning
        Where the recording paused meanwhile.
    """
    names = vocabulary.resolve(sessions, range(len(sessions)))
    check_spikes(sessions, refuse=False)
    parts = []
    for i, session in enumerate(sessions):
        name = names[i]
        interval = vocabulary.sessions[name].sample_interval
        if interval is None:
            raise ValueError(f"behaviour of session {name!r} had no regular interval at fit, or it is not known; give "
                             "times= to predict at")  # fmt: skip
        for j, segment in enumerate(session.segments):
            if segment.t_start > segment.t_stop:
                raise ValueError(f"a segment of {name!r} has neither spikes nor a recording; give times=")
            n_intervals = (segment.t_stop - segment.t_start) / interval
            if n_intervals > MOST_SAMPLES:
                raise ValueError(f"{name!r} lies from {segment.t_start:.6g} to {segment.t_stop:.6g} s, "
                                 f"{n_intervals:.2g} samples; leave out spikes far from the others, or give "
                                 "times=")  # fmt: skip
            n_samples = int(np.floor(n_intervals * (1 + 1e-12))) + 1
            times = segment.t_start + interval * np.arange(n_samples)
            if not (inside := nearly_recorded(segment, times)).all():
                warn(f"{(~inside).sum()} of {len(times)} times of {name!r} lie between the {len(segment.periods)} "
                     "periods of its recording, where no spikes tell what is decoded")  # fmt: skip
            parts.append((i, j, times))
    return SpikeSamples.from_segments(sessions, parts)


def predict_samples(learned: Learned, X: SpikeSamples, names: Mapping[int, str]) -> np.ndarray:
    """Decoded behaviour as columns, (n_samples, most outputs): each session's behaviours one after the other.

    NaN where a session has fewer outputs; labels are codes. ``names`` are the ids of the samples' sessions by position.

    Raises
    ------
    ValueError
        Where a session has units that were not there at fit.
    """
    learned.vocabulary.check_sessions(X, names)
    out = unknown_outputs(learned.vocabulary, X, names)
    for name, order, columns, _ in smoothed_answers(learned, X, names):
        for readout, outputs, place in readout_columns(learned.vocabulary.readouts_of(name)):
            out[order, outputs] = readout.decode(columns[:, place])
    return out


def unknown_outputs(vocabulary: Vocabulary, X: SpikeSamples, names: Mapping[int, str]) -> np.ndarray:
    """NaN, (n_samples, most outputs), in which to put what is told of each session's outputs."""
    width = max(n_outputs(vocabulary.readouts_of(name)) for name in used_sessions(vocabulary, names))
    return np.full((len(X), width), np.nan)


def used_sessions(vocabulary: Vocabulary, names: Mapping[int, str]) -> list[str]:
    """Ids of the sessions that samples use, by position; of all known ones where there is no sample."""
    return list(names.values()) or list(vocabulary.sessions)


def predict_targets(learned: Learned, X: SpikeSamples, names: Mapping[int, str]) -> np.ndarray:
    """Decoded behaviour as users gave it at fit: an array, or a structured array where it came by name."""
    return as_at_fit(learned.vocabulary, X, names, predict_samples(learned, X, names))


def as_at_fit(vocabulary: Vocabulary, X: SpikeSamples, names: Mapping[int, str], values: np.ndarray) -> np.ndarray:
    """Columns (n_samples, most outputs) of decoded behaviour in the shape and type that targets had at fit."""
    used = used_sessions(vocabulary, names)
    readouts = [vocabulary.readouts_of(name) for name in used]
    rows = [mine for _, mine in X.by_session()] or [np.arange(0)] * len(used)  # no sample is of any session
    if any(vocabulary.sessions[name].by_name for name in used):
        return users_targets(readouts, values, rows)
    if len({readout.name for (readout,) in readouts}) == 1:
        return as_given(readouts[0][0], values)
    are_labels = {readout.name: readout.kind == "categorical" for (readout,) in readouts}
    if any(are_labels.values()) and not all(are_labels.values()):
        raise ValueError(f"these sessions have labels and numbers, {are_labels}, which one array cannot hold: predict "
                         "them one after the other, or decode them")  # fmt: skip
    if all(are_labels.values()):
        labels = np.empty(len(values), dtype=object)
        for (readout,), mine in zip(readouts, rows, strict=True):
            labels[mine] = as_given(readout, values[mine])
        return as_label_array(labels.tolist())
    return values[:, 0] if all(readout.one_dimensional for (readout,) in readouts) else values


def predict_probabilities(
    learned: Learned, X: SpikeSamples, names: Mapping[int, str], calibration: Calibration
) -> np.ndarray:
    """Probabilities (n_samples, n_classes) of the labels that are the only behaviour of each session.

    They are calibrated where the session is.

    Raises
    ------
    ValueError
        Where there are several behaviours or no labels, or a session has units that were not there at fit.
    """
    learned.vocabulary.check_sessions(X, names)
    used = used_sessions(learned.vocabulary, names)
    readouts = {readout.name: readout for name in used for readout in learned.vocabulary.readouts_of(name)}
    if len(readouts) > 1:
        raise ValueError(f"these are several behaviours, {sorted(readouts)}, and probabilities are of one: give "
                         "sessions that share it, or fit a classifier on it alone")  # fmt: skip
    (readout,) = readouts.values()
    if not isinstance(readout, CategoricalReadout):
        raise ValueError(f"behaviour {readout.name!r} of {used} is {readout.kind}, and only labels have probabilities; "
                         "predict gives its values")  # fmt: skip
    out = np.empty((len(X), readout.n_columns))
    for name, order, columns in answers(learned, X, names):
        temperature = calibration.get(name, {}).get(readout.name)
        out[order] = temperature.applied(columns) if isinstance(temperature, Temperature) else columns
    out = np.maximum(out, SMALLEST)  # a temperature below 1 makes small ones smaller
    return out / out.sum(axis=1, keepdims=True)  # the network's are of float32


def score_samples(
    vocabulary: Vocabulary, given: Targets, decoded: np.ndarray, names: Mapping[int, str], weight: np.ndarray
) -> float:
    """Mean over sessions of the mean score of their behaviours: see `Readout.score`.

    Parameters
    ----------
    given : Targets
        True behaviour.
    decoded : ndarray, shape (n_samples, most outputs)
        As `predict_samples` gives it.
    names : mapping of int to str
        Ids of the sessions by position.
    weight : ndarray, shape (n_samples,)
        Weights of the samples.

    Raises
    ------
    ValueError
        Where too few targets of a session are known.

    Warns
    -----
    UserWarning
        Where no true label of a session is one that the decoder knows.
    """
    true = vocabulary.in_units(given.X, given.y, names)
    scores = []
    for position, mine in given.X.by_session():
        mine = mine[weight[mine] > 0]
        behaviors = []
        for readout, outputs, _ in readout_columns(vocabulary.readouts_of(names[position])):
            if isinstance(readout, CategoricalReadout):
                warn_of_strange_labels(readout, true[mine, outputs], names[position])
            behaviors.append(readout.score(true[mine, outputs], decoded[mine, outputs], weight[mine]))
        scored = [score for score in behaviors if not np.isnan(score)]
        if not scored:
            if len(mine) == 0:  # all have weight zero
                continue
            raise ValueError(f"session {names[position]!r} has fewer than two known targets, or of labels "
                             "none: there is nothing to score")  # fmt: skip
        scores.append(float(np.mean(scored)))
    return float(np.mean(scores))


def warn_of_strange_labels(readout: CategoricalReadout, codes: np.ndarray, session: str) -> None:
    """Tell of labels of which the readout knows none: most likely they are written otherwise than at fit."""
    known = codes[~np.isnan(codes)]
    if len(known) and (known < 0).all():
        warn(f"no label of session {session!r} is one of those that the decoder knows of {readout.name!r}, "
             f"{list(readout.classes)!r:.200}, so that none is decoded right: they were not learned, or are "
             "written otherwise, as numbers are and the same as text")  # fmt: skip


def embed_samples(learned: Learned, X: SpikeSamples, names: Mapping[int, str]) -> np.ndarray:
    """What the readout reads of each sample, (n_samples, dim); ``names`` and errors as in `predict_samples`."""
    learned.vocabulary.check_sessions(X, names)
    out = np.empty((len(X), learned.network.config.dim))
    for _, order, vectors in answers(learned, X, names, lambda readouts: POYO.embed):
        out[order] = vectors
    return out
