"""torch_brain's POYO checkpoints: read without running anything that is in them, and written for torch_brain to read.

Such a file is what ``torch.save`` makes of ``{"state_dict": ..., "hyper_parameters": {"model": ...}}`` (PyTorch
Lightning, torch_brain 0.1 and 0.2) or of a bare state dict. Beside the weights the state dict holds two vocabularies,
``unit_emb.vocab`` and ``session_emb.vocab``: dicts from word to row, ``"NA"`` in row 0. A unit's word begins with its
session's: ``"<session>/<unit>"``.
"""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..network.poyo import POYO, NetworkConfig
from ..warning import warn
from .replacing import replace_file
from .torch_brain_config import OMEGA, infer_config, torch_brain_arguments
from .torch_file import load_plain

PADDING_WORD = "NA"


@dataclass(frozen=True, eq=False)
class TorchBrainCheckpoint:
    """What a torch_brain checkpoint holds, in this package's terms.

    Parameters
    ----------
    config : NetworkConfig
        Shape of the network.
    state : dict of str to Tensor
        float32 weights on the CPU, named and shaped as in `POYO`. Row 0 of both tables is the padding word; session
        ``i`` of ``sessions`` is in row ``1 + i``, and the units follow each other as ``sessions`` lists them, from row
        1 on.
    sessions : dict of str to tuple of str
        The words of each session's units.
    """

    config: NetworkConfig
    state: dict[str, Tensor]
    sessions: dict[str, tuple[str, ...]]


def read_checkpoint(path: str | PathLike[str]) -> TorchBrainCheckpoint:
    """Read a POYO checkpoint of torch_brain 0.1 or 0.2. Nothing in the file is run, whoever made it.

    Shapes and rotary frequencies come from the weights, the dropouts from the hyper-parameters where the file has them.
    torch_brain's dropout of attention has no counterpart here and is left out: it matters in training only. For a file
    without hyper-parameters a ``sequence_length`` of 1.0 s and a ``latent_step`` of 0.125 s are assumed, those of all
    published models, with a warning.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    TorchBrainCheckpoint

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is damaged, holds more than tensors and plain data, or is no checkpoint of torch_brain's POYO.

    Warns
    -----
    UserWarning
        Where times are assumed, or units belong to no session of the file and are left out.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {source}")
    try:
        state, model = network_part(load_plain(source))
        units, sessions = take_vocabulary(state, "unit_emb"), take_vocabulary(state, "session_emb")
        weights = float_tensors(state)
        config = infer_config(weights, model)
        weights["omega"] = weights.pop(OMEGA)[: config.dim_head // 4].clone()
        check_weights(weights, config, len(units), len(sessions))
    except ValueError as error:
        raise ValueError(f"{source} cannot be read as a checkpoint of torch_brain's POYO: {error}") from error
    grouped = group_units(units[1:], sessions[1:])
    row = {word: i for i, word in enumerate(units)}
    order = [0] + [row[word] for words in grouped.values() for word in words]
    if len(order) < len(units):
        lost = sorted(set(units[1:]).difference(*grouped.values()))
        warn(f"{source}: {len(lost)} of {len(units) - 1} units belong to none of its {len(grouped)} sessions, "
             f"going by '<session>/<unit>' (first: {lost[0]!r}); their embeddings are left out")  # fmt: skip
    weights["unit_emb.weight"] = weights["unit_emb.weight"][order]
    return TorchBrainCheckpoint(config, weights, grouped)


def network_part(content: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network's state dict, keys without the prefix of what wraps it, and its hyper-parameters."""
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise ValueError(f"expected a state dict or a dict with one in 'state_dict', found {type(content).__name__}")
    if any("perceiver_io." in name or "spike_type_emb." in name for name in state):
        raise ValueError("it has the layout of February 2024 (perceiver_io.*), which holds no vocabularies: which row "
                         "belongs to which unit is not known. Expected torch_brain >= 0.1")  # fmt: skip
    if any(re.search(r"(^|\.)(task_emb\.|readout\.projections\.|input_value_map\.)", name) for name in state):
        raise ValueError("it is of POYO+ (task_emb, readout.projections), which has other inputs and outputs. "
                         "Expected torch_brain's POYO")  # fmt: skip
    prefixes = [name.removesuffix("unit_emb.weight") for name in state if name.endswith("unit_emb.weight")]
    if len(prefixes) != 1:
        raise ValueError(f"expected one 'unit_emb.weight', found {len(prefixes)} among {len(state)} entries "
                         f"({', '.join(list(state)[:4])}...)")  # fmt: skip
    inside = {name.removeprefix(prefixes[0]): value for name, value in state.items() if name.startswith(prefixes[0])}
    parameters = content.get("hyper_parameters", {})
    model = parameters.get("model", parameters) if isinstance(parameters, Mapping) else None
    if not isinstance(model, Mapping):
        raise ValueError(f"expected a dict in hyper_parameters['model'], found {type(model).__name__}")
    return inside, dict(model)


def take_vocabulary(state: dict[str, Any], table: str) -> list[str]:
    """Take a vocabulary out of ``state``: its words in the order of the table's rows, the padding word first."""
    words = state.pop(f"{table}.vocab", None)
    if not isinstance(words, Mapping):
        raise ValueError(f"expected the vocabulary {table}.vocab, found {'none' if words is None else type(words)}: "
                         "which row belongs to which word is not known. Save model.state_dict() as it is, after the "
                         "vocabulary was initialised")  # fmt: skip
    if not all(isinstance(word, str) and type(row) is int for word, row in words.items()):
        raise ValueError(f"expected {table}.vocab to give a row for each word, found other types")
    ordered = sorted(words, key=words.__getitem__)
    if [words[word] for word in ordered] != list(range(len(words))) or ordered[:1] != [PADDING_WORD]:
        raise ValueError(f"expected the rows of {table}.vocab to be 0 ({PADDING_WORD!r}), 1, 2..., each once")
    return [str(word) for word in ordered]


