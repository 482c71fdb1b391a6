"""Several behaviours in one decoder: named, each with its own outputs, unit of measure and rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from spikeinterface_poyo import POYODecoder, align
from spikeinterface_poyo.readouts.behaviors import make_readouts, readout_from_json
from spikeinterface_poyo.readouts.codes import as_label_array
from spikeinterface_poyo.readouts.encoding import standardisation
from spikeinterface_poyo.readouts.label_readout import CategoricalReadout
from spikeinterface_poyo.readouts.number_readouts import CircularReadout, ContinuousReadout
from spikeinterface_poyo.readouts.scoring import mean_r2
from spikeinterface_poyo.sessions.signals import TargetInfo

pq = pytest.importorskip("quantities")
NAMES = ["velocity", "force"]


@pytest.fixture(scope="module")
def sessions(simulate):
    return simulate(0, n_outputs=2), simulate(1, interval=0.05, t_start=100.0)


@pytest.fixture(scope="module")
def spikes(sessions):
    return [session.spikes for session in sessions]


@pytest.fixture(scope="module")
def behaviors(sessions):
    velocity, force = sessions
    return [(velocity.times, velocity.values * pq.cm / pq.s), (force.times, (5 * force.values + 20) * pq.N)]


@pytest.fixture(scope="module")
def fitted(spikes, behaviors, small_decoder) -> POYODecoder:
    decoder = small_decoder(max_iter=6, learning_rate_init=5e-3, early_stopping=False)
    return decoder.fit(spikes, behaviors, session_id=["arm", "wrist"], behavior_name=NAMES)


def test_each_behaviour_has_its_columns_and_units(fitted, sessions):
    velocity, force = (fitted.sessions_.readouts[name] for name in NAMES)
    assert (velocity.units, force.units) == ("cm/s", "N")
    np.testing.assert_array_equal(np.concatenate([velocity.columns, force.columns]), [0, 1, 2])
    assert fitted.network_.readout.out_features == 3
    assert force.mean == pytest.approx([np.mean(5 * sessions[1].values + 20)])
    assert fitted.n_outputs_ == 2


def test_each_session_is_decoded_to_its_own_behaviour(fitted, spikes, behaviors, sessions):
    arm = fitted.predict(spikes[0], session_id="arm")
    wrist = fitted.predict(spikes[1], times=sessions[1].times, session_id="wrist")
    assert arm.shape[1] == 2
    assert wrist.shape == (len(sessions[1].times),)
    assert fitted.score(spikes, behaviors, session_id=["arm", "wrist"]) > 0.5
    signals = fitted.decode(spikes, session_id=["arm", "wrist"])
    assert [signal.units for signal in signals] == [pq.cm / pq.s, pq.N]
    assert [signal.shape[1] for signal in signals] == [2, 1]
    assert signals[1].sampling_period.rescale("s").magnitude == pytest.approx(0.05)


def test_targets_are_padded_with_nan_and_predictions_too(fitted, spikes, behaviors):
    X, y = align(spikes, behaviors, session_id=["arm", "wrist"], behavior_name=NAMES)
    predicted = fitted.predict(X)
    assert y.shape == predicted.shape == (len(X), 2)
    np.testing.assert_array_equal(np.isnan(predicted), np.isnan(y))
    np.testing.assert_array_equal(np.isnan(y[:, 1]), X.session_ids == "wrist")
    assert fitted.score(X, y) == fitted.score(spikes, behaviors, session_id=["arm", "wrist"])


@pytest.mark.usefixtures("short_stages")
def test_samples_and_raw_inputs_train_the_same(spikes, behaviors, small_decoder):
    names = {"session_id": ["arm", "wrist"], "behavior_name": NAMES}
    X, y = align(spikes, behaviors, **names)
    raw, samples = small_decoder().fit(spikes, behaviors, **names), small_decoder().fit(X, y)
    np.testing.assert_array_equal(samples.predict(X), raw.predict(X))


def test_a_subset_of_one_behaviour_is_decoded_to_all_columns_it_has(fitted, spikes, behaviors):
    X, _ = align(spikes, behaviors, session_id=["arm", "wrist"], behavior_name=NAMES)
    wrist = X[X.session_ids == "wrist"]
    assert fitted.predict(wrist).shape == (len(wrist),)


@pytest.mark.usefixtures("short_stages")
def test_one_behaviour_has_one_readout_for_all_sessions(simulate, small_decoder):
    one, other = simulate(0), simulate(1)
    decoder = small_decoder().fit([one.spikes, other.spikes], [one.behavior, other.behavior], behavior_name="phase")
    assert list(decoder.sessions_.readouts) == ["phase"]
    assert decoder.predict(one.spikes, session_id="session_0").ndim == 1


class TestRefused:
    def test_unnamed_behaviours_that_differ(self, spikes, sessions, small_decoder):
        with pytest.raises(ValueError, match=r"1 output.*need names.*behavior_name"):
            small_decoder().fit(spikes, [session.behavior for session in sessions])

    def test_a_name_too_many(self, spikes, behaviors):
        with pytest.raises(ValueError, match="expected one behavior_name, or 2"):
            align(spikes, behaviors, behavior_name=["a", "b", "c"])

    def test_names_for_samples(self, spikes, behaviors, small_decoder):
        X, y = align(spikes, behaviors, behavior_name=NAMES)
        with pytest.raises(ValueError, match="give them to align"):
            small_decoder().fit(X, y, behavior_name=NAMES)

    def test_targets_that_lack_a_behaviours_outputs(self, spikes, behaviors, small_decoder):
        X, y = align(spikes, behaviors, behavior_name=NAMES)
        with pytest.raises(ValueError, match=r"y has 1 output.*'velocity' was aligned with 2"):
            small_decoder().fit(X, y[:, 0])

    def test_a_behaviour_that_is_nowhere_known(self, spikes, behaviors, small_decoder):
        X, y = align(spikes, behaviors, behavior_name=NAMES)
        y[X.session_ids == "session_1"] = np.nan
        with pytest.raises(ValueError, match="session 'session_1' has nothing to learn from"):
            small_decoder().fit(X, y)

    def test_scores_against_another_behaviour(self, fitted, spikes, behaviors):
        with pytest.raises(ValueError, match="'wrist' is not 'force' as the decoder reads it out: 2 output"):
            fitted.score(spikes[1], (behaviors[0][0] + 100, behaviors[0][1]), session_id="wrist")


def test_encoding_is_undone_by_decoding():
    readout = ContinuousReadout(name="force", first_column=3, mean=(1.0, -2.0), scale=(2.0, 0.5))
    y = np.random.default_rng(0).normal(size=(10, 2))
    np.testing.assert_allclose(readout.decode(readout.encode(y)), y)
    np.testing.assert_array_equal(readout.columns, [3, 4])
    assert readout_from_json(readout.to_json()) == readout


def test_known_readouts_come_first_and_keep_their_scale(spikes, behaviors):
    X, y = align(spikes, behaviors, behavior_name=NAMES)
    force = ContinuousReadout(name="force", first_column=7, mean=(3.0,), scale=(2.0,), units="N")
    readouts = make_readouts(X, y, np.ones(len(y)), {"force": force})
    assert replace(readouts["force"], one_dimensional=force.one_dimensional) == replace(force, first_column=0)
    assert readouts["velocity"].first_column == 1


class TestKnownReadoutsAnswerAsTargetsAreGiven:
    """A new session's behaviour may be in another unit of measure, or of another shape, than where it was learned."""

    def test_of_numbers(self):
        known = ContinuousReadout(
            mean=(1.0,), scale=(2.0,), units="m", output_names=("x",), name="heading", first_column=0
        )
        y = np.array([[100.0], [300.0]])
        adapted = known.adapted(y, np.ones(2), TargetInfo("cm", one_dimensional=True))
        assert (adapted.units, adapted.output_names, adapted.one_dimensional) == ("cm", ("x",), True)
        np.testing.assert_allclose(adapted.encode(y), known.encode(y / 100))
        np.testing.assert_allclose(adapted.decode(adapted.encode(y)), y)
        assert known.adapted(y, np.ones(2), TargetInfo(bare=True)) == known
        named = replace(known, output_names=None).adapted(y, np.ones(2), TargetInfo("m", ("y",)))
        assert named.output_names == ("y",)

    def test_of_angles(self):
        y = np.array([[-90.0], [45.0]])
        info = TargetInfo("rad", kind="circular")
        known = CircularReadout.of(np.deg2rad(y % 360), np.ones(2), info, units="rad", name="heading", first_column=0)
        adapted = known.adapted(y, np.ones(2), TargetInfo("deg", kind="circular"))
        assert (adapted.period, adapted.first) == pytest.approx((360, -180))
        np.testing.assert_allclose(adapted.encode(y), known.encode(np.deg2rad(y)), atol=1e-12)
        np.testing.assert_allclose(adapted.decode(adapted.encode(y)), y)

    def test_of_labels(self):
        y, weight = np.array([[0.0], [1.0], [1.0], [1.0]]), np.ones(4)
        known = CategoricalReadout.of(y, weight, TargetInfo(classes=("left", "right")), name="heading", first_column=0)
        other_codes = TargetInfo(classes=("right",), one_dimensional=True)
        adapted = known.adapted(np.zeros((2, 1)), np.ones(2), other_codes, {"right": 3.0})
        assert (adapted.classes, adapted.class_weight) == (("left", "right"), (1.0, 3.0))
        assert adapted.one_dimensional

    @pytest.mark.usefixtures("brief_training")
    def test_of_pretrained_weights(self, simulate, small_decoder, tmp_path):
        simulated = simulate(0, duration=40.0, rate=5.0)
        times, meters = simulated.times, simulated.values[:, None]
        base = small_decoder(max_iter=2).fit(simulated.spikes, (times, meters * pq.m))
        base.save_pretrained(tmp_path)
        decoder = POYODecoder(pretrained=tmp_path, max_iter=2, random_state=0, device="cpu")
        in_meters = clone(decoder).fit(simulated.spikes, (times, meters * pq.m)).predict(simulated.spikes)
        in_cm = decoder.fit(simulated.spikes, (times, 100 * meters[:, 0] * pq.cm))
        np.testing.assert_allclose(in_cm.predict(simulated.spikes), 100 * in_meters[:, 0], rtol=1e-4)
        assert in_cm.decode(simulated.spikes).units == pq.cm
        # A decoder that goes on answers in the unit it has.
        before = base.predict(simulated.spikes, session_id="session_0")
        base.partial_fit(simulated.spikes, (times, 100 * meters * pq.cm))
        np.testing.assert_array_equal(base.predict(simulated.spikes, session_id="session_0"), before)
        assert base.sessions_.readouts["behavior"].units == "m"


