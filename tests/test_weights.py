"""Weights on disk: whole or not at all, readable anywhere, never pickled."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.exceptions import NotFittedError

import spikeinterface_poyo
from spikeinterface_poyo import POYOClassifier, POYODecoder
from spikeinterface_poyo import versions as versions_module
from spikeinterface_poyo.inputs.behavior_files import read_behavior
from spikeinterface_poyo.weights import files, older_formats
from spikeinterface_poyo.weights.digests import digest_of

pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(n_outputs=2)


@pytest.fixture(scope="module")
def fitted(session, small_decoder):
    return small_decoder().fit(session.spikes, session.behavior, session_id="monday")


def weights_file(folder: Path) -> Path:
    (file,) = folder.glob("*.safetensors")
    return file


def edit(folder: Path, **changes: object) -> None:
    file = folder / files.DESCRIPTION
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_loaded_decoder_is_the_saved_one(session, fitted, folder):
    loaded = POYODecoder.from_pretrained(folder, device="cpu")
    np.testing.assert_array_equal(loaded.predict(session.spikes), fitted.predict(session.spikes))
    assert loaded.score(session.spikes, session.behavior) == fitted.score(session.spikes, session.behavior)
    assert loaded.get_params() == fitted.get_params() | {"pretrained": str(folder)}
    assert loaded.sessions_ == fitted.sessions_
    fitted_attributes = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}
    assert fitted_attributes == {name for name in vars(loaded) if name.endswith("_") and not name.startswith("_")}
    for name in ("loss_curve_", "validation_scores_", "n_iter_", "interrupted_", "n_outputs_", "best_loss_"):
        assert getattr(loaded, name) == getattr(fitted, name)
    for name, weight in fitted.network_.state_dict().items():
        assert torch.equal(loaded.network_.state_dict()[name], weight)


def test_paths_may_begin_at_home(session, fitted, small_decoder, tmp_path, monkeypatch):
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    fitted.save_pretrained("~/decoder")
    fitted.to_torch_brain("~/decoder.ckpt")
    for source in ("~/decoder", Path("~/decoder"), "~/decoder.ckpt"):
        assert len(POYODecoder.from_pretrained(source).sessions_.sessions) == 1
    np.savez(tmp_path / "home" / "behavior.npz", times=session.times, values=session.values)
    resolved = read_behavior("~/behavior.npz")
    np.testing.assert_array_equal(resolved.times, session.times)
    small_decoder(checkpoint="~/run.safetensors").fit(session.spikes, session.behavior)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]  # no folder called ~
    monkeypatch.chdir(tmp_path / "home" / "decoder")
    with pytest.raises(FileNotFoundError, match="there are no pretrained weights ''"):
        POYODecoder.from_pretrained("")  # which is not the folder that one is in


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_a_string_or_a_path(fitted, tmp_path, kind):
    fitted.save_pretrained(kind(tmp_path / "deep" / "decoder"))
    assert POYODecoder.from_pretrained(kind(tmp_path / "deep" / "decoder")).sessions_ == fitted.sessions_


def test_units_of_measure_and_names_are_kept(session, small_decoder, tmp_path):
    import neo
    import quantities as pq

    velocity = neo.AnalogSignal(
        session.values, units="cm/s", sampling_rate=10 * pq.Hz, array_annotations={"channel_names": ["vx", "vy"]}
    )
    decoder = small_decoder().fit(session.spikes, velocity)
    decoder.save_pretrained(tmp_path)
    loaded = POYODecoder.from_pretrained(tmp_path)
    assert loaded.sessions_.readouts == decoder.sessions_.readouts
    assert loaded.sessions_.readouts["behavior"].output_names == ("vx", "vy")
    assert loaded.decode(session.spikes).units == pq.cm / pq.s


def test_decoders_of_counts_keep_their_features(small_decoder, tmp_path):
    pandas = pytest.importorskip("pandas")
    counts = pandas.DataFrame(np.random.default_rng(0).poisson(2.0, (80, 3)), columns=["a", "b", "c"])
    decoder = small_decoder().fit(counts, counts["a"].to_numpy() * 1.0)
    decoder.save_pretrained(tmp_path)
    loaded = POYODecoder.from_pretrained(tmp_path, device="cpu")
    np.testing.assert_array_equal(loaded.predict(counts), decoder.predict(counts))
    assert loaded.n_features_in_ == 3
    np.testing.assert_array_equal(loaded.feature_names_in_, ["a", "b", "c"])


@pytest.mark.parametrize("random_state", [None, 3, np.int64(3), np.random.RandomState(0)])
def test_any_random_state_can_be_saved(fitted, tmp_path, random_state):
    fitted.save_pretrained(tmp_path)
    decoder = POYODecoder.from_pretrained(tmp_path).set_params(random_state=random_state)
    decoder.save_pretrained(tmp_path / "again")
    assert POYODecoder.from_pretrained(tmp_path / "again").random_state in (None, 3)


def test_fitting_a_loaded_decoder_adapts_its_weights(session, small_decoder, folder):
    loaded = POYODecoder.from_pretrained(folder, device="cpu")
    again = loaded.fit(session.spikes, session.behavior, session_id="monday")
    other = small_decoder(pretrained=folder).fit(session.spikes, session.behavior, session_id="monday")
    np.testing.assert_array_equal(again.predict(session.spikes), other.predict(session.spikes))


def test_the_folder_holds_safetensors_and_json_only(folder):
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".safetensors"]
    raw = weights_file(folder).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert all(entry["dtype"] == "F32" for name, entry in header.items() if name != "__metadata__")
    description = json.loads((folder / files.DESCRIPTION).read_text())
    assert description["format_version"] == files.FORMAT_VERSION
    assert {"spikeinterface_poyo", "torch", "numpy", "spikeinterface"} <= description["provenance"].keys()


@pytest.mark.parametrize("labels", [(0, 1), (False, True), ("left", "right")])
@pytest.mark.parametrize("scalar", [False, True], ids=["plain", "numpy"])
def test_weights_of_classes_keep_their_labels(session, small_decoder, tmp_path, labels, scalar):
    given = np.array(labels)[(session.values[:, 0] > 0).astype(int)]
    keys = np.unique(given) if scalar else labels
    parameters = small_decoder().get_params() | {"class_weight": dict(zip(keys, (1.0, 9.0), strict=True))}
    POYOClassifier(**parameters).fit(session.spikes, (session.times, given)).save_pretrained(tmp_path)
    loaded = POYOClassifier.from_pretrained(tmp_path)
    assert loaded.class_weight == dict(zip(labels, (1.0, 9.0), strict=True))
    loaded.partial_fit(session.spikes, (session.times, given), session_id="next", behavior_name="again")
    assert loaded.sessions_.readouts["again"].class_weight == (1.0, 9.0)


def test_a_classifier_needs_labels(folder):
    with pytest.raises(ValueError, match=r"know no labels: load them with POYODecoder\.from_pretrained"):
        POYOClassifier.from_pretrained(folder)


def test_a_device_may_be_torchs(session, small_decoder, tmp_path):
    small_decoder(device=torch.device("cpu")).fit(session.spikes, session.behavior).save_pretrained(tmp_path)
    assert POYODecoder.from_pretrained(tmp_path, device="cpu").predict(session.spikes).shape[1] == 2


def test_a_folder_may_be_called_like_a_checkpoint(session, fitted, tmp_path):
    fitted.save_pretrained(tmp_path / "decoder.pt")
    loaded = POYODecoder.from_pretrained(tmp_path / "decoder.pt", device="cpu")
    np.testing.assert_array_equal(loaded.predict(session.spikes), fitted.predict(session.spikes))


def test_saving_removes_weights_that_nothing_names_when_they_are_old_and_no_other_file(fitted, folder, small_decoder):
    kept = [folder / "notes.txt", folder / "model-000000000000.safetensors"]
    abandoned = [folder / f"model-{12 * digit}.safetensors" for digit in "12"]
    for file in (*kept, *abandoned):
        file.write_text("")
    for file in abandoned:
        os.utime(file, (0, 0))
    edit(folder, weights="notes.txt")
    fitted.save_pretrained(folder)
    assert all(file.exists() for file in kept)
    assert not any(file.exists() for file in abandoned)


def test_two_writers_do_not_disturb_each_other(session, fitted, small_decoder, tmp_path):
    other = small_decoder(random_state=1).fit(session.spikes, session.behavior)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(decoder.save_pretrained, tmp_path) for decoder in 20 * [fitted, other]]:
            done.result()
    last = POYODecoder.from_pretrained(tmp_path).predict(session.spikes)
    assert any(np.array_equal(last, decoder.predict(session.spikes)) for decoder in (fitted, other))


def test_a_decoder_that_is_saved_again_while_another_replaces_it_is_whole(
    session, fitted, small_decoder, tmp_path, monkeypatch
):
    other = small_decoder(random_state=1).fit(session.spikes, session.behavior)
    fitted.save_pretrained(tmp_path)
    replace_file, calls = files.replace_file, []

    def with_another_between(file, contents):
        calls.append(file)
        if len(calls) == 2:  # the weights are written, and not named yet
            other.save_pretrained(tmp_path)
        replace_file(file, contents)

    monkeypatch.setattr(files, "replace_file", with_another_between)
    fitted.save_pretrained(tmp_path)
    given = session.spikes, session.times
    np.testing.assert_array_equal(POYODecoder.from_pretrained(tmp_path).predict(*given), fitted.predict(*given))


def test_weights_that_are_named_anew_meanwhile_stay(session, fitted, small_decoder, tmp_path, monkeypatch):
    other = small_decoder(random_state=1).fit(session.spikes, session.behavior)
    fitted.save_pretrained(tmp_path)
    replace_file, calls = files.replace_file, []

    def with_another_after(file, contents):
        replace_file(file, contents)
        calls.append(file)
        if len(calls) == 2:  # the other one is named, and the first is about to be removed
            fitted.save_pretrained(tmp_path)

    monkeypatch.setattr(files, "replace_file", with_another_after)
    other.save_pretrained(tmp_path)
    given = session.spikes, session.times
    np.testing.assert_array_equal(POYODecoder.from_pretrained(tmp_path).predict(*given), fitted.predict(*given))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_another_precision_are_saved(session, fitted, tmp_path, dtype):
    other = copy.deepcopy(fitted)
    other.network_.to(dtype)
    other.save_pretrained(tmp_path)
    loaded = POYODecoder.from_pretrained(tmp_path).network_
    for name, weight in other.network_.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], weight.float(), rtol=0, atol=0)


def test_an_empty_path_is_not_the_working_directory(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="got an empty path"):
        fitted.save_pretrained("")
    assert not list(tmp_path.iterdir())


def test_loading_never_unpickles(folder, session, monkeypatch):
    import pickle

    def refuse(*args, **kwargs):
        raise AssertionError("a pickle was read")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    POYODecoder.from_pretrained(folder).predict(session.spikes)


def test_a_file_does_not_say_where_to_write(session, fitted, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere" / "state"
    honest = files.plain_parameters
    monkeypatch.setattr(files, "plain_parameters", lambda decoder: honest(decoder) | {"checkpoint": str(elsewhere)})
    fitted.save_pretrained(tmp_path / "forged")
    decoder = POYODecoder.from_pretrained(tmp_path / "forged").set_params(max_iter=1)
    assert decoder.checkpoint is None
    decoder.fit(session.spikes, session.behavior)
    assert not elsewhere.parent.exists()


def test_loads_in_a_fresh_process(session, fitted, folder, tmp_path):
    np.savez(tmp_path / "spikes.npz", **session.spikes)
    code = (
        "import sys, numpy as np; from spikeinterface_poyo import POYODecoder; "
        "spikes = dict(np.load(sys.argv[2])); "
        "np.save(sys.argv[3], POYODecoder.from_pretrained(sys.argv[1], device='cpu').predict(spikes))"
    )
    out = tmp_path / "predicted.npy"
    subprocess.run([sys.executable, "-c", code, str(folder), str(tmp_path / "spikes.npz"), str(out)], check=True)
    np.testing.assert_allclose(np.load(out), fitted.predict(session.spikes), rtol=0, atol=1e-5)  # threads may differ


def test_a_decoder_that_is_replaced_while_it_is_read_is_read_again(fitted, folder, small_decoder, session, monkeypatch):
    other = small_decoder(random_state=1).fit(session.spikes, session.behavior)
    read_description = files.read_description

    def and_then_replaced(source):
        monkeypatch.setattr(files, "read_description", read_description)
        described = read_description(source)
        other.save_pretrained(folder)
        return described

    monkeypatch.setattr(files, "read_description", and_then_replaced)
    loaded = POYODecoder.from_pretrained(folder)
    assert torch.equal(loaded.network_.readout.weight, other.network_.readout.weight)


def test_saving_replaces_an_older_decoder(session, fitted, folder, small_decoder):
    other = small_decoder(dim=24, random_state=1).fit(session.spikes, session.behavior, session_id="tuesday")
    other.save_pretrained(folder)
    loaded = POYODecoder.from_pretrained(folder, device="cpu")
    np.testing.assert_array_equal(loaded.predict(session.spikes), other.predict(session.spikes))
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("failing", ["safetensors", "json.dumps", "first move", "second move"])
def test_a_failed_save_leaves_the_older_decoder_whole(session, fitted, folder, small_decoder, monkeypatch, failing):
    other = small_decoder(dim=24, random_state=1).fit(session.spikes, session.behavior, session_id="tuesday")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    calls, real_replace = [], os.replace

    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    def fail_at_a_move(*args, **kwargs):
        calls.append(args)
        if len(calls) == (1 if failing == "first move" else 2):
            fail()
        return real_replace(*args, **kwargs)

    if failing == "safetensors":
        monkeypatch.setattr(files, "to_safetensors", fail)
    elif failing == "json.dumps":
        monkeypatch.setattr(files.json, "dumps", fail)
    else:
        monkeypatch.setattr(os, "replace", fail_at_a_move)
    with pytest.raises(OSError, match="no space"):
        other.save_pretrained(folder)
    monkeypatch.undo()
    assert before.items() <= {path.name: path.read_bytes() for path in folder.iterdir()}.items()
    loaded = POYODecoder.from_pretrained(folder, device="cpu")
    np.testing.assert_array_equal(loaded.predict(session.spikes), fitted.predict(session.spikes))


def test_unfitted_cannot_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        POYODecoder().save_pretrained(tmp_path / "decoder")
    assert not (tmp_path / "decoder").exists()


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_missing_file_is_named(folder, suffix):
    (file,) = folder.glob(f"*{suffix}")
    file.unlink()
    with pytest.raises(FileNotFoundError, match=file.name):
        POYODecoder.from_pretrained(folder)


def test_no_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        POYODecoder.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: b"\xff" * 100])
def test_a_damaged_file_is_an_error(folder, suffix, damage):
    (file,) = folder.glob(f"*{suffix}")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match="damaged"):
        POYODecoder.from_pretrained(folder)


def test_weights_that_are_a_folder_are_missing(folder):
    edit(folder, weights=".")
    with pytest.raises(FileNotFoundError, match="it lacks"):
        POYODecoder.from_pretrained(folder)


@pytest.mark.parametrize("change", [{"sessions": {}}, {"network": {}}, {"vocabulary": None}, {"weights": 3}])
def test_a_description_that_does_not_fit_is_an_error(folder, change):
    edit(folder, **change)
    with pytest.raises(ValueError, match="damaged"):
        POYODecoder.from_pretrained(folder)


def test_a_folder_of_something_else_is_an_error(folder):
    (folder / files.DESCRIPTION).write_text('{"model_type": "llama"}')
    with pytest.raises(ValueError, match="damaged"):
        POYODecoder.from_pretrained(folder)


def test_a_newer_format_asks_for_an_upgrade(folder):
    edit(folder, format_version=files.FORMAT_VERSION + 1)
    with pytest.raises(ValueError, match="upgrade"):
        POYODecoder.from_pretrained(folder)


def test_a_description_cannot_name_weights_outside_its_folder(folder):
    description = json.loads((folder / files.DESCRIPTION).read_text())
    elsewhere = Path(folder.parent, description["weights"])
    (folder / description["weights"]).rename(elsewhere)
    for name in (f"../{elsewhere.name}", str(elsewhere)):
        (folder / files.DESCRIPTION).write_text(json.dumps(description | {"weights": name}))
        with pytest.raises(FileNotFoundError, match="it lacks"):
            POYODecoder.from_pretrained(folder)


def test_no_place_of_the_users_machine_is_saved():
    parameters = files.plain_parameters(POYODecoder(pretrained="/home/me/base", checkpoint="/home/me/state"))
    assert (parameters["pretrained"], parameters["checkpoint"]) == (None, None)


def test_a_decoder_that_was_interrupted_is_still_when_loaded(simulate, small_decoder, brief_training, tmp_path):
    made = simulate(duration=20.0)
    decoder = small_decoder(early_stopping=False).fit(made.spikes, made.behavior)
    decoder.interrupted_ = True
    decoder.save_pretrained(tmp_path)
    assert POYODecoder.from_pretrained(tmp_path, device="cpu").interrupted_ is True


def test_version_1_tells_of_an_interrupt():
    target = {"mean": [0.0], "scale": [1.0], "units": None, "names": None, "one_dimensional": True}
    training = {"loss_curve_": [1.0], "validation_scores_": None, "interrupted_": True}
    new = older_formats.with_named_behavior({"target": target, "sessions": {}, "training": training})
    assert new["training"] == {"losses": [1.0], "scores": [], "interrupted": True}


def test_a_decoder_has_the_same_bytes_whenever_it_is_saved(fitted, tmp_path):
    for i in range(4):
        fitted.save_pretrained(tmp_path / str(i))
    assert len({file.name for file in tmp_path.glob("*/*.safetensors")}) == 1
    assert len({file.read_bytes() for file in tmp_path.glob("*/*.safetensors")}) == 1


def test_a_file_of_version_5_has_its_digest_beside_the_description(fitted, tmp_path):
    fitted.save_pretrained(tmp_path)
    description, state = files.read(tmp_path)
    description["format_version"] = 5
    for digest, good in ((digest_of(description, state), True), ("0", False)):
        metadata = {"description": json.dumps(description), "digest": digest}
        save_file(state, tmp_path / "five.safetensors", metadata=metadata)
        if good:
            POYODecoder.from_pretrained(tmp_path / "five.safetensors", device="cpu")
        else:
            with pytest.raises(ValueError, match="digest differs"):
                POYODecoder.from_pretrained(tmp_path / "five.safetensors")


def test_a_package_that_was_copied_and_not_installed_saves(session, fitted, monkeypatch, tmp_path):
    def unknown(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(versions_module, "version", unknown)
    fitted.save_pretrained(tmp_path)
    versions = json.loads((tmp_path / "decoder.json").read_text())["provenance"]
    assert (versions["spikeinterface_poyo"], versions["torch"]) == (spikeinterface_poyo.__version__, "unknown")
    np.testing.assert_array_equal(
        POYODecoder.from_pretrained(tmp_path, device="cpu").predict(session.spikes), fitted.predict(session.spikes)
    )
