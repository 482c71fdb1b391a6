"""Our POYO gives the numbers of torch_brain 0.2.1's, for the same weights and the same spikes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

pytest.importorskip("torch_brain", reason="compares with torch_brain's POYO: pip install torch_brain==0.2.1")

from torch_brain import models as torch_brain_models
from torch_brain.batching import collate
from torch_brain.data import ArrayDict, Data, Interval, IrregularTimeSeries

from spikeinterface_poyo.network.batch import WindowBatch, to_batch
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.network.windows import Block, Windows, tokenize
from spikeinterface_poyo.sessions.session import Segment

SHAPES = {
    "1.3M": {"dim": 64, "depth": 6, "cross_heads": 2, "self_heads": 8, "num_latents_per_step": 16},
    "11.8M": {"dim": 128, "depth": 24, "cross_heads": 4, "self_heads": 8, "num_latents_per_step": 32},
}
N_UNITS = (12, 7, 20)  # of three sessions; the last unit of each is silent
N_SPIKES = (150, 20, 400)  # of the one window of each session: the batch is padded
N_OUTPUTS, N_QUERIES = 2, 40


class Spikes(NamedTuple):
    """What one window of one session holds: times in seconds from the window's start, ascending."""

    session: int
    time: np.ndarray
    unit: np.ndarray


def unit_names(session: int) -> list[str]:
    return [f"session_{session}/unit_{u}" for u in range(N_UNITS[session])]


def draw_windows(seed: int) -> list[Spikes]:
    rng = np.random.default_rng(seed)
    return [
        Spikes(s, np.sort(rng.uniform(0, 1, N_SPIKES[s])), rng.integers(0, N_UNITS[s] - 1, N_SPIKES[s]))
        for s in range(len(N_UNITS))
    ]


def draw_queries(seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 1).uniform(0, 1, (len(N_UNITS), N_QUERIES)).astype(np.float32)


def reference_network(shape: str) -> torch_brain_models.POYO:
    """torch_brain's network at its own initialisation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch_brain_models.POYO(
            sequence_length=1.0, latent_step=0.125, dim_out=N_OUTPUTS, dim_head=64, **SHAPES[shape]
        )
        network.unit_emb.initialize_vocab([name for s in range(len(N_UNITS)) for name in unit_names(s)])
        network.session_emb.initialize_vocab([f"session_{s}" for s in range(len(N_UNITS))])
    return network.eval()


def our_network(shape: str, reference: torch_brain_models.POYO) -> POYO:
    """Our network with torch_brain's weights; every weight must find its place."""
    state = {name: value for name, value in reference.state_dict().items() if not name.endswith(".vocab")}
    omega = state.pop("rotary_emb.omega")
    assert not omega[16:].any()
    network = POYO(NetworkConfig(n_outputs=N_OUTPUTS, **SHAPES[shape]), 1 + sum(N_UNITS), 1 + len(N_UNITS))
    network.load_state_dict(state | {"omega": omega[:16]})
    return network.eval()


def reference_batch(network: torch_brain_models.POYO, windows: list[Spikes], query_time: np.ndarray) -> dict[str, Any]:
    """The windows through torch_brain's own tokenizer and collation."""
    tokenized = [
        network.tokenize(
            Data(
                spikes=IrregularTimeSeries(timestamps=w.time, unit_index=w.unit, domain=Interval(0.0, 1.0)),
                units=ArrayDict(id=np.array(unit_names(w.session))),
                session=Data(id=f"session_{w.session}", domain=Interval(0.0, 1.0)),
                domain=Interval(0.0, 1.0),
            )
        )
        for w in windows
    ]
    batch = collate(tokenized) | {"output_timestamps": torch.from_numpy(query_time)}
    return {name: value.float() if value.is_floating_point() else value for name, value in batch.items()}


def our_batch(
    reference: torch_brain_models.POYO,
    windows: list[Spikes],
    query_time: np.ndarray,
    counts: list[np.ndarray] | None = None,
) -> WindowBatch:
    """The same windows through our tokenizer; ``counts`` merges equal spikes into one entry."""
    blocks = [
        Block(
            Segment(w.time, w.unit.astype(np.int32), 0.0, 1.0, None if counts is None else counts[i]),
            np.array(reference.unit_emb.tokenizer(unit_names(w.session))),
            int(reference.session_emb.tokenizer(f"session_{w.session}")),
            np.arange(reference.readout.out_features),
        )
        for i, w in enumerate(windows)
    ]
    n = len(windows)
    whole = Windows(np.arange(n), np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf))
    tokens = tokenize(blocks, whole, window_length=1.0)
    session = np.array([block.session_row for block in blocks])
    columns = np.array([block.columns for block in blocks])
    return to_batch(tokens, session, query_time, columns, torch.device("cpu"))


