"""Work through a batch in parts whose activations stay in a CPU's cache, each without the padding of longer windows."""

from __future__ import annotations

import torch
from torch import Tensor

from .network import NetworkConfig, WindowBatch

CACHED_VALUES = 2_400_000  # of the largest activations of one part: projected tokens, and latents of a layer


def windows_in_cache(config: NetworkConfig, n_tokens: float) -> int:
    """Number of windows of so many tokens that a part has."""
    latents = config.n_steps * config.num_latents_per_step * 3 * config.self_heads * config.dim_head
    tokens = n_tokens * 2 * config.cross_heads * config.dim_head
    return max(1, int(CACHED_VALUES / (latents + tokens)))


def parts(config: NetworkConfig, batch: WindowBatch) -> list[Tensor]:
    """Rows of the windows of each part, windows with about as many tokens together; on other devices all in one."""
    if batch.token.device.type != "cpu":
        return [torch.arange(len(batch.token), device=batch.token.device)]
    n_tokens = batch.n_tokens()
    n_parts = -(-len(n_tokens) // windows_in_cache(config, float(n_tokens.double().mean())))
    return list(n_tokens.argsort(stable=True).tensor_split(n_parts))
