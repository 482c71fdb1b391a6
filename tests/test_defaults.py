"""What the data choose."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spikeinterface_poyo import POYODecoder, SpikeSamples, from_counts
from spikeinterface_poyo.inputs.counts import rows_as_samples
from spikeinterface_poyo.network.windows import BehaviorColumns
from spikeinterface_poyo.sessions.session import Segment, Session
from spikeinterface_poyo.training.defaults import (
    choose_batch_size,
    choose_n_steps,
    choose_network,
    choose_token_bin,
    choose_training,
    tokens_a_window,
)

DURATION = 100.0


def population(n_units: int, rate: float) -> SpikeSamples:
    """Samples of a population that fires at ``rate`` Hz a unit."""
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, DURATION, int(n_units * rate * DURATION)))
    units = rng.integers(0, n_units, len(times)).astype(np.int32)
    session = Session(np.arange(n_units), (Segment(times, units, 0.0, DURATION),))
    return SpikeSamples.from_segments([session], [(0, 0, np.arange(0, DURATION, 0.1))])


@pytest.mark.parametrize(
    ("n_units", "rate", "window"),
    [(49, 1.4, 5.5 / 1.4), (50, 0.5, 4.0), (15, 6.0, 2.0), (96, 40.0, 3.0), (150, 8.0, 3.0)],
)
def test_window_is_longer_for_lower_rates_and_dense_populations(n_units, rate, window):
    X = population(n_units, rate)
    assert choose_network(POYODecoder(), X, 1).window_length == pytest.approx(window, rel=1e-3)


def test_window_is_no_longer_than_the_recording():
    session = from_counts(np.ones((10, 3)), np.arange(10) * 0.1 + 0.05, 0.1)
    X = SpikeSamples.from_segments([session], [(0, 0, np.arange(0, 1, 0.1))])
    assert choose_network(POYODecoder(), X, 1).window_length == pytest.approx(1.0)


def test_sparse_populations_keep_every_spike_and_dense_ones_merge():
    assert choose_token_bin(population(49, 1.4), 4.0) == 0.0
    assert choose_token_bin(population(100, 7.0), 3.0) in (0.01, 0.02, 0.05)
    assert choose_token_bin(population(96, 40.0), 3.0) == 0.1


@pytest.mark.parametrize(("n_windows", "size"), [(5, 16), (96, 16), (150, 25), (200, 32), (5000, 32)])
def test_few_labels_take_fewer_windows_a_step(n_windows, size):
    X = population(15, 6.0)
    assert choose_batch_size(X, choose_network(POYODecoder(), X, 1), n_windows) == size


def test_large_populations_take_fewer_windows_a_step():
    X = population(1500, 10.0)
    assert choose_batch_size(X, choose_network(POYODecoder(), X, 1), 1000) == 4


def test_more_spikes_get_more_steps_within_bounds():
    assert choose_n_steps(population(15, 6.0), 424.0) == pytest.approx(400, rel=0.05)
    assert choose_n_steps(population(15, 6.0), 120.0) == 300
    assert choose_n_steps(population(15, 6.0), 28.0) == pytest.approx(100, rel=0.05)
    X = population(15, 6.0)
    both = SpikeSamples.from_segments([X.sessions[0]] * 2, [(i, 0, X.times) for i in range(2)])
    assert choose_n_steps(both, 424.0) == choose_n_steps(X, 424.0)
    assert choose_n_steps(population(2, 0.1), 10.0) == 100
    assert choose_n_steps(population(96, 40.0), 3600.0) == 1500


def test_rows_of_counts_are_windows_of_one_step():
    config = choose_network(POYODecoder(causal=True), rows_as_samples(np.ones((5, 3))), 1)
    assert (config.n_steps, config.token_bin, config.causal) == (1, 0.0, False)


def test_a_recording_of_one_moment_is_an_error():
    session = Session(np.arange(2), (Segment(np.zeros(3), np.zeros(3, dtype=np.int32), 0.0, 0.0),))
    X = SpikeSamples.from_segments([session], [(0, 0, np.zeros(4))])
    with pytest.raises(ValueError, match="span some seconds"):
        choose_network(POYODecoder(), X, 1)


@pytest.mark.parametrize(
    ("kinds", "rate", "unit_dropout"),
    [(["categorical"], 1e-3, 0.4), (["continuous"], 2e-3, 0.2), (["continuous", "categorical"], 2e-3, 0.2)],
)
def test_labels_alone_are_learned_slower_and_from_fewer_units(kinds, rate, unit_dropout):
    X, decoder = population(15, 6.0), POYODecoder()
    behaviors = [BehaviorColumns(str(i), kind, i, i + 1) for i, kind in enumerate(kinds)]
    blocks, times = [SimpleNamespace(behaviors=behaviors)], [np.arange(0, DURATION, 0.1)]
    data = SimpleNamespace(blocks=blocks, times=times, centred=False, seconds=DURATION)
    settings = choose_training(decoder, X, data, choose_network(decoder, X, 1), torch.device("cpu"))
    assert (settings.learning_rate, settings.unit_dropout) == (rate, unit_dropout)


def test_pauses_do_not_thin_out_windows(simulate):
    def tokens(pause: float) -> float:
        rng = np.random.default_rng(0)
        periods = np.array([[0.0, 60.0], [60.0 + pause, 120.0 + pause]])
        times = np.sort(np.concatenate([rng.uniform(*period, 3000) for period in periods]))
        segment = Segment(times, np.zeros(len(times), np.int32), 0.0, periods[1, 1], observed=periods)
        session = Session(np.array(["a"]), (segment,))
        return tokens_a_window(SpikeSamples([session], [0], [0], [1.0]), 3.0, 0.0)

    assert tokens(3600.0) == pytest.approx(tokens(1.0)) == pytest.approx(150, rel=0.01)
