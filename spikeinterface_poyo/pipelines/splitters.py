"""Splitters that cannot fool you: contiguous blocks of time with gaps, for each session and segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..sessions.samples import SpikeSamples


class BlockedKFold:
    """K contiguous folds of each segment of each session.

    Behaviour is smooth in time, so a shuffled split leaks: nearly the same moment stands on both sides. Here fold k
    tests on the k-th part in time of every segment and trains on the others, less the samples within ``gap`` of
    the tested part.

    Parameters
    ----------
    n_splits : int, default: 5
        Number of folds, at least 2.
    gap : float, default: 0.0
        Seconds before and after the tested part that are left out of training.

    Examples
    --------
    >>> import numpy as np
    >>> from spikeinterface_poyo import align
    >>> X, y = align({"a": np.arange(0, 10, 0.1)}, (np.arange(10.0), np.arange(10.0)))
    >>> for train, test in BlockedKFold(2, gap=1.5).split(X):
    ...     print(train, test)
    [6 7 8 9] [0 1 2 3 4]
    [0 1 2 3] [5 6 7 8 9]
    """

    def __init__(self, n_splits: int = 5, gap: float = 0.0) -> None:
        if not isinstance(n_splits, (int, np.integer)) or n_splits < 2:
            raise ValueError(f"n_splits must be an integer of at least 2, got {n_splits!r}")
        if not isinstance(gap, (int, float, np.number)) or not gap >= 0:
            raise ValueError(f"gap must be zero or more seconds, got {gap!r}")
        self.n_splits = n_splits
        self.gap = gap

    def __repr__(self) -> str:
        return f"BlockedKFold(n_splits={self.n_splits}, gap={self.gap})"

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds."""
        return self.n_splits

    def split(self, X: SpikeSamples, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (train, test) sample indices, ascending.

        Parameters
        ----------
        X : SpikeSamples
            Samples.
        y, groups : ignored
            There for scikit-learn.

        Raises
        ------
        TypeError
            Where ``X`` is not `SpikeSamples`, which alone know their times.
        ValueError
            Where a segment has fewer samples than folds, or the gap leaves a fold nothing of a session to train on.
        """
        if not isinstance(X, SpikeSamples):
            raise TypeError(f"BlockedKFold needs the SpikeSamples of align(sorting, behavior); got {type(X).__name__}")
        blocks = [order for _, _, order in X.blocks()]
        for order in blocks:
            if len(order) < self.n_splits:
                raise ValueError(f"cannot cut a segment of {len(order)} samples into {self.n_splits} folds")
        folds = [np.array_split(order, self.n_splits) for order in blocks]
        splits = []
        for k in range(self.n_splits):
            test = np.concatenate([parts[k] for parts in folds])
            train = np.concatenate([outside(X.times, order, parts[k], self.gap) for order, parts in
                                    zip(blocks, folds, strict=True)])  # fmt: skip
            untrained = np.setdiff1d(X.session_index[test], X.session_index[train])
            if len(untrained):
                raise ValueError(f"fold {k} of {self.n_splits} trains on 0 samples of session(s) "
                                 f"{[X.session_name(position) for position in untrained]}: all others lie within "
                                 f"gap={self.gap} s of those that it tests; give a shorter gap")  # fmt: skip
            splits.append((np.sort(train), np.sort(test)))
        yield from splits  # after all of them are known to be good, before anything is fitted


def outside(times: np.ndarray, order: np.ndarray, test: np.ndarray, gap: float) -> np.ndarray:
    """Samples of one segment, ``order``, that are neither tested nor within the gap; ``times`` are all samples'."""
    (first, last), mine = times[test[[0, -1]]], times[order]
    far = (mine < first - gap) | (mine > last + gap)
    return order[far & ~np.isin(order, test)]
