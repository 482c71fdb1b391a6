"""Readouts: each behaviour, by name, has columns of its own in the network's last layer, and a meaning for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import accuracy_score

from .encoding import as_label_array, full_turn, on_circle, standardisation
from .scoring import mean_r2
from .signals import Kind, TargetInfo, check_same_kind, rescale
from .windows import BehaviorColumns


@dataclass(frozen=True, kw_only=True)
class Readout(ABC):
    """One behaviour that the network reads out.

    Parameters
    ----------
    name : str
        Name of the behaviour.
    first_column : int
        Where its columns begin in the readout layer.
    units : str or None
        Unit of measure; None where the behaviour came without.
    output_names : tuple of str or None
        Names of the outputs.
    one_dimensional : bool
        Whether the targets were a one-dimensional array, and predictions are to be too.
    """

    name: str
    first_column: int
    units: str | None = None
    output_names: tuple[str, ...] | None = None
    one_dimensional: bool = False
    kind: ClassVar[Kind]

    @classmethod
    @abstractmethod
    def of(cls, y: np.ndarray, weight: np.ndarray, info: TargetInfo, **common: Any) -> Readout:
        """Readout of targets (n, n_outputs) of samples of these weights."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Number of outputs, as users see them."""

    @property
    @abstractmethod
    def n_columns(self) -> int:
        """Number of columns in the readout layer."""

    @property
    def chance_loss(self) -> float:
        """Loss of an answer that does not depend on the spikes, which losses are divided by."""
        return 1.0

    @abstractmethod
    def encode(self, y: np.ndarray) -> np.ndarray:
        """What the network learns, (n, n_columns), from targets (n, n_outputs); NaN where they are unknown."""

    @abstractmethod
    def decode(self, columns: np.ndarray) -> np.ndarray:
        """Targets (n, n_outputs) from the network's answers (n, n_columns)."""

    @abstractmethod
    def score(self, y: np.ndarray, decoded: np.ndarray, weight: np.ndarray) -> float:
        """How well targets (n, n_outputs) are decoded, 1 at best; unknown ones are NaN. NaN where too few are known.

        ``weight`` are the samples' weights, (n,).
        """

    @property
    def columns(self) -> np.ndarray:
        """Columns of the readout layer, shape (n_columns,)."""
        return np.arange(self.first_column, self.first_column + self.n_columns)

    @property
    def target(self) -> TargetInfo:
        """What its targets measure."""
        return TargetInfo(self.units, self.output_names, self.name, self.n_outputs, self.kind)

    def asked_at(self, start: int) -> BehaviorColumns:
        """What these columns are where they begin at ``start`` in what a session is asked for."""
        return BehaviorColumns(self.kind, start, start + self.n_columns, self.chance_loss)

    def unknown_labels(self, info: TargetInfo) -> list[Any]:
        """Labels among such targets that the readout cannot learn."""
        return []

    def in_units(self, y: np.ndarray, info: TargetInfo, what: str) -> np.ndarray:
        """Targets (n, n_outputs) in the readout's unit of measure."""
        return y if info.bare else rescale(y, info.units, self.units, what)

    def mismatch(self, info: TargetInfo, n_outputs: int) -> str | None:
        """Why targets of this kind cannot be read out here, in words; None where they can."""
        if n_outputs != self.n_outputs:
            return f"{n_outputs} output(s) against {self.n_outputs}"
        if info.kind not in (None, self.kind):
            return f"{info.kind} against {self.kind}"
        if info.bare:
            return None
        try:
            check_same_kind(info, self.target, "the behaviour given")
            rescale(np.ones(1), info.units, self.units, "the behaviour given")
        except ValueError as error:
            return str(error)
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"kind": self.kind}


@dataclass(frozen=True, kw_only=True)
class ContinuousReadout(Readout):
    """Numbers: each column is one output, standardised by ``mean`` and ``scale``, one a output."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    kind: ClassVar[Kind] = "continuous"

    @classmethod
    def of(cls, y: np.ndarray, weight: np.ndarray, info: TargetInfo, **common: Any) -> ContinuousReadout:
        """Readout of targets (n, n_outputs) of samples of these weights."""
        mean, scale = standardisation(y, weight)
        return cls(mean=tuple(mean.tolist()), scale=tuple(scale.tolist()), **common)

    @property
    def n_outputs(self) -> int:
        """Number of outputs, as users see them."""
        return len(self.mean)

    @property
    def n_columns(self) -> int:
        """Number of columns in the readout layer."""
        return len(self.mean)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Standardised targets."""
        return (y - np.array(self.mean)) / np.array(self.scale)

    def decode(self, columns: np.ndarray) -> np.ndarray:
        """Inverse of `encode`."""
        return columns * np.array(self.scale) + np.array(self.mean)

    def score(self, y: np.ndarray, decoded: np.ndarray, weight: np.ndarray) -> float:
        """R2, uniform average over outputs that have two known targets."""
        return mean_r2(y, decoded, weight)


