"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def as_path(given: str | os.PathLike[str]) -> Path:
    """A path, whose ``~`` is the home folder as in a shell, so that no folder of that name is ever made."""
    path = Path(given)
    return Path.home().joinpath(*path.parts[1:]) if path.parts[:1] == ("~",) else path
