"""The state of a training run: all that is needed to go on as if it had never stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..fitted.record import TrainingRecord
from ..network.poyo import POYO
from .optimization import (
    WeightAverage,
    copy_of_weights,
    having,
    learning_rate_factor,
    make_optimizers,
    scale_learning_rates,
    set_weights,
)
from .unit_prior import UnitPrior

LEVEL_DECAY = 0.95  # of the running mean of each behaviour's loss, a step
SCORE_TOLERANCE = 0.02  # validation R2 differs by so much between iterations for no reason


@dataclass(frozen=True)
class TrainingSettings:
    """What one training run needs besides data; see `POYODecoder` for the meaning."""

    n_iterations: int
    steps_per_iteration: int
    batch_size: int
    n_queries: int
    learning_rate: float
    weight_decay: float
    unit_dropout: float
    patience: int | None = None
    autocast: bool = False
    verbose: bool = False
    stage: str = "training"
    unit_prior: UnitPrior | None = None  # where embeddings of units are drawn towards those of known units
    unit_noise: float = 0.0  # on embeddings of units, in their standard deviations
    share: float = 1.0  # of the way from the weights at the start to those learned, at which training ends

    @property
    def n_steps(self) -> int:
        """Gradient steps at most."""
        return self.n_iterations * self.steps_per_iteration


class TrainingState:
    """A network in training, its optimiser, and how far it has come.

    Parameters
    ----------
    network : POYO
        Trained in place.
    settings : TrainingSettings
        Numbers of the recipe.
    rng : Generator
        Source of windows and dropped units.
    """

    def __init__(self, network: POYO, settings: TrainingSettings, rng: np.random.Generator) -> None:
        self.network, self.settings, self.rng = network, settings, rng
        self.rng_state = rng.bit_generator.state  # after the last step; the generator may be ahead
        self.optimizers = make_optimizers(network, settings.learning_rate, settings.weight_decay, settings.unit_prior)
        self.average = WeightAverage(network)
        self.start = copy_of_weights(network) if settings.share < 1 else None
        self.kept: list[Tensor] | None = None  # the best validated weights
        self.since_kept = 0  # iterations
        self.record = TrainingRecord()
        self.losses: list[Tensor] = []  # of the steps of the present iteration
        self.levels: Tensor | None = None  # what the losses of the behaviours have come down to; None before any step
        self.step = 0

    @property
    def is_over(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.settings.n_steps or self.record.stopped_early

    def descend(self, sums: Tensor, weights: Tensor) -> None:
        """Step along the gradients that the parameters hold, of losses with these sums and weights by behaviour."""
        assert self.levels is not None
        self.losses.append(sums.sum() / weights.sum().clamp_min(1e-12))
        present = torch.where(weights > 0, sums / weights.clamp_min(1e-12), self.levels)
        self.levels = LEVEL_DECAY * self.levels + (1 - LEVEL_DECAY) * present
        scale_learning_rates(self.optimizers, learning_rate_factor(self.step, self.settings.n_steps))
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update(self.network)
        self.step += 1

    def judge_start(self, validate: Callable[[], float] | None) -> None:
        """Keep the weights at the start, where they count, until others validate as well; once."""
        if validate is None or self.start is None or self.kept is not None:
            return
        with having(self.network, self.start):
            self.record.score_at_start = validate()
        self.kept = [weight.clone() for weight in self.start]

    def end_iteration(self, validate: Callable[[], float] | None) -> None:
        """Take note of the loss, and keep the averaged weights if they validate well.

        Raises
        ------
        ValueError
            Where the loss is no longer finite.
        """
        self.record.losses.append(self.check_finite())
        self.losses = []
        if validate is None:
            return
        present = self.result()
        best = self.record.best_score  # so far
        with having(self.network, present):
            self.record.scores.append(validate())
        self.since_kept += 1
        if best is None or self.record.scores[-1] >= best - SCORE_TOLERANCE:
            self.kept, self.since_kept = [weight.clone() for weight in present], 0
        patience = self.settings.patience
        self.record.stopped_early = patience is not None and self.since_kept >= patience

    def check_finite(self) -> float:
        """Mean loss of the iteration so far; refuse to go on from losses or weights that are not finite."""
        loss = float(torch.stack(self.losses).mean()) if self.losses else 0.0
        if not math.isfinite(loss):
            raise ValueError(f"the training loss became {loss}; lower learning_rate_init")
        if not all(bool(parameter.isfinite().all()) for parameter in self.network.parameters()):
            raise ValueError("the network's weights are no longer finite; lower learning_rate_init")
        return loss

    def result(self) -> list[Tensor]:
        """Weights that training has come to."""
        if self.start is None:
            return self.average.weights
        return list(torch._foreach_lerp(self.start, self.average.weights, self.settings.share))

    def best_weights(self) -> list[Tensor]:
        """Weights that training would end with now: the best validated ones where there is validation."""
        return self.result() if self.kept is None else self.kept

    def end_stage(self, validated: bool) -> None:
        """Leave the network with the weights that training ends with, and take note of how that came about."""
        set_weights(self.network, self.best_weights())
        told = self.settings
        self.record.stages = [{
            "stage": told.stage,
            "steps": self.step,
            "iterations": len(self.record.losses),
            "batch_size": int(told.batch_size),  # users may have given NumPy's
            "learning_rate": float(told.learning_rate),
            "weight_decay": float(told.weight_decay),
            "unit_dropout": float(told.unit_dropout),
            "validated": validated,
        }]  # fmt: skip

    def pack(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that changes in training: tensors, and plain data."""
        groups = {"network": copy_of_weights(self.network), "average": self.average.weights, "kept": self.kept or [],
                  "start": self.start or []}  # fmt: skip
        tensors = {f"{group}.{i}": weight for group, weights in groups.items() for i, weight in enumerate(weights)}
        for i, optimizer in enumerate(self.optimizers):
            for parameter, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{parameter}.{name}": value for name, value in values.items()}
        if self.losses:
            tensors["losses"] = torch.stack(self.losses)
        if self.levels is not None:
            tensors["levels"] = self.levels
        facts = {
            "stage": self.settings.stage,
            "step": self.step,
            "n_updates": self.average.n_updates,
            "since_kept": self.since_kept,
            "record": asdict(self.record),
            "rng": self.rng_state,
        }
        return tensors, facts

    def unpack(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Inverse of `pack`.

        Raises
        ------
        KeyError, RuntimeError, TypeError, ValueError
            Where they are of another network or stage.
        """
        if facts["stage"] != self.settings.stage:
            raise ValueError(f"it is in the stage {facts['stage']!r}, not {self.settings.stage!r}")
        device, n = self.network.omega.device, len(self.average.weights)
        set_weights(self.network, [tensors[f"network.{i}"] for i in range(n)])
        self.average.weights = [tensors[f"average.{i}"].to(device) for i in range(n)]
        self.average.n_updates = facts["n_updates"]
        if self.start is not None:
            self.start = [tensors[f"start.{i}"].to(device) for i in range(n)]
        self.kept = [tensors[f"kept.{i}"].to(device) for i in range(n)] if "kept.0" in tensors else None
        self.since_kept, self.step = facts["since_kept"], facts["step"]
        self.record = TrainingRecord(**facts["record"])
        self.losses = list(tensors["losses"].to(device)) if "losses" in tensors else []
        self.levels = tensors["levels"].to(device) if "levels" in tensors else None
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith(f"optimizer.{i}."):
                    _, _, parameter, key = name.split(".")
                    state.setdefault(int(parameter), {})[key] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.rng.bit_generator.state = self.rng_state = facts["rng"]
