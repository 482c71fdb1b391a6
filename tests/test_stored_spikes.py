"""Spikes that stay on disk: bit for bit what reading all of them gives, wherever they are read."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from spikeinterface.core import NumpyFolderSorting, NumpySorting
from spikeinterface.core.base import minimum_spike_dtype

from spikeinterface_poyo import SelectUnits, align
from spikeinterface_poyo.inputs.spikes_in import as_session
from spikeinterface_poyo.network.merging import merge_spikes
from spikeinterface_poyo.sessions.session import NO_UNIT, Segment
from spikeinterface_poyo.sessions.stored_spikes import (
    RECORDS_AT_ONCE,
    StoredRecords,
    StoredUnits,
    is_stored,
    mapped_file,
)
from spikeinterface_poyo.sessions.units import firing_rates, keep_in_segment, units_that_fire, without_units

RATE = 997.3  # Hz, which rounds badly
N_UNITS = 7  # the last one silent


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A saved sorting of two segments, with units in any order at moments that they share, and a silent one."""
    rng = np.random.default_rng(0)
    spikes = np.zeros(6000, dtype=minimum_spike_dtype)
    spikes["segment_index"] = np.arange(6000) >= 4000
    spikes["sample_index"] = np.concatenate(
        [np.sort(rng.integers(0, 3000, 4000)), np.sort(rng.integers(50, 900, 2000))]
    )
    spikes["unit_index"] = rng.integers(0, N_UNITS - 1, 6000)
    path = tmp_path_factory.mktemp("saved") / "sorting"
    NumpySorting(spikes, RATE, [f"u{i}" for i in range(N_UNITS)]).save(folder=path)
    return path


@pytest.fixture
def stored(folder) -> list[Segment]:
    return list(as_session(folder).segments)


@pytest.fixture
def read(folder) -> list[Segment]:
    return list(as_session(NumpyFolderSorting(folder)).segments)


def assert_same_spikes(one: Segment, other: Segment) -> None:
    np.testing.assert_array_equal(one.spike_times, other.spike_times)
    np.testing.assert_array_equal(one.unit_index, other.unit_index)
    assert (one.t_start, one.t_stop, one.clock) == (other.t_start, other.t_stop, other.clock)


def test_a_saved_folder_is_read_where_it_is(folder, stored, read):
    assert all(map(is_stored, stored))
    assert not any(map(is_stored, read))
    assert as_session(str(folder)).unit_names == [f"u{i}" for i in range(N_UNITS)]
    assert all(map(is_stored, as_session(NumpyFolderSorting(folder, mmap_mode="r")).segments))
    for one, other in zip(stored, read, strict=True):
        assert len(one.spike_times) == len(one.unit_index) == len(other.spike_times)
        assert one.spike_times[:].dtype == np.float64
        assert one.unit_index[:].dtype == np.int32
        assert_same_spikes(one, other)


def test_segments_share_one_open_file(stored, folder):
    first, second = (segment.spike_times.records.whole for segment in stored)
    assert first is second
    assert as_session(folder).segments[0].spike_times.records.whole is first


def test_a_folder_that_was_saved_anew_is_not_read_for_the_old_one(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "sorting")
    segment = as_session(tmp_path / "sorting").segments[0]
    times, kept = np.asarray(segment.spike_times), pickle.dumps(segment)
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(tmp_path / "sorting")
    (tmp_path / "copy").rename(tmp_path / "sorting")  # the same, at another time
    np.testing.assert_array_equal(pickle.loads(kept).spike_times, times)
    shutil.rmtree(tmp_path / "sorting")
    fewer = NumpyFolderSorting(folder).select_units(["u1", "u2", "u3"])
    NumpySorting.from_sorting(fewer).save(folder=tmp_path / "sorting")
    with pytest.raises(ValueError, match="are not those that were there when its sorting was given"):
        pickle.loads(kept).spike_times.searchsorted(0.0)
    assert len(as_session(tmp_path / "sorting").segments[0].spike_times) < len(times)


def test_a_file_that_another_of_its_size_replaced_is_mapped_anew(tmp_path):
    file, other = tmp_path / "spikes.npy", tmp_path / "other.npy"
    np.save(file, np.arange(9))
    np.save(other, np.arange(9) + 1)
    before = mapped_file(file)
    other.replace(file)
    assert mapped_file(file).array[0] == 1
    assert before.array[0] == 0


