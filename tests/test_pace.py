"""How quickly behaviour changes: the rate of a random walk that is drawn to its mean."""

from __future__ import annotations

import numpy as np
import pytest

from spikeinterface_poyo import POYODecoder, align
from spikeinterface_poyo.sessions.pace import pace_of


def walk(rate: float, interval: float, n: int, n_columns: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of an Ornstein-Uhlenbeck process of standard deviation one."""
    noise = np.random.default_rng(seed).normal(size=(n, n_columns))
    values, kept = noise.copy(), np.exp(-rate * interval)
    for i in range(1, n):
        values[i] = kept * values[i - 1] + np.sqrt(1 - kept**2) * noise[i]
    return interval * np.arange(n), values


@pytest.mark.parametrize("rate", [0.05, 0.5])
@pytest.mark.parametrize("interval", [0.02, 0.3, 2.0])
def test_it_is_the_rate_of_a_random_walk(rate, interval):
    assert pace_of([walk(rate, interval, 200_000)]) == pytest.approx(rate, rel=0.15)


def test_unknown_values_do_not_count_nor_pairs_across_parts():
    times, values = walk(0.3, 0.1, 50_000)
    holes = np.where(np.arange(len(times))[:, None] % 7 == 0, np.nan, values)
    assert pace_of([(times, holes)]) == pytest.approx(pace_of([(times, values)]), rel=0.05)
    half = len(times) // 2
    apart = [(times[:half], values[:half]), (times[half:] - times[half], values[half:] + 100)]
    assert pace_of(apart) == pytest.approx(pace_of([(times, values)]), rel=0.05)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=(5000, 1)),  # all is forgotten after a lag
        np.full((5000, 1), np.nan),
    ],
)
def test_there_is_none_where_nothing_is_left_or_known(values):
    assert pace_of([(0.1 * np.arange(len(values)), values)]) is None


def test_there_is_none_without_two_samples_a_lag_apart():
    assert pace_of([(np.array([3.0]), np.ones((1, 1)))]) is None
    assert pace_of([(np.array([0.0, 0.1, 0.2]), np.ones((3, 1)))]) is None
    assert pace_of([]) is None


def test_what_never_changes_has_pace_zero():
    assert pace_of([(0.1 * np.arange(100), np.ones((100, 1)))]) == 0


def test_a_fit_takes_note_of_it(simulate, small_decoder):
    times = np.arange(0, 40, 0.05)
    fitted = small_decoder().fit(simulate(duration=40.0).spikes, (times, np.sin(0.3 * times)))
    (known,) = fitted.sessions_.sessions.values()
    assert known.paces["behavior"] == pytest.approx(2 * np.sin(0.15) ** 2, rel=0.1)  # per second, as cosines differ
    counts = np.random.default_rng(0).poisson(2.0, (40, 3))
    (rows,) = small_decoder().fit(counts, counts[:, 0]).sessions_.sessions.values()
    assert rows.paces == {}


def test_samples_without_weight_do_not_count(simulate, small_decoder):
    times = np.arange(0, 40, 0.05)
    X, y = align(simulate(duration=40.0).spikes, (times, np.sin(0.3 * times)))
    weight = np.ones(len(y))
    weight[::2] = 0
    changed = y.copy()
    changed[::2] = np.random.default_rng(0).normal(size=changed[::2].shape)

    def paces(targets: np.ndarray) -> dict[str, float]:
        fitted: POYODecoder = small_decoder().fit(X, targets, sample_weight=weight)
        (known,) = fitted.sessions_.sessions.values()
        return known.paces

    assert paces(changed) == paces(y) != {}
