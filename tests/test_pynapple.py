"""Pynapple in: `TsGroup`, `Tsd`, `TsdFrame` and `IntervalSet` say the same as plain arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from comparing import trains_of
from spikeinterface.core import NumpySorting
from spikeinterface.exporters import to_pynapple_tsgroup

from spikeinterface_poyo import SelectUnits, align
from spikeinterface_poyo.inputs.behavior_in import as_signal
from spikeinterface_poyo.inputs.seconds import as_seconds
from spikeinterface_poyo.inputs.spikes_in import as_session

nap = pytest.importorskip("pynapple")

SPIKES = {4: np.arange(0.5, 10, 0.1), 7: np.arange(1, 10, 0.3)}
TIMES = np.arange(0.5, 9.5, 0.25)
VALUES = np.column_stack([np.cos(TIMES), np.sin(TIMES)])
GROUP = nap.TsGroup({unit: nap.Ts(train) for unit, train in SPIKES.items()}, metadata={"depth": [120.0, 340.0]})


def test_group_gives_the_same_session_as_a_dict():
    session = as_session(GROUP)
    assert session.unit_ids.tolist() == [4, 7]
    for train, given, plain in zip(trains_of(session).values(), (GROUP[4], GROUP[7]), SPIKES.values(), strict=True):
        np.testing.assert_array_equal(train, given.t)
        np.testing.assert_allclose(train, plain, rtol=0, atol=1e-9)  # pynapple rounds to nanoseconds


def test_a_dict_of_times_will_do():
    group = trains_of(as_session(GROUP))
    for unit, train in trains_of(as_session({unit: GROUP[unit] for unit in SPIKES})).items():
        np.testing.assert_array_equal(train, group[unit])


def test_times_of_what_has_values_are_its_times():
    tuned = nap.Tsd(t=np.array([5.0, 6.0]), d=np.array([1.0, 2.0]))
    np.testing.assert_array_equal(as_session({"a": tuned}).segments[0].spike_times, [5.0, 6.0])
    np.testing.assert_array_equal(as_seconds(tuned), [5.0, 6.0])


def test_nothing_is_known_between_trials_however_close_they_are():
    starts = np.arange(0, 20, 2.5)
    restricted = nap.TsGroup({0: nap.Ts(np.arange(0, 20, 0.1))}).restrict(nap.IntervalSet(starts, starts + 1))
    times = np.arange(0, 18, 0.25)
    with pytest.warns(UserWarning, match="35 of 72 behaviour samples"):
        X, _ = align(restricted, (times, times))
    np.testing.assert_array_equal(X.times, times[times % 2.5 <= 1])


def test_where_nothing_was_recorded_nothing_overlaps():
    nothing = replace(as_session({"a": [1.0]}).segments[0], observed=np.zeros((0, 2)))
    with pytest.raises(ValueError, match="do not overlap in time"):
        align(replace(as_session({"a": [1.0]}), segments=(nothing,)), ([1.0, 2.0], [1.0, 2.0]))


def test_extent_is_the_time_support():
    support = nap.IntervalSet(0, 20)
    (segment,) = as_session(nap.TsGroup({0: nap.Ts([5.0])}, time_support=support)).segments
    assert (segment.t_start, segment.t_stop, segment.observed) == (0.0, 20.0, None)


def test_samples_where_spikes_were_restricted_away_are_left_out():
    kept = nap.IntervalSet([0, 8], [3, 9.5])
    restricted = GROUP.restrict(kept)
    with pytest.warns(
        UserWarning, match=r"of 36 behaviour samples .*0\.000 to 9\.500 s, or between their 2 periods, and are left"
    ):
        X, _ = align(restricted, (TIMES, VALUES))
    np.testing.assert_array_equal(X.times, TIMES[(TIMES <= 3) | (TIMES >= 8)])
    assert X.sessions[0].duration == pytest.approx(4.5)


def test_metadata_can_be_queried():
    X, _ = align(GROUP, (TIMES, VALUES))
    assert X.sessions[0].properties["depth"].tolist() == [120.0, 340.0]
    assert SelectUnits(query="depth > 200").fit_transform(X).sessions[0].unit_names == ["7"]


@pytest.mark.parametrize("ids", [["b", "a"], ["10", "2"], [10, 2]])
@pytest.mark.filterwarnings("ignore:Pynapple requires integer")
def test_what_spikeinterface_exports_keeps_its_unit_names(ids):
    frames = [np.array([100, 900]), np.array([20, 30, 700])]
    sorting = NumpySorting.from_unit_dict(dict(zip(ids, frames, strict=True)), 1000.0)
    session, there = as_session(sorting), as_session(to_pynapple_tsgroup(sorting))
    assert set(there.unit_names) == set(session.unit_names)
    found = trains_of(there)
    for name, train in trains_of(session).items():
        np.testing.assert_array_equal(found[name], train)


def test_tsd_is_one_output():
    signal = as_signal(nap.Tsd(TIMES, VALUES[:, 0]))
    np.testing.assert_array_equal(signal.times, TIMES)
    np.testing.assert_array_equal(signal.values, VALUES[:, 0])
    assert (signal.units, signal.names) == (None, None)


def test_tsd_in_milliseconds_is_seconds():
    np.testing.assert_array_equal(as_signal(nap.Tsd(TIMES * 1000, TIMES, time_units="ms")).times, TIMES)


def test_frame_names_its_outputs():
    signal = as_signal(nap.TsdFrame(TIMES, VALUES, columns=["x", "y"]))
    np.testing.assert_array_equal(signal.values, VALUES)
    assert signal.names == ("x", "y")


def test_tensors_are_refused_with_their_shape():
    with pytest.raises(ValueError, match=r"must have shapes .*\(36, 2, 2\)"):
        as_signal(nap.TsdTensor(TIMES, np.ones((36, 2, 2))))


def test_a_decoder_cannot_tell_pynapple_from_arrays(simulate, small_decoder):
    session = simulate(n_outputs=2)
    spikes = {i: np.round(train, 9) for i, train in enumerate(session.spikes.values())}
    times = np.round(session.times, 9)
    group = nap.TsGroup({unit: nap.Ts(train) for unit, train in spikes.items()})
    epochs = [(2.0, 20.0), (30.0, 50.0)]
    frame = nap.TsdFrame(times, session.values, columns=["x", "y"])
    plain = small_decoder().fit(spikes, (times, session.values), epochs=epochs)
    ours = small_decoder().fit(group, frame, epochs=nap.IntervalSet(*np.transpose(epochs)))
    np.testing.assert_array_equal(ours.predict(group, times), plain.predict(spikes, times))
    assert ours.decode(group, times).array_annotations["channel_names"].tolist() == ["x", "y"]
