"""Kill a training at random moments, again and again: does it end bit for bit as one that was never killed?

    OMP_NUM_THREADS=1 python examples/benchmarks/kill_and_resume.py --kills 20

Two simulated sessions, so that the fit has all its stages; each run is a process of its own, killed by SIGKILL a random
time after it began to train.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spikeinterface_poyo import POYODecoder, simulate_session
from spikeinterface_poyo.training import checkpoints

TASK = {"behavior": "velocity", "sampling_rate": 50.0, "n_units": 40}


def fit(checkpoint: Path | None, folder: Path, every: float) -> None:
    """Train, and save the decoder in ``folder``."""
    checkpoints.CHECKPOINT_SECONDS = every
    sortings, velocities = zip(*(simulate_session(90.0, random_state=seed, **TASK) for seed in range(2)), strict=True)
    decoder = POYODecoder(max_iter=4, early_stopping=True, random_state=0, device="cpu", checkpoint=checkpoint)
    decoder.fit(list(sortings), list(velocities)).save_pretrained(folder)


def weights(folder: Path) -> bytes:
    """The saved weights."""
    return next(folder.glob("*.safetensors")).read_bytes()


def main() -> None:
    """Train once undisturbed, once with kills; compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--every", type=float, default=0.2, help="seconds between checkpoints")
    parser.add_argument("--longest", type=float, default=4.0, help="seconds of training before a kill, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        fit(*arguments.child, arguments.every)
        return
    chance, n_kills = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as scratch:
        whole, resumed, file = (Path(scratch, name) for name in ("whole", "resumed", "state"))
        began = time.perf_counter()
        fit(None, whole, arguments.every)
        print(f"undisturbed: {time.perf_counter() - began:.1f} s", flush=True)
        command = [sys.executable, __file__, "--every", str(arguments.every), "--child", str(file), str(resumed)]
        while not resumed.exists():
            before = file.stat().st_mtime_ns if file.exists() else None
            child = subprocess.Popen(command)
            while child.poll() is None and (not file.exists() or file.stat().st_mtime_ns == before):
                time.sleep(0.001)
            if n_kills < arguments.kills:
                time.sleep(chance.uniform(0, arguments.longest))
                child.send_signal(signal.SIGKILL)
            n_kills += child.wait() == -signal.SIGKILL
        print(f"{n_kills} kills, bit-identical: {weights(resumed) == weights(whole)}")


if __name__ == "__main__":
    main()
