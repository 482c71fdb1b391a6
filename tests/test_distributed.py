"""Several processes that train together: the same numbers as one, from a folder of sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import train_together
import zarr
from spikeinterface.core import NumpySorting

from spikeinterface_poyo import POYODecoder, distributed
from spikeinterface_poyo.distributed import ALONE, Team, present_team, team
from spikeinterface_poyo.inputs.spikes_in import as_session
from spikeinterface_poyo.network.dropout import dropout, seeded_by_window
from spikeinterface_poyo.network.windows import Block, Windows, tokenize
from spikeinterface_poyo.pretrain import CHECKPOINT, main, read_sessions
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.training import job, loop
from spikeinterface_poyo.training.checkpoints import Checkpoint
from spikeinterface_poyo.weights import files


@pytest.fixture(scope="module")
def sessions(simulate, tmp_path_factory) -> Path:
    """A folder of two sessions, one with a silent unit."""
    folder = tmp_path_factory.mktemp("sessions")
    for seed, name in enumerate(["monday", "tuesday"]):
        session = simulate(seed, n_units=4 + seed, duration=50.0, silent=seed)
        frames = {unit: (times * 1000).astype(np.int64) for unit, times in session.spikes.items()}
        sorting = NumpySorting.from_unit_dict(frames, sampling_frequency=1000.0)
        sorting.save(folder=folder / name / "sorting")
        np.savez(folder / name / "phase.npz", times=session.times, values=session.values, units="dimensionless")
    return folder


@pytest.mark.usefixtures("one_thread")  # as the two have
def test_two_processes_train_as_one_does(sessions, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    train_together.train(sessions, one)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [train_together.__file__, str(sessions), str(two)]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == 0, ended.stderr
    losses = [np.load(folder / "losses.npy") for folder in (one, two)]
    assert len(losses[0]) == 150  # in three stages
    np.testing.assert_array_equal(losses[1], losses[0])
    decoders = [POYODecoder.from_pretrained(folder) for folder in (one, two)]
    np.testing.assert_allclose(*(decoder.validation_scores_ for decoder in decoders), rtol=1e-6)
    for mine, other in zip(*(decoder.network_.parameters() for decoder in decoders), strict=True):
        assert torch.equal(mine, other)
    assert set(decoders[0].sessions_.sessions) == {"monday", "tuesday"}
    for out in (one, two):  # the same command trains nothing again, and saves the same
        assert (out / CHECKPOINT).exists()
    ended_losses = (one / "losses.npy").read_bytes()
    train_together.train(sessions, one)
    assert (one / "losses.npy").read_bytes() == ended_losses


@pytest.mark.usefixtures("short_stages")
def test_pretraining_that_died_goes_on(sessions, tmp_path, monkeypatch):
    options = [f"--{name}={value}" for name, value in train_together.SMALL.items()]
    with monkeypatch.context() as patch:
        patch.setattr(POYODecoder, "save_pretrained", lambda *_: 1 / 0)  # such as for a full disk
        with pytest.raises(ZeroDivisionError):
            main([str(sessions), str(tmp_path), *options])
    monkeypatch.setattr(
        "spikeinterface_poyo.training.loop.training_step", lambda *_: pytest.fail("was trained already")
    )
    main([str(sessions), str(tmp_path), *options])
    assert POYODecoder.from_pretrained(tmp_path).n_iter_ > 0


@pytest.mark.usefixtures("short_stages")
def test_pretraining_that_was_interrupted_goes_on_and_saves_nothing_before_its_end(sessions, tmp_path, monkeypatch):
    options = [f"--{name}={value}" for name, value in train_together.SMALL.items()]
    step, steps = loop.training_step, []

    def interrupted(*arguments):
        steps.append(step(*arguments))
        if len(steps) == 60:
            raise KeyboardInterrupt

    (tmp_path / files.DESCRIPTION).write_text("an older decoder's")
    monkeypatch.setattr("spikeinterface_poyo.training.loop.training_step", interrupted)
    with pytest.raises(SystemExit, match="the same command goes on"), pytest.warns(UserWarning, match="interrupted"):
        main([str(sessions), str(tmp_path), *options])
    assert (tmp_path / files.DESCRIPTION).read_text() == "an older decoder's"
    assert (tmp_path / CHECKPOINT).exists()
    main([str(sessions), str(tmp_path), *options])
    assert not POYODecoder.from_pretrained(tmp_path).interrupted_


def test_options_are_written_as_in_json_or_in_python(sessions, tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr(
        "spikeinterface_poyo.pretrain.pretrain", lambda *folders, **parameters: given.append(parameters)
    )
    for words in (["--causal", "False", "--class-weight", "None"], ["--causal", "false", "--class-weight", "null"]):
        main([str(sessions), str(tmp_path), *words])
        assert given[-1]["causal"] is False
        assert given[-1]["class_weight"] is None
    with pytest.raises(SystemExit):
        main([str(sessions), str(tmp_path), "--causal", "no"])
    assert "causal must be True or False, got 'no'" in capsys.readouterr().err
    assert len(given) == 2


def test_an_option_is_written_out(sessions, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(sessions), str(tmp_path), "--learning-rate", "1"])
    assert "unrecognized arguments: --learning-rate" in capsys.readouterr().err


def test_a_folder_without_a_sorting_is_left_out_and_told_of(sessions, tmp_path):
    (tmp_path / "tuesday").symlink_to(sessions / "tuesday")
    (tmp_path / "notes").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "out").mkdir()
    with pytest.warns(UserWarning, match=r"notes is left out: no folder in it is called sorting") as warned:
        assert list(read_sessions(tmp_path, tmp_path / "out" / ".." / "out")) == ["tuesday"]
    assert len(warned) == 1


def test_a_folder_without_sessions_or_behaviour_is_refused(sessions, tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        read_sessions(tmp_path / "typo")
    with pytest.raises(ValueError, match="holds no session"):
        read_sessions(tmp_path)
    (tmp_path / "monday").mkdir()
    (tmp_path / "monday" / "sorting").symlink_to(sessions / "monday" / "sorting")
    with pytest.raises(ValueError, match=r"must hold one behaviour, a .npz or an NWB file; it holds \[\]"):
        read_sessions(tmp_path)


@pytest.mark.skipif(zarr.__version__.startswith("3."), reason="SpikeInterface writes no Zarr with zarr 3")
def test_a_sorting_saved_as_zarr_has_the_name_that_spikeinterface_gives_it(tmp_path):
    place = tmp_path / "monday"
    NumpySorting.from_unit_dict({"a": np.arange(5)}, 1000.0).save(folder=place / "sorting", format="zarr")
    np.savez(place / "velocity.NPZ", times=[0.0, 1.0], values=[0.0, 1.0])
    (place / "velocity.NPZ.npz").rename(place / "velocity.NPZ")
    ((sorting, _, behavior),) = read_sessions(tmp_path).values()
    assert (sorting.name, behavior) == ("sorting.zarr", "velocity")
    assert as_session(sorting).unit_names == ["a"]
    (place / "sorting").mkdir()
    with pytest.raises(ValueError, match=r"must hold one sorting; it holds \['sorting', 'sorting.zarr'\]"):
        read_sessions(tmp_path)


@pytest.mark.parametrize(("n", "size"), [(7, 2), (32, 3), (4, 4)])
def test_shares_are_disjoint_and_cover_the_batch(n, size):
    shares = [Team(rank, size).share(n) for rank in range(size)]
    assert [i for share in shares for i in range(n)[share]] == list(range(n))
    assert max(len(range(n)[share]) for share in shares) - min(len(range(n)[share]) for share in shares) <= 1


def test_fewer_windows_than_processes_are_refused():
    with pytest.raises(ValueError, match="give batch_size= of 4 or more"):
        Team(0, 4).share(3)


def test_a_team_needs_common_random_numbers(simulate, small_decoder, monkeypatch):
    session = simulate()
    monkeypatch.setattr(distributed, "_present", Team(0, 2))
    with pytest.raises(ValueError, match="give random_state= a number"):
        small_decoder(random_state=None).fit(session.spikes, session.behavior)


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with team() as present:
        assert (present.size, present.leads) == (1, True)


def test_tokens_of_a_share_are_those_of_the_whole_batch():
    rng = np.random.default_rng(0)
    blocks = [
        Block(Segment(np.sort(rng.uniform(0, 20, 900)), rng.integers(0, n, 900, dtype=np.int32), 0.0, 20.0),
              np.arange(n), 1, np.arange(1))
        for n in (5, 9)
    ]  # fmt: skip
    everything = np.full(11, np.inf)
    windows = Windows(rng.integers(0, 2, 11), rng.uniform(0, 19, 11), -everything, everything)
    whole = tokenize(blocks, windows, 1.0, 0.5, np.random.default_rng(1))
    for mine in (slice(0, 4), slice(4, 11)):
        part = tokenize(blocks, windows, 1.0, 0.5, np.random.default_rng(1), mine)
        longest = part.token.shape[1]
        np.testing.assert_array_equal(part.token_time, whole.token_time[mine, :longest])
        np.testing.assert_array_equal(part.token_log_weight, whole.token_log_weight[mine, :longest])
        assert (whole.token_log_weight[mine, longest:] == -np.inf).all()


def test_dropout_of_a_window_does_not_depend_on_its_neighbours():
    x, seeds = torch.ones(6, 50, 4), np.arange(6)
    with seeded_by_window(seeds):
        whole = [dropout(x, 0.3, True) for _ in range(2)]
    with seeded_by_window(seeds[[4, 1]]):
        part = [dropout(x[:2], 0.3, True) for _ in range(2)]
    assert torch.equal(torch.stack(part), torch.stack(whole)[:, [4, 1]])
    assert not torch.equal(whole[0], whole[1])
    assert set(whole[0].unique().tolist()) == {0.0, 1 / np.float32(0.7)}
    assert float((whole[0] == 0).float().mean()) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.3, False)])
def test_no_dropout_is_the_identity(p, training):
    x = torch.ones(2, 3)
    assert dropout(x, p, training) is x


@pytest.mark.parametrize("ends", [False, True])
def test_after_a_team_a_process_is_alone_again(monkeypatch, ends):
    for name, value in {"WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    answers = {"get_rank": 1, "get_world_size": 2, "init_process_group": None, "destroy_process_group": None}
    for name, value in answers.items():
        monkeypatch.setattr(distributed.dist, name, lambda *_, value=value: value)
    monkeypatch.setattr(distributed.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(distributed, "_present", ALONE)
    try:
        with team() as present:
            assert isinstance(present, Team)
            assert (present_team().rank, present_team().size) == (1, 2)
            if ends:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert present_team() is ALONE


def test_only_the_leader_of_a_team_writes(monkeypatch, tmp_path):
    made = []

    class Recorded(Checkpoint):
        def __init__(self, file, fingerprint, writes=True):
            made.append(writes)
            super().__init__(file, fingerprint, writes)

        def close(self):
            pass

    monkeypatch.setattr(job, "Checkpoint", Recorded)
    monkeypatch.setattr(job, "fingerprint", lambda *_: {})
    monkeypatch.setattr(Team, "differences", lambda *_: [])
    decoder = POYODecoder(checkpoint=tmp_path / "state", random_state=0, device="cpu")
    examples = SimpleNamespace()
    for rank in range(2):
        monkeypatch.setattr(distributed, "_present", Team(rank, 2))
        with job.training_job(decoder, examples, "from scratch"):
            pass
    assert made == [True, False]


def test_processes_that_see_different_checkpoints_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(distributed, "_present", Team(0, 2))
    monkeypatch.setattr(job, "fingerprint", lambda *_: {})
    monkeypatch.setattr(Team, "differences", lambda _, facts: ["step"] if "step" in facts else [])
    decoder = POYODecoder(checkpoint=tmp_path / "state", random_state=0, device="cpu")
    with (
        pytest.raises(ValueError, match=r"must see the same checkpoint; this one sees step -1 in it"),
        job.training_job(decoder, SimpleNamespace(), "from scratch"),
    ):
        pass


def test_processes_that_would_make_different_fits_are_refused(monkeypatch):
    mine, other = {"data": "abc", "random_state": "0", "how": "fit"}, {"data": "cba", "random_state": "1", "how": "fit"}
    sent = []
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda tensor, _: sent.append(tensor.clone()))
    assert Team(0, 2).differences(other) == []
    monkeypatch.setattr(
        distributed.dist, "all_reduce", lambda tensor, how: tensor.copy_(torch.maximum(tensor, sent[0]))
    )
    assert Team(0, 2).differences(other) == []
    assert Team(0, 2).differences(mine) == ["data", "random_state"]
    monkeypatch.setattr(distributed, "_present", Team(0, 2))
    monkeypatch.setattr(job, "fingerprint", lambda *_: dict(mine))
    monkeypatch.setattr(Team, "differences", lambda _, facts: list(facts)[:1])
    decoder = POYODecoder(random_state=0, device="cpu")
    with (
        pytest.raises(ValueError, match=r"must make the same fit; they differ in \['data'\]"),
        job.training_job(decoder, SimpleNamespace(), "from scratch"),
    ):
        pass
