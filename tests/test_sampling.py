"""Training windows: whose samples they ask for, and which spikes they may read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeinterface_poyo.network.windows import Block, tokenize
from spikeinterface_poyo.sessions.samples import stretches
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.training.sampling import WindowSampler

ROUNDING = 1e-9  # s


@st.composite
def sample_times(draw) -> np.ndarray:
    """Ascending times of one block: stretches of different lengths, duplicates included, with gaps between."""
    interval = draw(st.sampled_from([0.008, 0.1, 1.7]))
    t, parts = draw(st.floats(-50, 1000)), []
    for n in draw(st.lists(st.integers(1, 40), min_size=1, max_size=4)):
        steps = interval * draw(st.sampled_from([1.0, 0.5]))
        parts.append(t + steps * np.arange(n).repeat(draw(st.sampled_from([1, 1, 2]))))
        t = parts[-1][-1] + draw(st.floats(0.5, 20))
    return np.sort(np.concatenate(parts))


@st.composite
def samplers(draw):
    times = draw(st.lists(sample_times(), min_size=1, max_size=3))
    session = np.sort(draw(st.lists(st.integers(1, 2), min_size=len(times), max_size=len(times))))
    length = draw(st.sampled_from([0.05, 1.0, 4.0]))
    return WindowSampler(times, session, length, causal=draw(st.booleans())), times, session


def locate(sampler: WindowSampler, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Block of each queried sample, and its stretch in that block."""
    number = np.concatenate(
        [stretches(sampler.times[a:b]) for a, b in zip(sampler.first[:-1], sampler.first[1:], strict=True)]
    )
    return sampler.block[query], number[query]


