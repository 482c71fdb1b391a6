"""Losses: squared error of numbers and of angles' cosines and sines, cross-entropy of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

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


def batch_loss(
    predicted: Tensor, target: Tensor, weight: Tensor, layout: Iterable[tuple[BehaviorColumns, Tensor | None]]
) -> Tensor:
    """Weighted mean loss over the samples and behaviours whose targets are known, each relative to chance.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, Q, W)
        Answers, and what they should be, NaN where unknown.
    weight : Tensor, shape (B, Q)
        Weights of the samples.
    layout : iterable of (BehaviorColumns, Tensor or None)
        What the columns are, and in which windows, shape (n_windows,); None where in all.
    """
    error, total = loss_sums(predicted, target, weight, layout)
    return error / total.clamp_min(1e-12)


def loss_sums(
    predicted: Tensor, target: Tensor, weight: Tensor, layout: Iterable[tuple[BehaviorColumns, Tensor | None]]
) -> tuple[Tensor, Tensor]:
    """Sum of weighted losses, and of the weights: their ratio is the loss."""
    error, total = predicted.new_zeros(()), predicted.new_zeros(())
    for behavior, windows in layout:
        columns = slice(behavior.start, behavior.stop)
        answer, wanted, counts = (part if windows is None else part[windows] for part in (predicted, target, weight))
        loss, known = LOSSES[behavior.kind](answer[..., columns], wanted[..., columns])
        counts = counts * known * behavior.share
        error = error + (loss * counts).sum() / behavior.chance_loss
        total = total + counts.sum()
    return error, total
