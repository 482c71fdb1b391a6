"""Losses: squared error of numbers, distance of angles on the circle, cross-entropy of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from .signals import Kind
from .windows import BehaviorColumns

NEAR = 0.1  # of standardised points: about 4 degrees


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


LOSSES: Mapping[Kind, Callable[[Tensor, Tensor], Tensor]] = {
    "continuous": squared_error,
    "circular": distance,
    "categorical": cross_entropy,
}


Layout = list[tuple[BehaviorColumns, Tensor | None]]


def loss_sum(predicted: Tensor, target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Sum of weighted losses, each relative to chance; over `loss_weight` it is the loss.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, Q, W)
        Answers, and what they should be, NaN where unknown.
    weight : Tensor, shape (B, Q)
        Weights of the samples.
    layout : list of (BehaviorColumns, Tensor or None)
        What the columns are, and in which windows, bool, shape (B,); None where in all.
    """
    error = predicted.new_zeros(())
    for behavior, windows in layout:
        columns = slice(behavior.start, behavior.stop)
        answer, wanted, counts = (part if windows is None else part[windows] for part in (predicted, target, weight))
        loss = LOSSES[behavior.kind](answer[..., columns], wanted[..., columns])
        error = error + (loss * counts).sum() * (behavior.share / behavior.chance_loss)
    return error


def loss_weight(target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Sum of the weights of all known targets."""
    total = weight.new_zeros(())
    for behavior, windows in layout:
        wanted, counts = (part if windows is None else part[windows] for part in (target, weight))
        known = (~wanted[..., behavior.start : behavior.stop].isnan()).any(dim=-1)
        total = total + (counts * known).sum() * behavior.share
    return total


def of_windows(layout: Layout, rows: Tensor) -> Layout:
    """The layout of some of the windows."""
    return [(behavior, None if windows is None else windows[rows]) for behavior, windows in layout]
