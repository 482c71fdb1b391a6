"""The Bayesian decoder of place and heading: tuning curves of each unit, and a random walk of the behaviour.

Units are independent Poisson processes whose rates depend on behaviour alone, and behaviour of neighbouring bins
differs by a normal step, so that every bin is decoded from all spikes before and after it (Zhang et al. 1998, J.
Neurophysiol. 79:1017; Brown et al. 1998, J. Neurosci. 18:7411). For behaviour of one or two numbers, or one angle given
as its cosine and sine. As the other baselines, it is tuned by blocked validation inside the training part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from recordings import Recording
from scipy.spatial import cKDTree
from sklearn.metrics import r2_score
from tuning import FOLDS, Config, Search, allowed, at_bins, bin_counts, coordinate_search

SEARCH: Search = {
    "bandwidth": (2.0, [0.7, 1.0, 1.5, 2.0, 3.0, 4.0]),  # cells over which tuning curves are smoothed
    "shrinkage": (0.3, [0.03, 0.1, 0.3, 1.0, 3.0]),  # seconds for which a unit is taken to fire at its mean everywhere
    "trust": (0.5, [0.2, 0.3, 0.5, 0.75, 1.0]),  # weight of the likelihood: spikes come in bursts, not as Poisson's do
    "step": (0.5, [0.3, 0.4, 0.5, 0.7, 1.0, 1.5]),  # SD of the change in STEP_TIME, in cells
    "lag": (0.0, [-0.1, -0.05, 0.0, 0.05, 0.1, 0.2]),  # seconds by which behaviour follows spikes
    "bin_size": (0.05, [0.05, 0.1]),
}
ANGLES, CELLS = 72, 24  # cells of the circle; of each dimension otherwise
LEAST_TIME = 1e-3  # seconds of smoothed occupancy below which behaviour is taken not to go
FLOOR, LEAST = 1e-2, 1e-300  # Hz, and of a likelihood: no spike makes a state impossible
STEP_TIME = 0.05  # seconds
MARGIN = 10.0  # seconds decoded before and after the samples


@dataclass(frozen=True)
class States:
    """Cells that the behaviour may be in."""

    places: np.ndarray  # (n_states, n_outputs): their middles
    shape: tuple[int, ...]  # of the grid
    circular: bool

    def smoothed(self, values: np.ndarray, width: float) -> np.ndarray:
        """Values (..., n_states), weighted by a normal curve of ``width`` cells."""
        out = values.reshape(-1, *self.shape)
        for axis, size in enumerate(self.shape, start=1):
            out = np.moveaxis(np.tensordot(kernel(size, width, self.circular), out, axes=(1, axis)), 0, axis)
        return out.reshape(values.shape)


@cache
def kernel(size: int, width: float, circular: bool) -> np.ndarray:
    """Weights (size, size) of cells for each other; symmetric, so that what leaves a grid is lost."""
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    weights = np.exp(-0.5 * ((np.minimum(distance, size - distance) if circular else distance) / width) ** 2)
    return weights / weights.sum(axis=0).max()


def states_of(values: np.ndarray) -> States:
    """The circle where all rows have length one, else a grid over what the rows span."""
    if values.shape[1] > 2:
        raise ValueError(f"a grid over {values.shape[1]} outputs has too many cells; give one or two")
    if values.shape[1] == 2 and np.allclose(np.hypot(*values.T), 1, atol=1e-4):
        angles = np.linspace(-np.pi, np.pi, ANGLES, endpoint=False)
        return States(np.column_stack([np.cos(angles), np.sin(angles)]), (ANGLES,), True)
    axes = [np.linspace(column.min(), column.max(), CELLS) for column in values.T]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return States(places, (CELLS,) * len(axes), False)


def decode(recording: Recording, fit: np.ndarray, wanted: np.ndarray, config: Config) -> np.ndarray:
    """Mean behaviour, given all spikes, at the samples ``wanted``; labels of the samples ``fit`` alone are read."""
    states, size = states_of(recording.values[fit]), config["bin_size"]
    counts, centres = bin_counts(recording, size)
    centres = centres + config["lag"]
    rates, visited = tuning_curves(recording, fit, states, counts, centres, config)
    times = recording.times[wanted]
    near = slice(*np.searchsorted(centres, times[[0, -1]] + np.array([-MARGIN, MARGIN])))
    likelihood = config["trust"] * (counts[near] @ np.log(rates) - size * rates.sum(axis=0))
    likelihood = np.exp(likelihood - likelihood.max(axis=1, keepdims=True)) * visited + LEAST
    expected = both_ways(likelihood, states, config["step"] * np.sqrt(size / STEP_TIME)) @ states.places
    return np.column_stack([np.interp(times, centres[near], column) for column in expected.T])


def tuning_curves(
    recording: Recording, fit: np.ndarray, states: States, counts: np.ndarray, centres: np.ndarray, config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Rates (n_units, n_states) in Hz, and whether the behaviour was seen near each state."""
    labels = at_bins(centres, recording.times, recording.values, fit)
    known = np.isfinite(labels).all(axis=1)
    scale, n_states = recording.values[fit].std(axis=0), len(states.places)
    _, cell = cKDTree(states.places / scale).query(labels[known] / scale)
    seconds = states.smoothed(np.bincount(cell, minlength=n_states) * config["bin_size"], config["bandwidth"])
    spikes = np.stack([np.bincount(cell, unit, minlength=n_states) for unit in counts[known].T])
    mean = spikes.sum(axis=1, keepdims=True) / (known.sum() * config["bin_size"])
    prior = config["shrinkage"]
    rates = (states.smoothed(spikes, config["bandwidth"]) + prior * mean) / (seconds + prior)
    return rates + FLOOR, seconds > LEAST_TIME


def both_ways(likelihood: np.ndarray, states: States, step: float) -> np.ndarray:
    """Probabilities (n_bins, n_states) of a hidden Markov chain, given all bins."""
    n_bins, n_states = likelihood.shape
    probability = np.empty_like(likelihood)
    now = np.full(n_states, 1 / n_states)
    for index in range(n_bins):
        now = states.smoothed(now, step) * likelihood[index]
        now /= now.sum()
        probability[index] = now
    later = np.ones(n_states)
    for index in range(n_bins - 1, -1, -1):
        probability[index] *= later
        later = states.smoothed(later * likelihood[index], step)
        later /= later.sum()
    return probability / probability.sum(axis=1, keepdims=True)


def validate(recording: Recording, train: np.ndarray, config: Config) -> tuple[float, Config]:
    """Mean R2 over contiguous folds of the training part."""
    if not allowed(recording, config):
        return -np.inf, {}
    scores = []
    for part in np.array_split(np.flatnonzero(train), FOLDS):
        held = np.zeros_like(train)
        held[part] = True
        scores.append(r2_score(recording.values[held], decode(recording, train & ~held, held, config)))
    return float(np.mean(scores)), {}


def bayes(
    recording: Recording, train: np.ndarray, test: np.ndarray, seed: int = 0, config: Config | None = None
) -> tuple[np.ndarray, Config]:
    """Fit and predict; parameters and returns as ``baselines.ridge``, nothing chosen again."""
    if config is None:
        config = coordinate_search(SEARCH, lambda config: validate(recording, train, config), passes=2)
    return decode(recording, train, test, config), config
