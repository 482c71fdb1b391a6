"""Losses: squared error of numbers, distance of angles on the circle, cross-entropy of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..sessions.signals import Kind
from .windows import BehaviorColumns, Block

NEAR = 0.1  # of standardised points: about 4 degrees
SMOOTHING = 0.1  # share of a label's probability that is spread over all classes
LOWEST_LEVEL = 0.02  # of losses relative to chance


def squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean over the known columns of each sample, 0 where there are none; arrays (..., n_columns)."""
    known = ~target.isnan()
    n_known = known.sum(dim=-1)
    return ((predicted - target.nan_to_num()).square() * known).sum(dim=-1) / n_known.clamp_min(1)


def distance(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean distance of points, two columns each, over the known ones of each sample; arrays (..., n_columns).

    The distance itself, not its square: the error of an angle that users look at is the median, which the square
    spoils for the sake of a few samples that point to the other side. It is smooth within `NEAR`.
    """
    known = ~target.isnan()
    squared = ((predicted - target.nan_to_num()).square() * known).unflatten(-1, (-1, 2)).sum(dim=-1)
    known = known.unflatten(-1, (-1, 2)).all(dim=-1)
    return ((squared + NEAR**2).sqrt() - NEAR).sum(dim=-1) / known.sum(dim=-1).clamp_min(1)


def cross_entropy(predicted: Tensor, target: Tensor) -> Tensor:
    """Of the classes' logits with weighted one-hot targets, 0 where they are unknown; arrays (..., n_classes)."""
    return -(torch.log_softmax(predicted, dim=-1) * target.nan_to_num()).sum(dim=-1)


def smoothed(target: Tensor) -> Tensor:
    """One-hot targets (..., n_classes) of which a share is spread over all classes.

    Among several behaviours, labels that spikes hardly tell would be learned by heart at the cost of the others; this
    way there is less to gain from it. Source: Szegedy et al. 2016 (arXiv 1512.00567), section 7.
    """
    return torch.lerp(target, target.mean(dim=-1, keepdim=True).expand_as(target), SMOOTHING)


LOSSES: Mapping[Kind, Callable[[Tensor, Tensor], Tensor]] = {
    "continuous": squared_error,
    "circular": distance,
    "categorical": cross_entropy,
}


Layout = list[tuple[BehaviorColumns, Tensor]]  # what columns are, and their share in the loss of each window, (B,)


def layout_of(blocks: Sequence[Block], device: torch.device | str = "cpu") -> Layout:
    """The layout of windows, one of each of these blocks; shares are 0 where a block does not have the behaviour."""
    shares: dict[BehaviorColumns, np.ndarray] = {}
    for i, block in enumerate(blocks):
        for behavior, share in zip(block.behaviors, block.shares or [1.0] * len(block.behaviors), strict=True):
            shares.setdefault(behavior, np.zeros(len(blocks), dtype=np.float32))[i] = share
    return [(behavior, torch.from_numpy(share).to(device)) for behavior, share in shares.items()]


def loss_sums(predicted: Tensor, target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Sum of weighted losses of each behaviour, relative to chance; over `loss_weights` they are the losses.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, Q, W)
        Answers, and what they should be, NaN where unknown.
    weight : Tensor, shape (B, Q)
        Weights of the samples.
    layout : list of (BehaviorColumns, Tensor)
        What the columns are, and their share in the loss of each window, shape (B,).

    Returns
    -------
    Tensor, shape (n_behaviors,)
        In the order in which the layout first has them.
    """
    several = len({behavior.name for behavior, _ in layout}) > 1
    losses = []
    for behavior, share in layout:
        columns = slice(behavior.start, behavior.stop)
        truth = target[..., columns]
        if behavior.kind == "categorical" and several:
            truth = smoothed(truth)
        loss = LOSSES[behavior.kind](predicted[..., columns], truth)
        losses.append((loss * weight * share[:, None]).sum() * (1 / behavior.chance_loss))
    return by_behavior(layout, losses)


def loss_weights(target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Sum of the weights of all known targets of each behaviour, (n_behaviors,)."""
    sums = []
    for behavior, share in layout:
        known = (~target[..., behavior.start : behavior.stop].isnan()).any(dim=-1)
        sums.append((weight * known * share[:, None]).sum())
    return by_behavior(layout, sums)


def by_behavior(layout: Layout, sums: Sequence[Tensor]) -> Tensor:
    """Sums of each entry of a layout, added up by behaviour: sessions may have one in different columns."""
    totals: dict[str, Tensor] = {}
    for (behavior, _), value in zip(layout, sums, strict=True):
        totals[behavior.name] = totals[behavior.name] + value if behavior.name in totals else value
    return torch.stack(list(totals.values()))


def balance(levels: Tensor) -> Tensor:
    """Factors of the losses of behaviours that have come down to these levels, (n_behaviors,) each; their mean is one.

    A loss over its level has the gradient of its logarithm, so that a behaviour that spikes hardly tell does not drown
    one that they tell well. Source: the loss weights of Kendall, Gal and Cipolla 2018 (arXiv 1705.07115) at their best.
    """
    inverse = 1 / levels.clamp_min(LOWEST_LEVEL)
    return inverse / inverse.mean()


def of_windows(layout: Layout, rows: Tensor) -> Layout:
    """The layout of some of the windows."""
    return [(behavior, share[rows]) for behavior, share in layout]
