"""torch_brain's checkpoints: the same numbers after reading and writing, and nothing read that could run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from spikeinterface_poyo.network.batch import to_batch
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.network.windows import Block, Windows, tokenize
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.weights.torch_brain_format import (
    TorchBrainCheckpoint,
    read_checkpoint,
    to_torch_brain,
    write_checkpoint,
)

DATA = Path(__file__).parent / "data"
SESSIONS = {
    "lab/monday": ("lab/monday/u0", "lab/monday/u1", "lab/monday/u2"),
    "lab/tuesday": ("lab/tuesday/u0", "lab/tuesday/group/1"),
}
SMALL = {"dim": 16, "depth": 2, "dim_head": 8, "cross_heads": 1, "self_heads": 2, "num_latents_per_step": 2}
TIMES = {"sequence_length": 1.0, "latent_step": 0.125}
CONFIG = NetworkConfig(n_outputs=3, **SMALL)


class Window(NamedTuple):
    """One window of a session: spike times in seconds from its start, the words of its units, query times."""

    session: str
    units: tuple[str, ...]
    time: np.ndarray
    unit: np.ndarray  # index into units
    query_time: np.ndarray


def draw_windows(sessions: dict[str, tuple[str, ...]], length: float = 1.0, seed: int = 0) -> list[Window]:
    rng = np.random.default_rng(seed)
    return [
        Window(name, units, np.sort(rng.uniform(0, length, n)), rng.integers(0, len(units), n),
               rng.uniform(0, length, 30).astype(np.float32))
        for n, (name, units) in zip((60, 25, 40), sessions.items(), strict=False)
    ]  # fmt: skip


def our_network(checkpoint: TorchBrainCheckpoint) -> POYO:
    n_unit_rows, n_session_rows = (len(checkpoint.state[f"{table}_emb.weight"]) for table in ("unit", "session"))
    network = POYO(checkpoint.config, n_unit_rows, n_session_rows)
    network.load_state_dict(checkpoint.state, strict=True)
    return network.eval()


@torch.no_grad()
def our_predictions(checkpoint: TorchBrainCheckpoint, windows: list[Window]) -> torch.Tensor:
    """All that depends on how batches are made for our network; shape (windows, queries, outputs)."""
    unit_row = {word: 1 + i for i, word in enumerate(w for units in checkpoint.sessions.values() for w in units)}
    session_row = {word: 1 + i for i, word in enumerate(checkpoint.sessions)}
    columns, length, n = np.arange(checkpoint.config.n_outputs), checkpoint.config.window_length, len(windows)
    blocks = [
        Block(
            Segment(w.time, w.unit.astype(np.int32), 0.0, length),
            np.array([unit_row[unit] for unit in w.units]),
            session_row[w.session],
            columns,
        )
        for w in windows
    ]
    whole = Windows(np.arange(n), np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf))
    batch = to_batch(
        tokenize(blocks, whole, window_length=length),
        np.array([block.session_row for block in blocks]),
        np.stack([w.query_time for w in windows]),
        np.tile(columns, (n, 1)),
        torch.device("cpu"),
    )
    return our_network(checkpoint)(batch)


@pytest.fixture(scope="module")
def torch_brain() -> Any:
    return pytest.importorskip("torch_brain.models", reason="needs torch_brain: pip install torch_brain==0.2.1")


def its_network(torch_brain: Any, sessions: dict[str, tuple[str, ...]] = SESSIONS, **arguments: Any) -> Any:
    """torch_brain's network at its own initialisation, units of all sessions mixed in its table."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch_brain.POYO(**{**SMALL, **TIMES, "dim_out": 3, **arguments})
        words = [word for units in sessions.values() for word in units]
        network.unit_emb.initialize_vocab([words[i] for i in np.random.default_rng(1).permutation(len(words))])
        network.session_emb.initialize_vocab(list(sessions))
    return network.eval()


