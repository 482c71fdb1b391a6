"""A folder given by path is read as plain data: nothing in it is unpickled or run."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
import zarr
from spikeinterface.core import NumpySorting, create_sorting_analyzer, generate_ground_truth_recording, load

from spikeinterface_poyo.inputs.spikes_in import as_session

FRAMES = [{"a": np.array([5, 900]), "b": np.array([70])}, {"a": np.array([], dtype=int), "b": np.array([3])}]
FORMATS = ["numpy_folder", "npz_folder", *([] if zarr.__version__.startswith("3.") else ["zarr"])]


class Trap:
    """An object that says so when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a file was unpickled",)


def trap(file) -> None:
    """Put an array of objects there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.array([Trap(), Trap()], dtype=object), allow_pickle=True)


@pytest.fixture
def sorting() -> NumpySorting:
    sorting = NumpySorting.from_unit_dict(FRAMES, 1000.0)
    sorting.set_property("quality", np.array(["good", "mua"]))
    sorting.set_property("depth", np.array([10.0, 20.0]))
    return sorting


@pytest.fixture
def saved(sorting, tmp_path):
    """The sorting, saved in SpikeInterface's default format."""
    sorting.save(folder=tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.filterwarnings("ignore:`NpzFolderSorting:FutureWarning")
@pytest.mark.parametrize("kind", FORMATS)
def test_a_saved_sorting_is_what_spikeinterface_loads(sorting, tmp_path, kind):
    folder = tmp_path / ("saved.zarr" if kind == "zarr" else "saved")
    sorting.save(folder=folder, format=kind)
    session, loaded = as_session(folder), as_session(load(folder))
    assert session.unit_names == loaded.unit_names == ["a", "b"]
    assert {name: values.tolist() for name, values in session.properties.items()} == {
        name: values.tolist() for name, values in loaded.properties.items()
    }
    assert {"quality", "depth"} <= set(session.properties)
    for one, other in zip(session.segments, loaded.segments, strict=True):
        assert one.clock == other.clock == "frames"
        for part in ("spike_times", "unit_index"):
            np.testing.assert_array_equal(np.asarray(getattr(one, part)), np.asarray(getattr(other, part)))


@pytest.mark.parametrize("linked", [False, True])
def test_a_pickled_property_is_left_out_and_told_of(saved, tmp_path, linked):
    if linked:  # a link that leads out of the folder
        os.rename(saved / "properties", tmp_path / "elsewhere")
        (saved / "properties").symlink_to(tmp_path / "elsewhere")
    trap(saved / "properties" / "quality.npy")
    trap(saved / "properties" / "._depth.npy")  # such as macOS leaves, and nobody reads
    with pytest.warns(UserWarning, match=r"properties \['quality'\] in .*saved' are pickled .*spikeinterface.load"):
        session = as_session(saved)
    assert set(session.properties) == {"depth"}


def test_what_loading_would_run_is_not_looked_at(saved):
    run = {"class": "spikeinterface.core.core_tools.read_python", "kwargs": {"path": "params.py"}}
    (saved / "si_folder.json").write_text(json.dumps(run | {"version": "1", "annotations": {}, "properties": {}}))
    for name in ("provenance.pkl", "cached.pkl"):
        (saved / name).write_bytes(pickle.dumps(Trap()))
    assert as_session(saved).unit_names == ["a", "b"]
    (saved / "numpysorting_info.json").unlink()
    with pytest.raises(ValueError, match=r"saved' is not the folder of a saved sorting.*give what spikeinterface.load"):
        as_session(saved)


def test_pickled_spikes_are_refused(saved):
    trap(saved / "spikes.npy")
    with pytest.raises(ValueError, match=r"the sorting saved in .*saved' cannot be read: ValueError"):
        as_session(saved)


@pytest.mark.skipif("zarr" not in FORMATS, reason="SpikeInterface writes no Zarr with zarr 3")
def test_zarr_with_a_pickled_array_is_refused(sorting, tmp_path):
    import numcodecs

    sorting.save(folder=tmp_path / "saved.zarr", format="zarr")
    root = zarr.open_group(str(tmp_path / "saved.zarr"), mode="r+")
    values = np.array(["x", "y"], dtype=object)
    root["properties"].create_dataset("notes", data=values, object_codec=numcodecs.Pickle())
    zarr.consolidate_metadata(root.store)
    with pytest.raises(ValueError, match=r"saved.zarr' cannot be read: ValueError: its array '.*notes' is pickled"):
        as_session(tmp_path / "saved.zarr")


def test_an_analyzer_is_to_be_loaded_by_the_user(tmp_path):
    recording, sorting = generate_ground_truth_recording(durations=[2.0], num_channels=4, num_units=3, seed=0)
    for kind in ("binary_folder", *FORMATS[2:]):
        folder = tmp_path / ("analyzer.zarr" if kind == "zarr" else "analyzer")
        create_sorting_analyzer(sorting, recording, format=kind, folder=folder, sparse=False)
        with pytest.raises(ValueError, match=r"give what spikeinterface.load\(folder\) returns"):
            as_session(folder)


def test_a_damaged_folder_says_which_it_is(saved, tmp_path):
    file = saved / "spikes.npy"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"the sorting saved in .*saved' cannot be read: ValueError"):
        as_session(saved)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty' is not the folder of a saved sorting"):
        as_session(tmp_path / "empty")


@pytest.mark.parametrize("order", [1, -1])
def test_spikes_of_segments_that_are_not_there_are_refused(sorting, tmp_path, order):
    sorting.save(folder=tmp_path / "sorting")
    np.save(tmp_path / "sorting" / "spikes.npy", np.load(tmp_path / "sorting" / "spikes.npy")[::order])
    info = tmp_path / "sorting" / "numpysorting_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"num_segments": 1}))
    with pytest.raises(
        ValueError, match=r"sorting' cannot be read: ValueError: it has 1 segments and spikes of others"
    ):
        as_session(tmp_path / "sorting")
