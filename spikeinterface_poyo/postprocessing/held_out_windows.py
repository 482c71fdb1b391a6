"""Context windows that lie inside a held-out part, and how well they are decoded with one unit silenced or shifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from ..decoder.base import BasePOYO
from ..network.batch import WindowBatch
from ..network.device import put
from ..network.merging import as_read
from ..network.poyo import POYO
from ..network.prediction import ask_part, evaluating, window_batch, windows_at_once
from ..network.windows import N_TOKEN_TYPES, SPIKE, Block, Windows, pad, read_spikes
from ..readouts.readout import Readout
from ..sessions.samples import SpikeSamples
from ..sessions.session import Segment, within
from .cross_decoding import only_readout

SECONDS_A_BLOCK = 5.0  # shortest block of time within which errors are summed
QUERIES_A_WINDOW = 8  # samples that a window is asked for


class Shift(NamedTuple):
    """Spikes of a unit moved circularly, by a share between 0 and 1 of what there is to move by."""

    unit: str
    place: float


@dataclass(frozen=True, eq=False)
class HeldOutWindows:
    """Windows of one segment's tested part, with the decoder that has not seen it.

    Parameters
    ----------
    decoder : BasePOYO
        Fitted on the other folds.
    block : Block
        The segment as the network sees it.
    unit_names : list of str
        Units of that block, in its order.
    readout : Readout
        What the decoder's answers are.
    part : (float, float)
        First and last time of the tested part, s.
    start : ndarray, shape (n_windows,)
        Where windows begin, s.
    query : ndarray, shape (n_windows, QUERIES_A_WINDOW)
        Times asked for, s.
    target : ndarray, shape (n_windows, QUERIES_A_WINDOW, n_dimensions)
        Targets there, as points, NaN where unknown or where a window has fewer samples.
    time_block : ndarray of int, shape (n_windows,)
        Block of time of each window, counted from the part's start.
    """

    decoder: BasePOYO
    block: Block
    unit_names: list[str]
    readout: Readout
    part: tuple[float, float]
    start: np.ndarray
    query: np.ndarray
    target: np.ndarray
    time_block: np.ndarray

    def has(self, unit: str) -> bool:
        """Whether the decoder reads the unit."""
        return unit in self.unit_names

    def squared_errors(self, change: str | Shift | None = None) -> np.ndarray:
        """Sum of squared errors of each window and dimension of the points, (n_windows, n_dimensions).

        ``change`` is a unit to silence, a shift, or None.
        """
        network = put(self.decoder.network_, self.decoder.device)
        answers = np.empty((*self.query.shape, len(self.block.columns)))
        with evaluating(network):
            for first, batch in self.batches:
                answer = ask_part(network, self.changed(batch, first, change), POYO.__call__)
                answers[first : first + len(answer)] = answer
        decoded = self.readout.answers_as_points(answers.reshape(-1, answers.shape[-1]))
        return np.nansum((decoded.reshape(self.target.shape) - self.target) ** 2, axis=1)

    @cached_property
    def batches(self) -> list[tuple[int, WindowBatch]]:
        """Windows as the network reads them, a batch at a time, each with the index of its first window."""
        size = windows_at_once(self.block, self.start, self.window_length)
        return [(first, self.batch(slice(first, first + size))) for first in range(0, len(self.start), size)]

    @property
    def window_length(self) -> float:
        """Seconds."""
        return self.decoder.network_.config.window_length

    def batch(self, some: slice) -> WindowBatch:
        """Some of the windows."""
        start = self.start[some]
        return window_batch(self.decoder.network_, self.block, start, self.query[some] - start[:, None])

    def changed(self, batch: WindowBatch, first: int, change: str | Shift | None) -> WindowBatch:
        """The batch with one unit silenced or shifted."""
        if change is None:
            return batch
        unit = change if isinstance(change, str) else change.unit
        if not self.has(unit):
            return batch
        local = self.unit_names.index(unit)
        row = int((batch.unit_rows == int(self.block.unit_rows[local])).nonzero())  # where the batch has the unit
        gone = batch.token // N_TOKEN_TYPES == row
        if isinstance(change, Shift) or len(self.unit_names) == 1:  # markers stay; somebody must be there to be read
            gone &= batch.token % N_TOKEN_TYPES == SPIKE
        batch = batch._replace(token_log_weight=batch.token_log_weight.masked_fill(gone, -torch.inf))
        if isinstance(change, str):
            return batch
        n_windows = len(batch.token)
        windows = Windows.reading_all(self.start[first : first + n_windows])
        moved = self.shifted(local, change.place)
        window, _, time, log_weight = read_spikes(moved, windows, np.arange(n_windows), self.window_length)
        token = np.full(len(window), row * N_TOKEN_TYPES + SPIKE)
        return extended(batch, pad([(window, token, time, log_weight)], n_windows))

    def shifted(self, local: int, place: float) -> Segment:
        """Spikes of one unit in the tested part, moved circularly by at least a window, either way.

        Spikes outside the periods in which they are known stay where they are.
        """
        segment, (begin, end) = self.block.segment, self.part
        (low,), (high,) = segment.span(np.array([begin]), np.array([end]))
        times, unit, weights = segment.take(slice(low, high))
        mine = unit == local
        times, weights = times[mine], None if weights is None else weights[mine]
        # Without a recording a segment is known from its first to its last spike, which is no reason to cut the part.
        periods = np.array([[begin, end]]) if segment.observed is None else segment.observed.clip(begin, end)
        periods = periods[periods[:, 0] < periods[:, 1]]
        inside = within(times, periods)
        if inside.any():
            times[inside] = moved_round(times[inside], periods, self.window_length, place)
        order = np.argsort(times)
        zeros = np.zeros(len(order), dtype=np.int32)
        return Segment(times[order], zeros, begin, end, None if weights is None else weights[order])


def moved_round(times: np.ndarray, periods: np.ndarray, least: float, place: float) -> np.ndarray:
    """Times moved on circularly, as if the ``periods`` (n, 2) that they are in followed one another; all in seconds.

    By ``least`` or more, either way; ``place``, from 0 to 1, tells how far between these.
    """
    past = np.concatenate([[0.0], np.diff(periods).cumsum()])  # seconds that the periods before each last, and all
    clock, known, duration = periods.ravel(), np.stack([past[:-1], past[1:]], axis=1).ravel(), past[-1]
    least = min(least, duration / 4)
    moved = (np.interp(times, clock, known) + least + place * (duration - 2 * least)) % duration
    return np.interp(moved, known, clock)


def extended(batch: WindowBatch, more: list[np.ndarray]) -> WindowBatch:
    """A batch with further tokens: their numbers, times and log weights, (n_windows, n_more) each."""
    device = batch.token.device
    token, time, log_weight = (torch.from_numpy(array).to(device) for array in more)
    return batch._replace(
        token=torch.cat([batch.token, token], dim=1),
        token_time=torch.cat([batch.token_time, time], dim=1),
        token_log_weight=torch.cat([batch.token_log_weight, log_weight.to(batch.token_log_weight.dtype)], dim=1),
    )


def place_windows(
    decoders: Sequence[BasePOYO], X: SpikeSamples, y: np.ndarray, fold: np.ndarray, n_windows: int
) -> list[HeldOutWindows]:
    """Windows inside the tested parts, at most ``n_windows`` in all, spread evenly; ``y`` is (n_samples, n_outputs).

    Raises
    ------
    ValueError
        Where none fits.
    """
    found: list[tuple[BasePOYO, int, int, np.ndarray, np.ndarray]] = []
    for position, segment, order in X.blocks():
        for k, decoder in enumerate(decoders):
            inside = order[fold[order] == k]
            inside = inside[(~np.isnan(y[inside])).any(axis=1)]
            starts = window_starts(decoder, X.times[inside]) if len(inside) else np.empty(0)
            if len(starts):
                found.append((decoder, position, segment, inside, starts))
    n_found = sum(len(starts) for *_, starts in found)
    if n_found == 0:
        lengths = sorted({decoder.network_.config.window_length for decoder in decoders})
        raise ValueError(f"no context window of {lengths[0]:g} s fits into a held-out part; the importance of units "
                         "needs more behaviour, fewer folds or a shorter window_length")  # fmt: skip
    chosen = np.unique(np.linspace(0, n_found - 1, min(n_windows, n_found)).round().astype(int))
    parts, before = [], 0
    for decoder, position, segment, inside, starts in found:
        mine = chosen[(chosen >= before) & (chosen < before + len(starts))] - before
        before += len(starts)
        if len(mine):
            parts.append(make_part(decoder, X, y, inside, starts[mine], (position, segment)))
    return parts


def answered(decoder: BasePOYO) -> tuple[float, float]:
    """Part of a window, in seconds from its start, whose samples are asked for: its middle; the end where causal."""
    length = decoder.network_.config.window_length
    return (length / 2, length) if decoder.network_.config.causal else (length / 4, 3 * length / 4)


def window_starts(decoder: BasePOYO, times: np.ndarray) -> np.ndarray:
    """Starts of windows inside the span of ``times``, half a window apart, that have samples where they are asked."""
    length = decoder.network_.config.window_length
    low, high = answered(decoder)
    n_fit = int(np.floor((times[-1] - times[0] - length) / (length / 2) + 1e-9)) + 1
    starts = times[0] + length / 2 * np.arange(max(n_fit, 0))
    return starts[np.searchsorted(times, starts + high) > np.searchsorted(times, starts + low)]


def make_part(
    decoder: BasePOYO,
    X: SpikeSamples,
    y: np.ndarray,
    inside: np.ndarray,
    starts: np.ndarray,
    place: tuple[int, int],
) -> HeldOutWindows:
    """Windows that begin at ``starts``, with a few of the samples ``inside``, spread evenly, for each to answer."""
    position, segment = place
    times = X.times[inside]
    session, vocabulary = X.sessions[position], decoder.sessions_
    (name,) = vocabulary.sessions
    low, high = (np.searchsorted(times, starts + edge) for edge in answered(decoder))
    share = (np.arange(QUERIES_A_WINDOW) + 0.5) / QUERIES_A_WINDOW
    index = low[:, None] + np.floor((high - low)[:, None] * share).astype(int)
    readout = only_readout(decoder)
    target = readout.as_points(y[inside[index.ravel()]]).reshape(*index.shape, -1)
    target[:, 1:][np.diff(index, axis=1) == 0] = np.nan  # a window of fewer samples has each once
    known = set(vocabulary.sessions[name].unit_names)
    time_block = np.floor((starts - times[0]) / max(SECONDS_A_BLOCK, decoder.network_.config.window_length)).astype(int)
    return HeldOutWindows(
        decoder,
        as_read(vocabulary.block(session, segment, name), decoder.network_.config, times),
        [unit for unit in session.unit_names if unit in known],
        readout,
        (float(times[0]), float(times[-1])),
        starts,
        times[index],
        target,
        time_block,
    )
