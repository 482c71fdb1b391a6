"""Random numbers of a fit, and equal results from equal ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state


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
