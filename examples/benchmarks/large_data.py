"""Many sessions on disk: seconds to open them, memory in training, and throughput against one session in memory.

    OMP_NUM_THREADS=1 python examples/benchmarks/large_data.py /scratch/large --scale 1.0

At scale 1: 158 sessions, 27,373 units, 100 h, about 0.5 billion spikes, which take 12 GB. A smaller scale has as many
sessions and units, and fewer hours. Spikes are drawn for all units at once, so that writing takes minutes; what is
measured does not depend on what they mean. It is the training of all sessions together: the start with one of them is
left out. Memory has a process of its own: anonymous memory of ``/proc/self/status``, less what the imports took. For
throughput both fits take turns of a few steps in one process; the ratio is the median over turns.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from spikeinterface.core import NumpyFolderSorting, NumpySorting
from spikeinterface.core.base import minimum_spike_dtype
from steps import time_by_turns, time_steps

from spikeinterface_poyo import POYODecoder, SpikeSamples, align
from spikeinterface_poyo.inputs.behavior_files import read_behavior

N_SESSIONS, N_UNITS, HOURS = 158, 27_373, 100.0
RATE = 8.0  # spikes a second of a unit, on average
SAMPLING, FRAMES = 25.0, 30_000.0  # Hz, of the behaviour and of the spikes
GIGABYTE = 2**30
NETWORK = {"window_length": 1.0, "batch_size": 32, "early_stopping": False, "random_state": 0, "device": "cpu"}


def write_session(folder: Path, n_units: int, seconds: float, seed: int) -> int:
    """Write a sorting and its behaviour; the number of spikes."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, seconds, 1 / SAMPLING)
    values = np.column_stack([np.sin(0.7 * times + seed), np.cos(0.4 * times)])
    n_spikes = rng.poisson(RATE * n_units * seconds)
    spikes = np.zeros(n_spikes, dtype=minimum_spike_dtype)
    spikes["sample_index"] = np.sort(rng.integers(0, int(seconds * FRAMES), n_spikes))
    phase = 0.5 + 0.4 * np.interp(spikes["sample_index"] / FRAMES, times, values[:, 0])
    spikes["unit_index"] = (n_units - 1e-6) * rng.beta(2 * phase, 2 * (1 - phase))  # who fires follows the behaviour
    NumpySorting(spikes, FRAMES, list(range(n_units))).save(folder=folder / "sorting")
    np.savez(folder / "signal.npz", times=times, values=values)
    return n_spikes


def write(folder: Path, scale: float) -> None:
    """Write all sessions, if the disk has room for them."""
    n_spikes = RATE * N_UNITS / N_SESSIONS * HOURS * 3600 * scale
    needed, free = 1.1 * n_spikes * minimum_spike_dtype_size(), shutil.disk_usage(folder.parent).free
    if needed > 0.8 * free:
        sys.exit(f"{needed / GIGABYTE:.0f} GB are needed, {free / GIGABYTE:.0f} are free: give a smaller --scale")
    sizes = np.diff(np.linspace(0, N_UNITS, N_SESSIONS + 1).astype(int))
    seconds = HOURS * 3600 / N_SESSIONS * scale
    folder.mkdir()
    total = sum(write_session(folder / f"s{k:03}", int(n), seconds, k) for k, n in enumerate(sizes))
    print(f"wrote {len(sizes)} sessions, {sizes.sum()} units, {seconds * len(sizes) / 3600:.1f} h, {total:,} spikes")


def minimum_spike_dtype_size() -> int:
    """Bytes of a saved spike."""
    return np.dtype(minimum_spike_dtype).itemsize


def anonymous_memory() -> int:
    """Bytes of this process that are no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))


def load(folder: Path, n_sessions: int, in_memory: bool) -> tuple[SpikeSamples, Any]:
    """Samples of the first sessions."""
    paths = sorted(folder.glob("*/sorting"))[:n_sessions]
    sortings = [NumpyFolderSorting(path) for path in paths] if in_memory else paths
    return align(sortings, [read_behavior(path.parent / "signal.npz") for path in paths])


def measure(folder: Path, n_steps: int) -> str:
    """Open all sessions and train on them for some steps."""
    at_rest, began = anonymous_memory(), time.perf_counter()
    X, y = load(folder, N_SESSIONS, in_memory=False)
    opened = time.perf_counter() - began
    highest = 0

    def look() -> None:
        nonlocal highest
        highest = max(highest, anonymous_memory())

    durations = time_steps(n_steps, look)
    POYODecoder(**NETWORK).fit(X, y)
    memory = (highest - at_rest) / GIGABYTE
    return f"opened in {opened:.1f} s, first step after {durations[0]:.1f} s more, {memory:.2f} GB in training"


def compare(folder: Path, n_turns: int) -> str:
    """Train on all sessions on disk and on one in memory, by turns."""
    data = [load(folder, N_SESSIONS, in_memory=False), load(folder, 1, in_memory=True)]
    fits = [partial(POYODecoder(**NETWORK).fit, X, y) for X, y in data]
    on_disk, in_memory = (np.array(seconds[1:]) for seconds in time_by_turns(fits, n_turns))
    rates = " against ".join(f"{NETWORK['batch_size'] / np.median(values):.0f}" for values in (on_disk, in_memory))
    return f"{rates} windows/s, ratio {np.median(in_memory / on_disk):.3f}"


def main() -> None:
    """Write the sessions where they are not there yet; open all of them, and compare them with one in memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="of hours")
    parser.add_argument("--steps", type=int, default=60, help="at which memory is looked at")
    parser.add_argument("--turns", type=int, default=25, help="of four steps, whose throughput is compared")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", choices=["measure", "compare"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(measure(arguments.folder, arguments.steps) if arguments.child == "measure" else
              compare(arguments.folder, arguments.turns))  # fmt: skip
        return
    if not arguments.folder.exists():
        write(arguments.folder, arguments.scale)
    for _ in range(arguments.repeats):
        for child in ("measure", "compare"):
            command = [sys.executable, "-W", "ignore", __file__, *sys.argv[1:], "--child", child]
            ended = subprocess.run(command, check=True, capture_output=True, text=True)
            print(ended.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
