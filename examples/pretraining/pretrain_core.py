"""Pretrain a core on made-up sessions: `simulate_session` with everything drawn, one readout a kind of behaviour.

    python examples/pretraining/pretrain_core.py 300 core_300
    python examples/pretraining/pretrain_core.py 300 core_navigation --kinds heading position --rates 0.1 20

Each session has its behaviour standardised, so that sessions count alike; what the core keeps for users is not the
readouts but how it reads populations.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from spikeinterface_poyo import POYODecoder, simulate_session


def drawn(duration: float, seed: int, kinds: list[str], rates: tuple[float, float]) -> Iterator[tuple[Any, Any]]:
    """Simulated sessions without end, those of other kinds of behaviour passed over."""
    for k in itertools.count(seed):
        sorting, behavior = simulate_session(duration, mean_rate=rates, sampling_rate=30.0, random_state=k)
        if not kinds or behavior.name in kinds:
            yield sorting, behavior


def sessions(arguments: argparse.Namespace) -> tuple[list, list, list[str]]:
    """Sortings, behaviours as (times, standardised values), and names of the behaviours."""
    sortings, behaviors, names = [], [], []
    some = drawn(arguments.duration, arguments.seed, arguments.kinds, tuple(arguments.rates))
    for sorting, behavior in itertools.islice(some, arguments.n_sessions):
        values = np.asarray(behavior.magnitude, dtype=np.float64)
        values = (values - values.mean(axis=0)) / values.std(axis=0)
        sortings.append(sorting)
        behaviors.append((np.asarray(behavior.times.rescale("s").magnitude), values))
        names.append(f"simulated {behavior.name} of {values.shape[1]}")
    return sortings, behaviors, names


def main() -> None:
    """Simulate, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_sessions", type=int)
    parser.add_argument("folder")
    parser.add_argument("--duration", type=float, default=120.0, help="seconds of each session")
    parser.add_argument("--window", type=float, default=3.0, help="window_length in seconds")
    parser.add_argument("--iterations", type=int, default=20, help="passes over all sessions")
    parser.add_argument("--kinds", nargs="*", default=[], help="of behaviour, see simulate_session; all where omitted")
    parser.add_argument("--rates", nargs=2, type=float, default=[0.1, 50.0], help="range of mean rates, Hz")
    parser.add_argument("--seed", type=int, default=0, help="of the first session; the others count up")
    arguments = parser.parse_args()
    began = time.perf_counter()
    sortings, behaviors, names = sessions(arguments)
    print(f"simulated {len(sortings)} sessions in {time.perf_counter() - began:.0f} s", flush=True)
    decoder = POYODecoder(
        window_length=arguments.window,
        max_iter=arguments.iterations,
        dropout=0.05,
        early_stopping=False,
        random_state=0,
        verbose=True,
    )
    decoder.fit(sortings, behaviors, behavior_name=names)
    decoder.save_pretrained(arguments.folder)
    print(f"loss {decoder.loss_curve_[0]:.3f} to {decoder.loss_:.3f} in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
