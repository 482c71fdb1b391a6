"""The two sides of `throughput.py`: torch_brain's POYO and ours, with the same weights, on the same session.

Each side makes batches in its own way and has one training step; `TorchBrain.convert` turns torch_brain's batches into
ours, so that both can be given the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeinterface_poyo.network.batch import WindowBatch
from spikeinterface_poyo.network.crew import crew, side_by_side
from spikeinterface_poyo.network.losses import Layout, loss_weights
from spikeinterface_poyo.network.parts import parts
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.network.windows import N_TOKEN_TYPES, BehaviorColumns, Block
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.training.batches import Batch, BatchSource
from spikeinterface_poyo.training.loop import set_gradients
from spikeinterface_poyo.training.optimization import make_optimizers
from spikeinterface_poyo.training.sampling import WindowSampler
from spikeinterface_poyo.training.state import TrainingSettings
from spikeinterface_poyo.weights.torch_brain_format import to_torch_brain

SIZES = {
    "1.3M": {"dim": 64, "depth": 6, "cross_heads": 2, "self_heads": 8, "num_latents_per_step": 16},
    "11.8M": {"dim": 128, "depth": 24, "cross_heads": 4, "self_heads": 8, "num_latents_per_step": 32},
}
WINDOW = 1.0  # seconds
RATE = 14.0  # spikes/s of each unit
SAMPLING_RATE = 50.0  # of the behaviour, which has two dimensions
DURATION = 128.0  # seconds of the session
UNIT_DROPOUT = {"min_units": 0.3, "mode_units": 1, "max_units": 3}  # of the units: POYO-mp's where there are 100
MEAN_DROPPED = 0.137  # share of units that these drop
LEARNING_RATE = 1e-3


@dataclass(frozen=True, eq=False)
class Session:
    """Spikes (s, ascending), the unit of each, and behaviour (n, 2) at ``times``, between ``start`` and ``stop``."""

    spike_times: np.ndarray
    unit_index: np.ndarray
    times: np.ndarray
    behavior: np.ndarray
    n_units: int
    start: float
    stop: float

    @property
    def units(self) -> list[str]:
        """Names of the units."""
        return [f"session/unit_{unit:04d}" for unit in range(self.n_units)]


def made_up_session(n_units: int, seed: int = 0) -> Session:
    """Poisson spikes and a smooth behaviour, which cost what real ones cost."""
    rng = np.random.default_rng(seed)
    n_spikes = rng.poisson(RATE * n_units * DURATION)
    times = np.arange(0.5 / SAMPLING_RATE, DURATION, 1 / SAMPLING_RATE)
    angle = 2 * np.pi * rng.uniform(0.1, 1.0, 2) * times[:, None]
    behavior = np.sin(angle + rng.uniform(0, 2 * np.pi, 2)).astype(np.float32)
    units = rng.integers(0, n_units, n_spikes).astype(np.int32)
    return Session(np.sort(rng.uniform(0, DURATION, n_spikes)), units, times, behavior, n_units, 0.0, DURATION)


def new_network(size: str, n_units: int, device: torch.device) -> POYO:
    """Our network at its initialisation, from which both sides start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = POYO(NetworkConfig(n_outputs=2, window_length=WINDOW, **SIZES[size]), 1 + n_units, 2)
    return network.to(device)


def precision(device: torch.device, bf16: bool) -> AbstractContextManager:
    """Context of a forward pass."""
    return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()


