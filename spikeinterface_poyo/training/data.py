"""Samples and targets laid out for training, and the blocks held out of them for validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat

import numpy as np
import torch

from ..distributed import ALONE, Team
from ..fitted.vocabulary import Vocabulary
from ..network.losses import layout_of, loss_sums, loss_weights
from ..network.merging import as_read
from ..network.poyo import POYO, NetworkConfig
from ..network.prediction import predict_block
from ..network.windows import Block
from ..sessions.samples import SpikeSamples, readable, seconds_covered
from .batches import BatchSource
from .sampling import WindowSampler

ROW_BIN = 0.1  # seconds that one row of counts stands for; any value does, as rows are read one by one
MIN_BLOCK_WINDOWS = 10  # a held-out block is at least so many windows long ...
MAX_HELD_OUT_BLOCKS = 5  # ... and there are at most so many in a segment


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Per block (segment of a session): ascending sample times (s), standardised targets and sample weights.

    Targets are as wide as those of the session that has most columns, NaN beyond a block's own.
    """

    blocks: list[Block]
    times: list[np.ndarray]
    targets: list[np.ndarray]
    weights: list[np.ndarray]
    centred: bool
    vocabulary: Vocabulary  # whose embeddings and readouts they train

    @classmethod
    def build(
        cls,
        X: SpikeSamples,
        names: Mapping[int, str],
        known: Vocabulary,
        targets: np.ndarray,
        weights: np.ndarray,
    ) -> TrainingData:
        """Samples that can teach something: some target known, weight above zero.

        ``names`` are the ids of the sessions by position; ``targets`` (n_samples, W) are standardised.
        """
        teaches = (~np.isnan(targets)).any(axis=1) & (weights > 0)
        blocks, orders = [], []
        for position, segment, order in X.blocks():
            kept = order[teaches[order]]
            if len(kept):
                blocks.append(known.block(X.sessions[position], segment, names[position]))
                orders.append(kept)
        return cls(
            equal_shares(blocks, [targets[order] for order in orders]),
            [X.times[order] for order in orders],
            [targets[order].astype(np.float32) for order in orders],
            [weights[order].astype(np.float32) for order in orders],
            any(session.isolated_rows for session in X.sessions),
            known,
        )

    @cached_property
    def seconds(self) -> float:
        """Time that the samples cover, in s; what rows of counts would, one after the other."""
        if self.centred:
            return ROW_BIN * sum(map(len, self.times))
        return float(np.sum(list(map(seconds_covered, self.times))))

    @cached_property
    def largest(self) -> np.ndarray:
        """The largest deviation from the mean, of numbers in each column of the readout layer; NaN in other columns."""
        largest = np.full(self.vocabulary.n_columns, np.nan)
        for block, targets in zip(self.blocks, self.targets, strict=True):
            for behavior in block.behaviors:
                if behavior.kind == "continuous":
                    mine = slice(behavior.start, behavior.stop)
                    columns, size = block.columns[mine], np.nan_to_num(np.abs(targets[:, mine])).max(axis=0)
                    largest[columns] = np.fmax(largest[columns], size)
        return largest

    @property
    def constant_columns(self) -> np.ndarray:
        """Columns whose numbers are at their mean in all samples: there is nothing to learn."""
        return np.flatnonzero(self.largest == 0)

    @property
    def off_columns(self) -> np.ndarray:
        """Columns with numbers that are off their mean somewhere."""
        return np.flatnonzero(self.largest > 0)

    def source(self, config: NetworkConfig, device: torch.device) -> BatchSource:
        """These samples as a source of batches on ``device``."""
        targets, weights = np.concatenate(self.targets), np.concatenate(self.weights)
        blocks, sessions = [], [block.session_row for block in self.blocks]
        for block, times in zip(self.blocks, self.times, strict=True):
            # Spikes that windows may read are not merged with such as are masked.
            blocks.append(as_read(block, config, times, np.unique(readable(times, config.window_length))))
        return BatchSource(
            blocks,
            WindowSampler(self.times, sessions, config.window_length, config.causal, self.centred),
            torch.from_numpy(targets).to(device),
            torch.from_numpy(weights).to(device),
        )

    def select(self, keep: list[np.ndarray]) -> TrainingData:
        """The samples where ``keep``, one boolean array a block, is True."""
        some = [i for i, mask in enumerate(keep) if mask.any()]
        return TrainingData(
            [self.blocks[i] for i in some],
            [self.times[i][keep[i]] for i in some],
            [self.targets[i][keep[i]] for i in some],
            [self.weights[i][keep[i]] for i in some],
            self.centred,
            self.vocabulary,
        )

    def as_predicted(self, config: NetworkConfig) -> TrainingData:
        """The same, of which a network with this shape reads what it does in prediction."""
        return replace(self, blocks=list(map(as_read, self.blocks, repeat(config), self.times)))

    def leading_session(self) -> TrainingData:
        """The samples of the session with most spikes, from which there is most to learn."""
        rows = np.array([block.session_row for block in self.blocks])
        n_spikes = np.bincount(rows, [len(block.segment.spike_times) for block in self.blocks])
        leads = rows == np.argmax(n_spikes)
        return self.select([np.full(len(times), lead) for times, lead in zip(self.times, leads, strict=True)])

    def score(self, network: POYO, team: Team = ALONE) -> float:
        """One minus the loss: of numbers, R2 if these varied as much as all of the fit's samples do; 0 is chance.

        Samples are `as_predicted`. Each process of a team predicts some of the blocks.
        """
        sums = torch.zeros(2, dtype=torch.float64, device="cpu")
        rows = list(zip(self.blocks, self.times, self.targets, self.weights, strict=True))
        for block, times, *labels in rows[team.rank :: team.size]:
            predicted = torch.from_numpy(predict_block(network, block, times, self.centred))[None]
            target, weight = (torch.from_numpy(array).double()[None] for array in labels)
            layout = layout_of([block])
            error, total = loss_sums(predicted, target, weight, layout), loss_weights(target, weight, layout)
            sums += torch.stack([error.sum(), total.sum()])
        error, total = team.total(sums)
        return 1 - float(error / total)


