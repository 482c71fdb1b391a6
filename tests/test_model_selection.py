"""scikit-learn's model selection on the recording that ships, in two processes, and what it costs them."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GroupKFold,
    HalvingGridSearchCV,
    LeaveOneGroupOut,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from spikeinterface_poyo import BlockedKFold, POYODecoder, SelectUnits, SpikeSamples, align

FOLDS = BlockedKFold(2, gap=1.0)


@pytest.fixture(scope="module")
def samples(mouse) -> tuple[SpikeSamples, np.ndarray]:
    """Eighty seconds at 20 Hz."""
    X, y = align(*mouse)
    some = np.flatnonzero(X.times < X.times[0] + 80)[::6]
    return X[some], y[some]


@pytest.fixture(scope="module")
def decoder(small_decoder) -> POYODecoder:
    return small_decoder(learning_rate_init=5e-3, early_stopping=False)


@pytest.fixture(autouse=True)
def one_thread_each(one_thread):
    """In this process and in joblib's workers."""
    with parallel_config("loky", inner_max_num_threads=1):
        yield


def test_two_processes_score_as_one_does(samples, decoder):
    alone, together = (cross_val_score(decoder, *samples, cv=FOLDS, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(together, alone)


def test_blocks_of_time_as_groups(samples, decoder):
    X, y = samples
    block = (X.times // 20).astype(int)
    result = cross_validate(decoder, X, y, groups=block, cv=GroupKFold(2), n_jobs=2, return_indices=True,
                            error_score="raise")  # fmt: skip
    assert np.isfinite(result["test_score"]).all()
    for train, test in zip(*(result["indices"][part] for part in ("train", "test")), strict=True):
        assert not set(block[train]) & set(block[test])


@pytest.mark.usefixtures("short_stages")
def test_sessions_as_groups(samples, decoder):
    X, _ = samples
    session = X.sessions[0]
    times = [X.times[:200], X.times[200:400], X.times[400:600]]
    behaviors = [(part, np.cos(part)) for part in times]
    X, y = align([session] * 3, behaviors, session_id=["mon", "tue", "wed"])
    for train, test in LeaveOneGroupOut().split(X, groups=X.session_ids):
        (left_out,) = set(X.session_ids[test])
        fitted = clone(decoder).fit(X[train], y[train])
        assert left_out not in fitted.sessions_.sessions
        with pytest.raises(ValueError, match=rf"unknown session.*{left_out}.*partial_fit"):
            fitted.score(X[test], y[test])
        fitted.partial_fit(X[test][:100], y[test][:100])
        assert np.isfinite(fitted.score(X[test][150:], y[test][150:]))


def test_halving_search_over_a_pipeline(samples, decoder):
    pipeline = Pipeline([("units", SelectUnits()), ("poyo", decoder)])
    search = HalvingGridSearchCV(pipeline, {"poyo__dim": [8, 16]}, resource="poyo__max_iter", max_resources=2, factor=2,
                                 min_resources=1, cv=FOLDS, n_jobs=2, error_score="raise")  # fmt: skip
    search.fit(*samples)
    assert search.n_resources_ == [1, 2]
    assert search.best_estimator_["poyo"].n_iter_ == 2


def test_targets_transformed_outside(samples, decoder):
    X, y = samples
    outside = TransformedTargetRegressor(decoder, transformer=StandardScaler())
    result = cross_validate(outside, X, y, cv=FOLDS, n_jobs=2, return_estimator=True, error_score="raise")
    plain = cross_validate(decoder, X, y, cv=FOLDS, n_jobs=2)
    np.testing.assert_allclose(result["test_score"], plain["test_score"], atol=1e-3)  # standardised inside anyway
    assert result["estimator"][0].predict(X[:5]).shape == (5, 2)


@pytest.mark.slow
def test_more_samples_teach_more_and_shuffled_labels_nothing(samples, decoder):
    decoder = clone(decoder).set_params(max_iter=4)
    score, permuted, p = permutation_test_score(decoder, *samples, cv=FOLDS, n_permutations=3, n_jobs=2, random_state=0)
    assert p == 1 / 4
    assert score > permuted.max()
    sizes, _, scores = learning_curve(decoder, *samples, cv=FOLDS, train_sizes=[0.2, 1.0], n_jobs=2,
                                      error_score="raise")  # fmt: skip
    assert sizes[0] < sizes[1]
    assert scores[1].mean() > scores[0].mean()


class Watched(POYODecoder):
    """Tells how much memory its training took at most, beside what it was given."""

    def fit(self, *args: Any, **options: Any) -> Watched:
        tracemalloc.start()
        try:
            return super().fit(*args, **options)
        finally:
            self.peak_ = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()


def peak_of_workers(decoder: POYODecoder, n_spikes: int) -> float:
    """Most MB that training takes in a worker, of ten labelled seconds in a recording of so many spikes."""
    rng = np.random.default_rng(0)
    spikes = {unit: np.sort(rng.uniform(0, n_spikes / 1000, n_spikes // 100)) for unit in range(100)}
    X, y = align(spikes, (np.arange(0, 10, 0.1), np.arange(100.0)))
    result = cross_validate(Watched(**decoder.get_params()), X, y, cv=FOLDS, n_jobs=2, return_estimator=True,
                            error_score="raise")  # fmt: skip
    return max(fitted.peak_ for fitted in result["estimator"]) / 1e6


def test_memory_of_workers_does_not_grow_with_the_spikes(decoder):
    few, many = (peak_of_workers(decoder, n_spikes) for n_spikes in (100_000, 3_000_000))
    assert many < few + 5  # the spikes' arrays are 36 MB
