"""Coverage and width of 90 % intervals on held-out blocks of the three recordings, next to intervals of one width.

    python examples/benchmarks/intervals.py --data <folder>

For each of five blocks a decoder at defaults is fitted on the others, 2 s apart, and decodes the block. Intervals of a
block come from the errors on the four other blocks, as `POYODecoder.calibrate` makes them; those of one width from the
same errors. The Winkler score is the mean width plus 20 times what lies outside (Gneiting and Raftery 2007, J. Am.
Stat. Assoc. 102:359): lower is better.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from compare import samples
from recordings import load

from spikeinterface_poyo import BlockedKFold, POYODecoder, SpikeSamples
from spikeinterface_poyo.decoder.calibrating import evidence
from spikeinterface_poyo.fitted.calibration import ErrorModel
from spikeinterface_poyo.fitted.learned import Learned
from spikeinterface_poyo.training.examples import Examples

COVERAGE = 0.9


def held_out(
    X: SpikeSamples, y: np.ndarray, train: np.ndarray, test: np.ndarray, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Spreads and errors (n, n_outputs) on ``test`` of a decoder fitted on ``train``, or found in ``folder``."""
    if folder.is_dir():
        decoder = POYODecoder.from_pretrained(folder)
    else:
        decoder = POYODecoder(random_state=0).fit(X[train], y[train])
        decoder.save_pretrained(folder)
    given = decoder._enter_known(X[test], y[test], None, None, leave_out=False)
    examples = Examples.of(given, None, {0: "session_0"})
    ((_, found),) = evidence(Learned(decoder.network_, decoder.sessions_), examples)
    return found.answers, found.truth


def winkler(error: np.ndarray, width: np.ndarray) -> float:
    """Mean interval score of errors (n,) of intervals of these half widths."""
    return float(np.mean(2 * width + 2 / (1 - COVERAGE) * np.maximum(error - width, 0)))


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--recordings", nargs="+", choices=("mouse", "rat", "monkey"),
                        default=["mouse", "rat", "monkey"])  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder of rat_open_field and monkey_wrist_force")
    parser.add_argument("--decoders", type=Path, help="folder that keeps the fitted decoders, for another run")
    options = parser.parse_args()
    scratch = tempfile.TemporaryDirectory()
    folder = options.decoders or Path(scratch.name)
    print("| recording | coverage, mean | blocks and outputs | Winkler score / SD | of one width | wall s |\n"
          "|---|---|---|---|---|---|")  # fmt: skip
    means = []
    for name in options.recordings:
        started = time.perf_counter()
        recording = load(name, options.data)
        X, y = samples(recording)
        folds = BlockedKFold(5, gap=2.0).split(X)
        blocks = [held_out(X, y, *fold, folder / f"{name}_{k}") for k, fold in enumerate(folds)]
        coverage, scores = [], []
        for k, (spread, error) in enumerate(blocks):
            others = [block for i, block in enumerate(blocks) if i != k]
            spreads, errors = (np.concatenate(parts) for parts in zip(*others, strict=True))
            for i in range(y.shape[1]):
                model = ErrorModel.of(errors[:, i], spreads[:, i])
                width = model.width(spread[:, i], COVERAGE)
                constant = ErrorModel.of(errors[:, i], np.ones(len(errors))).width(np.ones(len(error)), COVERAGE)
                coverage.append(np.mean(error[:, i] <= width))
                scores.append([winkler(error[:, i], ends) / y[:, i].std() for ends in (width, constant)])
        ours, theirs = np.mean(scores, axis=0)
        means.append(np.mean(coverage))
        print(f"| {name} | {means[-1]:.3f} | {min(coverage):.2f} to {max(coverage):.2f} | {ours:.3f} | {theirs:.3f} "
              f"| {time.perf_counter() - started:.0f} |", flush=True)  # fmt: skip
    print(f"\nMean coverage over recordings: {np.mean(means):.3f}")


if __name__ == "__main__":
    main()