def test_windows_find_the_same_spikes(stored, read):
    rng = np.random.default_rng(1)
    for one, other in zip(stored, read, strict=True):
        some = rng.choice(np.asarray(other.spike_times), 300)
        times = [
            some,
            np.nextafter(some, np.inf),
            np.nextafter(some, -np.inf),
            rng.uniform(-1, 5, 300),
            [-np.inf, np.inf],
        ]
        starts = np.concatenate(times)
        for found, expected in zip(one.span(starts, starts + 0.1), other.span(starts, starts + 0.1), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_overlapping_windows_take_the_same_spikes(stored, read):
    rng = np.random.default_rng(2)
    for one, other in zip(stored, read, strict=True):
        first, past = other.span(starts := rng.uniform(0, 0.8, 40), starts + 0.05)
        index = np.concatenate([np.arange(a, b) for a, b in zip(first, past, strict=True)])
        for found, expected in zip(one.take(index)[:2], other.take(index)[:2], strict=True):
            np.testing.assert_array_equal(found, expected)
        assert one.take(index)[2] is None


def test_windows_that_begin_where_another_ends_keep_their_own_units():
    records = StoredRecords(Path("nowhere.npy"), 0, 3, "")
    records.__dict__["mapped"] = {"sample_index": np.array([5, 5, 7]), "unit_index": np.array([1, 2, 0])}
    units = StoredUnits(records)
    np.testing.assert_array_equal(units[np.array([0, 1, 0, 1, 2])], [1, 2, 1, 2, 0])


def test_pickled_it_is_small_and_reads_the_file_again(stored, read):
    for one, other in zip(stored, read, strict=True):
        _ = one.spike_times[:10]
        data = pickle.dumps(one)
        assert len(data) < 2000
        assert_same_spikes(pickle.loads(data), other)


@pytest.mark.parametrize("bin_size", [0.01, 0.1])
def test_merged_and_selected_it_is_the_same(stored, read, bin_size):
    keep = np.arange(N_UNITS) % 3 != 1
    for one, other in zip(stored, read, strict=True):
        for mine, theirs in ((one, other), (without_units(one, keep), without_units(other, keep))):
            merged, expected = merge_spikes(mine, bin_size), merge_spikes(theirs, bin_size)
            assert_same_spikes(merged, expected)
            np.testing.assert_array_equal(merged.weights, expected.weights)


def test_units_are_left_out_without_reading(stored):
    keep = np.arange(N_UNITS) != 2
    fewer = without_units(stored[0], keep)
    assert is_stored(fewer)
    units, before = fewer.unit_index[:], stored[0].unit_index[:]
    np.testing.assert_array_equal(units == NO_UNIT, before == 2)
    np.testing.assert_array_equal(units[before > 2], before[before > 2] - 1)


def test_rates_are_counted_in_chunks(folder, monkeypatch):
    stored, read = as_session(folder), as_session(NumpyFolderSorting(folder))
    assert RECORDS_AT_ONCE > 1e5
    monkeypatch.setattr("spikeinterface_poyo.sessions.stored_spikes.RECORDS_AT_ONCE", 700)
    np.testing.assert_array_equal(firing_rates(stored), firing_rates(read))
    np.testing.assert_array_equal(units_that_fire(stored), np.arange(N_UNITS) < N_UNITS - 1)


def test_it_behaves_as_an_array(stored, read):
    one, other = stored[0], read[0]
    np.testing.assert_array_equal(one.unit_index == 3, other.unit_index == 3)
    np.testing.assert_array_equal(np.bincount(one.unit_index), np.bincount(other.unit_index))
    np.testing.assert_array_equal(np.arange(N_UNITS)[one.unit_index], other.unit_index)
    assert one.spike_times[17] == other.spike_times[17]
    mask = np.arange(len(one.spike_times)) % 5 < 3
    np.testing.assert_array_equal(one.spike_times[mask], other.spike_times[mask])


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"window_length": 0.5, "causal": True}])
def test_training_and_prediction_are_those_of_memory(folder, small_decoder, options):
    times = [np.arange(0, 3, 0.02), np.arange(0.1, 0.9, 0.02)]
    behavior = [(t, np.sin(9 * t)) for t in times]
    decoders = []
    for sorting in (folder, NumpyFolderSorting(folder)):
        decoders.append(small_decoder(**{"window_length": 0.4, "n_latent_steps": 4, **options}).fit(sorting, behavior))
        decoders[-1].predictions = decoders[-1].predict(*align(sorting, behavior)[:1])
    assert decoders[0].loss_curve_ == decoders[1].loss_curve_
    assert decoders[0].validation_scores_ == decoders[1].validation_scores_
    np.testing.assert_array_equal(decoders[0].predictions, decoders[1].predictions)


def test_units_can_be_selected(folder):
    times = [np.arange(0, 3, 0.1), np.arange(0.1, 0.9, 0.1)]
    X, _ = align(folder, [(t, t) for t in times])
    kept = SelectUnits(ids=["u1", "u4"]).fit_transform(X)
    assert kept.sessions[0].unit_names == ["u1", "u4"]
    assert not is_stored(kept.sessions[0].segments[0])


