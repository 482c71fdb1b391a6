"""What every readout is: a behaviour, by name, with columns of its own in the network's last layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..measures import rescale
from ..network.windows import BehaviorColumns
from ..sessions.signals import Kind, TargetInfo, check_goes_together
from .scoring import mean_r2, sum_of_squares

if TYPE_CHECKING:
    from typing_extensions import Self


def names_of(info: TargetInfo, n_outputs: int) -> tuple[str, ...] | None:
    """Names of outputs; None where some of the outputs that a behaviour was aligned with are not among the targets."""
    return info.names if info.names is not None and len(info.names) == n_outputs else None


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
    def score(self, y: np.ndarray, decoded: np.ndarray, weight: np.ndarray | None = None) -> float:
        """How well targets (n, n_outputs) are decoded, 1 at best; unknown ones are NaN. NaN where too few are known.

        ``weight`` are the samples' weights, (n,); all alike where None.
        """

    @abstractmethod
    def as_points(self, y: np.ndarray) -> np.ndarray:
        """Points (n, n_dimensions) whose squared distances are errors, from targets (n, n_outputs); NaN if unknown."""

    @abstractmethod
    def answers_as_points(self, columns: np.ndarray) -> np.ndarray:
        """What the network says of these points, from its answers (n, n_columns)."""

    @abstractmethod
    def cost(self, points: np.ndarray) -> np.ndarray:
        """What a squared error in each dimension takes from the skill at all ``points`` (n, n_dimensions).

        Skill is 1 for answers without errors, and 0 for always giving the mean of the points.
        """

    @property
    def columns(self) -> np.ndarray:
        """Columns of the readout layer, shape (n_columns,)."""
        return np.arange(self.first_column, self.first_column + self.n_columns)

    @property
    def target(self) -> TargetInfo:
        """What its targets measure."""
        return TargetInfo(
            self.units, self.output_names, self.name, self.n_outputs, self.kind, one_dimensional=self.one_dimensional
        )

    def asked_at(self, start: int) -> BehaviorColumns:
        """What these columns are where they begin at ``start`` in what a session is asked for."""
        return BehaviorColumns(self.name, self.kind, start, start + self.n_columns, self.chance_loss)

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
            check_goes_together(info, self.target, "the behaviour given")
            rescale(np.ones(1), info.units, self.units, "the behaviour given")
        except ValueError as error:
            return str(error)
        return None

    def conflict(self, info: TargetInfo, n_outputs: int) -> str | None:
        """Why such targets cannot be learned here, in words: a `mismatch`, or new labels; None where they can."""
        return self.mismatch(info, n_outputs)

    def adapted(self, y: np.ndarray, weight: np.ndarray, info: TargetInfo, class_weight: Any = None) -> Self:
        """The same columns for other targets, as far as they are given otherwise: answers are to be as they are.

        Parameters are as in `of`, and ``class_weight`` that of labels; the targets are no `mismatch`.
        """
        names = names_of(info, self.n_outputs) or self.output_names
        return replace(self, output_names=names, one_dimensional=info.one_dimensional)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"kind": self.kind}


@dataclass(frozen=True, kw_only=True)
class MeasuredReadout(Readout):
    """A behaviour that is measured, so that decoded values can be near it: numbers and angles."""

    def adapted(self, y: np.ndarray, weight: np.ndarray, info: TargetInfo, class_weight: Any = None) -> Self:
        """As of `Readout`, and in the targets' unit of measure where that is known."""
        factor = float(rescale(np.array(1.0), self.units, info.units, f"behaviour {self.name!r}"))
        return super().adapted(y, weight, info).rescaled(factor, info.units or self.units)

    @abstractmethod
    def rescaled(self, factor: float, units: str | None) -> Self:
        """The same columns, of targets that are ``factor`` times the numbers, in ``units``."""

    def score(self, y: np.ndarray, decoded: np.ndarray, weight: np.ndarray | None = None) -> float:
        """R2 of the points' dimensions, uniform average over those that have two known targets."""
        return mean_r2(self.as_points(y), self.as_points(decoded), weight)

    def answers_as_points(self, columns: np.ndarray) -> np.ndarray:
        """Points of the decoded targets."""
        return self.as_points(self.decode(columns))

    def cost(self, points: np.ndarray) -> np.ndarray:
        """Of R2, uniform average over the dimensions in which points differ."""
        total = sum_of_squares(points)
        varies = total > 0
        return np.divide(1 / max(varies.sum(), 1), total, out=np.zeros_like(total), where=varies)

    @abstractmethod
    def error(self, y: np.ndarray, decoded: np.ndarray) -> np.ndarray:
        """How far targets (n, n_outputs) are from decoded ones, in ``units``, zero or more."""

    @abstractmethod
    def spread(self, columns: np.ndarray) -> np.ndarray:
        """Standard deviations (n, n_outputs), in ``units``, from those of the columns (n, n_columns)."""

    def around(self, decoded: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, (n, n_outputs) each, of what lies within a distance of decoded targets."""
        return decoded - distance, decoded + distance
