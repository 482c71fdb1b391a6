"""Decode where a mouse looks: fit POYO, compare it with a ridge, draw true and decoded heading.

Run from anywhere: ``python examples/quickstart.py``. It writes ``heading.png`` to the working directory. The ridge is
a quick one, of which the penalty is tuned; docs/benchmarks.md has one whose bins and lags are tuned as well (0.86).
"""

from __future__ import annotations

import time

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from spikeinterface_poyo import POYODecoder, align, load_mouse_head_direction

BIN = 0.05  # seconds
LAGS = np.arange(-15, 16)  # bins before and after the sample


def lagged_counts(sorting, times: np.ndarray) -> np.ndarray:
    """Spike counts (n_samples, n_lags * n_units) in bins around each of ``times``, for the ridge."""
    edges = times[:, None] + BIN * np.append(LAGS - 0.5, LAGS[-1] + 0.5)
    trains = [sorting.get_unit_spike_train_in_seconds(unit, segment_index=0) for unit in sorting.unit_ids]
    return np.hstack([np.diff(np.searchsorted(train, edges), axis=1) for train in trains]).astype(float)


def quick_ridge(sorting, times: np.ndarray, y: np.ndarray, train: slice, test: slice) -> np.ndarray:
    """Ridge on counts with lags on both sides; the penalty is chosen by contiguous folds of the training part."""
    thinned = slice(train.start, train.stop, 5)  # 24 Hz is plenty for bins of 50 ms
    search = GridSearchCV(Ridge(), {"alpha": 10.0 ** np.arange(0, 6)}, cv=4)
    search.fit(lagged_counts(sorting, times[thinned]), y[thinned])
    return search.predict(lagged_counts(sorting, times[test]))


def draw(times: np.ndarray, true: np.ndarray, decoded: np.ndarray, score: float) -> None:
    """Picture of one minute of true and decoded heading."""
    minute = times < times[0] + 60
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    for values, label, size in ((true, "true", 5), (decoded, "decoded", 2)):
        angle = np.degrees(np.arctan2(values[minute, 1], values[minute, 0]))
        axes.scatter(times[minute], angle, s=size, label=label, linewidths=0)
    axes.set(xlabel="time (s)", ylabel="heading (degrees)", ylim=(-180, 180), yticks=range(-180, 181, 90))
    axes.set_title(f"Mouse heading, held out: R² = {score:.3f}")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=3, frameon=False)
    figure.savefig("heading.png", dpi=150)


def main() -> None:
    """Fit on the first 80 % of the session, score on the rest."""
    sorting, heading = load_mouse_head_direction()
    X, y = align(sorting, heading)
    cut = round(0.8 * len(X))
    train, test = slice(0, cut), slice(cut, len(X))

    started = time.perf_counter()
    decoder = POYODecoder(random_state=0, verbose=True).fit(X[train], y[train])
    minutes = (time.perf_counter() - started) / 60
    decoded = decoder.predict(X[test])
    ridge = quick_ridge(sorting, X.times, y, train, test)

    score = r2_score(y[test], decoded)
    print(f"held-out R2   POYO {score:.3f} (fitted in {minutes:.1f} min)   ridge {r2_score(y[test], ridge):.3f}")
    draw(X.times[test], y[test], decoded, score)
    print("true and decoded heading: heading.png")


if __name__ == "__main__":
    main()
