"""Answers of neighbouring windows put together."""

from __future__ import annotations

import json
from copy import copy

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern
from unsmoothed import unsmoothed

from spikeinterface_poyo import POYODecoder, align
from spikeinterface_poyo.decoder import smoothing
from spikeinterface_poyo.decoder.smoothing import ERROR, REACH, Nodes
from spikeinterface_poyo.fitted.vocabulary import Vocabulary

STEP, PACE = 0.5, 0.2


@pytest.fixture
def nodes() -> Nodes:
    """Around one time, so that two nodes are corrected and 18 asked."""
    return Nodes.around(np.array([10.1]), STEP)


def corrections(nodes: Nodes, answers: np.ndarray, variance: np.ndarray, recorded=None, pace: float = PACE):
    """Of the nodes between which the time lies, (2, n_columns)."""
    recorded = np.ones(len(answers), dtype=bool) if recorded is None else recorded
    return nodes.corrections(nodes.times[nodes.middle], answers, variance, recorded, pace)


def test_nodes_do_not_depend_on_which_times_are_asked_for():
    times = np.sort(np.random.default_rng(0).uniform(-5, 40, 60))
    every = Nodes.around(times, STEP)
    for some in (times[:1], times[20:35], times[-1:]):
        mine = Nodes.around(some, STEP)
        assert np.isin(mine.times, every.times).all()
        beside = every.times[every.middle]
        assert np.isin(mine.times[mine.middle], beside).all()
        assert (np.abs(beside[:, None] - some).min(axis=0) <= STEP / 2).all()
    assert len(Nodes.around(times[:0], STEP).times) == 0


def test_a_sample_has_the_same_correction_among_others_as_alone():
    rng = np.random.default_rng(1)
    times = np.sort(rng.uniform(0, 30, 40))
    every = Nodes.around(times, STEP)
    answers, variance = rng.normal(size=(len(every.times), 2)), rng.uniform(0, 0.1, len(every.times))
    recorded = rng.random(len(every.times)) > 0.1
    together = every.corrections(times, answers, variance, recorded, PACE)
    for i in (0, 17, 39):
        alone = Nodes.around(times[i : i + 1], STEP)
        rows = np.searchsorted(every.numbers, alone.numbers)
        one = alone.corrections(times[i : i + 1], answers[rows], variance[rows], recorded[rows], PACE)
        np.testing.assert_allclose(one[0], together[i], atol=1e-12)


def test_they_are_those_of_a_gaussian_process(nodes):
    rng = np.random.default_rng(2)
    answers, variance = rng.normal(size=(len(nodes.times), 1)), rng.uniform(0.01, 0.1, len(nodes.times))
    error = ERROR * variance
    measured, noise = answers / (1 - error)[:, None], error / (1 - error)
    for place, found in zip(nodes.middle, corrections(nodes, answers, variance), strict=True):
        near = np.arange(place - REACH, place + REACH + 1)
        process = GaussianProcessRegressor(Matern(1 / PACE, nu=0.5), alpha=noise[near], optimizer=None)
        expected = process.fit(nodes.times[near, None], measured[near]).predict(nodes.times[[place], None])
        np.testing.assert_allclose(found, expected.ravel() - answers[place], atol=1e-6)


def test_where_windows_disagree_neighbours_tell(nodes):
    answers, variance = np.ones((len(nodes.times), 1)), np.full(len(nodes.times), 0.002)
    odd = nodes.middle[0]
    answers[odd], variance[odd] = -1.0, 0.1
    assert corrections(nodes, answers, variance)[0, 0] > 1.5
    variance[odd] = 0.002  # windows agree on it
    assert corrections(nodes, answers, variance)[0, 0] < 0.2


def test_nothing_moves_where_behavior_is_quick_or_alone(nodes):
    rng = np.random.default_rng(3)
    answers, variance = rng.normal(size=(len(nodes.times), 2)), rng.uniform(0.0, 0.1, len(nodes.times))
    np.testing.assert_allclose(corrections(nodes, answers, variance, pace=100.0), 0, atol=1e-9)
    alone = np.arange(len(nodes.times)) == nodes.middle[0]
    np.testing.assert_allclose(corrections(nodes, answers, variance, recorded=alone)[0], 0, atol=1e-4)


