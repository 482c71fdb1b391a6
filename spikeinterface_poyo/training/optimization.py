"""The optimiser: Muon and AdamW, their learning rate over the steps, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..network.poyo import POYO
from .muon import Muon
from .unit_prior import AdamInPrior, UnitPrior

WARM_UP = 0.1  # share of the steps over which the learning rate rises
AVERAGE_DECAY = 0.99  # of the exponential average of weights, a step
BETAS = (0.9, 0.98)
MUON_RATE = 10.0  # learning rate of Muon over that of AdamW
PRIOR_RATE = 3.0  # the same of embeddings, in standard deviations of their prior


class WeightAverage:
    """Exponential moving average of a network's weights, which generalises better than the last step's."""

    def __init__(self, network: POYO) -> None:
        self.weights = copy_of_weights(network)
        self.n_updates = 0

    def update(self, network: POYO) -> None:
        """Move towards the present weights; early on faster, so that the start is soon forgotten."""
        self.n_updates += 1
        decay = min(AVERAGE_DECAY, self.n_updates / (10 + self.n_updates))
        torch._foreach_lerp_(self.weights, [p.detach() for p in network.parameters()], 1 - decay)


def copy_of_weights(network: POYO) -> list[Tensor]:
    """Detached copies of the network's parameters."""
    return [parameter.detach().clone() for parameter in network.parameters()]


def set_weights(network: POYO, weights: Sequence[Tensor]) -> None:
    """Copy ``weights`` into the network."""
    for parameter, weight in zip(network.parameters(), weights, strict=True):
        parameter.data.copy_(weight)


@contextmanager
def having(network: POYO, weights: Sequence[Tensor]) -> Iterator[None]:
    """Context in which the network has these weights."""
    present = copy_of_weights(network)
    try:
        set_weights(network, weights)
        yield
    finally:
        set_weights(network, present)


def learning_rate_factor(step: int, n_steps: int) -> float:
    """Linear warm-up, then cosine decay to zero."""
    return min((step + 1) / (WARM_UP * n_steps), 0.5 * (1 + math.cos(math.pi * step / n_steps)))


def make_optimizers(
    network: POYO, learning_rate: float, weight_decay: float, unit_prior: UnitPrior | None = None
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers; AdamW, without decay, for embeddings, readout, biases and norms.

    Parameters that need no gradient are left out. With a prior, embeddings of units are learned in its coordinates.
    """
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    table = None if unit_prior is None else named.pop("unit_emb.weight")
    hidden = {name for name, p in named.items() if p.ndim == 2 and "_emb" not in name and "readout" not in name}
    matrices = [p for name, p in named.items() if name in hidden]
    others = [p for name, p in named.items() if name not in hidden]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=learning_rate, betas=BETAS, weight_decay=0.0, fused=True)
    ]
    if matrices:
        optimizers.append(Muon(matrices, lr=MUON_RATE * learning_rate, weight_decay=weight_decay))
    if unit_prior is not None and table is not None:
        optimizers.append(AdamInPrior(table, unit_prior, lr=PRIOR_RATE * learning_rate, betas=BETAS))
    return optimizers


def scale_learning_rates(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Set learning rates to a share of those that the optimisers were made with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group.setdefault("initial_lr", group["lr"])
