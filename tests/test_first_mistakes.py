"""Mistakes of the first hour: each is told of, with what to do, and what is meant so is not."""

from __future__ import annotations

import warnings

import neo
import numpy as np
import pandas as pd
import pytest
import quantities as pq

from spikeinterface_poyo import POYOClassifier, align, from_counts
from spikeinterface_poyo.sessions.units import keep_units

pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(n_outputs=2, duration=40.0)


def trains(spikes: dict, names: list[str | None]) -> list[neo.SpikeTrain]:
    """The spike trains, of which some have names."""
    return [neo.SpikeTrain(train * pq.s, t_stop=40.0, name=name)
            for name, train in zip(names, spikes.values(), strict=True)]  # fmt: skip


def test_spike_times_in_milliseconds(session):
    spikes = {unit: 1e3 * train for unit, train in session.spikes.items()}
    with pytest.warns(
        UserWarning, match=r"8 units of session_0 that fire do so .* times a second on average.* seconds"
    ):
        align(spikes, session.behavior)


def test_silent_units_do_not_make_the_others_rare(session):
    silent = {f"silent {i}": np.empty(0) for i in range(5000)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(session.spikes | silent, session.behavior)


def test_row_numbers_that_a_filter_left_behind(session):
    frame = pd.DataFrame(session.values).drop(index=[3, 4]).iloc[:30]
    with pytest.warns(UserWarning, match=r"whole numbers, which count as seconds.*set_axis\(seconds\)"):
        align(session.spikes, frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(session.spikes, frame.rename_axis("time"))
        align(session.spikes, frame.set_axis(frame.index.astype(float)))


def test_epochs_in_milliseconds(session):
    epochs = [[2000 * i + 5, 2000 * i + 1500] for i in range(20)]
    with pytest.warns(
        UserWarning, match=r"19 of 20 epochs, which span 5.000 to .* lie outside the behaviour of .*secon"
    ):
        align(session.spikes, session.behavior, epochs=epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(session.spikes, session.behavior, epochs=[[5, 6], [15, 16], [900, 901]])
    with pytest.raises(TypeError, match=r"from 'tuple'; expected .* as in \[\(0, 60\)\]"):
        align(session.spikes, session.behavior, epochs=(0, 10))


def test_transposed_signal(session):
    signal = neo.AnalogSignal(session.values.T, units="cm/s", sampling_rate=20 * pq.Hz)
    with pytest.warns(UserWarning, match=r"2 samples of .* outputs: is it transposed\?"):
        align(session.spikes, signal)


def test_few_samples_of_many_outputs_are_meant_so(session):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(session.spikes, ([0.0], np.full((1, 14), np.nan)))


def test_distance_run_at_times_that_repeat_or_run_back(session):
    run, times = np.arange(len(session.times)) + 0.5, np.round(session.times / 0.1) * 0.1
    times[[50, 60]] = times[[60, 50]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(session.spikes, (times, run))


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda times: 20 + 10 * np.sin(times),
        lambda times: 10 * times % 35,  # lap after lap
        lambda times: times // 3 % 2,  # a state
    ],
)
def test_values_and_times_in_turn(session, behaviour):
    with pytest.warns(UserWarning, match=r"\(times, values\) is expected"):
        align(session.spikes, (behaviour(session.times), session.times))


@pytest.mark.parametrize(
    ("turn", "told"), [(2 * np.pi, "radians.*behavior_type='circular'"), (360.0, r"degrees.*\('circular', 360.0\)")]
)
def test_angles_without_a_unit(session, small_decoder, turn, told):
    angle = turn * (session.times / 3 % 1)
    with pytest.warns(UserWarning, match=f"no unit of measure.* jumps from one end to the other, as angles in {told}"):
        small_decoder().fit(session.spikes, (session.times, angle))
    smooth = turn * (1 + np.sin(session.times)) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_decoder().fit(session.spikes, (session.times, smooth))
        small_decoder().fit(session.spikes, (session.times, angle), behavior_type="continuous")
        X, y = align(session.spikes, (session.times, smooth))
        order = np.random.default_rng(0).permutation(len(X))
        small_decoder().fit(X[order], y[order])
        counts = np.random.default_rng(0).poisson(2.0, (50, 3)).astype(float)
        small_decoder().fit(counts, np.linspace(0, turn, 50)[np.random.default_rng(0).permutation(50)])
        ramps, trials = np.tile(np.linspace(0, turn, 40), 8), (np.arange(8)[:, None] * 5 + np.arange(40) / 20).ravel()
        small_decoder().fit(session.spikes, (trials, ramps))


@pytest.mark.parametrize("count", [5, 0.06])  # spikes, or calcium events
def test_counts_that_are_large_or_many_are_not_rare(session, count):
    bin_size = 60.0 if count > 1 else 1.0
    counts = from_counts(np.full((50, 10), count), bin_size * np.arange(50), bin_size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(counts, (bin_size * np.arange(50), np.arange(50.0)))


class TestUnitsWithoutNames:
    def test_fewer_of_them_are_refused(self, session, small_decoder):
        unnamed = trains(session.spikes, 8 * [None])
        decoder = small_decoder().fit(unnamed, session.behavior)
        assert decoder.predict(unnamed).shape[1] == 2
        with pytest.raises(ValueError, match=r"8 spike trains at fit and has 7 now; .*train\.name, at fit too"):
            decoder.score(unnamed[1:], session.behavior)

    def test_those_that_were_chosen_are_known_by_their_places(self, session, small_decoder):
        unnamed = trains(session.spikes, 8 * [None])
        decoder = small_decoder().fit(unnamed, session.behavior)
        some = keep_units(align(unnamed, session.behavior)[0].sessions[0], np.arange(8) > 0)
        with pytest.warns(UserWarning, match=r"lacks units \['0'\] that were there at fit"):
            decoder.predict(some)

    def test_names_that_are_not_used_are_told_of(self, session):
        with pytest.warns(
            UserWarning, match="7 of 8 neo spike trains have a name, and 7 different ones: units are known"
        ):
            align(trains(session.spikes, [*"abcdefg", None]), session.behavior)

    def test_with_names_some_may_be_missing(self, session, small_decoder):
        named = trains(session.spikes, list("abcdefgh"))
        decoder = small_decoder().fit(named, session.behavior)
        with pytest.warns(UserWarning, match="lacks units"):
            decoder.score(named[1:], session.behavior)


class TestMessages:
    def test_a_dict_has_no_recording_to_register(self, session):
        with pytest.raises(ValueError, match="do not overlap in time") as caught:
            align(session.spikes, (session.times + 1000, session.values))
        assert "register_recording" not in str(caught.value)

    def test_times_instead_of_a_sorting(self, session, small_decoder):
        decoder = small_decoder().fit(session.spikes, session.behavior)
        with pytest.raises(ValueError, match=r"Expected 2D array.*predict\(sorting, times=\.\.\.\)"):
            decoder.predict(session.times)

    def test_counts_for_a_decoder_of_spikes(self, session, small_decoder):
        decoder = small_decoder().fit(session.spikes, session.behavior)
        with pytest.raises(ValueError, match="an array of counts were given now: give a sorting, or from_counts"):
            decoder.predict(np.ones((5, 8)))

    def test_numbers_for_a_classifier(self, session):
        with pytest.raises(ValueError, match=r"1d array of labels, got .*POYODecoder numbers and several behaviours"):
            POYOClassifier().fit(session.spikes, session.behavior)

    def test_behaviour_without_times(self, session):
        with pytest.raises(TypeError, match=r"'ndarray', which does not tell its times; expected .*\(times in seconds"):
            align(session.spikes, session.values)

    def test_a_segment_without_behaviour(self, session):
        with pytest.raises(ValueError, match=r"signal is empty.* one sample of NaN, or leave the segment out"):
            align(session.spikes, (np.empty(0), np.empty(0)))
