"""Made-up behaviour: what an animal does in a session of `simulate_session`, on a grid of time, and as a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import neo

STEP = 0.01  # s, grid of behaviour and rates; what is simulated changes over 50 ms and more


class Task(NamedTuple):
    """What the animal does; the defaults are the typical task of its kind."""

    kind: str
    pace: float = 1.0  # every time scale of the behaviour is the typical one times this
    n_outputs: int = 2  # of "force" and "smooth"
    n_targets: int = 8  # of "velocity", on a circle; 0 where they lie anywhere


class BehaviorKind(NamedTuple):
    """A kind of behaviour."""

    units: str
    channel_names: tuple[str, ...]  # one that is to be numbered where the number of outputs is drawn
    paces: tuple[float, float]  # lowest and highest to draw


BEHAVIORS = {
    "velocity": BehaviorKind("cm/s", ("v_x", "v_y"), (0.6, 1.6)),
    "position": BehaviorKind("m", ("x", "y"), (0.5, 2.0)),
    "heading": BehaviorKind("dimensionless", ("cos_heading", "sin_heading"), (0.5, 2.0)),
    "force": BehaviorKind("N", ("force",), (0.5, 2.0)),
    "smooth": BehaviorKind("dimensionless", ("signal",), (0.2, 6.0)),
}


def draw_task(rng: np.random.Generator) -> Task:
    """A task of any kind."""
    kind = str(rng.choice(list(BEHAVIORS)))
    n_outputs, n_targets = rng.integers(1, 5), rng.choice([0, 4, 8])
    return Task(kind, log_uniform(rng, *BEHAVIORS[kind].paces), int(n_outputs), int(n_targets))


def behave(rng: np.random.Generator, task: Task, n_steps: int) -> np.ndarray:
    """Behaviour on the grid, shape (n_steps, n_outputs)."""
    if task.kind == "velocity":
        return _reaches(rng, task, n_steps)
    if task.kind == "force":
        return _ramps(rng, task, n_steps)
    if task.kind == "smooth":
        return smooth_noise(rng, n_steps, task.n_outputs, 0.5 * task.pace)
    going = 1 / (1 + np.exp(-4 * (smooth_noise(rng, n_steps, 1, 3 * task.pace) + 0.7)))  # 0 in a rest, 1 between rests
    if task.kind == "heading":
        turning = 2.0 / task.pace * smooth_noise(rng, n_steps, 1, 0.4 * task.pace)  # rad/s
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(going * turning, axis=0) * STEP
        return np.hstack([np.cos(angle), np.sin(angle)])
    running = 0.4 / task.pace * smooth_noise(rng, n_steps, 2, task.pace)  # m/s
    path = rng.uniform(-1, 1, 2) + np.cumsum(going * running, axis=0) * STEP
    return 1 - np.abs((path + 1) % 4 - 2)  # walls at -1 and 1 reflect


def _reaches(rng: np.random.Generator, task: Task, n_steps: int) -> np.ndarray:
    """Velocity of a hand, cm/s, shape (n_steps, 2)."""
    index, s, durations = _moves(rng, n_steps, 0.5 * task.pace, 0.3 * task.pace)
    n_moves = len(durations)
    if task.n_targets:  # every other move returns to the centre
        angle = 2 * np.pi * rng.integers(task.n_targets, size=n_moves) / task.n_targets
        places = 8.0 * np.column_stack([np.cos(angle), np.sin(angle)]) * (np.arange(n_moves) % 2)[:, None]
    else:
        places = rng.uniform(-10, 10, (n_moves, 2))
    steps = np.diff(places, axis=0, append=places[:1])
    speed = 30 * (s**2 - 2 * s**3 + s**4) / durations[index]  # minimum jerk over a distance of 1
    return steps[index] * speed[:, None] + 0.5 * smooth_noise(rng, n_steps, 2, 0.1)


def _ramps(rng: np.random.Generator, task: Task, n_steps: int) -> np.ndarray:
    """Force, N, shape (n_steps, n_outputs): every other ramp returns to 0."""
    index, s, durations = _moves(rng, n_steps, 0.6 * task.pace, 0.8 * task.pace)
    away = np.arange(len(durations) + 1) % 2
    levels = away[:, None] * rng.uniform(-5, 5, (len(away), task.n_outputs))
    rise = (10 * s**3 - 15 * s**4 + 6 * s**5)[:, None]
    tremor = 0.05 * smooth_noise(rng, n_steps, task.n_outputs, 0.2)
    return levels[index] * (1 - rise) + levels[index + 1] * rise + tremor


def _moves(rng: np.random.Generator, n_steps: int, move: float, pause: float) -> tuple[np.ndarray, ...]:
    """Moves of about ``move`` seconds, each with a pause of about ``pause`` seconds after it.

    For each step: the index of its move, and how far the move is, from 0 to 1, which it stays in the pause. For each
    move: its duration in seconds.
    """
    n_moves = int(n_steps * STEP / (0.7 * move)) + 2  # enough, as none is shorter
    durations = move * rng.uniform(0.7, 1.4, n_moves)
    with_pauses = durations + rng.gamma(2.0, pause / 2, n_moves)
    starts = np.cumsum(with_pauses) - with_pauses
    times = np.arange(n_steps) * STEP
    index = np.searchsorted(starts, times, side="right") - 1
    return index, np.minimum((times - starts[index]) / durations[index], 1.0), durations


def to_neo_signal(task: Task, values: np.ndarray, n_samples: int, sampling_rate: float) -> neo.AnalogSignal:
    """The first ``n_samples`` of ``values``, which lie on the grid, at another rate (Hz) and with their units."""
    import neo
    import quantities as pq

    units, names, _ = BEHAVIORS[task.kind]
    if len(names) == 1:
        names = tuple(f"{names[0]}_{i}" for i in range(values.shape[1]))
    times, grid = np.arange(n_samples) / sampling_rate, np.arange(len(values)) * STEP
    return neo.AnalogSignal(
        np.column_stack([np.interp(times, grid, column) for column in values.T]),
        units=units,
        sampling_rate=sampling_rate * pq.Hz,
        name=task.kind,
        array_annotations={"channel_names": np.array(names)},
    )


def smooth_noise(rng: np.random.Generator, n_steps: int, n_signals: int, time_scale: float) -> np.ndarray:
    """Gaussian processes of variance 1, shape (n_steps, n_signals): white noise through two leaky integrators."""
    n_total = n_steps + int(10 * time_scale / STEP)  # Fourier transforms are periodic; start and end must not meet
    response = 1 / (1 + (2 * np.pi * np.fft.rfftfreq(n_total, STEP) * time_scale) ** 2)
    response /= np.sqrt((2 * np.sum(response[1:] ** 2) + response[0] ** 2) / n_total)
    white = np.fft.rfft(rng.standard_normal((n_signals, n_total)))
    return np.fft.irfft(white * response, n_total)[:, :n_steps].T


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between these, whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