@torch.no_grad()
def its_predictions(network: Any, windows: list[Window], order: int | None = None) -> torch.Tensor:
    """What torch_brain predicts through its own tokenizer, tokens in the order of a seed if one is given."""
    from torch_brain.batching import collate
    from torch_brain.data import ArrayDict, Data, Interval, IrregularTimeSeries

    whole = Interval(0.0, network.sequence_length)
    batch = collate([
        network.tokenize(
            Data(
                spikes=IrregularTimeSeries(timestamps=w.time, unit_index=w.unit, domain=whole),
                units=ArrayDict(id=np.array(w.units)),
                session=Data(id=w.session, domain=whole),
                domain=whole,
            )
        )
        for w in windows
    ])  # fmt: skip
    batch = {name: value.float() if value.is_floating_point() else value for name, value in batch.items()}
    if order is not None:
        shuffled = np.random.default_rng(order).permutation(batch["input_mask"].shape[1])
        batch = {name: value[:, shuffled] if name.startswith("input_") else value for name, value in batch.items()}
    return network(**batch, output_timestamps=torch.from_numpy(np.stack([w.query_time for w in windows])))


def assert_same_numbers(checkpoint: TorchBrainCheckpoint, network: Any, windows: list[Window]) -> None:
    """Ours are torch_brain's but for its rounding, as far as the order of its tokens shows that."""
    expected = its_predictions(network, windows)
    difference = (our_predictions(checkpoint, windows) - expected).abs().max()
    rounding = max((its_predictions(network, windows, order) - expected).abs().max() for order in range(6))
    assert expected.std() > 0.01
    assert difference < 3 * rounding
    assert difference < 1e-4 * expected.std()


def enlarge(network: Any) -> None:
    """Weights as large as long training makes them."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.mul_(15 if "_emb" in name else 1.5 if weight.ndim > 1 else 1)


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "model.ckpt")
    return folder / "model.ckpt"


def lightning(state: dict[str, Any], **model: Any) -> dict[str, Any]:
    """What PyTorch Lightning saves, but for the states of what it trains with."""
    return {
        "epoch": 3,
        "global_step": 40,
        "pytorch-lightning_version": "2.6.0",
        "state_dict": {f"model.{name}": value for name, value in state.items()},
        "callbacks": {"EarlyStopping": {"best_score": torch.tensor(0.5), "patience": 3}},
        "hparams_name": "kwargs",
        "hyper_parameters": {"model": {"_target_": "torch_brain.models.POYO", **TIMES, **model}, "batch_size": 128},
    }


@pytest.fixture(scope="module")
def ours() -> TorchBrainCheckpoint:
    """A network of this package with weights of some size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = POYO(CONFIG, 6, 3)
        enlarge(network)
    return TorchBrainCheckpoint(CONFIG, network.state_dict(), SESSIONS)


@pytest.fixture
def state(ours) -> dict[str, Any]:
    """A state dict as torch_brain's, to be spoiled."""
    return to_torch_brain(ours.config, ours.state, ours.sessions)["state_dict"]


# reading


@pytest.mark.parametrize("large", [False, True])
def test_reads_what_torch_brain_predicts(torch_brain, tmp_path, large):
    network = its_network(torch_brain)
    if large:
        enlarge(network)
    checkpoint = read_checkpoint(saved(lightning(network.state_dict(), lin_dropout=0.1), tmp_path))
    assert checkpoint.config == NetworkConfig(n_outputs=3, lin_dropout=0.1, **SMALL)
    assert {name: set(units) for name, units in checkpoint.sessions.items()} == {
        name: set(units) for name, units in SESSIONS.items()
    }
    windows = draw_windows(SESSIONS)
    assert_same_numbers(checkpoint, network, windows)
    if not large:
        assert (our_predictions(checkpoint, windows) - its_predictions(network, windows)).abs().max() < 1e-5


