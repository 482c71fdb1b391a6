"""The POYO network: spikes -> latents -> behaviour, on a PerceiverIO backbone.

    tokens (one a spike, plus a start and an end marker a unit)
      -> cross-attention into latents spread evenly over the window
      -> `depth` layers of self-attention among latents
      -> cross-attention from one query a behaviour time -> linear readout

Weights are named as in torch_brain's ``POYO`` and give its numbers. Three things are computed otherwise, exactly:
a token's key and value before rotation depend only on its unit and type, so they come from one small table;
the latents entering the encoder are the same for every window; all queries of a session are one vector.

Source: Azabou et al., NeurIPS 2023, "A Unified, Scalable Framework for Neural Population Decoding" (arXiv 2310.16046).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batch import WindowBatch
from .dropout import dropout, geglu
from .random_numbers import first_weights
from .rotary import gather_rotated, phases, rotary_frequencies, rotate, rotate_
from .windows import N_TOKEN_TYPES, SPIKE

# A CPU that multiplies tiles of bfloat16, where torch is new enough to tell.
HAS_AMX = hasattr(torch.cpu, "get_capabilities") and bool(torch.cpu.get_capabilities().get("amx_tile"))


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network. The defaults are torch_brain's 1.3M-parameter POYO (``poyo_1.3M.yaml``).

    Times are in seconds; ``t_min`` and ``t_max`` are the shortest and longest rotary period. Spikes of a unit within
    one bin of ``token_bin`` seconds come as one token that counts for all of them; with 0 each spike is a token.
    ``n_outputs`` counts the readout's columns, those of all behaviours: an output of numbers has one, an angle two,
    labels one a class.
    """

    n_outputs: int
    window_length: float = 1.0
    latent_step: float = 0.125
    num_latents_per_step: int = 16
    dim: int = 64
    depth: int = 6
    dim_head: int = 64
    cross_heads: int = 2
    self_heads: int = 8
    ffn_dropout: float = 0.2
    lin_dropout: float = 0.4
    t_min: float = 1e-4
    t_max: float = 2.0627
    causal: bool = False
    token_bin: float = 0.0

    @property
    def n_steps(self) -> int:
        """Number of latent time steps in a window."""
        return max(1, round(self.window_length / self.latent_step))


HIDDEN = 4  # times as wide as the network are feed-forward layers


class FeedForward(nn.Module):
    """Linear -> GEGLU -> dropout -> linear (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        hidden = HIDDEN * dim
        # Indices 0 and 3 are what torch_brain's checkpoints call these two layers.
        self.net = nn.ModuleDict({"0": nn.Linear(dim, 2 * hidden), "3": nn.Linear(hidden, dim)})
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to (..., dim)."""
        return self.net["3"](dropout(geglu(self.net["0"](x)), self.dropout, self.training))


