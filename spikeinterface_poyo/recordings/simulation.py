"""Made-up recordings: a behaviour, and a population of units tuned to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .simulated_behavior import BEHAVIORS, STEP, Task, behave, draw_task, log_uniform, smooth_noise, to_neo_signal

if TYPE_CHECKING:
    import neo
    from spikeinterface.core import NumpySorting

SAMPLING_FREQUENCY = 30_000.0  # Hz, of the spike trains
MAX_RATE = 400.0  # Hz, no neuron fires faster
TUNINGS = ("linear", "cosine", "place", "mixed", "none")


def simulate_session(
    duration: float = 300.0,
    *,
    behavior: str | None = None,
    pace: float | None = None,
    n_units: int | None = None,
    tuning: str | Mapping[str, float] | None = None,
    mean_rate: tuple[float, float] = (0.1, 50.0),
    max_lag: float = 0.3,
    drift: float = 0.2,
    sampling_rate: float | None = None,
    random_state: int | np.random.Generator | None = None,
) -> tuple[NumpySorting, neo.AnalogSignal]:
    """A made-up recording: a behaviour, and a population of units tuned to it.

    What is not given is drawn. For sessions of one task with different units, give ``behavior`` and ``sampling_rate``,
    and vary ``random_state``.

    Parameters
    ----------
    duration : float, default: 300
        Seconds.
    behavior : {"velocity", "position", "heading", "force", "smooth"}, optional
        Where given, its statistics are typical ones, the same in each session. Otherwise the kind is drawn, and with it
        the pace, the number of outputs and the targets.

        - ``"velocity"`` of a hand (cm/s, 2 outputs) with pauses and minimum-jerk reaches [1]_ from a centre to one of 8
          targets and back; where drawn, also to 4 targets, or from anywhere to anywhere.
        - ``"position"`` of an animal (m, 2 outputs) that runs and rests in a box from -1 to 1.
        - ``"heading"``: cosine and sine of an angle that turns and rests.
        - ``"force"``: isometric ramps to random levels, holds and releases (N; 2 outputs, where drawn 1 to 4).
        - ``"smooth"``: Gaussian processes with a time scale of 0.5 s (2 outputs; where drawn 1 to 4, and 0.1 to 3 s).
    pace : float, optional
        Every time scale of the behaviour is the typical one times this. Otherwise 1 where ``behavior`` is given, and
        drawn from a range of the kind's where it is not.
    n_units : int, optional
        Drawn log-uniformly from 10 to 150.
    tuning : str or mapping of str to float, optional
        A kind for all units, or the share of each kind; drawn otherwise.

        - ``"linear"``: exponential or softplus of a projection of the behaviour.
        - ``"cosine"``: exponential of the cosine to a preferred direction in a plane of the behaviour, scaled with the
          length of the vector as in [2]_; for heading, a von Mises curve.
        - ``"place"``: one to three Gaussian fields in one or two dimensions of the behaviour.
        - ``"mixed"``: like linear, of the behaviour, its derivative, and a slow process that is not in the behaviour.
        - ``"none"``: the slow process only.
    mean_rate : (float, float), default: (0.1, 50)
        Range in Hz from which mean rates are drawn log-uniformly. One unit in twenty is silent instead: below 0.02 Hz.
    max_lag : float, default: 0.3
        Units lead or follow the behaviour by at most this many seconds; most by less, and more lead velocity and force.
    drift : float, default: 0.2
        Standard deviation of the logarithm of each unit's gain at nine moments of the session, between which it is
        linear.
    sampling_rate : float, optional
        Of the behaviour, Hz; drawn from 20 to 120.
    random_state : int or numpy.random.Generator, optional
        The same integer gives the same session. NumPy's global state is neither read nor changed.

    Returns
    -------
    sorting : spikeinterface.core.NumpySorting
        One segment at 30 kHz, from 0 s to ``duration``. Properties, as drawn: ``tuning``; ``mean_rate`` in Hz;
        ``lag`` in s, positive where the unit leads; ``n_neurons``, 1 or, for a multi-unit channel, 2 to 4.
    signal : neo.AnalogSignal
        The behaviour from 0 s on, shape (``duration * sampling_rate``, n_outputs), named by its kind.

    Raises
    ------
    ValueError
        Where an argument is out of its range.

    Notes
    -----
    Spikes are inhomogeneous Poisson; single units have a refractory period of 1 to 2 ms, and no unit fires faster than
    400 Hz. Both take from sharply tuned units of high mean rates: of the default range a median of 3 %, of means of 100
    to 200 Hz a quarter. One to three processes that the population shares modulate all gains, so that noise is
    correlated.

    References
    ----------
    .. [1] Flash, T., Hogan, N. (1985). The coordination of arm movements: an experimentally confirmed mathematical
       model. J Neurosci 5:1688-1703.
    .. [2] Moran, D. W., Schwartz, A. B. (1999). Motor cortical representation of speed and direction during reaching.
       J Neurophysiol 82:2676-2692.

    Examples
    --------
    >>> from spikeinterface_poyo import simulate_session
    >>> sorting, velocity = simulate_session(60.0, behavior="velocity", n_units=20, sampling_rate=50.0, random_state=0)
    >>> sorting.get_num_units(), velocity.name, velocity.shape, velocity.dimensionality.string
    (20, 'velocity', (3000, 2), 'cm/s')
    """
    if behavior is not None and behavior not in BEHAVIORS:
        raise ValueError(f"behavior must be one of {', '.join(map(repr, BEHAVIORS))} or None, got {behavior!r}")
    if n_units is not None and not (n_units >= 1 and n_units % 1 == 0):
        raise ValueError(f"n_units must be a whole number of at least 1, got {n_units!r}")
    if np.shape(mean_rate) != (2,) or not 0 < mean_rate[0] <= mean_rate[1] <= MAX_RATE:
        raise ValueError(f"mean_rate must be (lowest, highest), above 0 and at most {MAX_RATE:g} Hz; got {mean_rate!r}")
    at_least = {"duration": (duration, 1), "sampling_rate": (sampling_rate, 1), "max_lag": (max_lag, 0),
                "drift": (drift, 0), "pace": (pace, 0.1)}  # fmt: skip
    for name, (value, lowest) in at_least.items():
        if value is not None and not lowest <= value < np.inf:
            raise ValueError(f"{name} must be finite and at least {lowest}, got {value!r}")

    rng = np.random.default_rng(random_state)
    shares = _shares(rng, tuning)
    task = draw_task(rng) if behavior is None else Task(behavior)
    task = task if pace is None else task._replace(pace=pace)
    n_units = round(log_uniform(rng, 10, 150)) if n_units is None else int(n_units)
    sampling_rate = float(rng.uniform(20, 120) if sampling_rate is None else sampling_rate)
    n_steps = int(np.ceil(duration / STEP)) + 1
    pad = int(np.ceil(max_lag / STEP))  # so that the behaviour that a unit leads or follows is there
    values = behave(rng, task, n_steps + 2 * pad)
    lag_mode = 0.3 if task.kind in ("velocity", "force") else 0.0  # motor units lead
    units = _draw_units(rng, n_units, shares, mean_rate, max_lag, lag_mode)
    signal = to_neo_signal(task, values[pad : pad + n_steps], round(duration * sampling_rate), sampling_rate)
    return _sorting(rng, units, values, pad, duration, drift), signal


def _shares(rng: np.random.Generator, tuning: str | Mapping[str, float] | None) -> np.ndarray:
    """Share of each of `TUNINGS`, sum 1; drawn where None is given."""
    if tuning is None:
        return rng.dirichlet([1, 1, 1, 1, 0.3])  # seldom many units without tuning
    given = {tuning: 1.0} if isinstance(tuning, str) else dict(tuning)
    shares = np.array([given.get(kind, 0.0) for kind in TUNINGS], dtype=float)
    if not (set(given) <= set(TUNINGS) and np.all(shares >= 0) and 0 < shares.sum() < np.inf):
        raise ValueError(f"tuning must be one of {TUNINGS}, a dict of them to positive shares, or None; got {tuning!r}")
    return shares / shares.sum()


def _draw_units(
    rng: np.random.Generator, n_units: int, shares: np.ndarray, rates: tuple[float, float], max_lag: float, mode: float
) -> dict[str, np.ndarray]:
    """Properties of the units, rates from a range in Hz; ``mode`` times ``max_lag`` is the likeliest lag."""
    mean_rate = np.exp(rng.uniform(np.log(rates[0]), np.log(rates[1]), n_units))
    return {
        "tuning": rng.choice(TUNINGS, n_units, p=shares),
        "mean_rate": np.where(rng.random(n_units) < 0.05, rng.uniform(0.0, 0.02, n_units), mean_rate),
        "lag": max_lag * rng.triangular(-1, mode, 1, n_units),
        "n_neurons": np.where(rng.random(n_units) < 0.1, rng.integers(2, 5, n_units), 1),
    }


def _sorting(
    rng: np.random.Generator, units: dict[str, np.ndarray], values: np.ndarray, pad: int, duration: float, drift: float
) -> NumpySorting:
    """Spike trains of ``units`` tuned to ``values``, which reach ``pad`` steps beyond the session at either end."""
    from spikeinterface.core import NumpySorting

    n_steps = len(values) - 2 * pad
    state, change = (x / np.sqrt(np.mean(x**2)) for x in (values, np.gradient(values, axis=0)))
    hidden = smooth_noise(rng, n_steps, 2, log_uniform(rng, 1.0, 10.0))
    shared = smooth_noise(rng, n_steps, int(rng.integers(1, 4)), log_uniform(rng, 0.05, 1.0))
    noise, depth = rng.uniform(0.0, 0.3), rng.uniform(0.6, 1.0)
    grid, parts = np.arange(n_steps) * STEP, np.linspace(0, duration, 9)

    trains = {}
    for unit, (kind, mean, lag, n_neurons) in enumerate(zip(*units.values(), strict=True)):
        start = pad + round(lag / STEP)
        at = slice(start, start + n_steps)
        curves = [_rate(rng, kind, state[at], change[at], hidden) for _ in range(n_neurons)]
        tuned = depth * rng.uniform(0.5, 1.0)  # the share of the rate that is
        walk = np.cumsum(rng.standard_normal(len(parts)))
        gain = drift * np.interp(grid, parts, (walk - walk.mean()) / walk.std())
        gain += shared @ rng.normal(0, noise, shared.shape[1])
        rate = (1 - tuned + tuned * np.mean(curves, axis=0)) * np.exp(gain)
        rate = np.minimum(mean * rate / rate.mean(), MAX_RATE)
        trains[unit] = _spikes(rng, rate, duration, refractory=rng.uniform(0.001, 0.002) if n_neurons == 1 else 0.0)
    sorting = NumpySorting.from_unit_dict(trains, SAMPLING_FREQUENCY)
    for name, drawn in units.items():
        sorting.set_property(name, drawn)
    return sorting


def _rate(rng: np.random.Generator, kind: str, state: np.ndarray, change: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Rate of one neuron over its mean, shape (n_steps,).

    ``state`` and ``change`` (n_steps, n_outputs) are the behaviour at the neuron's lag and its derivative, of mean
    square 1; ``hidden`` (n_steps, n_hidden) are the processes that are not in the behaviour, of variance 1.
    """
    n_outputs = state.shape[1]
    if kind == "place":
        used = rng.permutation(n_outputs)[: rng.integers(1, 3)]
        length = np.linalg.norm(state, axis=1)  # fields lie where the animal comes, but not all at rest
        centers = state[rng.choice(len(state), rng.integers(1, 4), p=length / length.sum())]
        distances = [np.sum((state[:, used] - center[used]) ** 2, axis=1) for center in centers]
        rate = sum(np.exp(-0.5 * squared / log_uniform(rng, 0.25, 0.8) ** 2) for squared in distances)
        return rate / np.mean(rate)
    if kind == "cosine":
        plane = state[:, rng.permutation(n_outputs)[:2]] if n_outputs > 1 else np.hstack([state, change])
        length = np.linalg.norm(plane, axis=1)
        drive = log_uniform(rng, 0.5, 5.0) * plane @ _direction(rng, 2) + rng.normal(0, 0.3) * length
        drive /= 0.5 * (length + length.mean())  # saturates at high speed; 1 for heading
    elif kind == "none":
        drive = rng.uniform(0, 0.5) * hidden @ _direction(rng, hidden.shape[1])
    else:
        drive = state @ _direction(rng, n_outputs)
        if kind == "mixed":
            weights = np.sqrt(rng.dirichlet([2, 1, 1]))  # of length 1
            drive = weights @ [drive, change @ _direction(rng, n_outputs), hidden @ _direction(rng, hidden.shape[1])]
        drive = rng.uniform(0.3, 1.2) * np.clip(drive, -3, 3)
    rate = np.exp(drive) if kind == "cosine" or rng.random() < 0.5 else np.logaddexp(0, 3 * drive)
    return rate / rate.mean()


def _spikes(rng: np.random.Generator, rate: np.ndarray, duration: float, refractory: float) -> np.ndarray:
    """Frames of an inhomogeneous Poisson train: points of a uniform one, through the inverse of the summed rate.

    ``rate`` (n_steps,) is in Hz; a spike within ``refractory`` seconds of the one before is left out.
    """
    summed = np.concatenate([[0.0], np.cumsum(rate) * STEP])
    points = np.sort(rng.uniform(0, summed[-1], rng.poisson(summed[-1])))
    times = np.interp(points, summed, np.arange(len(summed)) * STEP)
    times = times[np.diff(times, prepend=-np.inf) > refractory]
    return np.unique((times[times < duration] * SAMPLING_FREQUENCY).astype(np.int64))


def _direction(rng: np.random.Generator, n_dimensions: int) -> np.ndarray:
    vector = rng.standard_normal(n_dimensions)
    return vector / np.linalg.norm(vector)
