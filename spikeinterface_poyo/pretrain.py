"""Train a decoder on a folder of sessions, with one process or many.

    python -m spikeinterface_poyo.pretrain SESSIONS OUT --max-iter 100
    torchrun --nproc-per-node 8 -m spikeinterface_poyo.pretrain SESSIONS OUT --max-iter 100 --batch-size 1024

SESSIONS has a folder for each session, called by its id. In it are ``sorting``, a folder that SpikeInterface saved
(``sorting.save(folder=...)``; ``sorting.zarr`` where it saved as Zarr), and one file of behaviour, called by the
behaviour's name, such as ``velocity.npz``: an archive of times (s), values, units and names, or an NWB file with one
time series. Spikes stay on disk. OUT gets what ``save_pretrained`` writes, once training has ended, and
``training.safetensors``: where training was stopped the same call goes on with it, and where it has ended nothing is
trained again. Options are the parameters of ``POYODecoder``, but for ``checkpoint``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .distributed import team
from .estimator import POYODecoder
from .inputs.behavior_files import read_behavior
from .parameters import check_parameters
from .paths import as_path
from .sessions.signals import Signal
from .warning import warn

CHECKPOINT = "training.safetensors"  # in OUT; that of training which has ended is read, not trained again
GIVEN = {"checkpoint"}  # parameters that are no options
OTHER_DEFAULTS = {"random_state": 0, "verbose": True}


def read_sessions(folder: Path, out: Path | None = None) -> dict[str, tuple[Path, Signal, str]]:
    """Folder of the sorting, behaviour and its name, by session id; ``out`` may lie among them.

    Raises
    ------
    ValueError
        Where there is no session, or one has no or several behaviours.

    Warns
    -----
    UserWarning
        Of folders that are left out, since they hold no sorting.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give that of the sessions")
    sessions = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if out is not None and out.exists() and place.samefile(out):
            continue
        sortings = [path for path in (place / "sorting", place / "sorting.zarr") if path.is_dir()]
        if not sortings:
            warn(f"{place} is left out: no folder in it is called sorting")
            continue
        if len(sortings) > 1:
            raise ValueError(f"{place} must hold one sorting; it holds {[path.name for path in sortings]}")
        files = sorted(file for file in place.iterdir() if file.suffix.lower() in (".npz", ".nwb"))
        if len(files) != 1:
            raise ValueError(f"{place} must hold one behaviour, a .npz or an NWB file; it holds "
                             f"{[file.name for file in files]}")  # fmt: skip
        sessions[place.name] = sortings[0], read_behavior(files[0]), files[0].stem
    if not sessions:
        raise ValueError(f"{folder} holds no session: no folder in it has a sorting")
    return sessions


def pretrain(sessions: Path, out: Path, **parameters: Any) -> None:
    """Train on the sessions of a folder and save the decoder in another; under torchrun with all its processes."""
    with team() as present:
        read = read_sessions(sessions, out)
        sortings, behaviors, behavior_names = map(list, zip(*read.values(), strict=True))
        decoder = POYODecoder(**parameters, checkpoint=out / CHECKPOINT)
        decoder.fit(sortings, behaviors, session_id=list(read), behavior_name=behavior_names)
        if decoder.interrupted_:
            raise KeyboardInterrupt
        if present.leads:
            decoder.save_pretrained(out)


def value(text: str) -> Any:
    """A parameter as written on the command line: a number, true, false, null, as in Python too, or a word."""
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except ValueError:
        return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("sessions", type=as_path)
    parser.add_argument("out", type=as_path)
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
