"""Weights in and out of `POYODecoder`, from wherever they come."""

from __future__ import annotations

import copy
import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spikeinterface_poyo import POYOClassifier, POYODecoder, align
from spikeinterface_poyo.fitted.learned import Origin
from spikeinterface_poyo.weights import fetching, files, pretrained
from spikeinterface_poyo.weights.digests import digest_of
from spikeinterface_poyo.weights.torch_brain_format import read_checkpoint

pytestmark = pytest.mark.usefixtures("brief_training")

FIXTURE = Path(__file__).parent / "data" / "torch_brain_012.ckpt"


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(n_outputs=2)


@pytest.fixture(scope="module")
def fitted(session, small_decoder):
    return small_decoder(early_stopping=False).fit(session.spikes, session.behavior, session_id="monday")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Address of a server of the files in ``tmp_path``, with a cache of its own."""
    monkeypatch.setenv(fetching.CACHE_VARIABLE, str(tmp_path / "cache"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


class TestOurFiles:
    def test_the_file_of_weights_is_enough(self, folder, fitted, session, tmp_path):
        alone = shutil.copy(files.weights_file(folder), tmp_path / "alone.safetensors")
        loaded = POYODecoder.from_pretrained(alone, device="cpu")
        np.testing.assert_array_equal(loaded.predict(session.spikes), fitted.predict(session.spikes))
        assert loaded.sessions_ == fitted.sessions_

    def test_from_an_address(self, folder, server, session, small_decoder):
        address = f"{server}/decoder/{files.weights_file(folder).name}"
        digest = fetching.sha256_of(files.weights_file(folder))
        one, other = (small_decoder(pretrained=source) for source in (folder, f"{address}#sha256={digest}"))
        for decoder in (one, other):
            decoder.partial_fit(session.spikes, session.behavior, session_id="tuesday")
        predicted = [decoder.predict(session.spikes, session_id="tuesday") for decoder in (one, other)]
        np.testing.assert_array_equal(*predicted)

    def test_a_wrong_hash_is_refused_before_training(self, folder, server, session, small_decoder, tmp_path):
        address = f"{server}/decoder/{files.weights_file(folder).name}#sha256={'0' * 64}"
        with pytest.raises(ValueError, match="0000"):
            small_decoder(pretrained=address).fit(session.spikes, session.behavior)
        assert not list((tmp_path / "cache").rglob("*.safetensors"))

    @pytest.mark.parametrize("where", ["folder", "file"])
    def test_altered_weights_are_refused(self, folder, where):
        file = files.weights_file(folder)
        state = load_file(file)
        with files.safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata()
        state["readout.bias"] += 1e-3
        save_file(state, file, metadata=metadata)
        with pytest.raises(ValueError, match=r"damaged.*digest differs"):
            POYODecoder.from_pretrained(folder if where == "folder" else file)

    def test_an_altered_description_is_refused(self, folder):
        file = folder / files.DESCRIPTION
        text = file.read_text()
        file.write_text(text.replace('"u3"', '"u9"'))
        assert file.read_text() != text
        with pytest.raises(ValueError, match=r"damaged.*digest differs"):
            POYODecoder.from_pretrained(folder)

    def test_a_truncated_file_is_refused(self, folder):
        file = files.weights_file(folder)
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(ValueError, match="damaged"):
            POYODecoder.from_pretrained(file)

    def test_safetensors_of_something_else_are_refused(self, tmp_path):
        save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
        with pytest.raises(ValueError, match="expected one that save_pretrained wrote"):
            POYODecoder.from_pretrained(tmp_path / "other.safetensors")

    @pytest.mark.parametrize("kind", [int, bool])
    def test_format_version_4_still_loads(self, session, small_decoder, tmp_path, kind):
        """In version 4 labels that were keys of class_weight were text."""
        labels = (session.values[:, 0] > 0).astype(int)
        X, y = align(session.spikes, (session.times, labels))
        weight = {kind(0): 1.0, kind(1): 9.0}
        parameters = small_decoder(class_weight=weight).get_params()
        fitted = POYOClassifier(**parameters).fit(X, y.astype(kind)).calibrate(X, y.astype(kind), cv="prefit")
        fitted.save_pretrained(tmp_path)
        description, state = files.read(tmp_path)
        description["parameters"]["class_weight"] = json.loads(json.dumps(weight))
        description["format_version"] = 4
        digest, file = digest_of(description, state), files.weights_file(tmp_path).name
        (tmp_path / files.DESCRIPTION).write_text(json.dumps(description | {"weights": file, "digest": digest}))
        loaded = POYOClassifier.from_pretrained(tmp_path, device="cpu")
        assert loaded.class_weight == weight
        assert [type(label) for label in loaded.class_weight] == [kind, kind]
        assert loaded.calibration_ == fitted.calibration_

    def test_format_version_2_still_loads(self, folder, fitted, session):
        """In version 2 a session had one behaviour."""
        description, state = files.read(folder)
        known = description["vocabulary"]
        for one in known["sessions"].values():
            (one["readout"],) = one.pop("readouts")
            del one["by_name"]
        del description["parameters"]["class_weight"]
        description["format_version"] = 2
        digest, file = digest_of(description, state), files.weights_file(folder).name
        (folder / files.DESCRIPTION).write_text(json.dumps(description | {"weights": file, "digest": digest}))
        loaded = POYODecoder.from_pretrained(folder, device="cpu")
        np.testing.assert_array_equal(loaded.predict(session.spikes), fitted.predict(session.spikes))

    def test_format_version_1_still_loads(self, folder, fitted, session):
        """Version 1 knew one behaviour, and had no digest."""
        file = folder / files.DESCRIPTION
        new = json.loads(file.read_text())
        readout = new["vocabulary"]["readouts"]["behavior"]
        gone = ("readouts", "by_name", "silent_units", "labelled_seconds")
        sessions = {
            name: {key: value for key, value in known.items() if key not in gone}
            for name, known in new["vocabulary"]["sessions"].items()
        }
        target = {"mean": readout["mean"], "scale": readout["scale"], "units": None, "names": None,
                  "one_dimensional": False}  # fmt: skip
        training = {name: getattr(fitted, name) for name in ("n_iter_", "loss_", "best_loss_", "loss_curve_",
                    "validation_scores_", "best_validation_score_", "interrupted_")}  # fmt: skip
        kept = {key: value for key, value in new.items() if key not in ("vocabulary", "digest")}
        del kept["parameters"]["pretrained"]
        old = kept | {"format_version": 1, "sessions": sessions, "target": target, "training": training}
        file.write_text(json.dumps(old))
        loaded = POYODecoder.from_pretrained(folder, device="cpu")
        np.testing.assert_array_equal(loaded.predict(session.spikes), fitted.predict(session.spikes))
        assert loaded.loss_curve_ == fitted.loss_curve_

    def test_no_private_path_is_saved(self, folder, session, small_decoder, tmp_path):
        again = small_decoder(pretrained=folder, early_stopping=False).fit(session.spikes, session.behavior)
        again.save_pretrained(tmp_path / "again")
        assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in (tmp_path / "again").iterdir())


class TestTorchBrain:
    def test_known_sessions_are_decoded(self):
        decoder = POYODecoder.from_pretrained(FIXTURE, device="cpu")
        checkpoint = read_checkpoint(FIXTURE)
        assert {name: len(known.unit_names) for name, known in decoder.sessions_.sessions.items()} == {
            name: len(units) for name, units in checkpoint.sessions.items()
        }
        name, known = next(iter(decoder.sessions_.sessions.items()))
        rng = np.random.default_rng(0)
        spikes = {unit: np.sort(rng.uniform(0, 10, 50)) for unit in known.unit_names}
        predicted = decoder.predict(spikes, times=np.arange(1, 9), session_id=name)
        assert predicted.shape == (8, checkpoint.config.n_outputs)
        assert np.isfinite(predicted).all()
        with pytest.raises(ValueError, match="give times="):
            decoder.predict(spikes, session_id=name)

    def test_the_suffix_may_be_in_capitals(self, tmp_path):
        decoder = POYODecoder.from_pretrained(shutil.copy(FIXTURE, tmp_path / "MODEL.CKPT"), device="cpu")
        assert list(decoder.sessions_.sessions) == list(read_checkpoint(FIXTURE).sessions)

    @pytest.mark.usefixtures("full_training")
    def test_new_sessions_are_learned(self, session):
        decoder = POYODecoder(pretrained=FIXTURE, max_iter=1, batch_size=32, random_state=0, device="cpu")
        decoder.partial_fit(session.spikes, session.behavior, session_id="new")
        known = POYODecoder.from_pretrained(FIXTURE, device="cpu").network_
        for name, tensor in known.state_dict().items():
            assert torch.equal(decoder.network_.state_dict()[name][: len(tensor)], tensor)
        assert decoder.score(session.spikes, session.behavior, session_id="new") > 0.5

    def test_a_model_of_ours_runs_there(self, fitted, tmp_path):
        """The numbers are compared in test_torch_brain_format."""
        fitted.to_torch_brain(tmp_path / "ours.ckpt")
        checkpoint = read_checkpoint(tmp_path / "ours.ckpt")
        for name, tensor in fitted.network_.state_dict().items():
            torch.testing.assert_close(checkpoint.state[name], tensor, rtol=0, atol=0)
        assert checkpoint.sessions == {"monday": tuple(f"monday/u{i}" for i in range(8))}


def test_pushing_uploads_the_decoder_and_its_card(fitted, session, monkeypatch):
    def push(folder, repo_id, *, private, token):
        assert (repo_id, private, token) == ("lab/decoder", True, None)
        card = Path(folder, "README.md").read_text()
        assert "monday" in card
        assert "0.91" in card
        assert "cc-by-4.0" in card
        loaded = POYODecoder.from_pretrained(folder, device="cpu")
        np.testing.assert_array_equal(loaded.predict(session.spikes), fitted.predict(session.spikes))
        return "https://example.org/lab/decoder"

    monkeypatch.setattr(pretrained.hub, "push", push)
    address = fitted.push_to_hub("lab/decoder", private=True, licence="cc-by-4.0", metrics={"held-out R2": 0.91})
    assert address == "https://example.org/lab/decoder"


class TestOrigins:
    """What is told of weights that training started from, since whoever gets the new ones has those too."""

    def test_of_a_decoder_at_an_address(self, folder, server, fitted, session, small_decoder, tmp_path):
        name = files.weights_file(folder).name
        decoder = small_decoder(pretrained=f"{server}/decoder/{name}?token=secret")
        decoder.fit(session.spikes, session.behavior, session_id="mine")
        (origin,) = decoder.origins_
        monday = fitted.sessions_.sessions["monday"]
        assert origin == Origin(
            f"{server}/decoder/{name}", "spikeinterface_poyo", 1, len(monday.unit_names), monday.labelled_seconds
        )
        assert f"| {origin.source} | spikeinterface_poyo | 1 |" in decoder.model_card()

    def test_they_are_kept(self, folder, session, small_decoder, tmp_path):
        given = session.spikes, session.behavior
        decoder = small_decoder(pretrained=str(folder)).partial_fit(*given, session_id="tuesday")
        origins = decoder.origins_
        assert [(origin.source, origin.n_sessions) for origin in origins] == [(None, 1)]  # a path may be private
        decoder.partial_fit(*given, session_id="wednesday").partial_fit(*given, session_id="monday")
        assert decoder.origins_ == origins
        decoder.save_pretrained(tmp_path / "next")
        assert str(folder) not in (tmp_path / "next" / files.DESCRIPTION).read_text()
        loaded = POYODecoder.from_pretrained(tmp_path / "next")
        assert loaded.origins_ == origins
        adapted = small_decoder(pretrained=tmp_path / "next").fit(*given)
        assert adapted.origins_[:1] == origins
        assert adapted.origins_[1].n_sessions == 3

    def test_a_decoder_pickled_before_there_were_any_is_saved(self, fitted, tmp_path):
        older = copy.deepcopy(fitted)
        del older.origins_
        older.save_pretrained(tmp_path / "older")
        assert POYODecoder.from_pretrained(tmp_path / "older").origins_ == ()

    def test_of_a_warm_start(self, session, small_decoder):
        decoder = small_decoder(warm_start=True)
        for _ in range(3):
            decoder.fit(session.spikes, session.behavior)
        assert len(decoder.origins_) == 1
        assert decoder.set_params(warm_start=False).fit(session.spikes, session.behavior).origins_ == ()

    def test_of_torch_brains_weights(self, session, small_decoder):
        loaded = POYODecoder.from_pretrained(FIXTURE)
        assert [origin.package for origin in loaded.origins_] == ["torch_brain"]
        assert "trained with spikeinterface_poyo" not in loaded.model_card()
        adapted = small_decoder(pretrained=FIXTURE).fit(session.spikes, session.behavior)
        assert adapted.origins_ == loaded.origins_


def test_a_name_of_nothing_is_an_error_before_training(session, small_decoder):
    with pytest.raises(FileNotFoundError, match="no pretrained weights 'poyo_xl'"):
        small_decoder(pretrained="poyo_xl").fit(session.spikes, session.behavior)
