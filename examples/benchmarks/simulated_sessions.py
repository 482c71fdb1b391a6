"""Made-up sessions of many kinds: POYO at defaults against tuned baselines, where spikes are few and where many.

Behaviour of each kind that `simulate_session` knows, decoded from small and quiet or larger and livelier populations
with tuning drawn at random, in sessions of 2 and of 10 minutes. The first 80 % but 2 s are for training and for every
choice, the last 20 % for testing::

    python examples/benchmarks/simulated_sessions.py run simulated.jsonl --methods poyo ridge --jobs 2
    python examples/benchmarks/simulated_sessions.py show simulated.jsonl

``run`` adds one line a fit to the file and leaves out what is there, so it goes on after it was stopped.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compare import METHODS, method_named
from joblib import Parallel, delayed
from recordings import Recording
from results import add, command_line, obey, read
from sklearn.metrics import r2_score

from spikeinterface_poyo import simulate_session

KINDS = ("velocity", "position", "heading", "force", "smooth")
POPULATIONS: dict[str, dict[str, Any]] = {
    "12 units, 0.5 to 5 Hz": {"n_units": 12, "mean_rate": (0.5, 5.0)},
    "80 units, 1 to 20 Hz": {"n_units": 80, "mean_rate": (1.0, 20.0)},
}
DURATIONS = (120.0, 600.0)  # seconds
SAMPLING_RATE = 30.0  # Hz, of the behaviour
TRAINED, GAP = 0.8, 2.0  # share of a session, and seconds left out before its test part

Fit = dict[str, Any]


def simulated(fit: Fit) -> Recording:
    """The session of one fit."""
    place = list(product(DURATIONS, POPULATIONS, KINDS)).index((fit["duration"], fit["population"], fit["kind"]))
    sorting, signal = simulate_session(
        fit["duration"], behavior=fit["kind"], sampling_rate=SAMPLING_RATE, random_state=100 * fit["number"] + place,
        **POPULATIONS[fit["population"]],
    )  # fmt: skip
    spikes = {str(unit): sorting.get_unit_spike_train(unit, return_times=True) for unit in sorting.unit_ids}
    values = np.asarray(signal.magnitude, dtype=np.float64)
    outputs = tuple(f"output {i}" for i in range(values.shape[1]))
    return Recording(fit["kind"], spikes, None, signal.times.rescale("s").magnitude, values, outputs)


def evaluate(fit: Fit, threads: int) -> Fit:
    """R2 of one fit, and the seconds that it took."""
    torch.set_num_threads(threads)
    recording = simulated(fit)
    end = TRAINED * fit["duration"]
    train, test = recording.times < end - GAP, recording.times >= end
    began = time.perf_counter()
    prediction, _ = method_named(fit["method"])(recording, train, test, 0)
    return fit | {"r2": float(r2_score(recording.values[test], prediction)), "s": time.perf_counter() - began}


def run(arguments: argparse.Namespace) -> None:
    """Add what is missing to the file."""
    names = ("number", "duration", "population", "kind", "method")
    every = product(range(arguments.sessions), DURATIONS, POPULATIONS, KINDS, arguments.methods)
    fits = [dict(zip(names, values, strict=True)) for values in every]
    done = [{name: result[name] for name in names} for result in read(arguments.file)]
    work = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered", batch_size=1)
    for result in work(delayed(evaluate)(fit, arguments.threads) for fit in fits if fit not in done):
        add(arguments.file, [result])


def show(file: Path) -> None:
    """Table of means over sessions that all methods there have decoded."""
    results = read(file)
    methods = [method for method in METHODS if any(result["method"] == method for result in results)]
    print(
        f"| population | minutes | behaviour | {' | '.join(methods)} | sessions |",
        "|---" * (len(methods) + 4) + "|",
        sep="\n",
    )
    for population, duration, kind in product(POPULATIONS, DURATIONS, KINDS):
        mine = [r for r in results if (r["population"], r["duration"], r["kind"]) == (population, duration, kind)]
        scores = [{r["number"]: r["r2"] for r in mine if r["method"] == method} for method in methods]
        common = set.intersection(*map(set, scores))
        if common:
            means = [np.mean([score[number] for number in common]) for score in scores]
            cells = [f"**{mean:.3f}**" if mean == max(means) else f"{mean:.3f}" for mean in means]
            print(f"| {population} | {duration / 60:g} | {kind} | {' | '.join(cells)} | {len(common)} |")


def main() -> None:
    """Read the command line and do it."""
    parser = command_line(__doc__, "fits")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["poyo", "ridge"])
    parser.add_argument("--sessions", type=int, default=2, help="of each kind")
    obey(parser, run, show)


if __name__ == "__main__":
    main()
