"""Losses: squared error of numbers and of angles' cosines and sines, cross-entropy of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from .signals import Kind
from .windows import BehaviorColumns


def squared_error(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the known columns of a sample, and which samples have any; arrays (..., n_columns)."""
    known = ~target.isnan()
    n_known = known.sum(dim=-1)
    error = ((predicted - target.nan_to_num()).square() * known).sum(dim=-1) / n_known.clamp_min(1)
    return error, n_known > 0


def cross_entropy(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Of the classes' logits with weighted one-hot targets, and which samples have one; arrays (..., n_classes)."""
    known = ~target[..., 0].isnan()
    return -(torch.log_softmax(predicted, dim=-1) * target.nan_to_num()).sum(dim=-1), known


LOSSES: Mapping[Kind, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "continuous": squared_error,
    "circular": squared_error,
    "categorical": cross_entropy,
}


Layout = list[tuple[BehaviorColumns, Tensor | None]]


def batch_loss(predicted: Tensor, target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Weighted mean loss over the samples and behaviours whose targets are known, each relative to chance.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, Q, W)
        Answers, and what they should be, NaN where unknown.
    weight : Tensor, shape (B, Q)
        Weights of the samples.
    layout : list of (BehaviorColumns, Tensor or None)
        What the columns are, and in which windows, bool, shape (B,); None where in all.
    """
    return loss_sum(predicted, target, weight, layout) / loss_weight(target, weight, layout).clamp_min(1e-12)


def loss_sum(predicted: Tensor, target: Tensor, weight: Tensor, layout: Layout) -> Tensor:
    """Sum of weighted losses; over `loss_weight` it is the loss."""
    error = predicted.new_zeros(())
    for behavior, windows in layout:
        columns = slice(behavior.start, behavior.stop)
        answer, wanted, counts = (part if windows is None else part[windows] for part in (predicted, target, weight))
        loss, known = LOSSES[behavior.kind](answer[..., columns], wanted[..., columns])
        error = error + (loss * counts * known).sum() * (behavior.share / behavior.chance_loss)
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
