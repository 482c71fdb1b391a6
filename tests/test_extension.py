"""The extension `poyo_decoding`: what it computes and keeps, and what it refuses before any work."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import SimpleNamespace

import neo
import numpy as np
import pytest
import quantities as pq
from analyzers import QUICK, SMALL, T_START, make_analyzer, make_recording
from sklearn.metrics import r2_score
from spikeinterface.core import get_default_analyzer_extension_params, load_sorting_analyzer
from spikeinterface.core.job_tools import job_keys

from spikeinterface_poyo import POYODecoder, compute_poyo_decoding, get_unit_metrics, set_unit_properties
from spikeinterface_poyo.fitted.known_session import KnownSession
from spikeinterface_poyo.postprocessing.extension import ComputePOYODecoding
from spikeinterface_poyo.postprocessing.extension_run import decoded_signals, forget_units
from spikeinterface_poyo.postprocessing.stored_behavior import as_parameter
from spikeinterface_poyo.postprocessing.stored_decoder import make_decoder

pytestmark = [
    pytest.mark.filterwarnings("ignore:poyo_decoding:UserWarning", "ignore:The extractor is not serializable"),
    pytest.mark.usefixtures("brief_training"),
]


@pytest.fixture(scope="module")
def simulated(simulate):
    return simulate(n_units=4, duration=24.0, n_outputs=2, silent=1)


@pytest.fixture(scope="module")
def recorded(simulated, tmp_path_factory):
    return make_recording(tmp_path_factory.mktemp("recording") / "recording", simulated, 24.0)


@pytest.fixture(scope="module")
def velocity(simulated) -> neo.AnalogSignal:
    names = {"channel_names": np.array(["v_x", "v_y"])}
    return neo.AnalogSignal(
        simulated.values, "cm/s", sampling_rate=10 * pq.Hz, t_start=T_START * pq.s, array_annotations=names
    )


@pytest.fixture(scope="module")
def computed(recorded, velocity):
    """An analyzer in memory with the extension, that no test changes."""
    analyzer = make_analyzer(*recorded, "memory", None)
    analyzer.compute("poyo_decoding", behavior=velocity, **QUICK)
    return analyzer


@pytest.fixture(scope="module")
def extension(computed):
    return computed.get_extension("poyo_decoding")


def test_every_sample_is_decoded_by_the_fold_that_tests_on_it(extension, simulated):
    data = extension.get_data()
    np.testing.assert_allclose(data["times"], T_START + simulated.times)
    np.testing.assert_array_equal(data["targets"], simulated.values)
    assert np.isfinite(data["decoded"]).all()
    np.testing.assert_array_equal(data["fold"], np.arange(240) >= 120)
    assert extension.r2 == pytest.approx(r2_score(data["targets"], data["decoded"]))
    per_fold = [r2_score(data["targets"][data["fold"] == k], data["decoded"][data["fold"] == k]) for k in (0, 1)]
    np.testing.assert_allclose(extension.data["fold_r2"], per_fold)


def test_outputs(extension):
    signal = extension.get_data(outputs="neo")
    assert signal.units == pq.Quantity(1, "cm/s")
    assert list(signal.array_annotations["channel_names"]) == ["v_x", "v_y"]
    np.testing.assert_array_equal(signal.magnitude, extension.data["decoded"])
    by_unit = extension.get_data(outputs="by_unit")
    assert list(by_unit) == ["u0", "u1", "u2", "u3"]
    assert np.isnan(by_unit["u0"]["embedding"]).all()  # it never fires
    assert by_unit["u0"]["silenced"] == by_unit["u0"]["shifted"] == 0
    assert by_unit["u0"]["shifted_p"] == 1
    assert by_unit["u1"]["embedding"].shape == (SMALL["dim"],)
    with pytest.raises(ValueError, match="outputs must be 'numpy', 'by_unit' or 'neo', got 'pandas'"):
        extension.get_data(outputs="pandas")


def test_the_decoder_is_kept_and_decodes_again(extension, computed):
    assert extension.data["decoder"].dtype == np.uint8
    decoder = extension.get_decoder()
    assert decoder.device == "auto"
    decoded = decoder.decode(computed, times=np.arange(101.0, 120))
    assert decoded.units == pq.Quantity(1, "cm/s")
    table = decoder.network_.unit_emb.weight.detach().numpy()
    np.testing.assert_array_equal(extension.data["unit_embeddings"][1:], table[1:])


def test_provenance(extension):
    provenance = extension.data["provenance"]
    assert provenance["clocks"] == [{"source": "recording", "t_start": T_START, "t_stop": T_START + 24.0}]
    assert set(provenance["versions"]) == {"spikeinterface_poyo", "spikeinterface", "torch", "numpy"}
    assert provenance["importance"]["n_windows"] <= 10
    json.dumps(provenance)


def test_the_function_is_the_method(recorded, velocity, extension, tmp_path):
    analyzer = make_analyzer(*recorded, "memory", None)
    decoder = POYODecoder(**SMALL, checkpoint=tmp_path / "run.safetensors")
    arrays = compute_poyo_decoding(analyzer, velocity, **{**QUICK, "decoder": decoder})
    assert not list(tmp_path.iterdir())  # folds are different fits, which cannot share it
    for name, value in extension.get_data().items():
        np.testing.assert_array_equal(arrays[name], value)
    again = analyzer.get_extension("poyo_decoding")
    np.testing.assert_array_equal(again.data["unit_importance"], extension.data["unit_importance"])
    assert again.params["decoder"] == extension.params["decoder"]


def test_pretrained_weights_by_path_and_behaviour_by_path(recorded, simulated, extension, tmp_path, monkeypatch):
    extension.get_decoder().save_pretrained(tmp_path / "decoder")
    np.savez(tmp_path / "velocity.npz", times=simulated.times + T_START, values=simulated.values, units="cm/s",
             names=["v_x", "v_y"])  # fmt: skip
    analyzer = make_analyzer(*recorded, "zarr", tmp_path)
    paths = {"behavior": tmp_path / "velocity.npz", "decoder": tmp_path / "decoder"}
    monkeypatch.chdir(tmp_path)
    relative = {name: path.name for name, path in paths.items()}
    analyzer.compute({"poyo_decoding": {**relative, "n_folds": 2, "importance": False}}, progress_bar=False)
    adapted = load_sorting_analyzer(analyzer.folder).get_extension("poyo_decoding")
    assert adapted.params["behavior"] == str(paths["behavior"])
    assert adapted.params["decoder"] == str(paths["decoder"])
    assert adapted.get_importance() is None
    assert adapted.get_data("neo").units == pq.Quantity(1, "cm/s")
    assert not any(name.startswith("behavior_") for name in adapted.data)


def test_paths_of_segments_are_kept_as_absolute_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert as_parameter(["a.npz", "b.npz"]) == [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]


def test_metrics_table_and_properties(computed, extension):
    table = get_unit_metrics(computed)
    assert list(table.index) == list(computed.unit_ids)
    np.testing.assert_array_equal(table["poyo_shifted"], extension.data["unit_importance"]["shifted"])
    set_unit_properties(computed)
    np.testing.assert_array_equal(computed.get_sorting_property("poyo_silenced_p"), table["poyo_silenced_p"])


def test_no_importance_is_told(recorded):
    with pytest.raises(ValueError, match=r"compute it with analyzer.compute\('poyo_decoding'"):
        get_unit_metrics(make_analyzer(*recorded, "memory", None))


def test_no_parameter_is_taken_for_a_job_parameter():
    taken = {*job_keys, "save", "verbose", "extension_params"}
    parameters = set(inspect.signature(ComputePOYODecoding._set_params).parameters) - {"self"}
    assert parameters.isdisjoint(taken)
    assert set(get_default_analyzer_extension_params("poyo_decoding")) == parameters
    function = inspect.signature(compute_poyo_decoding).parameters
    for name, default in get_default_analyzer_extension_params("poyo_decoding").items():
        assert name == "behavior" or function[name].default == default


def tuned(**given):
    return {"behavior": (np.arange(100.0, 124, 0.1), np.ones(240)), **given}


REFUSED = {
    "no behaviour": ({}, ValueError, "needs behavior="),
    "no file": ({"behavior": "nowhere.npz"}, FileNotFoundError, "nowhere.npz"),
    "paths and signals": ({"behavior": ["a.npz", (np.arange(9.0), np.ones(9))]}, ValueError, "has paths and signals"),
    "another clock": ({"behavior": (np.arange(9.0), np.ones(9))}, ValueError, "do not overlap in time"),
    "lengths differ": ({"behavior": (np.arange(9.0), np.ones(8))}, ValueError, r"shapes \(n,\)"),
    "a series of no file": (tuned(series="x"), ValueError, "series='x'"),
    "several": ({"behavior": {"x": (np.arange(9.0), np.ones(9))}}, ValueError, r"one behaviour; give one of \['x'\]"),
    "written parameters": ({"behavior": {"stored": True}}, ValueError, "another analyzer's extension"),
    "folds": (tuned(n_folds=1), ValueError, "n_folds must be an integer of at least 2"),
    "gap": (tuned(gap=30.0), ValueError, "trains on 0 samples"),
    "windows": (tuned(n_windows=0), ValueError, "n_windows must be an integer of at least 1"),
    "seed": (tuned(random_state=None), ValueError, "random_state must be an integer"),
    "importance": (tuned(importance="yes"), ValueError, "importance must be True or False"),
    "kind of decoder": (tuned(decoder=3), TypeError, "got int"),
    "decoder's parameter": (tuned(decoder={"dimm": 3}), ValueError, "dimm"),
    "decoder's kinds": (tuned(decoder={"verbose": Path("here")}), TypeError, "are kept as JSON, and .*Path cannot"),
    "decoder's range": (tuned(decoder={"dim_head": 3}), ValueError, "multiple of 4"),
    "decoder's seed": (
        tuned(decoder=POYODecoder(random_state=np.random.RandomState(0))), ValueError, "random_state of the decoder"
    ),
    "no weights": (tuned(decoder="./nothing_here"), (FileNotFoundError, ValueError), "nothing_here"),
    "labels": (tuned(behavior_type="categorical"), ValueError, "all labels are 1.0: there is nothing to decode"),
    "kind": (tuned(behavior_type="round"), ValueError, "behavior_type must be 'continuous', 'circular'"),
    "unknown parameter": (tuned(folds=3), TypeError, "folds"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_any_work_and_what_there_was_stays(computed, extension, case, monkeypatch):
    parameters, error, message = REFUSED[case]
    monkeypatch.setattr(POYODecoder, "fit", lambda *_, **__: pytest.fail("nothing is to be trained"))
    with pytest.raises(error, match=message):
        computed.compute("poyo_decoding", **parameters)
    assert computed.get_extension("poyo_decoding") is extension
    assert len(extension.get_data()["decoded"]) == 240


def test_held_out_behaviour_is_in_order_of_time_whatever_order_samples_were_in():
    arrays = {
        "segment_index": np.array([1, 0, 0, 1]),
        "times": np.array([0.2, 0.3, 0.1, 0.1]),
        "decoded": np.array([[4.0], [2.0], [1.0], [3.0]]),
    }
    signals = decoded_signals(arrays, {"units": "cm", "names": None})
    for signal, times, values in zip(signals, [[0.1, 0.3], [0.1, 0.2]], [[1.0, 2.0], [3.0, 4.0]], strict=True):
        np.testing.assert_allclose(signal.times.rescale("s").magnitude, times)
        np.testing.assert_array_equal(signal.magnitude[:, 0], values)


def test_the_default_decoder_has_the_seed_that_was_given():
    assert make_decoder(None, 7, False)[1].random_state == 7
    for given in ({"dim": 16}, POYODecoder(dim=16)):
        kept, decoder = make_decoder(given, 7, False)
        assert (kept, decoder.random_state) == ({"dim": 16}, 7)
    assert make_decoder({"random_state": 3}, 7, False)[1].random_state == 3


def test_a_changed_unit_is_not_taken_for_a_silent_one_that_had_its_id():
    known = KnownSession(
        unit_names=["a"],
        first_unit_row=1,
        session_row=1,
        sample_interval=0.1,
        clocks=["frames"],
        isolated_rows=False,
        readouts=("behavior",),
        by_name=False,
        silent_units=["quiet"],
        labelled_seconds=1.0,
    )
    decoder = SimpleNamespace(sessions_=SimpleNamespace(sessions={"session_0": known}))
    forget_units(decoder, ["quiet"])
    assert decoder.sessions_.sessions["session_0"].silent_units != ["quiet"]
    assert decoder.sessions_.sessions["session_0"].unit_names == ["a"]


def test_properties_are_saved_with_an_analyzer_that_can_be_written():
    table, given = np.zeros(2, dtype=[("silenced", "f8"), ("shifted", "f8")]), []

    def analyzer(read_only: bool) -> SimpleNamespace:
        return SimpleNamespace(
            has_extension=lambda _: True,
            get_extension=lambda _: SimpleNamespace(get_importance=lambda: table),
            is_read_only=lambda: read_only,
            set_sorting_property=lambda name, values, save: given.append((name, save)),
        )

    for read_only in (False, True):
        set_unit_properties(analyzer(read_only))
    assert given == [("poyo_silenced", True), ("poyo_shifted", True), ("poyo_silenced", False), ("poyo_shifted", False)]