def test_what_was_not_recorded_tells_nothing(nodes):
    answers, variance = np.zeros((len(nodes.times), 1)), np.full(len(nodes.times), 0.05)
    recorded = np.ones(len(nodes.times), dtype=bool)
    recorded[nodes.middle[1] :] = False
    before = corrections(nodes, answers, variance, recorded)[0]
    answers[nodes.middle[1] :] = 50.0
    np.testing.assert_allclose(corrections(nodes, answers, variance, recorded)[0], before, atol=1e-3)


def test_many_nodes_are_worked_through_in_turn(monkeypatch):
    rng = np.random.default_rng(4)
    times = np.arange(0, 50, 0.3)
    every = Nodes.around(times, STEP)
    answers, variance = rng.normal(size=(len(every.times), 2)), rng.uniform(0, 0.1, len(every.times))
    recorded = np.ones(len(every.times), dtype=bool)
    at_once = every.corrections(times, answers, variance, recorded, PACE)
    monkeypatch.setattr(smoothing, "AT_ONCE", 7)
    np.testing.assert_array_equal(every.corrections(times, answers, variance, recorded, PACE), at_once)


@pytest.fixture(scope="module")
def slow():
    """A place that changes within tens of seconds, its samples, and the times of two halves."""
    rng = np.random.default_rng(5)
    times = np.arange(0, 240, 0.1)
    place = np.sin(2 * np.pi * times / 60) + 0.5 * np.sin(2 * np.pi * times / 37)
    spikes = {}
    for i, centre in enumerate(np.linspace(-1.5, 1.5, 8)):
        rate = 2.0 * np.exp(-0.5 * ((place - centre) / 0.4) ** 2)
        spikes[f"u{i}"] = np.sort(times[rng.random(len(times)) < 0.1 * rate] + rng.uniform(0, 0.1))
    X, y = align(spikes, (times, place))
    return X, y, X.times < 150, X.times > 160


@pytest.fixture(scope="module")
def fitted(slow) -> POYODecoder:
    """A decoder of it, as small as it may be to learn something."""
    X, y, train, _ = slow
    decoder = POYODecoder(dim=16, depth=1, dim_head=16, window_length=2.0, max_iter=3, random_state=0, device="cpu")
    return decoder.fit(X[train], y[train])


def test_slow_behavior_is_decoded_better_from_few_spikes(fitted, slow):
    X, y, _, test = slow
    assert fitted.score(X[test], y[test]) > unsmoothed(fitted).score(X[test], y[test]) + 0.02


def test_predictions_do_not_depend_on_which_others_are_asked_for(fitted, slow):
    X, _, _, test = slow
    every, some = np.flatnonzero(test), np.random.default_rng(6).permutation(np.flatnonzero(test))[:5]
    expected = fitted.predict(X[every])[np.searchsorted(every, some)]
    np.testing.assert_allclose(fitted.predict(X[some]), expected, atol=1e-5)


def test_deviations_are_those_of_what_is_predicted(fitted, slow):
    X, y, _, test = slow
    calibrated = copy(fitted).calibrate(X[test], y[test], cv="prefit")
    decoded, deviation = calibrated.predict(X[test], return_std=True)
    np.testing.assert_array_equal(decoded, fitted.predict(X[test]))
    assert np.sqrt(np.mean(((decoded - y[test]) / deviation) ** 2)) == pytest.approx(1, abs=0.3)


def test_saved_decoders_smooth_alike_and_older_ones_do_not(fitted, slow, tmp_path):
    X, _, _, test = slow
    fitted.save_pretrained(tmp_path)
    np.testing.assert_array_equal(POYODecoder.from_pretrained(tmp_path).predict(X[test]), fitted.predict(X[test]))
    older = json.loads(json.dumps(fitted.sessions_.to_json()))
    for session in older["sessions"].values():
        del session["paces"]
    assert all(session.paces == {} for session in Vocabulary.from_json(older).sessions.values())
