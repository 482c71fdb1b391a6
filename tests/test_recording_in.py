"""Analog streams as behaviour: scaled, on the recording's own clock, from memory and from an Open Ephys folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from spikeinterface.core import NumpyRecording, NumpySorting
from spikeinterface.extractors import read_openephys, read_openephys_event
from spikeinterface.preprocessing import resample, scale_to_physical_units

from spikeinterface_poyo import align
from spikeinterface_poyo.inputs.behavior_in import as_signal, as_signals

FS = 100.0
RAW = np.random.default_rng(0).integers(-3000, 3000, (1000, 2)).astype(np.int16)


def recording(t_start: float = 5.0, segments: int = 1, rate: float = FS) -> NumpyRecording:
    starts = [t_start + 100 * index for index in range(segments)]
    return NumpyRecording([RAW + index for index in range(segments)], rate, t_starts=starts, channel_ids=["x", "y"])


def test_without_gains_values_are_as_they_are():
    signal = as_signal(recording())
    np.testing.assert_array_equal(signal.values, RAW)
    assert signal.values.dtype == np.float64
    assert (signal.units, signal.names) == (None, ("x", "y"))


def test_gains_give_microvolts():
    given = recording()
    given.set_channel_gains([0.195, 0.5])
    given.set_channel_offsets([3.0, -1.0])
    signal = as_signal(given)
    np.testing.assert_array_equal(signal.values, RAW * [0.195, 0.5] + [3.0, -1.0])
    np.testing.assert_allclose(
        signal.values, given.get_traces(return_in_uV=True), rtol=1e-5, atol=1e-3
    )  # float32 there
    assert signal.units == "uV"


def test_physical_units_come_first():
    given = recording()
    given.set_channel_gains([0.195, 0.5])
    given.set_channel_offsets(0.0)
    given.set_property("gain_to_physical_unit", [0.01, 0.02])
    given.set_property("offset_to_physical_unit", [1.0, 0.0])
    given.set_property("physical_unit", ["N", "N"])
    signal = as_signal(given)
    np.testing.assert_array_equal(signal.values, RAW * [0.01, 0.02] + [1.0, 0.0])
    np.testing.assert_allclose(signal.values, scale_to_physical_units(given).get_traces(), rtol=1e-5, atol=1e-4)
    assert signal.units == "N"


def test_channels_of_several_units_are_refused():
    given = recording()
    given.set_property("gain_to_physical_unit", [0.01, 0.02])
    given.set_property("physical_unit", ["N", "V"])
    with pytest.raises(
        ValueError, match=r"have the units \['N', 'V'\]; choose those of one unit with recording\.select"
    ):
        as_signal(given)
    assert as_signal(given.select_channels(["y"])).units == "V"


@pytest.mark.parametrize("clock", ["t_start", "time vector"])
def test_times_are_the_recordings_own(clock):
    given = recording()
    if clock == "time vector":
        given.set_times(7 + np.arange(1000) / FS * 1.001)
    np.testing.assert_array_equal(as_signal(given).times, given.get_times())
    assert as_signal(given).times[0] == (7.0 if clock == "time vector" else 5.0)


def test_samples_and_spikes_of_one_frame_have_one_time():
    # spikes at every tenth frame of the stream that is the behaviour: exactly at its samples
    given = recording()
    given.set_times(np.cumsum(np.random.default_rng(1).uniform(0.009, 0.011, 1000)))
    sorting = NumpySorting.from_unit_dict({"a": np.arange(0, 1000, 10)}, FS)
    sorting.register_recording(given)
    X, y = align(sorting, given)
    np.testing.assert_array_equal(X.times[::10], X.sessions[0].segments[0].spike_times)
    np.testing.assert_array_equal(y, RAW)


def test_reloaded_from_a_folder(tmp_path):
    given = recording()
    given.set_channel_gains([0.195, 0.5])
    given.set_channel_offsets(0.0)
    saved = given.save(folder=tmp_path / "saved", verbose=False)
    there, here = as_signal(saved), as_signal(given)
    np.testing.assert_array_equal(there.times, here.times)
    np.testing.assert_array_equal(there.values, here.values)


def test_segments_are_one_signal_each():
    first, second = as_signals(recording(segments=2))
    assert (first.times[0], second.times[0]) == (5.0, 105.0)
    np.testing.assert_array_equal(second.values, RAW + 1)
    with pytest.raises(ValueError, match="recording of 2 segments stands where behaviour of one was expected"):
        as_signals([recording(segments=2)])
    picked = as_signals([recording(segments=2).select_segments([1])])
    np.testing.assert_array_equal(picked[0].times, second.times)


def test_raw_rates_get_advice_that_keeps_the_clock():
    fast = recording(rate=2000.0)
    with pytest.warns(UserWarning, match=r"at 2000 Hz makes 1000 samples.*resample\(recording, resample_rate=100\)"):
        as_signal(fast)
    slow = as_signal(resample(fast, resample_rate=100))
    np.testing.assert_allclose(slow.times, 5.0 + np.arange(50) / 100, rtol=1e-12)


@pytest.fixture
def open_ephys(tmp_path) -> Path:
    """A folder as the Open Ephys GUI 0.6 writes it: two ADC channels from 5 s on, and a TTL line up twice."""
    board = {"sample_rate": FS, "source_processor_name": "board", "source_processor_id": 100, "stream_name": "board"}
    board |= {"recorded_processor": "Record Node", "recorded_processor_id": 101, "num_channels": 2}
    channel = {"bit_volts": 0.0005, "units": "V", "description": "", "identifier": "", "history": ""}
    channels = [{"channel_name": f"ADC{i}", **channel} for i in (1, 2)]
    ttl = {"channel_name": "TTL", "description": "", "identifier": "", "type": "int16", "initial_state": 0}
    structure = {
        "GUI version": "0.6.4",
        "continuous": [{"folder_name": "board/", "channels": channels, **board}],
        "events": [{"folder_name": "board/TTL/", **ttl, **board}],
        "spikes": [],
    }
    folder = tmp_path / "Record Node 101" / "experiment1" / "recording1"
    continuous, events = folder / "continuous" / "board", folder / "events" / "board" / "TTL"
    for where, times in ((continuous, 5 + np.arange(1000) / FS), (events, np.array([6.0, 7.5, 10.0, 11.0]))):
        where.mkdir(parents=True)
        np.save(where / "timestamps.npy", times)
        np.save(where / "sample_numbers.npy", np.round(times * FS).astype(np.int64))
    RAW.tofile(continuous / "continuous.dat")
    np.save(events / "states.npy", np.array([1, -1, 1, -1], dtype=np.int16))
    np.save(events / "full_words.npy", np.array([1, 0, 1, 0], dtype=np.uint64))
    (folder / "structure.oebin").write_text(json.dumps(structure))
    (tmp_path / "Record Node 101" / "settings.xml").write_text("<SETTINGS/>")
    return tmp_path


def test_open_ephys_adc_channels_and_ttl_epochs(open_ephys):
    stream, ttl = read_openephys(open_ephys), read_openephys_event(open_ephys)
    X, y = align({"a": np.arange(5, 15, 0.05)}, stream, epochs=ttl)
    frames = np.concatenate([np.arange(100, 251), np.arange(500, 601)])  # 6 to 7.5 s and 10 to 11 s, ends included
    np.testing.assert_allclose(X.times, 5 + frames / FS, rtol=1e-12)
    np.testing.assert_allclose(y, RAW[frames] * 0.0005, rtol=1e-12)
    assert X.targets[0][0].units == "V"
