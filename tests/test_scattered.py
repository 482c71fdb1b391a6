"""The warning at a shuffled splitter's training samples: fires on those, and on nothing that is sparse by nature."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, cross_val_score, train_test_split

from spikeinterface_poyo import BlockedKFold, SpikeSamples, align
from spikeinterface_poyo.sessions.samples import stretches
from spikeinterface_poyo.sessions.scattered import is_scattered
from spikeinterface_poyo.sessions.session import Segment, Session

SEGMENT = Segment(np.array([1.0]), np.array([0], dtype=np.int32), 0.0, 1000.0)
SESSION = Session(np.array([0]), (SEGMENT, SEGMENT))
rules = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10**6)
intervals = st.sampled_from([0.01, 1 / 30, 0.1, 0.5, 2.0])


def samples(times: np.ndarray) -> SpikeSamples:
    """The times in each of two segments."""
    segment = np.repeat([0, 1], len(times))
    return SpikeSamples([SESSION], np.zeros(2 * len(times)), segment, np.tile(times, 2))


@st.composite
def regular(draw) -> SpikeSamples:
    """A regular behaviour, as a camera takes it: with a little jitter, and a few frames dropped."""
    n, interval, rng = draw(st.integers(1500, 3000)), draw(intervals), np.random.default_rng(draw(seeds))
    times = np.arange(n) * interval + rng.normal(0, draw(st.sampled_from([0, 0.03])) * interval, n) + 100
    return samples(times[rng.random(n) > draw(st.sampled_from([0, 0.01, 0.03]))])


def runs(rng: np.random.Generator, n: int, kept: tuple[int, int], left_out: tuple[int, int]) -> np.ndarray:
    """Mask of ``n`` grid points kept in runs, with runs between them left out; lengths are drawn from the ranges."""
    lengths = np.column_stack([rng.integers(*kept, n, endpoint=True), rng.integers(*left_out, n, endpoint=True)])
    return np.repeat(np.tile([True, False], n), lengths.ravel())[:n]


@given(X=regular(), n_splits=st.integers(2, 8), seed=seeds)
@rules
def test_shuffled_folds_are_scattered(X, n_splits, seed):
    train, _ = next(KFold(n_splits, shuffle=True, random_state=seed).split(np.zeros(len(X))))
    assert is_scattered(X[train])
    assert is_scattered(X[np.random.default_rng(seed).permutation(train)])


@given(X=regular(), test_size=st.floats(0.15, 0.6), seed=seeds)
@rules
def test_other_shuffled_splits_are_scattered(X, test_size, seed):
    train, _ = next(ShuffleSplit(1, test_size=test_size, random_state=seed).split(np.zeros(len(X))))
    assert is_scattered(X[train])


@given(seed=seeds, interval=intervals, length=st.integers(20, 60), pause=st.integers(5, 100))
@rules
def test_shuffled_samples_of_trials_are_scattered(seed, interval, length, pause):
    rng = np.random.default_rng(seed)
    trials = runs(rng, 8000, (length, 2 * length), (pause, 2 * pause))
    X = samples(np.flatnonzero(trials) * interval)
    assert not is_scattered(X)
    assert is_scattered(X[rng.random(len(X)) < 0.8])


@given(X=regular(), n_splits=st.integers(2, 10), gap=st.sampled_from([0.0, 2.0]))
@rules
def test_blocks_are_not_scattered(X, n_splits, gap):
    for splitter in (BlockedKFold(n_splits, gap), KFold(n_splits)):
        assert not any(is_scattered(X[train]) for train, _ in splitter.split(X))


@given(X=regular(), seed=seeds, seconds=st.floats(3, 20))
@rules
def test_shuffled_groups_of_seconds_are_not_scattered(X, seed, seconds):
    interval = np.median(np.diff(X.times[X.segment_index == 0]))
    groups = X.segment_index * 10**4 + (X.times // (seconds * interval)).astype(int)
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    train, _ = next(GroupKFold(4).split(X.times[:, None], groups=order[groups]))
    assert not is_scattered(X[train])


@given(seed=seeds, interval=intervals, kept=st.integers(2, 60), left_out=st.integers(1, 60))
@rules
def test_trials_and_lost_tracking_are_not_scattered(seed, interval, kept, left_out):
    mask = runs(np.random.default_rng(seed), 5000, (kept, 2 * kept), (left_out, 2 * left_out))
    assert not is_scattered(samples(np.flatnonzero(mask) * interval))


@given(seed=seeds, interval=intervals, every=st.integers(2, 9), keep=st.booleans())
@rules
def test_patterns_are_not_scattered(seed, interval, every, keep):
    points = np.arange(5000)
    assert not is_scattered(samples(points[(points % every == 0) == keep] * interval))


@given(seed=seeds, shape=st.floats(0.5, 15), rate=st.floats(0.2, 50))
@rules
def test_irregular_behaviour_is_not_scattered(seed, shape, rate):
    intervals = np.random.default_rng(seed).gamma(shape, 1 / (shape * rate), 3000)
    assert not is_scattered(samples(np.cumsum(intervals)))


@given(seed=seeds, frame=st.sampled_from([0.001, 0.02, 1 / 30]), rate=st.floats(0.05, 5))
@rules
def test_events_on_a_cameras_frames_are_not_scattered(seed, frame, rate):
    assume(rate * frame < 0.2)
    times = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, 1000))
    assert not is_scattered(samples(np.unique(np.round(times / frame)) * frame))


@given(times=st.lists(st.floats(0, 1000), max_size=60))
@rules
def test_few_samples_are_not_scattered(times):
    assert not is_scattered(SpikeSamples([SESSION], np.zeros(len(times)), np.zeros(len(times)), times))


def test_real_recordings_are_not_scattered_until_they_are_shuffled(mouse):
    X, y = align(*mouse)
    assert not is_scattered(X)
    assert not any(is_scattered(X[train]) for train, _ in BlockedKFold(5, gap=2.0).split(X))
    assert is_scattered(train_test_split(X, y, random_state=0)[0])


def test_epochs_are_not_scattered(simulate):
    made = simulate(duration=120.0, interval=0.02)
    starts = np.cumsum(np.random.default_rng(0).uniform(1, 2.5, 50))
    X, _ = align(made.spikes, made.behavior, epochs=np.column_stack([starts, starts + 0.7]))
    assert stretches(X.times)[-1] < 45  # many epochs are so close that they are one stretch
    assert not is_scattered(X)


@pytest.fixture(scope="module")
def regular_behavior(simulate) -> tuple[SpikeSamples, np.ndarray]:
    made = simulate(n_units=4, duration=40.0, interval=0.05)
    return align(made.spikes, made.behavior)


def test_fit_warns_of_a_shuffled_splitter_and_names_the_way_out(regular_behavior, small_decoder):
    X, y = regular_behavior
    with pytest.warns(UserWarning, match=r"scattered as by a shuffled splitter.*BlockedKFold\(5, gap=2.0\)") as caught:
        cross_val_score(small_decoder(), X, y, cv=ShuffleSplit(1, random_state=0, test_size=0.3))
    assert len([w for w in caught if "scattered" in str(w.message)]) == 1
    some = np.random.default_rng(0).random(len(X)) < 0.7
    with pytest.warns(UserWarning, match="scattered") as caught:
        small_decoder().fit(X[some], y[some])
    assert caught[0].filename == __file__


def test_fit_warns_of_nothing_in_blocks_or_with_unknown_targets(regular_behavior, small_decoder):
    X, y = regular_behavior
    y = np.where(np.random.default_rng(0).random(len(y)) < 0.2, np.nan, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_val_score(small_decoder(), X, y, cv=BlockedKFold(2, gap=2.0), error_score="raise")
