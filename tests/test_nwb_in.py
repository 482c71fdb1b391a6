"""NWB in: behaviour and trials by name, from files and from objects, in their units of measure and times."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from spikeinterface_poyo import align, read_nwb_behavior, read_nwb_epochs
from spikeinterface_poyo.inputs.behavior_in import as_signal
from spikeinterface_poyo.inputs.nwb_in import opened
from spikeinterface_poyo.inputs.spikes_in import as_session

pynwb = pytest.importorskip("pynwb")

SPIKES = [np.arange(0.5, 20, 0.11), np.arange(1, 20, 0.37)]
TIMES = np.sort(np.random.default_rng(0).uniform(1, 19, 60))
COUNTS = np.random.default_rng(1).integers(-1000, 1000, (100, 2))
TRIALS = np.array([[2.0, 5.0], [8.0, 9.0], [12.0, 15.0]])


def spatial(name: str = "led0", **options) -> pynwb.behavior.SpatialSeries:
    given = {"data": COUNTS, "rate": 5.0, "starting_time": 0.5, "unit": "cm", "conversion": 0.01} | options
    return pynwb.behavior.SpatialSeries(name=name, reference_frame="corner", **given)


def series(name: str = "speed", **options) -> pynwb.TimeSeries:
    return pynwb.TimeSeries(name=name, **({"data": TIMES**2, "timestamps": TIMES, "unit": "m/s"} | options))


def nwb_file() -> pynwb.NWBFile:
    file = pynwb.NWBFile("x", "x", datetime(2020, 1, 1, tzinfo=timezone.utc))
    file.add_unit_column("depth", "um below the surface")
    file.add_unit_column("quality", "what the sorter said")
    for train, depth, quality in zip(SPIKES, (10.0, 20.0), ("good", "mua"), strict=True):
        file.add_unit(spike_times=train, depth=depth, quality=quality)
    behavior = file.create_processing_module("behavior", "what the animal did")
    behavior.add(pynwb.behavior.Position(spatial_series=spatial()))
    behavior.add(series())
    linked = series("acceleration", data=TIMES, timestamps=behavior["speed"], unit="m/s**2", offset=1.0)
    behavior.add(linked)
    file.add_acquisition(series("lick", unit="Volts"))
    file.add_acquisition(pynwb.misc.IntervalSeries(name="marks", data=[1, -1], timestamps=[1.0, 2.0]))
    file.add_trial_column("correct", "whether the animal was right")
    for (start, stop), correct in zip(TRIALS, (True, False, True), strict=True):
        file.add_trial(start_time=start, stop_time=stop, correct=correct)
    return file


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("nwb") / "session.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb_file())
    return path


@pytest.fixture(params=["object", "path", "text"])
def source(request, path):
    return {"object": nwb_file, "path": lambda: path, "text": lambda: str(path)}[request.param]()


def test_timestamps_and_unit(source):
    signal = read_nwb_behavior(source, "speed")
    np.testing.assert_array_equal(signal.times, TIMES)
    np.testing.assert_array_equal(signal.values, TIMES**2)
    assert signal.units == "m/s"


def test_rate_starting_time_and_conversion(source):
    signal = read_nwb_behavior(source, "led0")
    np.testing.assert_array_equal(signal.times, 0.5 + np.arange(100) / 5.0)
    np.testing.assert_array_equal(signal.values, COUNTS * 0.01)
    assert signal.units == "cm"


def test_linked_timestamps_and_offset(source):
    signal = read_nwb_behavior(source, "acceleration")
    np.testing.assert_array_equal(signal.times, TIMES)
    np.testing.assert_array_equal(signal.values, TIMES + 1.0)


def test_acquisition_and_capital_units(source):
    assert read_nwb_behavior(source, "lick").units == "V"


@pytest.mark.parametrize(
    "name", ["Position", "Position/led0", "behavior/Position/led0", "processing/behavior/Position"]
)
def test_any_end_of_the_path_names_a_series(path, name):
    np.testing.assert_array_equal(read_nwb_behavior(path, name).values, COUNTS * 0.01)


@pytest.mark.parametrize("name", ["marks", "ed0", "Speed", "behavior/led0"])
def test_unknown_names_are_refused_with_the_known_ones(path, name):
    with pytest.raises(
        ValueError, match=rf"expected '{name}' .* found none; .*acquisition/lick.*Position/led0.*speed'\]"
    ):
        read_nwb_behavior(path, name)


def test_without_a_name_there_must_be_one():
    file = nwb_file()
    with pytest.raises(ValueError, match=r"expected one behaviour in the NWB NWBFile, found \['processing/behavior/P"):
        as_signal(file)
    assert as_signal(file.processing["behavior"]["Position"]).units == "cm"
    lone = pynwb.NWBFile("x", "x", datetime(2020, 1, 1, tzinfo=timezone.utc))
    lone.add_acquisition(series("raw"))
    np.testing.assert_array_equal(as_signal(lone).times, TIMES)
    lone.create_processing_module("ecephys", "x").add(series("filtered"))
    lone.create_processing_module("behavior", "x").add(spatial())  # behaviour comes before all else
    assert as_signal(lone).units == "cm"


def test_names_that_repeat_ask_for_more_of_the_path():
    file = nwb_file()
    file.processing["behavior"].add(pynwb.behavior.CompassDirection(spatial_series=spatial(unit="radians")))
    with pytest.raises(ValueError, match=r"found \['processing/behavior/CompassDirection/led0', .*Position/led0'\]"):
        read_nwb_behavior(file, "led0")
    assert read_nwb_behavior(file, "CompassDirection/led0").units == "rad"


def test_several_series_are_the_outputs_of_one_behaviour():
    file = nwb_file()
    position = pynwb.behavior.Position(name="head", spatial_series=[spatial(n, data=COUNTS[:, 0] + i) for i, n in
                                                                    enumerate("xyz")])  # fmt: skip
    file.add_acquisition(position)
    signal = read_nwb_behavior(file, ["x", "head/z"])
    np.testing.assert_array_equal(signal.values, (COUNTS[:, :1] + [0, 2]) * 0.01)
    assert (signal.units, signal.names) == ("cm", ("x", "head/z"))


@pytest.mark.parametrize("names", [["speed", "acceleration"], ["speed", "led0"], ["led0"], ["lick", "speed"]])
def test_series_that_do_not_go_together_are_refused(path, names):
    with pytest.raises(ValueError, match=rf"cannot be outputs of one behaviour: .*{names[-1]!r} does not go with"):
        read_nwb_behavior(path, names)


def test_series_of_as_many_but_other_times_are_refused():
    file = nwb_file()
    file.add_acquisition(series("late", timestamps=TIMES + 0.1))
    with pytest.raises(
        ValueError, match="the same times and the same unit of measure; 'late' does not go with 'speed'"
    ):
        read_nwb_behavior(file, ["speed", "late"])


def test_an_empty_list_of_names_is_refused(path):
    with pytest.raises(ValueError, match="got an empty list of names"):
        read_nwb_behavior(path, [])


def test_a_series_is_a_behaviour_by_itself():
    np.testing.assert_array_equal(as_signal(spatial()).values, COUNTS * 0.01)


@pytest.mark.parametrize("unit", ["a.u.", "n/a", "unknown", "Arbitrary"])
def test_no_unit_is_none(unit, recwarn):
    assert as_signal(series(unit=unit)).units is None
    assert not recwarn.list


def test_a_unit_that_quantities_does_not_know_is_none_with_a_warning():
    with pytest.warns(UserWarning, match="the unit 'pixels' of the NWB series 'speed' is unknown"):
        assert as_signal(series(unit="pixels")).units is None


def test_data_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"'speed' must have data of shape .*\(60, 2, 2\) and 60$"):
        as_signal(series(data=np.ones((60, 2, 2))))


def test_trials_by_name(source):
    np.testing.assert_array_equal(read_nwb_epochs(source), TRIALS)
    with pytest.raises(ValueError, match=r"no intervals 'sleep'; it has \['trials'\]"):
        read_nwb_epochs(source, "sleep")


def test_other_tables_by_name():
    file = nwb_file()
    sleep = pynwb.epoch.TimeIntervals(name="sleep", description="x")
    sleep.add_interval(start_time=1.0, stop_time=2.0)
    file.add_time_intervals(sleep)
    file.add_epoch(3.0, 4.0)
    np.testing.assert_array_equal(read_nwb_epochs(file, "sleep"), [[1.0, 2.0]])
    np.testing.assert_array_equal(read_nwb_epochs(file, "epochs"), [[3.0, 4.0]])


def test_the_table_of_trials_is_no_behaviour_by_itself():
    with pytest.raises(TypeError, match=r"has several columns: give \(times, values\) of two"):
        align(nwb_file(), nwb_file().trials)


def test_some_of_the_trials():
    file = nwb_file()
    X, y = align(file, file.processing["behavior"]["speed"], epochs=file.trials.to_dataframe().query("correct"))
    kept = TIMES[((TIMES >= 2) & (TIMES <= 5)) | ((TIMES >= 12) & (TIMES <= 15))]
    np.testing.assert_array_equal(X.times, kept)
    np.testing.assert_array_equal(y, kept**2)


def test_a_decoder_cannot_tell_nwb_from_arrays(path, small_decoder):
    fitted = small_decoder().fit(nwb_file(), read_nwb_behavior(path, "led0"), epochs=read_nwb_epochs(path))
    plain = small_decoder().fit(dict(enumerate(SPIKES)), (0.5 + np.arange(100) / 5, COUNTS * 0.01), epochs=TRIALS)
    np.testing.assert_array_equal(fitted.predict(nwb_file(), TIMES), plain.predict(dict(enumerate(SPIKES)), TIMES))
    assert fitted.decode(nwb_file(), TIMES).dimensionality.string == "cm"


def test_columns_of_the_units_table_are_properties(source):
    with opened(source) as file:
        properties = align(file, (TIMES, TIMES))[0].sessions[0].properties
    assert {name: values.tolist() for name, values in properties.items()} == {
        "depth": [10.0, 20.0],
        "quality": ["good", "mua"],
    }


def observed_file(observed: list) -> pynwb.NWBFile:
    file = pynwb.NWBFile("x", "x", datetime(2020, 1, 1, tzinfo=timezone.utc))
    for unit, intervals in enumerate(observed):
        given = {} if intervals is None else {"obs_intervals": intervals}
        file.add_unit(spike_times=np.arange(1.0 + unit, 10.0), **given)
    return file


class TestObservationIntervals:
    BEHAVIOUR = (np.arange(0.0, 60.0, 0.5), np.arange(120.0))

    def test_samples_at_which_no_unit_was_observed_are_left_out(self):
        file = observed_file([[[0.0, 10.0], [30.0, 40.0]], [[5.0, 15.0]]])
        with pytest.warns(
            UserWarning, match=r"66 of 120 .* outside the spikes' 0.000 to 40.000 s, or between their 2 periods"
        ):
            X, _ = align(file, self.BEHAVIOUR)
        slack = 1.0  # at the end of the recording
        inside = (X.times <= 15.0) | ((X.times >= 30.0) & (X.times <= 40.0 + slack))
        assert inside.all()
        assert (X.sessions[0].segments[0].t_start, X.sessions[0].segments[0].t_stop) == (0.0, 40.0)

    def test_a_grid_runs_over_what_is_not_observed_and_says_so(self, small_decoder):
        file = observed_file([[[0.0, 10.0], [30.0, 40.0]], [[0.0, 10.0], [30.0, 40.0]]])
        times = np.r_[np.arange(0, 10.0, 0.5), np.arange(30, 40.0, 0.5)]
        decoder = small_decoder(max_iter=1).fit(file, (times, np.sin(times)))
        with pytest.warns(UserWarning, match="39 of 81 times of 'session_0' lie between the 2 periods"):
            assert len(decoder.predict(file)) == 81

    def test_intervals_without_duration_are_the_units_and_no_epochs(self):
        with pytest.raises(ValueError, match="obs_intervals of the units must have a duration"):
            align(observed_file([[[0.0, 0.0]], [[0.0, 0.0]]]), self.BEHAVIOUR)

    def test_they_reach_as_far_as_the_spikes(self):
        with pytest.warns(UserWarning, match=r"outside the spikes' 1.000 to 9.000 s and are left out"):
            align(observed_file([[[2.0, 8.0]]]), self.BEHAVIOUR)

    def test_none_is_all_of_the_extent(self):
        with pytest.warns(UserWarning, match=r"outside the spikes' 1.000 to 9.000 s and are left out"):
            X, _ = align(observed_file([None]), self.BEHAVIOUR)
        assert X.sessions[0].segments[0].observed is None


@pytest.mark.parametrize(("names", "ids"), [(["2", "0", "1"], ["2", "0", "1"]), (["a", "a", "b"], [0, 1, 2])])
def test_units_are_known_by_their_names_as_in_spikeinterface(names, ids):
    file = pynwb.NWBFile("x", "x", datetime.now(timezone.utc))
    file.add_unit_column("unit_name", "name")
    for name in names:
        file.add_unit(spike_times=SPIKES[0], unit_name=name)
    assert as_session(file).unit_ids.tolist() == ids


def test_a_series_of_text_is_no_behaviour():
    with pytest.raises(ValueError, match="'speed' must hold numbers, it holds"):
        as_signal(series(data=np.array(["a"] * 60)))
