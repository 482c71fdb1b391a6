"""Weights on disk: a folder with ``decoder.json`` and the safetensors file it names, written atomically, never pickled.

The weights' file is called after its contents, so a new decoder never overwrites the one that is there: moving the new
``decoder.json`` into place is the one step that replaces it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.torch import load_file, save_file

from .network import POYO, NetworkConfig
from .vocabulary import Vocabulary

FORMAT_VERSION = 1
DESCRIPTION = "decoder.json"
RECORD = (
    "n_iter_",
    "loss_",
    "best_loss_",
    "loss_curve_",
    "validation_scores_",
    "best_validation_score_",
    "interrupted_",
)


def save(decoder: Any, folder: str | PathLike[str]) -> None:
    """Write a fitted decoder. An older one in ``folder`` stays whole until the new one is complete."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    description = {
        "format_version": FORMAT_VERSION,
        "parameters": decoder.get_params() | {"random_state": plain_seed(decoder.random_state)},
        "network": asdict(decoder.network_.config),
        "sessions": decoder.sessions_.to_json(),
        "target": {
            "mean": decoder.target_mean_.tolist(),
            "scale": decoder.target_scale_.tolist(),
            "units": decoder.target_units_,
            "names": decoder.target_names_,
            "one_dimensional": decoder._flat_target,
        },
        "features": {name: np.asarray(getattr(decoder, name)).tolist()
                     for name in ("n_features_in_", "feature_names_in_") if hasattr(decoder, name)},
        "training": {name: getattr(decoder, name) for name in RECORD},
        "provenance": {name: version(name) for name in ("spikeinterface_poyo", "torch", "spikeinterface", "numpy")},
    }  # fmt: skip
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in decoder.network_.state_dict().items()}
    aside = Path(tempfile.mkdtemp(dir=target, prefix=".saving-"))
    try:
        save_file(state, aside / "weights")
        name = f"model-{hashlib.sha256((aside / 'weights').read_bytes()).hexdigest()[:12]}.safetensors"
        text = json.dumps(description | {"weights": name}, indent=1, default=plain_number)
        (aside / DESCRIPTION).write_text(text, encoding="utf-8")
        older = weights_file(target)
        os.replace(aside / "weights", target / name)
        os.replace(aside / DESCRIPTION, target / DESCRIPTION)
    finally:
        shutil.rmtree(aside)
    if older is not None and older.name != name:
        older.unlink(missing_ok=True)


def weights_file(folder: Path) -> Path | None:
    """The file of weights that the description in ``folder`` names, if there is one."""
    try:
        name = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["weights"]
        return folder / Path(name).name
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load(cls: type, folder: str | PathLike[str], device: str) -> Any:
    """Read a decoder that `save` wrote.

    Raises
    ------
    FileNotFoundError
        Where the folder lacks one of the two files.
    ValueError
        Where they are damaged, or of a format newer than this version reads.
    """
    source = Path(folder)
    if not (source / DESCRIPTION).is_file():
        raise FileNotFoundError(f"{source} is no saved decoder: it lacks {DESCRIPTION}")
    try:
        description = json.loads((source / DESCRIPTION).read_text(encoding="utf-8"))
        newer = description["format_version"] > FORMAT_VERSION
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(source, error) from error
    if newer:
        raise ValueError(f"{source} has format version {description['format_version']}; this version of "
                         f"spikeinterface_poyo reads up to {FORMAT_VERSION}: upgrade it")  # fmt: skip
    file = weights_file(source)
    if file is not None and not file.is_file():
        raise FileNotFoundError(f"{source} is no saved decoder: it lacks {file.name}")
    try:
        return build(cls, description, load_file(source / description["weights"]), device)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, safetensors.SafetensorError) as error:
        raise damaged(source, error) from error


def damaged(source: Path, error: Exception) -> ValueError:
    """What is told of a folder whose files cannot be read or do not fit together."""
    return ValueError(f"the decoder saved in {source} is damaged: {type(error).__name__}: {error}")


def build(cls: type, description: dict[str, Any], state: dict[str, Any], device: str) -> Any:
    """A fitted decoder from what was read."""
    decoder = cls(**description["parameters"] | {"device": device})
    decoder.sessions_ = Vocabulary.from_json(description["sessions"])
    network = POYO(
        NetworkConfig(**description["network"]), decoder.sessions_.n_unit_rows, decoder.sessions_.n_session_rows
    )
    network.load_state_dict(state)
    decoder.network_ = network.eval()
    restore(decoder, description)
    return decoder


def restore(decoder: Any, description: dict[str, Any]) -> None:
    """Fitted attributes other than the network and its vocabulary."""
    target = description["target"]
    decoder.target_mean_, decoder.target_scale_ = np.array(target["mean"]), np.array(target["scale"])
    decoder.target_units_ = target["units"]
    decoder.target_names_ = None if target["names"] is None else tuple(target["names"])
    decoder.n_outputs_ = len(target["mean"])
    decoder._flat_target = target["one_dimensional"]
    for name, value in description["training"].items():
        setattr(decoder, name, value)
    features = description["features"]
    if "n_features_in_" in features:
        decoder.n_features_in_ = features["n_features_in_"]
    if "feature_names_in_" in features:
        decoder.feature_names_in_ = np.array(features["feature_names_in_"], dtype=object)


def plain_seed(random_state: Any) -> int | None:
    """A seed that JSON holds; a generator's state is not kept."""
    return int(random_state) if isinstance(random_state, (int, np.integer)) else None


def plain_number(value: Any) -> Any:
    """NumPy scalars as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
