"""Train a decoder on a folder of sessions, with one process or many.

    python -m spikeinterface_poyo.pretrain SESSIONS OUT --max-iter 100
    torchrun --nproc-per-node 8 -m spikeinterface_poyo.pretrain SESSIONS OUT --max-iter 100 --batch-size 1024

SESSIONS has a folder for each session, called by its id. In it are ``sorting``, a folder that SpikeInterface saved
(``sorting.save(folder=...)``), and one file of behaviour, called by the behaviour's name, such as ``velocity.npz``: an
archive of times (s), values, units and names, or an NWB file with one time series. Spikes stay on disk. OUT gets what
``save_pretrained`` writes, once training has ended: where it was stopped, the same call goes on with it. Options are
the parameters of ``POYODecoder``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .behavior_files import read_behavior
from .distributed import team
from .door import check_parameters
from .estimator import POYODecoder
from .signals import Signal

CHECKPOINT = "training.safetensors"  # in OUT, until training has ended
GIVEN = {"checkpoint"}  # parameters that are no options
OTHER_DEFAULTS = {"random_state": 0, "verbose": True}


def read_sessions(folder: Path) -> dict[str, tuple[Path, Signal, str]]:
    """Folder of the sorting, behaviour and its name, by session id.

    Raises
    ------
    ValueError
        Where there is no session, or one has no or several behaviours.
    """
    sessions = {}
    for sorting in sorted(folder.glob("*/sorting")):
        files = [file for suffix in ("npz", "nwb") for file in sorted(sorting.parent.glob(f"*.{suffix}"))]
        if len(files) != 1:
            raise ValueError(f"{sorting.parent} must hold one behaviour, a .npz or an NWB file; it holds "
                             f"{[file.name for file in files]}")  # fmt: skip
        sessions[sorting.parent.name] = sorting, read_behavior(files[0]), files[0].stem
    if not sessions:
        raise ValueError(f"{folder} holds no session: no folder in it has a sorting")
    return sessions


def pretrain(sessions: Path, out: Path, **parameters: Any) -> None:
    """Train on the sessions of a folder and save the decoder in another; under torchrun with all its processes."""
    with team() as present:
        read = read_sessions(sessions)
        sortings, behaviors, behavior_names = map(list, zip(*read.values(), strict=True))
        decoder = POYODecoder(**parameters, checkpoint=out / CHECKPOINT)
        decoder.fit(sortings, behaviors, session_id=list(read), behavior_name=behavior_names)
        if decoder.interrupted_:
            raise KeyboardInterrupt
        if present.leads:
            decoder.save_pretrained(out)
            (out / CHECKPOINT).unlink()


def value(text: str) -> Any:
    """A parameter as written on the command line: a number, true, false, null, as in Python too, or a word."""
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except ValueError:
        return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", type=Path)
    parser.add_argument("out", type=Path)
    for name, parameter in inspect.signature(POYODecoder).parameters.items():
        if name not in GIVEN:
            default = OTHER_DEFAULTS.get(name, parameter.default)
            parser.add_argument(f"--{name.replace('_', '-')}", type=value, default=default, help=f"default: {default}")
    given = vars(parser.parse_args(arguments))
    try:
        check_parameters(POYODecoder(**{name: given[name] for name in given if name not in ("sessions", "out")}))
    except (TypeError, ValueError) as error:
        parser.error(str(error))
    try:
        pretrain(**given)
    except KeyboardInterrupt:
        sys.exit("Training was stopped before its end and nothing was saved; the same command goes on with it.")


if __name__ == "__main__":
    main()
