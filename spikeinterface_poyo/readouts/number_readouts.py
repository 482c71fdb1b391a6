"""Readouts of numbers and of angles: what the columns of each mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..measures import rescale
from ..sessions.signals import Kind, TargetInfo
from ..warning import warn
from .encoding import ROUNDING, are_constant, distances, full_turn, on_circle, standardisation
from .readout import MeasuredReadout

if TYPE_CHECKING:
    from typing_extensions import Self

ANGLES = ("deg", "rad")  # units of measure, as quantities writes them
ALL_AROUND, NEARLY = 0.95, 1e-6  # of a turn
JUMPS = 3  # of which one may be chance
SCALE_OF_DIRECTIONS = float(np.sqrt(0.5))  # standard deviation of the cosine and of the sine of angles from all around


@dataclass(frozen=True, kw_only=True)
class ContinuousReadout(MeasuredReadout):
    """Numbers: each column is one output, standardised by ``mean`` and ``scale``, one an output."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    kind: ClassVar[Kind] = "continuous"

    @classmethod
    def of(cls, y: np.ndarray, weight: np.ndarray, info: TargetInfo, **common: Any) -> ContinuousReadout:
        """Readout of targets (n, n_outputs) of samples of these weights.

        Raises
        ------
        ValueError
            Where they are too large for their squares.

        Warns
        -----
        UserWarning
            Where they look like angles, and nobody said what they are, and where an output is constant.
        """
        if info.kind is None and info.units in ANGLES:
            warn_of_full_turn(y, info)
        n_outputs = y.shape[1]
        readout = cls(mean=(0.0,) * n_outputs, scale=(1.0,) * n_outputs, **common)
        readout = readout.standardising(np.arange(n_outputs), y, weight)
        constant = np.flatnonzero(are_constant(y))
        if len(constant) and len(y) > 1:
            warn(f"output(s) {constant.tolist()} of behaviour {info.name!r} are the same at all samples and are "
                 "decoded as that: their R2 is 1 where they stay so, and no more than 0 where not")  # fmt: skip
        return readout

    def rescaled(self, factor: float, units: str | None) -> Self:
        """Its mean and scale, that often."""
        mean, scale = (tuple(factor * number for number in numbers) for numbers in (self.mean, self.scale))
        return replace(self, units=units, mean=mean, scale=scale)

    def standardising(self, outputs: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Self:
        """The same, whose mean and scale of some ``outputs`` are those of targets (n, n_outputs) of these weights.

        Raises
        ------
        ValueError
            Where they are too large for their squares.
        """
        mean, scale = np.array(self.mean), np.array(self.scale)
        mean[outputs], scale[outputs] = (numbers[outputs] for numbers in standardisation(y, weight))
        if not (np.isfinite(mean) & np.isfinite(scale)).all():
            raise ValueError(f"behaviour {self.name!r} has values of up to {np.nanmax(np.abs(y)):.3g}, too large to "
                             "learn; what is unknown is NaN")  # fmt: skip
        return replace(self, mean=tuple(mean.tolist()), scale=tuple(scale.tolist()))

    @property
    def n_outputs(self) -> int:
        """Number of outputs, as users see them."""
        return len(self.mean)

    @property
    def n_columns(self) -> int:
        """Number of columns in the readout layer."""
        return len(self.mean)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Standardised targets; zero where rounding alone sets them off the mean, which an optimiser would follow."""
        mean, off = np.array(self.mean), y - np.array(self.mean)
        return np.where(np.abs(off) > ROUNDING * np.abs(mean), off / np.array(self.scale), 0.0 * off)

    def decode(self, columns: np.ndarray) -> np.ndarray:
        """Inverse of `encode`."""
        return columns * np.array(self.scale) + np.array(self.mean)

    def as_points(self, y: np.ndarray) -> np.ndarray:
        """Targets as they are."""
        return y

    def error(self, y: np.ndarray, decoded: np.ndarray) -> np.ndarray:
        """Absolute differences."""
        return np.abs(y - decoded)

    def spread(self, columns: np.ndarray) -> np.ndarray:
        """Of the outputs, in ``units``."""
        return columns * np.array(self.scale)


def warn_of_full_turn(y: np.ndarray, info: TargetInfo) -> None:
    """Tell of numbers (n, n_outputs) in a unit of angle that span a full turn and no more, as wrapped angles do."""
    turns = (np.nanmax(y, axis=0) - np.nanmin(y, axis=0)) / full_turn(info.units, info.name)
    if ((turns > ALL_AROUND) & (turns < 1 + NEARLY)).any():
        warn(f"behaviour {info.name!r}, in {info.units!r}, spans a full turn and is decoded as plain numbers, which "
             "jump there; of an angle, say behavior_type='circular'")  # fmt: skip


def warn_of_jumps(parts: Sequence[np.ndarray], stretch: Sequence[np.ndarray], name: str) -> None:
    """Tell of numbers without a unit, (n, n_outputs) in order of time, that span a turn and jump between its ends.

    ``stretch`` numbers the stretches of each part's samples, (n,), between which they may be anywhere.
    """
    y = np.concatenate(parts)
    steps = np.concatenate([np.abs(np.diff(part, axis=0))[np.diff(number) == 0]
                            for part, number in zip(parts, stretch, strict=True)])  # fmt: skip
    span = np.nanmax(y, axis=0) - np.nanmin(y, axis=0)
    for turn, unit, told in ((2 * np.pi, "radians", "'circular'"), (360.0, "degrees", "('circular', 360.0)")):
        around = (span > ALL_AROUND * turn) & (span < (1 + NEARLY) * turn)
        if (around & ((steps > ALL_AROUND * turn).sum(axis=0) >= JUMPS)).any():
            warn(f"behaviour {name!r} has no unit of measure, spans {turn:.4g} and jumps from one end to the other, as "
                 f"angles in {unit} do, and is decoded as plain numbers; of an angle, say behavior_type={told}, else "
                 "'continuous'")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CircularReadout(MeasuredReadout):
    """Angles: two columns an output, its cosine and its sine, standardised by ``mean`` and ``scale``, one a column.

    All directions count alike in the loss, so ``mean`` is 0 and ``scale`` that of angles from all around. Weights that
    were saved before this was so have others.

    Parameters
    ----------
    period : float
        A full turn, in ``units``.
    first : float
        The smallest angle that is given back: answers lie in [first, first + period).
    distance : float
        Mean distance, standardised, of the angles' points from their centre: the loss of always giving the centre.
    """

    period: float
    first: float
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    distance: float = 1 / SCALE_OF_DIRECTIONS  # of angles from all around
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
        lowest, highest = np.nanmin(y), np.nanmax(y)
        turns = (highest - lowest) / period
        if info.period is None and info.units is None and turns > 2:
            warn(f"the angles of {info.name!r} have no unit of measure and span {turns:.0f} turns as radians; of "
                 "degrees, say behavior_type=('circular', 360.0)")  # fmt: skip
        points = on_circle(y, period)
        n_columns = points.shape[1]
        centre, _ = standardisation(points, weight)
        from_centre = distances(points - centre) / SCALE_OF_DIRECTIONS
        distance, _ = standardisation(from_centre, weight)
        return cls(
            period=period,
            first=smallest_answer(lowest, period),
            mean=(0.0,) * n_columns,
            scale=(SCALE_OF_DIRECTIONS,) * n_columns,
            distance=float(distance.mean()),
            **common,
        )

    def adapted(self, y: np.ndarray, weight: np.ndarray, info: TargetInfo, class_weight: Any = None) -> Self:
        """As of `MeasuredReadout`; the circle is cut where these angles say."""
        readout = super().adapted(y, weight, info)
        return replace(readout, first=smallest_answer(np.nanmin(y), readout.period))

    def rescaled(self, factor: float, units: str | None) -> Self:
        """Its full turn, that often."""
        return replace(self, units=units, period=factor * self.period, first=factor * self.first)

    @property
    def n_outputs(self) -> int:
        """Number of angles."""
        return len(self.mean) // 2

    @property
    def n_columns(self) -> int:
        """Two an angle."""
        return len(self.mean)

    @property
    def target(self) -> TargetInfo:
        """As of `Readout`, with the full turn."""
        return replace(super().target, period=self.period)

    def mismatch(self, info: TargetInfo, n_outputs: int) -> str | None:
        """As of `Readout`; and a full turn must be the same where it is said what it is."""
        why = super().mismatch(info, n_outputs)
        if why is not None or not self.is_told(info):
            return why
        turn = rescale(np.array(info.period or full_turn(info.units, info.name)), info.units, self.units, "a full turn")
        return None if np.isclose(turn, self.period) else f"a full turn of {turn:g} against {self.period:g}"

    def is_told(self, info: TargetInfo) -> bool:
        """Whether it is said of targets that they are angles, and what a full turn is; else they are taken for these.

        Of plain numbers that are said to be angles a full turn is that of before, or radians.
        """
        if info.kind is None:
            return False
        return info.period is not None or info.units in ANGLES or bool(np.isclose(self.period, 2 * np.pi))

    @property
    def chance_loss(self) -> float:
        """Loss of always giving the centre of the angles' points; one where they all agree and nothing is to learn."""
        return self.distance if self.distance > 1e-6 else 1.0

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Standardised cosines and sines."""
        return (on_circle(y, self.period) - np.array(self.mean)) / np.array(self.scale)

    def decode(self, columns: np.ndarray) -> np.ndarray:
        """Angles of the vectors that the columns are."""
        vectors = columns * np.array(self.scale) + np.array(self.mean)
        angle = np.arctan2(vectors[:, 1::2], vectors[:, ::2]) * self.period / (2 * np.pi)
        return wrapped(angle, self.first, self.period)

    def as_points(self, y: np.ndarray) -> np.ndarray:
        """Cosine and sine, so that it does not matter where the circle is cut."""
        return on_circle(y, self.period)

    def error(self, y: np.ndarray, decoded: np.ndarray) -> np.ndarray:
        """Angles between them, the shorter way round."""
        apart = np.mod(y - decoded, self.period)
        return np.minimum(apart, self.period - apart)

    def spread(self, columns: np.ndarray) -> np.ndarray:
        """Of the points on the circle, as far as an angle turns them."""
        return distances(columns * np.array(self.scale)) * self.period / (2 * np.pi)

    def around(self, decoded: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends of an arc, at most half a turn either way, below and above the decoded angle.

        They may lie beyond the range of decoded angles, so that the lower end is always the smaller number.
        """
        return super().around(decoded, np.minimum(distance, self.period / 2))


def in_one_turn(angles: np.ndarray, lowest: float, period: float) -> np.ndarray:
    """Angles of the range around zero or from zero on, in the one of targets whose smallest is ``lowest``."""
    first = smallest_answer(lowest, period)
    inside = (angles >= first) & (angles < first + period)
    return np.where(inside, angles, wrapped(angles, first, period))


def wrapped(angles: np.ndarray, first: float, period: float) -> np.ndarray:
    """The same angles, in [first, first + period)."""
    angles = first + np.mod(angles - first, period)
    return np.where(angles >= first + period, first, angles)  # where rounding can end


def smallest_answer(lowest: float, period: float) -> float:
    """Where the range of angles that are given back begins: half a turn below zero where some are negative."""
    return -period / 2 if lowest < 0 else 0.0