def test_shapes_times_and_frequencies_come_from_the_file(torch_brain, tmp_path):
    shape = {"dim": 24, "depth": 1, "dim_head": 16, "cross_heads": 3, "self_heads": 1, "num_latents_per_step": 5}
    times = {"sequence_length": 0.6, "latent_step": 0.2}
    network = its_network(torch_brain, **shape, **times, dim_out=1, t_min=1e-3, t_max=4.0)
    enlarge(network)
    # neither t_min nor t_max is among the hyper-parameters: the frequencies are weights
    checkpoint = read_checkpoint(saved(lightning(network.state_dict(), **shape, **times), tmp_path))
    assert checkpoint.config == NetworkConfig(1, window_length=0.6, latent_step=0.2, t_min=1e-3, t_max=4.0, **shape)
    assert torch.equal(checkpoint.state["omega"], network.rotary_emb.omega[:4])
    assert_same_numbers(checkpoint, network, draw_windows(SESSIONS, length=0.6))


@pytest.mark.parametrize("prefix", ["", "model.", "model._orig_mod.", "module."])
@pytest.mark.parametrize("bare", [False, True])
def test_a_wrapped_or_bare_state_dict_reads_the_same(ours, state, tmp_path, prefix, bare):
    prefixed = {prefix + name: value for name, value in state.items()}
    path = saved(prefixed if bare else {"state_dict": prefixed}, tmp_path)
    with pytest.warns(UserWarning, match="does not say its"):
        checkpoint = read_checkpoint(path)
    assert checkpoint.config == ours.config
    assert checkpoint.sessions == SESSIONS
    for name, weight in ours.state.items():
        assert torch.equal(checkpoint.state[name], weight), name


def test_entries_of_the_wrapper_itself_are_passed_over(state, tmp_path):
    content = lightning(state)
    content["state_dict"]["loss.weight"] = torch.ones(2)
    assert read_checkpoint(saved(content, tmp_path)).sessions == SESSIONS


@pytest.mark.parametrize("numpy_version", [1, 2])
def test_words_may_be_numpy_strings(state, tmp_path, numpy_version):
    for table in ("unit_emb.vocab", "session_emb.vocab"):
        state[table] = OrderedDict((np.str_(word), row) for word, row in state[table].items())
    content = lightning(state) | {"best_score": np.float64(0.5), "n_steps": np.int64(3)}
    path = saved(content, tmp_path)
    if numpy_version == 1:
        path = with_pickle_replaced(path, b"numpy._core.multiarray", b"numpy.core.multiarray")
    checkpoint = read_checkpoint(path)
    assert checkpoint.sessions == SESSIONS
    assert {type(word) for units in checkpoint.sessions.values() for word in units} == {str}


def with_pickle_replaced(path: Path, old: bytes, new: bytes) -> Path:
    """A file like ``path``, with other bytes in its pickle."""
    changed = path.with_name(f"changed_{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        assert old in source.read("model/data.pkl")
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(old, new) if name.endswith(".pkl") else source.read(name))
    return changed


def test_times_that_are_not_in_the_file_are_assumed_aloud(state, tmp_path):
    path = saved(state, tmp_path)
    with pytest.warns(UserWarning, match="does not say its") as caught:
        config = read_checkpoint(path).config
    assert "sequence_length; assuming 1.0 s" in str(caught[0].message)
    assert "latent_step" in str(caught[1].message)
    assert [Path(warning.filename) for warning in caught] == 2 * [Path(__file__)]
    assert (config.window_length, config.latent_step) == (1.0, 0.125)


def test_units_of_no_session_are_left_out_aloud(ours, state, tmp_path):
    vocabulary = state["unit_emb.vocab"]
    state["unit_emb.vocab"] = OrderedDict(
        (word.replace("lab/monday/u1", "other/u1"), row) for word, row in vocabulary.items()
    )
    with pytest.warns(UserWarning, match=r"1 of 5 units belong to none of its 2 sessions.*first: 'other/u1'"):
        checkpoint = read_checkpoint(saved(lightning(state), tmp_path))
    assert checkpoint.sessions == SESSIONS | {"lab/monday": ("lab/monday/u0", "lab/monday/u2")}
    assert torch.equal(checkpoint.state["unit_emb.weight"], ours.state["unit_emb.weight"][[0, 1, 3, 4, 5]])
    our_network(checkpoint)


def test_units_of_the_only_session_need_not_be_named_after_it(tmp_path):
    network = POYO(CONFIG, 3, 2)
    sessions = {"monday": ("a/1", "b")}
    write_checkpoint(tmp_path / "one.ckpt", CONFIG, network.state_dict(), sessions)
    assert read_checkpoint(tmp_path / "one.ckpt").sessions == sessions