@pytest.mark.parametrize(
    ("info", "n_outputs", "agrees"),
    [
        (TargetInfo("m/s", None, "velocity", 2), 2, True),
        (TargetInfo("cm/s", ("y", "x"), "velocity", 2), 2, False),
        (TargetInfo("N", None, "velocity", 2), 2, False),
        (TargetInfo(None, None, "velocity", 2), 2, False),
        (TargetInfo("cm/s", None, "velocity", 2), 1, False),
        (TargetInfo(bare=True), 2, True),  # targets by themselves: nothing is known of their unit
    ],
)
def test_what_can_be_read_out_under_one_name(info, n_outputs, agrees):
    scale = {"mean": (0.0, 0.0), "scale": (1.0, 1.0)}
    readout = ContinuousReadout(name="velocity", first_column=0, units="cm/s", output_names=("x", "y"), **scale)
    assert (readout.mismatch(info, n_outputs) is None) == agrees


def test_targets_are_standardised_by_weighted_samples_and_rounding_is_no_scale():
    rng = np.random.default_rng(0)
    weight = np.array([1.0, 2.0, 0.0, 3.0])
    y = np.column_stack([rng.normal(size=4), np.full(4, 0.1), np.full(4, np.nan)])
    y[[0, 3], 1] = np.nan
    mean, scale = standardisation(y, weight)
    known = np.repeat(y[:, 0], weight.astype(int))
    np.testing.assert_allclose([mean[0], scale[0]], [known.mean(), known.std()])
    assert mean[1] == pytest.approx(0.1)
    assert scale[1] == pytest.approx(0.1)
    assert np.isfinite(mean[2])
    assert scale[2] == 1.0


