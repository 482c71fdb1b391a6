"""Weights on disk: a folder with ``decoder.json`` and the safetensors file it names, written atomically, never pickled.

The safetensors file holds the description too, so that it can be sent around by itself. A digest over both tells a file
that was altered. The weights' file is called after its contents, so a new decoder never overwrites the one that is
there: moving the new ``decoder.json`` into place is the one step that replaces it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from ..door import FEATURES
from ..fitted.calibration import calibration_from_json, calibration_to_json
from ..fitted.learned import Learned, Origin, keep, learned_of, record_of
from ..fitted.record import TrainingRecord
from ..fitted.vocabulary import Vocabulary
from ..network.poyo import POYO, NetworkConfig
from ..paths import as_path
from ..versions import versions
from .digests import digest_of, plain_number
from .older_formats import upgraded
from .replacing import is_abandoned, replace_file

FORMAT_VERSION = 7  # 7: how quickly behaviour changes, by which answers are smoothed; older decoders smooth nothing
DESCRIPTION = "decoder.json"
ATTEMPTS = 3  # to read two files that belong together
WEIGHTS = f"model-{12 * '[0-9a-f]'}.safetensors"  # twelve digits of a hash


class NewerFormatError(ValueError):
    """For a file that a later version of this package wrote."""


def save(decoder: Any, folder: str | PathLike[str]) -> None:
    """Write a fitted decoder. An older one in ``folder`` stays whole until the new one is complete."""
    target = as_path(folder)
    if not os.fspath(folder):
        raise ValueError("give the folder to save the decoder in, got an empty path")
    if target.is_file():
        raise ValueError(f"{str(target)!r} is a file; give the folder to save the decoder in")
    description, contents = packed(decoder)
    name = f"model-{hashlib.sha256(contents).hexdigest()[:12]}.safetensors"
    older = weights_file(target)
    replace_file(target / name, contents)
    replace_file(target / DESCRIPTION, json.dumps(description | {"weights": name}, indent=1).encode())
    if not (target / name).is_file():  # removed by who saved another decoder meanwhile, as what was there before
        replace_file(target / name, contents)
    for file in target.glob(WEIGHTS):
        if file not in (target / name, weights_file(target)) and (file == older or is_abandoned(file)):
            file.unlink(missing_ok=True)


def packed(decoder: Any) -> tuple[dict[str, Any], bytes]:
    """Description of a fitted decoder, with a digest, and the safetensors file that holds it and the weights."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in decoder.network_.state_dict().items()}
    description = json.loads(json.dumps(describe(decoder), default=plain_number))
    description["digest"] = digest_of(description, state)
    return description, to_safetensors(state, metadata={"description": json.dumps(description, indent=1)})


def describe(decoder: Any) -> dict[str, Any]:
    """All but the weights of a fitted decoder."""
    record = record_of(decoder)
    return {
        "format_version": FORMAT_VERSION,
        "parameters": plain_parameters(decoder),
        "network": asdict(decoder.network_.config),
        "vocabulary": decoder.sessions_.to_json(),
        "features": {name: np.asarray(getattr(decoder, name)).tolist() for name in FEATURES if hasattr(decoder, name)},
        "calibration": calibration_to_json(decoder.calibration_),
        "training": {
            "losses": record.losses,
            "scores": record.scores,
            "interrupted": record.interrupted,
            "stages": record.stages,
        },
        "provenance": versions() | {"started_from": [asdict(origin) for origin in learned_of(decoder).origins]},
    }


def plain_parameters(decoder: Any) -> dict[str, Any]:
    """Parameters as JSON holds them. Paths may be private, and whoever loads the weights starts from them."""
    weights = decoder.class_weight
    if isinstance(weights, Mapping):
        weights = list(weights.items())  # labels that are keys would become strings
    return decoder.get_params() | {
        "class_weight": weights,
        "device": str(decoder.device),
        "random_state": plain_seed(decoder.random_state),
        "pretrained": None,
        "checkpoint": None,
    }


def weights_file(folder: Path) -> Path | None:
    """The file of weights that the description in ``folder`` names; None where one of the two is not there."""
    try:
        file = folder / Path(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["weights"]).name
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return file if file.is_file() else None


