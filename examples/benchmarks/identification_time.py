"""Seconds that unit identification of a new session takes: 100 simulated units, one minute of labels.

::

    python examples/benchmarks/identification_time.py --threads 2
"""

from __future__ import annotations

import argparse
import time

import torch

from spikeinterface_poyo import POYODecoder, align, simulate_session

DURATION, LABELS = 180.0, 60.0  # seconds of the new session, and of labels
TASK = {"behavior": "velocity", "sampling_rate": 50.0}


def main() -> None:
    """Learn a core from three sessions, then time what a fourth one takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sortings, velocities = zip(*(simulate_session(120.0, random_state=seed, **TASK) for seed in range(3)), strict=True)
    core = POYODecoder(random_state=0).fit(list(sortings), list(velocities))
    for repeat in range(arguments.repeats):
        sorting, velocity = simulate_session(DURATION, n_units=arguments.units, random_state=10 + repeat, **TASK)
        X, y = align(sorting, velocity, session_id=f"new_{repeat}")
        labelled, test = X.times < LABELS, X.times >= LABELS + 2.0
        began = time.perf_counter()
        core.partial_fit(X[labelled], y[labelled])
        seconds = time.perf_counter() - began
        rate = sorting.count_total_num_spikes() / DURATION
        print(f"{arguments.units} units, {rate:.0f} spikes/s: {seconds:.1f} s, R2 {core.score(X[test], y[test]):.3f}")


if __name__ == "__main__":
    main()
