"""Training: Muon and AdamW with warm-up and cosine decay, an average of the weights, and the best of them kept.

The recipe is not the paper's (LAMB over 1000 epochs, whose validation R2 stays at zero for hundreds of epochs) but one
that converges in minutes on a CPU; how its numbers were chosen is told in docs/defaults.md. Muon (Jordan et al. 2024,
"Muon: an optimizer for hidden layers") reaches in 150 steps what AdamW reaches in 500.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm

from .losses import loss_sums, loss_weight
from .muon import Muon
from .network import POYO, WindowBatch
from .parts import parts
from .prediction import to_batch
from .sampling import WindowSampler
from .windows import BehaviorColumns, Block, tokenize

WARM_UP = 0.1  # share of the steps over which the learning rate rises
CLIP_NORM = 1.0
AVERAGE_DECAY = 0.99  # of the exponential average of weights, a step
SCORE_TOLERANCE = 0.02  # validation R2 differs by so much between iterations for no reason
SECOND_INTERRUPT = 2.0  # seconds
BETAS = (0.9, 0.98)
MUON_RATE = 10.0  # learning rate of Muon over that of AdamW
Layout = list[tuple[BehaviorColumns, Tensor | None]]  # of the columns of a batch; see `losses.batch_loss`
_last_interrupt = -math.inf  # time of the last Ctrl-C, on the monotonic clock


@dataclass(frozen=True)
class TrainingSettings:
    """What one training run needs besides data; see `POYODecoder` for the meaning."""

    n_iterations: int
    steps_per_iteration: int
    batch_size: int
    n_queries: int
    learning_rate: float
    weight_decay: float
    unit_dropout: float
    patience: int | None = None
    autocast: bool = False
    verbose: bool = False
    stage: str = "training"


@dataclass
class TrainingRecord:
    """What happened: one loss an iteration, one validation score an iteration where there was validation."""

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    interrupted: bool = False
    stopped_early: bool = False

    def followed_by(self, other: TrainingRecord) -> TrainingRecord:
        """Record of this run and of one after it."""
        return TrainingRecord(
            self.losses + other.losses, self.scores + other.scores, other.interrupted, other.stopped_early
        )


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

    def draw(self, settings: TrainingSettings, rng: np.random.Generator) -> tuple[WindowBatch, Tensor, Tensor, Layout]:
        """A fresh batch, its targets (B, Q, W), their weights (B, Q), and what the columns are."""
        windows, query = self.sampler.draw(settings.batch_size, settings.n_queries, rng)
        tokens = tokenize(self.blocks, windows, self.sampler.window_length, settings.unit_dropout, rng)
        query_time = self.sampler.times[query] - windows.start[:, None]
        position = torch.from_numpy(query).to(self.targets.device)
        session, columns = self.session_rows[windows.block], self.columns[windows.block]
        batch = to_batch(tokens, session, query_time, columns, self.targets.device)
        return batch, self.targets[position], self.weights[position], self.layout(windows.block)

    def layout(self, block: np.ndarray) -> Layout:
        """What the columns are of windows of these blocks."""
        layout: Layout = []
        for behavior, has in self.behaviors.items():
            mine = has[block]
            if mine.all():
                layout.append((behavior, None))
            elif mine.any():
                layout.append((behavior, torch.from_numpy(np.flatnonzero(mine)).to(self.targets.device)))
        return layout

    @cached_property
    def behaviors(self) -> dict[BehaviorColumns, np.ndarray]:
        """What blocks are asked for, and which of them are, shape (n_blocks,)."""
        asked = {behavior: np.zeros(len(self.blocks), bool) for block in self.blocks for behavior in block.behaviors}
        for behavior, has in asked.items():
            has[:] = [behavior in block.behaviors for block in self.blocks]
        return asked

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


class WeightAverage:
    """Exponential moving average of a network's weights, which generalises better than the last step's."""

    def __init__(self, network: POYO) -> None:
        self.weights = copy_of_weights(network)
        self.n_updates = 0

    def update(self, network: POYO) -> None:
        """Move towards the present weights; early on faster, so that the start is soon forgotten."""
        self.n_updates += 1
        decay = min(AVERAGE_DECAY, self.n_updates / (10 + self.n_updates))
        torch._foreach_lerp_(self.weights, [p.detach() for p in network.parameters()], 1 - decay)

    @contextmanager
    def applied(self, network: POYO) -> Iterator[None]:
        """Context in which the network has the averaged weights."""
        present = copy_of_weights(network)
        try:
            set_weights(network, self.weights)
            yield
        finally:
            set_weights(network, present)


def copy_of_weights(network: POYO) -> list[Tensor]:
    """Detached copies of the network's parameters."""
    return [parameter.detach().clone() for parameter in network.parameters()]


def set_weights(network: POYO, weights: Sequence[Tensor]) -> None:
    """Copy ``weights`` into the network."""
    for parameter, weight in zip(network.parameters(), weights, strict=True):
        parameter.data.copy_(weight)


def learning_rate_factor(step: int, n_steps: int) -> float:
    """Linear warm-up, then cosine decay to zero."""
    return min((step + 1) / (WARM_UP * n_steps), 0.5 * (1 + math.cos(math.pi * step / n_steps)))


