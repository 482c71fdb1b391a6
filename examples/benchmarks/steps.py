"""Seconds of each gradient step of a fit, or of several by turns, which are ended after some of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from spikeinterface_poyo.fitted.record import TrainingRecord
from spikeinterface_poyo.training import fitting, loop


def take(step: Callable[..., None]) -> None:
    """Let fits of this process take such steps, all sessions together: the start with one of them is left out."""
    loop.training_step = step
    fitting.start_with_one = lambda *_: TrainingRecord()


def time_steps(n_steps: int, look: Callable[[], object] = lambda: None) -> list[float]:
    """A list that the next fit fills with the seconds from the end of one step to that of the next, batches included.

    After ``n_steps`` it is interrupted. ``look`` is called after each step. See `take`.
    """
    seconds: list[float] = []
    real, ended = loop.training_step, [time.perf_counter()]

    def step(*given: object) -> None:
        real(*given)
        ended.append(time.perf_counter())
        seconds.append(ended[-1] - ended[-2])
        look()
        if len(seconds) == n_steps:
            raise KeyboardInterrupt

    take(step)
    return seconds


def time_by_turns(fits: Sequence[Callable[[], object]], n_turns: int, n_steps: int = 4) -> list[list[float]]:
    """Seconds a step of several fits, for each of which ``n_turns`` times ``n_steps`` steps are made, batches included.

    Machines change their speed within seconds: fits that run one after the other are not compared by it. The first
    step of a turn is not timed, as its batch may have been drawn while another fit was at work. See `take`.
    """
    seconds: list[list[float]] = [[] for _ in fits]
    ready, may_go = threading.Barrier(len(fits)), [threading.Semaphore(0) for _ in fits]
    real, mine = loop.training_step, threading.local()

    def step(*given: object) -> None:
        if mine.n_steps == 0:
            ready.wait()
        place, of_turn = mine.place, mine.n_steps % n_steps
        if of_turn == 0:
            may_go[place].acquire()
        real(*given)
        mine.n_steps += 1
        if of_turn == 0:
            mine.began = time.perf_counter()
        if of_turn == n_steps - 1:
            seconds[place].append((time.perf_counter() - mine.began) / of_turn)
            may_go[(place + 1) % len(fits)].release()
        if len(seconds[place]) == n_turns:
            raise KeyboardInterrupt

    def run(place: int) -> None:
        mine.place, mine.n_steps = place, 0
        with suppress(KeyboardInterrupt):  # a second one within moments is raised
            fits[place]()

    take(step)
    may_go[0].release()
    with ThreadPoolExecutor(len(fits)) as pool:
        list(pool.map(run, range(len(fits))))
    return seconds
