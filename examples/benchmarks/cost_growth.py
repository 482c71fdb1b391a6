"""How the cost of training and decoding grows with units, their rate, the window, hours and sessions.

    OMP_NUM_THREADS=1 python examples/benchmarks/cost_growth.py --picture docs/cost_growth.png

One of them is changed at a time, from 100 units at 8 Hz, windows of 2 s, one hour and one session. Spikes are random:
what is measured does not depend on what they mean. A gradient step reads 32 windows with dropped units; decoding is of
two minutes at 20 Hz. Each measurement has a process of its own; memory is its peak, less what the imports and the
spikes as given took.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from steps import time_steps

from spikeinterface_poyo import POYODecoder, align

BASE = {"units": 100, "rate": 8.0, "window": 2.0, "hours": 1.0, "sessions": 1}
VALUES = {
    "units": [30, 100, 300, 1000],
    "rate": [1.0, 3.0, 8.0, 30.0],
    "window": [0.5, 1.0, 2.0, 4.0],
    "hours": [0.1, 1.0, 3.0, 10.0],
    "sessions": [1, 3, 10, 30],
}
LABELS = {"units": "units", "rate": "Hz a unit", "window": "window, s", "hours": "hours", "sessions": "sessions"}
N_STEPS, BATCH, INTERVAL, DECODED = 25, 32, 0.05, 120.0
MEGABYTE = 2**20


def session(n_units: int, rate: float, hours: float, seed: int) -> tuple[dict[int, np.ndarray], tuple]:
    """Random spikes of each unit, and a behaviour."""
    rng, seconds = np.random.default_rng(seed), 3600 * hours
    spikes = {unit: np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds))) for unit in range(n_units)}
    times = np.arange(0, seconds, INTERVAL)
    return spikes, (times, np.column_stack([np.sin(times), np.cos(0.7 * times)]))


def peak_memory() -> float:
    """Megabytes of this process at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


def measure(units: int, rate: float, window: float, hours: float, sessions: int) -> dict[str, float]:
    """Milliseconds of a gradient step and of a decoded second, and megabytes."""
    made = [session(units, rate, hours / sessions, seed) for seed in range(sessions)]
    at_rest = peak_memory()
    X, y = align([spikes for spikes, _ in made], [signal for _, signal in made])
    durations = time_steps(N_STEPS)
    decoder = POYODecoder(window_length=window, batch_size=BATCH, early_stopping=False, random_state=0, device="cpu")
    decoder.fit(X, y)
    some = X[(X.session_index == 0) & (X.times < DECODED)]
    decoder.predict(some)
    start = time.perf_counter()
    decoder.predict(some)
    decoded = (time.perf_counter() - start) / DECODED
    return {"step": 1e3 * float(np.median(durations[5:])), "decoding": 1e3 * decoded, "memory": peak_memory() - at_rest}


def draw(found: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Picture: a column for what is changed, a row for what it costs."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    rows = {"step": "gradient step, ms", "decoding": "decoding 1 s, ms", "memory": "peak memory, MB"}
    figure, axes = plt.subplots(len(rows), len(VALUES), figsize=(12, 6), sharex="col", sharey="row",
                                layout="constrained")  # fmt: skip
    for column, (name, values) in enumerate(VALUES.items()):
        for row, (cost, label) in enumerate(rows.items()):
            axis = axes[row, column]
            axis.plot(values, [result[cost] for result in found[name]], "o-", ms=4)
            axis.set(xscale="log", yscale="log")
            axis.set_xticks(values, [f"{value:g}" for value in values])
            axis.minorticks_off()
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.grid(alpha=0.3)
            if column == 0:
                axis.set_ylabel(label)
        axes[-1, column].set_xlabel(LABELS[name])
    figure.savefig(path, dpi=100)


def main() -> None:
    """Print one markdown table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(measure(**json.loads(arguments.child))))
        return
    print("| changed | gradient step, ms | decoding 1 s, ms | peak memory, MB |\n|---|---|---|---|")
    found: dict[str, list[dict[str, float]]] = {}
    for name, values in VALUES.items():
        for value in values:
            child = [sys.executable, "-W", "ignore", __file__, "--child", json.dumps({**BASE, name: value})]
            ended = subprocess.run(child, check=True, capture_output=True, text=True)
            result = json.loads(ended.stdout.splitlines()[-1])
            found.setdefault(name, []).append(result)
            print(f"| {value:g} {LABELS[name]} | {result['step']:.0f} | {result['decoding']:.1f} | "
                  f"{result['memory']:.0f} |", flush=True)  # fmt: skip
    if arguments.picture is not None:
        draw(found, arguments.picture)


if __name__ == "__main__":
    main()
