"""Losses: squared error of numbers, distance of angles on the circle, cross-entropy of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..sessions.signals import Kind
from .windows import BehaviorColumns

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


Layout = list[tuple[BehaviorColumns, Tensor | None]]


def loss_sums(predicted: Tensor, target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Sum of weighted losses of each behaviour, relative to chance; over `loss_weights` they are the losses.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, Q, W)
        Answers, and what they should be, NaN where unknown.
    weight : Tensor, shape (B, Q)
        Weights of the samples.
    layout : list of (BehaviorColumns, Tensor or None)
        What the columns are, and in which windows, bool, shape (B,); None where in all.

    Returns
    -------
    Tensor, shape (n_behaviors,)
        In the order of the layout.
    """
    sums = []
    for behavior, windows in layout:
        columns = slice(behavior.start, behavior.stop)
        answer, wanted, counts = (part if windows is None else part[windows] for part in (predicted, target, weight))
        truth = wanted[..., columns]
        if behavior.kind == "categorical" and len(layout) > 1:
            truth = smoothed(truth)
        loss = LOSSES[behavior.kind](answer[..., columns], truth)
        sums.append((loss * counts).sum() * (behavior.share / behavior.chance_loss))
    return torch.stack(sums)


def loss_weights(target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Sum of the weights of all known targets of each behaviour, (n_behaviors,)."""
    sums = []
    for behavior, windows in layout:
        wanted, counts = (part if windows is None else part[windows] for part in (target, weight))
        known = (~wanted[..., behavior.start : behavior.stop].isnan()).any(dim=-1)
        sums.append((counts * known).sum() * behavior.share)
    return torch.stack(sums)


def balance(levels: Tensor) -> Tensor:
    """Factors of the losses of behaviours that have come down to these levels, (n_behaviors,) each; their mean is one.

    A loss over its level has the gradient of its logarithm, so that a behaviour that spikes hardly tell does not drown
    one that they tell well. Source: the loss weights of Kendall, Gal and Cipolla 2018 (arXiv 1705.07115) at their best.
    """
    inverse = 1 / levels.clamp_min(LOWEST_LEVEL)
    return inverse / inverse.mean()


def of_windows(layout: Layout, rows: Tensor) -> Layout:
    """The layout of some of the windows."""
    return [(behavior, None if windows is None else windows[rows]) for behavior, windows in layout]
