"""The extension through curation: every format, fresh, reloaded and lazy, by every operation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from analyzers import QUICK, T_START, make_analyzer, make_recording, reopened
from spikeinterface.core import ChannelSparsity, load_sorting_analyzer

SOURCES = [("memory", "fresh")] + [(f, how) for f in ("binary_folder", "zarr") for how in ("fresh", "reloaded", "lazy")]
UNIT_DATA = ("unit_embeddings", "unit_importance")
pytestmark = [
    pytest.mark.filterwarnings("ignore:poyo_decoding:UserWarning", "ignore:The extractor is not serializable"),
    pytest.mark.usefixtures("brief_training"),
]


@pytest.fixture(scope="module")
def simulated(simulate):
    return simulate(n_units=5, duration=24.0)


@pytest.fixture(scope="module")
def recorded(simulated, tmp_path_factory):
    return make_recording(tmp_path_factory.mktemp("recording") / "recording", simulated, 24.0)


@pytest.fixture(scope="module")
def behavior(simulated, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("behavior") / "behavior.npz"
    np.savez(path, times=simulated.times + T_START, values=simulated.values, units="cm")
    return path


@pytest.fixture(scope="module")
def analyzers(recorded, behavior, tmp_path_factory):
    """One analyzer of each format, with behaviour by path."""
    made = {}
    for format in ("memory", "binary_folder", "zarr"):
        made[format] = make_analyzer(*recorded, format, tmp_path_factory.mktemp(format))
        made[format].compute("poyo_decoding", behavior=behavior, **QUICK)
    return made


@pytest.fixture(scope="module")
def stored(recorded, simulated, tmp_path_factory):
    """The same with behaviour as an array."""
    made = {}
    for format in ("memory", "binary_folder", "zarr"):
        made[format] = make_analyzer(*recorded, format, tmp_path_factory.mktemp(format))
        made[format].compute("poyo_decoding", behavior=(simulated.times + T_START, simulated.values), **QUICK)
    return made


@pytest.fixture(scope="module")
def computed_again(analyzers):
    """What hard merges and splits decode in memory."""
    return {
        operation: OPERATIONS[operation](analyzers["memory"], format="memory").get_extension("poyo_decoding").data
        for operation in ("hard_merge", "hard_split")
    }


def first_spikes(analyzer, unit) -> list[np.ndarray]:
    """Indices that split a unit in two."""
    n_spikes = analyzer.sorting.count_num_spikes_per_unit()[unit]
    return [np.arange(n_spikes // 2), np.arange(n_spikes // 2, n_spikes)]


OPERATIONS = {
    "select": lambda a, **to: a.select_units(["u3", "u1"], **to),
    "remove": lambda a, **to: a.remove_units(["u0"], **to),
    "soft_merge": lambda a, **to: a.merge_units([["u0", "u1"]], **to),
    "soft_merge_take_first": lambda a, **to: a.merge_units([["u1", "u0"]], new_id_strategy="take_first", **to),
    "soft_merge_censored": lambda a, **to: a.merge_units([["u0", "u1"]], censor_ms=2.0, **to),
    "hard_merge": lambda a, **to: a.merge_units([["u0", "u1"]], merging_mode="hard", progress_bar=False, **to),
    "soft_split": lambda a, **to: a.split_units({"u2": first_spikes(a, "u2")}, **to),
    "hard_split": lambda a, **to: a.split_units({"u2": first_spikes(a, "u2")}, splitting_mode="hard", **to),
    "save_as": lambda a, **to: a.save_as(**to),
}


def curated(analyzer, operation: str, tmp_path: Path):
    """The result of an operation, written in the analyzer's own format, and read again where it is on disk."""
    format = analyzer.format
    folder = None if format == "memory" else tmp_path / ("curated.zarr" if format == "zarr" else "curated")
    result = OPERATIONS[operation](analyzer, format=format, folder=folder)
    return result if format == "memory" else load_sorting_analyzer(result.folder)