def float_tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Own float32 copies of weights, which must be finite."""
    weights = {}
    for name, value in state.items():
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.is_sparse or value.is_meta:
            raise ValueError(f"expected a dense tensor of floats in {name}, found {type(value).__name__} of "
                             f"{getattr(value, 'dtype', 'another type')}")  # fmt: skip
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError(f"{name} has more entries, {value.numel()}, than are stored for it")
        weights[name] = value.detach().to("cpu", torch.float32, copy=True).contiguous()
        if not weights[name].isfinite().all():
            raise ValueError(f"{name} has entries that are not finite. Take a checkpoint from before training diverged")
    return weights


def check_weights(weights: Mapping[str, Tensor], config: NetworkConfig, n_units: int, n_sessions: int) -> None:
    """Raise ValueError where weights are not those of our network of that shape."""
    with torch.device("meta"):
        network = POYO(config, n_units, n_sessions)
    expected = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    wrong = [
        f"{name}: expected {expected.get(name, 'none')}, found {found.get(name, 'none')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    if wrong:
        raise ValueError(f"{len(wrong)} of its weights do not fit together: {'; '.join(wrong[:4])}")


def group_units(units: Sequence[str], sessions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Words of the units of each session: those that begin with its word and a slash, in the order given.

    A unit goes to the longest session that fits. Where none fits any unit, all are of the one session there is.
    """
    grouped: dict[str, list[str]] = {session: [] for session in sessions}
    for unit in units:
        session = unit
        while "/" in session:
            session = session.rpartition("/")[0]
            if session in grouped:
                grouped[session].append(unit)
                break
    if len(sessions) == 1 and not grouped[sessions[0]]:
        return {sessions[0]: tuple(units)}
    return {session: tuple(words) for session, words in grouped.items()}


def to_torch_brain(
    config: NetworkConfig, state: Mapping[str, Tensor], sessions: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Our network as a checkpoint of torch_brain's POYO, which gives the same numbers.

    Those numbers are what our network gives: standardised targets, all columns of the readout.

    Parameters
    ----------
    config : NetworkConfig
        Shape of the network.
    state : mapping of str to Tensor
        Its ``state_dict()``, rows of the tables as in `TorchBrainCheckpoint`.
    sessions : mapping of str to sequence of str
        The words of each session's units, ``"<session>/<unit>"``, both in the order of their rows.

    Returns
    -------
    dict
        ``"state_dict"``, for ``load_state_dict`` of torch_brain's POYO, whose vocabularies must not be initialised
        before; and ``"hyper_parameters"``, whose ``"model"`` holds its arguments but ``dim_out``.

    Raises
    ------
    ValueError
        Where torch_brain's POYO cannot be that network, or words and weights do not fit together.

    Warns
    -----
    UserWarning
        Where spikes are merged before our network reads them: torch_brain reads each, so its numbers differ a little.
    """
    if config.causal:
        raise ValueError("a causal network cannot be written for torch_brain: its POYO has no masks for what comes "
                         "later and would read the whole window. Fit one with causal=False")  # fmt: skip
    if config.dim_head < 8 or config.dim_head % 4:
        raise ValueError(f"torch_brain's rotary time needs a dim_head of 8, 12, 16..., got {config.dim_head}")
    units = [unit for words in sessions.values() for unit in words]
    if len({*units, PADDING_WORD}) <= len(units) or PADDING_WORD in sessions:
        raise ValueError(f"torch_brain needs unit words that differ from each other and from {PADDING_WORD!r}. "
                         "Name them '<session>/<unit>'")  # fmt: skip
    if group_units(units, list(sessions)) != {session: tuple(words) for session, words in sessions.items()}:
        raise ValueError("the words do not say which session a unit belongs to. Name units '<session>/<unit>', and "
                         "sessions so that none is the beginning of another's unit")  # fmt: skip
    weights: dict[str, Any] = float_tensors(state)
    check_weights(weights, config, 1 + len(units), 1 + len(sessions))
    if config.token_bin:
        warn(f"this network merges a unit's spikes within {config.token_bin} s and torch_brain's reads each "
             "by itself: its predictions will differ a little")  # fmt: skip
    omega = weights.pop("omega")
    weights[OMEGA] = torch.cat([omega, torch.zeros_like(omega)])
    vocabularies = {"unit_emb.vocab": units, "session_emb.vocab": sessions}
    for name, words in vocabularies.items():
        weights[name] = OrderedDict((str(word), row) for row, word in enumerate([PADDING_WORD, *words]))
    return {"state_dict": weights, "hyper_parameters": {"model": torch_brain_arguments(config)}}


def write_checkpoint(
    path: str | PathLike[str],
    config: NetworkConfig,
    state: Mapping[str, Tensor],
    sessions: Mapping[str, Sequence[str]],
) -> None:
    """Write `to_torch_brain` to a file for ``POYO.load_pretrained``. An older file stays whole until it is complete."""
    contents = io.BytesIO()
    torch.save(to_torch_brain(config, state, sessions), contents)
    replace_file(Path(path), contents.getvalue())