def test_half_precision_is_read_as_single(ours, state, tmp_path):
    halved = {name: value.half() if isinstance(value, torch.Tensor) else value for name, value in state.items()}
    halved["rotary_emb.omega"] = state["rotary_emb.omega"]
    checkpoint = read_checkpoint(saved(lightning(halved), tmp_path))
    assert {weight.dtype for weight in checkpoint.state.values()} == {torch.float32}
    our_network(checkpoint)


def test_reading_and_writing_draw_no_random_numbers(ours, tmp_path):
    before = torch.get_rng_state()
    write_checkpoint(tmp_path / "model.ckpt", ours.config, ours.state, ours.sessions)
    read_checkpoint(tmp_path / "model.ckpt")
    assert torch.equal(torch.get_rng_state(), before)


def test_reads_a_checkpoint_that_lightning_and_torch_brain_012_made():
    """Made by ``make_torch_brain_012_checkpoint.py``: shuffled NumPy words, a ``t_max`` that is not stated."""
    checkpoint = read_checkpoint(DATA / "torch_brain_012.ckpt")
    with np.load(DATA / "torch_brain_012.npz") as arrays:
        windows = [
            Window(str(session), tuple(map(str, arrays[f"units_{i}"])), arrays[f"spike_time_{i}"],
                   arrays[f"spike_unit_{i}"], arrays["query_time"][i].astype(np.float32))
            for i, session in enumerate(arrays["session"])
        ]  # fmt: skip
        expected = torch.from_numpy(arrays["predicted"])
    assert (checkpoint.config.t_max, checkpoint.config.latent_step) == (4.0, 0.25)
    assert {name: set(units) for name, units in checkpoint.sessions.items()} == {
        w.session: set(w.units) for w in windows
    }
    found = our_predictions(checkpoint, windows)
    assert (found - expected).abs().max() < 1e-5
    assert (found - expected).abs().max() < 1e-4 * expected.std()


# refusing


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("place", ["hyper_parameters", "state_dict", "alone", "plain pickle", "newer pickle"])
def test_nothing_in_a_file_runs(state, tmp_path, place, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # must not matter
    bomb, path = Bomb(tmp_path / "trace"), tmp_path / "model.ckpt"
    if place == "plain pickle":
        path.write_bytes(pickle.dumps(bomb))
    elif place == "newer pickle":
        torch.save(bomb, path, pickle_protocol=4)
    elif place == "alone":
        torch.save(bomb, path)
    else:
        content = lightning(state)
        content[place]["bomb"] = bomb
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"model\.ckpt cannot be read") as raised:
        read_checkpoint(path)
    assert not bomb.target.exists()
    if place in ("hyper_parameters", "state_dict", "alone"):
        assert "system" in str(raised.value)
        assert "If you trust it" in str(raised.value)
    torch.load(path, weights_only=False) if zipfile.is_zipfile(path) else pickle.loads(path.read_bytes())
    assert bomb.target.exists()  # it was armed


def test_more_entries_than_are_stored_are_refused_before_any_is_made(state, tmp_path):
    state["latent_emb.weight"] = torch.zeros(1, 1).expand(10**12, 16)
    with pytest.raises(ValueError, match=r"latent_emb\.weight has more entries, 16000000000000, than are stored"):
        read_checkpoint(saved(lightning(state), tmp_path))


def test_compressed_entries_are_refused(state, tmp_path):
    path, packed = saved(lightning(state), tmp_path), tmp_path / "packed.ckpt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(ValueError, match="found one with compressed entries"):
        read_checkpoint(packed)


def test_a_pickled_configuration_is_refused_by_name(state, tmp_path):
    content = lightning(state)
    content["hyper_parameters"]["paths"] = Path("/data")
    with pytest.raises(ValueError, match=r"found pathlib.*OmegaConf\.to_container"):
        read_checkpoint(saved(content, tmp_path))


