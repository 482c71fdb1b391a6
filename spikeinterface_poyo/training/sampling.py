"""Which windows training sees: drawn around the given samples, never reaching a label that was not given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..network.windows import Windows
from ..sessions.samples import readable, seconds_covered, stretches


class WindowSampler:
    """Draws training windows from the samples of several blocks (segments of sessions).

    A session is drawn in proportion to the time its samples cover, a sample of it uniformly, and a window around that
    sample at a random offset. Windows may overhang the sample's stretch, but spikes more than half a window beyond it
    are masked.

    Parameters
    ----------
    times : sequence of ndarray
        Ascending sample times of each block, in seconds.
    session : sequence of int
        Session of each block.
    window_length : float
        Seconds.
    causal : bool
        Queries then lie in the later half of the window only, so that each has at least half a window of past.
    centred : bool
        Windows are centred on their sample and read out there only (rows of counts).
    """

    def __init__(
        self,
        times: Sequence[np.ndarray],
        session: Sequence[int],
        window_length: float,
        causal: bool = False,
        centred: bool = False,
    ) -> None:
        self.window_length, self.causal, self.centred = window_length, causal, centred
        self.times = np.concatenate(times)
        self.block = np.arange(len(times)).repeat([len(t) for t in times])
        self.first = np.concatenate([[0], np.cumsum([len(t) for t in times])])
        begins = np.concatenate([np.diff(stretches(t), prepend=-1) > 0 for t in times])
        self.stretch, self.edges = np.cumsum(begins) - 1, np.append(np.flatnonzero(begins), len(begins))
        self.visible = np.concatenate([readable(t, window_length) for t in times])  # of each stretch
        self.sessions, of_block = np.unique(session, return_inverse=True)
        self.by_session = np.argsort(of_block[self.block], kind="stable")
        self.session_count = np.bincount(of_block[self.block])
        self.session_first = np.cumsum(self.session_count) - self.session_count
        self.duration = np.array([seconds_covered(t) for t in times])
        self.session_duration = np.bincount(of_block, self.duration)

    def draw(self, n_windows: int, n_queries: int, rng: np.random.Generator) -> tuple[Windows, np.ndarray]:
        """Draw windows and, for each, the positions (n_windows, n_queries) of the samples it is trained on.

        Queries are spread evenly over the window's samples, so a window with fewer than ``n_queries`` repeats some.
        """
        share = self.session_duration / self.session_duration.sum()
        which = rng.choice(len(self.sessions), size=n_windows, p=share)
        within = rng.random(n_windows)
        anchor = self.by_session[self.session_first[which] + (within * self.session_count[which]).astype(np.int64)]
        if self.centred:
            return self.window_at(self.times[anchor] - self.window_length / 2, anchor), anchor[:, None]
        half = self.window_length / 2
        low, high = self.bounds(anchor)
        first, last = self.times[low], self.times[high - 1]
        if self.causal:
            # The anchor lies in the later half, which is where queries are read.
            start = self.times[anchor] - half - half * rng.random(n_windows)
            query_from = start + half
        else:
            centre = np.clip(self.times[anchor] + self.window_length * (rng.random(n_windows) - 0.5), first, last)
            start = query_from = centre - half
        low, high = self.samples_between(anchor, query_from, start + self.window_length)
        position = (np.arange(n_queries) + rng.random((n_windows, n_queries))) / n_queries
        query = low[:, None] + (position * (high - low)[:, None]).astype(np.int64)
        return self.window_at(start, anchor), np.minimum(query, high[:, None] - 1)

    def window_at(self, start: np.ndarray, anchor: np.ndarray) -> Windows:
        """Windows at ``start`` that belong to the stretches of the samples ``anchor``."""
        return Windows(self.block[anchor], start, *self.visible[self.stretch[anchor]].T)

    def bounds(self, anchor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the first and past the last sample of the stretches of the samples ``anchor``."""
        return self.edges[self.stretch[anchor]], self.edges[self.stretch[anchor] + 1]

    def samples_between(self, anchor: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Range of sample positions of the anchor's stretch inside [start, stop), never without the anchor."""
        low, high = np.empty_like(anchor), np.empty_like(anchor)
        for block in np.unique(self.block[anchor]):
            rows = self.block[anchor] == block
            offset = self.first[block]
            times = self.times[offset : self.first[block + 1]]
            low[rows] = offset + np.searchsorted(times, start[rows])
            high[rows] = offset + np.searchsorted(times, stop[rows])
        first, past = self.bounds(anchor)
        return np.clip(low, first, anchor), np.clip(high, anchor + 1, past)
