"""Training: Muon and AdamW with warm-up and cosine decay, an average of the weights, and the best of them kept.

The recipe is not the paper's (LAMB over 1000 epochs, whose validation R2 stays at zero for hundreds of epochs) but one
that converges in minutes on a CPU; how its numbers were chosen is told in docs/defaults.md. Muon (Jordan et al. 2024,
"Muon: an optimizer for hidden layers") reaches in 150 steps what AdamW reaches in 500.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..distributed import ALONE, Team
from ..fitted.record import TrainingRecord
from ..network.batch import WindowBatch
from ..network.crew import crew, side_by_side
from ..network.dropout import seeded_by_window
from ..network.losses import Layout, balance, loss_sums, loss_weights, of_windows
from ..network.parts import parts
from ..network.poyo import POYO
from ..warning import warn
from .batches import Batch, BatchSource
from .callbacks import StageWatch
from .checkpoints import Checkpoint
from .loader import Loader
from .state import TrainingSettings, TrainingState

CLIP_NORM = 1.0
SECOND_INTERRUPT = 2.0  # seconds
_last_interrupt = -math.inf  # time of the last Ctrl-C, on the monotonic clock


def train(
    network: POYO,
    source: BatchSource,
    settings: TrainingSettings,
    rng: np.random.Generator,
    validate: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
    team: Team = ALONE,
    watch: StageWatch | None = None,
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
        Score of the network as it stands, higher is better; asked after each iteration, and before the first where
        training ends partway from the weights at its start.
    checkpoint : Checkpoint, optional
        Where the state is kept, and gone on from. Where it is in a later stage, nothing is trained.
    team : Team, optional
        Processes that share each batch. A KeyboardInterrupt then raises, since the others would wait for ever.
    watch : StageWatch, optional
        scikit-learn's callbacks, told of iterations, which may end training.

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
    state = TrainingState(network, settings, rng)
    ended = None if checkpoint is None else checkpoint.enter(state)
    if ended is not None:
        return ended
    network.train()
    draw = partial(source.draw, settings, mine=team.share(settings.batch_size))
    with (
        crew(network.omega.device),
        Loader(draw, state.rng, settings.n_steps - state.step, source.is_slow) as loader,
        tqdm(total=settings.n_steps, initial=state.step, desc=settings.stage, unit="step",
             disable=not (settings.verbose and team.leads)) as bar,
        interruptible(state.record) if team.size == 1 else nullcontext(),
    ):  # fmt: skip
        state.judge_start(validate)
        while not state.is_over:
            if watch is not None:
                watch.begin()
            batch = loader.next()
            state.rng_state = loader.state
            training_step(state, batch, team)
            bar.update()
            if state.step % settings.steps_per_iteration == 0:
                state.end_iteration(validate)
                scored = {"score": state.record.scores[-1]} if state.record.scores else {}
                bar.set_postfix(loss=state.record.losses[-1], **scored)
                if watch is not None and watch.end(state):
                    state.record.stopped_early = True
            if checkpoint is not None:
                checkpoint.write_if_due()
    state.end_stage(validate is not None)
    network.eval()
    if checkpoint is not None and not state.record.interrupted:
        checkpoint.leave()
    return state.record


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
        kept = "the best weights so far are kept" if record.losses else (
            "no iteration had ended: the weights are about those that it began with")  # fmt: skip
        warn(f"training was interrupted; {kept}")


def training_step(state: TrainingState, batch: Batch, team: Team) -> None:
    """One gradient step."""
    network, settings = state.network, state.settings
    weights = team.total(loss_weights(batch.target, batch.weight, batch.layout))
    if state.levels is None or len(state.levels) != len(weights):  # as in checkpoints of earlier versions
        state.levels = torch.ones_like(weights)
    factors = balance(state.levels) / weights.sum().clamp_min(1e-12)
    sums = set_gradients(network, batch, factors, settings.autocast, team)
    torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
    state.descend(sums, weights)


def set_gradients(network: POYO, batch: Batch, factors: Tensor, autocast: bool, team: Team = ALONE) -> Tensor:
    """Losses of one batch, summed by behaviour; the network's gradients become that of their sum times ``factors``.

    Part by part where that is quicker. On a CPU parts are added up in float64, whose rounding is lost when a sum
    becomes float32 again: so it does not matter which process of a team has computed which part. Each part is given the
    embeddings of its own units, because the gradient of a table of all units, as large as the table and most of it
    zeros, would be made anew for each part.
    """
    windows, target, weight, layout, seeds, noise = batch
    table, units = network.unit_emb.weight, windows.unit_rows
    embeddings = table.detach()[units]
    if noise is not None:
        embeddings += noise.draw(embeddings)
    windows = windows._replace(unit_rows=torch.arange(len(units), device=units.device))  # rows of `embeddings`
    learned = [p for p in network.parameters() if p.requires_grad and p is not table]
    exact = torch.float64 if units.device.type == "cpu" else torch.float32
    totals = [torch.zeros_like(value, dtype=exact) for value in (factors, embeddings, *learned)]
    sums, of_units, *of_learned = totals

    def work(rows: Tensor) -> tuple[Tensor, ...]:
        some = windows.by_itself(rows)
        mine = embeddings[some.unit_rows].requires_grad_()
        with seeded_by_window(seeds[rows.cpu().numpy()], units.device):
            asked = target[rows], weight[rows], of_windows(layout, rows)
            part = training_losses(partial(network, units=mine), some, *asked, autocast)
        gradients = torch.autograd.grad((part * factors).sum(), (mine, *learned), materialize_grads=True)
        return some.unit_rows, part.detach(), *gradients

    for present, part, of_mine, *gradients in side_by_side(work, parts(network.config, windows)):
        sums += part
        of_units.index_add_(0, present, of_mine.to(exact))
        for total, gradient in zip(of_learned, gradients, strict=True):
            total += gradient
    team.add_up(totals)
    network.zero_grad(set_to_none=True)  # those of weights that learned in an earlier stage
    for parameter, total in zip(learned, of_learned, strict=True):
        parameter.grad = total.to(parameter.dtype)
    table.grad = torch.zeros_like(table).index_copy_(0, units, of_units.to(table.dtype))
    return sums.to(factors.dtype)


def training_losses(
    answer: Callable[[WindowBatch], Tensor],
    batch: WindowBatch,
    target: Tensor,
    weight: Tensor,
    layout: Layout,
    autocast: bool,
) -> Tensor:
    """Weighted losses of some windows, summed by behaviour."""
    with torch.autocast(target.device.type, torch.bfloat16) if autocast else nullcontext():
        predicted = answer(batch)
    return loss_sums(predicted.float(), target, weight, layout)
