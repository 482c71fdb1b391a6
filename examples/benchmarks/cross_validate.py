"""Blocked cross-validation of POYO with scikit-learn, next to a tuned ridge on the same folds.

For instance ``python examples/benchmarks/cross_validate.py --recordings mouse rat``. The ridge's bins, lags and
smoothing are chosen by contiguous folds inside the training part of the first fold, its penalty in each fold's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from baselines import RIDGE_SEARCH, coordinate_search, ridge_predict, ridge_validate
from compare import RECORDINGS, samples
from recordings import Recording, load
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

from spikeinterface_poyo import BlockedKFold, POYODecoder, SpikeSamples


def ridge_scores(recording: Recording, X: SpikeSamples, folds: BlockedKFold) -> list[float]:
    """R2 of the tuned ridge on each fold."""
    scores, config = [], None
    for train_index, test_index in folds.split(X):
        train, test = (np.isin(np.arange(len(X)), index) for index in (train_index, test_index))
        if config is None:
            config = coordinate_search(RIDGE_SEARCH, lambda c, train=train: ridge_validate(recording, train, c))
        else:
            config = {**config, **ridge_validate(recording, train, config)[1]}
        scores.append(r2_score(recording.values[test], ridge_predict(recording, train, test, config)))
    return scores


def row(name: str, method: str, scores: list[float], seconds: float) -> str:
    """One line of the table."""
    per_fold = ", ".join(f"{score:.3f}" for score in scores)
    return f"| {name} | {method} | {np.mean(scores):.3f} | {per_fold} | {seconds:.0f} |"


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--recordings", nargs="+", choices=RECORDINGS, default=["mouse", "rat", "monkey"])
    parser.add_argument("--jobs", type=int, default=2, help="processes of cross_val_score")
    parser.add_argument("--data", type=Path, help="folder of rat_open_field and monkey_wrist_force")
    options = parser.parse_args()
    folds = BlockedKFold(5, gap=2.0)
    print("| recording | method | R², mean of folds | folds | wall s |\n|---|---|---|---|---|")
    for name in options.recordings:
        recording = load(name, options.data)
        X, y = samples(recording)
        started = time.perf_counter()
        scores = cross_val_score(POYODecoder(random_state=0), X, y, cv=folds, n_jobs=options.jobs)
        print(row(name, "poyo", list(scores), time.perf_counter() - started), flush=True)
        started = time.perf_counter()
        print(row(name, "ridge", ridge_scores(recording, X, folds), time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main()
