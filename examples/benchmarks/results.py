"""Results of a bench that goes on after it was stopped: a file with one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read(file: Path) -> list[dict[str, Any]]:
    """Results so far, none where the file is not there."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def add(file: Path, results: Iterable[dict[str, Any]]) -> None:
    """Add results to the file, and print them."""
    with file.open("a") as out:
        for result in results:
            out.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)
