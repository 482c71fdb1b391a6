"""Milliseconds that a causal decoder takes for one answer while it follows a recording.

::

    python examples/benchmarks/latency.py --threads 1

Simulated populations that fire at 8 Hz on average. Every 20 ms the spikes of the last one and a half windows are given
for one time, as the guide's part on decoding online says; what is timed is ``predict`` alone. The answers are compared
with those of the whole recording. The window and its token bin are the defaults.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from spikeinterface.core import BaseSorting

from spikeinterface_poyo import POYODecoder, simulate_session

DURATION, BEGIN, INTERVAL = 120.0, 60.0, 0.02  # seconds of the recording, of where following begins, between answers
CONTEXT = 1.5  # windows of spikes that are given


def follow(decoder: POYODecoder, sorting: BaseSorting, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers (n, n_outputs) at times, one after the other, and the seconds that each took."""
    trains = {unit: sorting.get_unit_spike_train(unit, return_times=True) for unit in sorting.unit_ids}
    context = CONTEXT * decoder.network_.config.window_length
    answers, seconds = [], []
    for now in times:
        recent = {unit: train[slice(*np.searchsorted(train, (now - context, now)))] for unit, train in trains.items()}
        began = time.perf_counter()
        answers.append(decoder.predict(recent, times=[now])[0])
        seconds.append(time.perf_counter() - began)
    return np.array(answers), np.array(seconds)


def main() -> None:
    """One line a size of population."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[30, 100, 300, 1000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--answers", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")  # units that fire seldom may be silent for a while
    times = BEGIN + INTERVAL * np.arange(arguments.answers)
    duration = max(DURATION, times[-1] + 1.0)
    print("| units | spikes/s | window, s | token bin, ms | median, ms | 99 %, ms | largest difference, SD |")
    print("|---|---|---|---|---|---|---|")
    for n_units in arguments.units:
        sorting, velocity = simulate_session(
            duration, behavior="velocity", sampling_rate=50.0, n_units=n_units,
            mean_rate=(2.0, 20.0), random_state=0,
        )  # fmt: skip
        decoder = POYODecoder(causal=True, max_iter=1, random_state=0).fit(sorting, velocity)
        follow(decoder, sorting, times[:20])  # what is done once only
        answers, seconds = follow(decoder, sorting, times)
        difference = np.abs(answers - decoder.predict(sorting, times=times)) / velocity.magnitude.std(axis=0)
        milliseconds, config = 1e3 * seconds, decoder.network_.config
        print(f"| {n_units} | {sorting.count_total_num_spikes() / duration:.0f} "
              f"| {config.window_length:g} | {1e3 * config.token_bin:g} | {np.median(milliseconds):.1f} "
              f"| {np.quantile(milliseconds, 0.99):.1f} | {difference.max():.0e} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
