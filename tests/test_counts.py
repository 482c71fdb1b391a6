"""Counts in: binned counts as a session, rows of counts as samples."""

from __future__ import annotations

import numpy as np
import pytest
import quantities as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.sparse import csr_array

from spikeinterface_poyo import align, from_counts
from spikeinterface_poyo.inputs.counts import check_counts, rows_as_samples

COUNTS = np.array([[1, 0, 2], [0, 0, 0], [0, 3, 0.5]])
TIMES = np.array([0.025, 0.075, 0.125])

matrices = npst.arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.sampled_from([0, 0.5, 1, 7]))


def table(session) -> np.ndarray:
    """Counts of a session again, one row a time at which there is a spike."""
    segment = session.segments[0]
    rows, row = np.unique(segment.spike_times, return_inverse=True)
    out = np.zeros((len(rows), len(session.unit_ids)))
    out[row, segment.unit_index] = segment.weights
    return out


def test_counts_are_weights_at_the_centres_of_bins():
    session = from_counts(COUNTS, TIMES, 0.05)
    segment = session.segments[0]
    np.testing.assert_array_equal(segment.spike_times, [0.025, 0.025, 0.125, 0.125])
    np.testing.assert_array_equal(segment.unit_index, [0, 2, 1, 2])
    np.testing.assert_array_equal(segment.weights, [1, 2, 3, 0.5])
    np.testing.assert_array_equal(session.unit_ids, [0, 1, 2])


def test_columns_of_a_table_are_units():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COUNTS, columns=["c", "a", "b"])
    assert from_counts(frame, TIMES, 0.05).unit_names == ["c", "a", "b"]
    assert from_counts(frame, TIMES, 0.05, unit_ids=[7, 8, 9]).unit_names == ["7", "8", "9"]


def test_columns_of_a_polars_table_are_units():
    pl = pytest.importorskip("polars")
    assert from_counts(pl.DataFrame(COUNTS, schema=["a", "b", "c"]), TIMES, 0.05).unit_ids.tolist() == ["a", "b", "c"]


def test_columns_of_what_pynapple_counts_are_units():
    pynapple = pytest.importorskip("pynapple")
    counts = pynapple.TsGroup({unit: pynapple.Ts(np.arange(0.1, 3, 0.2 + unit / 50)) for unit in (3, 7)}).count(0.5)
    assert from_counts(counts, counts.t, 0.5).unit_names == ["3", "7"]


def test_sparse_counts():
    np.testing.assert_array_equal(table(from_counts(csr_array(COUNTS), TIMES, 0.05)), COUNTS[COUNTS.any(axis=1)])


def test_the_recording_ends_with_the_bins():
    segment = from_counts(COUNTS, TIMES, 0.05).segments[0]
    assert (segment.t_start, segment.t_stop) == pytest.approx((0.0, 0.15))


@given(counts=matrices, seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_bins_come_in_any_order(counts, seed):
    times = np.arange(len(counts)) * 0.05
    order = np.random.default_rng(seed).permutation(len(counts))
    one, other = from_counts(counts, times, 0.05), from_counts(counts[order], times[order], 0.05)
    for name in ("spike_times", "unit_index", "weights"):
        np.testing.assert_array_equal(getattr(one.segments[0], name), getattr(other.segments[0], name))


@given(counts=matrices)
@settings(max_examples=40, deadline=None)
def test_no_count_is_lost(counts):
    session = from_counts(counts, np.arange(len(counts)) * 0.05, 0.05)
    np.testing.assert_array_equal(table(session), counts[counts.any(axis=1)])


def test_times_and_bin_size_with_a_unit_are_rescaled():
    plain, milliseconds = from_counts(COUNTS, TIMES, 0.05), from_counts(COUNTS, TIMES * 1000 * pq.ms, 50 * pq.ms)
    np.testing.assert_allclose(milliseconds.segments[0].spike_times, plain.segments[0].spike_times, rtol=1e-15)
    assert milliseconds.segments[0].t_stop == pytest.approx(plain.segments[0].t_stop)


def test_unit_ids():
    assert from_counts(COUNTS, TIMES, 0.05, unit_ids=["x", "y", "z"]).unit_names == ["x", "y", "z"]
    with pytest.raises(ValueError, match="3 units, but 2 unit_ids"):
        from_counts(COUNTS, TIMES, 0.05, unit_ids=["x", "y"])


@pytest.mark.parametrize(
    ("counts", "times"), [(COUNTS[0], TIMES), (COUNTS, TIMES[:2]), (COUNTS[None], TIMES), (COUNTS, TIMES[:, None])]
)
def test_shapes_that_do_not_fit_are_refused(counts, times):
    with pytest.raises(ValueError, match=r"shapes \(n_bins, n_units\) and \(n_bins,\); got \("):
        from_counts(counts, times, 0.05)


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        (COUNTS * pq.Hz, "counts are in 'Hz'; give plain numbers of spikes"),
        (np.ma.masked_greater(COUNTS, 1), "some are masked"),
        (COUNTS * 1j, "real numbers, got complex"),
        (COUNTS * 1e39, r"at most 3.4e\+38"),
    ],
    ids=["rates", "masked", "complex", "large"],
)
def test_what_would_be_read_as_other_counts_is_refused(counts, match):
    with pytest.raises(ValueError, match=match):
        from_counts(counts, TIMES, 0.05)


