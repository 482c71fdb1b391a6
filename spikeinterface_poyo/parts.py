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
    """Rows of the windows of each part, windows with as many tokens together; all rows in one on other devices."""
    n_windows = len(batch.token)
    if batch.token.device.type != "cpu":
        return [torch.arange(n_windows, device=batch.token.device)]
    n_tokens = count_tokens(batch)
    n_parts = -(-n_windows // windows_in_cache(config, float(n_tokens.double().mean())))
    return list(n_tokens.argsort(stable=True).tensor_split(n_parts)) if n_parts > 1 else [torch.arange(n_windows)]


def take(batch: WindowBatch, rows: Tensor) -> WindowBatch:
    """Some windows of a batch, as long as the longest of them."""
    if len(rows) == len(batch.token):
        return batch
    longest = int(count_tokens(batch)[rows].max())
    return batch._replace(
        token=batch.token[rows, :longest],
        token_time=batch.token_time[rows, :longest],
        token_log_weight=batch.token_log_weight[rows, :longest],
        session=batch.session[rows],
        query_time=batch.query_time[rows],
        columns=batch.columns[rows],
    )


def count_tokens(batch: WindowBatch) -> Tensor:
    """Tokens of each window, up to its padding at the end."""
    position = torch.arange(1, 1 + batch.token.shape[1], device=batch.token.device)
    return torch.where(batch.token_log_weight > -torch.inf, position, 0).amax(dim=1)
