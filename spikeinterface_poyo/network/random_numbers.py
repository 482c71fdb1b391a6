"""Random numbers of torch: its own generators are left as they were, and on a CPU threads share none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

CPU = torch.device("cpu")
_drawing = threading.Lock()  # torch's modules draw their first weights from the generator that all threads share


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Context in which modules are made in float32 on the CPU and draw their weights from ``seed``."""
    with _drawing, CPU:
        before, dtype = torch.default_generator.get_state(), torch.get_default_dtype()
        torch.default_generator.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.default_generator.set_state(before)
            torch.set_default_dtype(dtype)


def seed_device(device: torch.device, seed: int) -> None:
    """Seed what a device other than the CPU draws dropout from."""
    if device.type != "cpu":
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            torch.get_device_module(device).manual_seed(seed)


@contextmanager
def device_restored(device: torch.device) -> Iterator[None]:
    """Context that leaves the generator of a device other than the CPU as it was."""
    if device.type == "cpu":
        yield
        return
    of_type = torch.get_device_module(device)
    where = (device,) if device.type == "cuda" else ()
    before = of_type.get_rng_state(*where)
    try:
        yield
    finally:
        of_type.set_rng_state(before, *where)
