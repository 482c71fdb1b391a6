"""Rotary time: how spike, latent and query times enter attention.

Neighbouring dimensions of a head's first half form pairs, and pair ``i`` is rotated by the angle ``time * omega[i]``;
the second half is left alone. Read as complex numbers the pairs are multiplied by ``exp(1j * time * omega)``.

Source: Su et al. 2021, "RoFormer" (arXiv 2104.09864); periods and pairing as in torch_brain's ``RotaryTimeEmbedding``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rotary_frequencies(n_pairs: int, t_min: float, t_max: float) -> Tensor:
    """Angular frequencies (rad/s) of ``n_pairs`` periods spaced evenly in log between ``t_min`` and ``t_max``."""
    if not 0 < t_min < t_max:
        raise ValueError(f"rotary periods need 0 < t_min < t_max, got t_min={t_min}, t_max={t_max}")
    steps = torch.linspace(0, 1, n_pairs, dtype=torch.float32)
    periods = torch.exp(torch.lerp(torch.tensor(t_min).log(), torch.tensor(t_max).log(), steps))
    return 2 * torch.pi / periods


def phases(times: Tensor, omega: Tensor) -> Tensor:
    """``exp(1j * times * omega)``, shape (..., n_pairs); the angle is formed in float32 as torch_brain does."""
    angle = times.float()[..., None] * omega
    return torch.polar(torch.ones_like(angle), angle)


def turn_(x: Tensor, phase: Tensor) -> Tensor:
    """Rotate the float32 tensor ``x`` in place; its last dimension must be contiguous."""
    torch.view_as_complex(x[..., : 2 * phase.shape[-1]].unflatten(-1, (-1, 2))).mul_(phase)
    return x


def turned(x: Tensor, phase: Tensor) -> Tensor:
    """A rotated copy of ``x`` in its own dtype."""
    return turn_(x.to(torch.float32, copy=True, memory_format=torch.contiguous_format), phase).to(x.dtype)


class _Rotation(torch.autograd.Function):
    """One copy and one product in place, forward and backward; the backward pass rotates back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, phase: Tensor) -> Tensor:
        ctx.save_for_backward(phase)
        return turned(x, phase)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (phase,) = ctx.saved_tensors
        return turned(grad, phase.conj()), None


class _GatheredRotation(torch.autograd.Function):
    """Rows of a table, rotated where they land: a gather and a product in place, without a copy between."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, phase: Tensor) -> Tensor:
        ctx.save_for_backward(index, phase)
        ctx.n_rows, ctx.dtype = len(table), table.dtype
        rows = table.float().flatten(1).index_select(0, index.flatten())
        return turn_(rows.view(*index.shape, *table.shape[1:]), phase[..., None, :]).to(table.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, phase = ctx.saved_tensors
        grad = turned(grad, phase[..., None, :].conj()).float()
        table = torch.ops.aten.embedding_dense_backward(grad.flatten(-2), index, ctx.n_rows, -1, False)
        return table.view(ctx.n_rows, *grad.shape[-2:]).to(ctx.dtype), None, None


def rotate(x: Tensor, phase: Tensor) -> Tensor:
    """Rotate the first half of ``x`` (..., dim_head) by ``phase`` (..., dim_head // 4), in the dtype of ``x``."""
    return _Rotation.apply(x, phase)


def gather_rotated(table: Tensor, index: Tensor, phase: Tensor) -> Tensor:
    """``rotate(table[index], phase)`` for a table (n_rows, heads, dim_head) and one phase an index.

    Returns
    -------
    Tensor, shape (*index.shape, heads, dim_head)
    """
    return _GatheredRotation.apply(table, index, phase)
