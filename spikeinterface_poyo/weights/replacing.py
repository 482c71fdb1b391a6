"""Files that are replaced as a whole."""

from __future__ import annotations

import glob
import os
import time
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".part"  # ends the name of a file that is being written
ABANDONED = 3600.0  # seconds after which nobody goes on with a file that stayed unfinished


def replace_file(file: Path, contents: bytes) -> None:
    """Write a file such that, whenever the machine stops, the old or the new one is there and whole.

    Its folder is made where there is none. What writers of this file left behind when they died long ago is removed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    for leftover in file.parent.glob(f".{glob.escape(file.name)}-*{UNFINISHED}"):
        if is_abandoned(leftover):
            leftover.unlink(missing_ok=True)
    aside = file.with_name(f".{file.name}-{uuid4().hex[:12]}{UNFINISHED}")
    try:
        with aside.open("xb") as opened:
            opened.write(contents)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(aside, file)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def is_abandoned(file: Path) -> bool:
    """Whether a file is so old that whoever wrote it does not go on with it; False where it is gone."""
    try:
        return time.time() - file.stat().st_mtime > ABANDONED
    except OSError:
        return False