def test_counts_without_a_dimension_and_tiny_ones_are_read():
    for unit in (pq.dimensionless, pq.count):
        session = from_counts(COUNTS * unit, TIMES, 0.05)
        np.testing.assert_array_equal(table(session), table(from_counts(COUNTS, TIMES, 0.05)))
    assert len(from_counts(np.full((3, 2), 1e-60), TIMES[:3], 0.05).segments[0].spike_times) == 0  # none in float32


@pytest.mark.parametrize("counts", [COUNTS * pq.Hz, np.ma.masked_greater(COUNTS, 1)], ids=["rates", "masked"])
def test_rows_that_would_be_read_as_other_counts_are_refused(counts, small_decoder):
    with pytest.raises(ValueError, match=r"counts are in 'Hz'|some are masked"):
        small_decoder().fit(counts, np.arange(len(counts)))


def test_one_bin_size_is_for_all():
    with pytest.raises(ValueError, match=r"one number of seconds, got an array of shape \(2,\)"):
        from_counts(COUNTS, TIMES, [0.05, 0.06])


@pytest.mark.parametrize("bin_size", [0, -0.05, np.nan, np.inf])
def test_bin_sizes_that_make_no_sense_are_refused(bin_size):
    with pytest.raises(ValueError, match="bin_size must be a positive number of seconds"):
        from_counts(COUNTS, TIMES, bin_size)


def test_where_bins_are_missing_nothing_was_recorded():
    times = np.concatenate(
        [np.arange(0.05, 5, 0.1), np.arange(9.05, 20, 0.1), [25.0]]
    )  # further than a second from any
    order = np.random.default_rng(0).permutation(len(times))
    session = from_counts(np.ones((len(times), 2)), times[order], 0.1)
    (segment,) = session.segments
    np.testing.assert_allclose(segment.periods, [[0, 5], [9, 20], [24.95, 25.05]], rtol=0, atol=1e-9)
    behavior = np.arange(0, 25, 0.5)
    with pytest.warns(UserWarning, match=r"8 of 50 .* between their 3 periods, and are left out"):
        X, y = align(session, (behavior, behavior))
    np.testing.assert_array_equal(
        y, behavior[(behavior <= 6) | ((behavior >= 8) & (behavior <= 21)) | (behavior >= 23.95)]
    )
    np.testing.assert_array_equal(X.times, y)
    whole = from_counts(np.ones((3, 2)), [0.0, 1.0, 3.1], 0.1)
    assert len(whole.segments[0].periods) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_counts_and_times_must_be_finite(bad):
    with pytest.raises(ValueError, match="counts must be finite"):
        from_counts([[bad]], [0.0], 0.05)
    with pytest.raises(ValueError, match="finite"):
        from_counts([[1.0]], [bad], 0.05)


def test_negative_counts_are_refused_with_the_smallest():
    with pytest.raises(ValueError, match=r"Negative values.*smallest is -3"):
        from_counts(-COUNTS, TIMES, 0.05)
    with pytest.raises(ValueError, match="Negative values"):
        check_counts(np.array([[-1.0]]))


def test_all_zero_counts_are_an_empty_sorting():
    with pytest.raises(ValueError, match="none of its 3 units has a spike"):
        align(from_counts(np.zeros((3, 3)), TIMES, 0.05), (TIMES, TIMES))


def test_rows_stand_by_themselves():
    X = rows_as_samples(COUNTS)
    assert X.shape == (3,)
    assert X.sessions[0].isolated_rows
    np.testing.assert_array_equal(table(X.sessions[0]), COUNTS[[0, 2]])
    assert np.diff(X.times).min() >= 100  # seconds: further than any window


def test_a_row_predicts_the_same_whatever_rows_are_beside_it(small_decoder):
    rng = np.random.default_rng(0)
    counts = rng.poisson(2, (60, 4)).astype(float)
    decoder = small_decoder(early_stopping=False).fit(counts, counts @ rng.normal(size=4))
    together = decoder.predict(counts)
    assert np.ptp(together) > 0
    alone = np.concatenate([decoder.predict(row[None]) for row in counts[:5]])
    np.testing.assert_allclose(alone, together[:5], rtol=0, atol=1e-5 * together.std())
    np.testing.assert_allclose(decoder.predict(counts[::-1]), together[::-1], rtol=0, atol=1e-5 * together.std())
