"""Batches, drawn one step ahead in a thread where training would otherwise wait for them."""

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
    ahead : bool
        Whether a thread draws them ahead. It gains nothing where a batch is laid out in a moment, and costs much on a
        machine so busy that every turn of a thread is waited for.
    """

    def __init__(
        self, draw: Callable[[np.random.Generator], T], rng: np.random.Generator, n_batches: int, ahead: bool
    ) -> None:
        self.draw, self.rng, self.n_left = draw, rng, n_batches
        self.state: Any = rng.bit_generator.state
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="loader") if ahead else None
        self.begun: Future[T] | None = None

    def __enter__(self) -> Loader[T]:
        self.begin()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.thread is not None:
            self.thread.shutdown(wait=True, cancel_futures=True)
        self.rng.bit_generator.state = self.state

    def begin(self) -> None:
        """Let the thread, if there is one, draw the next batch, if there is one."""
        self.begun = self.thread.submit(self.draw, self.rng) if self.thread is not None and self.n_left else None

    def next(self) -> T:
        """The next batch; the one after it is begun."""
        batch = self.draw(self.rng) if self.begun is None else self.begun.result()
        self.state = self.rng.bit_generator.state
        self.n_left -= 1
        self.begin()
        return batch
