"""Where and with which random numbers a fit runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from .rotary import phases, rotate


def find_device(device: str) -> torch.device:
    """Device of that name; "auto" is CUDA, else MPS where it has what the network needs, else the CPU.

    Raises
    ------
    ValueError
        Where torch does not know the device or this machine has none.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() and rotates(torch.device("mps")) else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # an AssertionError where torch was built without CUDA
        raise ValueError(
            f"device={device!r} cannot be used here: {error}. Expected 'auto', 'cpu', 'cuda' or 'mps'"
        ) from error
    return torch.device(device)


def rotates(device: torch.device) -> bool:
    """Whether rotary time works there: not every version of torch has complex numbers on MPS."""
    try:
        x = torch.ones(1, 4, device=device, requires_grad=True)
        rotate(x, phases(torch.ones(1, device=device), torch.ones(1, device=device))).sum().backward()
    except (RuntimeError, TypeError):
        return False
    return True


def generator(random_state: Any) -> np.random.Generator:
    """A generator of its own for scikit-learn's ``random_state``; the global one is neither read nor moved."""
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(2**31, size=4))


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Context in which equal random numbers give equal bits on CUDA too, where gradients are else summed in any order.

    Attention takes its deterministic kernels there, and cuDNN's, which plans anew for every length of window, is out.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it torch refuses matrix products
    options: Any = torch.utils.deterministic
    was, filled = torch.get_deterministic_debug_mode(), options.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    options.fill_uninitialized_memory = False  # it serves to find bugs and takes time
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(was)
        options.fill_uninitialized_memory = filled
