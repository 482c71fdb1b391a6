"""A fit as a job: where it runs, with which random numbers, and where its state is kept meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from ..distributed import Team, present_team
from ..fitted.learned import Learned, Origin
from ..network.device import find_device
from ..network.random_numbers import device_restored
from ..parameters import Parameters
from ..paths import as_path
from .callbacks import FitWatch
from .checkpoints import Checkpoint
from .examples import Examples
from .fingerprints import fingerprint
from .reproducible import deterministic, generator


@dataclass(eq=False)
class Job:
    """What a fit works with: device, random numbers, where its state is kept, who shares it and who looks on."""

    device: torch.device
    rng: np.random.Generator
    seed: int  # of a fresh network
    checkpoint: Checkpoint | None
    team: Team
    watch: FitWatch | None
    origins: tuple[Origin, ...]  # of the weights that it starts from
    interrupted: bool = False


@contextmanager
def training_job(
    decoder: Parameters, examples: Examples, how: str, base: Learned | None = None, watch: FitWatch | None = None
) -> Iterator[Job]:
    """Context of one fit, which starts from ``base`` or from nothing; ``how`` tells fits of these apart.

    All random numbers come from the decoder's generator. A fit that comes to its end closes its checkpoint.
    """
    team, checkpoint = present_team(), None
    if team.size > 1 and decoder.random_state is None:
        raise ValueError("processes that train together need the same random numbers; give random_state= a number")
    if team.size > 1 or decoder.checkpoint is not None:
        of_fit = fingerprint(decoder, examples, base) | {"how": how}
        if differ := team.differences(of_fit):
            raise ValueError(f"processes that train together must make the same fit; they differ in {differ} (data are "
                             "sessions and their order, spikes, labels and weights)")  # fmt: skip
    if decoder.checkpoint is not None:
        checkpoint = Checkpoint(as_path(decoder.checkpoint).resolve(), of_fit, writes=team.leads)
        if team.differences({"step": str(checkpoint.step)}):
            raise ValueError(f"processes that train together must see the same checkpoint; this one sees step "
                             f"{checkpoint.step} in it, and others another")  # fmt: skip
    device, rng = find_device(decoder.device), generator(decoder.random_state)
    origins = () if base is None else base.origins
    job = Job(device, rng, int(rng.integers(2**63)), checkpoint, team, watch, origins)
    # Gradients are needed though the caller, as one that evaluates decoders, has turned them off.
    with torch.inference_mode(False), torch.enable_grad(), device_restored(device), deterministic(device):
        yield job
    if checkpoint is not None and not job.interrupted:
        checkpoint.close()
