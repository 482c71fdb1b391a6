"""Unseen sessions: a core trained on other sessions and one minute of labels, against all labels of the session itself.

Simulated sessions of one task, with other units in each. They are split into folds; for each fold a decoder is trained
on all labels of the other sessions, then adapted to every left-out session with a minute of its labels. Training from
scratch on that minute, and on all labels of the session, bounds what it can be worth. All are scored on the session's
last minute::

    python examples/benchmarks/leave_sessions_out.py run sessions.jsonl --population linear --folds 20
    python examples/benchmarks/leave_sessions_out.py show sessions.jsonl

Populations: "linear", units that follow two smooth signals, of which a minute shows all that there is; "place", cells
that seldom fire, of an animal that runs about a box and sees but a part of it in a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from results import add, command_line, obey, read

from spikeinterface_poyo import POYODecoder, SpikeSamples, align, simulate_session

N_SESSIONS = 20
DURATION, TEST, GAP, FEW = 360.0, 60.0, 2.0, 60.0  # seconds: a session, its test part, what is left out before, labels
POPULATIONS: dict[str, dict[str, Any]] = {
    "linear": {"behavior": "smooth", "n_units": 60, "tuning": "linear", "mean_rate": (0.5, 5.0), "max_lag": 0.2},
    "place": {"behavior": "position", "pace": 0.5, "n_units": 50, "tuning": "place", "mean_rate": (0.3, 3.0),
              "max_lag": 0.1},
}  # fmt: skip
SAMPLING_RATE = 20.0  # Hz, of the behaviour
METHODS = ("scratch, all labels", "scratch, 1 min", "unit identification, 1 min", "fit from core, 1 min")

Samples = tuple[SpikeSamples, np.ndarray]


def simulated(population: str, number: int) -> tuple[Any, Any]:
    """Sorting and behaviour of one session."""
    return simulate_session(
        DURATION, random_state=1000 + number, sampling_rate=SAMPLING_RATE, **POPULATIONS[population]
    )


def session(population: str, number: int) -> dict[str, Samples]:
    """Samples of one session: "all" labels, the last minute of them ("few"), and the "test" part."""
    X, y = align(*simulated(population, number), session_id=f"simulated_{number}")
    stop = DURATION - TEST
    known = X.times < stop - GAP
    masks = {"all": known, "few": known & (X.times >= stop - GAP - FEW), "test": X.times >= stop}
    return {name: (X[mask], y[mask]) for name, mask in masks.items()}


def train_core(population: str, left_out: list[int], folder: str) -> None:
    """A decoder of all sessions but those left out."""
    numbers = [number for number in range(N_SESSIONS) if number not in left_out]
    sortings, behaviors = map(list, zip(*(simulated(population, number) for number in numbers), strict=True))
    names = [f"simulated_{number}" for number in numbers]
    POYODecoder(random_state=0).fit(sortings, behaviors, session_id=names).save_pretrained(folder)


def fold(population: str, left_out: list[int], done: set[tuple[str, int, str]], threads: int) -> list[dict[str, Any]]:
    """Scores of all methods on the sessions left out."""
    torch.set_num_threads(threads)
    results = []
    with tempfile.TemporaryDirectory() as core:
        train_core(population, left_out, core)
        for number in left_out:
            parts = session(population, number)
            for method in METHODS:
                if (population, number, method) in done:
                    continue
                began = time.perf_counter()
                labels = parts["all" if method.endswith("all labels") else "few"]
                decoder = POYODecoder(random_state=0, pretrained=None if method.startswith("scratch") else core)
                learn = decoder.partial_fit if method.startswith("unit") else decoder.fit
                learn(*labels)
                result = {"population": population, "session": number, "method": method}
                result["r2"] = round(decoder.score(*parts["test"]), 4)
                results.append(result | {"s": round(time.perf_counter() - began, 1)})
    return results


def run(arguments: argparse.Namespace) -> None:
    """Work through the folds that the file lacks."""
    file, population = arguments.file, arguments.population
    done = {(result["population"], result["session"], result["method"]) for result in read(file)}
    folds = [list(range(k, N_SESSIONS, arguments.folds)) for k in range(arguments.folds)]
    todo = [
        numbers for numbers in folds if any((population, n, method) not in done for n in numbers for method in METHODS)
    ]
    work = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered", batch_size=1)
    for part in work(delayed(fold)(population, numbers, done, arguments.threads) for numbers in todo):
        add(file, part)


def show(file: Path) -> None:
    """Table of means over sessions."""
    print("| population | method | R², mean ± SD over sessions | sessions | s a session |", "|---" * 5 + "|", sep="\n")
    results = read(file)
    for population, method in product(POPULATIONS, METHODS):
        mine = [[r["r2"], r["s"]] for r in results if (r["population"], r["method"]) == (population, method)]
        if mine:
            r2, seconds = np.array(mine).T
            print(
                f"| {population} | {method} | {r2.mean():.3f} ± {r2.std():.3f} | {len(mine)} | {seconds.mean():.0f} |"
            )


def main() -> None:
    """Read the command line and do it."""
    parser = command_line(__doc__, "folds")
    parser.add_argument("--population", choices=list(POPULATIONS), default="linear")
    parser.add_argument("--folds", type=int, default=N_SESSIONS, help="as many as sessions leaves out one at a time")
    obey(parser, run, show)


if __name__ == "__main__":
    main()