def assert_rows_are_those_of(extension, former, units):
    """What is known of units that an operation did not touch stays, row by row."""
    new, old = list(extension.sorting_analyzer.unit_ids), list(former.sorting_analyzer.unit_ids)
    for name in UNIT_DATA:
        for unit in units:
            np.testing.assert_array_equal(extension.data[name][new.index(unit)], former.data[name][old.index(unit)])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("format", "how"), SOURCES, ids=["-".join(source) for source in SOURCES])
def test_matrix(analyzers, computed_again, behavior, format, how, operation, tmp_path):
    former = analyzers["memory"].get_extension("poyo_decoding")
    result = curated(reopened(analyzers[format], how), operation, tmp_path)
    extension = result.get_extension("poyo_decoding")
    for name in ("times", "targets", "fold", "segment_index"):  # the same in every format, to the bit
        np.testing.assert_array_equal(extension.data[name], former.data[name])
    assert extension.params["behavior"] == str(behavior)
    assert extension.get_data("neo").shape == former.data["decoded"].shape
    assert len(extension.get_data("by_unit")) == len(result.unit_ids)

    kept = [unit for unit in result.unit_ids if unit in former.sorting_analyzer.unit_ids]
    new = [unit for unit in result.unit_ids if unit not in kept]
    if operation == "soft_merge_take_first":
        kept.remove("u1")
        new = ["u1"]
    fresh = extension.get_importance()[[list(result.unit_ids).index(unit) for unit in new]]
    if operation.startswith("hard"):  # computed again, on all units there are now
        assert extension.units_to_recompute == []
        assert np.isfinite(extension.data["unit_embeddings"]).all()
        assert np.isfinite(fresh["shifted"]).all()
        assert np.isfinite(extension.get_decoder().predict(result)).all()
        assert not np.array_equal(extension.data["decoded"], former.data["decoded"])
        np.testing.assert_array_equal(extension.data["decoded"], computed_again[operation]["decoded"])
    else:
        assert extension.units_to_recompute == new
        assert np.isnan(fresh["shifted"]).all()
        assert len(extension.data["curation"]["events"]) == (operation != "save_as")
        np.testing.assert_array_equal(extension.data["decoded"], former.data["decoded"])
        assert_rows_are_those_of(extension, former, kept)


@pytest.mark.parametrize("operation", ["hard_merge", "hard_split"])
@pytest.mark.parametrize(("format", "how"), SOURCES, ids=["-".join(source) for source in SOURCES])
def test_behaviour_that_is_stored_is_decoded_again(stored, computed_again, format, how, operation, tmp_path):
    # SpikeInterface passes on parameters alone; the behaviour travels in them, though not where they are written
    result = curated(reopened(stored[format], how), operation, tmp_path)
    extension = result.get_extension("poyo_decoding")
    former = stored["memory"].get_extension("poyo_decoding")
    for name in ("times", "targets", "fold", "segment_index"):
        np.testing.assert_array_equal(extension.data[name], former.data[name])
    np.testing.assert_array_equal(extension.data["decoded"], computed_again[operation]["decoded"])
    (signal,), (before,) = extension.params["behavior"].signals, former.params["behavior"].signals
    np.testing.assert_array_equal(signal.values, before.values)  # so that the next one works too
    assert extension.units_to_recompute == []
    assert np.isfinite(extension.data["unit_embeddings"]).all()


