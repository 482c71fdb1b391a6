"""Samples that a shuffled splitter has scattered: how they are told from samples that are sparse by nature.

A shuffled split of regular samples leaves out grid points at random: each is missing whether or not the one before it
is. Nature and experiments leave out runs instead (trials, epochs, lost tracking), every so many (a subsampled signal),
a few (dropped frames), or have no grid (irregular behaviour).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..warning import warn
from .samples import SpikeSamples, stretches

LEAST_GAPS = 30  # fewer gaps than this may be chance
FEWEST_MISSING, MOST_MISSING = 1 / 15, 0.75  # 10-fold leaves out 1 in 10; dropped frames are fewer, events sparser
OFF_GRID = 0.2  # share of an interval by which 19 in 20 intervals must at most miss a multiple


@dataclass(frozen=True)
class Gaps:
    """Intervals between neighbouring samples of a stretch, as multiples of the grid's interval.

    Parameters
    ----------
    intervals : int
        How many there are.
    long : int
        Those of two and more: gaps in the grid.
    double : int
        Those of two: one grid point is missing, and the next is there.
    followed : int
        Gaps whose next interval is in the same stretch.
    repeated : int
        Of these, the ones that a gap follows: a sample alone between two gaps.
    """

    intervals: int = 0
    long: int = 0
    double: int = 0
    followed: int = 0
    repeated: int = 0

    def __add__(self, other: Gaps) -> Gaps:
        """Both together."""
        return Gaps(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def gaps_between(times: np.ndarray) -> Gaps:
    """Gaps between ascending sample times in seconds of one segment; none where they lie on no regular grid."""
    times = np.unique(times)
    within = np.diff(stretches(times)) == 0 if len(times) else np.zeros(0, dtype=bool)
    if within.sum() < LEAST_GAPS:
        return Gaps()
    interval = np.diff(times)
    shortest = np.quantile(interval[within], 0.1)
    multiple = interval / np.median(interval[interval <= 1.5 * shortest])
    short = within & (multiple < 4.5)
    off = np.abs(multiple[short] - np.maximum(np.round(multiple[short]), 1))
    if np.mean(off < OFF_GRID) < 0.95:
        return Gaps()
    steps = np.round(multiple)
    gap = within & (steps > 1)
    followed = gap[:-1] & within[1:]
    return Gaps(int(within.sum()), int(gap.sum()), int((gap & (steps == 2)).sum()), int(followed.sum()),
                int((followed & gap[1:]).sum()))  # fmt: skip


def is_scattered(X: SpikeSamples) -> bool:
    """Whether samples look like a random subset of regular ones."""
    found = sum((gaps_between(X.times[order]) for _, _, order in X.blocks()), Gaps())
    if found.long < LEAST_GAPS or found.followed == 0:
        return False
    missing = found.long / found.intervals  # chance that the grid point after a sample is missing
    if not FEWEST_MISSING <= missing <= MOST_MISSING:
        return False
    # At random, a sample follows a missing grid point as often as it follows another sample, and so does a gap. After a
    # run that is missing few samples come back at once; after a missing point of a pattern no other is missing.
    comes_back = found.double / found.long
    goes_on = found.repeated / found.followed
    return comes_back >= 0.7 * (1 - missing) and goes_on >= 0.5 * missing


def warn_if_scattered(X: SpikeSamples) -> None:
    """Warn where training samples betray a shuffled splitter.

    Warns
    -----
    UserWarning
        Where samples look like a random subset of regular ones, see `is_scattered`.
    """
    if is_scattered(X):
        warn(
            "training samples are scattered as by a shuffled splitter: single samples of a regular signal are left out "
            "at random. Behaviour is smooth in time, so held-out samples have nearly equal neighbours in training, and "
            "their score is too high. Split in blocks: BlockedKFold(5, gap=2.0)",
        )
