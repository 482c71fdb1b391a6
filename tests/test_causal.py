"""causal=True: no spike later than the sample is read, in training and in prediction."""

from __future__ import annotations

import neo
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeinterface_poyo import align
from spikeinterface_poyo.network.batch import to_batch
from spikeinterface_poyo.network.merging import merge_spikes
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.network.windows import N_TOKEN_TYPES, SPIKE, Block, tokenize
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.training.sampling import WindowSampler

LATER = 1e-6  # s after the sample: from here on nothing is read
ROUNDING = 3e-6  # of predictions with another number of tokens; targets have an SD of about 0.7


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(t_start=1000.0)


@pytest.fixture(scope="module")
def decoder(session, small_decoder):
    return small_decoder(causal=True, max_iter=4, window_length=2.0).fit(session.spikes, session.behavior)


def cut(spikes: dict, time: float) -> dict:
    """The spikes up to ``time``."""
    return {unit: t[t < time] for unit, t in spikes.items()}


@pytest.mark.parametrize("time", [1005.0, 1017.3, 1030.0000001, 1044.44, 1059.9])
def test_taking_later_spikes_away_changes_nothing(session, decoder, time):
    whole = decoder.predict(session.spikes, times=[time])
    np.testing.assert_allclose(decoder.predict(cut(session.spikes, time + LATER), times=[time]), whole, atol=ROUNDING)


