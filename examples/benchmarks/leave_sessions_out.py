"""Unseen sessions: a core trained on other sessions and one minute of labels, against all labels of the session itself.

Simulated sessions of one task (`simulate_session`: place cells that seldom fire, of an animal that runs about a box;
other cells in each). They are split into folds; for each fold a decoder is trained on all labels of the other sessions,
then adapted to every left-out session with a minute of its labels. Training from scratch on that minute, and on all
labels of the session, bounds what it can be worth. All are scored on the session's last minute::

    python examples/benchmarks/leave_sessions_out.py run sessions.jsonl --folds 20
    python examples/benchmarks/leave_sessions_out.py show sessions.jsonl
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from results import add, read

from spikeinterface_poyo import POYODecoder, SpikeSamples, align, simulate_session

N_SESSIONS = 20
DURATION, TEST, GAP, FEW = 360.0, 60.0, 2.0, 60.0  # seconds: a session, its test part, what is left out before, labels
POPULATION = {
    "behavior": "position", "pace": 0.5, "n_units": 50, "tuning": "place", "mean_rate": (0.3, 3.0), "max_lag": 0.1,
    "sampling_rate": 20.0,
}  # fmt: skip
METHODS = ("scratch, all labels", "scratch, 1 min", "unit identification, 1 min", "fit from core, 1 min")

Samples = tuple[SpikeSamples, np.ndarray]


def simulated(number: int) -> tuple[Any, Any]:
    """Sorting and position of one session."""
    return simulate_session(DURATION, random_state=1000 + number, **POPULATION)


def session(number: int) -> dict[str, Samples]:
    """Samples of one session: "all" labels, the last minute of them ("few"), and the "test" part."""
    X, y = align(*simulated(number), session_id=f"simulated_{number}")
    stop = DURATION - TEST
    known = X.times < stop - GAP
    masks = {"all": known, "few": known & (X.times >= stop - GAP - FEW), "test": X.times >= stop}
    return {name: (X[mask], y[mask]) for name, mask in masks.items()}


def train_core(left_out: list[int], folder: str) -> None:
    """A decoder of all sessions but those left out."""
    numbers = [number for number in range(N_SESSIONS) if number not in left_out]
    sortings, positions = map(list, zip(*map(simulated, numbers), strict=True))
    names = [f"simulated_{number}" for number in numbers]
    POYODecoder(random_state=0).fit(sortings, positions, session_id=names).save_pretrained(folder)


def fold(left_out: list[int], done: set[tuple[int, str]], threads: int) -> list[dict[str, Any]]:
    """Scores of all methods on the sessions left out."""
    torch.set_num_threads(threads)
    results = []
    with tempfile.TemporaryDirectory() as core:
        train_core(left_out, core)
        for number in left_out:
            parts = session(number)
            for method in METHODS:
                if (number, method) in done:
                    continue
                began = time.perf_counter()
                labels = parts["all" if method.endswith("all labels") else "few"]
                decoder = POYODecoder(random_state=0, pretrained=None if method.startswith("scratch") else core)
                learn = decoder.partial_fit if method.startswith("unit") else decoder.fit
                learn(*labels)
                score = decoder.score(*parts["test"])
                seconds = time.perf_counter() - began
                results.append({"session": number, "method": method, "r2": round(score, 4), "s": round(seconds, 1)})
    return results


def run(file: Path, n_folds: int, jobs: int, threads: int) -> None:
    """Work through the folds that the file lacks."""
    results = read(file)
    done = {(result["session"], result["method"]) for result in results}
    folds = [list(range(k, N_SESSIONS, n_folds)) for k in range(n_folds)]
    todo = [numbers for numbers in folds if any((n, method) not in done for n in numbers for method in METHODS)]
    work = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    for part in work(delayed(fold)(numbers, done, threads) for numbers in todo):
        add(file, part)


def show(file: Path) -> None:
    """Table of means over sessions."""
    print("| method | R², mean ± SD over sessions | sessions | s a session |", "|---|---|---|---|", sep="\n")
    for method in METHODS:
        mine = [result for result in read(file) if result["method"] == method]
        r2, seconds = np.array([[result["r2"], result["s"]] for result in mine]).T
        print(f"| {method} | {r2.mean():.3f} ± {r2.std():.3f} | {len(mine)} | {seconds.mean():.0f} |")


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "show"])
    parser.add_argument("file", type=Path, help="results, one JSON object a line")
    parser.add_argument("--folds", type=int, default=N_SESSIONS, help="as many as sessions leaves out one at a time")
    parser.add_argument("--jobs", type=int, default=1, help="folds at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each")
    arguments = parser.parse_args()
    if arguments.command == "show":
        show(arguments.file)
    else:
        run(arguments.file, arguments.folds, arguments.jobs, arguments.threads)


if __name__ == "__main__":
    main()
