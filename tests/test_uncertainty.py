"""Calibration: intervals, standard deviations and probabilities that held-out samples bear out."""

from __future__ import annotations

import warnings
from dataclasses import replace

import neo
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, StratifiedKFold

from spikeinterface_poyo import BlockedKFold, POYOClassifier, POYODecoder, SpikeSamples, align
from spikeinterface_poyo.decoder.calibrating import error_models
from spikeinterface_poyo.fitted.calibration import ErrorModel, Temperature, calibration_from_json, calibration_to_json

LONG = {"max_iter": 4, "learning_rate_init": 8e-3, "early_stopping": False}


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(0, n_outputs=2, duration=120.0)


@pytest.fixture(scope="module")
def samples(session):
    return align(session.spikes, session.behavior)


@pytest.fixture(scope="module")
def parts(samples):
    """Samples to train on, to calibrate by and to test."""
    times = samples[0].times
    return times < 60, (times > 61) & (times < 90), times > 91


@pytest.fixture(scope="module")
def fitted(samples, parts, small_decoder) -> POYODecoder:
    """Calibrated with samples that it has not seen."""
    (X, y), (train, held_out, _) = samples, parts
    return small_decoder(**LONG).fit(X[train], y[train]).calibrate(X[held_out], y[held_out], cv="prefit")


class TestErrorModel:
    def test_it_finds_how_errors_grow(self):
        rng = np.random.default_rng(0)
        spread = np.exp(rng.normal(0, 1, 4000))
        model = ErrorModel.of(np.abs(rng.normal(0, 2 * spread**0.7)), spread)
        assert model.exponent == pytest.approx(0.7, abs=0.05)
        assert model.std(np.ones(1)) == pytest.approx(2, rel=0.1)
        assert model.width(np.ones(1), 0.9) == pytest.approx(2 * 1.645, rel=0.1)

    def test_where_windows_agree_by_chance_width_is_constant(self):
        rng = np.random.default_rng(0)
        spread = np.exp(rng.normal(0, 1, 4000))
        falling = ErrorModel.of(np.abs(rng.normal(0, 1 / spread)), spread)
        assert falling.exponent == 0
        assert np.ptp(falling.width(spread, 0.9)) == 0
        none = ErrorModel.of(np.abs(rng.normal(size=100)), np.zeros(100))
        assert none.width(np.zeros(1), 0.9) == pytest.approx(1.645, rel=0.3)

    def test_a_perfect_decoder_has_no_errors(self):
        model = ErrorModel.of(np.zeros(50), np.ones(50))
        assert model.std(np.ones(3)).tolist() == [0, 0, 0]
        assert model.width(np.ones(3), 0.9).tolist() == [0, 0, 0]

    @pytest.mark.parametrize(("n_samples", "coverage"), [(20, 0.96), (99, 0.995)])
    def test_few_samples_cannot_tell_of_high_coverage(self, n_samples, coverage):
        error = np.random.default_rng(0).uniform(size=n_samples)
        assert ErrorModel.of(error, np.ones(n_samples)).width(np.ones(1), coverage) == np.inf

    def test_coverage_of_exchangeable_samples_is_kept(self):
        rng = np.random.default_rng(0)
        covered = []
        for _ in range(200):
            error, spread = np.abs(rng.normal(size=(2, 61)))
            model = ErrorModel.of(error[:60], spread[:60])
            covered.append(error[60] <= model.width(spread[60:], 0.8)[0])
        assert np.mean(covered) == pytest.approx(0.8, abs=0.08)


class TestTemperature:
    @pytest.mark.parametrize("factor", [0.4, 3.0])
    def test_it_undoes_what_made_probabilities_too_sure(self, factor):
        rng = np.random.default_rng(0)
        logits = rng.normal(0, 2, (5000, 3))
        right = softmax(logits, axis=1)
        codes = np.array([rng.choice(3, p=p) for p in right])
        temperature = Temperature.of(softmax(factor * logits, axis=1), codes)
        assert temperature.value == pytest.approx(factor, rel=0.1)
        assert_allclose(temperature.applied(softmax(temperature.value * logits, axis=1)), right)