class Ours:
    """This package: its sampler, tokenizer, network and optimizers.

    With ``muon`` it has the optimizers of `POYODecoder`, else AdamW as torch_brain has in its tutorial.
    """

    def __init__(self, session: Session, size: str, device: torch.device, muon: bool = False) -> None:
        self.network = new_network(size, session.n_units, device)
        segment = Segment(session.spike_times, session.unit_index, session.start, session.stop)
        behaviors = (BehaviorColumns("velocity", "continuous", 0, 2),)
        block = Block(segment, np.arange(1, 1 + session.n_units), 1, np.arange(2), behaviors)
        sampler = WindowSampler([session.times], [1], WINDOW)
        targets = torch.from_numpy(session.behavior).to(device)
        self.source = BatchSource([block], sampler, targets, torch.ones(len(targets), device=device))
        self.rng, self.device = np.random.default_rng(0), device
        # A window drops half of this share on average: as many tokens as torch_brain keeps.
        self.unit_dropout = 2 * MEAN_DROPPED
        if muon:
            self.optimizers = make_optimizers(self.network, LEARNING_RATE, 0.01)
        else:
            self.optimizers = [torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE)]

    def settings(self, n_windows: int) -> TrainingSettings:
        """Numbers of the recipe that the bench needs."""
        return TrainingSettings(1, 1, n_windows, int(WINDOW * SAMPLING_RATE), LEARNING_RATE, 0.01, self.unit_dropout)

    def build(self, n_windows: int) -> Batch:
        """A batch of random windows, with unit dropout, and its targets."""
        return self.source.draw(self.settings(n_windows), self.rng)

    def training_step(self, *batch: Any, bf16: bool = False) -> None:
        """One gradient step on the fields of a `Batch`."""
        self.network.train()
        made = Batch(*batch)
        weights = loss_weights(made.target, made.weight, made.layout)
        with crew(self.device):
            set_gradients(self.network, made, 1 / weights, autocast=bf16)
        for optimizer in self.optimizers:
            optimizer.step()

    def infer(self, batch: WindowBatch, bf16: bool = False) -> Tensor:
        """Predictions of a batch."""
        self.network.eval()
        answer = torch.empty(*batch.query_time.shape, 2, device=self.device)

        @torch.inference_mode()
        def work(rows: Tensor) -> None:
            answer[rows] = self.network(batch.take(rows)).float()

        with crew(self.device), precision(self.device, bf16):
            list(side_by_side(work, parts(self.network.config, batch)))
        return answer

    def epoch(self, n_windows: int) -> None:
        """As many windows as the session has seconds, drawn and trained on."""
        with crew(self.device):
            for _ in range(int(DURATION / WINDOW) // n_windows):
                self.training_step(*self.build(n_windows))


class TorchBrain:
    """torch_brain's dataset (HDF5 in ``folder``), sampler, transforms, collation and POYO, as in its examples.

    ``attention_dropout`` is what its configurations have; ours has no dropout of attention. ``at_once`` windows go
    through the network together; a batch of more is worked through in turns, for batches that no memory would hold.
    """

    def __init__(
        self,
        session: Session,
        size: str,
        device: torch.device,
        folder: Path,
        attention_dropout: float = 0.2,
        at_once: int | None = None,
    ) -> None:
        from torch_brain import models

        source = new_network(size, session.n_units, torch.device("cpu"))
        checkpoint = to_torch_brain(source.config, source.state_dict(), {"session": session.units})
        arguments = checkpoint["hyper_parameters"]["model"] | {"atn_dropout": attention_dropout}
        del arguments["_target_"]
        self.network = models.POYO(**arguments, dim_out=2)
        self.network.load_state_dict(checkpoint["state_dict"])
        self.network.to(device)
        self.device, self.at_once = device, at_once
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE)
        self.dataset = open_dataset(folder, self.network)
        self.windows = self.random_windows()

    def random_windows(self) -> Iterator[Any]:
        """Windows of its random sampler, one epoch after the other."""
        from torch_brain.samplers import RandomFixedWindowSampler

        intervals = self.dataset.get_sampling_intervals()
        while True:
            yield from RandomFixedWindowSampler(sampling_intervals=intervals, window_length=WINDOW)

    def build(self, n_windows: int) -> tuple[dict[str, Tensor], Tensor]:
        """A batch of random windows, with unit dropout, and its targets."""
        from torch_brain.batching import collate

        batch = collate([self.dataset[next(self.windows)] for _ in range(n_windows)])
        batch = {name: value.to(self.device) for name, value in batch.items()}
        target, _ = batch.pop("target").float(), batch.pop("sample")
        # float32 as its training loops make it: they move nothing but float32 to the network
        return {name: value.float() if value.is_floating_point() else value for name, value in batch.items()}, target

    def turns(self, n_windows: int) -> list[slice]:
        """The windows of a batch that go through the network together."""
        size = self.at_once or n_windows
        return [slice(first, first + size) for first in range(0, n_windows, size)]

    def answer(self, batch: dict[str, Tensor], rows: slice, bf16: bool) -> Tensor:
        """Predictions of some windows of a batch."""
        with precision(self.device, bf16):
            return self.network(**{name: value[rows] for name, value in batch.items()}).float()

    def training_step(self, batch: dict[str, Tensor], target: Tensor, bf16: bool = False) -> None:
        """One gradient step on a batch."""
        self.network.train()
        self.optimizer.zero_grad()
        mask = batch["output_mask"]
        n_values = mask.sum() * target.shape[-1]
        for rows in self.turns(len(target)):
            predicted, real = self.answer(batch, rows, bf16), mask[rows]
            loss = torch.nn.functional.mse_loss(predicted[real], target[rows][real], reduction="sum")
            (loss / n_values).backward()
        self.optimizer.step()

    def infer(self, batch: dict[str, Tensor], bf16: bool = False) -> Tensor:
        """Predictions of a batch."""
        self.network.eval()
        with torch.inference_mode():
            return torch.cat([self.answer(batch, rows, bf16) for rows in self.turns(len(batch["output_mask"]))])

    def epoch(self, n_windows: int) -> None:
        """As many windows as the session has seconds, drawn and trained on."""
        for _ in range(int(DURATION / WINDOW) // n_windows):
            self.training_step(*self.build(n_windows))

    @staticmethod
    def convert(batch: dict[str, Tensor], target: Tensor) -> Batch:
        """The same batch for `Ours`."""
        unit_rows, unit = batch["input_unit_index"].unique(return_inverse=True)
        log_weight = torch.zeros_like(batch["input_timestamps"]).masked_fill_(~batch["input_mask"], -torch.inf)
        n_windows = len(target)
        converted = WindowBatch(
            unit_rows=unit_rows,
            token=unit * N_TOKEN_TYPES + batch["input_token_type"],
            token_time=batch["input_timestamps"],
            token_log_weight=log_weight,
            session=batch["session_index"],
            query_time=batch["output_timestamps"],
            columns=torch.arange(2, device=target.device).repeat(n_windows, 1),
        )
        shares = torch.ones(n_windows, device=target.device)
        layout: Layout = [(BehaviorColumns("velocity", "continuous", 0, 2), shares)]
        return Batch(converted, target, batch["output_mask"].float(), layout, np.arange(n_windows))


def write_session(session: Session, folder: Path) -> None:
    """The session as torch_brain keeps it on disk."""
    import h5py
    from torch_brain.data import ArrayDict, Data, Interval, IrregularTimeSeries

    domain = Interval(session.start, session.stop)
    sample = np.arange(len(session.times))
    data = Data(
        spikes=IrregularTimeSeries(timestamps=session.spike_times, unit_index=session.unit_index, domain=domain),
        units=ArrayDict(id=np.array(session.units)),
        session=Data(id="session"),
        cursor=IrregularTimeSeries(timestamps=session.times, vel=session.behavior, sample=sample, domain=domain),
        domain=domain,
    )
    with h5py.File(folder / "session.h5", "w") as file:
        data.to_hdf5(file)


def open_dataset(folder: Path, network: Any, drop_units: bool = True) -> Any:
    """torch_brain's dataset of that folder: unit dropout, the network's tokens, targets at their own times."""
    from torch_brain.batching import pad8, track_mask8
    from torch_brain.datasets import Dataset
    from torch_brain.transforms import UnitDropout

    n_units = len(network.unit_emb.vocab) - 1
    drop = UnitDropout(seed=0, **{name: round(share * n_units) for name, share in UNIT_DROPOUT.items()})

    def transform(data: Any) -> dict[str, Any]:
        data = drop(data) if drop_units else data
        targets = {
            "output_timestamps": pad8(data.cursor.timestamps),
            "output_mask": track_mask8(data.cursor.timestamps),
            "target": pad8(data.cursor.vel),
            "sample": pad8(data.cursor.sample),
        }
        return network.tokenize(data) | targets

    return Dataset(folder, transform=transform)


def forward_gflop(config: NetworkConfig, n_tokens: float, n_queries: float) -> float:
    """Billions of multiplications and additions in the matrix products of one window, where each token has its own key.

    What ours leaves out (keys and values by unit) counts for neither side.
    """
    latents, dim = config.n_steps * config.num_latents_per_step, config.dim
    cross, inner = config.cross_heads * config.dim_head, config.self_heads * config.dim_head
    feed_forward = 12 * dim * dim
    encoder = latents * (2 * n_tokens * cross + cross * dim + feed_forward)
    layer = latents * (4 * dim * inner + 2 * latents * inner + feed_forward)
    decoder = latents * 2 * dim * cross + n_queries * (2 * latents * cross + cross * dim + feed_forward)
    return 2e-9 * (encoder + config.depth * layer + decoder)
