"""Checkpoints: a fit that died goes on to the very numbers it would have reached, and no failure loses the last one."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import quantities as pq
import safetensors
from comparing import assert_same_weights
from safetensors.torch import save_file

from spikeinterface_poyo import POYODecoder, from_counts
from spikeinterface_poyo.training import checkpoints, fingerprints, loop
from spikeinterface_poyo.training.fingerprints import plain
from spikeinterface_poyo.weights.digests import digest_of
from spikeinterface_poyo.weights.replacing import replace_file


class Died(BaseException):
    """Stands for the end of a process: nothing catches it."""


pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(autouse=True)
def checkpoint_after_each_step(monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # what is simulated here is no power failure


@pytest.fixture
def die_at(monkeypatch) -> Callable[[int | None], list]:
    """Function that makes training die after n more gradient steps, or never; it gives a list of steps done."""
    real = loop.training_step

    def set_up(n: int | None) -> list:
        done: list = []

        def step(*args):
            if len(done) == n:
                raise Died
            done.append(None)
            return real(*args)

        monkeypatch.setattr(loop, "training_step", step)
        return done

    return set_up


@pytest.fixture(scope="module")
def session(simulate):
    return simulate()


@pytest.fixture(scope="module")
def base(simulate, small_decoder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    other = simulate(5)
    small_decoder().fit(other.spikes, other.behavior).save_pretrained(folder)
    return folder


def assert_same(one: POYODecoder, other: POYODecoder) -> None:
    """Equal to the bit."""
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_
    assert_same_weights(one, other)


@pytest.mark.parametrize("n_steps", [0, 10, 15])
def test_a_fit_that_died_goes_on_to_the_same_numbers(session, small_decoder, die_at, tmp_path, n_steps):
    options = {"max_iter": 2, "early_stopping": True, "random_state": 3}
    whole = small_decoder(**options).fit(session.spikes, session.behavior)
    decoder = small_decoder(**options, checkpoint=tmp_path / "state")
    die_at(n_steps)
    with pytest.raises(Died):
        decoder.fit(session.spikes, session.behavior)
    die_at(None)
    assert_same(decoder.fit(session.spikes, session.behavior), whole)


@pytest.mark.parametrize("n_steps", [6, 10, 32])
def test_every_stage_of_a_fit_goes_on(session, simulate, small_decoder, die_at, tmp_path, n_steps):
    other = simulate(1)
    data = [session.spikes, other.spikes], [session.behavior, other.behavior]
    all_steps = die_at(None)
    whole = small_decoder().fit(*data)
    assert whole.n_iter_ == 3
    decoder = small_decoder(checkpoint=tmp_path / "state")
    die_at(n_steps)
    with pytest.raises(Died):
        decoder.fit(*data)
    die_at(len(all_steps) - n_steps)  # no more steps than were left
    assert_same(decoder.fit(*data), whole)


@pytest.mark.parametrize("n_steps", [4, 14])
def test_adaptation_goes_on(session, small_decoder, base, die_at, tmp_path, n_steps):
    options = {"pretrained": base, "max_iter": 1}
    whole = small_decoder(**options).fit(session.spikes, session.behavior)
    decoder = small_decoder(**options, checkpoint=tmp_path / "state")
    die_at(n_steps)
    with pytest.raises(Died):
        decoder.fit(session.spikes, session.behavior)
    die_at(20 - n_steps)
    assert_same(decoder.fit(session.spikes, session.behavior), whole)


@pytest.mark.parametrize("n_steps", [4, 14])
def test_partial_fit_goes_on(session, small_decoder, base, die_at, tmp_path, n_steps):
    def decoder(**options) -> POYODecoder:
        return small_decoder(**options).set_params(pretrained=base, max_iter=1)

    new = {"session_id": "new", "adapt": "all"}
    whole = decoder().partial_fit(session.spikes, session.behavior, **new)
    die_at(n_steps)
    with pytest.raises(Died):
        decoder(checkpoint=tmp_path / "state").partial_fit(session.spikes, session.behavior, **new)
    die_at(20 - n_steps)
    resumed = decoder(checkpoint=tmp_path / "state").partial_fit(session.spikes, session.behavior, **new)
    assert_same(resumed, whole)


def test_a_fit_without_a_seed_goes_on_too(session, small_decoder, die_at, tmp_path):
    decoder = small_decoder(random_state=None, checkpoint=tmp_path / "state")
    die_at(5)
    with pytest.raises(Died):
        decoder.fit(session.spikes, session.behavior)
    die_at(5)
    assert len(decoder.fit(session.spikes, session.behavior).loss_curve_) == 1


def test_a_random_state_is_known_by_its_state(session, small_decoder, die_at, tmp_path):
    def decoder(seed: int) -> POYODecoder:
        return small_decoder(random_state=np.random.RandomState(seed), checkpoint=tmp_path / "state")

    die_at(5)
    with pytest.raises(Died):
        decoder(0).fit(session.spikes, session.behavior)
    die_at(5)
    with pytest.raises(ValueError, match="it differs in random_state"):
        decoder(1).fit(session.spikes, session.behavior)
    decoder(0).fit(session.spikes, session.behavior)


def test_a_fit_that_ended_is_read_not_repeated(session, small_decoder, die_at, tmp_path):
    decoder = small_decoder(checkpoint=tmp_path / "state").fit(session.spikes, session.behavior)
    die_at(0)
    again = small_decoder(checkpoint=tmp_path / "state").fit(session.spikes, session.behavior)
    assert_same(again, decoder)


def test_a_fit_that_ended_is_read_where_nothing_can_be_written(session, small_decoder, monkeypatch, tmp_path):
    decoder = small_decoder(checkpoint=tmp_path / "fit")
    first = decoder.fit(session.spikes, session.behavior).loss_curve_
    before = (tmp_path / "fit").stat().st_mtime_ns

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "replace_file", full)
    assert decoder.fit(session.spikes, session.behavior).loss_curve_ == first
    assert (tmp_path / "fit").stat().st_mtime_ns == before


def test_a_fit_that_ended_makes_place_for_another(session, small_decoder, tmp_path):
    decoder = small_decoder(checkpoint=tmp_path / "state").fit(session.spikes, session.behavior)
    other = decoder.set_params(random_state=1).fit(session.spikes, session.behavior)
    assert_same(other, small_decoder(random_state=1).fit(session.spikes, session.behavior))


@pytest.mark.parametrize(
    "change",
    [
        "learning_rate_init",
        "labels",
        "unit of measure",
        "weights of samples",
        "spikes",
        "units",
        "session_id",
        "pretrained",
        "version",
    ],
)
def test_a_checkpoint_of_another_fit_is_refused_and_stays(
    session, small_decoder, base, die_at, tmp_path, monkeypatch, change
):
    file = tmp_path / "state"
    die_at(5)
    with pytest.raises(Died):
        small_decoder(checkpoint=file).fit(session.spikes, session.behavior)
    contents = file.read_bytes()
    die_at(None)
    parameters = {"learning_rate_init": {"learning_rate_init": 1e-3}, "pretrained": {"pretrained": base}}
    spikes = session.spikes if change != "spikes" else session.spikes | {"u1": session.spikes["u1"] + 1e-5}
    if change == "units":
        spikes = dict(zip(reversed(spikes), spikes.values(), strict=True))
    values = session.values if change != "labels" else session.values + (np.arange(len(session.values)) == 7)
    values = values * pq.cm if change == "unit of measure" else values
    name = "monday" if change == "session_id" else None
    sample_weight = np.linspace(1.0, 0.1, len(values)) if change == "weights of samples" else None
    if change == "version":
        monkeypatch.setattr(fingerprints, "__version__", "99.0")
    itself = {"learning_rate_init": change, "version": change}
    differs = (itself | {"pretrained": "weights"}).get(change, "data")
    decoder = small_decoder(checkpoint=file, **parameters.get(change, {}))
    with pytest.raises(ValueError, match=rf"another fit that has not ended: it differs in {differs} \("):
        decoder.fit(spikes, (session.times, values), session_id=name, sample_weight=sample_weight)
    assert file.read_bytes() == contents


def test_counts_of_another_size_are_another_fit(small_decoder, tmp_path):
    counts, times = np.random.default_rng(0).poisson(2.0, (400, 3)), 0.05 * np.arange(400)

    def fitted(factor: int, **checkpoint) -> POYODecoder:
        return small_decoder(**checkpoint).fit(from_counts(factor * counts, times, 0.05), (times, np.sin(times)))

    fitted(1, checkpoint=tmp_path / "state")
    assert_same(fitted(3, checkpoint=tmp_path / "state"), fitted(3))


def test_weights_of_other_units_are_another_start(session, small_decoder, base, tmp_path):
    """The same numbers, of which the description says something else."""
    known = POYODecoder.from_pretrained(base, device="cpu")
    ((name, units),) = known.sessions_.sessions.items()
    known.sessions_.sessions[name] = replace(units, unit_names=units.unit_names[::-1])
    known.save_pretrained(tmp_path / "other")
    settings = {"random_state": 0, "max_iter": 1, "device": "cpu"}

    def fitted(weights: Path, **checkpoint) -> POYODecoder:
        decoder = POYODecoder(pretrained=weights, **settings, **checkpoint)
        return decoder.fit(session.spikes, session.behavior, session_id=name)

    fitted(base, checkpoint=tmp_path / "state")
    assert_same(fitted(tmp_path / "other", checkpoint=tmp_path / "state"), fitted(tmp_path / "other"))


@pytest.mark.parametrize("name", ["ru**n", "run[1]"])
def test_a_checkpoint_may_be_called_anything(session, small_decoder, tmp_path, name):
    small_decoder(checkpoint=tmp_path / name).fit(session.spikes, session.behavior)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_link_to_a_checkpoint_is_followed(session, small_decoder, tmp_path):
    (tmp_path / "here").symlink_to(tmp_path / "elsewhere")
    small_decoder(checkpoint=tmp_path / "here").fit(session.spikes, session.behavior)
    assert (tmp_path / "here").is_symlink()
    assert (tmp_path / "elsewhere").is_file()


def test_a_checkpoint_of_a_later_version_is_refused_and_stays(session, small_decoder, die_at, tmp_path, monkeypatch):
    file = tmp_path / "state"
    die_at(5)
    with pytest.raises(Died):
        small_decoder(checkpoint=file).fit(session.spikes, session.behavior)
    die_at(None)
    monkeypatch.setattr(checkpoints, "FORMAT_VERSION", checkpoints.FORMAT_VERSION - 1)
    with pytest.raises(ValueError, match=r"it differs in format_version \(2 there, 1 here\)\. Give"):
        small_decoder(checkpoint=file).fit(session.spikes, session.behavior)
    assert file.exists()


def test_a_checkpoint_of_version_1_has_no_digest_and_is_gone_on_from(session, small_decoder, die_at, tmp_path):
    file = tmp_path / "state"
    whole = small_decoder().fit(session.spikes, session.behavior)
    die_at(5)
    with pytest.raises(Died):
        small_decoder(checkpoint=file).fit(session.spikes, session.behavior)
    with safetensors.safe_open(file, "pt") as opened:
        tensors, metadata = {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118
    contents = json.loads(metadata["checkpoint"]) | {"format_version": 1}
    del contents["digest"]
    save_file(tensors, file, metadata={"checkpoint": json.dumps(contents)})
    assert contents["state"]["step"] == 5
    left = die_at(None)
    assert_same(small_decoder(checkpoint=file).fit(session.spikes, session.behavior), whole)
    assert len(left) == 10 - 5


@pytest.mark.parametrize("contents", [b"", b"no safetensors at all", "truncated", "weights"])
def test_a_file_that_is_no_checkpoint_is_refused_and_stays(session, small_decoder, base, die_at, tmp_path, contents):
    file = tmp_path / "state"
    decoder = small_decoder(checkpoint=file)
    if contents == "truncated":
        die_at(5)
        with pytest.raises(Died):
            decoder.fit(session.spikes, session.behavior)
        contents = file.read_bytes()[:-100]
    elif contents == "weights":
        contents = next(base.glob("*.safetensors")).read_bytes()
    file.write_bytes(contents)
    with pytest.raises(ValueError, match=r"training cannot go on from .*state: "):
        decoder.fit(session.spikes, session.behavior)
    assert file.read_bytes() == contents


def test_a_folder_is_no_checkpoint(session, small_decoder, tmp_path):
    with pytest.raises(ValueError, match="is a folder; give the name of a file in it"):
        small_decoder(checkpoint=tmp_path).fit(session.spikes, session.behavior)


def test_where_nothing_can_be_written_nothing_is_trained(session, small_decoder, die_at, tmp_path):
    (tmp_path / "file").write_text("")  # root may write to any folder, but nobody into a file
    die_at(0)
    with pytest.raises(OSError, match=r"no checkpoint could be written to .* Nothing was trained"):
        small_decoder(checkpoint=tmp_path / "file" / "state").fit(session.spikes, session.behavior)


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_costs_neither_training_nor_the_last_checkpoint(
    session, small_decoder, die_at, monkeypatch, tmp_path
):
    whole = small_decoder().fit(session.spikes, session.behavior)
    decoder, file = small_decoder(checkpoint=tmp_path / "state"), tmp_path / "state"
    die_at(5)
    with pytest.raises(Died):
        decoder.fit(session.spikes, session.behavior)
    contents = file.read_bytes()
    syncs = []

    def fills_up(handle: int) -> None:
        syncs.append(handle)
        if len(syncs) > 1:
            full_disk()

    die_at(None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fills_up)
        with pytest.warns(
            UserWarning, match=r"No space left on device\. Training goes on; the former checkpoint stays"
        ):
            decoder.fit(session.spikes, session.behavior)
    assert_same(decoder, whole)
    assert file.read_bytes() == contents  # as it was gone on from
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert_same(small_decoder(checkpoint=file).fit(session.spikes, session.behavior), whole)


@pytest.mark.parametrize(("first", "then"), [("units", "all"), ("all", "units"), ("fit", "all"), ("all", "fit")])
def test_another_kind_of_call_takes_the_file_of_one_that_ended(session, simulate, small_decoder, tmp_path, first, then):
    small_decoder().fit(session.spikes, session.behavior).save_pretrained(tmp_path / "base")
    other = simulate(5, duration=30.0)

    def called(how: str, checkpoint):
        decoder = POYODecoder.from_pretrained(tmp_path / "base", device="cpu").set_params(checkpoint=checkpoint)
        if how == "fit":
            return decoder.fit(other.spikes, other.behavior, session_id="other")
        return decoder.partial_fit(other.spikes, other.behavior, session_id="other", adapt=how)

    called(first, tmp_path / "state")
    ours, wanted = called(then, tmp_path / "state"), called(then, None)
    np.testing.assert_array_equal(*(d.predict(other.spikes, session_id="other") for d in (ours, wanted)))


def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(session, small_decoder, monkeypatch, tmp_path):
    whole = small_decoder().fit(session.spikes, session.behavior)
    real, calls = loop.training_losses, []

    def loss(*args, **options):
        calls.append(None)
        return real(*args, **options) * (np.nan if len(calls) == 7 else 1.0)

    monkeypatch.setattr(loop, "training_losses", loss)
    decoder = small_decoder(checkpoint=tmp_path / "state")
    with pytest.raises(ValueError, match="loss became nan; lower learning_rate_init"):
        decoder.fit(session.spikes, session.behavior)
    assert len(calls) == 7  # found out before anything was written
    assert_same(decoder.fit(session.spikes, session.behavior), whole)


@pytest.mark.parametrize("at", ["write", "replace"])
def test_a_death_while_writing_leaves_the_former_file(monkeypatch, tmp_path, at):
    file = tmp_path / "folder" / "state"
    replace_file(file, b"old")

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync" if at == "write" else "replace", die)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # the dead clean up nothing
        with pytest.raises(Died):
            replace_file(file, b"new")
    assert file.read_bytes() == b"old"
    (leftover,) = set(file.parent.iterdir()) - {file}
    replace_file(file, b"newer")
    assert file.read_bytes() == b"newer"
    assert leftover.exists()  # whose writer might be another, who still lives
    os.utime(leftover, (0, 0))
    replace_file(file, b"newest")
    assert list(file.parent.iterdir()) == [file]


KILLED = """
import os, random, signal, sys, time
import numpy as np, torch
from spikeinterface_poyo import POYODecoder
from spikeinterface_poyo.training import checkpoints
from spikeinterface_poyo.training import defaults
defaults.STEPS_AN_ITERATION = 10
checkpoints.CHECKPOINT_SECONDS = 0.0
torch.set_num_threads(1)
rng = np.random.default_rng(0)
spikes = {"a": np.sort(rng.uniform(0, 60, 500)), "b": np.sort(rng.uniform(0, 60, 900))}
behavior = np.arange(0, 60, 0.1), np.sin(np.arange(0, 60, 0.1))
small = dict(dim=16, depth=1, dim_head=8, cross_heads=1, self_heads=2, num_latents_per_step=2, n_latent_steps=4,
             window_length=1.0, batch_size=8, max_iter=4, random_state=0, device="cpu", early_stopping=True)
