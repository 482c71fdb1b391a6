"""Answers of neighbouring windows put together: where windows disagree, what was before and after tells more.

A window answers from its own spikes alone, and overlapping ones disagree where these tell little. Behaviour is taken
for a random walk that is drawn to its mean (an Ornstein-Uhlenbeck process), at the pace of its labels at fit, and what
the network says at nodes of a fixed grid for measurements of it, whose errors are as large as windows disagree. At a
node it is then estimated as a Gaussian process, from those around (Rasmussen and Williams 2006, section 2.2); between
nodes answers move as the nodes beside them do. Where windows agree, or behaviour is quick, they hardly move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..network.prediction import WINDOWS_A_SAMPLE

REACH = 2 * WINDOWS_A_SAMPLE  # nodes before and after one that it is estimated from: two windows
ERROR = 6.0  # variance of errors over that of what overlapping windows answer; how it was chosen: docs/defaults.md
LEAST, MOST = 1e-3, 0.98  # variance of errors, in variances of the behaviour
UNKNOWN = 1e6  # the same where nothing was recorded
AT_ONCE = 4096  # nodes, which bounds memory


@dataclass(frozen=True)
class Nodes:
    """Nodes of the grid around ascending times.

    Parameters
    ----------
    numbers : ndarray, shape (n_nodes,)
        Ascending; node k lies at k times ``step``.
    middle : ndarray of int, shape (n_middle,)
        Which of them have all others within `REACH`: those next to the times.
    step : float
        Seconds from one to the next.
    """

    numbers: np.ndarray
    middle: np.ndarray
    step: float

    @classmethod
    def around(cls, times: np.ndarray, step: float) -> Nodes:
        """Those that answers at these times depend on, whichever others are asked for."""
        before = np.unique(np.floor(times / step))
        beside = np.unique([before, before + 1])
        numbers = np.unique(beside[:, None] + np.arange(-REACH, REACH + 1))
        return cls(numbers, numbers.searchsorted(beside), step)

    @property
    def times(self) -> np.ndarray:
        """Seconds, (n_nodes,)."""
        return self.numbers * self.step

    def corrections(
        self, times: np.ndarray, answers: np.ndarray, variance: np.ndarray, recorded: np.ndarray, pace: float
    ) -> np.ndarray:
        """What to add to answers at ``times``, shape (n_times, n_columns).

        Parameters
        ----------
        times : ndarray, shape (n_times,)
            Those that the nodes are around.
        answers : ndarray, shape (n_nodes, n_columns)
            Of the network at the nodes, standardised.
        variance : ndarray, shape (n_nodes,)
            Of the answers of overlapping windows.
        recorded : ndarray of bool, shape (n_nodes,)
            Whether there are spikes to answer from.
        pace : float
            As of `pace.pace_of`.
        """
        # An answer is the mean of what behaviour may be, given spikes, and so leans to the mean of all behaviour. What
        # was measured before that lies further out and has a larger error: the two together are the answer.
        error = np.clip(ERROR * variance, LEAST, MOST)
        measured = answers / (1 - error)[:, None]
        noise = np.where(recorded, error / (1 - error), UNKNOWN)
        apart = np.arange(-REACH, REACH + 1)
        covariance = np.exp(-pace * self.step * np.abs(apart[:, None] - apart))
        moved = np.empty((len(self.middle), answers.shape[1]))
        for first in range(0, len(self.middle), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            near = self.middle[some, None] + apart
            matrix = covariance + noise[near][:, :, None] * np.eye(len(apart))
            weights = np.linalg.solve(matrix, covariance[None, :, REACH, None])
            moved[some] = (weights * measured[near]).sum(axis=1) - answers[self.middle[some]]
        moved_at = self.times[self.middle]
        return np.column_stack([np.interp(times, moved_at, column) for column in moved.T])
