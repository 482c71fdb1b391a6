"""The record of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class TrainingRecord:
    """What happened: one loss an iteration, one validation score an iteration where there was validation."""

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    interrupted: bool = False
    stopped_early: bool = False

    def followed_by(self, other: TrainingRecord) -> TrainingRecord:
        """Record of this run and of one after it."""
        return TrainingRecord(
            self.losses + other.losses, self.scores + other.scores, other.interrupted, other.stopped_early
        )
