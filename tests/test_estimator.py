"""`POYODecoder` as scikit-learn's and SpikeInterface's users meet it."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import joblib
import neo
import numpy as np
import pytest
import quantities as pq
import torch
from comparing import assert_same_weights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from spikeinterface_poyo import BlockedKFold, POYODecoder, SelectUnits, align, from_counts
from spikeinterface_poyo.decoder.neo_out import as_neo_signal
from spikeinterface_poyo.sessions.intervals import grid_interval
from spikeinterface_poyo.training import fitting

pytestmark = pytest.mark.usefixtures("brief_training")


def as_spiketrains(spikes: dict, t_stop: float) -> list[neo.SpikeTrain]:
    return [neo.SpikeTrain(t * pq.s, t_stop=t_stop, name=name) for name, t in spikes.items()]


@pytest.fixture(scope="module")
def session(simulate):
    return simulate()


@pytest.fixture(scope="module")
def aligned(session):
    return align(session.spikes, session.behavior)


@pytest.fixture(scope="module")
def fitted(session, small_decoder):
    return small_decoder(max_iter=2).fit(session.spikes, session.behavior)


# Fitting and predicting


@pytest.mark.usefixtures("full_training")
def test_it_learns(simulate, small_decoder):
    session = simulate(duration=120.0)
    X, y = align(session.spikes, session.behavior)
    decoder = small_decoder(max_iter=8, learning_rate_init=5e-3, early_stopping=True).fit(X[:900], y[:900])
    assert decoder.score(X[900:], y[900:]) > 0.8
    assert decoder.loss_curve_[-1] < 0.5 * decoder.loss_curve_[0]
    assert decoder.n_iter_ == 8
    assert len(decoder.validation_scores_) == 8
    assert decoder.best_validation_score_ == max(decoder.validation_scores_)
    assert decoder.interrupted_ is False


def test_early_stopping_can_be_off(session, small_decoder):
    decoder = small_decoder(early_stopping=False, max_iter=2).fit(session.spikes, session.behavior)
    assert decoder.n_iter_ == 2
    assert decoder.best_loss_ == min(decoder.loss_curve_)
    assert decoder.validation_scores_ is None
    assert decoder.best_validation_score_ is None


@pytest.mark.usefixtures("full_training")
def test_several_sessions_start_with_one(simulate, small_decoder, monkeypatch):
    stages = []

    def recorded(network, source, settings, *args):
        core = network.proc_layers[0][0].to_qkv.weight
        before = core.detach().clone()
        result = train(network, source, settings, *args)
        sessions = {block.session_row for block in source.blocks}
        stages.append((settings.stage, sessions, not torch.equal(core, before)))
        return result

    train = fitting.train
    monkeypatch.setattr(fitting, "train", recorded)
    few, many = simulate(0, rate=5.0), simulate(1, rate=20.0)
    decoder = small_decoder(max_iter=2).fit([few.spikes, many.spikes], [few.behavior, many.behavior])
    assert stages == [
        ("one session", {2}, True), ("unit identification", {1, 2}, False), ("training", {1, 2}, True)
    ]  # fmt: skip
    assert decoder.n_iter_ == 6 + 6 + 2
    small_decoder(max_iter=2).fit(few.spikes, few.behavior)
    assert [stage for stage, _, _ in stages[3:]] == ["training"]


def test_no_stage_learns_from_what_is_held_out(simulate, small_decoder, monkeypatch):
    stages, stage = [], fitting.train_stage

    def recorded(network, data, settings, job, held_out=None):
        stages.append((set(np.concatenate(data.times)), held_out))
        return stage(network, data, settings, job, held_out)

    monkeypatch.setattr(fitting, "train_stage", recorded)
    sessions = [simulate(0), simulate(1, t_start=1000.0)]
    behaviors = [session.behavior for session in sessions]
    small_decoder(max_iter=2, early_stopping=True).fit([session.spikes for session in sessions], behaviors)
    held_out = set(np.concatenate(stages[-1][1].times))
    assert len(stages) == 3
    assert all(not trained & held_out for trained, _ in stages)


@pytest.mark.parametrize(("spare", "held_out"), [(61.0, False), (59.0, True)])
def test_few_labels_are_all_learned_from(session, small_decoder, monkeypatch, spare, held_out):
    monkeypatch.setattr("spikeinterface_poyo.training.defaults.SPARE_TIME", spare)  # the session's samples cover 60 s
    decoder = small_decoder(max_iter=2).fit(session.spikes, session.behavior)
    assert (decoder.validation_scores_ is not None) == held_out
    assert (decoder.best_loss_ is None) == held_out


def test_early_stopping_is_checked(session, small_decoder):
    with pytest.raises(ValueError, match="early_stopping must be 'auto', True or False, got 'yes'"):
        small_decoder(early_stopping="yes").fit(session.spikes, session.behavior)


@pytest.mark.parametrize(("shape", "expected"), [("flat", (600,)), ("column", (600, 1)), ("two", (600, 2))])
def test_predictions_have_the_shape_of_the_targets(simulate, small_decoder, shape, expected):
    session = simulate(n_outputs=2)
    values = {"flat": session.values[:, 0], "column": session.values[:, :1], "two": session.values}[shape]
    X, y = align(session.spikes, (session.times, values))
    decoder = small_decoder().fit(X, y)
    assert y.shape == decoder.predict(X).shape == expected
    assert decoder.predict(X).dtype == np.float64
    assert np.isfinite(decoder.score(X, y))


def test_fit_on_raw_input_is_fit_on_aligned_samples(session, aligned, small_decoder):
    assert_same_weights(small_decoder().fit(session.spikes, session.behavior), small_decoder().fit(*aligned))


@pytest.mark.parametrize("random_state", [3, "generator"])
def test_equal_random_states_give_equal_bits(session, small_decoder, random_state):
    decoders = [
        small_decoder(random_state=np.random.RandomState(5) if random_state == "generator" else random_state)
        .fit(session.spikes, session.behavior)
        for _ in range(2)
    ]  # fmt: skip
    assert_same_weights(*decoders)
    predictions = [decoder.predict(session.spikes) for decoder in decoders]
    np.testing.assert_array_equal(*predictions)
    other = small_decoder(random_state=4).fit(session.spikes, session.behavior)
    assert not np.array_equal(other.predict(session.spikes), predictions[0])


def test_refitting_starts_anew(session, small_decoder):
    decoder = small_decoder().fit(session.spikes, session.behavior)
    first = decoder.predict(session.spikes)
    decoder.calibrate(session.spikes, session.behavior, cv="prefit")
    np.testing.assert_array_equal(decoder.fit(session.spikes, session.behavior).predict(session.spikes), first)
    assert decoder.calibration_ == {}


@pytest.mark.parametrize("random_state", [0, None])
def test_global_random_generators_are_left_alone(session, small_decoder, random_state):
    def state() -> tuple:
        return np.random.get_state()[1].tolist(), np.random.get_state()[2], torch.get_rng_state().tolist()  # noqa: NPY002

    before = state()
    decoder = small_decoder(random_state=random_state).fit(session.spikes, session.behavior)
    decoder.predict(session.spikes)
    assert state() == before


def test_the_global_seed_does_not_matter(session, small_decoder):
    decoders = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            decoders.append(small_decoder().fit(session.spikes, session.behavior))
    assert_same_weights(*decoders)


# scikit-learn's habits


def test_parameters_are_only_stored():
    strange = {name: object() for name in POYODecoder().get_params()}
    decoder = POYODecoder(**strange)
    assert all(getattr(decoder, name) is value for name, value in strange.items())
    assert vars(decoder) == strange


def test_clone_and_set_params(fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "network_")
    assert twin.set_params(depth=3, dropout=0.0) is twin
    assert (twin.depth, twin.dropout) == (3, 0.0)
    with pytest.raises(ValueError, match="Invalid parameter"):
        twin.set_params(n_layers=3)


@pytest.mark.parametrize("method", ["predict", "decode", "score", "save_pretrained"])
def test_unfitted_says_so(session, method, tmp_path):
    arguments = {"score": (session.spikes, session.behavior), "save_pretrained": (tmp_path / "decoder",)}
    with pytest.raises(NotFittedError):
        getattr(POYODecoder(), method)(*arguments.get(method, (session.spikes,)))


def through_joblib(decoder: POYODecoder) -> POYODecoder:
    file = io.BytesIO()
    joblib.dump(decoder, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copied",
    [lambda decoder: pickle.loads(pickle.dumps(decoder)), through_joblib, copy.deepcopy],
    ids=["pickle", "joblib", "deepcopy"],
)
def test_copies_predict_the_same_bits(session, fitted, copied):
    twin = copied(fitted)
    np.testing.assert_array_equal(twin.predict(session.spikes), fitted.predict(session.spikes))
    assert twin.network_ is not fitted.network_
    assert twin.get_params() == fitted.get_params()
    assert twin.loss_curve_ == fitted.loss_curve_


@pytest.mark.usefixtures("full_training")
def test_cross_validation_in_two_processes(aligned, small_decoder):
    X, y = aligned
    alone = cross_val_score(small_decoder(), X, y, cv=BlockedKFold(3, gap=1.0))
    together = cross_val_score(small_decoder(), X, y, cv=BlockedKFold(3, gap=1.0), n_jobs=2)
    assert alone.shape == (3,)
    np.testing.assert_allclose(together, alone, atol=0.02)  # the processes may have another number of threads


def test_grid_search_over_a_pipeline(aligned, small_decoder):
    X, y = aligned
    pipeline = Pipeline([("units", SelectUnits()), ("poyo", small_decoder())])
    grid = {"units__min_rate": [0.0, 1.0], "poyo__dim": [8, 16]}
    search = GridSearchCV(pipeline, grid, cv=BlockedKFold(2), error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X[:7]).shape == (7,)
    assert search.best_estimator_["poyo"].dim in (8, 16)


def test_a_pipeline_leaves_out_units_at_predict_too(aligned, small_decoder):
    X, y = aligned
    pipeline = Pipeline([("units", SelectUnits(ids=["u0", "u3"])), ("poyo", small_decoder())]).fit(X, y)
    assert pipeline["poyo"].sessions_.sessions["session_0"].unit_names == ["u0", "u3"]
    assert pipeline.predict(X).shape == y.shape


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("dim", 0, ValueError),
        ("depth", 1.5, TypeError),
        ("dropout", 1.0, ValueError),
        ("dim_head", 6, ValueError),
        ("window_length", -1.0, ValueError),
        ("window_length", 1e-9, ValueError),
        ("causal", "False", ValueError),
        ("learning_rate_init", 0.0, ValueError),
        ("validation_fraction", 1.0, ValueError),
        ("max_iter", "many", TypeError),
        ("device", "abacus", ValueError),
        ("random_state", -1, ValueError),
        ("checkpoint", "", TypeError),
        ("checkpoint", 5, TypeError),
    ],
)
def test_a_bad_parameter_is_named(session, small_decoder, name, value, error):
    with pytest.raises(error, match=name):
        small_decoder(**{name: value}).fit(session.spikes, session.behavior)


# Targets


@pytest.mark.usefixtures("full_training")
def test_unknown_targets_have_no_part_in_fit_and_score(simulate, small_decoder):
    session = simulate(n_outputs=2)
    X, y = align(session.spikes, session.behavior)
    y = y.copy()
    y[100:200, 0], y[150:300] = np.nan, np.nan
    decoder = small_decoder().fit(X, y)
    predicted = decoder.predict(X)
    assert predicted.shape == y.shape
    assert np.isfinite(predicted).all()
    scores = []
    for output in range(2):
        known = ~np.isnan(y[:, output])
        error = ((y - predicted)[known, output] ** 2).sum()
        scores.append(1 - error / ((y[known, output] - y[known, output].mean()) ** 2).sum())
    assert decoder.score(X, y) == pytest.approx(np.mean(scores), abs=1e-9)
    known = ~np.isnan(y).all(axis=1)
    assert_same_weights(decoder, small_decoder().fit(X[known], y[known]))


@pytest.mark.usefixtures("full_training")
def test_a_sample_without_weight_has_no_part_in_fit(aligned, small_decoder):
    X, y = aligned
    weight = np.ones(len(y))
    weight[250:400] = 0
    wrong = np.where(weight > 0, y, 1e6)
    assert_same_weights(
        small_decoder().fit(X, wrong, sample_weight=weight), small_decoder().fit(X[weight > 0], y[weight > 0])
    )


def test_only_ratios_of_weights_matter(aligned, small_decoder):
    X, y = aligned
    one, double = (small_decoder().fit(X, y, sample_weight=w * np.ones(len(y))) for w in (1.0, 2.0))
    np.testing.assert_allclose(one.predict(X), double.predict(X), atol=1e-4)


@pytest.mark.parametrize("weight", [np.ones(3), -np.ones(600), np.zeros(600), np.full(600, np.nan)])
def test_bad_weights_are_an_error(aligned, small_decoder, weight):
    with pytest.raises(ValueError, match="sample_weight"):
        small_decoder().fit(*aligned, sample_weight=weight)


@pytest.mark.usefixtures("full_training")
@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (1e4, -3e5)])
def test_targets_are_standardised_inside(aligned, small_decoder, scale, shift):
    X, y = aligned
    plain, scaled = small_decoder().fit(X, y), small_decoder().fit(X, scale * y + shift)
    np.testing.assert_allclose((scaled.predict(X) - shift) / scale, plain.predict(X), atol=1e-3)


@pytest.mark.parametrize("constant", [7.0, 0.1, -3e-7, 0.0])
def test_a_constant_output_is_decoded_as_it_is(session, small_decoder, constant, tmp_path):
    still = np.full(len(session.times), constant)
    both = np.column_stack([session.values, still])
    with pytest.warns(UserWarning, match=r"output\(s\) \[1\] of behaviour 'behavior' are the same at all samples"):
        decoder = small_decoder().fit(session.spikes, (session.times, both))
    assert (decoder.predict(session.spikes)[:, 1] == constant).all()
    first = small_decoder().fit(session.spikes, session.behavior).score(session.spikes, session.behavior)
    assert decoder.score(session.spikes, (session.times, both)) > first / 2 + 0.4
    decoder.calibrate(session.spikes, (session.times, both), cv="prefit")
    for end in decoder.predict_interval(session.spikes):
        assert (end[:, 1] == constant).all()
    decoder.save_pretrained(tmp_path)
    for adapted in (  # where the behaviour is known, and where it is new
        POYODecoder(pretrained=tmp_path, device="cpu").fit(session.spikes, (session.times, both)),
        decoder.partial_fit(session.spikes, (session.times, both), session_id="b", behavior_name="new"),
    ):
        answers = adapted.predict(session.spikes, session.times, session_id=list(adapted.sessions_.sessions)[-1])
        assert (answers[:, 1] == constant).all()
    with pytest.warns(UserWarning, match="same at all samples"):
        decoder = small_decoder().fit(session.spikes, (session.times, still))
    assert (decoder.predict(session.spikes) == constant).all()
    assert decoder.score(session.spikes, (session.times, still)) == 1.0


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e8, 1e12])
def test_a_constant_that_rounding_blurs_is_one(session, small_decoder, size):
    blurred = size * (np.cos(session.times) ** 2 + np.sin(session.times) ** 2)
    assert len(np.unique(blurred)) > 1
    with pytest.warns(UserWarning, match="are the same at all samples"):
        decoder = small_decoder(max_iter=3).fit(session.spikes, (session.times, blurred))
    assert np.ptp(decoder.predict(session.spikes)) == 0
    assert decoder.score(session.spikes, (session.times, blurred)) == 1


@pytest.mark.filterwarnings("ignore:output.* are the same at all samples")
@pytest.mark.parametrize("how", ["known session", "all", "pretrained"])
def test_an_output_that_was_constant_may_be_learned_later(session, small_decoder, tmp_path, how):
    y = np.column_stack([session.values, session.values])
    decoder, scale = small_decoder().fit(session.spikes, (session.times, y * [1, 0])), 30.0
    before = decoder.network_.readout.weight[1].detach().clone()
    again = session.spikes, (session.times, y * [1, scale])
    if how == "pretrained":
        decoder.save_pretrained(tmp_path)
        decoder = small_decoder(pretrained=tmp_path).fit(*again)
    elif how == "all":
        decoder.partial_fit(*again, session_id="b", adapt="all")
    else:
        decoder.partial_fit(*again, session_id="session_0")
    after = decoder.network_.readout.weight[1].detach()
    assert (before == 0).all()
    readout = decoder.sessions_.readouts["behavior"]
    found, expected = [readout.mean[1], readout.scale[1]], [scale * y[:, 1].mean(), scale * y[:, 1].std()]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert after.abs().mean() > 0.5 * decoder.network_.readout.weight[0].abs().mean()  # as of one never silenced


@pytest.mark.filterwarnings("ignore:output.* are the same at all samples")
@pytest.mark.parametrize("later", [0.3, 0.1 + 1e-9, float(np.float32(0.1)), 123.4])
def test_a_constant_that_becomes_another_is_decoded_as_that(session, small_decoder, tmp_path, later):
    y = np.column_stack([session.values, np.full(len(session.times), 0.1)])
    small_decoder().fit(session.spikes, (session.times, y)).save_pretrained(tmp_path)
    y[:, 1] = later
    decoder = small_decoder(pretrained=tmp_path).fit(session.spikes, (session.times, y))
    assert (decoder.predict(session.spikes)[:, 1] == later).all()


@pytest.mark.filterwarnings("ignore:output.* are the same at all samples")
@pytest.mark.parametrize("how", ["units", "all", "pretrained"])
def test_a_constant_has_no_scale_to_be_told_from(session, small_decoder, tmp_path, how):
    y = np.column_stack([session.values, np.full(len(session.times), 0.1)])
    decoder = small_decoder().fit(session.spikes, (session.times, y))
    y[:, 1] = 100 * session.values
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if how == "pretrained":
            decoder.save_pretrained(tmp_path)
            small_decoder(pretrained=tmp_path).fit(session.spikes, (session.times, y))
        else:
            decoder.partial_fit(session.spikes, (session.times, y), session_id="b", adapt=how)
    assert [str(one.message)[:13] for one in told] == ["output(s) [1]"] * (how == "units")


@pytest.mark.filterwarnings("ignore:output.* are the same at all samples")
@pytest.mark.parametrize("size", [1.0, 1e-9])
def test_an_output_that_was_constant_stays_so_where_only_units_are_learned(session, small_decoder, size):
    y = np.column_stack([session.values, size * session.values])
    decoder = small_decoder().fit(session.spikes, (session.times, y * [1, 0]))
    with pytest.warns(UserWarning, match=r"output\(s\) \[1\] of behaviour 'behavior' were constant in all sessions"):
        decoder.partial_fit(session.spikes, (session.times, y), session_id="b")
    assert (decoder.predict(session.spikes, session_id="b")[:, 1] == 0).all()


def test_an_output_that_varied_is_read_out_as_before_where_it_is_constant(session, small_decoder, tmp_path):
    y = np.column_stack([session.values, session.values])
    decoder = small_decoder().fit(session.spikes, (session.times, y))
    decoder.save_pretrained(tmp_path)
    weight, rests = decoder.network_.readout.weight.detach().clone(), (session.times, y * [1, 0])
    decoder.partial_fit(session.spikes, rests, session_id="b")
    assert torch.equal(decoder.network_.readout.weight, weight)
    assert small_decoder(pretrained=tmp_path).fit(session.spikes, rests).network_.readout.weight[1].any()


def test_a_constant_scores_the_same_in_any_unit(session, small_decoder):
    still = neo.AnalogSignal(np.full((590, 1), 12.7), units="m", sampling_rate=10 * pq.Hz)
    with pytest.warns(UserWarning, match="are the same at all samples"):
        decoder = small_decoder().fit(session.spikes, still)
    assert decoder.score(session.spikes, still) == decoder.score(session.spikes, still.rescale("cm")) == 1.0


def test_what_is_known_without_weight_only_is_refused(session, small_decoder):
    y = np.column_stack([session.values, np.full(len(session.times), np.nan)])
    y[:10, 1], weight = np.arange(10), np.arange(len(y)) >= 10
    X, y = align(session.spikes, (session.times, y))
    with pytest.raises(ValueError, match=r"output\(s\) \[1\] of behaviour 'behavior' are all NaN, or known only where"):
        small_decoder().fit(X, y, sample_weight=weight.astype(float))


@pytest.mark.parametrize("large", [1e200, 1e308])
def test_values_without_squares_are_refused(session, small_decoder, large):
    values = np.where(np.arange(len(session.times)) == 3, large, session.values)
    with pytest.raises(ValueError, match=r"values of up to 1e\+\d+, too large to learn; what is unknown is NaN"):
        small_decoder().fit(session.spikes, (session.times, values))


def test_weights_of_a_relative_path_are_found_from_another_folder(session, small_decoder, tmp_path, monkeypatch):
    small_decoder().fit(session.spikes, session.behavior).save_pretrained(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    decoder = POYODecoder.from_pretrained("base", device="cpu")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert decoder.fit(session.spikes, session.behavior).pretrained == str(tmp_path / "base")


def test_columns_of_a_table_name_the_outputs(session, small_decoder):
    pd = pytest.importorskip("pandas")
    y = np.column_stack([session.behavior[1], np.sin(session.times)])
    X, _ = align(session.spikes, pd.DataFrame(y, index=session.times, columns=["x", "y"]))
    decoder = small_decoder(max_iter=1).fit(X, pd.DataFrame(y, columns=["x", "y"]))
    swapped = pd.DataFrame(y[:, ::-1], columns=["y", "x"])
    for method in (decoder.score, small_decoder(max_iter=1).fit):
        with pytest.raises(
            ValueError, match=r"y has the outputs \('y', 'x'\), what it goes with has them as \('x', 'y'"
        ):
            method(X, swapped)
    other = small_decoder(max_iter=1).fit(X, pd.DataFrame(y, columns=["p", "q"]))
    assert list(other.decode(X).array_annotations["channel_names"]) == ["p", "q"]
    unnamed, _ = align(session.spikes, (session.times, y))
    with pytest.raises(ValueError, match="give them in one order"):
        decoder.score(unnamed, swapped)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.full(600, np.nan), "NaN"),
        (np.ones(599), "same length"),
        (np.full(600, np.inf), "infinity"),
        (np.ones((600, 2, 2)), "shape|dim"),
        (None, "y"),
    ],
)
def test_bad_targets_are_an_error_before_training(aligned, small_decoder, y, match):
    with pytest.raises(ValueError, match=match):
        small_decoder(max_iter=100_000).fit(aligned[0], y)


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_the_order_of_samples_does_not_matter(aligned, small_decoder, order):
    X, y = aligned
    index = np.arange(len(y))[::-1] if order == "reversed" else np.random.default_rng(0).permutation(len(y))
    one, other = small_decoder().fit(X, y), small_decoder().fit(X[index], y[index])
    # the targets' mean is summed in another order
    np.testing.assert_allclose(other.predict(X[index]), one.predict(X)[index], rtol=0, atol=1e-5)


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_prediction_does_not_depend_on_what_else_is_asked(fitted, aligned, data):
    X, _ = aligned
    index = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=30))
    np.testing.assert_allclose(fitted.predict(X[index]), fitted.predict(X)[index], rtol=0, atol=2e-6)


def test_duplicated_times_get_equal_answers(session, fitted):
    predicted = fitted.predict(session.spikes, times=[30.0, 5.0, 30.0, 5.0])
    assert predicted[0] == pytest.approx(predicted[2], abs=1e-6)
    assert predicted[1] == pytest.approx(predicted[3], abs=1e-6)


# Leakage


@pytest.mark.usefixtures("full_training")
@pytest.mark.parametrize("causal", [False, True])
def test_labels_outside_the_given_samples_change_nothing(aligned, small_decoder, causal):
    X, y = aligned
    given_ = np.r_[0:200, 350:500]
    wrong = y.copy()
    wrong[np.setdiff1d(np.arange(len(y)), given_)] = 1e3
    one, other = (small_decoder(causal=causal).fit(X[given_], labels[given_]) for labels in (y, wrong))
    assert_same_weights(one, other)


@pytest.mark.usefixtures("full_training")
def test_far_spikes_change_nothing_in_training(session, small_decoder):
    # spikes more than half a window from the given samples, added or removed
    near = session.times < 30.0
    X, y = align(session.spikes, (session.times[near], session.values[near]))
    changed = {unit: t[t < 30.5] for unit, t in session.spikes.items()} | {
        "u0": np.sort(np.append(session.spikes["u0"][session.spikes["u0"] < 30.5], np.arange(31, 60, 0.01)))
    }
    other, same_y = align(changed, (session.times[near], session.values[near]))
    np.testing.assert_array_equal(same_y, y)
    assert_same_weights(
        small_decoder(early_stopping=False).fit(X, y), small_decoder(early_stopping=False).fit(other, same_y)
    )


# Several sessions and segments


def test_sessions_of_different_sizes_and_rates_share_a_model(simulate, small_decoder):
    sessions = [simulate(0, n_units=5, interval=0.1), simulate(1, n_units=9, interval=0.033, t_start=500.0)]
    decoder = small_decoder(max_iter=2).fit([s.spikes for s in sessions], [s.behavior for s in sessions])
    assert list(decoder.sessions_.sessions) == ["session_0", "session_1"]
    assert decoder.network_.unit_emb.weight.shape[0] == 1 + 5 + 9
    X, y = align([s.spikes for s in sessions], [s.behavior for s in sessions])
    scores = []
    for i, session in enumerate(sessions):
        alone = decoder.predict(session.spikes, times=session.times, session_id=f"session_{i}")
        np.testing.assert_allclose(decoder.predict(X)[X.session_index == i], alone, atol=2e-6)
        inside = X.session_index == i
        scores.append(1 - ((y[inside] - alone) ** 2).sum() / ((y[inside] - y[inside].mean()) ** 2).sum())
        named = decoder.score(session.spikes, session.behavior, session_id=f"session_{i}")
        assert named == pytest.approx(scores[-1], abs=1e-5)
    assert decoder.score(X, y) == pytest.approx(np.mean(scores), abs=1e-5)
    together = decoder.predict([s.spikes for s in sessions])
    one_by_one = [decoder.predict(s.spikes, session_id=f"session_{i}") for i, s in enumerate(sessions)]
    np.testing.assert_allclose(together, np.concatenate(one_by_one), atol=2e-6)


def test_samples_of_one_session_train_the_same_alone_and_pickled(simulate, small_decoder):
    # the data choose the window; a session that no sample is of must not have a say, as pickling leaves its spikes out
    sessions = [simulate(0, rate=30.0), simulate(1, rate=3.0)]
    X, y = align([s.spikes for s in sessions], [s.behavior for s in sessions])
    first = X.session_index == 0
    subset, pickled = X[first], pickle.loads(pickle.dumps(X[first]))
    one, other = (small_decoder(window_length="auto").fit(samples, y[first]) for samples in (subset, pickled))
    assert one.network_.config == other.network_.config
    assert_same_weights(one, other)


def test_session_ids_are_kept_and_asked_for(simulate, small_decoder):
    sessions = [simulate(0, n_units=4), simulate(1, n_units=4)]
    decoder = small_decoder().fit(
        [s.spikes for s in sessions], [s.behavior for s in sessions], session_id=["monday", "tuesday"]
    )
    assert list(decoder.sessions_.sessions) == ["monday", "tuesday"]
    monday, tuesday = (decoder.predict(sessions[0].spikes, session_id=name) for name in ("monday", "tuesday"))
    assert not np.allclose(monday, tuesday)
    for method, extra in (("predict", ()), ("score", (sessions[0].behavior,))):
        with pytest.raises(ValueError, match=r"monday.*tuesday"):
            getattr(decoder, method)(sessions[0].spikes, *extra)
        with pytest.raises(ValueError, match=r"wednesday.*monday"):
            getattr(decoder, method)(sessions[0].spikes, *extra, session_id="wednesday")


def test_the_only_session_needs_no_name(session, small_decoder):
    decoder = small_decoder().fit(session.spikes, session.behavior, session_id="monday")
    np.testing.assert_array_equal(decoder.predict(session.spikes), decoder.predict(session.spikes, session_id="monday"))
    assert decoder.score(session.spikes, session.behavior) == decoder.score(
        *align(session.spikes, session.behavior, "monday")
    )
    with pytest.raises(ValueError, match=r"friday.*monday"):
        decoder.predict(session.spikes, session_id="friday")


def test_ids_must_be_one_a_session(session, small_decoder):
    with pytest.raises(ValueError, match="session ids"):
        small_decoder().fit([session.spikes] * 2, [session.behavior] * 2, session_id=["a", "a"])
    with pytest.raises(ValueError, match="session ids"):
        small_decoder().fit(session.spikes, session.behavior, session_id=["a", "b"])


@pytest.mark.parametrize("method", ["predict", "fit"])
def test_samples_have_their_own_session_ids(aligned, fitted, small_decoder, method):
    X, y = aligned
    with pytest.raises(ValueError, match="session_id"):
        fitted.predict(X, session_id="a") if method == "predict" else small_decoder().fit(X, y, session_id="a")


def test_segments_take_one_signal_each(simulate, small_decoder):
    parts = [simulate(0, n_outputs=2), simulate(1, n_outputs=2, duration=40.0)]
    block = neo.Block()
    for part, stop in zip(parts, (60.0, 40.0), strict=True):
        block.segments.append(neo.Segment())
        block.segments[-1].spiketrains.extend(as_spiketrains(part.spikes, stop))
    signals = [
        neo.AnalogSignal(
            p.values, units="cm/s", sampling_period=0.1 * pq.s, array_annotations={"channel_names": ["vx", "vy"]}
        )
        for p in parts
    ]
    decoder = small_decoder().fit(block, signals, session_id="monday")
    assert list(decoder.sessions_.sessions) == ["monday"]
    assert decoder.predict(block, times=[part.times for part in parts]).shape == (600 + 400, 2)
    decoded = decoder.decode(block)
    assert [signal.shape for signal in decoded] == [(601, 2), (401, 2)]
    assert [signal.annotations["segment_index"] for signal in decoded] == [0, 1]
    assert [signal.annotations["session_id"] for signal in decoded] == ["monday"] * 2
    X, _ = align(block, signals)
    second = decoder.predict(X[X.segment_index == 1])
    np.testing.assert_allclose(decoder.predict(block, times=[p.times for p in parts])[600:], second, atol=2e-6)
    with pytest.raises(ValueError, match="one a segment"):
        small_decoder().fit(block, signals[0])


# Units


def test_curated_units_may_be_absent_with_a_warning(session, fitted):
    curated = {unit: t for unit, t in session.spikes.items() if unit not in ("u2", "u5")}
    with pytest.warns(UserWarning, match=r"u2.*u5"):
        predicted = fitted.predict(curated, times=session.times)
    assert np.isfinite(predicted).all()


def test_unknown_units_are_an_error(session, fitted):
    with pytest.raises(ValueError, match="stranger"):
        fitted.predict({**session.spikes, "stranger": [1.0]})


def test_units_are_found_by_name_not_by_place(session, fitted):
    turned = dict(reversed(session.spikes.items()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = fitted.predict(turned, times=session.times)
    np.testing.assert_allclose(predicted, fitted.predict(session.spikes, times=session.times), atol=2e-6)


def test_silent_units_cost_nothing(simulate, small_decoder):
    session = simulate(silent=3)
    decoder = small_decoder().fit(session.spikes, session.behavior)
    assert decoder.network_.unit_emb.num_embeddings == 1 + 5
    firing = {unit: times for unit, times in session.spikes.items() if len(times)}
    again = small_decoder().fit(firing, session.behavior)
    np.testing.assert_array_equal(decoder.predict(session.spikes), again.predict(firing))


def test_a_population_that_is_silent_throughout_can_be_fitted(small_decoder):
    X, y = np.zeros((40, 3)), np.random.default_rng(0).normal(size=40)
    decoder = small_decoder(early_stopping=False).fit(X, y)
    assert np.isfinite(decoder.predict(np.ones((5, 3)))).all()


# Times


def test_without_times_predictions_lie_on_the_grid_of_fit(session, fitted):
    spikes = {"u0": np.array([2.0, 3.0]), **{f"u{i}": np.array([2.5]) for i in range(1, 8)}}
    predicted = fitted.predict(spikes)
    np.testing.assert_allclose(predicted, fitted.predict(spikes, times=2.0 + 0.1 * np.arange(11)), atol=2e-6)
    first, last = (f(t.min() if f is min else t.max() for t in session.spikes.values()) for f in (min, max))
    assert len(fitted.predict(session.spikes)) == int((last - first) / 0.1) + 1


def test_the_grid_spans_the_recording_where_there_is_one(session, small_decoder):
    trains = as_spiketrains(session.spikes, 60.0)
    decoder = small_decoder().fit(trains, session.behavior)
    decoded = decoder.decode(trains)
    assert isinstance(decoded, neo.AnalogSignal)
    assert decoded.t_start == 0 * pq.s
    assert float(decoded.sampling_period.rescale("s")) == pytest.approx(0.1)
    assert len(decoded) == 601
    brief = {name: train[train < 0.3] for name, train in session.spikes.items()}
    assert len(decoder.decode(as_spiketrains(brief, 0.3))) == 4  # although 0.3 / 0.1 is below 3


def test_irregular_targets_require_times(session, small_decoder):
    times = np.sort(np.random.default_rng(0).uniform(0, 60, 300))
    decoder = small_decoder().fit(session.spikes, (times, np.cos(times)))
    assert decoder.predict(session.spikes, times=[1.0, 4.0]).shape == (2,)
    for method in ("predict", "decode"):
        with pytest.raises(ValueError, match="times="):
            getattr(decoder, method)(session.spikes)


def test_times_may_be_unsorted_and_beyond_the_spikes(session, fitted):
    times = np.array([59.0, -3.0, 200.0, 12.0])
    predicted = fitted.predict(session.spikes, times=times)
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(predicted[::-1], fitted.predict(session.spikes, times=times[::-1]), atol=2e-6)


# neo out and units of measure


def test_a_unit_of_measure_that_only_another_process_knows_is_named():
    with pytest.raises(
        ValueError, match=r"does not know the unit 'arena' .* make it again with quantities.UnitQuantity"
    ):
        as_neo_signal(np.arange(3.0), np.zeros((3, 1)), "arena", None)


def test_decode_carries_units_names_and_times(session, small_decoder):
    trains = as_spiketrains(session.spikes, 60.0)
    velocity = neo.AnalogSignal(
        np.column_stack([session.values, -session.values]), units="cm/s", sampling_rate=10 * pq.Hz,
        array_annotations={"channel_names": np.array(["vx", "vy"])},
    )  # fmt: skip
    decoder = small_decoder().fit(trains, velocity)
    decoded = decoder.decode(trains)
    assert decoded.units == pq.cm / pq.s
    assert list(decoded.array_annotations["channel_names"]) == ["vx", "vy"]
    np.testing.assert_array_equal(decoded.magnitude, decoder.predict(trains))
    at = decoder.decode(trains, times=[3.0, 7.5])
    assert isinstance(at, neo.IrregularlySampledSignal)
    np.testing.assert_array_equal(at.times.rescale("s").magnitude, [3.0, 7.5])
    assert at.units == pq.cm / pq.s
    some = decoder.decode(align(trains, velocity)[0][[0, 3, 4]])
    np.testing.assert_allclose(some.times.rescale("s").magnitude, [0.0, 0.3, 0.4])


def test_rows_of_counts_have_no_times_to_decode_at(small_decoder):
    counts = np.random.default_rng(0).poisson(1.0, (40, 3))
    decoder = small_decoder().fit(counts, counts[:, 0].astype(float))
    with pytest.raises(ValueError, match=r"rows of counts have no times.* from_counts\(counts, times, bin_size\)"):
        decoder.decode(counts)


def test_score_converts_units_of_measure(session, small_decoder):
    def velocity(units: str) -> neo.AnalogSignal:
        in_cm = neo.AnalogSignal(session.values[:, None], units="cm/s", sampling_rate=10 * pq.Hz)
        return in_cm.rescale(units)

    decoder = small_decoder(max_iter=2).fit(session.spikes, velocity("cm/s"))
    score = decoder.score(session.spikes, velocity("cm/s"))
    assert decoder.score(session.spikes, velocity("m/s")) == pytest.approx(score, abs=1e-9)
    with pytest.raises(ValueError, match=r"cm/s"):
        decoder.score(session.spikes, neo.AnalogSignal(session.values[:, None], units="mV", sampling_rate=10 * pq.Hz))


def test_samples_outside_the_recording_are_scored_too(session, fitted):
    with pytest.warns(UserWarning, match="are scored all the same"):
        fitted.score(session.spikes, (session.times + 5, session.values))


def test_score_takes_weights(aligned, fitted):
    X, y = aligned
    weight = np.random.default_rng(0).uniform(0, 1, len(y))
    expected = r2_score(y, fitted.predict(X), sample_weight=weight)
    assert fitted.score(X, y, sample_weight=weight) == pytest.approx(expected, abs=1e-9)


def test_a_real_sorting_goes_in_and_a_neo_signal_comes_out(mouse, small_decoder):
    sorting, heading = mouse
    decoder = small_decoder(window_length="auto").fit(sorting, heading)
    decoded = decoder.decode(sorting)
    assert isinstance(decoded, neo.AnalogSignal)
    assert decoded.shape[1] == 2
    assert float(decoded.sampling_rate.rescale("Hz")) == pytest.approx(120, rel=0.01)
    assert list(decoded.array_annotations["channel_names"]) == ["cos_heading", "sin_heading"]
    np.testing.assert_allclose(
        decoder.predict(sorting, times=decoded.times.magnitude[:50]), decoded.magnitude[:50], atol=1e-5
    )


# Counts


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    X = rng.poisson(3.0, (120, 6)).astype(float)
    return X, X @ rng.normal(size=6)


def test_rows_of_counts_are_read_each_by_itself(counts, small_decoder):
    X, y = counts
    decoder = small_decoder(max_iter=2).fit(X, y)
    predicted = decoder.predict(X)
    assert predicted.shape == (120,)
    changed = X.copy()
    changed[1::2] = 17.0
    np.testing.assert_allclose(decoder.predict(changed)[::2], predicted[::2], rtol=0, atol=1e-5 * y.std())
    order = np.random.default_rng(1).permutation(120)
    np.testing.assert_allclose(decoder.predict(X[order]), predicted[order], rtol=0, atol=1e-5 * y.std())
    np.testing.assert_allclose(decoder.predict(X[:1]), predicted[:1], rtol=0, atol=1e-5 * y.std())


@pytest.mark.usefixtures("full_training")
def test_counts_teach(small_decoder):
    rng = np.random.default_rng(0)
    X = rng.poisson(3.0, (600, 4)).astype(float)
    y = np.log1p(X[:, 0]) - np.log1p(X[:, 1])
    decoder = small_decoder(max_iter=8, unit_dropout=0.0, learning_rate_init=5e-3, batch_size=32).fit(X[:500], y[:500])
    assert decoder.score(X[500:], y[500:]) > 0.7


@pytest.mark.parametrize("kind", [np.int64, np.float32, list])
def test_counts_of_any_type_give_the_same(counts, small_decoder, kind):
    X, y = counts
    other = X.astype(int).tolist() if kind is list else X.astype(kind)
    assert_same_weights(small_decoder().fit(X, y), small_decoder().fit(other, y))


def test_rows_without_a_spike_are_fine(counts, small_decoder):
    X, y = counts
    decoder = small_decoder().fit(np.where(np.arange(120)[:, None] % 3, X, 0), y)
    assert np.isfinite(decoder.predict(np.zeros((3, 6)))).all()


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_bad_counts_are_an_error(counts, small_decoder, bad):
    X, y = counts[0].copy(), counts[1]
    X[3, 2] = bad
    with pytest.raises(ValueError, match=r"Negative|NaN|infinity"):
        small_decoder().fit(X, y)


def test_counts_of_other_units_are_an_error(counts, small_decoder):
    X, y = counts
    decoder = small_decoder().fit(X, y)
    with pytest.raises(ValueError, match="features"):
        decoder.predict(X[:, :4])


def test_names_of_columns_are_names_of_units(counts, small_decoder):
    pandas = pytest.importorskip("pandas")
    X, y = counts
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    decoder = small_decoder().fit(frame, y)
    assert decoder.sessions_.sessions["session_0"].unit_names == list("abcdef")
    np.testing.assert_array_equal(decoder.feature_names_in_, list("abcdef"))


@pytest.mark.usefixtures("full_training")
def test_binned_counts_with_times_stand_where_a_sorting_stands(session, small_decoder):
    edges = np.arange(0, 60.001, 0.02)
    binned = np.column_stack([np.histogram(t, edges)[0] for t in session.spikes.values()])
    binned_session = from_counts(binned, edges[:-1] + 0.01, 0.02, unit_ids=list(session.spikes))
    decoder = small_decoder(max_iter=8, learning_rate_init=5e-3).fit(session.spikes, session.behavior)
    exact = decoder.predict(session.spikes, times=session.times)
    np.testing.assert_allclose(decoder.predict(binned_session, times=session.times), exact, atol=0.25)
    assert decoder.score(binned_session, session.behavior) > 0.7


def test_duplicated_times_have_the_interval_of_the_others():
    assert grid_interval([[np.repeat(0.5 * np.arange(9), 2), np.array([3.0])]]) == 0.5


RNG = np.random.default_rng(0)
STARTS = np.cumsum(RNG.uniform(1, 3, 30))
IN_TRIALS = (STARTS[:, None] + 0.05 * np.arange(8)).ravel()


@pytest.mark.parametrize(
    ("times", "interval"),
    [
        *((0.05 * np.flatnonzero(RNG.random(2000) < share), 0.05) for share in (0.3, 0.5, 0.8)),
        (IN_TRIALS, 0.05),
        (np.cumsum(RNG.exponential(0.05, 2000)), None),
        (np.cumsum(RNG.uniform(0.03, 0.07, 2000)), None),
        (STARTS, None),
        ((STARTS[:, None] + [0, 0.003]).ravel(), None),  # pairs
        ((0.1 * np.arange(90)[:, None] + 2e-4 * np.arange(5)).ravel(), None),  # packets
        (np.sort(np.concatenate([IN_TRIALS, IN_TRIALS[::2] + 3e-12])), None),
        (np.array([0.0, 1.0, 8.0]), None),
        (np.array([0.0, 1.0, 2.4]), None),
        (np.round(np.arange(1201) / 120, 3), 1 / 120),
        (np.round(np.arange(1201) / 240, 3), 1 / 240),
        *((np.round(np.arange(1, 6000) / rate, 3), 1 / rate) for rate in (30, 59.94, 95, 110, 165, 333)),
        (np.round(np.flatnonzero(RNG.random(3000) < 0.97) / 30, 3), 1 / 30),
        *((1.7e9 + np.arange(6000) / rate, 1 / rate) for rate in (120, 1000)),
    ],
)
def test_regular_times_of_which_some_are_missing_have_their_interval(times, interval):
    assert grid_interval([[times]]) == (None if interval is None else pytest.approx(interval, rel=1e-4))


def test_a_behavior_that_is_regular_goes_before_what_is_so_but_for_gaps():
    assert grid_interval([[IN_TRIALS], [0.2 * np.arange(100)]]) == pytest.approx(0.2)


@pytest.mark.parametrize("gradients_off", [torch.no_grad, torch.inference_mode])
def test_it_learns_where_the_caller_has_turned_gradients_off(session, small_decoder, tmp_path, gradients_off):
    fitted = small_decoder().fit(session.spikes, session.behavior)
    with gradients_off():
        decoder = small_decoder().fit(session.spikes, session.behavior)
        np.testing.assert_array_equal(decoder.predict(session.spikes), fitted.predict(session.spikes))
        decoder.partial_fit(session.spikes, session.behavior, session_id="new")
        decoder.save_pretrained(tmp_path)
        loaded = POYODecoder.from_pretrained(tmp_path)
    loaded.partial_fit(session.spikes, session.behavior, session_id="new")  # trains weights that were made in there


def test_it_tells_what_each_stage_of_training_was(simulate, small_decoder, tmp_path):
    one, two, three = (simulate(seed) for seed in range(3))
    both = [one.spikes, two.spikes], [one.behavior, two.behavior]
    decoder = small_decoder(max_iter=2, batch_size=8, learning_rate_init=0.002, alpha=0.03).fit(
        *both, session_id=["a", "b"]
    )
    stages = decoder.training_stages_
    assert [stage["stage"] for stage in stages] == ["one session", "unit identification", "training"]
    assert sum(stage["iterations"] for stage in stages) == decoder.n_iter_ == len(decoder.loss_curve_)
    assert stages[-1]["steps"] % stages[-1]["iterations"] == 0
    expected = {"batch_size": 8, "learning_rate": 0.002, "weight_decay": 0.03, "validated": False}
    assert expected.items() <= stages[-1].items()
    decoder.partial_fit(three.spikes, three.behavior, session_id="c")
    assert [stage["stage"] for stage in decoder.training_stages_[3:]] == ["unit identification"]
    decoder.save_pretrained(tmp_path)
    assert POYODecoder.from_pretrained(tmp_path).training_stages_ == decoder.training_stages_
    stopped = small_decoder(early_stopping=True, validation_fraction=0.3).fit(one.spikes, one.behavior)
    assert stopped.training_stages_[0]["validated"]
