"""`BinnedCounts`: every count is what a slow, obvious loop counts, and the step is one of scikit-learn's own kind."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from spikeinterface.core import NumpySorting

from spikeinterface_poyo import BinnedCounts, BlockedKFold, SelectUnits, SpikeSamples, align, from_counts
from spikeinterface_poyo.sessions.session import Segment, Session
from spikeinterface_poyo.sessions.stored_spikes import StoredTimes

rules = settings(max_examples=60, deadline=None)


def segment(rng: np.random.Generator, weighted: bool) -> Segment:
    """40 spikes of 3 units at multiples of a sixteenth, which is exact, so that many lie on the edges of bins."""
    times = np.sort(rng.integers(0, 160, 40)) / 16
    weights = rng.integers(0, 5, 40).astype(np.float32) / 4 if weighted else None
    return Segment(times, rng.integers(0, 3, 40, dtype=np.int32), 0.0, 10.0, weights)


@st.composite
def samples(draw) -> SpikeSamples:
    """Samples of two segments, in any order, some of them equal, some outside the recording."""
    rng, n = np.random.default_rng(draw(st.integers(0, 10**6))), draw(st.integers(1, 12))
    session = Session(np.array(["a", "b", "c"]), tuple(segment(rng, draw(st.booleans())) for _ in range(2)))
    times = draw(st.lists(st.integers(-8, 170), min_size=n, max_size=n))
    return SpikeSamples([session], np.zeros(n), rng.integers(0, 2, n), np.array(times) / 16)


def counted(X: SpikeSamples, bin_size: float, lags: list[int], causal: bool) -> np.ndarray:
    """What to expect, by a loop; exact where bins are a power of two."""
    out = np.zeros((len(X), 3, len(lags)))
    for row, (time, index) in enumerate(zip(X.times, X.segment_index, strict=True)):
        spikes = X.sessions[0].segments[index]
        weights = np.ones(len(spikes.spike_times)) if spikes.weights is None else spikes.weights
        for column, lag in enumerate(lags):
            end = time + (lag if causal else lag + 0.5) * bin_size
            inside = (spikes.spike_times > end - bin_size) & (spikes.spike_times <= end)
            for unit in range(3):
                out[row, unit, column] = weights[inside & (spikes.unit_index == unit)].sum(dtype=np.float64)
    return out.reshape(len(X), -1)


@given(X=samples(), bin_size=st.sampled_from([0.125, 0.25, 1.0]), lags=st.sets(st.integers(-5, 0), min_size=1),
       causal=st.booleans())  # fmt: skip
@rules
def test_counts_are_what_a_loop_counts(X, bin_size, lags, causal):
    lags = list(lags) if causal else [*lags, 1, 3]
    found = BinnedCounts(bin_size, lags, causal=causal).fit_transform(X)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, counted(X, bin_size, lags, causal))


@given(X=samples(), causal=st.booleans())
@rules
def test_smoothing_weighs_neighbouring_bins(X, causal):
    bins = np.arange(-12, 1 if causal else 13)
    wide = BinnedCounts(0.25, list(bins), causal=causal).fit_transform(X).reshape(len(X), 3, -1)
    smooth = BinnedCounts(0.25, [-3, 0], smoothing=0.5, causal=causal).fit_transform(X).reshape(len(X), 3, -1)
    for column, lag in enumerate([-3, 0]):
        weight = np.where(abs(bins - lag) <= 8, np.exp(-0.5 * ((bins - lag) * 0.25 / 0.5) ** 2), 0)
        np.testing.assert_allclose(smooth[..., column], wide @ weight / weight.sum(), rtol=0, atol=1e-12)


@given(X=samples(), smoothing=st.sampled_from([0.0, 0.3]), bin_size=st.sampled_from([0.05, 0.125, 0.3]))
@rules
def test_causal_counts_nothing_later_than_the_sample(X, smoothing, bin_size):
    step = BinnedCounts(bin_size, 4, smoothing, causal=True)
    for row in range(len(X)):
        one, session = X[row], X.sessions[0]
        cut = []
        for whole in session.segments:
            past = whole.spike_times <= one.times[0]
            weights = None if whole.weights is None else whole.weights[past]
            cut.append(Segment(whole.spike_times[past], whole.unit_index[past], 0.0, 10.0, weights))
        blind = SpikeSamples([Session(session.unit_ids, tuple(cut))], [0], one.segment_index, one.times)
        np.testing.assert_array_equal(step.fit_transform(one), step.fit_transform(blind))


@given(X=samples(), pick=st.integers(0, 100))
@rules
def test_a_samples_counts_do_not_depend_on_the_others(X, pick):
    step = BinnedCounts(0.05, 3, smoothing=0.1).fit(X)
    np.testing.assert_allclose(step.transform(X[pick % len(X)])[0], step.transform(X)[pick % len(X)], atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_rounding_moves_no_count_of_a_grid_to_another_bin(causal):
    # samples lie at the bins' centres, where causal bins end; k * 0.1 - 0.1 is often not (k - 1) * 0.1
    times = 1e4 + np.arange(500) * 0.1
    counts = np.random.default_rng(0).poisson(2.0, (500, 2)).astype(float)
    X, _ = align(from_counts(counts, times, 0.1), (times, times))
    found = BinnedCounts(0.1, [-2, -1, 0], causal=causal).fit_transform(X)[2:].reshape(-1, 2, 3)
    np.testing.assert_array_equal(found, np.stack([counts[:-2], counts[1:-1], counts[2:]], axis=2))


def test_a_causal_bin_ends_at_the_sample_to_the_bit():
    X, _ = align({"a": [1.0, np.nextafter(2.0, 3.0), 3.0]}, ([2.0], [0.0]))
    assert BinnedCounts(0.05, lags=[0], causal=True).fit_transform(X) == 0


@pytest.fixture(scope="module")
def simulated(simulate) -> tuple[SpikeSamples, np.ndarray]:
    made = simulate(n_units=4)
    return align(made.spikes, made.behavior)


def test_lags_as_a_number(simulated):
    X = simulated[0]
    assert BinnedCounts(lags=2).fit(X).lags_.tolist() == [-2, -1, 0, 1, 2]
    assert BinnedCounts(lags=2, causal=True).fit(X).lags_.tolist() == [-2, -1, 0]
    assert BinnedCounts(lags=0).fit(X).lags_.tolist() == [0]


def test_columns_have_names(simulated):
    pd = pytest.importorskip("pandas")
    X = simulated[0][:7]
    step = BinnedCounts(lags=1).fit(X)
    assert step.get_feature_names_out()[:4].tolist() == ["u0_lag-1", "u0_lag+0", "u0_lag+1", "u1_lag-1"]
    assert step.n_features_out_ == len(step.get_feature_names_out()) == step.transform(X).shape[1] == 12
    frame = clone(step).set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(step.get_feature_names_out())
    np.testing.assert_array_equal(frame.to_numpy(), step.transform(X))


def test_pandas_through_a_pipeline_that_selects_units(simulated):
    pytest.importorskip("pandas")
    steps = make_pipeline(SelectUnits(ids=["u1"]), BinnedCounts(lags=0)).set_output(transform="pandas")
    assert list(steps.fit_transform(simulated[0]).columns) == ["u1_lag+0"]


def test_cross_validation_reads_what_the_decoder_reads(simulated):
    X, y = simulated
    pipeline = make_pipeline(BinnedCounts(lags=5), Ridge())
    scores = cross_val_score(pipeline, X, y, cv=BlockedKFold(5, gap=2.0))
    assert scores.min() > 0.6
    assert cross_val_score(make_pipeline(BinnedCounts(lags=0), Ridge()), X, y, cv=BlockedKFold(5, gap=2.0)).mean() < (
        scores.mean() - 0.1
    )


def test_grid_search_over_lags_and_bin_size(simulated):
    X, y = simulated
    grid = {"binnedcounts__lags": [0, [-8, 0, 8], 5], "binnedcounts__bin_size": [0.02, 0.1]}
    search = GridSearchCV(make_pipeline(BinnedCounts(), Ridge()), grid, cv=BlockedKFold(3, gap=1.0)).fit(X, y)
    assert search.best_params_ == {"binnedcounts__lags": 5, "binnedcounts__bin_size": 0.1}


def test_on_the_recording_that_ships_it_decodes(mouse):
    X, y = align(*mouse)
    scores = cross_val_score(make_pipeline(BinnedCounts(0.1, 5, 0.1), Ridge(10.0)), X, y, cv=BlockedKFold(3, gap=2.0))
    assert scores.min() > 0.6


def test_pickle_and_clone(simulated):
    X = simulated[0]
    step = BinnedCounts(0.1, 3, 0.2, causal=True).fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(step)).transform(X), step.transform(X))
    assert clone(step).get_params() == step.get_params()
    with pytest.raises(NotFittedError):
        clone(step).transform(X)


# What scikit-learn checks of estimators that read no table, for which its suite as a whole does nothing.
CHECKS: list[Callable] = [
    estimator_checks.check_estimator_cloneable, estimator_checks.check_estimator_repr,
    estimator_checks.check_get_params_invariance, estimator_checks.check_set_params,
    estimator_checks.check_no_attributes_set_in_init, estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_valid_tag_types, estimator_checks.check_mixin_order,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scikit_learns_checks_that_need_no_table(check):
    check("BinnedCounts", BinnedCounts())


def test_units_are_found_by_name():
    both = {"a": [1.0], "b": [2.0, 2.01]}
    behaviour = ([1.0, 2.0], [0.0, 0.0])
    step = BinnedCounts(lags=0).fit(align(both, behaviour)[0])
    swapped = align({"b": both["b"], "a": both["a"]}, behaviour)[0]
    np.testing.assert_array_equal(step.transform(swapped), [[1, 0], [0, 2]])
    with pytest.warns(UserWarning, match=r"lacks units \['a'\] that were there at fit; they count zero"):
        np.testing.assert_array_equal(step.transform(align({"b": both["b"]}, behaviour)[0]), [[0, 0], [0, 2]])
    with pytest.raises(ValueError, match=r"has units \['c'\] that were not there at fit \(known: \['a', 'b'\]\)"):
        step.transform(align({**both, "c": [1.5]}, behaviour)[0])


def test_several_sessions_are_refused_but_each_by_itself_is_not():
    behaviour = (np.arange(4.0), np.arange(4.0))
    X, _ = align([{"a": [0.0, 1.0, 3.0]}, {"a": [0.0, 2.0, 3.0]}], [behaviour, behaviour], session_id=["mon", "tue"])
    with pytest.raises(ValueError, match=r"samples of one session.*got \['mon', 'tue'\].*X\[X.session_ids == 'mon'\]"):
        BinnedCounts().fit(X)
    step = BinnedCounts(lags=0).fit(X[X.session_ids == "tue"])
    np.testing.assert_array_equal(step.transform(pickle.loads(pickle.dumps(X[4:]))), [[1], [0], [1], [1]])
    with pytest.raises(ValueError, match="session 'mon' was not seen by fit, which saw 'tue'"):
        step.transform(X[:4])
    unnamed, _ = align({"a": [0.0, 3.0]}, behaviour)
    np.testing.assert_array_equal(step.transform(unnamed), [[1], [0], [0], [1]])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bin_size": 0.0}, "bin_size must be a positive number of seconds, got 0.0"),
        ({"bin_size": "50 ms"}, "bin_size must be a positive number of seconds, got '50 ms'"),
        ({"smoothing": np.nan}, "smoothing must be zero or more seconds, got nan"),
        ({"lags": -1}, "lags must be a number of bins, zero or more, or a sequence; got -1"),
        ({"lags": [0.5]}, r"different integers; got \[0.5\]"),
        ({"lags": [1, 1]}, r"different integers; got \[1, 1\]"),
        ({"lags": []}, r"different integers; got \[\]"),
        (
            {"lags": [-1, 1], "causal": True},
            r"no lag may lie after the sample, above 0; got \[-1, 1\]",
        ),
    ],
)
def test_parameters_out_of_range_are_refused(simulated, parameters, message):
    with pytest.raises(ValueError, match=message):
        BinnedCounts(**parameters).fit(simulated[0])


def test_what_has_no_times_is_refused(simulated):
    with pytest.raises(TypeError, match=r"SpikeSamples of align\(sorting, behavior\).*got ndarray"):
        BinnedCounts().fit(np.zeros((3, 2)))
    with pytest.raises(TypeError, match="got dict"):
        BinnedCounts().fit(simulated[0]).transform({"a": [1.0]})
    with pytest.raises(ValueError, match="at least one sample; X has 0"):
        BinnedCounts().fit(simulated[0][:0])
    assert BinnedCounts(lags=0).fit(simulated[0]).transform(simulated[0][:0]).shape == (0, 4)


def test_spikes_on_disk_are_counted_without_being_read_through(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    units = {str(u): np.sort(rng.integers(0, 300_000, 2000)) for u in range(3)}
    sorting = NumpySorting.from_unit_dict([units], 1000.0)
    sorting.save(folder=tmp_path / "sorting")
    behavior = (np.arange(10.0, 20.0, 0.1), np.arange(100.0))
    (X, _), (Y, _) = align(sorting, behavior), align(tmp_path / "sorting", behavior)
    expected = BinnedCounts().fit(X).transform(X)
    binned = BinnedCounts().fit(Y)
    asked = []
    taken = StoredTimes.__getitem__
    monkeypatch.setattr(StoredTimes, "__getitem__", lambda self, index: asked.append(index) or taken(self, index))
    np.testing.assert_array_equal(binned.transform(Y), expected)
    assert slice(None) not in asked
