"""`BlockedKFold`: what a fold may and may not hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV, check_cv, cross_val_score

from spikeinterface_poyo import BlockedKFold, SpikeSamples, align
from spikeinterface_poyo.sessions.session import Segment, Session

SILENT = Segment(np.array([1.0]), np.array([0], dtype=np.int32), 0.0, 100.0)
SESSION = Session(np.array([0]), (SILENT, SILENT))


@st.composite
def samples(draw, at_least: int = 5):
    """Samples of two sessions of two segments each, at times in any order, some equal; two of each session far off."""
    times, session, segment = [], [], []
    for block in range(4):
        drawn = draw(st.lists(st.integers(40, 240), min_size=at_least, max_size=20))
        drawn += [0, 400] if block % 2 == 0 else []  # so that there is always something to train on
        times += [t / 4 for t in drawn]
        session += [block // 2] * len(drawn)
        segment += [block % 2] * len(drawn)
    order = draw(st.permutations(range(len(times))))
    arrays = [np.array(values)[order] for values in (session, segment, times)]
    return SpikeSamples([SESSION, SESSION], *arrays)


def blocks(X: SpikeSamples) -> list[np.ndarray]:
    key = X.session_index * 2 + X.segment_index
    return [np.flatnonzero(key == block) for block in np.unique(key)]


rules = settings(max_examples=40, deadline=None)


@given(X=samples(), n_splits=st.integers(2, 5), gap=st.sampled_from([0.0, 0.3, 2.0]))
@rules
def test_every_sample_is_tested_once(X, n_splits, gap):
    tests = [test for _, test in BlockedKFold(n_splits, gap).split(X)]
    assert len(tests) == n_splits
    np.testing.assert_array_equal(np.sort(np.concatenate(tests)), np.arange(len(X)))


@given(X=samples(), n_splits=st.integers(2, 5), gap=st.sampled_from([0.0, 0.3, 2.0]))
@rules
def test_no_training_sample_lies_within_the_gap_of_a_tested_one(X, n_splits, gap):
    for train, test in BlockedKFold(n_splits, gap).split(X):
        assert not set(train) & set(test)
        for block in blocks(X):
            here, tested = X.times[np.intersect1d(train, block)], X.times[np.intersect1d(test, block)]
            assert not ((here >= tested.min() - gap) & (here <= tested.max() + gap)).any()


@given(X=samples(), n_splits=st.integers(2, 5), gap=st.sampled_from([0.0, 0.3, 2.0]))
@rules
def test_nothing_else_is_left_out_of_training(X, n_splits, gap):
    for train, test in BlockedKFold(n_splits, gap).split(X):
        for block in blocks(X):
            tested = X.times[np.intersect1d(test, block)]
            far = (X.times[block] < tested.min() - gap) | (X.times[block] > tested.max() + gap)
            np.testing.assert_array_equal(np.intersect1d(train, block), block[far])


@given(X=samples(), n_splits=st.integers(2, 5))
@rules
def test_a_fold_is_one_equal_part_in_time_of_every_segment(X, n_splits):
    for _, test in BlockedKFold(n_splits).split(X):
        for block in blocks(X):
            tested = np.intersect1d(test, block)
            assert len(block) // n_splits <= len(tested) <= -(-len(block) // n_splits)
            between = (X.times[block] > X.times[tested].min()) & (X.times[block] < X.times[tested].max())
            assert np.isin(block[between], tested).all()


@given(X=samples())
@rules
def test_indices_ascend_and_splits_repeat(X):
    splitter = BlockedKFold(3, gap=0.5)
    for one, other in zip(splitter.split(X), splitter.split(X, y=np.zeros(len(X))), strict=True):
        for indices, again in zip(one, other, strict=True):
            assert np.all(np.diff(indices) > 0)
            np.testing.assert_array_equal(indices, again)


@pytest.fixture(scope="module")
def aligned():
    return align({"a": np.arange(0, 40, 0.1)}, (np.arange(40.0), np.arange(40.0)))


def test_number_of_splits():
    assert BlockedKFold().get_n_splits() == 5
    assert BlockedKFold(7).get_n_splits(None, None, None) == 7


def test_repr():
    assert repr(BlockedKFold(3, gap=1.5)) == "BlockedKFold(n_splits=3, gap=1.5)"


def test_is_a_splitter_to_scikit_learn(aligned):
    X, y = aligned
    assert check_cv(BlockedKFold(4)).get_n_splits() == 4
    assert len(cross_val_score(DummyRegressor(), X, y, cv=BlockedKFold(4, gap=2.0))) == 4
    search = GridSearchCV(DummyRegressor(), {"strategy": ["mean", "median"]}, cv=BlockedKFold(4, gap=2.0))
    assert clone(search).fit(X, y).cv_results_["mean_test_score"].shape == (2,)


@pytest.mark.parametrize("n_splits", [0, 1, -3, 2.0, "5", None, True])
def test_n_splits_must_be_an_integer_from_two(n_splits):
    with pytest.raises(ValueError, match=r"n_splits must be an integer of at least 2, got"):
        BlockedKFold(n_splits)


@pytest.mark.parametrize("gap", [-1.0, np.nan])
def test_gap_must_be_zero_or_more_seconds(gap):
    with pytest.raises(ValueError, match="gap must be zero or more seconds, got"):
        BlockedKFold(gap=gap)


def test_too_few_samples_in_a_segment_are_refused(aligned):
    with pytest.raises(ValueError, match="segment of 3 samples into 5 folds"):
        next(BlockedKFold().split(aligned[0][:3]))


def test_a_gap_that_leaves_nothing_to_train_on_is_refused_before_the_first_fold(aligned):
    assert len(list(BlockedKFold(2, gap=19.0).split(aligned[0]))) == 2
    with pytest.raises(ValueError, match=r"fold 2 of 5 trains on 0 samples.*gap=20.0 s.*shorter gap"):
        next(BlockedKFold(gap=20.0).split(aligned[0]))


def test_a_gap_that_leaves_nothing_of_one_session_is_refused_too(simulate):
    long, short = simulate(duration=60.0), simulate(1, duration=8.0)
    X, _ = align([long.spikes, short.spikes], [long.behavior, short.behavior], session_id=["a", "b"])
    with pytest.raises(ValueError, match=r"fold 0 of 2 trains on 0 samples of session\(s\) \['b'\].*gap=5.0 s"):
        next(BlockedKFold(2, gap=5.0).split(X))


def test_arrays_are_refused():
    with pytest.raises(TypeError, match=r"SpikeSamples of align\(sorting, behavior\); got ndarray"):
        next(BlockedKFold().split(np.zeros((20, 3))))
