"""The threads of a CPU, each at work on a part of a batch of its own.

A part's operations are too small to be shared out: two threads that share each take 0.70 of the time of one, and 0.55
with a part each (a training step of the 1.3M network). As no sum is shared, their number changes no bit of a fit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


class _Present(threading.local):
    """Of the thread that fits or predicts: several may, side by side."""

    pool: ThreadPoolExecutor | None = None


_present = _Present()


@contextmanager
def crew(device: torch.device, alone: bool = False) -> Iterator[None]:
    """Context in which `side_by_side` has as many threads as torch has for an operation, which then has one.

    With ``alone``, for a single part, the caller's is the only one. On devices other than a CPU, and where torch has
    one thread as in joblib's workers, nothing changes. A thread that begins meanwhile finds one, and keeps it.
    """
    n_threads = torch.get_num_threads()
    if device.type != "cpu" or n_threads == 1:
        yield
        return
    torch.set_num_threads(1)  # here too, because MKL has one number for all threads
    try:
        if alone:
            yield
        else:
            with ThreadPoolExecutor(n_threads, "crew", torch.set_num_threads, (1,)) as _present.pool:
                yield
    finally:
        _present.pool = None
        torch.set_num_threads(n_threads)


def side_by_side(work: Callable[[Tensor], Result], parts: Sequence[Tensor]) -> Iterator[Result]:
    """What ``work`` makes of the rows of each part, in their order; outside a `crew` one after the other."""
    if _present.pool is None:
        return map(work, parts)
    enabled, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def as_here(rows: Tensor) -> Result:
        with torch.autocast("cpu", dtype, enabled):  # which each thread has of its own
            return work(rows)

    return _present.pool.map(as_here, parts)
