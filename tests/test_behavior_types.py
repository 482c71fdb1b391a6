"""Angles, labels, and several behaviours of one session, each at its own times."""

from __future__ import annotations

from dataclasses import replace

import neo
import numpy as np
import pytest
import quantities as pq
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from spikeinterface_poyo import BlockedKFold, POYOClassifier, POYODecoder, align
from spikeinterface_poyo.decoder.answers import SMALLEST, to_average
from spikeinterface_poyo.fitted.calibration import Temperature
from spikeinterface_poyo.network.losses import (
    LOWEST_LEVEL,
    NEAR,
    balance,
    cross_entropy,
    distance,
    layout_of,
    loss_sums,
    loss_weights,
    of_windows,
    smoothed,
)
from spikeinterface_poyo.network.windows import BehaviorColumns, Block
from spikeinterface_poyo.readouts.behaviors import n_columns, readout_columns, readout_from_json
from spikeinterface_poyo.readouts.label_readout import CategoricalReadout
from spikeinterface_poyo.readouts.number_readouts import CircularReadout
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.sessions.signals import TargetInfo, with_kinds

LONG = {"max_iter": 4, "learning_rate_init": 8e-3, "unit_dropout": 0.2, "early_stopping": False}


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(0, n_outputs=2)


@pytest.fixture(scope="module")
def heading(session) -> np.ndarray:
    """Degrees, from -180 to 180."""
    return np.degrees(np.arctan2(session.values[:, 1], session.values[:, 0]))


@pytest.fixture(scope="module")
def sides(heading) -> np.ndarray:
    return np.where(np.abs(heading) < 90, "east", "west")


@pytest.fixture(scope="module")
def classifier(session, sides, small_decoder) -> POYOClassifier:
    return POYOClassifier(**small_decoder(**LONG).get_params()).fit(session.spikes, (session.times, sides))


@pytest.fixture(scope="module")
def several(session, heading, sides, small_decoder) -> POYODecoder:
    """Knows a position at 10 Hz and a heading and a side at 5 Hz."""
    behaviors = {
        "position": (session.times, session.values * pq.m),
        "heading": (session.times[::2], heading[::2] * pq.deg),
        "side": (session.times[::2], sides[::2]),
    }
    return small_decoder(**LONG).fit(session.spikes, behaviors, behavior_type={"heading": "circular"})