@given(time=st.floats(1003.0, 1059.0), after=st.sampled_from([LATER, 1e-5, 1e-3, 0.01, 0.1, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_adding_later_spikes_changes_nothing(session, decoder, time, after):
    whole = decoder.predict(session.spikes, times=[time])
    burst = time + after + np.linspace(0, 0.5, 100)
    changed = session.spikes | {u: np.sort(np.append(session.spikes[u], burst)) for u in ("u0", "u3")}
    np.testing.assert_allclose(decoder.predict(changed, times=[time]), whole, atol=ROUNDING)


@pytest.mark.parametrize("step", [0.5, 0.0625, 0.1, 1 / 3])
def test_on_a_grid_of_samples_too(session, decoder, step):
    # windows lie on a grid of their own; samples on it must not see a hair beyond themselves
    times = 1000.0 + step * np.arange(6, 40)
    whole = decoder.predict(session.spikes, times=times)
    for i in range(0, len(times), 7):
        known = decoder.predict(cut(session.spikes, times[i] + LATER), times=times[: i + 1])
        np.testing.assert_allclose(known, whole[: i + 1], atol=ROUNDING)


def test_earlier_spikes_do_matter(session, decoder):
    time = 1030.0
    whole = decoder.predict(session.spikes, times=[time])
    without = {unit: t[(t < time - 0.5) | (t > time)] for unit, t in session.spikes.items()}
    assert np.abs(decoder.predict(without, times=[time]) - whole).max() > 100 * ROUNDING


def test_an_ordinary_decoder_reads_later_spikes(session, small_decoder):
    ordinary = small_decoder(max_iter=4, window_length=2.0).fit(session.spikes, session.behavior)
    whole = ordinary.predict(session.spikes, times=[1030.0])
    assert np.abs(ordinary.predict(cut(session.spikes, 1030.0), times=[1030.0]) - whole).max() > 100 * ROUNDING


def test_a_causal_decoder_needs_two_latent_steps(session, small_decoder):
    with pytest.raises(ValueError, match="needs n_latent_steps >= 2, got 1"):
        small_decoder(causal=True, n_latent_steps=1).fit(session.spikes, session.behavior)


def test_causal_decoders_learn(simulate, small_decoder):
    session = simulate(duration=120.0)
    X, y = align(session.spikes, session.behavior)
    decoder = small_decoder(causal=True, max_iter=8, learning_rate_init=5e-3, window_length=2.0).fit(X[:900], y[:900])
    assert decoder.score(X[900:], y[900:]) > 0.6


@pytest.mark.parametrize("n_steps", [2, 4, 8])
def test_training_windows_send_no_gradient_to_later_spikes(n_steps):
    rng = np.random.default_rng(0)
    length = 2.0
    config = NetworkConfig(
        1,
        length,
        length / n_steps,
        2,
        dim=16,
        depth=2,
        dim_head=8,
        cross_heads=1,
        self_heads=2,
        causal=True,
        t_min=0.01,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = POYO(config, n_units=6, n_sessions=2).eval()
    spikes = np.sort(rng.uniform(0, 30, 1500))
    segment = Segment(spikes, rng.integers(0, 5, 1500, dtype=np.int32), 0.0, 30.0)
    block = Block(segment, np.arange(1, 6), 1, np.arange(1))
    sampler = WindowSampler([np.arange(0, 30, 0.05)], [1], length, causal=True)
    windows, query = sampler.draw(12, 5, rng)
    query_time = sampler.times[query] - windows.start[:, None]
    tokens = tokenize([block], windows, length)
    columns = np.zeros((12, 1), dtype=np.int64)
    batch = to_batch(tokens, np.ones(12, dtype=np.int64), query_time, columns, torch.device("cpu"))
    log_weight = batch.token_log_weight.clone().requires_grad_()  # moves each token's share of attention
    predicted = network(batch._replace(token_log_weight=log_weight))
    is_spike = (tokens.token % N_TOKEN_TYPES == SPIKE) & (tokens.token_log_weight > -np.inf)
    for q in range(5):
        (gradient,) = torch.autograd.grad(predicted[:, q].sum(), log_weight, retain_graph=True)
        later = is_spike & (tokens.token_time > query_time[:, [q]] + LATER)
        assert later.any()
        assert not gradient.numpy()[later].any()
        assert gradient.numpy()[is_spike & ~later].any()


def visible(segment: Segment, time: float) -> list[tuple]:
    """Entries of a merged segment that a causal network may read at ``time``."""
    merged = merge_spikes(segment, 0.1, latest=True)
    seen = merged.spike_times <= time
    return list(zip(merged.spike_times[seen], merged.unit_index[seen], merged.weights[seen], strict=True))


@given(seed=st.integers(0, 2**31), time=st.floats(0.5, 1.5))
@settings(max_examples=50, deadline=None)
def test_merged_spikes_tell_nothing_of_later_ones(seed, time):
    rng = np.random.default_rng(seed)
    spikes, units = np.sort(rng.uniform(0, 2, 60)), rng.integers(0, 3, 60, dtype=np.int32)
    known = spikes <= time
    whole, so_far = (Segment(spikes[k], units[k], 0.0, 2.0) for k in (slice(None), known))
    assert visible(whole, time) == visible(so_far, time)


def test_dense_populations_whose_spikes_are_merged_are_causal_too(simulate, small_decoder):
    session = simulate(n_units=24, rate=240.0, duration=30.0)
    decoder = small_decoder(causal=True, window_length=2.0).fit(session.spikes, session.behavior)
    assert decoder.network_.config.token_bin > 0
    times = 10 + np.linspace(0, 1, 9)
    whole = decoder.predict(session.spikes, times=times)
    for time, expected in zip(times, whole, strict=True):
        found = decoder.predict(cut(session.spikes, time + LATER), times=[time])
        np.testing.assert_allclose(found, expected, atol=ROUNDING)


def test_what_came_in_lately_is_decoded_as_the_whole_recording(decoder, session):
    times = np.arange(1008.0, 1020.0, 0.37)
    whole = decoder.predict(session.spikes, times)
    for now, expected in zip(times, whole, strict=True):
        recent = {unit: train[(train > now - 2.5) & (train <= now)] for unit, train in session.spikes.items()}
        assert decoder.predict(recent, [now])[0] == pytest.approx(expected, abs=ROUNDING)


def test_rounding_of_times_changes_no_answer(decoder, session):
    times = 1000 + np.arange(100, 500) / 10
    summed = 1010 + np.cumsum(np.append(0, np.full(399, 0.1 - 1e-13)))  # a clock kept by addition
    assert (summed < times).sum() > 300
    assert np.abs(summed - times).max() < 1e-9
    answers, expected = (decoder.predict(session.spikes, times=some) for some in (summed, times))
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-6)


def test_silence_is_decoded_too(decoder, session):
    silent = {unit: train[train < 0] for unit, train in session.spikes.items()}
    trains = [neo.SpikeTrain([], units="s", t_start=1005.0, t_stop=1009.0, name=unit) for unit in silent]
    (answer,) = decoder.predict(trains, [1009.0])
    assert decoder.predict(silent, [1009.0]) == pytest.approx(answer)
    with pytest.warns(UserWarning, match="1 of 1 times .* more than a second outside the spikes'"):
        assert decoder.predict(silent | {"u0": np.array([1004.0])}, [1009.0]) == pytest.approx(answer)
    for unlikely in (1065.0, 1002.0):  # too late, and before the only spike
        with pytest.raises(ValueError, match="do not overlap in time"):
            decoder.predict(silent | {"u0": np.array([1004.0])}, [unlikely])
    with pytest.raises(ValueError, match=r"do not overlap in time: the spikes span 1005\.000 to 1009\.000 s"):
        decoder.predict(trains, [1011.0])
    with pytest.warns(UserWarning, match="the sorting is empty: none of its 8 units has a spike"):
        assert len(decoder.predict(trains)) > 1
    with pytest.raises(ValueError, match="the sorting is empty: none of its"):
        decoder.partial_fit(silent, session.behavior)
