"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def is_path(given: Any) -> bool:
    """Whether that is a path, and not what is at one."""
    return isinstance(given, (str, os.PathLike))


def as_path(given: str | os.PathLike[str]) -> Path:
    """A path, whose ``~`` is the home folder as in a shell, so that no folder of that name is ever made."""
    path = Path(given)
    return Path.home().joinpath(*path.parts[1:]) if path.parts[:1] == ("~",) else path


def existing(given: str | os.PathLike[str]) -> Path | None:
    """The path of a file or folder that is there, else None; the empty path is none, not the working directory."""
    path = as_path(given)
    return path if os.fspath(given) and os.path.exists(path) else None
