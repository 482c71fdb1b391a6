from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import quantities as pq

START, END = 660.0, 1200.0  # s, the part of the recording that is packaged


def spike_times(sorting, unit_id) -> np.ndarray:
    return sorting.get_unit_spike_train(unit_id) / 20_000


def test_file_is_small():
    assert (files("spikeinterface_poyo") / "data" / "mouse_head_direction.npz").stat().st_size < 1_000_000


def test_sorting(mouse):
    sorting, _ = mouse
    assert sorting.sampling_frequency == 20_000
    assert sorting.get_num_segments() == 1
    np.testing.assert_array_equal(sorting.unit_ids, np.arange(15))
    assert list(sorting.get_property("location")) == ["adn"] * 7 + ["ca1"] * 8
    for unit_id in sorting.unit_ids:
        times = spike_times(sorting, unit_id)
        assert np.all(np.diff(times) > 0)
        assert times[0] >= START
        assert times[-1] <= END
        assert 0.2 < len(times) / (END - START) < 40  # Hz


def test_spike_count(mouse):
    assert mouse[0].count_total_num_spikes() == 45_670


def test_heading(mouse):
    _, heading = mouse
    assert heading.shape == (63_527, 2)
    assert heading.units == pq.dimensionless
    assert heading.times.units == pq.s
    assert list(heading.array_annotations["channel_names"]) == ["cos_heading", "sin_heading"]
    np.testing.assert_allclose(np.linalg.norm(heading.magnitude, axis=1), 1, rtol=1e-12)
    times = heading.times.magnitude
    np.testing.assert_allclose(1 / np.diff(times), 120, rtol=0.01)  # Hz
    assert (times[0], times[-1]) == pytest.approx((670.6407, 1199.99495), abs=1e-6)
    # the animal looks every way: no octant has less than 2 % of the time
    angle = np.arctan2(heading.magnitude[:, 1], heading.magnitude[:, 0])
    assert np.histogram(angle, bins=8, range=(-np.pi, np.pi))[0].min() > 0.02 * len(angle)


def test_thalamic_units_are_tuned_to_heading(mouse):
    # spikes and heading are on one clock: shifted by 20 s, the tuning is gone
    sorting, heading = mouse
    times, values = heading.times.magnitude, heading.magnitude

    def tuning(unit_id, shift: float) -> float:
        at = np.searchsorted(times, spike_times(sorting, unit_id) + shift)
        at = at[(at > 0) & (at < len(times))]
        return float(np.linalg.norm(values[at].mean(axis=0)))

    thalamic = sorting.unit_ids[sorting.get_property("location") == "adn"]
    aligned = np.mean([tuning(unit_id, 0.0) for unit_id in thalamic])
    shifted = np.mean([tuning(unit_id, 20.0) for unit_id in thalamic])
    assert aligned > 0.5
    assert aligned > 2 * shifted


def test_equals_nwb(mouse, shared_data):
    h5py = pytest.importorskip("h5py")
    sorting, heading = mouse
    with h5py.File(shared_data / "mouse_head_direction" / "A2929-200711.nwb") as file:
        trains = np.split(file["units/spike_times"][:], file["units/spike_times_index"][:-1])
        np.testing.assert_array_equal(file["units/id"][:], sorting.unit_ids)
        np.testing.assert_array_equal(file["units/location"].asstr()[:], sorting.get_property("location"))
        angle = file["acquisition/CompassDirection/ry/data"][:]
        heading_times = file["acquisition/CompassDirection/ry/timestamps"][:]
    for unit_id, train in zip(sorting.unit_ids, trains, strict=True):
        # 1 us is the file's rounding of the 20 kHz frames; the rest is float64's
        np.testing.assert_allclose(spike_times(sorting, unit_id), train[train >= START], rtol=0, atol=1.001e-6)
    np.testing.assert_allclose(heading.times.magnitude, heading_times, rtol=0, atol=1e-9)
    np.testing.assert_allclose(heading.magnitude, np.column_stack([np.cos(angle), np.sin(angle)]), rtol=0, atol=5e-7)


def test_equals_sorter_output(mouse, shared_data):
    pytest.importorskip("lxml")
    from spikeinterface.extractors import read_neuroscope_sorting

    sorting, _ = mouse
    original = read_neuroscope_sorting(folder_path=shared_data / "mouse_head_direction" / "neurosuite")
    single_units = [*range(3, 10), *range(12, 20)]
    for unit_id, original_id in zip(sorting.unit_ids, single_units, strict=True):
        frames = original.get_unit_spike_train(original_id)
        np.testing.assert_array_equal(sorting.get_unit_spike_train(unit_id), frames[frames >= START * 20_000])