def test_a_folder_of_another_format_is_loaded(folder, tmp_path):
    NumpyFolderSorting(folder).save(folder=tmp_path / "zarr.zarr", format="zarr")
    session = as_session(next(tmp_path.glob("*.zarr")))
    for one, other in zip(session.segments, as_session(folder).segments, strict=True):
        assert_same_spikes(one, other)


def test_a_saved_sorting_without_spikes_in_a_segment(tmp_path):
    spikes = np.zeros(2, dtype=minimum_spike_dtype)
    spikes["segment_index"], spikes["sample_index"] = 1, [3, 9]
    NumpySorting(spikes, 1000.0, ["a"]).save(folder=tmp_path / "sorting")
    session = as_session(tmp_path / "sorting")
    segments = session.segments
    assert [len(segment.spike_times) for segment in segments] == [0, 2]
    assert session.duration == pytest.approx(0.006)
    np.testing.assert_array_equal(segments[0].span(np.array([0.0]), np.array([1.0])), [[0], [0]])


@pytest.mark.parametrize("order", ["random", "by unit", "segments mixed"])
@pytest.mark.parametrize("where", ["folder", "path", "memory"])
def test_spikes_in_another_order_are_read_whole(folder, tmp_path, order, where):
    given = NumpyFolderSorting(folder)
    spikes = np.array(given.spikes)
    key = spikes["unit_index"] if order == "by unit" else np.random.default_rng(0).permutation(6000)
    spikes = spikes[np.argsort(key) if order == "segments mixed" else np.lexsort((key, spikes["segment_index"]))]
    sorting = NumpySorting(spikes, RATE, given.unit_ids)
    if where != "memory":
        saved = sorting.save(folder=tmp_path / "sorting")
        sorting = saved if where == "folder" else tmp_path / "sorting"
    for there, here in zip(as_session(sorting).segments, as_session(folder).segments, strict=True):
        np.testing.assert_array_equal(np.asarray(there.spike_times), np.asarray(here.spike_times))
        np.testing.assert_array_equal(np.asarray(there.unit_index), np.asarray(here.unit_index))


def test_a_few_spikes_out_of_order_are_told_where_they_are_read(tmp_path, small_decoder):
    rng, times = np.random.default_rng(0), np.arange(0, 60.0, 0.1)
    spikes = np.zeros(100_000, dtype=minimum_spike_dtype)
    spikes["sample_index"] = np.sort(rng.integers(60 * 1000, size=100_000))
    spikes["unit_index"] = rng.integers(4, size=100_000)
    spikes[2000:2100] = spikes[2000:2100][::-1]  # between the places that are looked at first
    sorting = NumpySorting(spikes, 1000.0, ["a", "b", "c", "d"])
    sorting.save(folder=tmp_path / "sorting")
    saved = NumpyFolderSorting(tmp_path / "sorting", mmap_mode="r")
    decoder = small_decoder(max_iter=1).fit(sorting, (times, np.sin(times)))
    with pytest.raises(ValueError, match=r"spikes in .*sorting.* are not in order of time.*to_numpy_sorting\(\)"):
        decoder.predict(saved, times=times)
    expected = decoder.predict(sorting, times=times)
    np.testing.assert_array_equal(decoder.predict(saved.to_numpy_sorting(), times=times), expected)


def test_spikes_by_unit_in_memory_keep_their_segments(folder):
    given = NumpyFolderSorting(folder)
    spikes = np.array(given.spikes)
    spikes = spikes[np.lexsort((spikes["sample_index"], -spikes["segment_index"], spikes["unit_index"]))]
    sorting = NumpySorting(spikes[::-1], RATE, given.unit_ids)
    assert [len(segment.spike_times) for segment in as_session(sorting).segments] == [4000, 2000]


def test_units_can_be_left_out_of_units_that_were_left_out(tmp_path):
    units = {"a": np.arange(0, 50, 5), "b": np.arange(1, 50, 5), "c": np.arange(2, 50, 5)}
    NumpySorting.from_unit_dict([units], 10.0).save(folder=tmp_path / "sorting")
    (stored,) = align(tmp_path / "sorting", (np.arange(5.0), np.arange(5.0)))[0].sessions
    (segment,) = stored.segments
    fewer = without_units(without_units(segment, np.array([False, True, True])), np.array([False, True]))
    assert sorted(set(np.asarray(fewer.unit_index[:]).tolist())) == [NO_UNIT, 0]
    assert (np.asarray(fewer.unit_index[:]) == 0).sum() == 10
    assert len(keep_in_segment(fewer, np.array([True])).spike_times) == 10