def test_a_network_without_vocabularies_is_refused(torch_brain, tmp_path):
    network = torch_brain.POYO(**SMALL, **TIMES, dim_out=3)
    with pytest.raises(ValueError, match="saved before its vocabularies were initialised"):
        read_checkpoint(saved(network.state_dict(), tmp_path))


def test_a_pickled_model_is_refused_by_name(torch_brain, tmp_path):
    with pytest.raises(ValueError, match=r"found builtins\.getattr, .* and \d+ more: making those would run code"):
        read_checkpoint(saved({"model": its_network(torch_brain)}, tmp_path))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_part_of_a_file_is_refused(state, tmp_path, share):
    path = saved(lightning(state), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="only part of one"):
        read_checkpoint(path)


def test_flipped_bits_are_noticed_wherever_they_matter(ours, state, tmp_path):
    path = saved(lightning(state), tmp_path)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    n_refused = 0
    for position in rng.integers(0, len(whole), 150):
        damaged = whole.copy()
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            checkpoint = read_checkpoint(path)
        except ValueError as error:
            n_refused += 1
            assert "damaged" in str(error) or "expected" in str(error)  # noqa: PT017
        else:  # between the archive's entries there is padding
            assert checkpoint.sessions == SESSIONS
            assert all(torch.equal(checkpoint.state[name], weight) for name, weight in ours.state.items())
    assert n_refused > 50


def test_a_damaged_weight_is_named(state, tmp_path):
    path = saved(lightning(state), tmp_path)
    content = path.read_bytes()
    weight = state["readout.weight"].numpy().tobytes()
    path.write_bytes(content.replace(weight, weight[:-1] + bytes([weight[-1] ^ 1])))
    with pytest.raises(ValueError, match=r"it is damaged: the bytes of model/data/\d+ do not match their checksum"):
        read_checkpoint(path)


def other_file(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        np.savez(stream, weight=np.ones(3))
    elif kind == "legacy":
        torch.save({"a": torch.ones(2)}, stream, _use_new_zipfile_serialization=False)
    else:
        stream.write(b"weights?")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("zip", "without a data.pkl"), ("legacy", "PyTorch >= 1.6"), ("text", "another kind of file")],
)
def test_other_files_are_refused(tmp_path, kind, reason):
    (tmp_path / "file").write_bytes(other_file(kind))
    with pytest.raises(ValueError, match=reason):
        read_checkpoint(tmp_path / "file")


def test_a_missing_file_is_no_value_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.ckpt"):
        read_checkpoint(tmp_path / "nowhere.ckpt")


POYO_2024 = {
    "unit_emb.weight": torch.ones(3, 4),
    "spike_type_emb.weight": torch.ones(4, 4),
    "perceiver_io.rotary_emb.inv_freq": torch.ones(4),
}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (torch.ones(3), "expected a state dict .*found Tensor"),
        ({"state_dict": [1, 2]}, "expected a state dict"),
        ({"epoch": 1, "model": {}}, r"expected one 'unit_emb\.weight', found 0 among 2 entries \(epoch, model"),
        ({"state_dict": {f"model.{k}": v for k, v in POYO_2024.items()}}, "layout of February 2024.*no vocabularies"),
        ({"model.unit_emb.weight": 1, "model.task_emb.weight": 2}, r"it is of POYO\+"),
        ({"unit_emb.weight": 1, "readout.projections.running_speed.weight": 2}, r"it is of POYO\+"),
    ],
)
def test_checkpoints_of_other_models_are_refused(tmp_path, content, reason):
    with pytest.raises(ValueError, match=reason):
        read_checkpoint(saved(content, tmp_path))


