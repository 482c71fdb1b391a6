"""Analyzers for the tests of the extension: small, of tuned units, on a clock that does not begin at zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from spikeinterface.core import (
    NumpyRecording,
    NumpySorting,
    SortingAnalyzer,
    create_sorting_analyzer,
    load,
    load_sorting_analyzer,
)

RATE = 2000.0  # Hz
T_START = 100.0  # s
SMALL = {
    "dim": 16, "depth": 1, "dim_head": 8, "cross_heads": 1, "self_heads": 2, "num_latents_per_step": 1,
    "n_latent_steps": 4, "window_length": 1.0, "batch_size": 2, "max_iter": 1, "random_state": 0, "device": "cpu",
}  # fmt: skip
QUICK = {"decoder": SMALL, "n_folds": 2, "gap": 0.5, "n_windows": 10, "progress_bar": False}


def make_recording(folder: Path, simulated: Any, duration: float) -> tuple[Any, NumpySorting]:
    """A silent recording, saved so that analyzers find it again, and its sorting; times of ``simulated`` from zero."""
    silence = np.random.default_rng(0).normal(size=(int(duration * RATE), 4)).astype(np.float32)
    recording = NumpyRecording([silence], RATE, t_starts=[T_START])
    recording.set_dummy_probe_from_locations(np.array([[0.0, 0], [0, 20], [0, 40], [0, 60]]))
    recording.save(folder=folder, chunk_duration="100s")  # at once: each chunk collects this process's garbage
    frames = {unit: np.round(times * RATE).astype(np.int64) for unit, times in simulated.spikes.items()}
    frames = {unit: train[train < len(silence)] for unit, train in frames.items()}
    return load(folder), NumpySorting.from_unit_dict(frames, RATE)


def make_analyzer(recording: Any, sorting: Any, format: str, folder: Path, **options: Any) -> SortingAnalyzer:
    """An analyzer in ``folder``, or in memory."""
    where = None if format == "memory" else folder / f"analyzer_{format}{'.zarr' if format == 'zarr' else ''}"
    return create_sorting_analyzer(sorting, recording, format=format, folder=where, sparse=False, **options)


def reopened(analyzer: SortingAnalyzer, how: str) -> SortingAnalyzer:
    """The same analyzer, "fresh" as it is, "reloaded", or reloaded and "lazy"."""
    if how == "fresh":
        return analyzer
    return load_sorting_analyzer(analyzer.folder, lazy=how == "lazy")
