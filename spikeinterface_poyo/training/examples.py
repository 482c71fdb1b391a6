"""Examples: the samples and targets that a decoder learns from, checked, and laid out for training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..door import check_sample_weight
from ..fitted.vocabulary import Vocabulary
from ..readouts.behaviors import OTHER_SCALE, n_columns, readout_columns, warn_of_other_scale
from ..readouts.readout import MeasuredReadout, Readout
from ..readouts.targets import Targets, with_infos
from ..sessions.pace import pace_of
from ..sessions.samples import SpikeSamples, seconds_covered
from .data import TrainingData

SETTLED = 30.0  # seconds of labels in which behaviour shows its scale


@dataclass(frozen=True, eq=False)
class Examples:
    """What a decoder learns from, checked.

    Parameters
    ----------
    X : SpikeSamples
        Samples.
    y : ndarray, shape (n_samples, most outputs), float64
        Their targets in the users' units, NaN where unknown.
    weight : ndarray, shape (n_samples,)
        Their weights.
    names : dict of int to str
        Ids of the sessions that samples use, by position.
    by_name : bool
        Whether they came by name.
    """

    X: SpikeSamples
    y: np.ndarray
    weight: np.ndarray
    names: Mapping[int, str]
    by_name: bool

    @classmethod
    def of(cls, given: Targets, sample_weight: Any, names: Mapping[int, str]) -> Examples:
        """From what users give.

        Raises
        ------
        ValueError
            Where two sessions have one id, or a session has nothing to learn from.
        """
        if len(set(names.values())) < len(names):
            raise ValueError(f"sessions must have different ids, got {list(names.values())}; name them with "
                             "session_id=")  # fmt: skip
        weight = check_sample_weight(sample_weight, len(given.X))
        for position, mine in given.X.by_session():
            if np.isnan(given.y[mine][weight[mine] > 0]).all():
                raise ValueError(f"session {names[position]!r} has nothing to learn from: none of its targets is known "
                                 "where samples have weight; leave it out")  # fmt: skip
        return cls(given.X, given.y, weight, names, given.by_name)

    def take(self, index: np.ndarray) -> Examples:
        """Some of the samples."""
        X = self.X[index]
        names = {position: self.names[position] for position, _ in X.by_session()}
        return Examples(X, self.y[index], self.weight[index], names, self.by_name)

    def as_read_out(self, vocabulary: Vocabulary) -> Examples:
        """The same in terms of a decoder that knows these sessions: its behaviours, units, full turns, labels."""
        told = list(self.X.targets)
        for position, name in self.names.items():
            told[position] = tuple(readout.target for readout in vocabulary.readouts_of(name))
        return replace(self, X=with_infos(self.X, told), y=vocabulary.in_units(self.X, self.y, self.names))

    @property
    def weighty(self) -> np.ndarray:
        """The targets, NaN where unknown or of weight zero."""
        return np.where(self.weight[:, None] > 0, self.y, np.nan)

    def least_spread(self, readout: Readout, known: np.ndarray) -> float:
        """The smallest standard deviation that a session's ``known`` numbers may have on the scale that sessions share.

        One session that joins or goes on may rest for a while. Only where its labels are many, and no unit of measure
        says what they are, is next to nothing more likely to be another scale, as metres are where centimetres were
        learned.
        """
        if len(self.names) > 1:
            return 1 / OTHER_SCALE
        return OTHER_SCALE**-2 if readout.units is None and self.seconds(known) > SETTLED else 0.0

    def seconds(self, index: np.ndarray) -> float:
        """Seconds that some samples cover; rows of counts, which have no times, cover none."""
        some = self.X[index]
        return sum(
            seconds_covered(some.times[order])
            for position, _, order in some.blocks()
            if not some.sessions[position].isolated_rows
        )

    def vocabulary(self, readouts: Mapping[str, Readout]) -> Vocabulary:
        """Vocabulary of these sessions, whose behaviours have these readouts."""
        labelled: dict[int, float | None] = {}
        known = ~np.isnan(self.weighty).all(axis=1)
        for position, mine in self.X.by_session():
            rows = self.X.sessions[position].isolated_rows
            labelled[position] = None if rows else self.seconds(mine[known[mine]])
        vocabulary = Vocabulary.of(self.X, self.y, self.names, readouts, self.by_name, labelled)
        return vocabulary.with_paces(self.paces(vocabulary))

    def paces(self, vocabulary: Vocabulary) -> dict[str, dict[str, float]]:
        """How quickly numbers and angles change, as of `pace_of`, by session and behaviour, where that is known."""
        paces: dict[str, dict[str, float]] = {}
        for name, readout, _, mine, values in self.by_behavior(vocabulary, self.weighty):
            if isinstance(readout, MeasuredReadout) and not vocabulary.sessions[name].isolated_rows:
                some, encoded = self.X[mine], readout.encode(values)
                pace = pace_of([(some.times[order], encoded[order]) for _, _, order in some.blocks()])
                if pace is not None:
                    paces.setdefault(name, {})[readout.name] = pace
        return paces

    def by_behavior(
        self, vocabulary: Vocabulary, y: np.ndarray
    ) -> Iterator[tuple[str, Readout, slice, np.ndarray, np.ndarray]]:
        """Yield (session id, readout, its columns in the session's answers, samples, their targets) for each behaviour.

        Targets (n, n_outputs) are those of ``y`` in the readout's unit.
        """
        y = vocabulary.in_units(self.X, y, self.names)
        for position, mine in self.X.by_session():
            name = self.names[position]
            for readout, outputs, columns in readout_columns(vocabulary.readouts_of(name)):
                yield name, readout, columns, mine, y[mine, outputs]

    def numbers(self, vocabulary: Vocabulary, readout: Readout) -> np.ndarray:
        """Targets (n_samples, n_outputs) of a behaviour in its readout's unit; NaN where unknown or without weight."""
        numbers = np.full((len(self.y), readout.n_outputs), np.nan)
        for _, one, _, mine, values in self.by_behavior(vocabulary, self.weighty):
            if one.name == readout.name:
                numbers[mine] = values
        return numbers

    def check_scales(self, vocabulary: Vocabulary, silent: Collection[int] = ()) -> None:
        """Look whether the numbers of each session fit the scale of their readout.

        ``silent`` are columns of outputs that were constant, whose scale says nothing of what it should be.

        Warns
        -----
        UserWarning
            Where they do not.
        """
        for name, readout, _, mine, values in self.by_behavior(vocabulary, self.weighty):
            if readout.kind == "continuous":
                known = ~np.isnan(values).all(axis=1)
                learned = readout.encode(values[known])[:, ~np.isin(readout.columns, list(silent))]
                warn_of_other_scale(learned, readout.name, name, self.least_spread(readout, mine[known]))

    def data(self, vocabulary: Vocabulary) -> TrainingData:
        """The same, standardised and laid out for training."""
        width = max(n_columns(vocabulary.readouts_of(name)) for name in self.names.values())
        targets = np.full((len(self.y), width), np.nan)
        for _, readout, columns, mine, values in self.by_behavior(vocabulary, self.y):
            targets[mine, columns] = readout.encode(values)
        return TrainingData.build(self.X, self.names, vocabulary, targets, self.weight)
