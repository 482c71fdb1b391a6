"""Times of any kind as seconds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import quantities as pq

from spikeinterface_poyo import align
from spikeinterface_poyo.inputs.overlap import grid_samples
from spikeinterface_poyo.inputs.seconds import as_seconds
from spikeinterface_poyo.inputs.spikes_in import as_session


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_time_differences(unit):
    steps = {"ns": 1_000_000_000, "us": 1_000_000, "ms": 1000, "s": 1}[unit]
    given = (np.array([0, 3, 60]) * steps).astype(f"timedelta64[{unit}]")
    np.testing.assert_array_equal(as_seconds(given), [0.0, 3.0, 60.0])


def test_time_differences_of_pandas():
    pd = pytest.importorskip("pandas")
    np.testing.assert_array_equal(as_seconds(pd.to_timedelta([0.0, 1.234], unit="s")), [0.0, 1.234])


def test_time_differences_of_the_standard_library():
    np.testing.assert_array_equal(as_seconds([timedelta(seconds=3), timedelta(minutes=1)]), [3.0, 60.0])


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (np.array(["2020-01-01"], dtype="datetime64[s]"), "dates on the clock"),
        ([datetime(2020, 1, 1, tzinfo=timezone.utc)], "dates on the clock"),
        (np.array([False, True]), "truth values"),
        (np.ma.masked_less([-1.0, 1.0], 0), "some are masked"),
        ([1.0, 2 * pq.ms], "some of the times have a unit"),
        ([2 * pq.ms, 1.0], "some of the times have a unit"),
    ],
)
def test_what_cannot_be_compared_with_spike_times_is_refused(times, words):
    with pytest.raises(ValueError, match=words):
        as_seconds(times)


@pytest.mark.parametrize("far", [2e12, -1e300])
def test_times_that_no_clock_counts_in_seconds_are_refused(far):
    spikes = {"a": np.array([1.0, 2.0, 3.0])}
    with pytest.raises(ValueError, match="spike times must be seconds; they lie up to"):
        align({"a": spikes["a"] + far}, (spikes["a"] + far, spikes["a"]))
    with pytest.raises(ValueError, match="1 of them NaN, infinite or beyond 1e"):
        grid_samples([as_session(spikes)], [1.0, far])


def test_a_masked_array_without_masked_times_will_do():
    np.testing.assert_array_equal(as_seconds(np.ma.masked_less([0.0, 1.0], 0)), [0.0, 1.0])


@pytest.mark.parametrize(("unit", "seconds"), [(pq.ms, 1e-3), (pq.us, 1e-6), (pq.min, 60.0), (pq.ns, 1e-9)])
def test_units_of_time_are_exact(unit, seconds):
    given = np.arange(5000)
    wanted = given * seconds if seconds >= 1 else given / round(1 / seconds)
    np.testing.assert_array_equal(as_seconds(given * unit), wanted)


def test_a_unit_that_is_no_whole_part_of_a_second():
    frame = pq.UnitTime("frame", 0.7 * pq.s)
    np.testing.assert_allclose(as_seconds(np.array([3600]) * frame), [2520.0], rtol=1e-12)
