"""Seconds that the importance of all units takes: 200 simulated units, 5 minutes, networks at their default size.

They are trained for one pass: how long the importance takes does not depend on what they have learned::

    python examples/benchmarks/importance_time.py --threads 2
"""

from __future__ import annotations

import argparse
import time

import torch

from spikeinterface_poyo import BlockedKFold, POYODecoder, align, simulate_session
from spikeinterface_poyo.postprocessing.cross_decoding import cross_decode
from spikeinterface_poyo.postprocessing.importance import unit_importance


def main() -> None:
    """Cross-validate as ``poyo_decoding`` does, then time what comes after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sorting, velocity = simulate_session(
        300.0, behavior="velocity", n_units=arguments.units, sampling_rate=50.0, random_state=0
    )
    X, y = align(sorting, velocity)
    held_out = cross_decode(POYODecoder(max_iter=1, random_state=0), X, y, BlockedKFold(arguments.folds, gap=2.0))
    rate = sorting.count_total_num_spikes() / 300.0
    print(f"{arguments.units} units, {rate:.0f} spikes/s, held-out R2 {held_out.score:.3f}")
    for _ in range(arguments.repeats):
        began, worked = time.perf_counter(), time.process_time()
        worth = unit_importance(held_out.decoders, X, y, held_out.fold)
        wall, cpu = time.perf_counter() - began, time.process_time() - worked
        print(f"{wall:.1f} s, CPU {cpu:.1f} s, {worth.n_windows} windows in {worth.n_blocks} blocks")


if __name__ == "__main__":
    main()
