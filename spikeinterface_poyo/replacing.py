"""Files that are replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".part"  # ends the name of a file that is being written


def replace_file(file: Path, contents: bytes) -> None:
    """Write a file such that, whenever the machine stops, the old or the new one is there and whole.

    Its folder is made where there is none. What writers of this file left behind when they died is removed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    for leftover in file.parent.glob(f".{file.name}-*{UNFINISHED}"):
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
