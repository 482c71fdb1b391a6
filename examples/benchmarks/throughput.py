"""Time torch_brain's POYO and ours side by side: same weights, same batch, same precision, turn by turn in one process.

::

    python examples/benchmarks/throughput.py --units 30 100 --threads 2
    python examples/benchmarks/throughput.py --parts memory training --sizes 11.8M --batch 8 --repeats 2
    python examples/benchmarks/throughput.py --device cuda --sizes 11.8M --batch 1024 --peer-at-once 512

Both must give the same predictions before anything is timed. Windows last 1 s; at 100 units of 14 Hz, of which
torch_brain's unit dropout leaves 86 on average, one has 1,381 tokens. Times are medians; ratios are medians of the
ratios of times measured one after the other.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

PARTS = ("memory", "training", "inference", "building", "epoch")
PEERS = ("torch_brain", "ours")
REFERENCE = "torch_brain"
TOLERANCE = 1e-4  # of predictions, whose SD is about 0.2
Timed = dict[str, Callable[[], Any]]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", nargs="+", default=["1.3M"], choices=["1.3M", "11.8M"])
    parser.add_argument("--units", nargs="+", type=int, default=[100])
    parser.add_argument("--batch", type=int, default=64, help="windows")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peer-at-once", type=int, help="windows of a batch that torch_brain works on together")
    parser.add_argument("--peak-of", choices=PEERS, help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def peers(options: argparse.Namespace, size: str, n_units: int, only: str = "") -> Iterator[dict[str, Any]]:
    """Both sides on one session; torch_brain also without dropout of attention, ours also with our optimizers."""
    import torch
    from throughput_peers import Ours, TorchBrain, made_up_session, write_session

    device, session = torch.device(options.device), made_up_session(n_units)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_session(session, folder)
        theirs = partial(TorchBrain, session, size, device, folder, at_once=options.peer_at_once)
        sides = {
            "torch_brain": theirs,
            "torch_brain, no attention dropout": partial(theirs, attention_dropout=0.0),
            "ours": partial(Ours, session, size, device),
            "ours, Muon": partial(Ours, session, size, device, muon=True),
        }
        yield {name: make() for name, make in sides.items() if only in ("", name)}


def interleaved(functions: Timed, repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each function, ``repeats`` times in turn after one call that is not counted."""
    import torch

    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            if device != "cpu":
                torch.cuda.synchronize()
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def check_same(sides: dict[str, Any], n_windows: int) -> None:
    """Raise where the two sides' predictions for one batch differ."""
    from throughput_peers import TorchBrain

    batch = sides["torch_brain"].build(n_windows)
    converted = TorchBrain.convert(*batch)
    mask = batch[0]["output_mask"]
    difference = (sides["torch_brain"].infer(batch[0]) - sides["ours"].infer(converted[0]))[mask].abs().max().item()
    if not difference < TOLERANCE:
        raise RuntimeError(f"the two networks' predictions differ by {difference:.2g}, expected below {TOLERANCE}")


def timed_functions(part: str, sides: dict[str, Any], n_windows: int, has_bf16: bool) -> tuple[Timed, float, float]:
    """What a part times, and tokens a window and forward GFLOP a window of what it works on."""
    from throughput_peers import TorchBrain, forward_gflop

    theirs, ours = sides["torch_brain"], sides["ours"]
    batch = theirs.build(n_windows)
    converted = TorchBrain.convert(*batch)
    n_tokens = batch[0]["input_mask"].sum().item() / n_windows
    gflop = forward_gflop(ours.network.config, n_tokens, batch[0]["output_mask"].sum().item() / n_windows)
    functions: Timed
    if part == "building":
        functions = {name: lambda s=sides[name]: s.build(n_windows) for name in PEERS}
    elif part == "epoch":
        functions = {name: lambda s=sides[name]: s.epoch(n_windows) for name in ("torch_brain", "ours", "ours, Muon")}
    else:
        functions = {}
        for name, side in sides.items():
            data = batch if side.__class__ is TorchBrain else converted
            for bf16 in (False, True) if has_bf16 else (False,):
                label = f"{name}, bf16" if bf16 else name
                if part == "training":
                    functions[label] = lambda s=side, d=data, b=bf16: s.training_step(*d, bf16=b)
                elif name in PEERS:
                    functions[label] = lambda s=side, d=data, b=bf16: s.infer(d[0], bf16=b)
    return functions, n_tokens, gflop


