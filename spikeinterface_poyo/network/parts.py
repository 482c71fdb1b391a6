"""Work through a batch in parts whose activations fit the device, each without the padding of longer windows."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import WindowBatch
from .poyo import NetworkConfig

GROUP = 8  # windows in a row that make parts by themselves on a CPU, so that processes with whole groups make the same
CACHED_VALUES = 2_400_000  # of the largest activations of a part, which then stay in a CPU's cache
GPU_SHARE = 0.5  # of its memory that training may take for a part
GPU_BYTES = 3  # that training takes for each of these values and each layer, four more than the processor has


def windows_a_part(config: NetworkConfig, n_tokens: float, device: torch.device) -> int:
    """Number of windows of so many tokens that a part has; the largest activations are projected tokens and latents."""
    latents = config.n_steps * config.num_latents_per_step * 3 * config.self_heads * config.dim_head
    tokens = n_tokens * 2 * config.cross_heads * config.dim_head
    if device.type == "cpu":
        most_values: float = CACHED_VALUES
    else:
        most_values = GPU_SHARE * memory(device) / (GPU_BYTES * (config.depth + 4))
    return max(1, int(most_values / (latents + tokens)))


def memory(device: torch.device) -> int:
    """Bytes that a GPU has."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return torch.mps.recommended_max_memory()


def parts(config: NetworkConfig, batch: WindowBatch) -> list[Tensor]:
    """Rows of the windows of each part, windows with about as many tokens together."""
    n_tokens, found = batch.n_tokens(), []
    every = torch.arange(len(n_tokens), device=n_tokens.device)
    for group in every.split(GROUP if every.device.type == "cpu" else len(every)):
        in_group = n_tokens[group]
        n_parts = -(-len(group) // windows_a_part(config, float(in_group.float().mean()), every.device))
        found += group[in_group.argsort(stable=True)].tensor_split(n_parts)
    return found
