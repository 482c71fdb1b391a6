"""Behaviour from files."""

from __future__ import annotations

import zipfile
from datetime import datetime, timezone

import numpy as np
import pytest

from spikeinterface_poyo import align
from spikeinterface_poyo.inputs.behavior_files import read_behavior

TIMES = np.arange(0, 10, 0.5)


def write_nwb(path):
    pynwb = pytest.importorskip("pynwb")
    from pynwb.behavior import Position, SpatialSeries

    file = pynwb.NWBFile("test", "test", datetime(2020, 1, 1, tzinfo=timezone.utc))
    module = file.create_processing_module("behavior", "test")
    position = SpatialSeries(name="xy", data=np.column_stack([TIMES, -TIMES]), timestamps=TIMES, unit="meters",
                             conversion=0.01, reference_frame="room")  # fmt: skip
    module.add(Position(spatial_series=position))
    file.add_acquisition(pynwb.TimeSeries(name="lever", data=TIMES * 2, rate=2.0, starting_time=3.0, unit="a.u."))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def test_npz(tmp_path):
    np.savez(tmp_path / "b.npz", times=TIMES, values=np.column_stack([TIMES, TIMES]), units="cm/s", names=["x", "y"])
    signal = read_behavior(tmp_path / "b.npz")
    np.testing.assert_array_equal(signal.times, TIMES)
    assert (signal.units, signal.names, signal.values.shape) == ("cm/s", ("x", "y"), (20, 2))
    X, y = align({"a": TIMES}, signal)
    assert (X.targets[0][0].units, y.shape) == ("cm/s", (20, 2))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"times": TIMES}, "must hold the arrays times and values"),
        ({"times": TIMES, "values": TIMES, "speed": TIMES}, "speed"),
        ({"times": TIMES, "values": TIMES[:-1]}, r"shapes .* or \(n, n_outputs\); got \(20,\) and \(19,\)"),
        ({"times": TIMES * np.nan, "values": TIMES}, "must be finite"),
        ({"times": TIMES, "values": TIMES, "names": ["x", "y"]}, r"names for its 1 output\(s\)"),
        ({"times": TIMES.astype(str), "values": TIMES}, "must be numbers, and values numbers or text; got <U"),
        ({"times": TIMES, "values": TIMES.astype("M8[s]")}, r"got float64 and datetime64\[s\]"),
        ({"times": TIMES, "values": TIMES, "units": ["m", "s"]}, "one unit of measure"),
        ({"times": TIMES, "values": np.array([{}] * 20)}, r"objects, which are never unpickled; .* unknown ones as ''"),
    ],
)  # fmt: skip
def test_npz_that_is_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_behavior(tmp_path / "b.npz")


def test_damaged_npz(tmp_path):
    np.savez_compressed(tmp_path / "b.npz", times=TIMES, values=np.random.default_rng(0).random(20))
    whole = (tmp_path / "b.npz").read_bytes()
    place = whole.index(b"values.npy") + 150
    damaged = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
    at_the_end = whole.rindex(b"PK\x01\x02")
    directory = whole[:at_the_end] + b"PKxx" + whole[at_the_end + 4 :]
    np.save(tmp_path / "a.npy", TIMES)
    npy = (tmp_path / "a.npy").read_bytes()
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("times", b"no array")
        archive.writestr("values", b"no array")
    other = (tmp_path / "c.npz").read_bytes()
    for contents in (b"", whole[:100], npy, damaged, b"xx" + whole, directory, other):
        (tmp_path / "b.npz").write_bytes(contents)
        with pytest.raises(ValueError, match=r"b\.npz is .*damaged"):
            read_behavior(tmp_path / "b.npz")


def test_nwb(tmp_path):
    path = write_nwb(tmp_path / "b.nwb")
    position = read_behavior(path, "Position/xy")
    np.testing.assert_allclose(position.values, np.column_stack([TIMES, -TIMES]) / 100)
    assert position.units == "m"
    lever = read_behavior(path, "lever")
    np.testing.assert_array_equal(lever.times, 3 + TIMES)
    assert lever.units is None
    np.testing.assert_array_equal(read_behavior(path, "xy").times, TIMES)
    np.testing.assert_array_equal(read_behavior(path).times, TIMES)  # the only one in the behaviour module
    with pytest.raises(ValueError, match=r"expected 'paw'.*Position/xy.*"):
        read_behavior(path, "paw")


def test_files_of_other_kinds(tmp_path):
    (tmp_path / "b.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"must be a .npz or an NWB file, got b.csv"):
        read_behavior(tmp_path / "b.csv")
    with pytest.raises(FileNotFoundError, match=r"c.npz"):
        read_behavior(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", times=TIMES, values=TIMES)
    with pytest.raises(ValueError, match=r"d\.npz is none"):
        read_behavior(tmp_path / "d.npz", "x")


@pytest.mark.parametrize(
    ("unit", "known"),
    [("a.u.", None), ("1", None), ("Volts", "V"), ("\u00b5m", "um"), ("m/s**2", "m/s**2"), ("Degrees", "deg")],
)
def test_units_of_measure_of_a_npz(unit, known, tmp_path):
    np.savez(tmp_path / "b.npz", times=TIMES, values=TIMES, units=unit)
    assert read_behavior(tmp_path / "b.npz").units == known


@pytest.mark.parametrize("unit", ["pixels", "m.s-1", "1/0", "2", "0.1*mm", "Mm", "pT", "Mrad", "Deg/S"])
def test_units_of_measure_that_nobody_knows(unit, tmp_path):
    np.savez(tmp_path / "b.npz", times=TIMES, values=TIMES, units=unit)
    with pytest.warns(UserWarning, match=r"of b\.npz is unknown to quantities: taken as none"):
        assert read_behavior(tmp_path / "b.npz").units is None
