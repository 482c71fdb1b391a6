"""Windows and tokens: from sessions and window starts to padded arrays, without a Python loop over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .session import Segment
from .signals import Kind

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


class BehaviorColumns(NamedTuple):
    """Columns [start, stop) of what a block is asked for that are one behaviour, and how their loss counts."""

    kind: Kind
    start: int
    stop: int
    chance_loss: float = 1.0  # what losses are divided by
    share: float = 1.0  # of a sample in the loss, against those of other behaviours of the session


@dataclass(frozen=True, eq=False)
class Block:
    """One segment of one session as the network sees it: rows in the embedding tables, columns of the readout.

    ``behaviors`` tell what the columns are to whoever trains on the block.
    """

    segment: Segment
    unit_rows: np.ndarray
    session_row: int
    columns: np.ndarray
    behaviors: tuple[BehaviorColumns, ...] = ()


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
    return Tokens(unit_rows, *pad(parts, len(windows.start)))


Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # of tokens: window (ascending), token, time, log weight


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


def pad(parts: Sequence[Part], n_windows: int) -> list[np.ndarray]:
    """Tokens, times and log weights laid out as (n_windows, longest), one part after the other; -inf marks padding."""
    counts = [np.bincount(window, minlength=n_windows) for window, *_ in parts]
    longest = int(np.sum(counts, axis=0).max(initial=1))
    free = np.arange(n_windows) * longest  # next place of each window in the flat array
    places = []
    for count in counts:
        before = np.cumsum(count) - count
        places.append(np.arange(count.sum()) + (free - before).repeat(count))
        free += count
    place = np.concatenate(places)
    padded = []
    for values, fill in zip(list(zip(*parts, strict=True))[1:], (0, 0, -np.inf), strict=True):
        out = np.full(n_windows * longest, fill, dtype=values[0].dtype)
        out[place] = np.concatenate(values)
        padded.append(out.reshape(n_windows, longest))
    return padded
