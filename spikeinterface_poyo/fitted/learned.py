"""What a decoder has learned, and the fitted attributes that tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..network.poyo import POYO
from .record import TrainingRecord
from .vocabulary import Vocabulary


@dataclass(frozen=True)
class Origin:
    """Weights that training started from: what whoever gets the new ones should know of them.

    ``source`` is a name, a model hub's id or an address; None for files of the user's own, whose paths may be private.
    ``package`` is what they were trained with.
    """

    source: str | None
    package: str
    n_sessions: int
    n_units: int
    labelled_seconds: float | None


@dataclass(frozen=True, eq=False)
class Learned:
    """A network, what the rows and columns of its tables mean, and the weights it started from, the earliest first."""

    network: POYO
    vocabulary: Vocabulary
    origins: tuple[Origin, ...] = ()

    def as_start(self, source: str | None, package: str = "spikeinterface_poyo") -> Learned:
        """The same as weights that training starts from; once, however often they are trained anew."""
        known = self.vocabulary
        origin = Origin(source, package, len(known.sessions), known.n_units, known.labelled_seconds)
        return self if origin in self.origins else replace(self, origins=(*self.origins, origin))


def keep(decoder: Any, learned: Learned, record: TrainingRecord) -> None:
    """Set the fitted attributes, under MLPRegressor's names where it has them; other weights are not calibrated."""
    decoder.network_, decoder.sessions_, decoder.origins_ = learned.network, learned.vocabulary, learned.origins
    decoder.n_outputs_ = learned.vocabulary.n_outputs
    decoder.calibration_ = {}
    losses, scores = record.losses, record.scores
    decoder.n_iter_, decoder.loss_curve_ = len(losses), losses
    decoder.loss_ = losses[-1] if losses else np.nan
    decoder.best_loss_ = None if scores else min(losses, default=np.nan)
    decoder.validation_scores_ = scores or None
    decoder.best_validation_score_ = record.best_score
    decoder.interrupted_ = record.interrupted
    decoder.training_stages_ = record.stages


def learned_of(decoder: Any) -> Learned:
    """What a fitted decoder has learned."""
    origins = getattr(decoder, "origins_", ())  # those that were pickled before there were any have none
    return Learned(decoder.network_, decoder.sessions_, origins)


def record_of(decoder: Any) -> TrainingRecord:
    """What `keep` was given at last, but for whether training stopped early."""
    stages = getattr(decoder, "training_stages_", [])  # those that were pickled before there were any have none
    return TrainingRecord(decoder.loss_curve_, decoder.validation_scores_ or [], decoder.interrupted_, stages=stages)
