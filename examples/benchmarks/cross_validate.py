"""Blocked cross-validation of POYO with scikit-learn, next to tuned baselines on the same folds.

For instance ``python examples/benchmarks/cross_validate.py --recordings mouse rat --methods poyo ridge gru``. What a
baseline can be tuned by is chosen by contiguous validation inside the training part of the first fold, which later
folds test on: to the baselines' advantage. A ridge's penalty is chosen in each fold.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from baselines import BASELINES
from compare import DETERMINISTIC, METHODS, RECORDINGS, samples
from recordings import Recording, load
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

from spikeinterface_poyo import BlockedKFold, POYODecoder

FOLDS = BlockedKFold(5, gap=2.0)


def fold_scores(method: str, recording: Recording, seed: int, jobs: int) -> list[float]:
    """R2 on each fold of POYO at defaults, or of a baseline tuned on the first."""
    X, y = samples(recording)
    if method == "poyo":
        return list(cross_val_score(POYODecoder(random_state=seed), X, y, cv=FOLDS, n_jobs=jobs))
    scores, config = [], None
    for rows in FOLDS.split(X):
        train, test = (np.isin(np.arange(len(X)), part) for part in rows)
        predicted, config = BASELINES[method](recording, train, test, seed, config)
        scores.append(r2_score(recording.values[test], predicted))
    return scores


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--recordings", nargs="+", choices=RECORDINGS, default=["mouse", "rat", "monkey"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["poyo", "ridge"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes of POYO's cross-validation, threads of others")
    parser.add_argument("--data", type=Path, help="folder of rat_open_field and monkey_wrist_force")
    options = parser.parse_args()
    torch.set_num_threads(options.jobs)
    print("| recording | method | seed | R², mean of folds | folds | wall s |\n|---|---|---|---|---|---|")
    for name in options.recordings:
        recording = load(name, options.data)
        for method, seed in product(options.methods, options.seeds):
            if method in DETERMINISTIC and seed != options.seeds[0]:
                continue
            started = time.perf_counter()
            scores = fold_scores(method, recording, seed, options.jobs)
            cells = name, method, seed, f"{np.mean(scores):.3f}", ", ".join(f"{score:.3f}" for score in scores)
            print("|", " | ".join(map(str, cells)), f"| {time.perf_counter() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
