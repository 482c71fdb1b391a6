"""Wall time until held-out R2 reaches a target: ours at defaults, torch_brain's POYO by its tutorial's recipe, a GRU.

::

    python examples/benchmarks/time_to_accuracy.py --recordings mouse --threads 2

Every method is scored on the held-out last 20 % as it trains, the scoring off the clock: torch_brain and the GRU after
each pass over the training part, stopped at the last target or after ``--longest`` complete fits of ours; ours after
every 50 steps or pass, three seeds of it. A complete fit of ours is there too, which is what a user waits for.
torch_brain's recipe: the 1.3M network, AdamW at 1e-3, 64 windows of 1 s a step. The GRU has the settings from which
`baselines.py` starts its search.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import recordings
import torch
from baselines import GRU, GRU_SEARCH, make_grid, network_predict, train_epochs
from compare import samples
from recordings import Recording
from sklearn.metrics import r2_score
from throughput_peers import WINDOW, Session, TorchBrain, open_dataset, write_session

from spikeinterface_poyo import POYODecoder
from spikeinterface_poyo.training.optimization import set_weights
from spikeinterface_poyo.training.state import TrainingState

TARGETS = {"mouse": (0.88, 0.90), "rat": (0.80,), "monkey": (0.85,)}
BATCH = 64
STRIDE = 0.5  # seconds between torch_brain's windows when it predicts
MOST_PASSES = 1000
Predict = Callable[[], np.ndarray]
Moment = tuple[float, list[torch.Tensor]]  # seconds, and the averaged weights then


def spike_trains(recording: Recording) -> tuple[np.ndarray, np.ndarray, int]:
    """Spike times in order, the unit of each, and the number of units; a bin's spikes lie at its centre."""
    if recording.spikes is None:
        counts, centres, _ = recording.counts
        bins, units = np.nonzero(counts)
        n = counts[bins, units].astype(np.int64)
        return centres[bins].repeat(n), units.repeat(n).astype(np.int32), counts.shape[1]
    trains = list(recording.spikes.values())
    times, units = np.concatenate(trains), np.arange(len(trains)).repeat([len(train) for train in trains])
    order = np.argsort(times, kind="stable")
    return times[order], units[order].astype(np.int32), len(trains)