def permuted(batch: dict[str, Any], seed: int) -> dict[str, Any]:
    """torch_brain's batch with its tokens in another order: the same to the model, but for rounding."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(batch["input_mask"].shape[1]))
    return {name: value[:, order] if name.startswith("input_") else value for name, value in batch.items()}


def train_a_little(network: torch_brain_models.POYO, n_steps: int) -> None:
    """A few real optimizer steps."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(n_steps):
        query_time = draw_queries(step)
        target = torch.from_numpy(np.stack([np.sin(6 * query_time), np.cos(9 * query_time)], axis=-1))
        predicted = network(**reference_batch(network, draw_windows(step), query_time))
        optimizer.zero_grad()
        (predicted - target).square().mean().backward()
        optimizer.step()


def enlarge(network: torch_brain_models.POYO) -> None:
    """Weights as large as long training makes them: embeddings far from their first 0.02, sharp attention."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "_emb" in name:
                weight.mul_(15)
            elif weight.ndim > 1:
                weight.mul_(1.5)


@torch.no_grad()
def compare(shape: str, reference: torch_brain_models.POYO) -> tuple[float, float, float]:
    """Largest difference of ours, largest that permuting torch_brain's tokens makes, and the output's SD."""
    ours, windows, query_time = our_network(shape, reference), draw_windows(100), draw_queries(100)
    batch = reference_batch(reference, windows, query_time)
    expected = reference(**batch)
    difference = float((ours(our_batch(reference, windows, query_time)) - expected).abs().max())
    rounding = max(float((reference(**permuted(batch, seed)) - expected).abs().max()) for seed in range(6))
    return difference, rounding, float(expected.std())


@pytest.mark.parametrize("shape", SHAPES)
def test_same_numbers_at_initialisation(shape):
    reference = reference_network(shape)
    difference, _, spread = compare(shape, reference)
    assert spread > 0.01
    assert difference < 1e-5


@pytest.mark.parametrize(
    ("shape", "n_steps", "large"), [("1.3M", 30, False), ("1.3M", 0, True), ("11.8M", 2, False), ("11.8M", 0, True)]
)
def test_same_numbers_after_training_but_for_rounding(shape, n_steps, large):
    reference = reference_network(shape)
    train_a_little(reference, n_steps)
    if large:
        enlarge(reference)
    difference, rounding, spread = compare(shape, reference)
    assert difference < 1e-4 * spread
    assert difference < 3 * rounding


@pytest.mark.parametrize("large", [False, True])
def test_same_gradients(large):
    reference = reference_network("1.3M")
    if large:
        enlarge(reference)
    ours, windows, query_time = our_network("1.3M", reference), draw_windows(7), draw_queries(7)
    target = torch.from_numpy(np.random.default_rng(0).normal(size=(*query_time.shape, N_OUTPUTS)).astype(np.float32))
    (reference(**reference_batch(reference, windows, query_time)) - target).square().mean().backward()
    (ours(our_batch(reference, windows, query_time)) - target).square().mean().backward()
    expected = {name: weight.grad for name, weight in reference.named_parameters()}
    found = {name: weight.grad for name, weight in ours.named_parameters()}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        difference = (found[name] - gradient).abs().max()
        assert difference <= 2e-5 * gradient.abs().max() + 1e-8, name


def test_a_window_does_not_depend_on_the_others_in_its_batch():
    reference = reference_network("1.3M")
    ours, windows, query_time = our_network("1.3M", reference), draw_windows(3), draw_queries(3)
    with torch.no_grad():
        together = ours(our_batch(reference, windows, query_time))
        for i, window in enumerate(windows):
            alone = ours(our_batch(reference, [window], query_time[[i]]))
            torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_merged_tokens_equal_repeated_ones(shape):
    reference = reference_network(shape)
    enlarge(reference)
    ours, merged, query_time = our_network(shape, reference), draw_windows(11), draw_queries(11)
    rng = np.random.default_rng(5)
    counts = [rng.integers(1, 6, len(w.time)) for w in merged]
    repeated = [Spikes(w.session, w.time.repeat(c), w.unit.repeat(c)) for w, c in zip(merged, counts, strict=True)]
    weights = [c.astype(np.float32) for c in counts]
    with torch.no_grad():
        expected = reference(**reference_batch(reference, repeated, query_time))
        found = ours(our_batch(reference, merged, query_time, weights))
        unmerged = ours(our_batch(reference, merged, query_time))
    assert (found - expected).abs().max() < 1e-4 * expected.std()
    assert (unmerged - expected).abs().max() > 1e-3 * expected.std()  # the counts matter
