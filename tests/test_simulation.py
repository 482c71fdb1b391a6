from __future__ import annotations

import numpy as np
import pytest

from spikeinterface_poyo import align
from spikeinterface_poyo.recordings.simulated_behavior import BEHAVIORS
from spikeinterface_poyo.recordings.simulation import TUNINGS, simulate_session

UNITS = {"velocity": "cm/s", "position": "m", "heading": "dimensionless", "force": "N", "smooth": "dimensionless"}


def counts(sorting, duration: float, width: float = 0.1) -> np.ndarray:
    """Spike counts, shape (n_units, n_bins), in bins of ``width`` seconds."""
    edges = np.arange(0, duration + width / 2, width)
    rate = sorting.sampling_frequency
    return np.array([np.histogram(sorting.get_unit_spike_train(unit) / rate, edges)[0] for unit in sorting.unit_ids])


def binned(signal, width: float = 0.1) -> np.ndarray:
    """Behaviour averaged in bins of ``width`` seconds, shape (n_bins, n_outputs)."""
    n_samples = round(width * float(signal.sampling_rate))
    return signal.magnitude[: len(signal) // n_samples * n_samples].reshape(-1, n_samples, signal.shape[1]).mean(axis=1)


def explained(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """R2 of each column of ``targets`` by least squares: learnt on one half, scored on the other."""
    features = np.column_stack([features, np.ones(len(features))])
    half = len(features) // 2
    weights = np.linalg.lstsq(features[:half], targets[:half])[0]
    residual = targets[half:] - features[half:] @ weights
    return 1 - np.mean(residual**2, axis=0) / np.var(targets[half:], axis=0)


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_each_behavior(behavior):
    sorting, signal = simulate_session(20.0, behavior=behavior, n_units=12, sampling_rate=40.0, random_state=0)
    assert sorting.get_num_units() == 12
    assert sorting.sampling_frequency == 30_000
    assert signal.shape == (800, 2)
    assert signal.name == behavior
    assert signal.dimensionality.string == UNITS[behavior]
    assert len(set(signal.array_annotations["channel_names"])) == 2
    np.testing.assert_allclose(signal.times.rescale("s").magnitude, np.arange(800) / 40, atol=1e-9)
    assert np.all(np.isfinite(signal.magnitude))
    assert np.all(signal.magnitude.std(axis=0) > 0)


@pytest.mark.parametrize("seed", range(8))
def test_spikes_are_inside_the_session(seed):
    sorting, signal = simulate_session(10.0, random_state=seed)
    for unit in sorting.unit_ids:
        frames = sorting.get_unit_spike_train(unit)
        assert np.all(np.diff(frames) > 0)
        assert np.all((frames >= 0) & (frames < 10 * 30_000))
    assert float(signal.times[-1].rescale("s")) < 10
    assert 1 <= signal.shape[1] <= 4
    assert 10 <= sorting.get_num_units() <= 150
    assert 20 <= float(signal.sampling_rate) <= 120


def test_sessions_differ_between_seeds():
    sessions = [simulate_session(5.0, random_state=seed) for seed in range(20)]
    assert {signal.name for _, signal in sessions} == set(BEHAVIORS)
    assert len({sorting.get_num_units() for sorting, _ in sessions}) > 10


def test_same_seed_same_session_and_global_state_untouched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is this state that must not move
    first, second = (simulate_session(10.0, random_state=3) for _ in range(2))
    generator = simulate_session(10.0, random_state=np.random.default_rng(3))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    for sorting, signal in (second, generator):
        np.testing.assert_array_equal(sorting.to_spike_vector(), first[0].to_spike_vector())
        np.testing.assert_array_equal(signal.magnitude, first[1].magnitude)
        for name in ("tuning", "mean_rate", "lag", "n_neurons"):
            np.testing.assert_array_equal(sorting.get_property(name), first[0].get_property(name))


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_a_given_behavior_has_the_same_statistics_in_each_session(behavior):
    sessions = [
        simulate_session(600.0, behavior=behavior, n_units=1, sampling_rate=50.0, random_state=seed)[1].magnitude
        for seed in range(3)
    ]
    spread = [values.std() for values in sessions]
    speed = [np.diff(values, axis=0).std() for values in sessions]
    assert max(spread) < 1.25 * min(spread)
    assert max(speed) < 1.25 * min(speed)


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_pace_stretches_behavior(behavior):
    def changes(pace: float) -> float:
        given = {"behavior": behavior, "n_units": 1, "sampling_rate": 100.0, "random_state": 0}
        values = simulate_session(600.0, pace=pace, **given)[1].magnitude
        return np.abs(np.diff(values, axis=0)).mean() / values.std()

    assert 1.5 < changes(0.5) / changes(1.0) < 2.5


def test_behaviors_look_like_what_they_are_named_for():
    def simulated(behavior: str) -> np.ndarray:
        return simulate_session(300.0, behavior=behavior, n_units=1, sampling_rate=100.0, random_state=0)[1].magnitude

    speed = np.linalg.norm(simulated("velocity"), axis=1)
    assert np.mean(speed < 2) > 0.2  # cm/s: pauses between reaches
    assert 20 < speed.max() < 60
    assert np.all(np.abs(simulated("position")) <= 1)
    assert np.histogram2d(*simulated("position").T, bins=2)[0].min() > 0.05 * 30_000  # it comes everywhere
    heading = simulated("heading")
    np.testing.assert_allclose(np.linalg.norm(heading, axis=1), 1, atol=0.02)
    assert np.histogram(np.arctan2(*heading.T), bins=8, range=(-np.pi, np.pi))[0].min() > 0.02 * 30_000
    force = simulated("force")
    assert np.mean(np.abs(force).max(axis=1) < 0.3) > 0.2  # N: releases
    assert np.abs(np.diff(force, axis=0)).max() < 1  # no jumps
    smooth = simulated("smooth")
    assert np.corrcoef(smooth[:-5, 0], smooth[5:, 0])[0, 1] > 0.95
    assert abs(np.corrcoef(smooth[:-500, 0], smooth[500:, 0])[0, 1]) < 0.3


@pytest.mark.parametrize("behavior", ["velocity", "heading", "smooth"])
@pytest.mark.parametrize("tuning", TUNINGS)
def test_units_are_tuned_as_they_say(behavior, tuning):
    sorting, signal = simulate_session(
        200.0, behavior=behavior, n_units=30, tuning=tuning, mean_rate=(5.0, 50.0), sampling_rate=50.0, random_state=1
    )
    assert set(sorting.get_property("tuning")) == {tuning}
    score = explained(np.sqrt(counts(sorting, 200.0)).T, binned(signal)).mean()
    assert score < 0.05 if tuning == "none" else score > 0.2


def test_one_output_is_enough_for_each_tuning():
    # only drawn behaviours have one output
    for seed in range(60):
        sorting, signal = simulate_session(60.0, mean_rate=(5.0, 50.0), random_state=seed, n_units=30)
        if signal.shape[1] == 1:
            assert {"cosine", "place"} <= set(sorting.get_property("tuning"))
            assert np.all(np.isfinite(sorting.get_property("mean_rate")))
            return
    raise AssertionError("no session had one output")


def test_shares_of_tunings():
    sorting, _ = simulate_session(2.0, n_units=400, tuning={"place": 3, "none": 1}, random_state=0)
    tuning = sorting.get_property("tuning")
    assert set(tuning) == {"place", "none"}
    assert 0.7 < np.mean(tuning == "place") < 0.8


def test_place_units_fire_in_their_fields():
    sorting, signal = simulate_session(
        600.0,
        behavior="position",
        n_units=20,
        tuning="place",
        mean_rate=(5.0, 20.0),
        sampling_rate=50.0,
        random_state=0,
    )
    spikes, (x, y) = counts(sorting, 600.0), binned(signal).T
    visits = np.histogram2d(x, y, bins=6)[0]
    maps = [np.histogram2d(x, y, bins=6, weights=train)[0] / np.maximum(visits, 1) for train in spikes]
    contrast = [np.ptp(field[visits > 30]) / np.mean(field[visits > 30]) for field in maps]
    active = sorting.get_property("mean_rate") > 1
    assert np.median(np.array(contrast)[active]) > 1.5


def test_mean_rates():
    duration = 100.0
    sorting, _ = simulate_session(duration, n_units=300, mean_rate=(2.0, 30.0), random_state=0)
    drawn, measured = sorting.get_property("mean_rate"), counts(sorting, duration, width=duration)[:, 0] / duration
    silent = drawn < 0.02
    assert 0.01 < silent.mean() < 0.12
    assert measured[silent].max() < 0.1
    assert np.all((drawn[~silent] >= 2) & (drawn[~silent] <= 30))
    tolerance = 0.15 * drawn + 5 * np.sqrt(drawn / duration)  # refractoriness, and the noise of a Poisson count
    assert np.all(np.abs(measured - drawn)[~silent] < tolerance[~silent])


def test_only_multi_unit_channels_break_the_refractory_period():
    sorting, _ = simulate_session(60.0, n_units=100, mean_rate=(20.0, 50.0), random_state=0)
    n_neurons = sorting.get_property("n_neurons")
    assert set(n_neurons) == {1, 2, 3, 4}
    trains = [sorting.get_unit_spike_train(unit) for unit in sorting.unit_ids]
    shortest = np.array([np.diff(train, append=[10**9, 2 * 10**9]).min() for train in trains])  # silent units too
    assert shortest[n_neurons == 1].min() >= 29  # frames, 1 ms
    assert np.median(shortest[n_neurons > 1]) < 29


def test_units_lead_and_follow_by_their_lag():
    sorting, signal = simulate_session(
        300.0,
        behavior="heading",
        n_units=20,
        tuning="linear",
        mean_rate=(20.0, 50.0),
        max_lag=1.0,
        drift=0.0,
        sampling_rate=50.0,
        random_state=2,
    )
    spikes, values = counts(sorting, 300.0).astype(float), binned(signal)
    shifts = np.arange(-10, 11)  # bins of 0.1 s; positive: spikes now, behaviour later
    middle = slice(10, len(values) - 10)
    later = [np.roll(values, -shift, axis=0)[middle] for shift in shifts]
    active = sorting.get_property("mean_rate") > 1
    fits = np.array([explained(behavior, spikes[active, middle].T) for behavior in later])
    lags = sorting.get_property("lag")
    assert np.all(np.abs(lags) <= 1)
    assert np.median(np.abs(0.1 * shifts[fits.argmax(axis=0)] - lags[active])) < 0.1


def test_motor_units_lead():
    sorting, _ = simulate_session(2.0, behavior="velocity", n_units=200, random_state=0)
    lags = sorting.get_property("lag")
    assert np.mean(lags > 0) > 0.55
    assert np.all(np.abs(lags) <= 0.3)
    assert np.all(simulate_session(2.0, max_lag=0.0, random_state=0)[0].get_property("lag") == 0)


def test_drift_moves_rates_over_the_session():
    def spread(drift: float) -> float:
        # variation between the quarters of the session
        sorting, _ = simulate_session(
            400.0, behavior="heading", n_units=30, mean_rate=(10.0, 50.0), drift=drift, random_state=0
        )
        spikes = counts(sorting, 400.0, width=100.0)[sorting.get_property("mean_rate") > 1]
        return float(np.median(spikes.std(axis=1) / spikes.mean(axis=1)))

    assert spread(0.5) > 2 * spread(0.0)


def test_it_can_be_aligned():
    sorting, signal = simulate_session(30.0, n_units=10, random_state=0)
    X, y = align(sorting, signal)
    assert len(X) == len(y) > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"behavior": "flying"}, "behavior must be one of 'velocity'.* got 'flying'"),
        ({"duration": 0.0}, "duration must be finite and at least 1, got 0.0"),
        ({"duration": np.inf}, "duration must be"),
        ({"n_units": 0}, "n_units must be a whole number of at least 1, got 0"),
        ({"n_units": 2.5}, "n_units must be"),
        ({"tuning": "sharp"}, "tuning must be one of .*'linear'.* got 'sharp'"),
        ({"tuning": {"sharp": 1.0}}, "tuning must be"),
        ({"tuning": {"linear": -1.0}}, "tuning must be"),
        ({"tuning": {}}, "tuning must be"),
        ({"mean_rate": (5.0, 1.0)}, r"mean_rate must be \(lowest, highest\).* got \(5.0, 1.0\)"),
        ({"mean_rate": (0.0, 1.0)}, "mean_rate must be"),
        ({"mean_rate": 5.0}, "mean_rate must be"),
        ({"max_lag": -0.1}, "max_lag must be finite and at least 0, got -0.1"),
        ({"drift": np.nan}, "drift must be"),
        ({"pace": 0.0}, "pace must be finite and at least 0.1, got 0.0"),
        ({"sampling_rate": 0}, "sampling_rate must be finite and at least 1, got 0"),
    ],
)
def test_bad_values(given, message):
    with pytest.raises(ValueError, match=message):
        simulate_session(**given)
