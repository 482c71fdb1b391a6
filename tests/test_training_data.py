"""What is held out for validation: contiguous, of the size asked for, never trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeinterface_poyo import SpikeSamples, align
from spikeinterface_poyo.fitted.vocabulary import Vocabulary
from spikeinterface_poyo.network.merging import as_read
from spikeinterface_poyo.network.poyo import NetworkConfig
from spikeinterface_poyo.network.windows import BehaviorColumns, Block
from spikeinterface_poyo.readouts.number_readouts import ContinuousReadout
from spikeinterface_poyo.readouts.targets import Targets
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.training.data import TrainingData, equal_shares, held_out_mask, hold_out
from spikeinterface_poyo.training.examples import Examples


def vocabulary(X: SpikeSamples, y: np.ndarray, names: dict[int, str]) -> Vocabulary:
    """Vocabulary of samples whose targets (n_samples, n_outputs) are read out as they are."""
    scale = {"mean": (0.0,) * y.shape[1], "scale": (1.0,) * y.shape[1]}
    readouts = {"behavior": ContinuousReadout(name="behavior", first_column=0, **scale)}
    return Vocabulary.of(X, y, names, readouts, False, dict.fromkeys(names))


@given(
    n=st.integers(300, 5000),
    interval=st.sampled_from([0.008, 0.1, 1.0]),
    fraction=st.sampled_from([0.1, 0.2, 0.5]),
    window_length=st.sampled_from([0.5, 1.0, 4.0]),
)
@settings(max_examples=100, deadline=None)
def test_a_share_of_the_samples_is_held_out_in_a_few_blocks(n, interval, fraction, window_length):
    held = held_out_mask(interval * np.arange(n), fraction, window_length)
    assert held.mean() == pytest.approx(fraction, rel=0.2)
    edges = np.diff(held.astype(int), prepend=0, append=0)
    assert 1 <= (edges == 1).sum() <= 5
    if (edges == 1).sum() > 1:  # long enough to tell something
        assert np.min(np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)) * interval > 5 * window_length


@pytest.mark.parametrize("n", [50, 100])
def test_a_few_samples_are_enough_to_hold_some_out(n):
    held = held_out_mask(1000.0 * np.arange(n), 0.1, 0.1)
    assert 1 <= held.sum() <= 0.2 * n


def test_each_sample_is_trained_on_or_held_out(simulate):
    sessions = [simulate(0), simulate(1, interval=0.05)]
    X, y = align([s.spikes for s in sessions], [s.behavior for s in sessions])
    names = {0: "session_0", 1: "session_1"}
    known = vocabulary(X, y[:, None], names)
    data = TrainingData.build(X, names, known, y[:, None], np.ones(len(y)))
    trained, held_out = hold_out(data, 0.1, 1.0)
    for i in range(2):
        both = np.concatenate([trained.times[i], held_out.times[i]])
        order = np.argsort(both)
        np.testing.assert_array_equal(both[order], data.times[i])
        targets = np.concatenate([trained.targets[i], held_out.targets[i]])[order]
        np.testing.assert_array_equal(targets, data.targets[i])


def test_samples_that_teach_nothing_are_left_out(simulate):
    session = simulate(n_outputs=2)
    X, y = align(session.spikes, session.behavior)
    y, weight = y.copy(), np.ones(len(y))
    y[10], y[20, 0], weight[30] = np.nan, np.nan, 0
    names = {0: "session_0"}
    known = vocabulary(X, y, names)
    data = TrainingData.build(X, names, known, y, weight)
    np.testing.assert_array_equal(data.times[0], np.delete(session.times, [10, 30]))


def test_the_session_with_most_spikes_leads(simulate):
    sessions = [simulate(0, duration=90.0, rate=5.0), simulate(1, rate=20.0), simulate(2, rate=10.0)]
    X, y = align([s.spikes for s in sessions], [s.behavior for s in sessions])
    names = {i: f"session_{i}" for i in range(3)}
    known = vocabulary(X, y[:, None], names)
    leading = TrainingData.build(X, names, known, y[:, None], np.ones(len(y))).leading_session()
    assert [block.session_row for block in leading.blocks] == [known.sessions["session_1"].session_row]
    np.testing.assert_array_equal(leading.times[0], sessions[1].times)


def test_some_examples_keep_their_weights(simulate):
    session = simulate(duration=20.0)
    X, y = align(session.spikes, session.behavior)
    weight = np.linspace(0.1, 1.0, len(y))
    some = Examples.of(Targets(X, y[:, None], False), weight, {0: "session_0"}).take(np.arange(50, 60))
    np.testing.assert_array_equal(some.weight, weight[50:60])


def test_what_is_held_out_is_read_as_in_prediction(simulate):
    session = simulate(duration=20.0, rate=200.0)
    X, y = align(session.spikes, session.behavior)
    names = {0: "session_0"}
    data = TrainingData.build(X, names, vocabulary(X, y[:, None], names), y[:, None], np.ones(len(y)))
    config = NetworkConfig(1, token_bin=0.1)
    (block,), (read,) = data.blocks, data.as_predicted(config).blocks
    merged = as_read(block, config, data.times[0]).segment.spike_times
    assert len(merged) < len(block.segment.spike_times)
    np.testing.assert_array_equal(read.segment.spike_times, merged)


@pytest.mark.parametrize(("n", "n_held"), [(1, 0), (2, 1), (3, 1), (4, 1), (10, 1)])
def test_of_short_segments_a_sample_is_held_out_and_some_are_left(n, n_held):
    assert held_out_mask(0.1 * np.arange(n), 0.1, 1.0).sum() == n_held


def test_behaviours_of_a_session_count_alike_however_often_each_is_known():
    often, rarely = BehaviorColumns("gaze", "continuous", 0, 2), BehaviorColumns("pupil", "continuous", 2, 3)
    segment = Segment(np.array([1.0]), np.zeros(1, np.int32), 0.0, 2.0)
    blocks = [Block(segment, np.ones(1, np.int64), row, np.arange(3), (often, rarely)) for row in (1, 1, 2)]
    targets = [np.zeros((n, 3)) for n in (6, 2, 4)]
    targets[0][:, 2], targets[1][0, 0] = np.nan, np.nan  # session 1: 8 samples of one, 2 of the other
    shares = [block.shares for block in equal_shares(blocks, targets)]
    assert shares == [pytest.approx((10 / 16, 10 / 4))] * 2 + [(1.0, 1.0)]
