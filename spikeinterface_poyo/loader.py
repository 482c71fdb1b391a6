"""Batches drawn one step ahead in a thread, so that the device does not wait for spikes that are read from disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Loader(Generic[T]):
    """Batches as a generator of random numbers makes them, the same as if each were drawn when it is asked for.

    Used as a context; on leaving it the generator is where the last batch that was asked for left it.

    Parameters
    ----------
    draw : callable
        Makes a batch with a generator.
    rng : Generator
        Its numbers are drawn ahead; `state` is where it would be otherwise.
    n_batches : int
        Number of batches at most; none is drawn beyond it.
    """

    def __init__(self, draw: Callable[[np.random.Generator], T], rng: np.random.Generator, n_batches: int) -> None:
        self.draw, self.rng, self.n_left = draw, rng, n_batches
        self.state: Any = rng.bit_generator.state
        self.ahead: Future[T] | None = None

    def __enter__(self) -> Loader[T]:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.thread.shutdown(wait=True, cancel_futures=True)
        self.rng.bit_generator.state = self.state

    def start(self) -> None:
        """Draw the next batch, if there is one."""
        self.ahead = self.thread.submit(self.draw, self.rng) if self.n_left else None

    def next(self) -> T:
        """The next batch; the one after it is begun."""
        assert self.ahead is not None
        batch = self.ahead.result()
        self.state = self.rng.bit_generator.state
        self.n_left -= 1
        self.start()
        return batch
