"""Memory that each worker process of a cross-validation takes, as the recording's spikes grow in number.

For instance ``python examples/benchmarks/worker_memory.py --spikes 1 10 50``. joblib maps large arrays into its workers
instead of copying them, so that what a worker takes for itself (anonymous memory, as Linux counts it) should not grow.
With ``--window-length 3`` a window has so many spikes that they are merged, which makes new arrays of those around the
labelled samples.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import cross_validate

from spikeinterface_poyo import BlockedKFold, POYODecoder, align

N_UNITS, RATE = 200, 10.0  # spikes a second of each
LABELLED = 60.0  # seconds: what is learned from does not grow
TINY = {"dim": 16, "depth": 1, "dim_head": 8, "self_heads": 1, "num_latents_per_step": 2, "n_latent_steps": 4,
        "batch_size": 4, "max_iter": 1, "device": "cpu", "random_state": 0}  # fmt: skip


def recording(n_spikes: int) -> tuple[dict[int, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """So many spikes at a constant rate, the longer the more, and behaviour in its first minute."""
    rng = np.random.default_rng(0)
    duration = n_spikes / (N_UNITS * RATE)
    spikes = {unit: np.sort(rng.uniform(0, duration, n_spikes // N_UNITS)) for unit in range(N_UNITS)}
    times = np.arange(0, LABELLED, 0.1)
    return spikes, (times, np.sin(times))


def megabytes(pid: int, field: str) -> float:
    """One line of what Linux tells of a process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), 0.0)


def workers() -> set[int]:
    """Processes that this one has started."""
    children: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        children |= set(map(int, (task / "children").read_text().split()))
    return children


def peak_of_workers(work: Callable[[], Any]) -> float:
    """Most anonymous memory that any one process started by ``work`` took at a time, MB."""
    peak, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.02):
            peak = max([peak, *(megabytes(pid, "RssAnon") for pid in workers())])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        ended.set()
        watcher.join()
    return peak


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--spikes", nargs="+", type=float, default=[1, 10, 50], help="millions")
    parser.add_argument("--window-length", type=float, default=0.5)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    decoder, folds = POYODecoder(**TINY, window_length=options.window_length), BlockedKFold(2, gap=1.0)
    print("| spikes, millions | their arrays, MB | anonymous memory of a worker at its peak, MB |\n|---|---|---|")
    for millions in options.spikes:
        X, y = align(*recording(int(millions * 1e6)))
        (segment,) = X.sessions[0].segments
        size = (segment.spike_times.nbytes + segment.unit_index.nbytes) / 2**20
        peak = peak_of_workers(partial(cross_validate, decoder, X, y, cv=folds, n_jobs=options.jobs,
                                       error_score="raise"))  # fmt: skip
        print(f"| {millions:g} | {size:,.0f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
