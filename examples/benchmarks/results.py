"""Results of a bench that goes on after it was stopped: a file with one JSON object a line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
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


def command_line(description: str | None, at_a_time: str) -> argparse.ArgumentParser:
    """Parser for `obey`, to which a bench adds what it has of its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "show"])
    parser.add_argument("file", type=Path, help="results, one JSON object a line")
    parser.add_argument("--jobs", type=int, default=1, help=f"{at_a_time} at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each")
    return parser


def obey(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], show: Callable[[Path], None]
) -> None:
    """Read the command line, and add what is missing to the file, or show what is there."""
    arguments = parser.parse_args()
    if arguments.command == "show":
        show(arguments.file)
    else:
        run(arguments)