def with_nan(weight: torch.Tensor) -> torch.Tensor:
    return torch.full_like(weight, torch.nan)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("unit_emb.vocab", None, r"expected the vocabulary unit_emb\.vocab, found none: which row"),
        ("session_emb.vocab", lambda words: list(words), r"expected the vocabulary session_emb\.vocab, found .*list"),
        ("unit_emb.vocab", lambda words: {**words, "lab/monday/u0": 2}, r"expected the rows .* each once"),
        ("unit_emb.vocab", lambda words: {word: row for word, row in words.items() if row}, r"to be 0 \('NA'\)"),
        ("unit_emb.vocab", lambda words: {**words, 7: 6}, "a row for each word"),
        ("unit_emb.vocab", lambda words: {**words, "lab/monday/u9": 6}, r"unit_emb\.weight: expected \(7, 16\)"),
        ("readout.weight", with_nan, r"readout\.weight has entries that are not finite"),
        ("readout.bias", lambda weight: weight.long(), r"floats in readout\.bias, found Tensor of torch\.int64"),
        ("readout.bias", lambda weight: 3.0, r"floats in readout\.bias, found float"),
        ("readout.weight", None, r"it lacks readout\.weight"),
        ("rotary_emb.omega", None, r"it lacks rotary_emb\.omega"),
        ("dec_ffn.0.bias", None, r"dec_ffn\.0\.bias: expected \(16,\), found none"),
        ("extra.weight", lambda _: torch.ones(2), r"extra\.weight: expected none, found \(2,\)"),
        ("enc_atn.to_kv.weight", lambda weight: weight[:-1], r"to_kv\.weight: expected \(16, 16\), found \(15"),
        ("rotary_emb.omega", lambda omega: omega.flip(0), "positive in its first half and 0 in its second"),
        ("rotary_emb.omega", lambda omega: omega[: len(omega) // 2].repeat(2), "and 0 in its second"),
        ("rotary_emb.omega", lambda omega: torch.tensor([9.0, 9.0, 0, 0]), "rise evenly in log"),
        ("rotary_emb.omega", lambda omega: omega[:0], "positive in its first half"),
    ],
)  # fmt: skip
def test_weights_that_are_not_poyos_are_refused_by_name(state, tmp_path, name, change, reason):
    value = state.pop(name, None)
    if change is not None:
        state[name] = change(value)
    with pytest.raises(
        ValueError, match=rf"model\.ckpt cannot be read as a checkpoint of torch_brain's POYO.*{reason}"
    ):
        read_checkpoint(saved(lightning(state), tmp_path))


def test_frequencies_that_are_not_log_spaced_are_refused(tmp_path):
    config = replace(CONFIG, dim_head=16)
    state = to_torch_brain(config, POYO(config, 6, 3).state_dict(), SESSIONS)["state_dict"]
    state["rotary_emb.omega"][1] *= 1.01
    with pytest.raises(ValueError, match="rise evenly in log"):
        read_checkpoint(saved(lightning(state), tmp_path))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"depth": 6}, "its weights are those of depth=2, its hyper-parameters say 6"),
        ({"latent_step": 0.3}, "4 steps in torch_brain and 3 here"),
        ({"sequence_length": "1.0"}, "sequence_length to be a number of seconds, found '1.0'"),
        ({"latent_step": 0.0}, "latent_step to be a number of seconds"),
        ({"lin_dropout": 3}, "lin_dropout to be a probability below 1, found 3"),
    ],
)
def test_hyper_parameters_that_contradict_the_weights_are_refused(state, tmp_path, model, reason):
    with pytest.raises(ValueError, match=reason):
        read_checkpoint(saved(lightning(state, **model), tmp_path))


# writing


def test_torch_brain_loads_what_is_written(torch_brain, ours, tmp_path):
    write_checkpoint(tmp_path / "model.ckpt", ours.config, ours.state, ours.sessions)
    network = torch_brain.POYO.load_pretrained(tmp_path / "model.ckpt").eval()
    assert list(network.unit_emb.vocab) == ["NA", *SESSIONS["lab/monday"], *SESSIONS["lab/tuesday"]]
    assert_same_numbers(ours, network, draw_windows(SESSIONS))
    assert os.listdir(tmp_path) == ["model.ckpt"]


def test_torch_brain_loads_the_state_dict_strictly(torch_brain, ours):
    content = to_torch_brain(ours.config, ours.state, ours.sessions)
    arguments = {**content["hyper_parameters"]["model"], "dim_out": 3}
    assert arguments.pop("_target_") == "torch_brain.models.POYO"
    network = torch_brain.POYO(**arguments)
    network.load_state_dict(content["state_dict"], strict=True)
    assert_same_numbers(ours, network.eval(), draw_windows(SESSIONS))


