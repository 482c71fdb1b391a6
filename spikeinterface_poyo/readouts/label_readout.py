"""The readout of labels: what its columns mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.metrics import accuracy_score

from ..sessions.signals import Kind, TargetInfo
from ..warning import warn
from .class_weights import weigh
from .readout import Readout
from .scoring import sum_of_squares

if TYPE_CHECKING:
    from typing_extensions import Self


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

        Warns
        -----
        UserWarning
            Where there is a single label.
        """
        assert info.classes is not None
        if len(info.classes) == 1:
            warn(f"all labels of {info.name!r} are {info.classes[0]!r}: there is nothing to tell apart. To decode when "
                 "events occur, give labels at regular times, or a rate")  # fmt: skip
        factor, entropy = weigh(info.classes, y[:, 0], weight, class_weight)
        return cls(classes=info.classes, class_weight=factor, entropy=entropy, **common)

    def adapted(self, y: np.ndarray, weight: np.ndarray, info: TargetInfo, class_weight: Any = None) -> Self:
        """As of `Readout`; classes count as often as they are among these labels."""
        codes = self.in_units(y, info, "labels")
        factor, entropy = weigh(self.classes, codes[:, 0], weight, class_weight)
        return replace(super().adapted(y, weight, info), class_weight=factor, entropy=entropy)

    @property
    def n_outputs(self) -> int:
        """One: the label."""
        return 1

    @property
    def n_columns(self) -> int:
        """One a class."""
        return len(self.classes)

    @property
    def target(self) -> TargetInfo:
        """As of `Readout`, with the labels."""
        return replace(super().target, classes=self.classes)

    @property
    def chance_loss(self) -> float:
        """Entropy; one where there is a single class and nothing to learn."""
        return self.entropy if self.entropy > 1e-6 else 1.0

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

    def score(self, y: np.ndarray, decoded: np.ndarray, weight: np.ndarray | None = None) -> float:
        """Share of labels that are right; a label that the readout does not know is never right."""
        known = ~np.isnan(y[:, 0])
        if not known.any():
            return np.nan
        some = None if weight is None else weight[known]
        return float(accuracy_score(y[known, 0].astype(int), decoded[known, 0].astype(int), sample_weight=some))

    def as_points(self, y: np.ndarray) -> np.ndarray:
        """One-hot rows, from which the squared distance of probabilities is Brier's score."""
        points = np.full((len(y), self.n_columns), np.nan)
        known = ~np.isnan(y[:, 0])
        points[known] = y[known] == np.arange(self.n_columns)
        return points

    def answers_as_points(self, columns: np.ndarray) -> np.ndarray:
        """Probabilities."""
        return softmax(columns, axis=1)

    def cost(self, points: np.ndarray) -> np.ndarray:
        """Of Brier's skill score, in which all classes are one number: rare ones tell little by themselves."""
        total = sum_of_squares(points).sum()
        return np.full(points.shape[1], 1 / total if total > 0 else 0.0)

    def mismatch(self, info: TargetInfo, n_outputs: int) -> str | None:
        """As of `Readout`; and numbers are no labels."""
        if info.kind is None:
            return "numbers against labels, which POYOClassifier learns, or POYODecoder by name with behavior_type="
        return super().mismatch(info, n_outputs)

    def conflict(self, info: TargetInfo, n_outputs: int) -> str | None:
        """As of `Readout`."""
        new = [label for label in info.classes or () if label not in self.classes]
        return self.mismatch(info, n_outputs) or (f"the labels {new} are new" if new else None)

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