def test_long_recordings_and_large_offsets_are_standardised_as_well():
    wave = np.sin(np.arange(100_000) / 30)
    y = np.column_stack([np.full_like(wave, 0.1), 1.7e9 + 1e-3 * wave, 1e9 * (np.cos(wave) ** 2 + np.sin(wave) ** 2)])
    mean, scale = standardisation(y, np.ones(len(y)))
    assert (mean[0], scale[0]) == (0.1, 0.1)
    assert mean[1] - 1.7e9 == pytest.approx(1e-3 * wave.mean(), abs=1e-6)
    assert scale[1] == pytest.approx(1e-3 * wave.std(), rel=1e-3)
    assert (mean[2], scale[2]) == (y[0, 2], 1.0)


def test_only_the_named_outputs_are_standardised_anew():
    known = ContinuousReadout(name="hand", first_column=0, mean=(3.0, 5.0), scale=(1.0, 4.0))
    y, weight = np.array([[0.0, 9.0], [4.0, 7.0], [8.0, 1.0]]), np.array([1.0, 1.0, 0.0])
    told = known.standardising(np.array([0]), y, weight)
    assert (told.mean, told.scale) == ((2.0, 5.0), (2.0, 4.0))


def test_an_output_that_does_not_vary_takes_nothing_from_what_others_cost():
    readout = ContinuousReadout(name="hand", first_column=0, mean=(0.0, 0.0), scale=(1.0, 1.0))
    np.testing.assert_allclose(readout.cost(np.column_stack([np.arange(5.0), np.full(5, 3.7)])), [0.1, 0.0])
    np.testing.assert_array_equal(readout.cost(np.full((5, 2), 3.7)), 0)


