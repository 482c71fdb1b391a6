"""Windows and tokens: from sessions and window starts to padded arrays, without a Python loop over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .session import Segment

N_TOKEN_TYPES = 4  # spike, start, end, and one that torch_brain's table holds but never uses
SPIKE, START, END = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Windows:
    """Context windows: where each begins and which spikes it may read.

    ``block`` numbers the (session, segment) of each window in the list given to `tokenize`; ``start`` is in float64
    seconds; spikes outside [``visible_from``, ``visible_to``) are masked.
    """

    block: np.ndarray
    start: np.ndarray
    visible_from: np.ndarray
    visible_to: np.ndarray

    def only(self, mine: slice) -> Windows:
        """Some of the windows."""
        return Windows(self.block[mine], self.start[mine], self.visible_from[mine], self.visible_to[mine])


@dataclass(frozen=True, eq=False)
class Tokens:
    """Padded tokens of B windows: ``unit_rows`` (R,), and (B, N) arrays as `network.WindowBatch` wants them."""

    unit_rows: np.ndarray
    token: np.ndarray
    token_time: np.ndarray
    token_log_weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Block:
    """One segment of one session as the network sees it: rows in the embedding tables, columns of the readout."""

    segment: Segment
    unit_rows: np.ndarray
    session_row: int
    columns: np.ndarray


def tokenize(
    blocks: Sequence[Block],
    windows: Windows,
    window_length: float,
    unit_dropout: float = 0.0,
    rng: np.random.Generator | None = None,
    mine: slice = slice(None),
) -> Tokens:
    """Tokens of ``windows``: a start and an end marker for each unit, then its spikes, relative to the window's start.

    With ``unit_dropout`` each window draws a rate uniformly below it and drops each unit with that probability; a
    dropped unit has neither spikes nor markers. A window that would lose all units keeps them. Only windows ``mine``
    are laid out, while random numbers are drawn for all, so that they do not depend on who has which.
    """
    low, high, _ = mine.indices(len(windows.start))
    all_windows, windows = windows, windows.only(mine)
    present = np.unique(all_windows.block)
    unit_rows = np.unique(np.concatenate([blocks[i].unit_rows for i in present]))
    parts = []
    for i in present:
        inside = np.flatnonzero(all_windows.block == i)
        local = np.searchsorted(unit_rows, blocks[i].unit_rows).astype(np.int64)
        keep = np.ones((len(inside), len(local)), dtype=bool)
        if unit_dropout and rng is not None:
            rate = unit_dropout * rng.random((len(inside), 1))
            keep = rng.random(keep.shape) >= rate
            keep |= ~keep.any(axis=1, keepdims=True)  # nobody attends to a window without tokens
        here = (low <= inside) & (inside < high)
        inside, keep = inside[here] - low, keep[here]
        parts.append(markers(inside, local, keep, window_length))
        parts.append(spikes(blocks[i].segment, windows, inside, local, keep, window_length))
    window, token, time, log_weight = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Tokens(unit_rows, *pad(window, len(windows.start), token, time, log_weight))


Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def markers(inside: np.ndarray, local: np.ndarray, keep: np.ndarray, window_length: float) -> Part:
    """Start and end markers of the kept units of the windows ``inside``."""
    window, unit = np.nonzero(keep)
    token = (local[unit, None] * N_TOKEN_TYPES + [START, END]).ravel()
    time = np.tile(np.array([0, window_length], dtype=np.float32), len(unit))
    return inside[window].repeat(2), token, time, np.zeros(len(token), dtype=np.float32)


def spikes(
    segment: Segment, windows: Windows, inside: np.ndarray, local: np.ndarray, keep: np.ndarray, window_length: float
) -> Part:
    """Spikes of the kept units of the windows ``inside``, all of which lie in ``segment``."""
    start = windows.start[inside]
    first, past = segment.span(
        np.maximum(start, windows.visible_from[inside]), np.minimum(start + window_length, windows.visible_to[inside])
    )
    count = past - first
    row = np.arange(len(inside)).repeat(count)
    index = np.arange(count.sum()) + (first - (np.cumsum(count) - count)).repeat(count)
    times, unit, weights = segment.take(index)
    kept = np.pad(keep, ((0, 0), (0, 1)))[row, unit]  # the last column is that of NO_UNIT, -1
    row, times, unit = row[kept], times[kept], unit[kept]
    log_weight = np.zeros(len(row), dtype=np.float32) if weights is None else np.log(weights[kept])
    return inside[row], local[unit] * N_TOKEN_TYPES + SPIKE, (times - start[row]).astype(np.float32), log_weight


def pad(window: np.ndarray, n_windows: int, *values: np.ndarray) -> list[np.ndarray]:
    """Lay tokens out as (n_windows, longest): the last of ``values``, the log weight, marks padding by -inf."""
    order = np.argsort(window, kind="stable")
    window = window[order]
    count = np.bincount(window, minlength=n_windows)
    position = np.arange(len(window)) - (np.cumsum(count) - count)[window]
    padded = []
    for i, value in enumerate(values):
        fill = -np.inf if i == len(values) - 1 else 0
        out = np.full((n_windows, int(count.max(initial=1))), fill, dtype=value.dtype)
        out[window, position] = value[order]
        padded.append(out)
    return padded
