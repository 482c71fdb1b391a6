"""Digests of weights and of what their rows and columns mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor


def digest_of(description: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a description and its weights."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    add_tensors(digest, state)
    return digest.hexdigest()


def add_tensors(digest: Any, tensors: Mapping[str, Tensor]) -> None:
    """Add tensors, by name, to a digest."""
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().data)
