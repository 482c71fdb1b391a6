"""`SpikeSamples` as scikit-learn and its users handle it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.utils import _safe_indexing, shuffle

from spikeinterface_poyo import SpikeSamples, align

SPIKES = {"a": np.arange(0, 10, 0.1), "b": np.arange(0, 10, 0.3)}
N = 20
TIMES = np.arange(N) * 0.4


@pytest.fixture(scope="module", name="X")
def two_sessions() -> SpikeSamples:
    """Two sessions of 20 samples each."""
    behaviour = (TIMES, np.arange(N))
    return align([SPIKES, SPIKES], [behaviour, behaviour], session_id=["one", "two"])[0]


def same(left: SpikeSamples, right: SpikeSamples) -> bool:
    names = ("session_index", "segment_index", "times")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


def test_is_one_dimensional(X):
    assert X.shape == (2 * N,)
    assert X.ndim == 1
    assert len(X) == 2 * N


def test_session_ids_and_times_are_one_a_sample(X):
    np.testing.assert_array_equal(X.session_ids, ["one"] * N + ["two"] * N)
    np.testing.assert_array_equal(X.times, [*TIMES, *TIMES])


INDICES = [
    slice(3, 30, 4),
    slice(None, None, -1),
    slice(5, 5),
    [0, 39, -1, 7, 7],
    np.array([30, 2]),
    np.array([30, 2], dtype=np.uint8),
    np.arange(2 * N) % 3 == 0,
    (np.arange(2 * N) % 3 == 0).tolist(),
    [],
    range(4),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize("with_ellipsis", [False, True])
def test_indexing_is_numpys(X, index, with_ellipsis):
    subset = X[index, ...] if with_ellipsis else X[index]
    expected = np.arange(2 * N)[index if isinstance(index, slice) else list(index) or slice(0)]
    assert isinstance(subset, SpikeSamples)
    assert subset.shape == expected.shape
    np.testing.assert_array_equal(subset.times, X.times[expected])
    np.testing.assert_array_equal(subset.session_ids, X.session_ids[expected])
    assert subset.targets == X.targets
    assert all(one is other for one, other in zip(subset.sessions, X.sessions, strict=True))


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_subsets_of_subsets(X, data):
    first = data.draw(st.lists(st.integers(-2 * N, 2 * N - 1), max_size=50))
    second = data.draw(st.lists(st.integers(0, max(len(first) - 1, 0)), max_size=10)) if first else []
    composed = np.array(first, dtype=int)[np.array(second, dtype=int)]
    assert same(X[first][second], X[composed])


@pytest.mark.parametrize("index", [0, 39, -1, -40, np.int64(7)])
def test_one_sample_is_samples_of_length_one(X, index):
    assert X[index].shape == (1,)
    assert X[index].times[0] == X.times[index]
    assert same(X[index], X[index, ...])


@pytest.mark.parametrize(
    "index",
    [40, -41, [0, 40], np.array([-41]), np.ones(39, bool), np.ones(41, bool), 1.0, [0.0, 1.0], "a", None, ..., (0, 1),
     (0, 0, ...), np.zeros((2, 2), int), np.array(3), np.True_],
    ids=repr,
)  # fmt: skip
def test_what_is_out_of_range_or_no_index_is_an_index_error(X, index):
    with pytest.raises(IndexError):
        X[index]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_times_that_are_not_finite_are_refused(X, bad):
    with pytest.raises(ValueError, match="sample times must be finite"):
        SpikeSamples(X.sessions, [0, 1], [0, 0], [1.0, bad])


def test_what_where_gives_is_an_index(X):
    np.testing.assert_array_equal(X[np.where(X.times > 1)].times, X.times[X.times > 1])


def test_iteration_ends(X):
    items = list(X)
    assert len(items) == 2 * N
    assert all(item.shape == (1,) for item in items)
    np.testing.assert_array_equal([item.times[0] for item in items], X.times)


@pytest.mark.parametrize("convert", [np.array, np.asarray, np.asanyarray, lambda X: np.array(X, dtype=object)])
def test_numpy_is_told_at_once_that_this_is_no_array(mouse, convert):
    X, _ = align(*mouse)  # long: NumPy must not walk through it
    with pytest.raises(TypeError, match="SpikeSamples hold spike times"):
        convert(X)


def test_repr_says_how_many_samples_of_what(X):
    assert repr(X[:3]).startswith("SpikeSamples(3 samples of Session('one', 2 units, 1 segments, 134 spikes)")


class TestPickle:
    @pytest.mark.parametrize("clone", [lambda X: pickle.loads(pickle.dumps(X)), copy.copy, copy.deepcopy])
    def test_nothing_is_lost(self, X, clone):
        again = clone(X)
        assert same(again, X)
        np.testing.assert_array_equal(again.session_ids, X.session_ids)
        assert again.targets == X.targets
        for session, original in zip(again.sessions, X.sessions, strict=True):
            np.testing.assert_array_equal(session.unit_ids, original.unit_ids)
            np.testing.assert_array_equal(session.segments[0].spike_times, original.segments[0].spike_times)

    def test_is_not_much_more_than_spikes_and_samples(self, mouse):
        X, _ = align(*mouse)
        n_spikes = len(X.sessions[0].segments[0].spike_times)
        assert len(pickle.dumps(X)) < 12 * n_spikes + 16 * len(X) + 3000

    def test_a_subset_leaves_spikes_of_other_sessions_behind(self):
        many = {"a": np.linspace(0, 10, 100_000)}
        behaviour = (TIMES, np.arange(N))
        X, _ = align([many, SPIKES], [behaviour, behaviour])
        few = pickle.dumps(X[X.session_ids == "session_1"])
        assert len(few) < 10_000
        again = pickle.loads(few)
        assert list(again.session_ids) == ["session_1"] * N
        assert again.session_name(0) == "session_0"
        assert again.sessions[0].unit_names == ["a"]

    def test_an_empty_subset(self, X):
        assert len(pickle.loads(pickle.dumps(X[[]]))) == 0


class TestScikitLearn:
    def test_safe_indexing(self, X):
        subset = _safe_indexing(X, np.array([3, 1]))
        assert same(subset, X[[3, 1]])

    def test_train_test_split(self, X):
        y = np.arange(2 * N)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=10, random_state=0)
        assert (len(X_train), len(X_test)) == (30, 10)
        assert same(X_train, X[y_train])
        assert same(X_test, X[y_test])

    def test_shuffle(self, X):
        shuffled, order = shuffle(X, np.arange(2 * N), random_state=0)
        assert same(shuffled, X[order])

    @pytest.mark.parametrize("cv", [KFold(4), TimeSeriesSplit(4, gap=2)])
    def test_splitters(self, X, cv):
        scores = cross_val_score(DummyRegressor(), X, np.arange(2 * N), cv=cv)
        assert np.isfinite(scores).all()

    def test_session_ids_are_groups(self, X):
        folds = list(GroupKFold(2).split(X, groups=X.session_ids))
        assert len(folds) == 2
        for train, test in folds:
            assert not set(X.session_ids[train]) & set(X.session_ids[test])

    def test_cross_val_predict_and_learning_curve(self, X):
        y = np.arange(2.0 * N)
        assert cross_val_predict(DummyRegressor(), X, y, cv=4).shape == (2 * N,)
        assert cross_val_predict(DummyRegressor(), X, np.column_stack([y, y]), cv=4).shape == (2 * N, 2)
        sizes, *_ = learning_curve(DummyRegressor(), X, y, cv=4, train_sizes=[0.5, 1.0])
        np.testing.assert_array_equal(sizes, [15, 30])
