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
    shortest, longest = (torch.tensor(period, dtype=torch.float32).log() for period in (t_min, t_max))
    periods = torch.exp(torch.lerp(shortest, longest, steps))
    return 2 * torch.pi / periods


def phases(times: Tensor, omega: Tensor) -> Tensor:
    """``exp(1j * times * omega)``, shape (..., n_pairs); the angle is formed in float32 as torch_brain does."""
    angle = times.float()[..., None] * omega
    return torch.complex(angle.cos(), angle.sin())  # vectorised on a CPU, as torch.polar is not


def turn_(x: Tensor, phase: Tensor) -> Tensor:
    """Rotate ``x`` (..., heads * dim_head) in place by ``phase`` (..., dim_head // 4)."""
    n_pairs = phase.shape[-1]
    rotated = x.unflatten(-1, (-1, 4 * n_pairs))[..., : 2 * n_pairs]
    pairs = rotated.float().unflatten(-1, (-1, 2))  # torch has no complex numbers of 16-bit floats
    torch.view_as_complex(pairs).mul_(phase[..., None, :])
    if x.dtype != torch.float32:
        rotated.copy_(pairs.flatten(-2))
    return x


def turned(x: Tensor, phase: Tensor) -> Tensor:
    """A rotated copy of ``x``, contiguous."""
    return turn_(x.clone(memory_format=torch.contiguous_format), phase)


def turned_back(grad: Tensor, phase: Tensor) -> Tensor:
    """A gradient, rotated back in place where it is contiguous.

    It comes from the attention or the linear layer that read what was rotated, and nothing else reads it.
    """
    return turn_(grad.contiguous(), phase.conj())


class _Rotation(torch.autograd.Function):
    """The backward pass rotates back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, phase: Tensor, in_place: bool) -> Tensor:
        if in_place:
            ctx.mark_dirty(x)
        ctx.save_for_backward(phase)
        return turn_(x, phase) if in_place else turned(x, phase)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (phase,) = ctx.saved_tensors
        return turned_back(grad, phase), None, None


class _GatheredRotation(torch.autograd.Function):
    """Rows of a table, rotated where they land: a gather and a product in place, without a copy between."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, phase: Tensor) -> Tensor:
        ctx.save_for_backward(index, phase)
        ctx.n_rows, ctx.dtype = len(table), table.dtype
        return turn_(table.index_select(0, index.flatten()).unflatten(0, index.shape), phase)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, phase = ctx.saved_tensors
        grad = turned_back(grad.float(), phase)  # float32, as a row sums over many tokens
        table = torch.ops.aten.embedding_dense_backward(grad, index, ctx.n_rows, -1, False)
        return table.to(ctx.dtype), None, None


def rotate(x: Tensor, phase: Tensor) -> Tensor:
    """Rotate the first half of each head of ``x``, whose heads lie side by side in its last dimension.

    Parameters
    ----------
    x : Tensor, shape (..., heads * dim_head)
        Of any float type, which stays.
    phase : Tensor, shape (..., dim_head // 4), complex64
        Broadcast over the leading dimensions of ``x``.
    """
    return _Rotation.apply(x, phase, False)


def rotate_(x: Tensor, phase: Tensor) -> Tensor:
    """`rotate` in place, for a result that nobody else needs as it was."""
    return _Rotation.apply(x, phase, True)


def gather_rotated(table: Tensor, index: Tensor, phase: Tensor) -> Tensor:
    """``rotate(table[index], phase)`` for a table (n_rows, heads * dim_head) and one phase an index."""
    return _GatheredRotation.apply(table, index, phase)