def measure(options: argparse.Namespace, size: str, n_units: int, peaks: dict[str, float]) -> list[str]:
    """Table rows of one network and number of units; ``peaks`` as from `matmul_peaks`."""
    from throughput_peers import DURATION

    rows = []
    with peers(options, size, n_units) as sides:
        check_same(sides, options.batch)  # before training makes them differ
        for part in options.parts:
            if part == "memory":
                continue
            functions, n_tokens, gflop = timed_functions(part, sides, options.batch, "bf16" in peaks)
            seconds = interleaved(functions, options.repeats, options.device)
            n_windows = int(DURATION) // options.batch * options.batch if part == "epoch" else options.batch
            work = {"training": 3 * gflop, "inference": gflop}.get(part)
            for name, measured in seconds.items():
                median = statistics.median(measured)
                ratio = statistics.median(a / b for a, b in zip(seconds[REFERENCE], measured, strict=True))
                peak = peaks["bf16" if name.endswith("bf16") else "float32"]
                share = f"{100 * work * n_windows / median / peak:.0f} %" if work else ""
                cells = [part, size, f"{n_units}", f"{n_tokens:.0f}", name, f"{n_windows / median:.1f}", f"{ratio:.2f}"]
                rows.append("| " + " | ".join([*cells, share]) + " |")
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def peak_memory(device: str) -> float:
    """Peak memory of this process, MB: resident, or what torch has allocated on the GPU."""
    if device != "cpu":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def measure_peak(options: argparse.Namespace) -> dict[str, float]:
    """Peak memory of three training steps in this process, above what the imports and the session take."""
    import torch

    torch.set_num_threads(options.threads)
    with peers(options, options.sizes[0], options.units[0], options.peak_of) as sides:
        side = sides[options.peak_of]
        before = peak_memory(options.device)
        for _ in range(3):
            side.training_step(*side.build(options.batch))
        return {"mb": peak_memory(options.device) - before}


def memory_rows(options: argparse.Namespace) -> list[str]:
    """Peak memory in training of each peer, each in a process of its own."""
    rows = []
    for size in options.sizes:
        for n_units in options.units:
            peak = {}
            for peer in PEERS:
                command = [sys.executable, str(Path(__file__).resolve()), "--peak-of", peer, "--sizes", size]
                command += ["--units", str(n_units), "--batch", str(options.batch), "--threads", str(options.threads)]
                command += ["--device", options.device]
                command += ["--peer-at-once", str(options.peer_at_once)] if options.peer_at_once else []
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                peak[peer] = json.loads(done.stdout)["mb"]
            rows += [
                f"| {size} | {n_units} | {name} | {mb:.0f} | {peak[REFERENCE] / mb:.1f} |" for name, mb in peak.items()
            ]
    return rows


def matmul_peaks(device: str) -> dict[str, float]:
    """GFLOP/s of the best matrix product that torch makes here, in float32 and where it is fast in bfloat16."""
    import torch

    has_bf16 = device != "cpu" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    peaks = dict.fromkeys(("float32", "bf16") if has_bf16 else ("float32",), 0.0)
    for name in peaks:
        dtype = torch.bfloat16 if name == "bf16" else torch.float32
        for size in (512, 1024, 2048) if device == "cpu" else (4096, 8192):
            a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
            seconds = interleaved({name: lambda a=a, b=b: a @ b}, 10, device)[name]
            peaks[name] = max(peaks[name], 2 * size**3 / min(seconds) / 1e9)
    return peaks


def machine(options: argparse.Namespace, peaks: dict[str, float]) -> str:
    """Date, machine and versions."""
    import torch
    from compare import cpu_model, version

    flags = [name for name in ("avx512_f", "avx512_bf16", "amx_tile") if torch.cpu.get_capabilities().get(name)]
    products = " and ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in peaks.items())
    where = torch.cuda.get_device_name() if options.device != "cpu" else f"{cpu_model()} ({', '.join(flags)})"
    return (
        f"{datetime.date.today().isoformat()}; {where}, {os.cpu_count()} cores, {options.threads} threads, best "
        f"products {products}; Python {platform.python_version()}, torch {torch.__version__}, "
        f"torch_brain {version('torch_brain')}; batches of {options.batch} windows, {options.repeats} repeats"
    )


def main() -> None:
    """Print the tables."""
    options = parse_arguments()
    if options.peak_of:
        print(json.dumps(measure_peak(options)))
        return
    # Memory comes first: on Linux a process starts with the peak memory of the one that started it.
    memory = memory_rows(options) if "memory" in options.parts else []
    import torch

    torch.set_num_threads(options.threads)
    peaks = matmul_peaks(options.device)
    rows = [row for size in options.sizes for n in options.units for row in measure(options, size, n, peaks)]
    print(machine(options, peaks))
    if rows:
        print("\n| part | network | units | tokens a window | | windows/s | ratio | of peak |")
        print("|---|---|---|---|---|---|---|---|")
        print("\n".join(rows))
    if memory:
        print("\n| network | units | | peak MB in training | ratio |\n|---|---|---|---|---|")
        print("\n".join(memory))


if __name__ == "__main__":
    main()