def equal_shares(blocks: Sequence[Block], targets: Sequence[np.ndarray]) -> list[Block]:
    """The blocks, such that the behaviours of a session count alike in the loss, however often each is known."""
    n_known: dict[tuple[int, str], int] = {}
    for block, rows in zip(blocks, targets, strict=True):
        for behavior in block.behaviors:
            key = (block.session_row, behavior.name)
            n = int((~np.isnan(rows[:, behavior.start : behavior.stop])).any(axis=1).sum())
            n_known[key] = n_known.get(key, 0) + n
    shared = []
    for block in blocks:
        mine = [n_known[block.session_row, behavior.name] for behavior in block.behaviors]
        shares = tuple(sum(mine) / (len(mine) * n) if n else 0.0 for n in mine)
        shared.append(replace(block, shares=shares))
    return shared


def hold_out(data: TrainingData, fraction: float, window_length: float) -> tuple[TrainingData, TrainingData]:
    """Split off contiguous blocks, spread evenly over each segment.

    Raises
    ------
    ValueError
        Where there are too few samples to hold any out.
    """
    held = [held_out_mask(times, fraction, window_length) for times in data.times]
    if not any(mask.any() for mask in held) or all(mask.all() for mask in held):
        raise ValueError(
            f"{sum(map(len, held))} samples are too few to hold out validation_fraction={fraction} of them; "
            "give more samples or early_stopping=False"
        )
    return data.select([~mask for mask in held]), data.select(held)


def held_out_mask(times: np.ndarray, fraction: float, window_length: float) -> np.ndarray:
    """Which of the ascending ``times`` are held out: the middle of each of a few equal parts; never a lone sample."""
    if len(times) == 1:
        return np.zeros(1, dtype=bool)
    held_time = fraction * (times[-1] - times[0])
    most = max(1, min(MAX_HELD_OUT_BLOCKS, int(fraction * len(times))))
    n_blocks = int(np.clip(held_time / (MIN_BLOCK_WINDOWS * window_length), 1, most))
    place = (np.arange(len(times)) + 0.5) / len(times) * n_blocks % 1 - 0.5
    half = max(fraction, n_blocks / len(times)) / 2  # a sample a block at least
    return (place >= -half * (1 + 1e-9)) & (place < half * (1 - 1e-9))