def turned(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Degrees between angles."""
    return np.abs((one - other + 180) % 360 - 180)


class TestAngles:
    def test_they_come_back_as_angles_without_a_jump(self, session, heading, small_decoder):
        unit, full = pq.rad, 2 * np.pi
        signal = (session.times, heading / 360 * full * unit)
        decoder = small_decoder(**LONG).fit(session.spikes, signal, behavior_type="circular")
        decoded = decoder.predict(session.spikes, times=session.times)
        assert decoded.ndim == 1
        assert decoded.min() >= -full / 2
        assert decoded.max() < full / 2
        error = turned(decoded * 360 / full, heading)
        assert np.median(error[np.abs(heading) > 150]) < 20  # where the circle is cut
        assert decoder.score(session.spikes, signal) > 0.8
        assert decoder.decode(session.spikes).units == unit

    def test_a_full_turn_can_be_anything(self, session, heading, small_decoder):
        hours = heading % 360 / 15
        signal = (session.times, hours * pq.hour)
        with pytest.raises(ValueError, match=r"no unit of angle.*'circular', 24.0"):
            small_decoder().fit(session.spikes, signal, behavior_type="circular")
        decoder = small_decoder(**LONG).fit(session.spikes, signal, behavior_type=("circular", 24))
        decoded = decoder.predict(session.spikes, times=session.times)
        assert decoded.min() >= 0
        assert np.median(turned(decoded * 15, hours * 15)) < 20

    def test_another_full_turn_is_another_behaviour(self, session, heading, small_decoder):
        decoder = small_decoder().fit(session.spikes, (session.times, np.radians(heading)), behavior_type="circular",
                                      session_id="a")  # fmt: skip
        degrees = [align(session.spikes, (session.times, heading), behavior_type=("circular", 360.0), session_id=name)
                   for name in "ab"]  # fmt: skip
        with pytest.raises(ValueError, match=r"a full turn of 360 against 6\.28"):
            decoder.score(*degrees[0])
        with pytest.raises(ValueError, match=r"a full turn of 360 against 6\.28"):
            decoder.partial_fit(*degrees[1])

    def test_a_full_turn_that_is_known_is_taken_and_told_of(self, session, heading, small_decoder):
        decoder = small_decoder().fit(session.spikes, (session.times, heading), behavior_type=("circular", 360.0))
        with pytest.warns(UserWarning, match=r"of which 360 is a full turn.*behavior_type=\('circular', 360\) says"):
            decoder.partial_fit(session.spikes, (session.times, heading), behavior_type="circular")
        assert decoder.sessions_.readouts["behavior"].period == 360.0

    def test_a_full_turn_is_told_in_the_unit_that_is_given(self, session, heading, small_decoder):
        radians = (session.times, np.radians(heading) * pq.rad)
        decoder = small_decoder().fit(session.spikes, radians, behavior_type="circular")
        with pytest.warns(UserWarning, match=r"of which 360 is a full turn.*behavior_type='circular' says"):
            decoder.partial_fit(session.spikes, (session.times, heading * pq.deg))

    def test_numbers_under_the_name_of_angles_are_told_of(self, session, heading, small_decoder, tmp_path):
        base = small_decoder().fit(session.spikes, (session.times, heading), behavior_type=("circular", 360.0))
        base.save_pretrained(tmp_path)
        with pytest.warns(UserWarning, match="is taken for angles"):
            small_decoder(pretrained=tmp_path).fit(session.spikes, (session.times, heading))

    def test_samples_carry_what_they_are(self, session, heading, small_decoder):
        X, y = align(session.spikes, (session.times, np.radians(heading)), behavior_type="circular")
        scores = cross_val_score(small_decoder(**LONG), X, y, cv=BlockedKFold(2, gap=1.0))
        assert scores.min() > 0.7

    def test_encoding_is_undone(self):
        y = np.random.default_rng(0).uniform(-180, 180, (50, 2))
        common = {"name": "gaze", "first_column": 0, "units": "deg"}
        readout = CircularReadout.of(y, np.ones(50), TargetInfo("deg", None, "gaze", 2, "circular"), **common)
        assert (readout.n_outputs, readout.n_columns) == (2, 4)
        np.testing.assert_allclose(readout.decode(readout.encode(y)), y)
        assert readout_from_json(readout.to_json()) == readout
        radius = np.hypot(*readout.encode(y)[:, :2].T)
        np.testing.assert_allclose(radius, np.sqrt(2))  # no direction counts more than another

    def test_chance_is_the_best_answer_without_spikes(self):
        y = np.random.default_rng(0).normal(0, 40, (2000, 1))
        common = {"name": "gaze", "first_column": 0, "units": "deg"}
        readout = CircularReadout.of(y, np.ones(2000), TargetInfo("deg", None, "gaze", 1, "circular"), **common)
        target = torch.from_numpy(readout.encode(y))[None]
        layout = [(readout.asked_at(0), torch.ones(1))]
        weight = torch.ones(1, 2000, dtype=torch.float64)
        centre = loss_sums(target.mean(dim=1).expand_as(target), target, weight, layout) / loss_weights(
            target, weight, layout
        )
        assert centre == pytest.approx(1, abs=0.15)  # the loss is smooth near zero, and less than the distance
        assert loss_sums(target, target, weight, layout) == 0

    def test_chance_is_that_of_weighted_samples(self):
        y, weight = np.array([[0.0], [10.0], [20.0], [180.0]]), np.array([1.0, 1.0, 1.0, 0.0])
        info, common = TargetInfo("deg", kind="circular"), {"name": "gaze", "first_column": 0}
        all_samples, weighted = (CircularReadout.of(y[:n], weight[:n], info, **common) for n in (4, 3))
        assert all_samples.chance_loss == pytest.approx(weighted.chance_loss)

    def test_arcs_are_no_longer_than_the_circle(self):
        y, info = np.array([[0.0], [90.0]]), TargetInfo("deg", kind="circular")
        readout = CircularReadout.of(y, np.ones(2), info, name="gaze", first_column=0)
        assert np.ravel(readout.around(np.array([[10.0]]), np.array([[500.0]]))).tolist() == [-170.0, 190.0]

    def test_loss_is_the_distance_on_the_circle(self):
        target = torch.tensor([[1.0, 0, 0, 1], [torch.nan, torch.nan, 0, 1]])
        predicted = target.nan_to_num() + torch.tensor([3.0, 4, 0, 0])
        near = 5 - NEAR  # of points that are far apart
        torch.testing.assert_close(distance(predicted, target), torch.tensor([near / 2, 0]), rtol=0, atol=1e-2)


class TestLabels:
    def test_they_are_learned(self, classifier, session, sides):
        X, y = align(session.spikes, (session.times, sides))
        assert classifier.classes_.tolist() == ["east", "west"]
        assert classifier.score(X, y) > 0.85
        probability = classifier.predict_proba(X)
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        np.testing.assert_array_equal(classifier.classes_[probability.argmax(axis=1)], classifier.predict(X))
        np.testing.assert_allclose(np.exp(classifier.predict_log_proba(X)), probability)

    def test_windows_that_disagree_are_unsure(self, several):
        readouts = several.sessions_.readouts_of("session_0")
        (labels,) = (columns for readout, _, columns in readout_columns(readouts) if readout.kind == "categorical")
        logits = torch.zeros(2, 1, n_columns(readouts))  # of two windows
        logits[0, 0, labels], logits[1, 0, labels] = torch.tensor([5.0, 0.0]), torch.tensor([-1.0, 0.0])
        answer = to_average(readouts)(lambda batch: logits.clone(), None)
        assert (answer[..., : labels.start] == 0).all()  # numbers stay as they are
        torch.testing.assert_close(answer.mean(dim=0)[0, labels], logits[:, 0, labels].softmax(dim=-1).mean(dim=0))

    def test_labels_that_a_fold_lacks_do_not_count(self, several, session, heading, sides):
        behaviors = {"heading": (session.times, heading * pq.deg), "side": (session.times, sides)}
        X, y = align(session.spikes, behaviors, behavior_type={"heading": "circular"})
        y["side"] = None
        alone = align(session.spikes, {"heading": behaviors["heading"]}, behavior_type="circular")
        assert several.score(X, y) == pytest.approx(several.score(*alone))

    def test_a_label_nobody_saw_is_a_miss(self, classifier, session, sides):
        X, y = align(session.spikes, (session.times, np.where(np.arange(len(sides)) < 10, "north", sides)))
        right = classifier.score(X[10:], y[10:])
        assert classifier.score(X, y) == pytest.approx(right * (len(y) - 10) / len(y))

    @pytest.mark.parametrize("kind", ["event", "epoch"])
    def test_trials(self, session, sides, small_decoder, kind):
        times, labels = session.times[::10], sides[::10]
        if kind == "event":
            trials = neo.Event(times * pq.s, labels=labels)
        else:
            trials = neo.Epoch((times - 0.1) * pq.s, durations=np.full(len(times), 200) * pq.ms, labels=labels)
        X, y = align(session.spikes, trials)
        np.testing.assert_allclose(X.times, times)
        np.testing.assert_array_equal(y, labels)
        assert POYOClassifier(**small_decoder().get_params()).fit(X, y).predict(X).shape == y.shape

    def test_unknown_ones_have_no_part(self, session, sides, small_decoder):
        X, y = align(session.spikes, (session.times, sides))
        some = y.astype(object)
        some[::3] = None
        fitted = POYOClassifier(**small_decoder().get_params()).fit(X, some)
        assert fitted.classes_.tolist() == ["east", "west"]
        known = np.arange(len(y)) % 3 > 0
        assert fitted.score(X, some) == pytest.approx(np.mean(fitted.predict(X)[known] == y[known]))

    def test_saved_and_loaded(self, classifier, session, tmp_path):
        classifier.save_pretrained(tmp_path / "sides")
        loaded = POYOClassifier.from_pretrained(tmp_path / "sides", device="cpu")
        times = session.times[:20]
        np.testing.assert_array_equal(loaded.classes_, classifier.classes_)
        one, other = (each.predict_proba(session.spikes, times) for each in (loaded, classifier))
        np.testing.assert_array_equal(one, other)

    def test_weights_of_classes(self):
        y = np.array([0.0, 0, 0, 1, np.nan])[:, None]
        info = TargetInfo(name="side", n_outputs=1, kind="categorical", classes=("a", "b"))
        common = {"name": "side", "first_column": 0}
        plain, balanced, given = (
            CategoricalReadout.of(y, np.ones(5), info, class_weight=weight, **common)
            for weight in (None, "balanced", {"b": 3.0})
        )
        assert plain.class_weight == (1, 1)
        assert balanced.class_weight == pytest.approx((4 / 6, 2))
        assert given.class_weight == (1, 3)
        assert balanced.chance_loss == pytest.approx(np.log(2))
        weight = np.array([1.0, 1, 1, 3, 1])
        assert CategoricalReadout.of(y, weight, info, class_weight="balanced", **common).class_weight == (1, 1)
        assert plain.score(y, np.zeros((5, 1)), weight) == 0.5
        np.testing.assert_array_equal(given.encode(y)[3:], [[0, 3], [np.nan, np.nan]])

    @pytest.mark.parametrize("labels", [("1", "2"), (True, False)], ids=["digits", "truth values"])
    def test_they_stay_labels_among_several(self, session, sides, small_decoder, labels):
        given = np.where(sides == "east", *labels)
        X, y = align(session.spikes, {"velocity": session.behavior, "side": (session.times, given)})
        decoder = small_decoder().fit(X, y)
        assert decoder.sessions_.readouts["side"].kind == "categorical"
        assert set(decoder.predict(X)["side"].tolist()) <= set(labels)

    @pytest.mark.parametrize("labels", [("1", "2"), (True, False)], ids=["digits", "truth values"])
    def test_they_stay_labels_where_some_are_unknown(self, session, sides, small_decoder, labels):
        given = np.where(sides == "east", *labels).astype(object)
        given[:3] = None
        fitted = POYOClassifier(**small_decoder().get_params()).fit(session.spikes, (session.times, given))
        assert fitted.classes_.tolist() == sorted(labels)

    def test_a_decoder_asks_for_a_name(self, session, sides, small_decoder):
        with pytest.raises(ValueError, match="POYOClassifier learns them"):
            small_decoder().fit(session.spikes, (session.times, sides))


class TestSeveral:
    def test_each_is_decoded(self, several, session, heading, sides):
        decoded = several.predict(session.spikes, times=session.times)
        assert decoded.dtype.names == ("position", "heading", "side")
        assert decoded["position"].shape == (len(session.times), 2)
        assert np.mean((decoded["position"] - session.values) ** 2) < 0.2
        assert np.median(turned(decoded["heading"], heading)) < 25
        assert np.mean(decoded["side"] == sides) > 0.85

    def test_samples_are_those_of_all_with_gaps(self, session, heading):
        behaviors = {"a": (session.times, heading), "b": (session.times[::2] + 0.01, heading[::2])}
        X, y = align(session.spikes, behaviors)
        assert len(X) == len(session.times) * 3 // 2
        assert (np.diff(X.times) >= 0).all()
        assert (np.isnan(y["a"]) != np.isnan(y["b"])).all()
        np.testing.assert_array_equal(y["a"][~np.isnan(y["a"])], heading)

    def test_the_grid_is_the_finest(self, several, session):
        assert several.sessions_.sessions["session_0"].sample_interval == pytest.approx(0.1)

    def test_scores_are_averaged(self, several, session, heading, sides):
        position = {"position": (session.times, session.values * pq.m)}
        side = {"side": (session.times, sides)}
        alone = [several.score(session.spikes, part) for part in (position, side)]
        assert several.score(session.spikes, position | side) == pytest.approx(np.mean(alone))
        with pytest.raises(ValueError, match="'speed' is not known"):
            several.score(session.spikes, {"speed": (session.times, heading)})

    def test_neo_objects_by_name(self, several, session):
        signals = several.decode(session.spikes)
        assert signals["position"].units == pq.m
        assert signals["heading"].units == pq.deg
        assert isinstance(signals["side"], neo.Event)

    def test_they_go_through_cross_validation_and_files(self, several, session, heading, sides, tmp_path):
        X, y = align(session.spikes, {"heading": (session.times, heading), "side": (session.times, sides)})
        brief = clone(several).set_params(max_iter=1)
        assert np.isfinite(cross_val_score(brief, X, y, cv=BlockedKFold(2, gap=1.0))).all()
        several.save_pretrained(tmp_path / "several")
        loaded = POYODecoder.from_pretrained(tmp_path / "several", device="cpu")
        one, other = (each.predict(session.spikes, session.times[:5]) for each in (loaded, several))
        assert one.dtype == other.dtype
        assert all(np.array_equal(one[name], other[name]) for name in one.dtype.names)

    @pytest.mark.usefixtures("short_stages")
    def test_a_new_session_keeps_the_old_as_they_were(self, several, session, simulate, tmp_path):
        before = several.predict(session.spikes, times=session.times)
        several.save_pretrained(tmp_path / "base")
        grown = POYODecoder.from_pretrained(tmp_path / "base", device="cpu")
        other = simulate(1, n_outputs=2)
        labels = np.where(other.values[:, 0] > 0, "east", "west")
        grown.partial_fit(other.spikes, {"side": (other.times, labels)}, session_id="new")
        after = grown.predict(session.spikes, times=session.times, session_id="session_0")
        assert all(np.array_equal(before[name], after[name]) for name in before.dtype.names)
        assert grown.predict(other.spikes, other.times, session_id="new").dtype.names == ("side",)


def test_labels_and_numbers_do_not_make_one_array(session, simulate, small_decoder, tmp_path):
    sides = (session.times, np.where(session.values[:, 0] > 0, "east", "west"))
    classifier = POYOClassifier(**small_decoder().get_params())
    classifier.fit(session.spikes, sides, session_id="a").save_pretrained(tmp_path)
    decoder, other = POYODecoder.from_pretrained(tmp_path, device="cpu"), simulate(1)
    decoder.partial_fit(other.spikes, other.behavior, behavior_name="speed", session_id="b")
    with pytest.raises(ValueError, match=r"labels and numbers, \{'behavior': True, 'speed': False\}"):
        decoder.predict([session.spikes, other.spikes], [[1.0], [1.0]], session_id=["a", "b"])


@pytest.mark.parametrize(
    ("behavior_type", "message"),
    [("round", "must be 'continuous'"), ({"speed": "circular"}, "names .'speed'."), (("circular", -1), "must be")],
)
def test_strange_types_are_refused(session, behavior_type, message):
    with pytest.raises(ValueError, match=message):
        align(session.spikes, session.behavior, behavior_type=behavior_type)


def test_a_behaviour_that_is_told_well_is_not_drowned_by_one_that_is_not():
    assert balance(torch.tensor([0.3])) == 1
    factors = balance(torch.tensor([0.1, 1.0]))
    torch.testing.assert_close(factors, torch.tensor([20 / 11, 2 / 11]))


def test_labels_among_other_behaviours_are_smoothed():
    target = torch.tensor([[0.0, 0, 2, 0], [torch.nan] * 4])
    torch.testing.assert_close(smoothed(target)[0], torch.tensor([0.05, 0.05, 1.85, 0.05]))
    assert smoothed(target)[1].isnan().all()


def test_losses_are_relative_to_chance_and_shared():
    import torch

    generator = torch.Generator().manual_seed(0)
    predicted = torch.randn((3, 4, 5), generator=generator)
    target = torch.randn((3, 4, 5), generator=generator)
    target[..., 2:] = torch.nn.functional.one_hot(target[..., 2:].argmax(-1), 3)
    target[1, :, 2:] = torch.nan
    weight = torch.ones(3, 4)
    numbers = BehaviorColumns("velocity", "continuous", 0, 2)
    labels = BehaviorColumns("state", "categorical", 2, 5, chance_loss=2.0)
    all_alike, half = torch.ones(3), torch.full((3,), 0.5)
    squared = (predicted - target)[..., :2].square().mean()
    some = [0, 2]
    entropy = torch.nn.functional.cross_entropy(
        predicted[some, :, 2:].reshape(-1, 3), target[some, :, 2:].argmax(-1).reshape(-1), label_smoothing=0.1
    )
    layout = [(numbers, all_alike), (labels, half)]
    expected = (12 * squared + 0.5 * 8 * entropy / 2) / (12 + 0.5 * 8)
    loss = loss_sums(predicted, target, weight, layout).sum() / loss_weights(target, weight, layout).sum()
    torch.testing.assert_close(loss, expected)
    by_window = [(numbers, all_alike), (labels, torch.tensor([0.5, 0, 0.5]))]
    torch.testing.assert_close(loss_sums(predicted, target, weight, by_window),
                               loss_sums(predicted, target, weight, layout))  # fmt: skip
    assert loss_weights(target, weight, by_window).sum() == 16


@pytest.mark.parametrize("turn", [360.0, 2 * np.pi * pq.rad, 360 * pq.deg])
def test_a_full_turn_is_in_the_behaviours_unit_of_measure(turn):
    target = TargetInfo("deg", name="heading")
    told = with_kinds({"heading": target}, ("circular", turn))
    assert told["heading"].period == pytest.approx(360)
    with pytest.raises(ValueError, match="give a plain number"):
        with_kinds({"heading": replace(target, units=None)}, ("circular", 360 * pq.deg))


@pytest.mark.parametrize("kind", [("circular", "x"), ("circular", -1), ("circular", np.nan), (), "round"])
def test_kinds_that_do_not_exist_are_refused(kind):
    with pytest.raises(ValueError, match="behavior_type must be"):
        with_kinds({"heading": TargetInfo()}, kind)


def test_degrees_that_say_nothing_are_suspected():
    angles, weight = np.linspace(-180, 180, 10)[:, None], np.ones(10)
    with pytest.warns(UserWarning, match=r"span 57 turns as radians; of degrees, say behavior_type="):
        CircularReadout.of(angles, weight, TargetInfo(), name="heading", first_column=0)


@pytest.mark.parametrize(("first", "period"), [(0.0, 360.0), (-np.pi, 2 * np.pi)])
def test_angles_stay_below_a_full_turn(first, period):
    readout = CircularReadout(
        name="heading", first_column=0, period=period, first=first, mean=(0.0,) * 2, scale=(1.0,) * 2
    )
    for vector in ([1.0, -1e-300], [1.0, -1e-17], [-1.0, -1e-17], [-1.0, 0.0]):
        (angle,) = readout.decode(np.array([vector]))[0]
        assert first <= angle < first + period


def test_probabilities_of_units_that_were_not_there_are_refused(classifier, session):
    with pytest.raises(ValueError, match=r"units \['stranger'\] that were not there at fit"):
        classifier.predict_proba(session.spikes | {"stranger": np.array([1.0])}, session.times)


def test_probabilities_sum_to_one_in_double_precision(classifier, session, sides):
    X, _ = align(session.spikes, (session.times, sides))
    np.testing.assert_allclose(classifier.predict_proba(X).sum(axis=1), 1, rtol=0, atol=1e-12)


def test_a_behaviour_that_is_learned_by_heart_does_not_drown_the_others():
    torch.testing.assert_close(balance(torch.tensor([0.0, 1.0])), balance(torch.tensor([LOWEST_LEVEL, 1.0])))
    assert torch.isfinite(balance(torch.tensor([0.0, 1.0]))).all()


def test_labels_alone_are_not_smoothed():
    target = torch.eye(3)[None]
    predicted = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(0))
    columns, ones = BehaviorColumns("state", "categorical", 0, 3), torch.ones(1)
    (alone,) = loss_sums(predicted, target, torch.ones(1, 3), [(columns, ones)])
    assert alone == pytest.approx(float(cross_entropy(predicted, target).sum()))
    numbers = BehaviorColumns("speed", "continuous", 0, 1)
    both = loss_sums(predicted, target, torch.ones(1, 3), [(columns, ones), (numbers, ones)])
    assert both[0] == pytest.approx(float(cross_entropy(predicted, smoothed(target)).sum()))


def two_in_turn(column: int, share: float) -> Block:
    """A block of one behaviour, in the first or the second of two columns."""
    segment = Segment(np.array([1.0]), np.zeros(1, np.int32), 0.0, 2.0)
    speed = BehaviorColumns("speed", "continuous", column, column + 1)
    other = BehaviorColumns("height", "continuous", 1 - column, 2 - column)
    return Block(segment, np.ones(1, np.int64), 1, np.arange(2), (speed, other), (share, 1.0))


def test_a_behaviour_is_one_loss_wherever_sessions_have_it_and_however_often():
    blocks = [two_in_turn(0, 1.0), two_in_turn(1, 1.0), two_in_turn(1, 0.5)]
    layout = of_windows(layout_of(blocks), torch.tensor([0, 1, 2, 2]))
    predicted, target, weight = torch.zeros(4, 1, 2), torch.zeros(4, 1, 2), torch.ones(4, 1)
    target[[0, 1, 2, 3], 0, [0, 1, 1, 1]] = torch.tensor([1.0, 2.0, 4.0, 6.0])  # speeds; heights are 0
    torch.testing.assert_close(loss_sums(predicted, target, weight, layout), torch.tensor([1 + 4 + 8 + 18.0, 0]))
    torch.testing.assert_close(loss_weights(target, weight, layout), torch.tensor([3.0, 4.0]))


def test_different_behaviours_of_two_sessions_are_two_losses():
    segment = Segment(np.array([1.0]), np.zeros(1, np.int32), 0.0, 2.0)
    names = ("speed", "height")
    blocks = [Block(segment, np.ones(1, np.int64), 1, np.arange(1), (BehaviorColumns(name, "continuous", 0, 1),))
              for name in names]  # fmt: skip
    layout = of_windows(layout_of(blocks), torch.tensor([0, 1, 1]))
    target = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    torch.testing.assert_close(loss_sums(torch.zeros(3, 1, 1), target, torch.ones(3, 1), layout),
                               torch.tensor([1.0, 13.0]))  # fmt: skip


def test_numbers_have_no_probabilities(session, small_decoder, sides, tmp_path):
    second = {unit: train + 0.0 for unit, train in session.spikes.items()}
    behaviors = [{"velocity": session.behavior}, {"side": (session.times, sides)}]
    both = small_decoder().fit([session.spikes, second], behaviors, session_id=["a", "b"])
    both.save_pretrained(tmp_path)
    classifier = POYOClassifier.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(ValueError, match=r"'velocity' of .*'a'.* is continuous, and only labels have probabilities"):
        classifier.predict_proba(session.spikes, times=session.times, session_id="a")


def test_calibrated_probabilities_have_logarithms():
    sure = Temperature(0.06).applied(np.array([[1 - 1e-7, 1e-30]]))
    assert np.isfinite(np.log(np.maximum(sure, SMALLEST))).all()


def test_windows_that_are_sure_give_probabilities_that_have_logarithms():
    info = TargetInfo(name="side", n_outputs=1, kind="categorical", classes=("a", "b"))
    readout = CategoricalReadout.of(np.array([[0.0], [1.0]]), np.ones(2), info, name="side", first_column=0)
    answers = to_average([readout])(lambda _: torch.tensor([[0.0, 500.0]]), None)
    assert answers.log().isfinite().all()


def test_names_in_behavior_type_are_told_like_those_of_behaviours(session):
    velocity = session.behavior
    X, _ = align(session.spikes, {1: velocity}, behavior_type={1: "continuous"})
    assert X.targets[0][0].kind == "continuous"
    with pytest.raises(ValueError, match=r"names \['1', 'b'\]; the behaviours are \['a'\]"):
        align(session.spikes, {"a": velocity}, behavior_type={1: "continuous", "b": "circular"})
