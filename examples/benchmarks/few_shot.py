"""Few labels: adapted weights against training from scratch and a tuned ridge, by time of labels.

Every point is the R2 on the last 20 % of a recording after learning from one contiguous stretch of labels, which ends
at least 2 s before the test part. Points are placed early, in the middle and late in the training part, and fitted with
several seeds; every choice (early stopping, ridge's lags and penalty) is made within the stretch::

    python examples/benchmarks/few_shot.py run few_shot.jsonl --recordings mouse --methods scratch ridge core=poyo_core
    python examples/benchmarks/few_shot.py show few_shot.jsonl --picture docs/few_shot.png

``run`` adds one line a point to the file and leaves out what is there, so it goes on after it was stopped. A method
``name=weights`` adapts pretrained weights. ``pretrain`` makes weights from another whole recording.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import recordings
from compare import DETERMINISTIC, samples
from joblib import Parallel, delayed
from results import add, read

GAP = 2.0  # seconds between the labels and the test part, at least
BUDGETS = {"mouse": (15, 30, 60, 120, 300), "rat": (15, 30, 60, 120, 300, 600)}
LONG_BUDGETS = (15, 30, 60, 120, 300, 600)
PLACEMENTS = (0.0, 0.5, 1.0)  # of the labels in what room there is

Point = dict[str, Any]


def labels_at(recording: recordings.Recording, budget: float, placement: float, dev: bool) -> tuple[np.ndarray, ...]:
    """Masks of the labelled stretch and of the test part, which with ``dev`` is the fifth before the real one.

    Raises
    ------
    ValueError
        Where the training part is shorter than the budget.
    """
    times = recording.times
    first, last = (0.6, 0.8) if dev else (0.8, 1.0)
    test = np.zeros(len(times), dtype=bool)
    test[int(first * len(times)) : int(last * len(times))] = True
    room = times[int(first * len(times))] - GAP - times[0] - budget
    if room < 0:
        raise ValueError(f"{recording.name} has no {budget} s of labels before its test part")
    start = times[0] + placement * room
    return (times >= start) & (times < start + budget), test


def evaluate(point: Point, data: Path | None, threads: int) -> Point:
    """R2 of one point, and the seconds that it took."""
    import torch
    from baselines import BASELINES
    from sklearn.metrics import r2_score

    torch.set_num_threads(threads)
    recording = recordings.load(point["recording"], data)
    train, test = labels_at(recording, point["budget"], point["placement"], point["dev"])
    began = time.perf_counter()
    if point["method"] in BASELINES:
        predicted, _ = BASELINES[point["method"]](recording, train, test, point["seed"])
    else:
        from spikeinterface_poyo import POYODecoder

        X, y = samples(recording)
        name, _, weights = point["method"].partition("=")
        parameters = {} if name == "scratch" else {"pretrained": weights}
        predicted = POYODecoder(random_state=point["seed"], **parameters).fit(X[train], y[train]).predict(X[test])
    score = r2_score(recording.values[test], predicted)
    return point | {"r2": round(float(score), 4), "seconds": round(time.perf_counter() - began, 1)}


def points(arguments: argparse.Namespace) -> Iterable[Point]:
    """All points asked for, the first seed of everything before the next."""
    for seed, name, placement in product(arguments.seeds, arguments.recordings, PLACEMENTS):
        for budget in arguments.budgets or BUDGETS.get(name, LONG_BUDGETS):
            for method in arguments.methods:
                if method not in DETERMINISTIC or seed == arguments.seeds[0]:  # it has no randomness
                    yield {"recording": name, "budget": budget, "placement": placement, "method": method,
                           "seed": seed, "dev": arguments.dev}  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Evaluate the points that the file lacks."""
    keys = ("recording", "budget", "placement", "method", "seed", "dev")
    done = {tuple(point[key] for key in keys) for point in read(arguments.file)}
    todo = [point for point in points(arguments) if tuple(point[key] for key in keys) not in done]
    work = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=arguments.jobs)
    for result in work(delayed(evaluate)(point, arguments.data, arguments.threads) for point in todo):
        add(arguments.file, [result])


def summary(results: list[Point]) -> dict[tuple[str, str], dict[float, tuple[float, float, int]]]:
    """By recording and method, for each budget: mean R2, standard error over placements and seeds, number of points."""
    scores: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    for point in results:
        scores[point["recording"], point["method"].partition("=")[0], point["budget"]].append(point["r2"])
    curves: dict[tuple[str, str], dict[float, tuple[float, float, int]]] = defaultdict(dict)
    for (recording, method, budget), r2 in sorted(scores.items()):
        curves[recording, method][budget] = (float(np.mean(r2)), float(np.std(r2) / np.sqrt(len(r2))), len(r2))
    return curves


