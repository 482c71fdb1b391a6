"""Batches: training windows with their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..network.batch import WindowBatch, to_batch
from ..network.losses import Layout, layout_of, of_windows
from ..network.windows import Block, tokenize
from ..sessions.stored_spikes import is_stored
from .sampling import WindowSampler
from .state import TrainingSettings
from .unit_noise import UnitNoise


class Batch(NamedTuple):
    """Windows to train on: targets (B, Q, W), their weights (B, Q), what the columns are, seeds (B,) of dropout."""

    windows: WindowBatch
    target: Tensor
    weight: Tensor
    layout: Layout
    seeds: np.ndarray
    unit_noise: UnitNoise | None = None


@dataclass(frozen=True, eq=False)
class BatchSource:
    """Training windows with their targets.

    Parameters
    ----------
    blocks : sequence of Block
        Segments that the sampler numbers.
    sampler : WindowSampler
        Draws windows and the positions of their samples.
    targets : Tensor, shape (n_samples, most columns of a block)
        Standardised, NaN where unknown, in the sampler's order, on the network's device.
    weights : Tensor, shape (n_samples,)
        Weight of each sample in the loss.
    """

    blocks: Sequence[Block]
    sampler: WindowSampler
    targets: Tensor
    weights: Tensor

    def draw(self, settings: TrainingSettings, rng: np.random.Generator, mine: slice = slice(None)) -> Batch:
        """A fresh batch; only the windows ``mine`` of it are laid out."""
        windows, query = self.sampler.draw(settings.batch_size, settings.n_queries, rng)
        tokens = tokenize(self.blocks, windows, self.sampler.window_length, settings.unit_dropout, rng, mine)
        query, block = query[mine], windows.block[mine]
        query_time = self.sampler.times[query] - windows.start[mine, None]
        position = torch.from_numpy(query).to(self.targets.device)
        session, columns = self.session_rows[block], self.columns[block]
        batch = to_batch(tokens, session, query_time, columns, self.targets.device)
        seeds = rng.integers(2**63, size=settings.batch_size)[mine]
        noise = UnitNoise(settings.unit_noise, int(rng.integers(2**63))) if settings.unit_noise else None
        layout = of_windows(self.layout, torch.from_numpy(block).to(self.targets.device))
        return Batch(batch, self.targets[position], self.weights[position], layout, seeds, noise)

    @cached_property
    def layout(self) -> Layout:
        """What the columns are of windows, one of each block."""
        return layout_of(self.blocks, self.targets.device)

    @property
    def is_slow(self) -> bool:
        """Whether a step would wait for its batch: spikes are read from disk, or the device is quicker than a CPU."""
        return self.targets.device.type != "cpu" or any(is_stored(block.segment) for block in self.blocks)

    @cached_property
    def session_rows(self) -> np.ndarray:
        """Row of each block's session, shape (n_blocks,)."""
        return np.array([block.session_row for block in self.blocks])

    @cached_property
    def columns(self) -> np.ndarray:
        """Columns (n_blocks, W) of the readout; where a block has fewer, column 0, for which it has no targets."""
        columns = np.zeros((len(self.blocks), self.targets.shape[1]), dtype=np.int64)
        for row, block in zip(columns, self.blocks, strict=True):
            row[: len(block.columns)] = block.columns
        return columns
