"""Position of the rat and whether it runs, in one model and in a model each.

    python examples/benchmarks/several_behaviors.py --data <folder>

A third of the position's time is unknown, in stretches of 20 s. The last 20 % are held out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from recordings import load
from sklearn.metrics import accuracy_score, r2_score

from spikeinterface_poyo import POYOClassifier, POYODecoder, align

STRETCH = 20.0  # seconds
TRAINED = 0.8  # share of the time
SMOOTHING = 0.5  # seconds


def running(times: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Whether the speed is above its median: "runs" or "rests"."""
    n_samples = max(1, round(SMOOTHING / np.median(np.diff(times))))
    smooth = [np.convolve(column, np.ones(n_samples) / n_samples, mode="same") for column in position.T]
    speed = np.hypot(*np.gradient(smooth, times, axis=1))
    return np.where(speed > np.median(speed), "runs", "rests")


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--data", type=Path, help="folder of rat_open_field")
    options = parser.parse_args()
    rat = load("rat", options.data)
    labels = running(rat.times, rat.values)
    cut = rat.times[0] + TRAINED * (rat.times[-1] - rat.times[0])
    unknown = ((rat.times // STRETCH) % 3 == 0) & (rat.times < cut)
    position = np.where(unknown[:, None], np.nan, rat.values)
    X, y = align(rat.spikes, {"position": (rat.times, position), "gait": (rat.times, labels)})
    train, test = X.times < cut, X.times >= cut

    def report(seed: int, model: str, scores: tuple[float, float], started: float) -> None:
        print(f"| {seed} | {model} | {scores[0]:.3f} | {scores[1]:.3f} | {time.perf_counter() - started:.0f} |",
              flush=True)  # fmt: skip

    print("| seed | model | R² of position | accuracy of running | wall s |\n|---|---|---|---|---|")
    scores = []
    for seed in options.seeds:
        started = time.perf_counter()
        decoded = POYODecoder(random_state=seed).fit(X[train], y[train]).predict(X[test])
        both = r2_score(rat.values[test], decoded["position"]), accuracy_score(labels[test], decoded["gait"])
        report(seed, "one", both, started)
        started = time.perf_counter()
        alone = align(rat.spikes, (rat.times, position)), align(rat.spikes, (rat.times, labels))
        where = POYODecoder(random_state=seed).fit(*(part[train] for part in alone[0]))
        gait = POYOClassifier(random_state=seed).fit(*(part[train] for part in alone[1]))
        each = (r2_score(rat.values[test], where.predict(alone[0][0][test])),
                gait.score(alone[1][0][test], labels[test]))  # fmt: skip
        print(
            f"| {seed} | one each | {each[0]:.3f} | {each[1]:.3f} | {time.perf_counter() - started:.0f} |", flush=True
        )
        scores.append([both, each])
    (r2, accuracy), (r2_each, accuracy_each) = np.mean(scores, axis=0)
    print(f"\nMean of the one model less the others: R² {r2 - r2_each:+.3f}, accuracy {accuracy - accuracy_each:+.3f}")


if __name__ == "__main__":
    main()
