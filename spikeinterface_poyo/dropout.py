"""Dropout in which each window has random numbers of its own, whichever windows are computed together or elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

_sources: list[torch.Generator] | None = None


@contextmanager
def seeded_by_window(seeds: Iterable[int]) -> Iterator[None]:
    """Context in which networks on a CPU draw dropout for a batch of windows from one seed a window."""
    global _sources
    _sources = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    try:
        yield
    finally:
        _sources = None


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Zero each value of ``x`` (B, ...) with probability ``p`` and scale the others up; in training only."""
    if not training or p == 0:
        return x
    if _sources is None or x.device.type != "cpu":
        return F.dropout(x, p)
    kept = torch.empty_like(x, memory_format=torch.contiguous_format)
    for window, source in zip(kept, _sources, strict=True):
        window.bernoulli_(1 - p, generator=source)
    return x * kept.div_(1 - p)
