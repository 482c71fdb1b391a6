"""Unit identification: embeddings, and readouts where they are new, learn while the core stays as it is.

Source: Azabou et al., NeurIPS 2023 (arXiv 2310.16046), section 3.3. Its numbers are ours: see docs/defaults.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..network.poyo import POYO
from .state import TrainingSettings
from .unit_prior import UnitPrior

IDENTIFICATION_RATE = 1e-2  # learning rate of embeddings and new readouts while the core is frozen
IDENTIFICATION_STEPS = 300
TABLES = ("unit_emb", "session_emb", "readout")


def identification(settings: TrainingSettings, prior: UnitPrior | None = None) -> TrainingSettings:
    """Settings while the core is frozen, where units are expected to be like those that it knows."""
    n_iterations = -(-IDENTIFICATION_STEPS // settings.steps_per_iteration)
    return replace(settings, n_iterations=n_iterations, learning_rate=IDENTIFICATION_RATE, unit_prior=prior,
                   stage="unit identification")  # fmt: skip


@contextmanager
def frozen_core(network: POYO, n_shared: int) -> Iterator[None]:
    """Context in which only embeddings learn, and the columns of the readout after the first ``n_shared``."""

    def only_new(gradient: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(gradient[:n_shared]), gradient[n_shared:]])

    frozen = [p for name, p in network.named_parameters() if name.split(".")[0] not in TABLES]
    learns: list[nn.Parameter] = list(network.readout.parameters())
    if n_shared == network.config.n_outputs:
        frozen, learns = frozen + learns, []
    for parameter in frozen:
        parameter.requires_grad_(False)
    hooks = [parameter.register_hook(only_new) for parameter in learns]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in frozen:
            parameter.requires_grad_(True)
