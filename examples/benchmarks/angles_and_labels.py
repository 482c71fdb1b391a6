"""Heading of the mouse as an angle and as octants, and the direction of simulated reaches, next to tuned baselines.

    python examples/benchmarks/angles_and_labels.py --seeds 0 1 2

The last 20 % of each recording are held out; with ``--blocks 5`` each of so many blocks, for the labels. Ridge decodes
cosine and sine, logistic regression the labels, both from counts in bins around the sample; bins, lags, smoothing and
penalty are chosen on the last fifth of the training part.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spikeinterface_poyo import (
    BinnedCounts,
    BlockedKFold,
    POYOClassifier,
    POYODecoder,
    SpikeSamples,
    align,
    load_mouse_head_direction,
    simulate_session,
)

Splits = list[tuple[np.ndarray, np.ndarray]]  # samples that are trained on, and those that are held out

COUNTS = {"bin_size": (0.05, 0.1, 0.2), "lags": (3, 8), "smoothing": (0.0, 0.1)}


def octants(angle: np.ndarray) -> np.ndarray:
    """Which of eight directions an angle (rad) is nearest to, 0 to 7."""
    return np.round(angle / (np.pi / 4)).astype(int) % 8


def mouse() -> tuple[SpikeSamples, np.ndarray]:
    """Samples of the mouse and its heading, rad."""
    X, y = align(*load_mouse_head_direction())
    return X, np.arctan2(y[:, 1], y[:, 0])


def reaches() -> tuple[SpikeSamples, np.ndarray]:
    """Fastest moments of simulated reaches between a centre and eight targets, and their direction, 0 to 7."""
    sorting, signal = simulate_session(900.0, behavior="velocity", n_units=15, mean_rate=(0.5, 8.0), sampling_rate=50.0,
                                       random_state=0)  # fmt: skip
    velocity, times = signal.magnitude, signal.times.rescale("s").magnitude
    speed = np.linalg.norm(velocity, axis=1)
    peak = np.flatnonzero((speed[1:-1] >= speed[:-2]) & (speed[1:-1] > speed[2:]) & (speed[1:-1] > 10)) + 1
    return align(sorting, (times[peak], octants(np.arctan2(velocity[peak, 1], velocity[peak, 0]))))


def tuned(
    candidates: Iterator[Any], loss: Callable[[Any, np.ndarray], float], X: SpikeSamples, y: np.ndarray
) -> tuple[Any, float]:
    """The candidate with the lowest loss on the last fifth, fitted on everything; and the seconds all that took."""
    started, cut = time.perf_counter(), int(0.8 * len(X))
    fitted = [model.fit(X[:cut], y[:cut]) for model in candidates]
    best = min(fitted, key=lambda model: loss(model, np.arange(cut, len(X))))
    return clone(best).fit(X, y), time.perf_counter() - started


def candidates(last: list[Any]) -> Iterator[Any]:
    """Pipelines of counts and each of the last steps."""
    for values in itertools.product(*COUNTS.values()):
        for step in last:
            yield make_pipeline(BinnedCounts(**dict(zip(COUNTS, values, strict=True))), StandardScaler(), clone(step))


def angles(seeds: list[int]) -> None:
    """Median error of heading, degrees."""
    X, heading = mouse()
    cut = int(0.8 * len(X))
    vectors = np.column_stack([np.cos(heading), np.sin(heading)])

    def errors(angle: np.ndarray, rows: Any) -> np.ndarray:
        return np.degrees(np.abs(np.angle(np.exp(1j * (angle - heading[rows])))))

    def of_vectors(model: Any, rows: Any) -> np.ndarray:
        return errors(np.arctan2(*model.predict(X[rows]).T[::-1]), rows)

    models = candidates([Ridge(alpha=alpha) for alpha in (10.0, 1e3, 1e5)])
    ridge, seconds = tuned(models, lambda model, rows: np.mean(of_vectors(model, rows)), X[:cut], vectors[:cut])
    test = np.arange(cut, len(X))
    print(
        f"| heading | ridge | median error {np.median(of_vectors(ridge, test)):.1f} deg | {seconds:.0f} |", flush=True
    )
    edge = np.abs(heading[test]) > np.radians(165)
    for seed in seeds:
        started = time.perf_counter()
        decoder = POYODecoder(random_state=seed).fit(X[:cut], heading[:cut], behavior_type="circular")
        error, seconds = errors(decoder.predict(X[test]), test), time.perf_counter() - started
        print(f"| heading | POYO, seed {seed} | median error {np.median(error):.1f} deg; within 15 deg of +-180 "
              f"{np.median(error[edge]):.1f}; R2 {decoder.score(X[test], heading[test]):.3f} | {seconds:.0f} |",
              flush=True)  # fmt: skip


def labels(name: str, X: SpikeSamples, y: np.ndarray, splits: Splits, seeds: list[int], calibrate: bool) -> None:
    """Accuracy and log-loss of eight directions, means over splits into what is trained on and what is held out."""
    classes = np.arange(8)

    def report(method: str, predicted: list[np.ndarray], began: float) -> None:
        scores = [(accuracy_score(y[test], classes[probability.argmax(axis=1)]),
                   log_loss(y[test], probability, labels=classes))
                  for (_, test), probability in zip(splits, predicted, strict=True)]  # fmt: skip
        accuracy, loss = np.mean(scores, axis=0)
        seconds = time.perf_counter() - began
        print(f"| {name} | {method} | accuracy {accuracy:.3f}, log-loss {loss:.3f} | {seconds:.0f} |", flush=True)

    def logistic_regression(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        some = train[:: max(1, len(train) // 4000)]  # neighbouring samples tell a linear model the same
        models = candidates([LogisticRegression(C=c, max_iter=300) for c in (1e-4, 1e-3, 1e-2, 0.1)])

        def loss(model: Any, rows: np.ndarray) -> float:
            return log_loss(y[some][rows], model.predict_proba(X[some][rows]), labels=classes)

        return tuned(models, loss, X[some], y[some])[0].predict_proba(X[test])

    began = time.perf_counter()
    report("logistic regression", [logistic_regression(*split) for split in splits], began)
    for seed in seeds:
        began = time.perf_counter()
        fitted = [POYOClassifier(random_state=seed).fit(X[train], y[train]) for train, _ in splits]
        report(f"POYO, seed {seed}", probabilities(fitted, X, splits), began)
        if calibrate:
            for classifier, (train, _) in zip(fitted, splits, strict=True):
                classifier.calibrate(X[train], y[train])
            report(f"POYO, seed {seed}, calibrated", probabilities(fitted, X, splits), began)


def probabilities(fitted: list[POYOClassifier], X: SpikeSamples, splits: Splits) -> list[np.ndarray]:
    """What each says of what was held out from it."""
    return [classifier.predict_proba(X[test]) for classifier, (_, test) in zip(fitted, splits, strict=True)]


def held_out(X: SpikeSamples, n_blocks: int) -> Splits:
    """The last 20 %, or each of some blocks."""
    if n_blocks > 1:
        return list(BlockedKFold(n_blocks, gap=2.0).split(X))
    cut = int(0.8 * len(X))
    return [(np.arange(cut), np.arange(cut, len(X)))]


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--parts", nargs="+", choices=("heading", "octants", "reaches"),
                        default=["heading", "octants", "reaches"])  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--blocks", type=int, default=1, help="held out in turn, of labels; 1 is the last 20 %%")
    parser.add_argument("--calibrate", action="store_true", help="calibrate probabilities, by five more fits each")
    options = parser.parse_args()
    print("| what | method | held out | wall s |\n|---|---|---|---|")
    if "heading" in options.parts:
        angles(options.seeds)
    if "octants" in options.parts:
        X, heading = mouse()
        splits = held_out(X, options.blocks)
        labels("octants of heading", X, octants(heading), splits, options.seeds, options.calibrate)
    if "reaches" in options.parts:
        X, direction = reaches()
        splits = held_out(X, options.blocks)
        labels("simulated reaches", X, direction.astype(int), splits, options.seeds, options.calibrate)


if __name__ == "__main__":
    main()