def torch_brain_passes(recording: Recording, train: np.ndarray, test: np.ndarray, folder: Path) -> Iterator[Predict]:
    """Train torch_brain's POYO; after each pass over the training part, what predicts the test samples."""
    torch.manual_seed(0)
    mean, scale = recording.values[train].mean(axis=0), recording.values[train].std(axis=0)
    behavior = ((recording.values - mean) / scale).astype(np.float32)
    spikes = spike_trains(recording)
    sessions = []
    for name, mask, margin in (("train", train, 0.0), ("test", test, WINDOW)):
        times = recording.times[mask]
        sessions.append(Session(*spikes[:2], times, behavior[mask], spikes[2], times[0] - margin, times[-1] + margin))
        (folder / name).mkdir()
        write_session(sessions[-1], folder / name)
    session = sessions[0]
    peer = TorchBrain(session, "1.3M", torch.device("cpu"), folder / "train")
    test_windows = open_dataset(folder / "test", peer.network, drop_units=False)
    for _ in range(MOST_PASSES):
        for _ in range(max(1, int((session.stop - session.start) / WINDOW) // BATCH)):
            peer.training_step(*peer.build(BATCH))
        yield lambda: stitched(peer, test_windows, recording.times[test]) * scale + mean


def stitched(peer: TorchBrain, windows: object, times: np.ndarray) -> np.ndarray:
    """Predictions (n, 2) of overlapping windows, averaged."""
    from torch_brain.batching import collate
    from torch_brain.datasets import DatasetIndex

    starts = np.arange(times[0] - STRIDE, times[-1], STRIDE)
    total, count = np.zeros((len(times), 2)), np.zeros((len(times), 1))
    indices = [DatasetIndex("session", start, start + WINDOW) for start in starts]
    for first in range(0, len(indices), BATCH):
        items = [windows[index] for index in indices[first : first + BATCH]]
        batch = collate([item for item in items if len(item["output_timestamps"].obj)])
        sample, _ = batch.pop("sample"), batch.pop("target")
        inputs = {name: value.float() if value.is_floating_point() else value for name, value in batch.items()}
        answer, mask = peer.infer(inputs).numpy(), batch["output_mask"].numpy()
        np.add.at(total, sample.numpy()[mask], answer[mask])
        np.add.at(count, sample.numpy()[mask], 1)
    return total / count


def gru_passes(recording: Recording, train: np.ndarray, test: np.ndarray) -> Iterator[Predict]:
    """Train the GRU; after each pass, what predicts the test samples."""
    config = {name: start for name, (start, _) in GRU_SEARCH.items()}
    if recording.counts is not None:
        config["bin_size"] = max(config["bin_size"], recording.counts[2])
    grid = make_grid(recording, train, config)
    for network in train_epochs(GRU, grid, config, 0, MOST_PASSES):
        yield lambda network=network: network_predict(network, grid, config, recording.times[test])


def times_to_targets(
    passes: Iterator[Predict], truth: np.ndarray, targets: tuple[float, ...], longest: float
) -> tuple[dict[float, float], float]:
    """Seconds of training at which each target was first met, and the best R2 until the last target or ``longest``."""
    reached: dict[float, float] = {}
    spent, best = 0.0, -np.inf
    while spent < longest and len(reached) < len(targets):
        started = time.perf_counter()
        predict = next(passes)
        spent += time.perf_counter() - started
        best = max(best, float(r2_score(truth, predict())))
        reached |= {target: spent for target in targets if best >= target and target not in reached}
    return reached, best


@contextmanager
def averages_noted() -> Iterator[list[Moment]]:
    """Context in which a fit notes its averaged weights after each iteration, with the seconds since it was entered."""
    started, noted = time.perf_counter(), []
    end_iteration = TrainingState.end_iteration

    def note(state: TrainingState, *arguments: Any) -> None:
        end_iteration(state, *arguments)
        noted.append((time.perf_counter() - started, [weight.clone() for weight in state.average.weights]))

    with mock.patch.object(TrainingState, "end_iteration", note):
        yield noted


def ours(
    recording: Recording, train: np.ndarray, test: np.ndarray, seed: int, targets: tuple[float, ...]
) -> tuple[float, float, dict[float, float]]:
    """R2 and seconds of a complete fit with its prediction, and the seconds at which each target was first met."""
    started = time.perf_counter()
    with averages_noted() as noted:
        X, y = samples(recording)
        decoder = POYODecoder(random_state=seed).fit(X[train], y[train])
    score = r2_score(recording.values[test], decoder.predict(X[test]))
    complete, reached = time.perf_counter() - started, {}
    for seconds, weights in noted:
        if len(reached) == len(targets):
            break
        set_weights(decoder.network_, weights)
        r2 = r2_score(recording.values[test], decoder.predict(X[test]))
        reached |= {target: seconds for target in targets if r2 >= target and target not in reached}
    return float(score), complete, reached


def compare_on(name: str, data: Path | None, seeds: int, longest: float) -> list[str]:
    """Table rows of one recording; peers are stopped after ``longest`` complete fits of ours."""
    recording = recordings.load(name, data)
    train, test = recordings.split(recording)
    truth, targets, rows, fits = recording.values[test], TARGETS[name], [], []
    for seed in range(seeds):
        fits.append(ours(recording, train, test, seed, targets))
        score, seconds, reached = fits[-1]
        print(f"{name}: ours, seed {seed}: {reached}, R2 {score:.3f} after {seconds:.0f} s", flush=True)
    typical = float(np.median([seconds for _, seconds, _ in fits]))
    first = {target: float(np.median([reached.get(target, np.inf) for *_, reached in fits])) for target in targets}
    for target in targets:
        met = sum(score >= target for score, *_ in fits)
        rows.append(f"| {name} | {target} | ours | {first[target]:.0f} | |")
        rows.append(f"| {name} | {target} | ours, complete fit | {typical:.0f} ({met} of {seeds} seeds) | |")
    with tempfile.TemporaryDirectory() as folder:
        others = {
            "torch_brain": torch_brain_passes(recording, train, test, Path(folder)),
            "GRU": gru_passes(recording, train, test),
        }
        for method, passes in others.items():
            reached, best = times_to_targets(passes, truth, targets, longest * typical)
            print(f"{name}: {method}: {reached}, best R2 {best:.3f}", flush=True)
            for target in targets:
                if target in reached:
                    times = f"{reached[target] / first[target]:.1f}, {reached[target] / typical:.1f}"
                    cells = f"{reached[target]:.0f} | {times}"
                else:
                    times = f"> {longest * typical / first[target] // 0.1 / 10:.1f}, > {longest:.1f}"  # rounded down
                    cells = f"not reached, best {best:.3f} | {times}"
                rows.append(f"| {name} | {target} | {method} | {cells} |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", nargs="+", choices=TARGETS, default=["mouse"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--longest", type=float, default=10.0, help="of peers, in complete fits of ours")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="folder of rat_open_field and monkey_wrist_force")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for name in options.recordings:
        rows += compare_on(name, options.data, options.seeds, options.longest)
    print("\n| recording | R² | | wall s | times ours, times our complete fit |\n|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
