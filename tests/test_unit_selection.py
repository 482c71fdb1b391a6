"""`SelectUnits`: which units stay, and what else stays as it was."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import quantities as pq
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from spikeinterface_poyo import SelectUnits, align, from_counts

ONE = {"a": np.arange(0, 10, 0.1), "b": np.array([5.0]), "c": np.arange(0, 10, 0.5), "silent": np.array([])}
TWO = {"a": np.array([5.0]), "d": np.arange(0, 10, 0.1)}
BEHAVIOUR = (np.arange(10.0), np.arange(10.0))


@pytest.fixture
def one():
    return align(ONE, BEHAVIOUR)[0]


@pytest.fixture
def both():
    return align([ONE, TWO], [BEHAVIOUR, BEHAVIOUR], session_id=["one", "two"])[0]


def kept(X, **parameters) -> list[list[str]]:
    return [session.unit_names for session in SelectUnits(**parameters).fit_transform(X).sessions]


def test_all_units_stay_by_default(both):
    assert kept(both) == [list(ONE), list(TWO)]


def test_by_id_keeps_the_sortings_order(one):
    assert kept(one, ids=["c", "a"]) == [["a", "c"]]


def test_by_id_takes_the_units_each_session_has(both):
    assert kept(both, ids=["a", "d"]) == [["a"], ["a", "d"]]


def test_by_session(both):
    assert kept(both, ids={"one": ["b"], "two": ["d"]}) == [["b"], ["d"]]
    assert kept(both, ids={"two": ["d"]}) == [list(ONE), ["d"]]


def test_sessions_are_found_by_text():
    X, _ = align([ONE, ONE], [BEHAVIOUR, BEHAVIOUR], session_id=[1, 2])
    assert kept(X, ids={1: ["b"], np.int64(2): ["a"]}) == [["b"], ["a"]]


def test_an_unknown_id_is_named_where_no_unit_is_left_too(one):
    with pytest.raises(ValueError, match=r"unknown unit ids \['z'\]; known are"):
        SelectUnits(ids=["z"]).fit(one)


@pytest.mark.parametrize("rate", [1.0, np.array(1.0), 1 * pq.Hz, 0.001 * pq.kHz, 1])
def test_rates_of_any_kind(one, rate):
    assert kept(one, min_rate=rate) == [["a", "c"]]


def test_a_rate_is_a_number(one):
    with pytest.raises(TypeError, match="min_rate must be an instance of"):
        SelectUnits(min_rate="1").fit(one)


@pytest.mark.parametrize(("min_rate", "names"), [(0.05, ["a", "b", "c"]), (1.0, ["a", "c"]), (5.0, ["a"])])
def test_by_rate(one, min_rate, names):
    assert kept(one, min_rate=min_rate) == [names]


def test_by_rate_counts_what_counts_weigh():
    counts = np.tile([2.0, 0.1], (100, 1))
    X, _ = align(from_counts(counts, np.arange(100) * 0.1, 0.1), BEHAVIOUR)
    assert kept(X, min_rate=5.0) == [["0"]]


def test_by_id_and_rate(one):
    assert kept(one, ids=["a", "b"], min_rate=1.0) == [["a"]]


def test_integer_ids_are_found_by_text():
    X, _ = align({3: ONE["a"], 14: ONE["c"]}, BEHAVIOUR)
    assert kept(X, ids=[14]) == kept(X, ids=["14"]) == [["14"]]


def test_spikes_of_the_kept_units_stay_as_they_are(one):
    segment = SelectUnits(ids=["a", "c"]).fit_transform(one).sessions[0].segments[0]
    for index, name in enumerate(["a", "c"]):
        np.testing.assert_array_equal(segment.spike_times[segment.unit_index == index], ONE[name])
    original = one.sessions[0].segments[0]
    assert (segment.t_start, segment.t_stop, segment.clock) == (original.t_start, original.t_stop, original.clock)


def test_samples_stay_as_they_are(both):
    out = SelectUnits(min_rate=1.0).fit_transform(both[::3])
    np.testing.assert_array_equal(out.times, both[::3].times)
    np.testing.assert_array_equal(out.session_ids, both[::3].session_ids)
    assert out.targets == both.targets
    assert both.sessions[0].unit_names == list(ONE)


def test_what_was_fitted_is_what_transform_keeps(one):
    # a test recording in which the unit is silent has the same units all the same
    step = SelectUnits(min_rate=1.0).fit(one)
    quiet, _ = align({"a": [5.0], "b": np.arange(0, 10, 0.1), "c": [], "silent": []}, BEHAVIOUR)
    assert step.transform(quiet).sessions[0].unit_names == ["a", "c"]
    assert {name: list(ids) for name, ids in step.unit_ids_.items()} == {"session_0": ["a", "c"]}


def test_integer_and_text_ids_of_one_unit_are_one(one):
    numbers, _ = align({0: ONE["a"], 1: [5.0]}, BEHAVIOUR)
    texts, _ = align({"0": ONE["a"], "1": [5.0]}, BEHAVIOUR)
    assert SelectUnits(min_rate=1.0).fit(numbers).transform(texts).sessions[0].unit_names == ["0"]


def test_a_subset_unpickled_without_other_sessions_spikes(both):
    subset = pickle.loads(pickle.dumps(both[both.session_ids == "two"]))
    out = SelectUnits(min_rate=1.0).fit_transform(subset)
    assert out.sessions[1].unit_names == ["d"]


@pytest.mark.parametrize("ids", [["a", "z"], ["z"], {"session_0": ["z"]}])
def test_unknown_ids_are_refused(one, ids):
    with pytest.raises(ValueError, match=r"unknown unit ids \['z'\]; known are \['a', 'b', 'c', 'silent'\]|no unit"):
        SelectUnits(ids=ids).fit(one)


def test_ids_of_another_session_are_refused(both):
    with pytest.raises(ValueError, match=r"unknown unit ids \['d'\]; known are \['a', 'b', 'c', 'silent'\]"):
        SelectUnits(ids={"one": ["a", "d"]}).fit(both)


def test_unknown_sessions_are_refused(both):
    with pytest.raises(ValueError, match=r"unknown sessions \['three'\] in ids; the samples have \['one', 'two'\]"):
        SelectUnits(ids={"three": ["a"]}).fit(both)


def test_no_unit_left_is_refused(one):
    with pytest.raises(ValueError, match=r"SelectUnits\(min_rate=1000\.0\) leaves no unit of session 'session_0'"):
        SelectUnits(min_rate=1000.0).fit(one)


def test_transform_of_a_session_not_seen_by_fit_is_refused(one, both):
    with pytest.raises(ValueError, match=r"session 'session_0' was not seen by fit; known sessions: \['one', 'two'\]"):
        SelectUnits().fit(both).transform(one)


def test_an_unnamed_session_is_the_only_known_one(one):
    named, _ = align(ONE, BEHAVIOUR, session_id="monday")
    assert SelectUnits(min_rate=1.0).fit(named).transform(one).sessions[0].unit_names == ["a", "c"]


def test_columns_of_counts_are_units():
    counts = np.arange(12).reshape(4, 3)
    step = SelectUnits(ids=[2, "0"]).fit(counts)
    np.testing.assert_array_equal(step.transform(counts), counts[:, [0, 2]])
    assert step.get_feature_names_out().tolist() == ["x0", "x2"]
    assert step.n_features_in_ == 3
    with pytest.raises(ValueError, match="X has 2 features, but SelectUnits is expecting 3"):
        step.transform(counts[:, :2])
    with pytest.raises(ValueError, match=r"unknown unit ids \['3'\]; known are \['0', '1', '2'\]"):
        SelectUnits(ids=[0, 3]).fit(counts)


def test_columns_of_tables_are_units_by_name():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([[1, 2, 3], [4, 5, 6]], columns=["a", "b", "c"])
    step = SelectUnits(ids=["c", "a"]).set_output(transform="pandas")
    assert step.fit_transform(table).equals(table[["a", "c"]])
    assert step.feature_names_in_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("parameters", [{"min_rate": 1.0}, {"query": "snr > 5"}])
def test_counts_have_neither_rates_nor_properties(parameters):
    with pytest.raises(ValueError, match="min_rate= and query= need SpikeSamples"):
        SelectUnits(**parameters).fit(np.ones((3, 2)))


def test_samples_and_counts_are_not_exchanged(one):
    counts = np.ones((3, 4))
    with pytest.raises(ValueError, match="was fitted on an array of counts, and spikes in time were given"):
        SelectUnits().fit(counts).transform(one)
    step = SelectUnits().fit(counts).fit(one)
    assert not hasattr(step, "n_features_in_")
    with pytest.raises(ValueError, match="was fitted on SpikeSamples, which have no columns"):
        step.transform(counts)
    with pytest.raises(TypeError, match=r"chooses by the SpikeSamples .* got dict"):
        step.fit(ONE)


def test_samples_stay_samples_in_any_container(one, both):
    step = SelectUnits(ids=["a", "c"]).set_output(transform="pandas")
    assert isinstance(step.fit_transform(one), type(one))
    assert step.get_feature_names_out().tolist() == ["a", "c"]
    assert SelectUnits(ids=["a"]).fit(both).get_feature_names_out().tolist() == ["one/a", "two/a"]


def test_transform_needs_fit(one):
    with pytest.raises(NotFittedError):
        SelectUnits().transform(one)


def test_is_a_pipeline_step(one):
    pipeline = clone(Pipeline([("all", SelectUnits()), ("units", SelectUnits())]))
    pipeline.set_params(units__min_rate=1.0)
    assert pipeline.fit_transform(one).sessions[0].unit_names == ["a", "c"]
    assert clone(pipeline).get_params()["units__min_rate"] == 1.0


def test_only_sessions_that_samples_belong_to_are_judged(both):
    first = both[np.flatnonzero(both.session_index == 0)]
    for given in (first, pickle.loads(pickle.dumps(first))):
        step = SelectUnits(min_rate=1.5).fit(given)
        assert list(step.unit_ids_) == ["one"]
        assert [len(session.unit_ids) for session in step.transform(first).sessions] == [2, 2]
    with pytest.raises(ValueError, match="'two' was not seen by fit"):
        step.transform(both)


def test_a_pipeline_decodes_a_sorting_without_behaviour(small_decoder):
    X, y = align(ONE, BEHAVIOUR)
    chain = Pipeline([("units", SelectUnits(ids=["a", "c"])), ("poyo", small_decoder())]).fit(X, y)
    np.testing.assert_array_equal(chain.predict(ONE), chain[-1].predict({unit: ONE[unit] for unit in ("a", "c")}))


def test_sortings_keep_the_chosen_units(both):
    step = SelectUnits(ids=["a"]).fit(both)
    assert [session.unit_names for session in step.transform(list(both.sessions))] == [["a"], ["a"]]
    assert step.transform(both.sessions[1]).unit_names == ["a"]
    with pytest.raises(ValueError, match="'session_0' was not seen by fit"):
        step.transform(ONE)


@pytest.mark.parametrize("ids", [0, "a", iter(["a"])])
def test_ids_are_a_list(one, ids):
    with pytest.raises(ValueError, match="ids must be a list of unit ids"):
        SelectUnits(ids=ids).fit(one)


def test_a_failed_fit_leaves_nothing_behind():
    behavior = (np.arange(10.0), np.arange(10.0))
    X, _ = align([{"a": np.arange(0, 10, 0.1)}, {"b": [5.0]}], [behavior, behavior])
    with pytest.raises(ValueError, match="leaves no unit of session 'session_1'"):
        (selector := SelectUnits(ids=["a"])).fit(X)
    with pytest.raises(NotFittedError):
        selector.transform(X)


def test_counts_of_the_kept_units_keep_their_weights():
    counts = np.array([[1.0, 0.0, 7.0], [2.0, 5.0, 0.5], [0.0, 6.0, 3.0]])
    X, _ = align(from_counts(counts, [0.5, 1.5, 2.5], 1.0), (np.arange(3.0), np.arange(3.0)))
    segment = SelectUnits(ids=[0, 2]).fit_transform(X).sessions[0].segments[0]
    found = np.zeros((3, 2))
    found[segment.spike_times.astype(int), segment.unit_index] = segment.weights
    np.testing.assert_array_equal(found, counts[:, [0, 2]])


def test_a_failed_refit_leaves_what_was_fitted(one):
    selector = SelectUnits(min_rate=1.0).fit(one)
    with pytest.raises(ValueError, match="tells neither how long its bins are"):
        selector.fit(np.ones((5, 2)))
    assert selector.transform(one).sessions[0].unit_names == ["a", "c"]
    counts = SelectUnits(ids=[0, 1]).fit(np.ones((5, 3)))
    with pytest.raises(ValueError, match="unknown unit ids"):
        counts.fit(np.ones((5, 1)))
    assert counts.transform(np.ones((5, 3))).shape == (5, 2)


@pytest.mark.parametrize("step", ["fit", "transform"])
def test_counts_that_the_decoder_refuses_are_refused(step):
    selector = SelectUnits(ids=[0]).fit(np.ones((5, 2)))
    with pytest.raises(ValueError, match="'Hz'"):
        getattr(selector, step)(np.ones((5, 2)) * pq.Hz)
    with pytest.raises(ValueError, match="counts must be numbers, got text"):
        getattr(selector, step)(np.ones((5, 2)).astype(str))
    with pytest.raises(ValueError, match="masked"):
        getattr(selector, step)(np.ma.masked_array(np.ones((5, 2)), np.eye(5, 2)))


def test_one_unnamed_session_of_several_is_not_guessed(one):
    X, _ = align([ONE, TWO], [BEHAVIOUR, BEHAVIOUR])
    with pytest.raises(ValueError, match=r"1 session\(s\) without names were given"):
        SelectUnits().fit(X).transform(one)


def test_a_sorting_without_any_chosen_unit_is_refused_by_name(one):
    X, _ = align(ONE, BEHAVIOUR)
    units = X.sessions[0].unit_names
    selector = SelectUnits(ids=units[:1]).fit(X)
    with pytest.raises(
        ValueError, match=r"session 'session_0' has none of the units that fit chose, .*; it has \['x'\]"
    ):
        selector.transform({"x": [1.0, 2.0]})
