"""Importance of units: windows, silencing, shifting, and the statistics on top."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control
from sklearn.metrics import roc_auc_score

from spikeinterface_poyo import BlockedKFold, align, simulate_session
from spikeinterface_poyo.network.merging import as_read
from spikeinterface_poyo.network.poyo import NetworkConfig
from spikeinterface_poyo.postprocessing import importance
from spikeinterface_poyo.postprocessing.cross_decoding import check_folds, cross_decode
from spikeinterface_poyo.postprocessing.held_out_windows import HeldOutWindows, Shift, answered, place_windows
from spikeinterface_poyo.postprocessing.importance import N_SHIFTS, shift_p, sign_flip_p, unit_importance
from spikeinterface_poyo.sessions.session import Segment, make_segment
from spikeinterface_poyo.sessions.units import firing_rates, keep_units


@pytest.fixture(scope="module")
def samples(simulate):
    simulated = simulate(n_units=3, duration=40.0, n_outputs=2, rate=30.0)
    X, y = align(simulated.spikes, simulated.behavior)
    y[50:60, 0] = np.nan
    return X, y


@pytest.fixture(scope="module")
def held_out(samples, small_decoder):
    return cross_decode(small_decoder(), *samples, BlockedKFold(2, gap=1.0))


@pytest.fixture(scope="module")
def parts(samples, held_out):
    X, y = samples
    return place_windows(held_out.decoders, X, y, held_out.fold, 30)


def test_windows_lie_inside_the_tested_part_and_ask_for_its_samples(samples, parts):
    X, y = samples
    assert sum(len(part.start) for part in parts) == 30
    for part in parts:
        assert part.start.min() >= part.part[0]
        assert part.start.max() + part.window_length <= part.part[1]
        for times, start, targets in zip(part.query, part.start, part.target, strict=True):
            assert start + 0.25 <= times.min() <= times.max() < start + 0.75
            new = ~np.isnan(targets).all(axis=1)
            assert len(np.unique(times)) == len(times[new]) or np.isnan(targets[:, 0]).any()
            np.testing.assert_array_equal(targets[new], y[np.searchsorted(X.times, times[new])])


def decoded_apart(part, session, moved=None):
    """Squared errors by another way: the changed spikes become a segment, which is tokenised as usual."""
    vocabulary, config = part.decoder.sessions_, part.decoder.network_.config
    block = as_read(vocabulary.block(session, 0, "session_0"), config, np.array(part.part))
    return replace(part, block=block, unit_names=session.unit_names).squared_errors()


def test_silencing_is_decoding_without_the_unit(samples, parts):
    session = samples[0].sessions[0]
    without = keep_units(session, np.array([True, False, True]))
    for part in parts:
        np.testing.assert_allclose(part.squared_errors("u1"), decoded_apart(part, without), rtol=1e-4)
        assert not np.allclose(part.squared_errors("u1"), part.squared_errors())


def test_shifting_moves_spikes_circularly_within_the_tested_part(samples, parts):
    session = samples[0].sessions[0]
    (segment,) = session.segments
    for part in parts:
        begin, end = part.part
        mine = (segment.unit_index == 1) & (segment.spike_times >= begin) & (segment.spike_times < end)
        by = part.window_length + 0.3 * (end - begin - 2 * part.window_length)
        times = segment.spike_times.copy()
        times[mine] = begin + (times[mine] - begin + by) % (end - begin)
        moved = replace(session, segments=(make_segment(times, segment.unit_index, None, "seconds"),))
        np.testing.assert_allclose(part.squared_errors(Shift("u1", 0.3)), decoded_apart(part, moved), rtol=1e-4)
        assert not np.allclose(part.squared_errors(Shift("u1", 0.3)), part.squared_errors())


def test_the_only_unit_of_a_population_can_be_silenced(simulate, small_decoder):
    simulated = simulate(n_units=1, duration=20.0)
    X, y = align(simulated.spikes, simulated.behavior)
    held_out = cross_decode(small_decoder(), X, y, BlockedKFold(2))
    worth = unit_importance(held_out.decoders, X, y, held_out.fold)
    assert np.isfinite(worth.table["silenced"]).all()


def test_every_unit_is_measured_on_the_same_windows(samples, held_out):
    X, y = samples
    worth = unit_importance(held_out.decoders, X, y, held_out.fold, n_windows=12)
    again = unit_importance(held_out.decoders, X, y, held_out.fold, n_windows=12)
    np.testing.assert_array_equal(worth.table, again.table)
    assert (worth.n_windows, worth.n_blocks) == (12, 8)
    assert worth.n_samples <= 12 * 8
    for kind in ("silenced", "shifted"):
        adjusted = false_discovery_control(worth.table[f"{kind}_p"])
        np.testing.assert_allclose(worth.table[f"{kind}_p_adjusted"], adjusted)
    other = unit_importance(held_out.decoders, X, y, held_out.fold, n_windows=12, random_state=1)
    np.testing.assert_array_equal(worth.table["silenced"], other.table["silenced"])
    assert not np.array_equal(worth.table["shifted"], other.table["shifted"])


def test_an_output_that_does_not_vary_has_no_part(samples, held_out):
    X, y = samples
    y = np.column_stack([y[:, 0], np.full(len(y), 3.7)])
    worth = unit_importance(held_out.decoders, X, y, held_out.fold)
    assert (np.abs(worth.table["silenced"]) < 10).all()
    parts = place_windows(held_out.decoders, X, y, held_out.fold, 100)
    more = sum((part.squared_errors("u1") - part.squared_errors())[:, 0].sum() for part in parts)
    varying = np.concatenate([part.target[..., 0].ravel() for part in parts])
    assert worth.table["silenced"][1] == pytest.approx(more / np.nansum((varying - np.nanmean(varying)) ** 2))


def test_the_full_null(samples, held_out, monkeypatch):
    X, y = samples
    drops = []
    monkeypatch.setattr(importance, "shift_p", lambda drop: drops.append(drop) or shift_p(drop))
    exact = unit_importance(held_out.decoders, X, y, held_out.fold, n_windows=4, exact=True)
    np.testing.assert_allclose(exact.table["shifted"], drops[0].mean(axis=1))
    steps = exact.table["shifted_p"] * (N_SHIFTS + 1)
    np.testing.assert_allclose(steps, np.round(steps))
    assert steps.min() >= 1


def test_what_cannot_be_measured_is_refused(samples, held_out):
    X, y = samples
    with pytest.raises(ValueError, match="no context window of 1 s fits"):
        unit_importance(held_out.decoders, X[:8], y[:8], np.zeros(8, dtype=int))
    both, y_both = align([{"a": [1.0, 9.0]}] * 2, [(np.arange(9.0), np.arange(9.0))] * 2)
    with pytest.raises(ValueError, match="in one session; got 2"):
        unit_importance(held_out.decoders, both, y_both, np.zeros(18, dtype=int))
    with pytest.raises(ValueError, match="fold 0 of 2 tests on 200 samples, of which output 0 is known in 0"):
        check_folds(X, np.where(X.times[:, None] < 20, np.nan, y), BlockedKFold(2))


def test_sign_flips_give_uniform_p_values_where_there_is_no_effect():
    rng = np.random.default_rng(0)
    p = sign_flip_p(rng.standard_t(3, (4000, 20)) * rng.gamma(1, size=20), rng)
    for level in (0.01, 0.05, 0.5):
        low, high = binom.interval(0.999, 4000, level)
        assert low <= (p < level).sum() <= high
    assert (sign_flip_p(np.zeros((2, 5)), rng) == 1).all()
    assert sign_flip_p(np.ones((1, 30)), rng)[0] < 2e-4
    assert sign_flip_p(-np.ones((1, 30)), rng)[0] > 0.99


def test_p_values_of_the_full_null_count_shifts_that_decode_as_well():
    np.testing.assert_allclose(shift_p(np.array([[1.0, 2, 3], [-1, 0, 1]])), [0.25, 0.75])


def test_flips_in_parts_are_those_at_once(monkeypatch):
    difference = np.random.default_rng(0).normal(0.1, 1, (3, 21))
    p = []
    for at_once in (500, 4):
        monkeypatch.setattr("spikeinterface_poyo.postprocessing.importance.BLOCKS_AT_ONCE", at_once)
        p.append(sign_flip_p(difference, np.random.default_rng(1)))
    np.testing.assert_array_equal(*p)


@pytest.mark.slow
def test_tuned_units_are_told_from_untuned_ones(small_decoder):
    scores, tuned, p = [], [], []
    recipe = {"dim": 32, "dim_head": 16, "max_iter": 5}
    for seed in range(5):
        sorting, velocity = simulate_session(
            120.0, behavior="velocity", n_units=24, tuning={"cosine": 0.5, "none": 0.5}, mean_rate=(5, 30),
            max_lag=0.1, sampling_rate=20.0, random_state=100 + seed,
        )  # fmt: skip
        X, y = align(sorting, velocity)
        held_out = cross_decode(small_decoder(learning_rate_init=5e-3, **recipe), X, y, BlockedKFold(2, gap=2.0))
        worth = unit_importance(held_out.decoders, X, y, held_out.fold, n_windows=200)
        fires = firing_rates(X.sessions[0]) > 0.5  # one unit in twenty is silent, and cannot be told
        tuned.append((sorting.get_property("tuning") != "none")[fires])
        scores.append(roc_auc_score(tuned[-1], worth.table["shifted"][fires]))
        p.append(worth.table["shifted_p"][fires])
    assert np.mean(scores) >= 0.95
    null = np.concatenate(p)[~np.concatenate(tuned)]
    low, high = binom.interval(0.95, len(null), 0.05)
    assert low <= (null < 0.05).sum() <= high


def test_windows_of_gaps_are_left_out_and_samples_known_in_part_are_not(samples, held_out):
    X, y = samples
    y = y.copy()
    y[130:160] = np.nan
    y[::2, 0] = np.nan
    parts = place_windows(held_out.decoders, X, y, held_out.fold, 100)
    for part in parts:
        answered = part.query - part.start[:, None]
        assert answered.min() >= 0.25
        assert answered.max() < 0.75
        known = ~np.isnan(part.target)
        assert (known[..., 1] & ~known[..., 0]).any()
        assert not np.isin(part.query, X.times[130:160]).any()


def test_nothing_is_shifted_into_a_pause():
    times = np.array([2.5, 3.0, 5.0, 7.5, 8.0, 12.25])  # of which one lies in a pause
    periods = np.array([[0.0, 4.0], [7.0, 9.0], [12.0, 20.0]])
    part = SimpleNamespace(
        block=SimpleNamespace(segment=Segment(times, np.zeros(6, np.int32), 0.0, 20.0, observed=periods)),
        part=(2.0, 15.0),  # of which 2 to 4, 7 to 9 and 12 to 15 s were recorded
        window_length=1.0,
    )
    moved = HeldOutWindows.shifted(part, 0, 0.3)  # by 1 + 0.3 * (7 - 2) = 2.5 s of recording
    np.testing.assert_allclose(moved.spike_times, sorted([8.0, 8.5, 5.0, 13.0, 13.5, 12.25 + 2.5]))


def test_a_shift_keeps_the_weight_of_merged_spikes():
    rng = np.random.default_rng(0)
    times, unit, weights = (
        np.sort(rng.uniform(0, 10, 40)),
        rng.integers(0, 2, 40, dtype=np.int32),
        rng.integers(1, 5, 40),
    )
    part = SimpleNamespace(
        block=SimpleNamespace(segment=Segment(times, unit, 0.0, 10.0, weights.astype(np.float32))),
        part=(2.0, 8.0),
        window_length=1.0,
    )
    moved = HeldOutWindows.shifted(part, 1, 0.5)
    mine = (unit == 1) & (times >= 2) & (times < 8)
    expected = sorted(zip((2 + (times[mine] - 2 + 3.0) % 6).tolist(), weights[mine].tolist(), strict=True))
    np.testing.assert_allclose(list(zip(moved.spike_times, moved.weights, strict=True)), expected)


@pytest.mark.parametrize(("causal", "expected"), [(False, (0.5, 1.5)), (True, (1.0, 2.0))])
def test_windows_answer_where_they_have_most_context(causal, expected):
    config = NetworkConfig(1, window_length=2.0, causal=causal)
    assert answered(SimpleNamespace(network_=SimpleNamespace(config=config))) == expected
