"""Working through a batch in parts changes nothing but time and memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeinterface_poyo.network import parts as parts_module
from spikeinterface_poyo.network import poyo
from spikeinterface_poyo.network.batch import WindowBatch
from spikeinterface_poyo.network.losses import Layout, loss_weights
from spikeinterface_poyo.network.parts import parts, windows_a_part
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.network.prediction import predict_block
from spikeinterface_poyo.network.windows import END, N_TOKEN_TYPES, START, BehaviorColumns, Block
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.training.batches import Batch
from spikeinterface_poyo.training.loop import set_gradients, training_losses
from spikeinterface_poyo.training.unit_noise import UnitNoise

CONFIG = NetworkConfig(2, 1.0, 0.25, 2, dim=16, depth=1, dim_head=8, cross_heads=1, self_heads=2, t_min=0.01)
N_WINDOWS, N_QUERIES = 20, 5
SEEDS = np.arange(N_WINDOWS)  # of their dropout


def make_network(config: NetworkConfig = CONFIG) -> POYO:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return POYO(config, n_units=7, n_sessions=2).eval()


def make_batch() -> tuple[WindowBatch, torch.Tensor, torch.Tensor, Layout]:
    """Windows of very different length, some targets unknown, samples of unequal weight."""
    generator = torch.Generator().manual_seed(1)
    n_tokens = torch.randint(1, 60, (N_WINDOWS,), generator=generator)
    real = torch.arange(60) < n_tokens[:, None]
    token = torch.randint(0, 6 * N_TOKEN_TYPES, real.shape, generator=generator)
    token[:, 0] = START  # which latents of a causal network see at all times
    batch = WindowBatch(
        unit_rows=torch.arange(1, 7),
        token=token,
        token_time=torch.rand(real.shape, generator=generator),
        token_log_weight=torch.where(real, 0.0, -torch.inf),
        session=torch.ones(N_WINDOWS, dtype=torch.int64),
        query_time=torch.rand((N_WINDOWS, N_QUERIES), generator=generator),
        columns=torch.arange(2).repeat(N_WINDOWS, 1),
    )
    target = torch.randn((N_WINDOWS, N_QUERIES, 2), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.3] = torch.nan
    target[3] = torch.nan
    layout: Layout = [(BehaviorColumns("velocity", "continuous", 0, 2), torch.ones(N_WINDOWS))]
    return batch, target, torch.rand((N_WINDOWS, N_QUERIES), generator=generator), layout


def test_gradient_of_parts_is_that_of_the_batch(monkeypatch):
    whole, by_part = make_network(), make_network()
    batch, target, weight, layout = make_batch()
    total = loss_weights(target, weight, layout)
    expected = training_losses(whole, batch, target, weight, layout, autocast=False) / total
    expected.backward()
    monkeypatch.setattr(parts_module, "CACHED_VALUES", 3 * 8 * 3 * 16)
    assert len(parts(CONFIG, batch)) > 3
    sums = set_gradients(by_part, Batch(batch, target, weight, layout, SEEDS), 1 / total, autocast=False)
    torch.testing.assert_close(sums / total, expected.detach())
    for one, other in zip(whole.parameters(), by_part.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)


def test_noise_reaches_every_part_and_its_gradient_goes_to_the_units(monkeypatch):
    noisy, moved = make_network(), make_network()
    batch, target, weight, layout = make_batch()
    noise, ones = UnitNoise(0.5, seed=4), torch.ones(1)
    with torch.no_grad():
        table = moved.unit_emb.weight
        table[batch.unit_rows] += noise.draw(table[batch.unit_rows])
    monkeypatch.setattr(parts_module, "CACHED_VALUES", 3 * 8 * 3 * 16)
    set_gradients(noisy, Batch(batch, target, weight, layout, SEEDS, noise), ones, autocast=False)
    set_gradients(moved, Batch(batch, target, weight, layout, SEEDS), ones, autocast=False)
    for one, other in zip(noisy.parameters(), moved.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_parts_hold_each_window_once_and_similar_ones_together(monkeypatch):
    batch, *_ = make_batch()
    monkeypatch.setattr(parts_module, "CACHED_VALUES", 1)
    assert windows_a_part(CONFIG, 1e6, torch.device("cpu")) == 1
    rows = torch.cat(parts(CONFIG, batch))
    assert rows.sort().values.tolist() == list(range(N_WINDOWS))
    for group in rows.split(parts_module.GROUP):
        assert (batch.n_tokens()[group].diff() >= 0).all()


@pytest.mark.parametrize("values", [1, 3 * 8 * 3 * 16, 1_000_000])
def test_parts_of_whole_groups_are_those_of_the_batch(monkeypatch, values):
    batch, *_ = make_batch()
    monkeypatch.setattr(parts_module, "CACHED_VALUES", values)
    middle = parts_module.GROUP
    shares = torch.arange(2 * middle).split(middle)
    found = [share[rows] for share in shares for rows in parts(CONFIG, batch.take(share))]
    expected = parts(CONFIG, batch.take(torch.arange(2 * middle)))
    assert [rows.tolist() for rows in found] == [rows.tolist() for rows in expected]


def test_predictions_do_not_depend_on_parts(monkeypatch):
    rng = np.random.default_rng(0)
    segment = Segment(np.sort(rng.uniform(0, 20, 900)), rng.integers(0, 6, 900, dtype=np.int32), 0.0, 20.0)
    block, times = Block(segment, np.arange(1, 7), 1, np.arange(2)), np.arange(0, 20, 0.1)
    network = make_network()
    expected = predict_block(network, block, times)
    monkeypatch.setattr(parts_module, "CACHED_VALUES", 1)
    np.testing.assert_allclose(predict_block(network, block, times), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_bfloat16_gradient_is_near_that_of_float32(causal):
    gradients = []
    for autocast in (False, True):
        network = make_network(replace(CONFIG, causal=causal))
        set_gradients(network, Batch(*make_batch(), SEEDS), torch.ones(1), autocast=autocast)
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.999


def test_a_part_has_only_its_own_units():
    batch, *_ = make_batch()
    few = torch.arange(N_WINDOWS)[:, None] < 5
    batch = batch._replace(token=torch.where(few, batch.token % (2 * N_TOKEN_TYPES), batch.token))
    part = batch.by_itself(torch.arange(5))
    assert part.unit_rows.tolist() == [1, 2]
    with torch.inference_mode():
        network = make_network()
        torch.testing.assert_close(network(part), network(batch)[:5])


def test_each_dropout_is_where_torch_brain_has_it(monkeypatch):
    config, rates = replace(CONFIG, depth=2, ffn_dropout=0.1, lin_dropout=0.3), []
    monkeypatch.setattr(poyo, "dropout", lambda x, p, training: rates.append((p, training)) or x)
    network = make_network(config).train()
    network(make_batch()[0])
    assert rates == [(p, True) for p in (0.1, *2 * (0.3, 0.1, 0.3), 0.1)]


def test_a_causal_network_reads_all_markers_at_all_times():
    network, (batch, *_) = make_network(replace(CONFIG, causal=True)), make_batch()
    token = batch.token.clone()
    token[:, 1] = END
    log_weight = batch.token_log_weight.clone()
    log_weight[:, :2] = 0.0
    time = batch.token_time.clone()
    time[:, 0], time[:, 1] = 0.0, CONFIG.window_length
    log_weight.requires_grad_()
    first = torch.full_like(batch.query_time, 0.3)  # when one latent step of four is over
    predicted = network(batch._replace(token=token, token_time=time, token_log_weight=log_weight, query_time=first))
    (gradient,) = torch.autograd.grad(predicted.sum(), log_weight)
    assert (gradient[:, 1] != 0).all()


def test_a_causal_answer_reads_all_spikes_up_to_the_end_of_the_last_latent_step():
    network = make_network(replace(CONFIG, causal=True))  # steps of 0.25 s
    time = torch.tensor([[0.0, *np.arange(0.05, 1.0, 0.1)]], dtype=torch.float32)
    token = torch.tensor([[1] + 10 * [0]])  # START, then spikes
    log_weight = torch.zeros_like(time, requires_grad=True)
    batch = WindowBatch(
        torch.tensor([1]), token, time, log_weight, torch.tensor([1]), torch.tensor([[0.5]]), torch.tensor([[0, 1]])
    )
    (gradient,) = torch.autograd.grad(network(batch).sum(), log_weight)
    np.testing.assert_array_equal(gradient[0, 1:] != 0, time[0, 1:] <= 0.5)