class TestIntervals:
    @pytest.mark.parametrize("coverage", [0.5, 0.9])
    def test_they_hold_the_share_that_was_asked_for(self, fitted, samples, parts, coverage):
        X, y = (part[parts[2]] for part in samples)
        lower, upper = fitted.predict_interval(X, coverage=coverage)
        assert lower.shape == y.shape
        assert ((lower <= y) & (y <= upper)).mean() == pytest.approx(coverage, abs=0.12)
        decoded = fitted.predict(X)
        assert ((lower < decoded) & (decoded < upper)).all()

    def test_standard_deviation_is_that_of_errors(self, fitted, samples, parts):
        X, y = (part[parts[2]] for part in samples)
        decoded, std = fitted.predict(X, return_std=True)
        assert_array_equal(decoded, fitted.predict(X))
        assert std.shape == y.shape
        assert np.sqrt(np.mean(((y - decoded) / std) ** 2)) == pytest.approx(1, abs=0.3)

    def test_they_come_for_sortings_too(self, fitted, session):
        lower, upper = fitted.predict_interval(session.spikes, times=[20.0, 30.0])
        assert lower.shape == upper.shape == (2, 2)

    def test_one_output_stays_one_dimensional(self, simulate, small_decoder):
        session = simulate(1)
        decoder = small_decoder(early_stopping=False).fit(session.spikes, session.behavior)
        decoder.calibrate(session.spikes, session.behavior, cv="prefit")
        assert decoder.predict_interval(session.spikes, times=[20.0, 30.0])[0].shape == (2,)

    def test_counts_without_context_have_one_width(self, small_decoder):
        rng = np.random.default_rng(0)
        counts = rng.poisson(3.0, (200, 5))
        decoder = small_decoder(early_stopping=False).fit(counts, counts[:, 0] + rng.normal(size=200))
        decoder.calibrate(counts, counts[:, 0] + 0.0, cv=2)
        _, std = decoder.predict(counts, return_std=True)
        assert np.ptp(std) < 0.05 * std.mean()

    def test_bad_coverage_is_refused(self, fitted, samples):
        for coverage in (0, 1, 90, np.nan):
            with pytest.raises(ValueError, match="coverage"):
                fitted.predict_interval(samples[0], coverage=coverage)