def test_what_is_written_reads_back(ours, tmp_path):
    config = replace(ours.config, window_length=2.0, latent_step=0.25, ffn_dropout=0.05, lin_dropout=0.0)
    write_checkpoint(tmp_path / "model.ckpt", config, ours.state, ours.sessions)
    checkpoint = read_checkpoint(tmp_path / "model.ckpt")
    assert checkpoint.config == config
    assert checkpoint.sessions == SESSIONS
    assert checkpoint.state.keys() == ours.state.keys()
    assert all(torch.equal(checkpoint.state[name], weight) for name, weight in ours.state.items())


def test_torch_brain_lays_as_many_latent_steps(torch_brain, ours):
    """1.1 / 0.1 is a little more than 11, for which torch_brain would take 12 steps."""
    config = replace(ours.config, window_length=1.1, latent_step=0.1)
    content = to_torch_brain(config, ours.state, ours.sessions)
    arguments = {name: value for name, value in content["hyper_parameters"]["model"].items() if name != "_target_"}
    assert arguments["latent_step"] == pytest.approx(0.1, rel=1e-12)
    network = torch_brain.POYO(**arguments, dim_out=3)
    network.load_state_dict(content["state_dict"])
    assert_same_numbers(
        TorchBrainCheckpoint(config, ours.state, SESSIONS), network.eval(), draw_windows(SESSIONS, length=1.1)
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"causal": True}, "a causal network cannot be written for torch_brain: its POYO has no masks"),
        ({"latent_step": 0.3}, "3 steps here and 4 in torch_brain"),
        ({"dim_head": 4}, "needs a dim_head of 8, 12, 16"),
        ({"dim_head": 10}, "needs a dim_head of 8, 12, 16"),
    ],
)
def test_networks_that_torch_brain_does_not_have_are_not_written(tmp_path, change, reason):
    config = replace(CONFIG, **change)
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"older")
    with pytest.raises(ValueError, match=reason):
        write_checkpoint(path, config, POYO(config, 6, 3).state_dict(), SESSIONS)
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize(
    ("sessions", "reason"),
    [
        ({"a": ["u0", "u1", "u2"], "b": ["u0", "u1"]}, "words that differ"),
        ({"a": ["a/0", "a/1", "a/2"], "b": ["b/0", "NA"]}, "words that differ"),
        ({"NA": ["NA/0", "NA/1", "NA/2"], "b": ["b/0", "b/1"]}, "differ from each other and from 'NA'"),
        ({"a": ["a/0", "a/1", "2"], "b": ["b/0", "b/1"]}, "do not say which session"),
        ({"a": ["a/b/0", "a/1", "a/2"], "a/b": ["a/b/1", "a/b/2"]}, "do not say which session"),
        ({"a": ["a/0", "a/1"], "b": ["b/0", "b/1"]}, r"unit_emb\.weight: expected \(5, 16\), found \(6, 16\)"),
    ],
)
def test_words_that_torch_brain_could_not_tell_apart_are_not_written(ours, sessions, reason):
    with pytest.raises(ValueError, match=reason):
        to_torch_brain(ours.config, ours.state, sessions)


def test_merged_spikes_are_warned_of(ours):
    with pytest.warns(UserWarning, match=r"merges a unit's spikes within 0\.005 s"):
        to_torch_brain(replace(ours.config, token_bin=0.005), ours.state, ours.sessions)


def test_what_is_written_shares_no_memory_with_the_network(ours):
    content = to_torch_brain(ours.config, ours.state, ours.sessions)
    before = ours.state["readout.bias"].clone()
    content["state_dict"]["readout.bias"].zero_()
    assert torch.equal(ours.state["readout.bias"], before)


def test_a_full_disk_leaves_the_older_checkpoint_of_torch_brain(tmp_path, monkeypatch):
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"older")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_checkpoint(path, CONFIG, POYO(CONFIG, 6, 3).state_dict(), SESSIONS)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]