def feed_forward_block(dim: int, dropout: float) -> nn.Sequential:
    """Pre-norm feed-forward block."""
    return nn.Sequential(nn.LayerNorm(dim), FeedForward(dim, dropout))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., n, heads * dim_head) to (..., heads, n, dim_head), without a copy."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def join_heads(x: Tensor) -> Tensor:
    """Inverse of `split_heads`."""
    return x.transpose(-3, -2).flatten(-2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of heads (..., n, dim_head); ``mask`` is boolean or added to the scores."""
    if q.dtype == torch.bfloat16 and q.device.type == "cpu" and (q.requires_grad or not HAS_AMX):
        # Two products and a softmax: torch's fused kernel takes longer, but for its forward pass with AMX.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if mask is None or mask.dtype != torch.bool:
            return (scores if mask is None else scores + mask).softmax(dim=-1) @ v
        # A query before the first latent's end sees none, and gets zeros as from the fused kernel.
        return torch.ops.aten._safe_softmax(scores.masked_fill(~mask, -torch.inf), -1) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def unrotated(values: Tensor, phase: Tensor) -> Tensor:
    """What attention found, rotated back; in place unless its gradient needs it as it was."""
    return (rotate if values.requires_grad else rotate_)(values, phase.conj())


class CrossAttention(nn.Module):
    """Attention of queries to a context; what is rotated by time, and when, is the caller's."""

    def __init__(self, dim: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.norm_context = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(dim, 2 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim)

    def queries(self, x: Tensor) -> Tensor:
        """Unrotated queries (..., heads * dim_head) of ``x`` (..., dim)."""
        return self.to_q(self.norm(x))

    def keys_values(self, context: Tensor) -> Tensor:
        """Unrotated keys, then values (..., 2 * heads * dim_head) of ``context`` (..., dim)."""
        return self.to_kv(self.norm_context(context))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Values (..., n, heads * dim_head) that the queries find."""
        q, k, v = (split_heads(x, self.heads) for x in (q, k, v))
        return join_heads(attend(q, k, v, mask))


class SelfAttention(nn.Module):
    """Attention among latents; keys and values rotated by time, the result rotated back."""

    def __init__(self, dim: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim)

    def forward(self, x: Tensor, phase: Tensor, mask: Tensor | None) -> Tensor:
        """Map latents (B, n, dim) to (B, n, dim); ``mask`` (n, n) is True where a row may read a column."""
        qkv = rotate_(self.to_qkv(self.norm(x)), phase)
        # Cut before heads are split, so that gradients come back side by side in memory, as `to_qkv` reads them.
        q, k, v = (split_heads(part, self.heads) for part in qkv.chunk(3, dim=-1))
        out = join_heads(attend(q, k, v, mask))
        return self.to_out(unrotated(out, phase))


class ProcessorLayer(nn.ModuleList):
    """Self-attention and feed-forward among latents, each added to them after dropout."""

    def __init__(self, config: NetworkConfig) -> None:
        attention = SelfAttention(config.dim, config.self_heads, config.dim_head)
        super().__init__([attention, feed_forward_block(config.dim, config.ffn_dropout)])
        self.dropout = config.lin_dropout

    def forward(self, latents: Tensor, phase: Tensor, mask: Tensor | None) -> Tensor:
        """Latents (B, n, dim) after the layer."""
        attention, feed_forward = self
        latents = latents + dropout(attention(latents, phase, mask), self.dropout, self.training)
        return latents + dropout(feed_forward(latents), self.dropout, self.training)


class POYO(nn.Module):
    """POYO with learned unit and session embeddings; row 0 of both tables is torch_brain's padding word.

    Parameters
    ----------
    config : NetworkConfig
        Shape of the network.
    n_units, n_sessions : int
        Rows of the embedding tables, row 0 included.
    """

    omega: Tensor

    def __init__(self, config: NetworkConfig, n_units: int, n_sessions: int) -> None:
        super().__init__()
        self.config = c = config
        self.unit_emb = nn.Embedding(n_units, c.dim)
        self.session_emb = nn.Embedding(n_sessions, c.dim)
        self.token_type_emb = nn.Embedding(N_TOKEN_TYPES + 1, c.dim)  # torch_brain's last is never used
        self.latent_emb = nn.Embedding(c.num_latents_per_step, c.dim)
        for table in (self.unit_emb, self.session_emb, self.token_type_emb, self.latent_emb):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.unit_emb.weight[0] = 0
            self.session_emb.weight[0] = 0
        self.register_buffer("omega", rotary_frequencies(c.dim_head // 4, c.t_min, c.t_max))
        self.enc_atn = CrossAttention(c.dim, c.cross_heads, c.dim_head)
        self.enc_ffn = feed_forward_block(c.dim, c.ffn_dropout)
        self.proc_layers = nn.ModuleList(ProcessorLayer(c) for _ in range(c.depth))
        self.dec_atn = CrossAttention(c.dim, c.cross_heads, c.dim_head)
        self.dec_ffn = feed_forward_block(c.dim, c.ffn_dropout)
        self.readout = nn.Linear(c.dim, c.n_outputs)

    @classmethod
    def fresh(cls, config: NetworkConfig, n_units: int, n_sessions: int, seed: int = 0) -> POYO:
        """A network in float32 on the CPU, whatever torch's defaults are, with first weights drawn from ``seed``."""
        with first_weights(seed):
            return cls(config, n_units, n_sessions)

    def forward(self, batch: WindowBatch, units: Tensor | None = None) -> Tensor:
        """Predict behaviour (standardised), shape (B, Q, W), at each window's query times.

        ``units`` are embeddings (R, dim) of the batch's units, where they are not those of the network's table.
        """
        # Only the columns asked for: what a session gets does not depend on how many behaviours there are.
        weight, bias = self.readout.weight[batch.columns], self.readout.bias[batch.columns]
        return torch.baddbmm(bias[:, None], self.embed(batch, units), weight.transpose(1, 2))

    def embed(self, batch: WindowBatch, units: Tensor | None = None) -> Tensor:
        """What the readout reads, shape (B, Q, dim): the network's knowledge of each query time.

        ``units`` as in `forward`.
        """
        latent_time = self.latent_times(batch.token_time.device)
        phase = phases(latent_time, self.omega)
        latents = self.encode(batch, self.unit_emb(batch.unit_rows) if units is None else units, latent_time, phase)
        mask = self.latent_mask(latent_time)
        for layer in self.proc_layers:
            latents = layer(latents, phase, mask)
        return self.decode(latents, latent_time, phase, batch)

    def latent_times(self, device: torch.device) -> Tensor:
        """Times (n_steps * num_latents_per_step,) of the latents: the centres of their steps."""
        c = self.config
        centres = torch.arange(c.n_steps, dtype=torch.float64, device="cpu") * c.latent_step + c.latent_step / 2
        return centres.float().repeat_interleave(c.num_latents_per_step).to(device)

    def latent_mask(self, latent_time: Tensor) -> Tensor | None:
        """In a causal network a latent sees only latents of its own step and earlier ones."""
        return latent_time[:, None] >= latent_time[None, :] if self.config.causal else None

    def encode(self, batch: WindowBatch, units: Tensor, latent_time: Tensor, phase: Tensor) -> Tensor:
        """Latents (B, n_latents, dim) that have read the windows' tokens."""
        atn = self.enc_atn
        latents = self.latent_emb.weight.repeat(self.config.n_steps, 1)
        q = rotate_(atn.queries(latents), phase)
        words = units[:, None] + self.token_type_emb.weight[:N_TOKEN_TYPES]
        table = atn.keys_values(words.flatten(0, 1))
        read = self.read(batch, q, table, latent_time)
        latents = latents + atn.to_out(unrotated(read, phase))
        return latents + self.enc_ffn(latents)

    def read(self, batch: WindowBatch, q: Tensor, table: Tensor, latent_time: Tensor) -> Tensor:
        """What queries (n_latents, heads * dim_head) find in tokens; ``table`` has keys and values before rotation."""
        k, v = gather_rotated(table, batch.token, phases(batch.token_time, self.omega)).chunk(2, dim=-1)
        bias = batch.token_log_weight[:, None, None].to(q.dtype)
        if self.config.causal:
            step_end = latent_time + self.config.latent_step / 2
            is_future = batch.token_time[:, None, None, :] > step_end[:, None]
            is_marker = (batch.token % N_TOKEN_TYPES != SPIKE)[:, None, None]
            bias = bias.masked_fill(is_future & ~is_marker, -torch.inf)
        return self.enc_atn.attend(q.expand(len(k), -1, -1), k, v, bias)

    def decode(self, latents: Tensor, latent_time: Tensor, phase: Tensor, batch: WindowBatch) -> Tensor:
        """Read the latents at the query times, shape (B, Q, dim)."""
        atn = self.dec_atn
        session = self.session_emb(batch.session)[:, None]
        q = atn.queries(session).expand(-1, batch.query_time.shape[1], -1)
        q = rotate(q, phases(batch.query_time, self.omega))
        k, v = atn.keys_values(latents).chunk(2, dim=-1)
        mask = None
        if self.config.causal:
            step_end = latent_time + self.config.latent_step / 2
            mask = (step_end <= batch.query_time[..., None])[:, None]
        out = session + atn.to_out(atn.attend(q, rotate(k, phase), v, mask))
        return out + self.dec_ffn(out)
