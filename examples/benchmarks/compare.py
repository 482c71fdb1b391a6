"""Compare POYO with ridge, Bayesian decoder, MLP and GRU on real recordings, and print one markdown table.

Each fit runs in a process of its own, so that its CPU time and peak memory are its own::

    python examples/benchmarks/compare.py --recordings mouse rat --methods poyo ridge --seeds 0 1 2 --threads 2

The first 80 % of each recording is for training (and for every choice), the last 20 % for testing. With
``--validation`` the same happens inside the first 80 % (train on 64 %, score on 16 %): use it to choose defaults.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from recordings import Recording

# The parent imports nothing heavy: on Linux a child process inherits the peak memory of the process that starts it.

RECORDINGS = ("mouse", "rat", "monkey", "monkey_day16")
METHODS = ("poyo", "ridge", "bayes", "mlp", "gru")
DETERMINISTIC = ("ridge", "bayes")  # one seed is enough
VERSIONS = ("spikeinterface_poyo", "torch", "numpy", "scikit-learn", "spikeinterface")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
HEADER = (
    "| recording | method | R² per output | R², mean ± SD over seeds | seeds | wall s | tuning s | CPU s | peak MB |"
)

Result = dict[str, Any]
Method = Callable[..., tuple["np.ndarray", Result]]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--recordings", nargs="+", choices=RECORDINGS, default=["mouse", "rat", "monkey"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each fit")
    parser.add_argument("--data", type=Path, help="folder of rat_open_field and monkey_wrist_force")
    parser.add_argument("--validation", action="store_true", help="train and score inside the first 80 %% only")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--one", action="store_true", help="one fit in this process, result as JSON (for internal use)")
    return parser.parse_args(arguments)


# One fit, in a process of its own -------------------------------------------------------------------------------------


def fit_one(options: argparse.Namespace) -> Result:
    """Fit and score one method on one recording with one seed, in this process."""
    import recordings
    import torch
    from sklearn.metrics import r2_score

    torch.set_num_threads(options.threads)
    try:
        recording = recordings.load(options.recordings[0], options.data)
    except FileNotFoundError as error:
        return {"skipped": str(error)}
    train, test = (recordings.validation_split if options.validation else recordings.split)(recording)
    method = method_named(options.methods[0])
    wall, cpu = time.perf_counter(), time.process_time()
    prediction, chosen = method(recording, train, test, options.seeds[0])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    scores = r2_score(recording.values[test], prediction, multioutput="raw_values")
    return {
        "targets": list(recording.targets),
        "r2": scores.tolist(),
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_mb": peak_memory(),
        "chosen": chosen,
    }


def method_named(name: str) -> Method:
    """Get ``fit_predict(recording, train, test, seed)`` of a method."""
    if name == "poyo":
        return poyo
    from baselines import BASELINES

    return BASELINES[name]


def poyo(recording: Recording, train: np.ndarray, test: np.ndarray, seed: int = 0) -> tuple[np.ndarray, Result]:
    """POYO with its default settings; parameters and returns as ``baselines.ridge``."""
    from spikeinterface_poyo import POYODecoder

    X, y = samples(recording)
    decoder = POYODecoder(random_state=seed).fit(X[train], y[train])
    prediction = decoder.predict(X[test])
    chosen = {name: getattr(decoder, name) for name in ("n_iter_", "best_validation_score_") if hasattr(decoder, name)}
    return prediction, {name: float(value) for name, value in chosen.items() if value is not None}


def samples(recording: Recording) -> tuple[Any, np.ndarray]:
    """Every sample of a recording and its targets."""
    from spikeinterface_poyo import align, from_counts

    spikes = recording.spikes if recording.counts is None else from_counts(*recording.counts)
    X, y = align(spikes, (recording.times, recording.values))
    if len(X) != len(recording.times):
        raise RuntimeError(f"align gave {len(X)} samples of {len(recording.times)}: scores would be of other samples")
    return X, y


def peak_memory() -> float:
    """Peak resident memory of this process in MB, with what the imports took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


# The table ------------------------------------------------------------------------------------------------------------


def run_one(options: argparse.Namespace, recording: str, method: str, seed: int) -> Result:
    """Start a process for one fit and read its result from the last line that it prints."""
    command = [sys.executable, str(Path(__file__).resolve()), "--one", "--recordings", recording]
    command += ["--methods", method, "--seeds", str(seed), "--threads", str(options.threads)]
    command += ["--data", str(options.data)] if options.data else []
    command += ["--validation"] if options.validation else []
    threads = {name: str(options.threads) for name in THREAD_VARIABLES}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def table_row(recording: str, method: str, results: list[Result]) -> str:
    """One line of the table: the mean over seeds."""

    def mean(name: str) -> float:
        return statistics.fmean(result[name] for result in results)

    per_output = [statistics.fmean(scores) for scores in zip(*(result["r2"] for result in results), strict=True)]
    outputs = ", ".join(f"{name} {r2:.3f}" for name, r2 in zip(results[0]["targets"], per_output, strict=True))
    means = [statistics.fmean(result["r2"]) for result in results]
    spread = f" ± {statistics.stdev(means):.3f}" if len(means) > 1 else ""
    tuning = statistics.fmean(result["chosen"].get("tuning_s", 0.0) for result in results)
    numbers = f"{mean('wall_s'):.0f} | {tuning:.0f} | {mean('cpu_s'):.0f} | {mean('peak_mb'):.0f}"
    return f"| {recording} | {method} | {outputs} | {statistics.fmean(means):.3f}{spread} | {len(means)} | {numbers} |"


def machine_line(options: argparse.Namespace) -> str:
    """Date, machine and versions."""
    return (
        f"{datetime.date.today().isoformat()}; {cpu_model()}, {os.cpu_count()} cores, {options.threads} threads a fit; "
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    )


def cpu_model() -> str:
    """Name of the processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def version(package: str) -> str:
    """Installed version of a package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def compare(options: argparse.Namespace) -> str:
    """Run all fits and build the report."""
    rows, choices, missing = [HEADER, "|---|---|---|---|---|---|---|---|---|"], [], []
    for recording in options.recordings:
        for method in options.methods:
            results = []
            for seed in options.seeds[:1] if method in DETERMINISTIC else options.seeds:
                result = run_one(options, recording, method, seed)
                print(f"{recording} {method} seed {seed}: {json.dumps(result)}", file=sys.stderr, flush=True)
                if "r2" in result:
                    results.append(result)
                    choices.append(f"- {recording}, {method}, seed {seed}: `{json.dumps(result['chosen'])}`")
                else:
                    missing.append(f"- {recording}, {method}, seed {seed}: {result.get('skipped') or result['failed']}")
            if results:
                rows.append(table_row(recording, method, results))
    shares = ("first 64 %", "next 16 %") if options.validation else ("first 80 %", "last 20 %")
    note = "Times and memory are means over seeds; wall and CPU time contain the tuning."
    parts = ["\n".join(rows), f"Trained on the {shares[0]}, scored on the {shares[1]} of the samples. {note}"]
    parts += [machine_line(options), "Chosen inside the training part:\n\n" + "\n".join(choices) if choices else ""]
    parts += ["Missing:\n\n" + "\n".join(missing) if missing else ""]
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> None:
    """Run the comparison, or with ``--one`` a single fit."""
    options = parse_arguments()
    if options.one:
        print(json.dumps(fit_one(options)))
        return
    text = compare(options)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
