"""Throughput of two processes of one thread against one process of one thread, and how far their losses differ.

    python examples/benchmarks/two_processes.py

One simulated session of 100 units; whole trainings, alternately, each in processes of its own under torchrun.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import torch

from spikeinterface_poyo import POYODecoder, simulate_session
from spikeinterface_poyo.distributed import team
from spikeinterface_poyo.training.state import TrainingState

TASK = {"behavior": "velocity", "sampling_rate": 50.0, "n_units": 100, "random_state": 0}
WARM_UP = 10  # steps that are not timed


def train(n_iterations: int, batch_size: int) -> None:
    """Train with the processes there are; print the loss of each step and windows a second."""
    torch.set_num_threads(1)
    losses, ends, descend = [], [], TrainingState.descend

    def noted(state: TrainingState, sums: torch.Tensor, weights: torch.Tensor) -> None:
        descend(state, sums, weights)
        losses.append(float(state.losses[-1]))
        ends.append(time.perf_counter())

    with team() as present, mock.patch.object(TrainingState, "descend", noted):
        decoder = POYODecoder(max_iter=n_iterations, batch_size=batch_size, early_stopping=False, random_state=0,
                              device="cpu")  # fmt: skip
        decoder.fit(*simulate_session(120.0, **TASK))
        if present.leads:
            seconds = np.diff(ends)[WARM_UP:]
            print(json.dumps({"losses": losses, "rate": batch_size / np.median(seconds)}), flush=True)


def main() -> None:
    """Run both, alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=1, help="of 50 steps")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        train(arguments.iterations, arguments.batch_size)
        return
    rates: dict[int, list[float]] = {1: [], 2: []}
    losses = {}
    for _ in range(arguments.repeats):
        for n in rates:
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
            command += [__file__, "--child", "--iterations", str(arguments.iterations)]
            command += ["--batch-size", str(arguments.batch_size)]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            result = json.loads(ended.stdout.splitlines()[-1])
            rates[n].append(result["rate"])
            losses[n] = np.array(result["losses"][:50])
            print(f"{n} process(es): {result['rate']:.1f} windows/s", flush=True)
    ratios = np.divide(rates[2], rates[1])
    print(f"medians over turns: {np.median(rates[2]):.0f} against {np.median(rates[1]):.0f}, {np.median(ratios):.2f}x")
    print(f"losses of {len(losses[1])} steps differ by {np.abs(losses[2] / losses[1] - 1).max():.1e} at most")


if __name__ == "__main__":
    main()