def make_optimizers(network: POYO, settings: TrainingSettings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers; AdamW, without decay, for embeddings, readout, biases and norms.

    Parameters that need no gradient are left out.
    """
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    hidden = {name for name, p in named.items() if p.ndim == 2 and "_emb" not in name and "readout" not in name}
    matrices = [p for name, p in named.items() if name in hidden]
    others = [p for name, p in named.items() if name not in hidden]
    rate = settings.learning_rate
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr=rate, betas=BETAS, weight_decay=0.0)]
    if matrices:
        optimizers.append(Muon(matrices, lr=MUON_RATE * rate, weight_decay=settings.weight_decay))
    return optimizers


def train(
    network: POYO,
    source: BatchSource,
    settings: TrainingSettings,
    rng: np.random.Generator,
    validate: Callable[[], float] | None = None,
) -> TrainingRecord:
    """Train ``network`` in place and leave it with the best averaged weights.

    With validation these are the latest whose score is within `SCORE_TOLERANCE` of the best: later ones have seen more
    and a lower learning rate, and only a real decline shows that they have seen too much.

    Parameters
    ----------
    network : POYO
        On its device.
    source : BatchSource
        Where batches come from.
    settings : TrainingSettings
        Numbers of the recipe.
    rng : Generator
        Source of windows and dropped units; torch's own generator is left to the caller.
    validate : callable, optional
        Score of the network as it stands, higher is better; asked after each iteration.

    Returns
    -------
    TrainingRecord
        A KeyboardInterrupt ends training with the best weights so far and ``interrupted=True``.

    Raises
    ------
    ValueError
        Where the loss is no longer finite.
    KeyboardInterrupt
        For a second Ctrl-C soon after a first.
    """
    optimizers = make_optimizers(network, settings)
    n_steps = settings.n_iterations * settings.steps_per_iteration
    schedules = [LambdaLR(optimizer, lambda step: learning_rate_factor(step, n_steps)) for optimizer in optimizers]
    average = WeightAverage(network)
    kept: list[Tensor] | None = None
    since_kept = 0
    record = TrainingRecord()
    network.train()
    with (
        tqdm(total=n_steps, desc=settings.stage, unit="step", disable=not settings.verbose) as bar,
        interruptible(record),
    ):
        for _ in range(settings.n_iterations):
            losses = []
            for _ in range(settings.steps_per_iteration):
                losses.append(training_step(network, source, settings, rng, optimizers))
                for schedule in schedules:
                    schedule.step()
                average.update(network)
                bar.update()
            record.losses.append(float(torch.stack(losses).mean()))
            if not math.isfinite(record.losses[-1]):
                raise ValueError(f"the training loss became {record.losses[-1]}; lower learning_rate_init")
            if validate is None:
                continue
            with average.applied(network):
                record.scores.append(validate())
            bar.set_postfix(loss=record.losses[-1], score=record.scores[-1])
            since_kept += 1
            if record.scores[-1] >= max(record.scores) - SCORE_TOLERANCE:
                kept, since_kept = [weight.clone() for weight in average.weights], 0
            if settings.patience is not None and since_kept >= settings.patience:
                record.stopped_early = True
                break
    set_weights(network, average.weights if kept is None else kept)
    network.eval()
    return record


@contextmanager
def interruptible(record: TrainingRecord) -> Iterator[None]:
    """Let a first Ctrl-C end the work inside with a warning; a second within `SECOND_INTERRUPT` seconds raises.

    The second may well come in another fit, as when a cross-validation is to be stopped.
    """
    global _last_interrupt
    try:
        yield
    except KeyboardInterrupt:
        before, _last_interrupt = _last_interrupt, time.monotonic()
        if _last_interrupt - before < SECOND_INTERRUPT:
            raise
        record.interrupted = True
        warnings.warn("training was interrupted; the best weights so far are kept", stacklevel=4)


def training_step(
    network: POYO,
    source: BatchSource,
    settings: TrainingSettings,
    rng: np.random.Generator,
    optimizers: Sequence[torch.optim.Optimizer],
) -> Tensor:
    """One gradient step; its loss."""
    network.zero_grad(set_to_none=True)
    loss = accumulate_gradient(network, *source.draw(settings, rng), autocast=settings.autocast)
    torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
    for optimizer in optimizers:
        optimizer.step()
    return loss


def accumulate_gradient(network: POYO, batch: WindowBatch, target: Tensor, weight: Tensor, autocast: bool) -> Tensor:
    """Loss of one batch; its gradient is added to the network's, part by part where that is quicker."""
    share = weight * (~target.isnan()).any(dim=-1)  # of a sample in the mean that the loss is
    share = share / share.sum().clamp_min(1e-12)
    loss = torch.zeros((), device=target.device)
    for rows in parts(network.config, batch):
        part_loss = training_loss(network, batch.take(rows), target[rows], weight[rows], autocast)
        part_loss = part_loss * share[rows].sum()
        part_loss.backward()
        loss += part_loss.detach()
    return loss


def training_loss(
    network: POYO, batch: WindowBatch, target: Tensor, weight: Tensor, layout: Layout, autocast: bool
) -> Tensor:
    """Loss of one batch."""
    with torch.autocast(target.device.type, torch.bfloat16) if autocast else nullcontext():
        predicted = network(batch)
    return batch_loss(predicted.float(), target, weight, layout)