@dataclass(frozen=True, kw_only=True)
class CircularReadout(Readout):
    """Angles: two columns an output, its cosine and its sine, standardised by ``mean`` and ``scale``, one a column.

    Parameters
    ----------
    period : float
        A full turn, in ``units``.
    first : float
        The smallest angle that is given back: answers lie in [first, first + period).
    """

    period: float
    first: float
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    kind: ClassVar[Kind] = "circular"

    @classmethod
    def of(cls, y: np.ndarray, weight: np.ndarray, info: TargetInfo, **common: Any) -> CircularReadout:
        """Readout of angles (n, n_outputs) of samples of these weights.

        Raises
        ------
        ValueError
            Where neither the unit of measure nor the user tells what a full turn is.
        """
        period = info.period or full_turn(info.units, info.name)
        mean, scale = standardisation(on_circle(y, period), weight)
        first = -period / 2 if np.nanmin(y) < 0 else 0.0
        return cls(period=period, first=first, mean=tuple(mean.tolist()), scale=tuple(scale.tolist()), **common)

    @property
    def n_outputs(self) -> int:
        """Number of angles."""
        return len(self.mean) // 2

    @property
    def n_columns(self) -> int:
        """Two an angle."""
        return len(self.mean)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Standardised cosines and sines."""
        return (on_circle(y, self.period) - np.array(self.mean)) / np.array(self.scale)

    def decode(self, columns: np.ndarray) -> np.ndarray:
        """Angles of the vectors that the columns are."""
        vectors = columns * np.array(self.scale) + np.array(self.mean)
        angle = np.arctan2(vectors[:, 1::2], vectors[:, ::2]) * self.period / (2 * np.pi)
        return self.first + np.mod(angle - self.first, self.period)

    def score(self, y: np.ndarray, decoded: np.ndarray, weight: np.ndarray) -> float:
        """R2 of cosine and sine, averaged: no matter where the circle is cut."""
        return mean_r2(on_circle(y, self.period), on_circle(decoded, self.period), weight)


@dataclass(frozen=True, kw_only=True)
class CategoricalReadout(Readout):
    """Labels: one column a class, whose softmax are the probabilities. Targets are codes, positions in ``classes``.

    Parameters
    ----------
    classes : tuple
        Labels, in ascending order.
    class_weight : tuple of float
        How much a sample of each class counts in training.
    entropy : float
        Of the weighted classes, nats: the loss of always giving their shares.
    """

    classes: tuple[Any, ...]
    class_weight: tuple[float, ...]
    entropy: float
    kind: ClassVar[Kind] = "categorical"

    @classmethod
    def of(
        cls, y: np.ndarray, weight: np.ndarray, info: TargetInfo, class_weight: Any = None, **common: Any
    ) -> CategoricalReadout:
        """Readout of codes (n, 1) of ``info.classes``, of samples of these weights.

        ``class_weight`` is None, "balanced" or a mapping of label to weight, as in scikit-learn.
        """
        assert info.classes is not None
        n_classes, known = len(info.classes), ~np.isnan(y[:, 0])
        mass = np.bincount(y[known, 0].astype(int), weight[known], n_classes)
        if class_weight is None:
            factor = np.ones(n_classes)
        elif class_weight == "balanced":
            factor = np.where(mass > 0, mass.sum() / (n_classes * np.maximum(mass, 1e-300)), 1.0)
        else:
            factor = np.array([float(class_weight.get(label, 1.0)) for label in info.classes])
        share = mass * factor / (mass * factor).sum()
        entropy = -float((factor * mass / mass.sum() * np.log(np.maximum(share, 1e-12))).sum())
        return cls(classes=info.classes, class_weight=tuple(factor.tolist()), entropy=entropy, **common)

    @property
    def n_outputs(self) -> int:
        """One: the label."""
        return 1

    @property
    def n_columns(self) -> int:
        """One a class."""
        return len(self.classes)

    @property
    def chance_loss(self) -> float:
        """Entropy; one where there is a single class and nothing to learn."""
        return self.entropy if self.entropy > 1e-6 else 1.0

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, shape (n_classes,)."""
        return as_label_array(self.classes)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """One-hot rows, times the weight of their class.

        Raises
        ------
        ValueError
            Where there are labels that the readout does not know.
        """
        known = ~np.isnan(y[:, 0])
        if (y[known] < 0).any():
            raise ValueError(f"behaviour {self.name!r} has labels that the decoder was not trained on; it knows "
                             f"{list(self.classes)}")  # fmt: skip
        rows = np.full((len(y), self.n_columns), np.nan)
        rows[known] = np.diag(self.class_weight)[y[known, 0].astype(int)]
        return rows

    def decode(self, columns: np.ndarray) -> np.ndarray:
        """Codes of the most probable classes."""
        return columns.argmax(axis=1)[:, None].astype(np.float64)

    def score(self, y: np.ndarray, decoded: np.ndarray, weight: np.ndarray) -> float:
        """Share of labels that are right; a label that the readout does not know is never right."""
        known = ~np.isnan(y[:, 0])
        if not known.any():
            return np.nan
        return float(
            accuracy_score(y[known, 0].astype(int), decoded[known, 0].astype(int), sample_weight=weight[known])
        )

    def unknown_labels(self, info: TargetInfo) -> list[Any]:
        """Labels among such targets that the readout cannot learn."""
        return [label for label in info.classes or () if label not in self.classes]

    def in_units(self, y: np.ndarray, info: TargetInfo, what: str) -> np.ndarray:
        """Codes of ``info.classes`` as codes of the readout's; -1 for a label that it does not know."""
        if info.classes is None or info.classes == self.classes:
            return y
        code = {label: i for i, label in enumerate(self.classes)}
        translated = np.array([code.get(label, -1) for label in info.classes], dtype=np.float64)
        out = np.full_like(y, np.nan)
        known = ~np.isnan(y)
        out[known] = translated[y[known].astype(int)]
        return out


KINDS: Mapping[str, type[Readout]] = {cls.kind: cls for cls in (ContinuousReadout, CircularReadout, CategoricalReadout)}


def readout_from_json(data: Mapping[str, Any]) -> Readout:
    """Inverse of `Readout.to_json`."""
    fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in data.items()}
    return KINDS[fields.pop("kind")](**fields)
