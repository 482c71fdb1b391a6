"""One training by whichever processes there are; a test runs it by itself and under torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from spikeinterface_poyo.distributed import present_team
from spikeinterface_poyo.pretrain import main
from spikeinterface_poyo.training import fitting, identification
from spikeinterface_poyo.training.state import TrainingState

SMALL = {"dim": 16, "depth": 1, "dim-head": 8, "cross-heads": 1, "self-heads": 2, "num-latents-per-step": 2,
         "n-latent-steps": 4, "window-length": 1.0, "batch-size": 16, "max-iter": 1, "early-stopping": "true",
         "device": "cpu", "verbose": "false"}  # fmt: skip


def train(sessions: Path, out: Path) -> None:
    """Pretrain a small network, and save the loss of each step as ``losses.npy``."""
    losses = []

    def descend(state: TrainingState, sums: torch.Tensor, weights: torch.Tensor) -> None:
        losses.append(float(sums.sum() / weights.sum()))
        if present_team().leads:
            np.save(out / "losses.npy", losses)
        real(state, sums, weights)

    real, TrainingState.descend = TrainingState.descend, descend
    leading, fitting.LEADING_STEPS = fitting.LEADING_STEPS, 1  # an iteration of 50 steps
    identifying, identification.IDENTIFICATION_STEPS = identification.IDENTIFICATION_STEPS, 1
    try:
        main([str(sessions), str(out), *(f"--{name}={value}" for name, value in SMALL.items())])
    finally:
        TrainingState.descend = real
        fitting.LEADING_STEPS, identification.IDENTIFICATION_STEPS = leading, identifying


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(*map(Path, sys.argv[1:]))
