"""Digests of weights and of what their rows and columns mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def digest_of(description: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a description and its weights."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True, default=plain_number).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return digest.hexdigest()


def plain_number(value: Any) -> Any:
    """NumPy scalars as Python's, for `json.dumps`."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
