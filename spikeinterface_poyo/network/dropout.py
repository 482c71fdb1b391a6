"""Dropout and gated units that cost a CPU little: four values share a random number, and gradients land in place.

In training each window has random numbers of its own, whichever windows are computed together or by another process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .random_numbers import CPU, seed_device

LANES = 4  # values decided by one number of 64 bits, so that probabilities are multiples of 2**-16


class _Present(threading.local):
    """Of the windows that this thread computes: fits may run side by side in threads."""

    sources: Sequence[torch.Generator] | None = None  # one a window


_present = _Present()


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        kept = draw_kept(x, p)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - p)
        return (x * kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return (grad * kept).mul_(ctx.scale), None


class _GEGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        opened = F.gelu(gate)
        ctx.save_for_backward(x, opened)
        return opened * value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, opened = ctx.saved_tensors
        value, gate = x.chunk(2, dim=-1)
        out = torch.empty_like(x)
        to_value, to_gate = out.chunk(2, dim=-1)
        torch.mul(opened, grad, out=to_value)
        torch.ops.aten.gelu_backward.grad_input(grad * value, gate, grad_input=to_gate)
        return out


@contextmanager
def seeded_by_window(seeds: Sequence[int], device: torch.device = CPU) -> Iterator[None]:
    """Context in which networks draw dropout for a batch of windows from one seed a window.

    Devices other than a CPU draw for all windows from the first one's, with the device's own generator.
    """
    seed_device(device, int(seeds[0]))
    if device.type == "cpu":
        _present.sources = [torch.Generator(CPU).manual_seed(int(seed)) for seed in seeds]
    try:
        yield
    finally:
        _present.sources = None


def draw_kept(x: Tensor, p: float) -> Tensor:
    """Which values of ``x`` (B, ...) stay, bool: each with probability ``1 - p``."""
    n_a_window = x[0].numel()
    numbers = torch.empty(len(x), -(-n_a_window // LANES), dtype=torch.int64, device=CPU)
    if _present.sources is None:
        numbers.random_(-(2**63), None)
    else:
        for row, source in zip(numbers, _present.sources, strict=True):
            row.random_(-(2**63), None, generator=source)
    lanes = numbers.view(torch.int16)[:, :n_a_window].reshape(x.shape)
    return lanes >= round(p * 2**16) - 2**15


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Zero each value with probability ``p`` and scale the others to keep the mean; in training only."""
    if not training or p == 0:
        return x
    return _Dropout.apply(x, p) if x.device.type == "cpu" else F.dropout(x, p)


def geglu(x: Tensor) -> Tensor:
    """First half of the last dimension times the GELU of the second (Shazeer 2020, arXiv 2002.05202)."""
    return _GEGLU.apply(x)