def table(results: list[Point]) -> str:
    """Curves as a markdown table."""
    curves = summary(results)
    budgets = sorted({budget for curve in curves.values() for budget in curve})
    head = ["recording", "method", *(f"{budget:g} s" for budget in budgets)]
    rows = [head, ["---"] * len(head)]
    for (recording, method), curve in sorted(curves.items()):
        cells = [f"{curve[b][0]:.3f} ({curve[b][2]})" if b in curve else "" for b in budgets]
        rows.append([recording, method, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def differences(results: list[Point], method: str) -> str:
    """Paired mean differences of ``method`` to the others, over the placements and seeds that both have."""
    r2: dict[tuple[str, float, str], dict[tuple[float, int], float]] = defaultdict(dict)
    for point in results:
        key = point["recording"], point["budget"], point["method"].partition("=")[0]
        r2[key][point["placement"], point["seed"]] = point["r2"]
    lines = []
    for (recording, budget, other), theirs in sorted(r2.items()):
        mine = r2.get((recording, budget, method), {})
        if other in DETERMINISTIC:
            theirs = {place_seed: theirs[place_seed[0], 0] for place_seed in mine if (place_seed[0], 0) in theirs}
        both = mine.keys() & theirs.keys()
        if other != method and both:
            mean = np.mean([mine[key] - theirs[key] for key in both])
            lines.append(f"{recording}, {budget:g} s: {method} - {other} = {mean:+.3f} ({len(both)} pairs)")
    return "\n".join(lines)


def picture(results: list[Point], file: Path) -> None:
    """Curves with their standard errors, one panel a recording."""
    import matplotlib.pyplot as plt

    curves = summary(results)
    names = sorted({recording for recording, _ in curves})
    colours = {method: f"C{i}" for i, method in enumerate(sorted({method for _, method in curves}))}
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names), 3.4), squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names, strict=True):
        for (recording, method), curve in curves.items():
            if recording == name:
                mean, error, _ = np.array(list(curve.values())).T
                axis.errorbar(list(curve), mean, error, marker="o", label=method, color=colours[method], capsize=2)
        axis.set(title=name, xscale="log", xlabel="labels (s)", ylabel="R² on the held-out end", ylim=(0, 1))
        ticks = sorted({budget for (recording, _), curve in curves.items() if recording == name for budget in curve})
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axis.minorticks_off()
        axis.legend()
    figure.savefig(file, dpi=150)


def show(arguments: argparse.Namespace) -> None:
    """Print the table and the paired differences, draw the curves."""
    results = [point for point in read(arguments.file) if point["dev"] == arguments.dev]
    print(table(results), differences(results, arguments.method), sep="\n\n")
    if arguments.picture:
        picture(results, arguments.picture)


def populations(recording: recordings.Recording, n: int) -> tuple[list[Any], list[Any]]:
    """The recording as ``n`` sessions: itself, and random parts of its units with turned and mirrored behaviour.

    A core that learned one population knows how its units are tuned; one that learned these reads any tuning.
    """
    from spikeinterface_poyo import from_counts

    rng = np.random.default_rng(0)
    n_units = len(recording.spikes) if recording.counts is None else recording.counts[0].shape[1]
    mean, scale = recording.values.mean(axis=0), recording.values.std(axis=0)
    spikes, behaviors = [], []
    for k in range(n):
        units = np.sort(rng.permutation(n_units)[: int(n_units * (rng.uniform(0.4, 0.8) if k else 1))])
        turn = np.linalg.qr(rng.standard_normal((len(mean),) * 2))[0] if k else np.eye(len(mean))
        if recording.counts is None:
            names = list(recording.spikes)
            spikes.append({names[unit]: recording.spikes[names[unit]] for unit in units})
        else:
            counts, centres, bin_size = recording.counts
            spikes.append(from_counts(counts[:, units], centres, bin_size))
        behaviors.append((recording.times, (recording.values - mean) / scale @ turn * scale + mean))
    return spikes, behaviors


def pretrain(arguments: argparse.Namespace) -> None:
    """Weights from one whole recording."""
    import torch

    from spikeinterface_poyo import POYODecoder

    torch.set_num_threads(arguments.threads)
    recording = recordings.load(arguments.recording, arguments.data)
    decoder = POYODecoder(max_iter=arguments.iterations, random_state=0, verbose=True)
    decoder.fit(*populations(recording, arguments.populations)).save_pretrained(arguments.folder)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="evaluate points")
    runs.add_argument("file", type=Path, help="results, one JSON object a line")
    runs.add_argument("--recordings", nargs="+", choices=list(recordings.LOADERS), default=["mouse"])
    runs.add_argument("--methods", nargs="+", default=["scratch", "ridge"], help="scratch, name=weights, or a baseline")
    runs.add_argument("--budgets", nargs="+", type=float, help="seconds of labels")
    runs.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    runs.add_argument("--jobs", type=int, default=1, help="points at a time")
    runs.add_argument("--threads", type=int, default=1, help="CPU threads of each")
    runs.set_defaults(do=run)
    shows = commands.add_parser("show", help="table, differences and picture")
    shows.add_argument("file", type=Path)
    shows.add_argument("--method", default="scratch", help="whose paired differences to print")
    shows.add_argument("--picture", type=Path)
    shows.set_defaults(do=show)
    for command in (runs, shows):
        command.add_argument("--dev", action="store_true", help="test on 60 to 80 %%: for choices")
    weights = commands.add_parser("pretrain", help="make weights from one whole recording")
    weights.add_argument("recording", choices=list(recordings.LOADERS))
    weights.add_argument("folder", type=Path)
    weights.add_argument("--populations", type=int, default=10, help="sessions that the recording is made into")
    weights.add_argument("--iterations", type=int, default=24, help="passes over them")
    weights.add_argument("--threads", type=int, default=1, help="CPU threads")
    weights.set_defaults(do=pretrain)
    for command in (runs, weights):
        command.add_argument("--data", type=Path, help="folder of the recordings that are not shipped")
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
