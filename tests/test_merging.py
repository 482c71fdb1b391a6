"""Spikes of dense populations merged into weighted tokens."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikeinterface_poyo import align
from spikeinterface_poyo.network import merging
from spikeinterface_poyo.network.merging import as_read, merge_spikes
from spikeinterface_poyo.sessions.session import NO_UNIT, Segment
from spikeinterface_poyo.training.data import held_out_mask


def segment(times, units, weights=None) -> Segment:
    times = np.asarray(times, dtype=np.float64)
    weights = None if weights is None else np.asarray(weights, dtype=np.float32)
    return Segment(times, np.asarray(units, dtype=np.int32), 0.0, 100.0, weights)


def columns(spikes: Segment) -> tuple[np.ndarray, ...]:
    return spikes.spike_times, spikes.unit_index, spikes.weights


@st.composite
def segments(draw):
    times = sorted(draw(st.lists(st.floats(-5, 5), min_size=1, max_size=60)))
    units = draw(st.lists(st.integers(0, 4), min_size=len(times), max_size=len(times)))
    weights = draw(st.none() | st.lists(st.floats(0.125, 8, width=32), min_size=len(times), max_size=len(times)))
    return segment(times, units, weights)


@given(segments(), st.sampled_from([0.01, 0.1, 1.0]), st.booleans())
def test_merging_keeps_the_weight_of_every_unit(spikes, token_bin, latest):
    merged = merge_spikes(spikes, token_bin, latest)
    before = np.bincount(spikes.unit_index, spikes.weights, minlength=5)
    np.testing.assert_allclose(np.bincount(merged.unit_index, merged.weights, minlength=5), before, rtol=1e-5)
    assert len(merged.spike_times) <= len(spikes.spike_times)


@given(segments(), st.sampled_from([0.01, 0.1, 1.0]), st.booleans())
def test_merged_tokens_ascend_in_time(spikes, token_bin, latest):
    assert (np.diff(merge_spikes(spikes, token_bin, latest).spike_times) >= 0).all()


@given(segments(), st.sampled_from([0.01, 0.1, 1.0]))
def test_a_causal_token_comes_after_all_its_spikes_and_within_a_bin(spikes, token_bin):
    merged = merge_spikes(spikes, token_bin, latest=True)
    for time, unit in zip(spikes.spike_times, spikes.unit_index, strict=True):
        lag = merged.spike_times[merged.unit_index == unit] - time
        assert ((lag > -1e-12) & (lag <= token_bin * (1 + 1e-9))).any()


@given(segments(), st.sampled_from([0.01, 0.1, 1.0]), st.booleans(), st.integers(1, 20))
def test_tokens_do_not_depend_on_how_many_spikes_are_merged_at_once(spikes, token_bin, latest, size):
    at_once = merge_spikes(spikes, token_bin, latest)
    with mock.patch.object(merging, "RECORDS_AT_ONCE", size):
        in_chunks = merge_spikes(spikes, token_bin, latest)
    for name in ("spike_times", "unit_index", "weights"):
        np.testing.assert_array_equal(getattr(in_chunks, name), getattr(at_once, name))


def test_spikes_of_no_unit_and_outside_are_left_out():
    spikes = segment([0.5, 1.0, 2.0, 2.0, 3.0], [0, NO_UNIT, 1, NO_UNIT, 1])
    merged = merge_spikes(spikes, 0.1, start=1.0, stop=3.0)
    assert merged.spike_times.tolist() == [2.0]
    assert merged.unit_index.tolist() == [1]
    nothing = merge_spikes(spikes, 0.1, start=10.0)
    assert len(nothing.spike_times) == len(nothing.unit_index) == len(nothing.weights) == 0


def test_a_lone_spike_keeps_its_time_to_the_bit():
    merged = merge_spikes(segment([0.123456789, 3.3], [0, 1]), 0.1)
    assert merged.spike_times.tolist() == [0.123456789, 3.3]
    assert merged.weights.tolist() == [1.0, 1.0]


def test_a_token_lies_at_the_weighted_mean_of_its_spikes():
    merged = merge_spikes(segment([1.00, 1.03, 1.01], [2, 2, 0], [1, 3, 1]), 0.1)
    assert merged.unit_index.tolist() == [0, 2]
    np.testing.assert_allclose(merged.spike_times, [1.01, 1.0225])
    assert merged.weights.tolist() == [1.0, 4.0]


@pytest.mark.parametrize("rounding", [1e-6, 5e-5])
def test_rounding_moves_no_spike_to_another_bin(rounding):
    # clocks of 20 kHz and microseconds tick at no edge of a bin
    frames = np.arange(0, 2_000_000, 500)
    exact = segment(frames / 20_000, np.zeros(len(frames)))
    rounded = segment(np.round(frames / 20_000 / rounding) * rounding, np.zeros(len(frames)))
    for token_bin in (0.01, 0.02, 0.05, 0.1):
        one, other = merge_spikes(exact, token_bin), merge_spikes(rounded, token_bin)
        assert one.weights.tolist() == other.weights.tolist()
        np.testing.assert_allclose(one.spike_times, other.spike_times, atol=rounding)


def test_only_spikes_that_windows_reach_are_merged(simulate, small_decoder):
    session = simulate(n_units=24, rate=240.0, duration=30.0)
    X, y = align(session.spikes, session.behavior)
    decoder = small_decoder(window_length=2.0).fit(X, y)
    assert decoder.network_.config.token_bin > 0
    some = X[np.abs(X.times - 15) < 1]
    block = as_read(decoder.sessions_.block(X.sessions[0], 0, "session_0"), decoder.network_.config, some.times)
    assert 10.0 < block.segment.spike_times[0] < 10.3
    assert 19.7 < block.segment.spike_times[-1] < 20.0
    np.testing.assert_allclose(decoder.predict(some), decoder.predict(X)[np.abs(X.times - 15) < 1], atol=1e-5)


def test_merged_weights_are_single():
    spikes = Segment(np.array([0.0, 0.01, 0.5]), np.zeros(3, np.int32), 0.0, 1.0)
    merged = merge_spikes(spikes, 0.1)
    assert merged.weights.dtype == np.float32


@given(segments(), st.lists(st.floats(-5, 5), min_size=1, max_size=4, unique=True), st.booleans())
def test_a_token_holds_spikes_of_one_side_of_a_cut(spikes, cuts, latest):
    cuts = np.sort(cuts)
    merged = merge_spikes(spikes, 1.0, latest, cuts=cuts)
    sides = np.searchsorted(cuts, spikes.spike_times, side="right")
    by_side = [merge_spikes(segment(spikes.spike_times[sides == side], spikes.unit_index[sides == side],
                                    None if spikes.weights is None else spikes.weights[sides == side]), 1.0, latest)
               for side in np.unique(sides)]  # fmt: skip
    if latest:  # at the end of their bins, or just before the cut where that comes first
        ends = np.append(cuts, np.inf)[np.unique(sides)]
        by_side = [replace(part, spike_times=np.minimum(part.spike_times, np.nextafter(end, -np.inf)))
                   for part, end in zip(by_side, ends, strict=True)]  # fmt: skip
        assert np.isin(np.searchsorted(cuts, merged.spike_times, side="right"), sides).all()
    apart = sorted((t, u, w) for part in by_side for t, u, w in zip(*columns(part), strict=True))
    found = sorted(zip(*columns(merged), strict=True))
    np.testing.assert_allclose(found, apart, rtol=0, atol=1e-9)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("held_out", [False, True])
def test_training_does_not_know_of_merged_spikes_more_than_half_a_window_beyond_a_stretch(
    simulate, small_decoder, causal, held_out
):
    """Neither around the samples given nor where some of them are held out to stop early by."""
    session = simulate(duration=30.0, rate=240.0)
    X, y = align(session.spikes, session.behavior)
    mine = (X.times >= 5.03) & (X.times <= 22.01)
    first, last = X.times[mine][[0, -1]]
    beyond = [(-np.inf, first - 0.5), (last + 0.5, np.inf)]  # the window lasts 1 s
    if held_out:
        held = held_out_mask(X.times[mine], 0.3, 1.0)
        times = X.times[mine]
        before, after = np.flatnonzero(np.diff(held.astype(int)))[:2]
        beyond = [(times[before] + 0.5, times[after + 1] - 0.5)]
        assert np.diff(beyond) > 2
    left = {unit: times[~np.any([(times >= a) & (times < b) for a, b in beyond], axis=0)]
            for unit, times in session.spikes.items()}  # fmt: skip
    assert all(0 < len(left[unit]) < len(times) for unit, times in session.spikes.items())
    other, _ = align(left, session.behavior)
    fits = []
    for samples in (X[mine], other[np.isin(other.times, X.times[mine])]):
        with (
            mock.patch("spikeinterface_poyo.training.defaults.choose_token_bin", return_value=0.1),
            mock.patch("spikeinterface_poyo.training.data.TrainingData.score", return_value=0.0),  # learn all the same
        ):
            decoder = small_decoder(causal=causal, early_stopping=held_out, validation_fraction=0.3)
            fits.append(decoder.fit(samples, y[mine]))
    assert fits[0].network_.config.token_bin == 0.1
    for one, another in zip(*(decoder.network_.parameters() for decoder in fits), strict=True):
        assert torch.equal(one, another)