@given(samplers(), st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_queries_belong_to_one_stretch_and_lie_in_the_window(case, seed):
    sampler, times, _ = case
    windows, query = sampler.draw(40, 7, np.random.default_rng(seed))
    assert query.shape == (40, 7)
    block, stretch = locate(sampler, query)
    np.testing.assert_array_equal(block, windows.block[:, None].repeat(7, axis=1))
    assert (stretch == stretch[:, :1]).all()
    relative = sampler.times[query] - windows.start[:, None]
    earliest = sampler.window_length / 2 if sampler.causal else 0
    assert (relative >= earliest - ROUNDING).all()
    assert (relative <= sampler.window_length + ROUNDING).all()
    for i in range(40):
        in_block = times[windows.block[i]]
        given_here = in_block[stretches(in_block) == stretch[i, 0]]
        half = sampler.window_length / 2
        assert windows.visible_from[i] == pytest.approx(given_here[0] - half, abs=ROUNDING)
        assert windows.visible_to[i] == pytest.approx(given_here[-1] + half, abs=ROUNDING)


@given(samplers(), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_draws_follow_their_generator(case, seed):
    sampler, _, _ = case
    one, other = (sampler.draw(5, 3, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(one[0].start, other[0].start)
    np.testing.assert_array_equal(one[1], other[1])


def test_every_sample_is_asked_for():
    sampler = WindowSampler([np.arange(0, 30, 0.1), np.arange(5.0)], [1, 2], 1.0)
    _, query = sampler.draw(3000, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(np.unique(query), np.arange(305))


@pytest.mark.parametrize("causal", [False, True])
def test_samples_are_asked_for_about_equally_often(causal):
    n = 500
    sampler = WindowSampler([0.02 * np.arange(n)], [1], 1.0, causal)
    _, query = sampler.draw(4000, 16, np.random.default_rng(0))
    share = np.bincount(query.ravel(), minlength=n) * n / query.size
    assert share[50:-50].mean() == pytest.approx(1, abs=0.15)
    assert share[:10].mean() > 0.25  # the ends of a stretch train too
    assert share[-10:].mean() > 0.25


def test_queries_spread_over_the_window():
    sampler = WindowSampler([0.01 * np.arange(10_000)], [1], 1.0)
    windows, query = sampler.draw(200, 10, np.random.default_rng(0))
    inner = (windows.start > 0) & (windows.start < 99)
    relative = (sampler.times[query] - windows.start[:, None])[inner]
    assert (np.floor(relative * 10 + 1e-6).astype(int).clip(0, 9) - np.arange(10)).max() <= 1
    assert (np.diff(query, axis=1) > 0).all()  # enough samples: none twice


def test_sessions_are_drawn_by_the_time_they_cover():
    # session 1 covers 60 s in two blocks at 10 Hz, session 2 covers 20 s at 100 Hz, session 3 20 s of 120 s
    trials = np.concatenate([start + 0.1 * np.arange(20) for start in np.arange(0, 120, 12.0)])
    times = [0.1 * np.arange(400), 0.1 * np.arange(200), 0.01 * np.arange(2000), trials]
    sampler = WindowSampler(times, [1, 1, 2, 3], 1.0)
    windows, _ = sampler.draw(20_000, 1, np.random.default_rng(0))
    share = np.bincount(windows.block, minlength=4) / 20_000
    np.testing.assert_allclose(share, [0.4, 0.2, 0.2, 0.2], atol=0.015)


def test_scattered_samples_train_one_by_one():
    times = np.array([0.0, 10.0, 17.5, 40.0])
    sampler = WindowSampler([times], [1], 2.0)
    # 3 median intervals would join them all: a stretch is then one piece of 40 s
    assert len(np.unique(stretches(times))) == 1
    windows, query = sampler.draw(200, 4, np.random.default_rng(0))
    assert (query == query[:, :1]).all()
    assert (np.abs(times[query[:, 0]] - windows.start - 1.0) <= 1.0 + ROUNDING).all()


def test_a_single_sample_is_a_stretch():
    sampler = WindowSampler([np.array([5.0])], [1], 2.0)
    windows, query = sampler.draw(20, 3, np.random.default_rng(0))
    assert (query == 0).all()
    np.testing.assert_allclose(windows.start, 4.0)  # a window at its sample's stretch, overhanging by half
    np.testing.assert_allclose(windows.visible_from, 4.0)
    np.testing.assert_allclose(windows.visible_to, 6.0)


def test_short_trials_read_half_a_window_beyond_their_ends_and_no_further():
    trials = [(10.0, 0.3), (12.5, 0.2), (30.0, 0.4)]  # start and length: shorter than the window
    times = np.concatenate([start + np.arange(0, length, 0.02) for start, length in trials])
    sampler = WindowSampler([times], [1], 1.0)
    spikes = np.arange(0, 50, 0.005)
    block = Block(Segment(spikes, np.zeros(len(spikes), np.int32), 0.0, 50.0), np.array([1]), 1, np.arange(1))
    windows, query = sampler.draw(300, 4, np.random.default_rng(0))
    tokens = tokenize([block], windows, 1.0)
    for i in range(300):
        start, length = next(trial for trial in reversed(trials) if trial[0] <= times[query[i, 0]] + ROUNDING)
        real = tokens.token_log_weight[i] > -np.inf
        read = windows.start[i] + tokens.token_time[i, real][2:]
        assert read.min() >= start - 0.5 - 1e-6
        assert read.max() <= start + length + 0.5 + 1e-6
        assert len(read) > 50


def test_causal_queries_have_half_a_window_of_past():
    sampler = WindowSampler([0.02 * np.arange(1000)], [1], 2.0, causal=True)
    windows, query = sampler.draw(500, 8, np.random.default_rng(0))
    past = sampler.times[query] - windows.start[:, None]
    assert past.min() >= 1.0 - ROUNDING
    assert past.max() <= 2.0


def test_centred_windows_are_read_at_their_centre():
    times = 1000.0 * np.arange(50)
    sampler = WindowSampler([times], [1], 0.1, centred=True)
    windows, query = sampler.draw(100, 1, np.random.default_rng(0))
    np.testing.assert_allclose(times[query[:, 0]] - windows.start, 0.05, atol=ROUNDING)


def test_only_given_samples_are_asked_for():
    # half of a recording is given; the other half is not in the sampler's arrays at all, nor its spikes in the windows
    given_times = np.concatenate([np.arange(0, 20, 0.05), np.arange(40, 60, 0.05)])
    sampler = WindowSampler([given_times], [1], 2.0)
    spikes = np.arange(0, 60, 0.01)
    block = Block(Segment(spikes, np.zeros(len(spikes), np.int32), 0.0, 60.0), np.array([1]), 1, np.arange(1))
    windows, _ = sampler.draw(2000, 2, np.random.default_rng(0))
    tokens = tokenize([block], windows, 2.0)
    absolute = (windows.start[:, None] + tokens.token_time)[:, 2:][tokens.token_log_weight[:, 2:] > -np.inf]
    assert not ((absolute > given_times[399] + 1.0 + 1e-6) & (absolute < 40 - 1.0 - 1e-6)).any()
    assert ((absolute > 20) & (absolute < 20.9)).any()  # overhang


def test_sessions_in_any_order_are_drawn_by_the_time_they_cover():
    sampler = WindowSampler([0.1 * np.arange(400), 0.01 * np.arange(2000)], [2, 1], 1.0)  # 40 s, 20 s
    windows, _ = sampler.draw(5000, 1, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(windows.block) / 5000, [2 / 3, 1 / 3], atol=0.03)