def test_an_output_with_one_known_target_has_no_part_in_r2():
    true = np.array([[0.0, 1.0], [1.0, np.nan], [2.0, np.nan]])
    assert mean_r2(true, np.nan_to_num(true)) == 1.0


@pytest.mark.parametrize(
    ("labels", "kind"), [([7, 2**63 + 5, 2**63 + 6], "u"), ([-7, 2**63 + 5], "O"), ([7, -8], "i"), ([2**70, 1], "O")]
)
def test_large_labels_stay_what_they_are(labels, kind):
    array = as_label_array(labels)
    assert array.dtype.kind == kind
    assert array.tolist() == labels


def test_constants_that_rounding_blurs_scale_by_one_or_by_what_they_are():
    y = np.full((1000, 4), [0.1, -1e-6, 0.0, 33.3])
    weight = np.random.default_rng(0).random(1000)
    _, scale = standardisation(y, weight)
    assert scale == pytest.approx([0.1, 1e-6, 1.0, 1.0])


@pytest.mark.parametrize("constant", [0.1, 1e-4, 33.3])
@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 1, 3226)])
def test_a_score_against_a_constant_is_not_of_its_rounding(constant, weight):
    true = np.full((3226, 1), constant)
    assert mean_r2(true, true, weight) == 1.0
    assert mean_r2(true, 1.01 * true, weight) == 0.0
    assert mean_r2(true + np.arange(3226)[:, None], true + np.arange(3226)[:, None] + 1e-9, weight) > 0.99
