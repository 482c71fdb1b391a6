"""Noise on the embeddings of units while a core learns from several sessions.

Embeddings that are exact let a core know its units by heart. Where each is a cloud instead, the core gives similar
answers for similar units, so that a new unit, whose embedding is not exact after a minute of labels, is read well.
Numbers are in docs/defaults.md.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

UNIT_NOISE = 0.5  # standard deviations of the embeddings of a batch's units


class UnitNoise(NamedTuple):
    """Normal noise on the embeddings of a batch's units."""

    scale: float  # in standard deviations of their embeddings
    seed: int  # processes that share a batch have all its units, and so the same noise

    def draw(self, embeddings: Tensor) -> Tensor:
        """Noise (n_units, dim) for the embeddings of the units."""
        source = torch.Generator("cpu").manual_seed(self.seed)
        noise = torch.randn(embeddings.shape, generator=source, dtype=torch.float32, device="cpu").to(embeddings)
        variance = embeddings.square().mean(dim=0) - embeddings.mean(dim=0).square()  # a tenth of Tensor.var's time
        return self.scale * variance.clamp_min(0).sqrt() * noise