def read(source: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and weights from a folder that `save` wrote, or from its file of weights alone.

    Raises
    ------
    FileNotFoundError
        Where the folder lacks one of the two files.
    ValueError
        Where they are damaged, altered, or of a format newer than this version reads.
    """
    if source.is_dir() and not (source / DESCRIPTION).is_file():
        raise FileNotFoundError(f"{source} is no saved decoder: it lacks {DESCRIPTION}")
    if not source.exists():
        raise FileNotFoundError(f"{source} is no saved decoder: there is nothing of that name")
    for _ in range(ATTEMPTS):
        description, file, digest = described(source)
        try:
            if not file.is_file():
                raise FileNotFoundError
            with safetensors.safe_open(file, framework="pt") as opened:
                state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except FileNotFoundError:
            continue  # a decoder that another process saves meanwhile replaces both files
        except safetensors.SafetensorError as error:
            raise damaged(source, error) from error
        if description["format_version"] > 1 and digest != digest_of(description, state):
            raise damaged(source, ValueError("its contents are not those that were saved (their digest differs)"))
        try:
            return upgraded(description), state
        except (KeyError, TypeError, AttributeError) as error:
            raise damaged(source, error) from error
    raise FileNotFoundError(f"{source} is no saved decoder: it lacks {file.name}")


def described(source: Path) -> tuple[dict[str, Any], Path, str | None]:
    """As of `read_description`, of a format that this version reads; errors as of `read`."""
    try:
        description, file, digest = read_description(source)
        newer = description["format_version"] > FORMAT_VERSION
    except (ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise damaged(source, error) from error
    if newer:
        raise NewerFormatError(f"{source} has format version {description['format_version']}; this version of "
                         f"spikeinterface_poyo reads up to {FORMAT_VERSION}: upgrade it")  # fmt: skip
    return description, file, digest


def read_description(source: Path) -> tuple[dict[str, Any], Path, str | None]:
    """Description, file of weights, and digest of both."""
    if source.is_dir():
        description = json.loads((source / DESCRIPTION).read_text(encoding="utf-8"))
        file = source / Path(description.pop("weights")).name
        return description, file, description.pop("digest", None)
    with safetensors.safe_open(source, framework="pt") as opened:
        metadata = opened.metadata() or {}
    if "description" not in metadata:
        raise ValueError("the file does not say what its weights are; expected one that save_pretrained wrote")
    description = json.loads(metadata["description"])
    return description, source, description.pop("digest", metadata.get("digest"))  # until version 5 beside it


def damaged(source: Path, error: Exception) -> ValueError:
    """What is told of files that cannot be read or do not fit together."""
    return ValueError(f"the decoder saved in {source} is damaged: {type(error).__name__}: {error}")


def read_learned(source: Path) -> tuple[Learned, dict[str, Any]]:
    """Network and vocabulary of a saved decoder, and its description."""
    description, state = read(source)
    try:
        vocabulary = Vocabulary.from_json(description["vocabulary"])
        config = NetworkConfig(**description["network"])
        network = POYO.fresh(config, vocabulary.n_unit_rows, vocabulary.n_session_rows)
        network.load_state_dict(state)
        origins = tuple(Origin(**origin) for origin in description.get("provenance", {}).get("started_from", []))
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise damaged(source, error) from error
    return Learned(network.eval(), vocabulary, origins), description


def load(cls: type, source: Path) -> Any:
    """A fitted decoder that `save` wrote."""
    learned, description = read_learned(source)
    try:
        # A file does not say what its user's process reads from and writes to; `save` writes None.
        decoder = cls(**description["parameters"] | {"pretrained": None, "checkpoint": None})
        if isinstance(decoder.class_weight, list):
            decoder.class_weight = dict(decoder.class_weight)
        training = description["training"]
        stages = training.get("stages", [])  # not in older files
        record = TrainingRecord(training["losses"], training["scores"], training["interrupted"], stages=stages)
        keep(decoder, learned, record)
        decoder.calibration_ = calibration_from_json(description["calibration"])
        features = description["features"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(source, error) from error
    if "n_features_in_" in features:
        decoder.n_features_in_ = features["n_features_in_"]
    if "feature_names_in_" in features:
        decoder.feature_names_in_ = np.array(features["feature_names_in_"], dtype=object)
    return decoder


def to_bytes(decoder: Any) -> bytes:
    """A fitted decoder as the contents of one safetensors file."""
    return packed(decoder)[1]


def from_bytes(cls: type, contents: bytes) -> Any:
    """Inverse of `to_bytes`; nothing is unpickled."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "decoder.safetensors")
        file.write_bytes(contents)
        return load(cls, file)


def plain_seed(random_state: Any) -> int | None:
    """A seed that JSON holds; a generator's state is not kept."""
    return int(random_state) if isinstance(random_state, (int, np.integer)) else None
