"""Stitched predictions are what a slow, obvious loop over samples and windows gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeinterface_poyo.network.batch import to_batch
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.network.prediction import CAUSAL_STEPS, WINDOW_QUERIES, WINDOWS_A_SAMPLE, predict_block
from spikeinterface_poyo.network.windows import Block, Windows, tokenize
from spikeinterface_poyo.sessions.session import Segment

LENGTH = 2.0


def make_network(causal: bool = False) -> POYO:
    config = NetworkConfig(
        2, LENGTH, LENGTH / 4, 2, dim=16, depth=1, dim_head=8, cross_heads=1, self_heads=2, t_min=0.01, causal=causal
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = POYO(config, n_units=6, n_sessions=2)
        for name, weight in network.named_parameters():
            weight.data.mul_(20 if "_emb" in name else 1)  # so that windows differ
    return network


@pytest.fixture(scope="module")
def block() -> Block:
    rng = np.random.default_rng(0)
    spikes = 100 + np.sort(rng.uniform(0, 12, 600))
    segment = Segment(spikes, rng.integers(0, 5, 600, dtype=np.int32), 100.0, 112.0)
    return Block(segment, np.arange(1, 6), 1, np.arange(2))


def ask(network: POYO, block: Block, start: float, time: float) -> np.ndarray:
    """The answer for one time of one window, asked by itself."""
    everything = np.array([np.inf])
    tokens = tokenize([block], Windows(np.zeros(1, dtype=int), np.array([start]), -everything, everything), LENGTH)
    session, columns = np.ones(1, dtype=np.int64), np.arange(2)[None]
    batch = to_batch(tokens, session, np.array([[time - start]]), columns, torch.device("cpu"))
    with torch.inference_mode():
        return network.eval()(batch)[0, 0].double().numpy()


@pytest.mark.parametrize(
    "times", [100 + np.arange(0, 12, 0.05), np.array([98.5, 101.25, 101.5, 101.5, 107.123, 115.0])]
)
def test_overlapping_windows_are_averaged_by_closeness_to_their_centre(block, times):
    network, stride = make_network(), LENGTH / WINDOWS_A_SAMPLE
    found = predict_block(network, block, times)
    assert found.shape == (len(times), 2)
    for time, answer in zip(times[::7], found[::7], strict=True):
        starts = [(np.floor(time / stride) - k) * stride for k in range(WINDOWS_A_SAMPLE)]
        weights = [max(1 - abs(2 * (time - start) / LENGTH - 1), 1e-3) for start in starts]
        answers = [ask(network, block, start, time) for start in starts]
        np.testing.assert_allclose(answer, np.average(answers, axis=0, weights=weights), rtol=0, atol=2e-6)
    assert found.std(axis=0).min() > 1e-3


def test_rows_of_counts_get_a_window_each(block):
    network, times = make_network(), np.array([101.0, 104.5, 104.6])
    found = predict_block(network, block, times, centred=True)
    expected = [ask(network, block, time - LENGTH / 2, time) for time in times]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_the_mode_of_the_network_is_left_as_it_was(block):
    network = make_network().train()
    one, other = (predict_block(network, block, np.array([105.0])) for _ in range(2))
    assert network.training
    np.testing.assert_array_equal(one, other)  # no dropout


@pytest.mark.parametrize("causal", [False, True])
def test_more_windows_than_a_batch_holds(block, causal):
    network, times = make_network(causal), 90 + np.arange(0, 120, 0.11)
    found = predict_block(network, block, times)
    few = predict_block(network, block, times[500:510])
    np.testing.assert_allclose(found[500:510], few, rtol=0, atol=2e-6)


def test_windows_asked_at_very_many_times_are_asked_piece_by_piece(block):
    network, times = make_network(), 103 + np.arange(0, 4, 1e-4)
    asked = []

    def read(network, batch):
        asked.append(batch.query_time.shape[1])
        return network(batch)

    found = predict_block(network, block, times, read=read)
    assert max(asked) == WINDOW_QUERIES
    some = slice(0, None, 997)
    np.testing.assert_allclose(found[some], predict_block(network, block, times[some]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("time", 105 + np.linspace(0, 0.5, 8))
def test_causal_answers_lag_by_little(block, time):
    # spikes a quarter of a latent step old have been read, wherever the sample lies between the grid's points
    network, step = make_network(causal=True), LENGTH / 4
    spikes = block.segment.spike_times
    recent = (spikes > time - 0.9 * step) & (spikes < time - 0.25 * step)
    assert recent.any()
    without = Segment(spikes[~recent], block.segment.unit_index[~recent], 100.0, 112.0)
    whole = predict_block(network, block, np.array([time]))
    less = predict_block(network, replace(block, segment=without), np.array([time]))
    assert np.abs(less - whole).max() > 1e-4


def test_rounding_hides_no_latent_step_from_a_causal_sample_on_the_grid():
    step = 0.1  # which has no exact float32, and so no exact end in a window
    config = NetworkConfig(
        2, 1.0, step, 2, dim=16, depth=1, dim_head=8, cross_heads=1, self_heads=2, t_min=0.01, causal=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = POYO(config, n_units=6, n_sessions=2)
        for name, weight in network.named_parameters():
            weight.data.mul_(20 if "_emb" in name else 1)  # so that windows differ
    rng = np.random.default_rng(0)
    spikes = np.sort(rng.uniform(0, 12, 600))
    block = Block(Segment(spikes, rng.integers(0, 5, 600, dtype=np.int32), 0.0, 12.0), np.arange(1, 6), 1, np.arange(2))
    stride = step / CAUSAL_STEPS
    on_grid = stride * np.arange(200, 700)
    on_grid = on_grid[np.floor(on_grid / stride) == np.floor((on_grid + 1e-6) / stride)]  # others lag by a stride
    on, just_after = (predict_block(network, block, times) for times in (on_grid, on_grid + 1e-6))
    assert just_after.std(axis=0).min() > 1e-3
    np.testing.assert_allclose(on, just_after, rtol=0, atol=2e-5)