@pytest.mark.parametrize("format", ["memory", "binary_folder", "zarr"])
@pytest.mark.parametrize("source", SOURCES, ids=["-".join(source) for source in SOURCES])
def test_save_as_any_other_format(stored, source, format, tmp_path):
    analyzer = reopened(stored[source[0]], source[1])
    folder = None if format == "memory" else tmp_path / f"copy{'.zarr' if format == 'zarr' else ''}"
    copy = analyzer.save_as(format=format, folder=folder)
    copy = copy if format == "memory" else load_sorting_analyzer(copy.folder)
    extension, former = copy.get_extension("poyo_decoding"), stored[source[0]].get_extension("poyo_decoding")
    assert set(extension.data) == set(former.data)
    for name, value in former.data.items():
        if isinstance(value, dict):
            assert extension.data[name] == value
        else:
            np.testing.assert_array_equal(extension.data[name], value)
    assert {**extension.params, "behavior": None} == {**former.params, "behavior": None}
    (signal,), (before,) = extension.params["behavior"].signals, former.params["behavior"].signals
    np.testing.assert_array_equal(signal.values, before.values)


@pytest.mark.parametrize("format", ["memory", "binary_folder", "zarr"])
def test_sparse_analyzers_decode_the_same(recorded, analyzers, behavior, format, tmp_path):
    recording, sorting = recorded
    mask = np.arange(4) // 2 == np.arange(5)[:, None] % 2  # each unit on two of the four channels
    sparsity = ChannelSparsity(mask, sorting.unit_ids, recording.channel_ids)
    sparse = {"sparsity": sparsity, "main_channel_indices": mask.argmax(axis=1)}
    analyzer = make_analyzer(recording, sorting, format, tmp_path, **sparse)
    analyzer.compute("poyo_decoding", behavior=behavior, **QUICK)
    former = analyzers["memory"].get_extension("poyo_decoding")
    np.testing.assert_array_equal(analyzer.get_extension("poyo_decoding").data["decoded"], former.data["decoded"])
    merged = analyzer.merge_units([["u0", "u2"]], sparsity_overlap=0.0)
    assert_rows_are_those_of(merged.get_extension("poyo_decoding"), former, ["u1", "u3", "u4"])
    selected = analyzer.select_units(["u4", "u1"])
    assert_rows_are_those_of(selected.get_extension("poyo_decoding"), former, ["u4", "u1"])


def test_a_merge_says_what_must_be_computed_again(analyzers):
    with pytest.warns(UserWarning, match=r"poyo_decoding: .*u0.*u1.* analyzer.compute\('poyo_decoding'"):
        merged = analyzers["memory"].merge_units([["u0", "u1"]])
    (new,) = merged.get_extension("poyo_decoding").units_to_recompute
    selected = merged.select_units([new, "u4"]).get_extension("poyo_decoding")
    assert selected.units_to_recompute == [new]
    assert len(selected.data["curation"]["events"]) == 2
    with pytest.raises(ValueError, match="not there at fit"):
        selected.get_decoder().predict(merged)


def test_a_merged_unit_is_not_taken_for_one_that_had_its_id(analyzers):
    with pytest.warns(UserWarning, match="poyo_decoding"):
        merged = analyzers["memory"].merge_units([["u0", "u1"]], new_unit_ids=["u0"])
    extension = merged.get_extension("poyo_decoding")
    assert extension.units_to_recompute == ["u0"]
    with pytest.raises(ValueError, match=r"'u0'.*not there at fit"):
        extension.get_decoder().decode(merged)
    times = analyzers["memory"].get_extension("poyo_decoding").get_data()["times"]
    assert np.isfinite(extension.get_decoder().predict(merged.select_units(["u2", "u3", "u4"]), times)).all()


def test_an_analyzer_that_was_loaded_before_the_plugin(analyzers):
    code = f"""
import warnings
warnings.simplefilter("ignore")
from spikeinterface.core import ChannelSparsity, load_sorting_analyzer
analyzers = [load_sorting_analyzer({str(analyzers["zarr"].folder)!r}, lazy=lazy) for lazy in (False, True)]
import spikeinterface_poyo
for analyzer in analyzers:
    extension = analyzer.select_units(["u2"]).get_extension("poyo_decoding") or analyzer.get_extension("poyo_decoding")
    print(extension.data["decoded"].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["(240, 1)", "(240, 1)"]
