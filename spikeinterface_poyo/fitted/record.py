"""The record of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass
class TrainingRecord:
    """What happened: one loss an iteration, one validation score an iteration where there was validation.

    ``score_at_start`` is that of the weights that training began with, where it may end with them. ``stages`` are the
    stages that have ended, each as plain data: what it was, how long, and with which settings.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    interrupted: bool = False
    stopped_early: bool = False
    score_at_start: float | None = None
    stages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_score(self) -> float | None:
        """The best validation score; None where there was no validation."""
        at_start = [] if self.score_at_start is None else [self.score_at_start]
        return max(at_start + self.scores, default=None)

    def followed_by(self, other: TrainingRecord) -> TrainingRecord:
        """Record of this run and of one after it."""
        return replace(
            other,
            losses=self.losses + other.losses,
            scores=self.scores + other.scores,
            stages=self.stages + other.stages,
        )