file = sys.argv[1]

def fit(checkpoint):
    return POYODecoder(**small, checkpoint=checkpoint).fit(spikes, behavior)

random.seed(0)
n_kills = 0
while n_kills < 3:  # a fresh process each time, forked before torch has threads
    child = os.fork()
    if not child:
        fit(file)
        os._exit(0)
    while not os.path.exists(file):
        time.sleep(0.001)
    time.sleep(random.uniform(0.0, 0.2))
    os.kill(child, signal.SIGKILL)
    n_kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
resumed, whole = fit(file), fit(None)
states = resumed.network_.state_dict(), whole.network_.state_dict()
assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
print(resumed.loss_curve_ == whole.loss_curve_, resumed.validation_scores_ == whole.validation_scores_)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fit_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "state")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.stdout.split() == ["True", "True"], ended.stderr


def test_a_session_that_is_called_as_the_bases_is_another_fit(session, small_decoder, base, tmp_path):
    def fitted(checkpoint, **name):
        return small_decoder(pretrained=base, checkpoint=checkpoint).fit(session.spikes, session.behavior, **name)

    fitted(tmp_path / "state")
    assert_same(fitted(tmp_path / "state", session_id="session_0"), fitted(None, session_id="session_0"))


def test_ctrl_c_in_unit_identification_ends_the_fit(session, small_decoder, base, monkeypatch):
    real, steps = loop.training_step, []

    def interrupt(*args):
        steps.append(0)
        if len(steps) > 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(loop, "training_step", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        decoder = small_decoder(pretrained=base).fit(session.spikes, session.behavior)
    assert len(steps) == 4
    assert decoder.interrupted_


@pytest.mark.parametrize(("changed", "why"), [("value", "ValueError: .*digest differs"), ("shape", "RuntimeError")])
def test_a_checkpoint_with_other_weights_is_refused(session, small_decoder, die_at, tmp_path, changed, why):
    die_at(5)
    with pytest.raises(Died):
        small_decoder(checkpoint=tmp_path / "state").fit(session.spikes, session.behavior)
    die_at(None)
    with safetensors.safe_open(tmp_path / "state", "pt") as opened:
        tensors, metadata = {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118
    if changed == "value":
        tensors["network.0"][0, 0] += 1e-3
    else:
        tensors["network.0"] = tensors["network.0"][:, :-1].contiguous()
        contents = json.loads(metadata["checkpoint"])
        del contents["digest"]
        metadata = {"checkpoint": json.dumps(contents | {"digest": digest_of(contents, tensors)})}
    save_file(tensors, tmp_path / "state", metadata=metadata)
    with pytest.raises(ValueError, match=rf"training cannot go on from .*state: {why}"):
        small_decoder(checkpoint=tmp_path / "state").fit(session.spikes, session.behavior)


def test_weights_of_classes_are_the_same_in_any_order_and_type():
    same = [{0: 1.0, 1: 9.0}, {1: 9, 0: 1}, {np.int64(0): np.float32(1.0), np.int64(1): 9.0}]
    assert len({plain(weights) for weights in same}) == 1
    assert plain({0: 9.0, 1: 1.0}) != plain(same[0]) != plain({"0": 1.0, "1": 9.0})


def test_fits_that_begin_together_do_not_overwrite_each_other(session, small_decoder, die_at, monkeypatch, tmp_path):
    file, later = tmp_path / "state", tmp_path / "later"
    die_at(3)
    with pytest.raises(Died):
        small_decoder(random_state=1, checkpoint=file).fit(session.spikes, session.behavior)
    die_at(None)
    kept = file.read_bytes()
    monkeypatch.setattr(checkpoints, "read", lambda *_: None)  # each looked before the other wrote
    with pytest.raises(ValueError, match=r"another fit, which has not ended, keeps its state in .*Nothing was"):
        small_decoder(random_state=2, checkpoint=file).fit(session.spikes, session.behavior)
    assert file.read_bytes() == kept
    real = loop.training_step

    def meanwhile(*args):
        later.write_bytes(kept)
        return real(*args)

    monkeypatch.setattr(loop, "training_step", meanwhile)
    with pytest.warns(UserWarning, match="The state of this one is not kept"):
        small_decoder(random_state=2, checkpoint=later).fit(session.spikes, session.behavior)
    assert later.read_bytes() == kept


def test_parameters_may_be_numpys_numbers(simulate, small_decoder, tmp_path):
    session = simulate()
    given = {"batch_size": np.int64(8), "learning_rate_init": np.float32(1e-3), "alpha": np.float32(0.01),
             "unit_dropout": np.float32(0.2), "max_iter": np.int64(2)}  # fmt: skip
    decoder = small_decoder(checkpoint=tmp_path / "training.safetensors", **given)
    stages = decoder.fit(session.spikes, session.behavior).training_stages_
    assert json.loads(json.dumps(stages)) == stages
