"""Input that cannot be decoded: refused with words that help, before any training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from time import perf_counter

import neo
import numpy as np
import pytest
import quantities as pq
from sklearn.metrics import r2_score
from spikeinterface.core import NumpySorting

from spikeinterface_poyo import BinnedCounts, POYODecoder, align, from_counts

pytestmark = pytest.mark.usefixtures("brief_training")

DURATION = 20.0
TIMES = np.arange(0, DURATION, 0.1)
VALUES = np.sin(TIMES)
NO_SPIKES = np.array([], dtype=int)


def make_spikes(seed: int = 0, units=("a", "b", "c")) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {unit: np.sort(rng.uniform(0, DURATION, 200)) for unit in units}


SPIKES = make_spikes()
BEHAVIOUR = (TIMES, VALUES)


@pytest.fixture
def decoder(small_decoder) -> POYODecoder:
    """Unfitted; training it would take minutes."""
    return small_decoder(max_iter=5000, early_stopping=False)


@pytest.fixture(scope="module")
def fitted(small_decoder) -> POYODecoder:
    return small_decoder(early_stopping=False).fit(SPIKES, BEHAVIOUR)


@pytest.fixture(scope="module")
def fitted_on_two(small_decoder) -> POYODecoder:
    sessions = [SPIKES, make_spikes(1)]
    return small_decoder(early_stopping=False).fit(sessions, [BEHAVIOUR] * 2, session_id=["monday", "tuesday"])


@contextmanager
def refused(match: str, error: type[Exception] = ValueError) -> Iterator[None]:
    """The block raises ``error`` with words that match, at once."""
    start = perf_counter()
    with pytest.raises(error, match=match):
        yield
    assert perf_counter() - start < 3


def is_fitted(decoder: POYODecoder) -> bool:
    return hasattr(decoder, "network_")


class TestUnitsOfTargets:
    def test_targets_are_rescaled_to_those_of_the_samples(self, small_decoder):
        X, y = align(SPIKES, (TIMES, VALUES * pq.m))
        plain, scaled = (small_decoder().fit(X, given) for given in (y, y * 100 * pq.cm))
        assert scaled.sessions_.readouts["behavior"].units == "m"
        np.testing.assert_allclose(scaled.predict(X), plain.predict(X), atol=1e-5)
        assert scaled.score(X, y * 100 * pq.cm) == pytest.approx(scaled.score(X, y))

    def test_targets_by_name_are_rescaled(self, small_decoder):
        X, y = align(SPIKES, {"x": (TIMES, VALUES * pq.m)})
        fitted = small_decoder().fit(X, {"x": y["x"] * 100 * pq.cm})
        assert fitted.score(X, y) == pytest.approx(fitted.score(X, {"x": y["x"] * 1000 * pq.mm}))

    def test_those_of_counts_are_their_own(self, small_decoder):
        counts = np.random.default_rng(0).poisson(2.0, (200, 3))
        fitted = small_decoder().fit(counts, VALUES * pq.m)
        assert fitted.sessions_.readouts["behavior"].units == "m"
        assert fitted.score(counts, VALUES * 100 * pq.cm) == pytest.approx(fitted.score(counts, VALUES))

    @pytest.mark.parametrize("unit", [None, pq.m])
    def test_those_that_do_not_fit_are_refused(self, decoder, unit):
        X, y = align(SPIKES, (TIMES, VALUES if unit is None else VALUES * unit))
        with refused("none" if unit is None else "cannot be converted to 'm'"):
            decoder.fit(X, y * pq.s)

    def test_masked_targets_are_unknown(self, small_decoder):
        X, y = align(SPIKES, BEHAVIOUR)
        hidden = np.arange(len(y)) % 7 == 0
        masked = np.ma.array(np.where(hidden, -999.0, y), mask=hidden)
        fitted = [small_decoder().fit(X, given) for given in (masked, np.where(hidden, np.nan, y))]
        np.testing.assert_array_equal(*(one.predict(X) for one in fitted))


class TestTime:
    def test_no_overlap_names_both_ranges(self, decoder):
        with refused(
            r"do not overlap in time: the spikes span 0\.\d+ to 19\.\d+ s, the behaviour 100\.000 to 119\.900 s"
        ):
            decoder.fit(SPIKES, (TIMES + 100, VALUES))
        assert not is_fitted(decoder)

    def test_no_overlap_at_predict_and_score(self, fitted):
        with refused(r"do not overlap in time: .* the times 500\.000 to 501\.000 s"):
            fitted.predict(SPIKES, times=[500.0, 501.0])
        with refused("do not overlap in time"):
            fitted.score(SPIKES, (TIMES + 100, VALUES))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_spike_times_that_are_not_finite(self, decoder, bad):
        given = SPIKES | {"b": np.append(SPIKES["b"], [bad, bad])}
        with refused(r"spike times must be finite; 2 are NaN or infinite, in unit\(s\) \['b'\]"):
            decoder.fit(given, BEHAVIOUR)

    def test_spike_times_that_are_not_finite_in_neo_and_nwb(self, decoder):
        trains = [neo.SpikeTrain([1.0, np.nan], units="s", t_stop=DURATION, name="a")]
        with refused(r"must be finite.*\['a'\]"):
            decoder.fit(trains, BEHAVIOUR)
        pynwb = pytest.importorskip("pynwb")
        start = datetime(2020, 1, 1, tzinfo=timezone.utc)
        file = pynwb.NWBFile(session_description="x", identifier="x", session_start_time=start)
        file.add_unit(spike_times=[1.0, np.nan])
        with refused(r"must be finite.*\['0'\]"):
            decoder.fit(file, BEHAVIOUR)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_behaviour_times_that_are_not_finite(self, decoder, bad):
        times = TIMES.copy()
        times[3] = bad
        with refused("behaviour times must be finite; 1 are NaN or infinite"):
            decoder.fit(SPIKES, (times, VALUES))

    def test_a_window_longer_than_the_recording(self, decoder):
        with refused(r"window_length=30\.0 s is longer than the longest recording, (19|20)\.\d+ s"):
            decoder.set_params(window_length=30.0).fit(SPIKES, BEHAVIOUR)

    def test_one_signal_for_several_segments(self, decoder):
        frames = {u: (t * 1000).astype(int) for u, t in SPIKES.items()}
        sorting = NumpySorting.from_unit_dict([frames, frames], 1000.0)
        with refused(r"a sorting of 2 segment\(s\) needs a list of 2 behaviour signal\(s\).*; got 1"):
            decoder.fit(sorting, BEHAVIOUR)

    def test_targets_that_were_irregular_need_times(self, small_decoder):
        times = np.sort(np.random.default_rng(0).uniform(0, DURATION, 200))
        decoder = small_decoder(early_stopping=False).fit(SPIKES, (times, np.sin(times)))
        with refused("had no regular interval at fit, .* give times="):
            decoder.predict(SPIKES)

    def test_times_of_samples_are_their_own(self, fitted):
        X, _ = align(SPIKES, BEHAVIOUR)
        with refused("SpikeSamples have their own times"):
            fitted.predict(X, times=[1.0])


class TestSpikes:
    @pytest.mark.parametrize(
        "empty",
        [
            {},
            NumpySorting.from_unit_dict([{}], 1000.0),
            neo.Segment(),
            from_counts(np.zeros((0, 0)), [], 0.05),
        ],
        ids=["dict", "SpikeInterface", "neo", "counts"],
    )
    def test_no_units(self, decoder, empty):
        with refused("the sorting is empty: it has no units"):
            decoder.fit(empty, BEHAVIOUR)

    @pytest.mark.parametrize(
        "empty",
        [
            {"a": [], "b": []},
            NumpySorting.from_unit_dict([{"a": NO_SPIKES, "b": NO_SPIKES}], 1000.0),
            [neo.SpikeTrain([], units="s", t_stop=DURATION) for _ in range(2)],
            from_counts(np.zeros((200, 2)), TIMES, 0.1),
        ],
        ids=["dict", "SpikeInterface", "neo", "counts"],
    )
    def test_no_spikes(self, decoder, empty):
        with refused("the sorting is empty: none of its 2 units has a spike"):
            decoder.fit(empty, BEHAVIOUR)

    def test_a_spike_in_another_age(self, fitted):
        with refused(r"'session_0' lies from 0.* to 1e\+12 s, 1e\+13 samples; leave out spikes far from the others"):
            fitted.predict({unit: [0.0, 1e12] for unit in SPIKES})
        with refused(r"must be seconds; they lie up to 1e\+308"):
            fitted.predict({unit: [0.0, 1e308] for unit in SPIKES})

    def test_which_of_several_sessions_is_told(self, decoder):
        with refused("the sorting of session 'b' is empty: none of its 1 units has a spike"):
            decoder.fit([SPIKES, {"u": []}], [BEHAVIOUR, BEHAVIOUR], session_id=["a", "b"])
        with refused(r"session 1: spike times must be finite"):
            decoder.fit([SPIKES, {"u": [np.nan]}], [BEHAVIOUR, BEHAVIOUR])

    def test_units_without_spikes_are_kept(self, small_decoder):
        decoder = small_decoder(early_stopping=False).fit(SPIKES | {"silent": []}, BEHAVIOUR)
        known = decoder.sessions_.sessions["session_0"]
        assert (known.unit_names, known.silent_units) == (["a", "b", "c"], ["silent"])
        without = decoder.predict(SPIKES, TIMES)
        assert np.isfinite(without).all()
        for spikes in ([], [5.0]):
            np.testing.assert_array_equal(decoder.predict(SPIKES | {"silent": spikes}, TIMES), without)

    def test_other_unit_ids_than_at_fit(self, fitted):
        with refused(
            r"session 'session_0' has units \['y', 'z'\] that were not there at fit \(known: \['a', 'b', 'c'\]"
        ):
            fitted.predict(SPIKES | {"y": [1.0], "z": [2.0]}, TIMES)
        with refused("not there at fit"):
            fitted.score({"z": SPIKES["a"]}, BEHAVIOUR)

    def test_units_that_are_missing_are_a_warning(self, fitted):
        fewer = {unit: SPIKES[unit] for unit in ("a", "c")}
        with pytest.warns(UserWarning, match=r"lacks units \['b'\] that were there at fit") as at_predict:
            predictions = fitted.predict(fewer, TIMES)
        assert np.isfinite(predictions).all()
        with pytest.warns(UserWarning, match="lacks units") as at_score:
            fitted.score(fewer, BEHAVIOUR)
        assert [warning.filename for warning in (*at_predict, *at_score)] == [__file__, __file__]

    @pytest.mark.parametrize("given", [5, "recording.nwb", None])
    def test_no_sorting_at_all(self, decoder, given):
        with refused(r"(?i)(array|sorting)", error=(ValueError, TypeError)):
            decoder.fit(given, BEHAVIOUR)


class TestUnitsOfMeasure:
    def test_incompatible_at_fit(self, decoder):
        signals = [(TIMES, VALUES * pq.cm), (TIMES, VALUES * pq.s)]
        with refused("behaviour of session_1 is in 's', which cannot be converted to 'cm'"):
            decoder.fit([SPIKES, SPIKES], signals)

    @pytest.mark.parametrize("first", [0, 1])
    def test_missing_at_fit(self, decoder, first):
        signals = [(TIMES, VALUES * pq.cm), (TIMES, VALUES)]
        with refused("behaviour of session_1 has .*; give all signals with units, or none"):
            decoder.fit([SPIKES, SPIKES], [signals[first], signals[1 - first]])

    def test_dimensionless_where_others_have_a_unit(self, decoder):
        signals = [(TIMES, VALUES * pq.cm), (TIMES, VALUES * pq.dimensionless)]
        with refused("is in 'dimensionless', which cannot be converted to 'cm'"):
            decoder.fit([SPIKES, SPIKES], signals)

    def test_incompatible_at_score(self, small_decoder):
        decoder = small_decoder(early_stopping=False).fit(SPIKES, (TIMES, VALUES * pq.cm))
        with refused("behaviour given is in 's', which cannot be converted to 'cm'"):
            decoder.score(SPIKES, (TIMES, VALUES * pq.s))
        metres = decoder.score(SPIKES, (TIMES, VALUES / 100 * pq.m))
        assert metres == pytest.approx(decoder.score(SPIKES, (TIMES, VALUES * pq.cm)), abs=1e-9)

    @pytest.mark.parametrize("unit", [pq.cm, pq.dimensionless])
    def test_times_in_no_unit_of_time(self, decoder, unit):
        with refused("times must be in a unit of time such as s or ms"):
            decoder.fit(SPIKES, (TIMES * unit, VALUES))
        with refused("times must be in a unit of time such as s or ms"):
            decoder.fit({"a": SPIKES["a"] * unit}, BEHAVIOUR)


class TestTargets:
    def test_of_another_length(self, decoder):
        X, y = align(SPIKES, BEHAVIOUR)
        with refused("X has 200 samples, y has 199"):
            decoder.fit(X, y[:-1])
        with refused(r"got \(200,\) and \(199,\)"):
            decoder.fit(SPIKES, (TIMES, VALUES[:-1]))
        with refused(r"(?i)samples"):
            decoder.fit(np.ones((20, 3)), np.ones(19))

    def test_all_nan(self, decoder):
        with refused(r"y must hold known values; output\(s\) \[0\] are all NaN"):
            decoder.fit(SPIKES, (TIMES, np.full(200, np.nan)))

    def test_one_output_all_nan(self, decoder):
        with refused(r"output\(s\) \[1\] are all NaN"):
            decoder.fit(SPIKES, (TIMES, np.column_stack([VALUES, np.full(200, np.nan)])))

    def test_infinite(self, decoder):
        with refused("y contains infinity"):
            decoder.fit(SPIKES, (TIMES, np.append(VALUES[:-1], np.inf)))
        with refused("'a' must be finite or NaN; 1 values are infinite"):
            decoder.fit(SPIKES, {"a": (TIMES, np.append(VALUES[:-1], np.inf))})

    def test_none(self, decoder):
        with refused("y is None"):
            decoder.fit(align(SPIKES, BEHAVIOUR)[0], None)

    def test_no_behaviour(self, decoder):
        with refused("cannot read behaviour from 'NoneType'", error=TypeError):
            decoder.fit(SPIKES, None)

    def test_of_three_dimensions(self, decoder):
        X, y = align(SPIKES, BEHAVIOUR)
        with refused(r"(?i)shape|dim"):
            decoder.fit(X, y[:, None, None])

    def test_no_samples(self, decoder):
        X, y = align(SPIKES, BEHAVIOUR)
        with refused("0 sample"):
            decoder.fit(X[:0], y[:0])


class TestOrderOfSamples:
    """Unsorted and duplicated times are no mistake."""

    def test_training(self, small_decoder):
        order = np.random.default_rng(0).permutation(len(TIMES))
        one, other = (small_decoder(early_stopping=False) for _ in range(2))
        one.fit(SPIKES, BEHAVIOUR)
        other.fit(SPIKES, (TIMES[order], VALUES[order]))
        scale = np.ptp(one.predict(SPIKES, TIMES))
        np.testing.assert_allclose(other.predict(SPIKES, TIMES), one.predict(SPIKES, TIMES), rtol=0, atol=1e-4 * scale)

    def test_duplicates_train(self, small_decoder):
        twice = np.repeat(TIMES, 2), np.repeat(VALUES, 2)
        assert np.isfinite(small_decoder().fit(SPIKES, twice).predict(SPIKES, TIMES)).all()

    def test_prediction(self, fitted):
        expected = fitted.predict(SPIKES, TIMES)
        order = np.random.default_rng(0).integers(0, len(TIMES), 300)
        scale = np.ptp(expected)
        np.testing.assert_allclose(fitted.predict(SPIKES, TIMES[order]), expected[order], rtol=0, atol=1e-4 * scale)


class TestSessions:
    def test_unknown(self, fitted):
        with refused(r"unknown session\(s\) \['friday'\]; the decoder was fitted on \['session_0'\]"):
            fitted.predict(SPIKES, TIMES, session_id="friday")
        with refused(r"unknown session\(s\) \['friday'\]"):
            fitted.score(SPIKES, BEHAVIOUR, session_id="friday")

    def test_unnamed_where_several_are_known(self, fitted_on_two):
        for action in (lambda: fitted_on_two.predict(SPIKES, TIMES), lambda: fitted_on_two.score(SPIKES, BEHAVIOUR)):
            with refused(r"knows several sessions; name one with session_id=: \['monday', 'tuesday'\]"):
                action()

    def test_more_than_were_fitted(self, fitted):
        with refused(r"unknown session\(s\) \['session_1'\]"):
            fitted.predict([SPIKES, SPIKES], [TIMES, TIMES])

    def test_names_that_do_not_fit(self, decoder, fitted_on_two):
        with refused("expected 2 different session ids"):
            decoder.fit([SPIKES, SPIKES], [BEHAVIOUR] * 2, session_id=["monday"])
        with refused("expected 2 different session ids"):
            fitted_on_two.predict([SPIKES, SPIKES], [TIMES] * 2, session_id=["monday", "monday"])

    def test_names_for_samples_that_have_some(self, decoder):
        X, y = align(SPIKES, BEHAVIOUR)
        with refused("have their own session ids"):
            decoder.fit(X, y, session_id="monday")


class TestCounts:
    def test_negative(self, decoder):
        counts = np.ones((20, 3))
        counts[4, 1] = -2
        with refused(r"Negative values in data.*the smallest is -2\.0"):
            decoder.fit(counts, np.arange(20.0))
        assert not is_fitted(decoder)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_finite(self, decoder, bad):
        with refused("NaN|infinity"):
            decoder.fit(np.full((20, 3), bad), np.arange(20.0))

    def test_other_number_of_units_at_predict(self, small_decoder):
        counts = np.random.default_rng(0).poisson(2, (40, 3))
        decoder = small_decoder(early_stopping=False).fit(counts, counts.sum(axis=1))
        with refused("X has 2 features, but .* is expecting 3 features"):
            decoder.predict(counts[:, :2])
        with refused("Negative values"):
            decoder.predict(-counts)

    def test_one_dimension(self, decoder):
        with refused("Expected 2D array, got 1D array"):
            decoder.fit(np.ones(20), np.ones(20))

    def test_in_a_step_that_needs_samples(self):
        with refused("needs the SpikeSamples of align", error=TypeError):
            BinnedCounts().fit(np.ones((20, 3)))


def test_a_failed_fit_leaves_a_decoder_of_counts_as_it_was(small_decoder):
    counts = np.random.default_rng(0).poisson(2.0, (200, 5))
    fitted = small_decoder().fit(counts, VALUES)
    before = fitted.predict(counts)
    with pytest.raises(ValueError, match="infinity"):
        fitted.fit(counts[:, :3], np.full(200, np.inf))
    with pytest.raises(ValueError, match="do not overlap"):
        fitted.fit(SPIKES, (TIMES + 100, VALUES))
    np.testing.assert_array_equal(fitted.predict(counts), before)


@pytest.mark.parametrize("options", [{"times": TIMES}, {"session_id": "monday"}])
def test_counts_have_no_times_and_no_sessions(small_decoder, options):
    counts = np.random.default_rng(0).poisson(2.0, (200, 5))
    with pytest.raises(ValueError, match="arrays of counts have none"):
        small_decoder().fit(counts, VALUES).predict(counts, **options)


class TestValues:
    def test_an_output_that_is_unknown_throughout_a_fold_is_left_out_of_its_score(self, small_decoder):
        X, y = align(SPIKES, (TIMES, np.c_[VALUES, np.where(TIMES < 15, np.nan, VALUES)]))
        decoder = small_decoder(early_stopping=False).fit(X, y)
        early = X.times < 10
        alone = r2_score(y[early, 0], decoder.predict(X[early])[:, 0])
        assert decoder.score(X[early], y[early]) == pytest.approx(alone)
        with refused(r"output\(s\) \[0, 1\] are all NaN"):
            decoder.score(X[early], np.full_like(y[early], np.nan))

    def test_names_are_those_of_align(self, small_decoder):
        X, y = align(SPIKES, BEHAVIOUR)
        with refused(r"was aligned with the behaviours \['behavior'\], y has \['speed'\]; give them the same names"):
            small_decoder().fit(X, {"speed": y})

    @pytest.mark.parametrize("size", [1e-100, 1e-13, 1e13])
    def test_targets_of_any_size_are_learned(self, small_decoder, size):
        behavior = (TIMES, VALUES * size)
        assert small_decoder(early_stopping=False).fit(SPIKES, behavior).score(SPIKES, behavior) > -1

    @pytest.mark.parametrize("factor", [1e-30, 1e30])
    def test_only_proportions_of_weights_count(self, small_decoder, factor):
        X, y = align(SPIKES, BEHAVIOUR)
        weight = np.linspace(0.5, 1, len(X))
        one, other = (
            small_decoder(early_stopping=False).fit(X, y, sample_weight=some).predict(X)
            for some in (weight, weight * factor)
        )
        np.testing.assert_allclose(one, other, atol=1e-4)

    @pytest.mark.parametrize("name", ["dropout", "unit_dropout", "validation_fraction", "window_length", "alpha"])
    def test_parameters_that_are_nan_are_named(self, small_decoder, name):
        with refused(f"{name} must be a number, got NaN"):
            small_decoder(**{name: np.nan}).fit(SPIKES, BEHAVIOUR)
