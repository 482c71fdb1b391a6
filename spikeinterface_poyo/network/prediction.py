"""Prediction: windows on a fixed grid of the segment's clock, their overlapping answers stitched.

The grid does not depend on which samples are asked for, so neither does a sample's prediction, but for its last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from .batch import WindowBatch, to_batch
from .crew import crew, side_by_side
from .parts import GROUP, parts
from .poyo import POYO
from .windows import Block, Windows, ranges, tokenize

WINDOWS_A_SAMPLE = 4  # overlapping windows that answer for a sample
CAUSAL_STEPS = 8  # a causal answer lags by up to this fraction of a latent step
BATCH_WINDOWS = 64  # windows at once, at most ...
BATCH_TOKENS = 100_000  # ... and about so many tokens, which bounds memory for large populations
WINDOW_QUERIES = 2_048  # of a window at once; one asked at more times, as by behaviour at 30 kHz, comes several times


def grid_windows(network: POYO, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts of the windows that cover the ascending ``times``, and the range of samples that each answers."""
    c = network.config
    if c.causal:
        # A window's last latent step lies in its samples' future and is never read; the one before ends on the grid,
        # a hair early, so that rounding cannot hide it from a sample on the grid, nor from one just short of it.
        stride, n_answers, early = c.latent_step / CAUSAL_STEPS, 1, 5e-4
        lead = c.window_length - c.latent_step + 1e-3 * stride
    else:
        stride, n_answers, early, lead = c.window_length / WINDOWS_A_SAMPLE, WINDOWS_A_SAMPLE, 0.0, 0.0
    latest = np.floor(times / stride + early)
    window = np.unique(np.unique(latest)[:, None] - np.arange(n_answers))
    return window * stride - lead, np.searchsorted(latest, window), np.searchsorted(latest, window + n_answers)


def in_pieces(start: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The windows, each as often as its range of samples has pieces of at most `WINDOW_QUERIES`."""
    n_pieces = -(-(high - low) // WINDOW_QUERIES)
    low = ranges(np.zeros_like(n_pieces), n_pieces) * WINDOW_QUERIES + low.repeat(n_pieces)
    return start.repeat(n_pieces), low, np.minimum(low + WINDOW_QUERIES, high.repeat(n_pieces))


Read = Callable[[POYO, WindowBatch], Tensor]  # what is asked of windows: (B, Q, n_columns)


def predict_block(
    network: POYO, block: Block, times: np.ndarray, centred: bool = False, read: Read = POYO.__call__
) -> np.ndarray:
    """What the network says (n, n_columns), float64, at the ascending ``times`` of one block.

    ``read`` is what is asked of it: its answers, what the readout reads (`POYO.embed`), or what is made of them.

    Overlapping windows are averaged with weights that fall linearly from a window's centre to its ends; ``centred``
    gives each sample a window of its own, centred on it.
    """
    length = network.config.window_length
    if centred:
        first = np.arange(len(times))
        start, low, high = times - length / 2, first, first + 1
    else:
        start, low, high = in_pieces(*grid_windows(network, times))
    total: np.ndarray | None = None  # as wide as the first answer
    weight = np.zeros(len(times), dtype=np.float64)
    with crew(network.omega.device, alone=len(start) <= GROUP):
        for part in batches(high - low, windows_at_once(block, start, length)):
            query, real = query_positions(low[part], high[part])
            relative = times[query] - start[part, None]
            answer = ask(network, block, start[part], relative, read)
            if total is None:
                total = np.zeros((len(times), answer.shape[-1]))
            closeness = np.maximum(1 - np.abs(2 * relative / length - 1), 1e-3)
            np.add.at(total, query[real], answer[real] * closeness[real][:, None])
            np.add.at(weight, query[real], closeness[real])
    assert total is not None
    return total / weight[:, None]


def windows_at_once(block: Block, start: np.ndarray, length: float) -> int:
    """Number of windows whose tokens make a batch."""
    first, past = block.segment.span(start, start + length)
    most_tokens = int((past - first).max()) + 2 * len(block.unit_rows)
    return int(np.clip(BATCH_TOKENS // max(most_tokens, 1), 1, BATCH_WINDOWS))


def batches(n_queries: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Indices of ``size`` windows at a time; windows with as many queries go together, so that little is padding."""
    order = np.argsort(n_queries, kind="stable")
    return (order[i : i + size] for i in range(0, len(order), size))


def query_positions(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n_windows, most queries) of each window's samples, and which of them are not padding."""
    offset = np.arange((high - low).max())
    return np.minimum(low[:, None] + offset, high[:, None] - 1), offset < (high - low)[:, None]


def ask(network: POYO, block: Block, start: np.ndarray, query_time: np.ndarray, read: Read) -> np.ndarray:
    """What windows of one block say that read all spikes there are, (n_windows, Q, n_columns), float64."""
    batch = window_batch(network, block, start, query_time)
    rows = parts(network.config, batch)
    with evaluating(network):
        some = np.concatenate(list(side_by_side(lambda part: ask_part(network, batch.by_itself(part), read), rows)))
    answers = np.empty(some.shape)
    answers[torch.cat(rows).cpu().numpy()] = some
    return answers


def window_batch(network: POYO, block: Block, start: np.ndarray, query_time: np.ndarray) -> WindowBatch:
    """Windows of one block that read all spikes there are, asked at times (n_windows, Q) after their starts."""
    tokens = tokenize([block], Windows.reading_all(start), network.config.window_length)
    session = np.full(len(start), block.session_row, dtype=np.int64)
    columns = np.tile(block.columns, (len(start), 1))
    return to_batch(tokens, session, query_time, columns, network.omega.device)


@torch.inference_mode()
def ask_part(network: POYO, batch: WindowBatch, read: Read) -> np.ndarray:
    """What windows say, (B, Q, n_columns)."""
    return read(network, batch).float().cpu().numpy()


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Context in which the network's dropout is off."""
    if not network.training:
        yield
        return
    network.eval()
    try:
        yield
    finally:
        network.train()
