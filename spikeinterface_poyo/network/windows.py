"""Windows and tokens: from sessions and window starts to padded arrays, without a Python loop over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..sessions.session import NO_UNIT, Segment
from ..sessions.signals import Kind

SPIKE, START, END = 0, 1, 2
N_TOKEN_TYPES = 3


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

    @classmethod
    def reading_all(cls, start: np.ndarray) -> Windows:
        """Windows of one block that read all spikes there are in them."""
        everything = np.full(len(start), np.inf)
        return cls(np.zeros(len(start), dtype=np.int64), start, -everything, everything)

    def only(self, mine: slice) -> Windows:
        """Some of the windows."""
        return Windows(self.block[mine], self.start[mine], self.visible_from[mine], self.visible_to[mine])


@dataclass(frozen=True, eq=False)
class Tokens:
    """Padded tokens of B windows: ``unit_rows`` (R,), and (B, N) arrays as `batch.WindowBatch` wants them."""

    unit_rows: np.ndarray
    token: np.ndarray
    token_time: np.ndarray
    token_log_weight: np.ndarray


class BehaviorColumns(NamedTuple):
    """Columns [start, stop) of what a block is asked for that are one behaviour, in which its loss is taken."""

    name: str  # of the behaviour
    kind: Kind
    start: int
    stop: int
    chance_loss: float = 1.0  # what losses are divided by


@dataclass(frozen=True, eq=False)
class Block:
    """One segment of one session as the network sees it: rows in the embedding tables, columns of the readout.

    ``behaviors`` tell what the columns are to whoever trains on the block, and ``shares`` what a sample of each counts
    against those of others, all alike where there are none.
    """

    segment: Segment
    unit_rows: np.ndarray
    session_row: int
    columns: np.ndarray
    behaviors: tuple[BehaviorColumns, ...] = ()
    shares: tuple[float, ...] = ()


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
    present, which = np.unique(windows.block, return_inverse=True)
    rows = [blocks[i].unit_rows for i in present]
    n_units = np.array([len(units) for units in rows])
    of_blocks = np.concatenate(rows)  # `numbers` says where in `unit_rows` each of these is
    occurs = np.bincount(of_blocks) > 0
    unit_rows, numbers = np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[of_blocks]
    # What follows has an entry for each unit of each window; the units of a window lie side by side.
    count = n_units[which]
    first = np.cumsum(count) - count
    unit = numbers[ranges((np.cumsum(n_units) - n_units)[which], count)]
    keep = kept_units(count, unit_dropout, rng)

    begin = first[mine.indices(len(count))[0]]
    windows, first, count = windows.only(mine), first[mine] - begin, count[mine]
    unit, keep = (of_all[begin : begin + count.sum()] for of_all in (unit, keep))
    window = np.arange(len(count)).repeat(count)
    parts = [
        markers(window[keep], unit[keep], window_length),
        spikes(blocks, windows, first, unit, keep, window_length),
    ]
    return Tokens(unit_rows, *pad(parts, len(count)))


def ranges(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """``count`` numbers upwards from each of ``first``, one range after the other; shape (count.sum(),)."""
    return np.arange(count.sum()) + (first - (np.cumsum(count) - count)).repeat(count)


def kept_units(count: np.ndarray, unit_dropout: float, rng: np.random.Generator | None) -> np.ndarray:
    """Which units windows keep, of ``count`` each: bool, shape (count.sum(),)."""
    if not unit_dropout or rng is None:
        return np.ones(count.sum(), dtype=bool)
    rate = unit_dropout * rng.random(len(count))
    keep = rng.random(count.sum()) >= rate.repeat(count)
    n_kept = np.bincount(np.arange(len(count)).repeat(count), keep, len(count))
    return keep | (n_kept == 0).repeat(count)  # nobody attends to a window without tokens


Part = tuple[np.ndarray, ...]  # tokens, those of a window side by side: window, token, time, log weight


def markers(window: np.ndarray, unit: np.ndarray, window_length: float) -> Part:
    """Start and end markers of units of windows."""
    token = (unit[:, None] * N_TOKEN_TYPES + [START, END]).ravel()
    time = np.tile(np.array([0, window_length], dtype=np.float32), len(unit))
    return window.repeat(2), token, time, np.zeros(len(token), dtype=np.float32)


def spikes(
    blocks: Sequence[Block],
    windows: Windows,
    first: np.ndarray,
    unit: np.ndarray,
    keep: np.ndarray,
    window_length: float,
) -> Part:
    """Spikes of the kept units: ``unit[first[w] + i]`` numbers unit i of window w, ``keep`` likewise."""
    read = [
        read_spikes(blocks[i].segment, windows, np.flatnonzero(windows.block == i), window_length)
        for i in np.unique(windows.block)
    ]
    window, of_block, time, log_weight = (np.concatenate(column) for column in zip(*read, strict=True))
    place = first[window] + of_block
    kept = of_block != NO_UNIT
    kept[kept] = keep[place[kept]]
    return window[kept], unit[place[kept]] * N_TOKEN_TYPES + SPIKE, time[kept], log_weight[kept]


def read_spikes(segment: Segment, windows: Windows, some: np.ndarray, window_length: float) -> Part:
    """Spikes that ``some`` of the windows, all of which lie in ``segment``, may read.

    Window, unit in the segment's numbers, time since the window's start (s, float32) and log weight (float32) of each.
    """
    start = windows.start[some]
    first, past = segment.span(
        np.maximum(start, windows.visible_from[some]), np.minimum(start + window_length, windows.visible_to[some])
    )
    count = past - first
    index = ranges(first, count)
    times, unit, weights = segment.take(index)
    log_weight = np.zeros(len(index), dtype=np.float32) if weights is None else np.log(weights)
    return some.repeat(count), unit, (times - start.repeat(count)).astype(np.float32), log_weight


def pad(parts: Sequence[Part], n_windows: int) -> list[np.ndarray]:
    """Tokens, times and log weights laid out as (n_windows, longest), one part after the other; -inf marks padding."""
    counts = [np.bincount(window, minlength=n_windows) for window, *_ in parts]
    longest = int(np.sum(counts, axis=0).max(initial=1))
    free = np.arange(n_windows) * longest  # next place of each window in the flat array
    places = []
    for (window, *_), count in zip(parts, counts, strict=True):
        in_turn = window[np.diff(window, prepend=-1) != 0]
        places.append(ranges(free[in_turn], count[in_turn]))
        free += count
    place = np.concatenate(places)
    padded = []
    for values, fill in zip(list(zip(*parts, strict=True))[1:], (0, 0, -np.inf), strict=True):
        out = np.full(n_windows * longest, fill, dtype=values[0].dtype)
        out[place] = np.concatenate(values)
        padded.append(out.reshape(n_windows, longest))
    return padded
