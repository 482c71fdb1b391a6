"""Where training starts from: cross-attention that looks at near times first, silence where nothing varies."""

from __future__ import annotations

import numpy as np
import torch

from .poyo import POYO, CrossAttention

NEARNESS = 3.0


@torch.no_grad()
def attend_to_near_times(network: POYO) -> None:
    """Give latents and queries of a fresh network a preference for what is near them in time.

    At torch_brain's initialisation a latent averages all spikes of the window, and finding out that near ones matter
    takes hundreds of steps. Here queries and keys share a constant part, so that the attention score at a lag ``dt``
    begins at ``NEARNESS * mean(cos(omega * dt))``: a bump at zero. The constant enters through the biases of the layer
    norms, whose input has no mean, so the rest of the initialisation stays as it was.
    """
    for attention in (network.enc_atn, network.dec_atn):
        add_constant(attention)


@torch.no_grad()
def say_nothing(network: POYO, columns: np.ndarray) -> None:
    """Let columns of the readout be zero, which they stay where their targets are."""
    network.readout.weight[columns] = 0.0
    network.readout.bias[columns] = 0.0


def silent(network: POYO, columns: np.ndarray) -> np.ndarray:
    """Those of the columns that `say_nothing` has silenced."""
    of_columns = torch.cat([network.readout.weight[columns], network.readout.bias[columns, None]], dim=1)
    return columns[(of_columns == 0).all(dim=1).cpu().numpy()]


@torch.no_grad()
def speak_again(network: POYO, columns: np.ndarray, seed: int) -> None:
    """Give silent columns first weights: with none, they let nothing else learn from them."""
    fresh = POYO.fresh(network.config, 1, 1, seed).readout.to(network.readout.weight.device)
    network.readout.weight[columns], network.readout.bias[columns] = fresh.weight[columns], fresh.bias[columns]


def add_constant(attention: CrossAttention) -> None:
    """Add the shared constant to queries and keys of one layer."""
    inner, dim = attention.to_q.weight.shape
    dim_head = inner // attention.heads
    n_pairs = dim_head // 4
    slow = torch.arange(n_pairs // 2, n_pairs, device="cpu")
    # The first of each pair carries it: rotated by both times, its score is the cosine of their difference.
    first_of_pairs = torch.zeros(attention.heads, dim_head, device="cpu")
    first_of_pairs[:, 2 * slow] = (NEARNESS * dim_head**0.5 / len(slow)) ** 0.5
    constant = first_of_pairs.flatten()[:, None].to(attention.to_q.weight) / dim
    attention.norm.bias.fill_(1.0)
    attention.norm_context.bias.fill_(1.0)
    attention.to_q.weight += constant
    attention.to_kv.weight[:inner] += constant