class TestCalibrate:
    def test_by_folds_of_what_was_trained_on(self, samples, parts, small_decoder):
        X, y = (part[~parts[2]] for part in samples)
        decoder = small_decoder(**LONG).fit(X, y)
        decoded = decoder.predict(X)
        assert decoder.calibrate(X, y, cv=3) is decoder
        assert_array_equal(decoder.predict(X), decoded)
        X, y = (part[parts[2]] for part in samples)
        lower, upper = decoder.predict_interval(X, coverage=0.8)
        assert ((lower <= y) & (y <= upper)).mean() == pytest.approx(0.8, abs=0.15)

    def test_folds_speak_of_behavior_as_the_decoder_does(self, session, small_decoder):
        """Whatever the unit, the kind or the name that it is given with."""
        centimetres = neo.IrregularlySampledSignal(session.times, 100 * session.values, "cm", "s")
        X, y = align(session.spikes, centimetres.rescale("m"), behavior_name="place")
        decoder = small_decoder(max_iter=1).fit(X, y)
        own = decoder.calibrate(X, y, cv=2).predict_interval(X[:20])
        for given in ((session.spikes, centimetres), align(session.spikes, centimetres)):
            assert_allclose(decoder.calibrate(*given, cv=2).predict_interval(X[:20]), own, rtol=1e-2)

    def test_folds_know_that_angles_are_angles(self, session, small_decoder):
        heading = session.times, np.degrees(np.arctan2(*session.values.T)) % 360
        X, y = align(session.spikes, heading, behavior_type=("circular", 360))
        decoder = small_decoder(max_iter=1).fit(X, y)
        own = decoder.calibrate(X, y, cv=2).calibration_
        assert decoder.calibrate(session.spikes, heading, cv=2).calibration_ == own

    @pytest.mark.parametrize("session_id", [None, "mine"])
    def test_folds_do_not_start_from_weights_that_saw_them(self, samples, session, small_decoder, tmp_path, session_id):
        X, y = align(session.spikes, session.behavior, session_id=session_id)
        small_decoder().fit(X, y).save_pretrained(tmp_path)
        loaded = POYODecoder.from_pretrained(tmp_path, device="cpu")
        with pytest.raises(ValueError, match="weights that pretrained= names know session"):
            loaded.calibrate(X, y, cv=2)
        assert loaded.calibrate(X, y, cv="prefit").calibration_
        assert loaded.set_params(pretrained=None).calibrate(X, y, cv=2).calibration_

    @pytest.mark.parametrize("kind", ["spikes", "counts"])
    def test_nor_after_one_more_pass(self, session, samples, small_decoder, tmp_path, kind):
        rows = np.random.default_rng(0).poisson(2.0, (400, 4)), np.sin(np.arange(400))
        small_decoder().fit(*(samples if kind == "spikes" else rows)).save_pretrained(tmp_path)
        X, y = align(session.spikes, session.behavior, session_id="session_0") if kind == "spikes" else rows
        loaded = POYODecoder.from_pretrained(tmp_path, device="cpu").partial_fit(X, y)
        with pytest.raises(ValueError, match="weights that pretrained= names know session"):
            loaded.calibrate(X, y, cv=2)

    @pytest.mark.usefixtures("short_stages")
    def test_nor_after_a_session_joined_them(self, simulate, small_decoder, tmp_path):
        sessions = [simulate(seed, duration=20.0) for seed in range(3)]
        spikes, behaviors = [s.spikes for s in sessions], [s.behavior for s in sessions]
        small_decoder().fit(spikes[:2], behaviors[:2]).save_pretrained(tmp_path)
        joined = small_decoder(pretrained=tmp_path).partial_fit(spikes[2], behaviors[2])
        with pytest.raises(ValueError, match=r"weights that pretrained= names know session.*session_0', 'session_1'\]"):
            joined.calibrate(*align(spikes, behaviors), cv=2)

    @pytest.mark.usefixtures("short_stages")
    def test_folds_may_start_from_weights_of_other_sessions(self, session, simulate, small_decoder, tmp_path):
        other = simulate(1, n_outputs=2, duration=60.0)
        small_decoder().fit(other.spikes, other.behavior).save_pretrained(tmp_path)
        X, y = align(session.spikes, session.behavior)
        assert small_decoder(pretrained=tmp_path).fit(X, y).calibrate(X, y, cv=2).calibration_

    def test_samples_of_weight_zero_do_not_count(self, fitted, samples, parts):
        (X, y), (_, held_out, _) = samples, parts
        X, y = X[held_out], y[held_out]
        out = np.arange(len(y)) % 5 == 0
        wrong = np.where(out[:, None], 100.0, y)
        weighted = fitted.calibrate(X, wrong, cv="prefit", sample_weight=np.where(out, 0.0, 1.0)).calibration_
        assert weighted == fitted.calibrate(X, np.where(out[:, None], np.nan, y), cv="prefit").calibration_
        fitted.calibrate(X, y, cv="prefit")

    def test_a_stratified_splitter_has_all_labels(self, samples, small_decoder):
        X, y = samples
        labels, weight = np.where(y[:, 0] > 0, "east", "west"), np.r_[np.zeros(9), np.ones(len(y) - 9)]
        classifier = POYOClassifier(**small_decoder(max_iter=1).get_params()).fit(X, labels)
        folds = StratifiedKFold(2)
        assert classifier.calibrate(X, labels, cv=folds, sample_weight=weight).calibration_

    def test_units_that_were_not_there_are_refused(self, fitted, session):
        spikes = session.spikes | {"stranger": np.array([1.0])}
        with pytest.raises(ValueError, match="units \\['stranger'\\] that were not there"):
            fitted.calibrate(spikes, session.behavior, cv="prefit")

    def test_a_splitter_makes_the_folds(self, samples, small_decoder):
        X, y = samples
        decoder = small_decoder(early_stopping=False).fit(X, y)
        by_number = decoder.calibrate(X, y, cv=2).calibration_
        assert decoder.calibrate(X, y, cv=BlockedKFold(2, gap=1.0)).calibration_ == by_number  # a window is 1 s

    @pytest.mark.usefixtures("short_stages")
    def test_a_fold_must_train_on_what_it_tests(self, samples, simulate, small_decoder, monkeypatch):
        one, two = simulate(0), simulate(1)
        X, y = align([one.spikes, two.spikes], [one.behavior, two.behavior])
        decoder = small_decoder().fit(X, y)
        X_late, y_late = align(one.spikes, (one.times, np.column_stack([one.values, one.values])))
        y_late[: 2 * len(y_late) // 3, 1] = np.nan
        late = small_decoder().fit(X_late, y_late)
        monkeypatch.setattr("spikeinterface_poyo.training.adaptation.learn", None)  # nothing is trained before
        with pytest.raises(ValueError, match=r"fold 0 of 2 cannot calibrate: it tests session\(s\) \['session_0'\]"):
            decoder.calibrate(X, y, cv=KFold(2))
        with pytest.raises(ValueError, match=r"fold 2 of 3 cannot calibrate: of what it trains on, output\(s\) \[1\]"):
            late.calibrate(X_late, y_late, cv=3)

    def test_it_is_kept_only_as_long_as_weights_are(self, samples, simulate, small_decoder):
        X, y = samples
        decoder = small_decoder(early_stopping=False).fit(X, y).calibrate(X, y, cv="prefit")
        before = decoder.predict_interval(X[:10])
        other = simulate(1, n_outputs=2)
        decoder.partial_fit(other.spikes, other.behavior, session_id="other")
        for end, was in zip(decoder.predict_interval(session_0(X)[:10]), before, strict=True):
            assert_array_equal(end, was)
        with pytest.raises(NotFittedError, match=r"\['other'\] are not calibrated: call calibrate"):
            decoder.predict_interval(other.spikes, times=[20.0], session_id="other")
        decoder.partial_fit(session_0(X), y)
        assert decoder.calibration_ == {}

    def test_it_is_saved(self, fitted, samples, tmp_path):
        assert calibration_from_json(calibration_to_json(fitted.calibration_)) == fitted.calibration_
        fitted.save_pretrained(tmp_path)
        loaded = POYODecoder.from_pretrained(tmp_path, device=fitted.device)
        for one, other in zip(loaded.predict_interval(samples[0]), fitted.predict_interval(samples[0]), strict=True):
            assert_array_equal(one, other)

    def test_nothing_is_told_before_it(self, samples, small_decoder):
        X, y = samples
        decoder = small_decoder(early_stopping=False)
        for ask in (lambda: decoder.calibrate(X, y), lambda: decoder.predict_interval(X)):
            with pytest.raises(NotFittedError):
                ask()
        decoder.fit(X, y)
        with pytest.raises(NotFittedError, match="calibrate"):
            decoder.predict(X, return_std=True)

    def test_bad_input_is_refused_before_any_training(self, fitted, samples, monkeypatch):
        X, y = samples
        monkeypatch.setattr("spikeinterface_poyo.training.adaptation.learn", lambda *_: pytest.fail("trained"))
        was = fitted.calibration_
        with pytest.raises(ValueError, match="10 known targets; to calibrate by them, 20"):
            fitted.calibrate(X, np.where(np.arange(len(y))[:, None] < 10, y, np.nan))
        with pytest.raises(ValueError, match="a splitter or 'prefit', got 'all'"):
            fitted.calibrate(X, y, cv="all")
        assert fitted.calibration_ is was

    def test_ctrl_c_leaves_the_decoder_as_it_was(self, fitted, samples, monkeypatch):
        was = fitted.calibration_

        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("spikeinterface_poyo.training.loop.training_step", interrupted)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # that the best weights so far are kept is not true here
            with pytest.raises(KeyboardInterrupt, match="the decoder is as it was"):
                fitted.calibrate(*samples)
        assert fitted.calibration_ is was


class TestKinds:
    @pytest.fixture(scope="class")
    @staticmethod
    def several(session, small_decoder) -> tuple[POYODecoder, SpikeSamples, np.ndarray]:
        heading = np.degrees(np.arctan2(session.values[:, 1], session.values[:, 0]))
        behaviors = {
            "position": session.behavior,
            "heading": (session.times, heading),
            "side": (session.times, np.where(np.abs(heading) < 90, "east", "west")),
        }
        types = {"heading": ("circular", 360)}
        X, y = align(session.spikes, behaviors, behavior_type=types)
        decoder = small_decoder(**LONG).fit(X[X.times < 60], y[X.times < 60])
        return decoder.calibrate(X[X.times > 61], y[X.times > 61], cv="prefit"), X, y

    def test_angles_have_arcs_and_labels_nothing(self, several):
        decoder, X, y = several
        lower, upper = decoder.predict_interval(X)
        assert lower.dtype.names == ("position", "heading", "side")
        assert set(lower["side"]) == {None}
        assert (upper["heading"] - lower["heading"] <= 360).all()
        inside = (y["heading"] - lower["heading"]) % 360 <= upper["heading"] - lower["heading"]
        assert inside.mean() == pytest.approx(0.9, abs=0.08)
        assert np.mean((lower["position"] <= y["position"]) & (y["position"] <= upper["position"])) > 0.8

    def test_labels_decoded_with_deviations_are_labels(self, several):
        decoder, X, _ = several
        decoded, std = decoder.predict(X[:20], return_std=True)
        assert set(decoded["side"]) <= {"east", "west"}
        assert set(std["side"]) == {None}
        assert (std["heading"] > 0).all()

    def test_probabilities_are_those_with_which_labels_come_true(self, samples, parts, small_decoder):
        (X, values), (train, held_out, test) = samples, parts
        # Labels that spikes tell in part only, and a network that is made far too sure of them.
        sides = np.where(values[:, 0] + np.random.default_rng(0).normal(0, 1.0, len(X)) > 0, "east", "west")
        classifier = POYOClassifier(**small_decoder(**LONG).get_params()).fit(X[train], sides[train])
        for weight in classifier.network_.readout.parameters():
            weight.data.mul_(5)
        loss, sure = log_loss(classifier, X[test], sides[test]), classifier.predict_proba(X[test])
        classifier.calibrate(X[held_out], sides[held_out], cv="prefit")
        assert log_loss(classifier, X[test], sides[test]) < loss
        calibrated = classifier.predict_proba(X[test])
        assert_allclose(calibrated.sum(axis=1), 1)
        assert_array_equal(calibrated.argmax(axis=1), sure.argmax(axis=1))


def session_0(X):
    """The samples with the name that their session was given at fit."""
    sessions = [replace(session, session_id="session_0") for session in X.sessions]
    return SpikeSamples(sessions, X.session_index, X.segment_index, X.times, X.targets)


def log_loss(classifier, X, labels):
    chosen = np.searchsorted(classifier.classes_, labels)
    return -classifier.predict_log_proba(X)[np.arange(len(X)), chosen].mean()


def test_widths_are_those_of_errors_that_there_were_and_never_less():
    error = np.random.default_rng(0).uniform(size=30)
    model = ErrorModel.of(error, np.ones(30))
    np.testing.assert_allclose(np.min(np.abs(np.subtract.outer(model.quantiles, error / model.scale)), axis=1), 0)
    for coverage in (0.5, 0.8, 0.9):  # at least so many of n + 1, as conformal prediction promises
        assert (error <= model.width(np.ones(1), coverage) * (1 + 1e-9)).sum() >= coverage * 31


def test_spreads_unlike_any_seen_count_as_the_nearest_that_were():
    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(0, 0.3, 1000))
    model = ErrorModel.of(np.abs(rng.normal(0, spread)), spread)
    assert model.exponent > 0.5
    low, high = model.std(np.quantile(spread, [0.01, 0.99]))
    np.testing.assert_allclose(model.std(np.array([0.0, 1e6])), [low, high])


