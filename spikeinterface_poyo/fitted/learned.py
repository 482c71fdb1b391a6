"""What a decoder has learned, and the fitted attributes that tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..network.poyo import POYO
from .record import TrainingRecord
from .vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Learned:
    """A network, and what the rows and columns of its tables mean."""

    network: POYO
    vocabulary: Vocabulary


def keep(decoder: Any, learned: Learned, record: TrainingRecord) -> None:
    """Set the fitted attributes, under MLPRegressor's names where it has them; other weights are not calibrated."""
    decoder.network_, decoder.sessions_ = learned.network, learned.vocabulary
    decoder.n_outputs_ = learned.vocabulary.n_outputs
    decoder.calibration_ = {}
    losses, scores = record.losses, record.scores
    decoder.n_iter_, decoder.loss_curve_ = len(losses), losses
    decoder.loss_ = losses[-1] if losses else np.nan
    decoder.best_loss_ = None if scores else min(losses, default=np.nan)
    decoder.validation_scores_ = scores or None
    decoder.best_validation_score_ = max(scores) if scores else None
    decoder.interrupted_ = record.interrupted


def record_of(decoder: Any) -> TrainingRecord:
    """What `keep` was given at last, but for whether training stopped early."""
    return TrainingRecord(decoder.loss_curve_, decoder.validation_scores_ or [], decoder.interrupted_)
