"""Windows as tensors: what the network reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .windows import N_TOKEN_TYPES, Tokens


class WindowBatch(NamedTuple):
    """Windows ready for the network: B windows padded to N tokens and Q queries; times in s from window start."""

    unit_rows: Tensor  # (R,) int64, rows of `unit_emb` that occur in this batch
    token: Tensor  # (B, N) int64, (index into unit_rows) * N_TOKEN_TYPES + token type
    token_time: Tensor  # (B, N) float32
    token_log_weight: Tensor  # (B, N) float32, log of how many equal spikes the token stands for; -inf is padding
    session: Tensor  # (B,) int64, rows of `session_emb`
    query_time: Tensor  # (B, Q) float32
    columns: Tensor  # (B, W) int64, columns of `readout` that each window is asked for

    def n_tokens(self) -> Tensor:
        """Tokens (B,) of each window, up to the padding at its end."""
        position = torch.arange(1, 1 + self.token.shape[1], device=self.token.device)
        return torch.where(self.token_log_weight > -torch.inf, position, 0).amax(dim=1)

    def take(self, rows: Tensor) -> WindowBatch:
        """Some of the windows, padded to the longest of them."""
        some = self._replace(**{name: getattr(self, name)[rows] for name in self._fields if name != "unit_rows"})
        longest = int(some.n_tokens().max())
        tokens = ("token", "token_time", "token_log_weight")
        return some._replace(**{name: getattr(some, name)[:, :longest] for name in tokens})

    def by_itself(self, rows: Tensor) -> WindowBatch:
        """Some of the windows, and only the units that they have."""
        some = self.take(rows)
        unit, kind = some.token // N_TOKEN_TYPES, some.token % N_TOKEN_TYPES
        occurs = torch.zeros(len(self.unit_rows), dtype=torch.bool, device=unit.device)
        occurs[unit.flatten()] = True
        place = occurs.cumsum(dim=0) - 1
        return some._replace(unit_rows=self.unit_rows[occurs], token=place[unit] * N_TOKEN_TYPES + kind)


def to_batch(
    tokens: Tokens, session: np.ndarray, query_time: np.ndarray, columns: np.ndarray, device: torch.device
) -> WindowBatch:
    """Arrays to tensors on ``device``."""
    return WindowBatch(
        unit_rows=torch.from_numpy(tokens.unit_rows).to(device),
        token=torch.from_numpy(tokens.token).to(device),
        token_time=torch.from_numpy(tokens.token_time).to(device),
        token_log_weight=torch.from_numpy(tokens.token_log_weight).to(device),
        session=torch.from_numpy(session).to(device),
        query_time=torch.from_numpy(query_time.astype(np.float32)).to(device),
        columns=torch.from_numpy(columns).to(device),
    )
