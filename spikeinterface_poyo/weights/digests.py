"""Digests of weights and of what their rows and columns mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def digest_of(
    description: Mapping[str, Any], state: Mapping[str, Tensor], default: Callable[[Any], Any] | None = None
) -> str:
    """SHA-256 of a description and its weights; ``default`` is that of `json.dumps`."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True, default=default).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return digest.hexdigest()
