"""Checkpoints: the state of a fit in a file, from which the same fit goes on after its process died.

One safetensors file holds tensors and, as JSON, everything else; nothing is pickled. A new one is written aside, synced
and moved into place, so that at any moment there is a whole one. A fit is a sequence of stages (see `fitting` and
`adaptation`); the file holds the records of those that ended and the state of the one under way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from ..fitted.record import TrainingRecord
from ..warning import warn
from ..weights.digests import digest_of
from ..weights.replacing import replace_file
from .state import TrainingState

FORMAT_VERSION = 2  # 2: with a digest
CHECKPOINT_SECONDS = 60.0  # between checkpoints
NO_CHECKPOINT = (ValueError, KeyError, TypeError, safetensors.SafetensorError)  # what reading another file may raise


class Saved(NamedTuple):
    """Contents of a checkpoint: tensors and facts of a `TrainingState`, and the records of the stages before it.

    ``ended`` tells whether the fit has come to its end.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    records: list[TrainingRecord]
    ended: bool


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    file : path
        Where the state is kept. Its folder is made where there is none.
    fingerprint : dict of str to plain data
        What the fit is made of, see `fingerprints.fingerprint`. A file with the same one is gone on from.
    writes : bool
        False for a process that reads only, because another of its team writes.

    Raises
    ------
    ValueError
        Where there is a file that is no checkpoint, is damaged, or is that of another fit that has not ended.
    OSError
        Where it cannot be read.
    """

    def __init__(self, file: Path, fingerprint: Mapping[str, Any], writes: bool = True) -> None:
        self.file, self.fingerprint, self.writes = file, dict(fingerprint), writes
        self.saved = read(file, self.fingerprint)
        self.records: list[TrainingRecord] = []  # of the stages that ended
        self.state: TrainingState | None = None  # of the stage under way, or that ended last
        self.last_write: float | None = None
        self.is_complete = self.saved is not None and self.saved.ended  # nothing is to be written any more

    @property
    def step(self) -> int:
        """Step of its stage that the file is at; -1 where there is none to go on from."""
        return -1 if self.saved is None else self.saved.facts["step"]

    def enter(self, state: TrainingState) -> TrainingRecord | None:
        """Begin a stage: bring ``state`` to where the file is, or give the record of a stage that ended before.

        Raises
        ------
        OSError
            Where no checkpoint can be written: better now than after hours.
        """
        if self.saved is not None and len(self.records) < len(self.saved.records):
            self.records.append(self.saved.records[len(self.records)])
            return self.records[-1]
        if self.saved is not None:
            try:
                state.unpack(self.saved.tensors, self.saved.facts)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise damaged(self.file, error) from error
            self.saved = None
        self.state = state
        self.write()
        return None

    def write_if_due(self) -> None:
        """Write where the last time was `CHECKPOINT_SECONDS` ago."""
        if self.last_write is None or time.monotonic() - self.last_write >= CHECKPOINT_SECONDS:
            self.write()

    def leave(self) -> None:
        """End a stage."""
        assert self.state is not None
        self.records.append(self.state.record)

    def close(self) -> None:
        """Mark the fit as ended: fitted again, it is read and not repeated; another fit may take its place."""
        self.records.pop()  # the last stage, whose state is written whole
        self.write(ended=True)

    def write(self, ended: bool = False) -> None:
        """Replace the file by the present state.

        Raises
        ------
        OSError
            The first time that it cannot be written. Later this is a warning, and the former file stays.
        ValueError
            Where losses or weights are not finite; the former file stays. The first time, where another fit's state is
            there by now; later this is a warning.
        """
        if not self.writes or self.is_complete:
            return
        if self.is_taken():
            problem = f"another fit, which has not ended, keeps its state in {self.file}"
            if self.last_write is None:
                raise ValueError(f"{problem}. Nothing was trained. Give each fit a checkpoint= of its own")
            warn(f"{problem}. The state of this one is not kept")
            self.last_write = time.monotonic()
            return
        assert self.state is not None
        self.state.check_finite()
        tensors, facts = self.state.pack()
        contents = {
            "format_version": FORMAT_VERSION,
            "fingerprint": self.fingerprint,
            "ended": ended,
            "records": [asdict(record) for record in self.records],
            "state": facts,
        }
        present = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        checkpoint = json.dumps(contents | {"digest": digest_of(contents, present)})
        try:
            replace_file(self.file, to_safetensors(present, metadata={"checkpoint": checkpoint}))
        except OSError as error:
            problem = f"no checkpoint could be written to {self.file}: {error}"
            if self.last_write is None:
                raise OSError(f"{problem}. Nothing was trained. Make room there, or give checkpoint= another place (to "
                              "go on, move there what is here), or None") from error  # fmt: skip
            warn(f"{problem}. Training goes on; the former checkpoint stays")
        self.last_write = time.monotonic()

    def is_taken(self) -> bool:
        """Whether another fit, which began at the same time, keeps its state in the file and has not ended."""
        try:
            with safetensors.safe_open(self.file, framework="pt") as opened:
                there = contents_of(opened)
            return there["fingerprint"] != self.fingerprint and not there["ended"]
        except (OSError, *NO_CHECKPOINT):
            return False  # there is none, or what is there is no checkpoint


def contents_of(opened: Any) -> dict[str, Any]:
    """All but the tensors of a checkpoint whose file is open."""
    contents: dict[str, Any] = json.loads((opened.metadata() or {})["checkpoint"])
    return contents


def read(file: Path, fingerprint: Mapping[str, Any]) -> Saved | None:
    """What is saved of the fit with that fingerprint, if anything is; see `Checkpoint`."""
    if not file.exists():
        return None
    if file.is_dir():
        raise ValueError(f"checkpoint={str(file)!r} is a folder; give the name of a file in it")
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            contents = contents_of(opened)
            # Copies, so that nothing is read from the file after it was replaced, nor lies where sums round otherwise.
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
        version, theirs, ended = contents["format_version"], contents["fingerprint"], contents["ended"]
        if version > 1 and contents.pop("digest") != digest_of(contents, tensors):
            raise ValueError("its contents are not those that were saved (their digest differs)")
        saved = Saved(tensors, contents["state"], [TrainingRecord(**record) for record in contents["records"]], ended)
    except NO_CHECKPOINT as error:
        raise damaged(file, error) from error
    if version <= FORMAT_VERSION and theirs == fingerprint:
        return saved
    if ended:
        return None
    there, here = ({"format_version": v, **f} for v, f in ((version, theirs), (FORMAT_VERSION, fingerprint)))
    differs = [f"{name} ({there.get(name)!r} there, {mine!r} here)"
               for name, mine in here.items() if there.get(name) != mine]  # fmt: skip
    raise ValueError(f"{file} is the checkpoint of another fit that has not ended: it differs in {', '.join(differs)}. "
                     "Give checkpoint= another name, or delete the file to give that fit up")  # fmt: skip


def damaged(file: Path, error: Exception) -> ValueError:
    """What is told of a file that cannot be gone on from."""
    return ValueError(f"training cannot go on from {file}: {type(error).__name__}: {error}. If it is a checkpoint, "
                      "delete it to train anew")  # fmt: skip
