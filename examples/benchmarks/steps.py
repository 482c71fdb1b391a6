"""Seconds of each gradient step of a fit, which is ended after some of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from spikeinterface_poyo import fitting, training


def time_steps(n_steps: int, look: Callable[[], object] = lambda: None) -> list[float]:
    """A list that the next fit fills with the seconds from the end of one step to that of the next, batches included.

    The fit is of all sessions together: the start with one of them is left out. After ``n_steps`` it is interrupted.
    ``look`` is called after each step. For the whole process.
    """
    seconds: list[float] = []
    real, ended = training.training_step, [time.perf_counter()]

    def step(*given: object) -> None:
        real(*given)
        ended.append(time.perf_counter())
        seconds.append(ended[-1] - ended[-2])
        look()
        if len(seconds) == n_steps:
            raise KeyboardInterrupt

    training.training_step = step
    fitting.start_with_one = lambda *_: training.TrainingRecord()
    return seconds