def test_each_output_is_told_by_its_own_spread():
    rng = np.random.default_rng(0)
    spreads = np.exp(rng.normal(0, 1, (2000, 2)))
    models = error_models(np.abs(rng.normal(0, spreads)), spreads)
    assert [model.exponent for model in models] == pytest.approx([1, 1], abs=0.1)


@pytest.mark.usefixtures("brief_training")
def test_folds_leave_the_checkpoint_of_the_fit_alone(simulate, small_decoder, tmp_path):
    session = simulate(duration=30.0)
    decoder = small_decoder(early_stopping=False, checkpoint=tmp_path / "state")
    decoder.fit(session.spikes, session.behavior)
    contents = (tmp_path / "state").read_bytes()
    decoder.calibrate(session.spikes, session.behavior, cv=2)
    assert (tmp_path / "state").read_bytes() == contents


@pytest.mark.usefixtures("brief_training")
def test_sessions_may_be_calibrated_one_after_the_other(simulate, small_decoder):
    sessions = [simulate(seed, duration=30.0) for seed in range(2)]
    decoder = small_decoder(early_stopping=False).fit([s.spikes for s in sessions], [s.behavior for s in sessions])
    for name, session in zip(("session_0", "session_1"), sessions, strict=True):
        decoder.calibrate(session.spikes, session.behavior, cv="prefit", session_id=name)
    assert list(decoder.calibration_) == ["session_0", "session_1"]


@pytest.mark.usefixtures("brief_training")
def test_folds_of_another_fit_start_from_the_weights_that_were_loaded(simulate, small_decoder, tmp_path):
    one, two = (simulate(seed, duration=20.0) for seed in range(2))
    small_decoder().fit(one.spikes, one.behavior).save_pretrained(tmp_path)
    loaded = POYODecoder.from_pretrained(tmp_path, device="cpu").fit(two.spikes, two.behavior)
    assert loaded.calibrate(two.spikes, two.behavior, cv=2).calibration_
