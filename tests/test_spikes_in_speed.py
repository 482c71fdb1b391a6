"""Spikes of a large sorting are read quickly."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import numpy as np
from spikeinterface.core import NumpySorting
from spikeinterface.core.base import minimum_spike_dtype

from spikeinterface_poyo.inputs.spikes_in import as_session

N_UNITS, N_SPIKES, DURATION, RATE = 200, 3_600_000, 1800, 30_000.0


def large_sorting() -> NumpySorting:
    rng = np.random.default_rng(0)
    spikes = np.zeros(N_SPIKES, dtype=minimum_spike_dtype)
    spikes["sample_index"] = np.sort(rng.integers(0, int(DURATION * RATE), N_SPIKES))
    spikes["unit_index"] = rng.integers(0, N_UNITS, N_SPIKES)
    return NumpySorting(spikes, RATE, unit_ids=np.arange(N_UNITS))


def test_half_an_hour_of_200_units_is_read_in_a_moment():
    seconds = []
    for _ in range(3):
        sorting = large_sorting()  # fresh: SpikeInterface keeps trains once a unit was asked for
        start = perf_counter()
        session = as_session(sorting)
        seconds.append(perf_counter() - start)
    assert len(session.segments[0].spike_times) == N_SPIKES
    assert np.all(np.diff(session.segments[0].spike_times) >= 0)
    assert median(seconds) < 1.5  # about 0.3 s, and room for a busy machine
