"""Properties of units: which ride with a session, and choosing units by them."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from spikeinterface.core import (
    NumpySorting,
    create_sorting_analyzer,
    generate_ground_truth_recording,
    load_sorting_analyzer,
    select_segment_sorting,
)

from spikeinterface_poyo import BlockedKFold, SelectUnits, align
from spikeinterface_poyo.inputs.spikes_in import as_session
from spikeinterface_poyo.inputs.unit_properties import of_sorting, of_table, plain_array, plain_columns

pd = pytest.importorskip("pandas")

FS = 1000.0
UNITS = ["a", "b", "c", "d"]
TIMES = np.arange(0.0, 20.0, 0.1)
BEHAVIOUR = (TIMES, np.sin(TIMES))
QUERY = "snr > 5 and isi_violations_ratio < 0.1"


def sorting(**properties) -> NumpySorting:
    frames = {unit: np.sort(np.random.default_rng(i).integers(0, 20_000, 200)) for i, unit in enumerate(UNITS)}
    made = NumpySorting.from_unit_dict(frames, FS)
    for name, values in properties.items():
        made.set_property(name, np.array(values))
    return made


def rated() -> NumpySorting:
    return sorting(
        snr=[9.0, 4.0, 6.0, np.nan],
        isi_violations_ratio=[0.05, 0.0, 0.5, 0.0],
        quality=["good", "mua", "good", "good"],
        keep=[True, True, False, True],
        gt_unit_locations=np.zeros((4, 2)),
    )


def kept(X, query: str) -> list[list[str]]:
    return [session.unit_names for session in SelectUnits(query=query).fit_transform(X).sessions]


class TestWhatRides:
    def test_one_value_a_unit(self):
        properties = of_sorting(rated())
        assert list(properties) == ["snr", "isi_violations_ratio", "quality", "keep"]
        assert {values.dtype.kind for values in properties.values()} == {"f", "U", "b"}

    @pytest.mark.parametrize(
        ("given", "kind", "expected"),
        [
            (np.array(["x", None, "y"], dtype=object), "U", ["x", "", "y"]),
            (np.array([1, None, 3], dtype=object), "f", [1.0, np.nan, 3.0]),
            (np.array([True, False], dtype=object), "b", [True, False]),
            (np.array([1.5, "x"], dtype=object), "U", ["1.5", "x"]),
        ],
    )
    def test_objects_become_plain(self, given, kind, expected):
        out = plain_array(given)
        assert out.dtype.kind == kind
        np.testing.assert_array_equal(out, expected)

    @pytest.mark.parametrize("other", [object(), [1, 2], {"a": 1}, b"x"])
    def test_other_objects_stay_out(self, other):
        values = np.empty(2, dtype=object)
        values[0], values[1] = "x", other
        assert plain_array(values) is None

    def test_nullable_tables_become_plain(self):
        frame = pd.DataFrame(
            {"n": pd.array([1, None, 3], dtype="Int64"), "ok": pd.array([True, False, True], "boolean")}
        )
        columns = of_table(frame)
        np.testing.assert_array_equal(columns["n"], [1.0, np.nan, 3.0])
        assert columns["ok"].dtype == bool

    def test_selected_and_reordered_units_keep_theirs(self):
        session = as_session(rated().select_units(["c", "a"]))
        np.testing.assert_array_equal(session.properties["snr"], [6.0, 9.0])

    def test_a_selected_segment_has_its_own(self):
        selected = select_segment_sorting(sorting(), [0])
        selected.set_property("depth", np.arange(4.0))
        np.testing.assert_array_equal(as_session(selected).properties["depth"], np.arange(4.0))

    def test_pickled_with_the_samples(self):
        X, _ = align(rated(), BEHAVIOUR)
        again = pickle.loads(pickle.dumps(X[:5]))
        np.testing.assert_array_equal(again.sessions[0].properties["snr"], [9.0, 4.0, 6.0, np.nan])
        assert kept(again, QUERY) == [["a"]]

    def test_dropped_with_their_units(self):
        X, _ = align(rated(), BEHAVIOUR)
        once = SelectUnits(ids=["b", "c", "d"]).fit_transform(X)
        np.testing.assert_array_equal(once.sessions[0].properties["snr"], [4.0, 6.0, np.nan])
        assert kept(once, "snr > 5") == [["c"]]


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            (QUERY, ["a"]),
            ("snr > 5", ["a", "c"]),  # unknown for d
            ("not snr > 5", ["b", "d"]),
            ("quality == 'good' and keep", ["a", "d"]),
            ("quality in ['mua', 'noise'] or snr > 8", ["a", "b"]),
        ],
    )
    def test_chooses_units(self, query, names):
        assert kept(align(rated(), BEHAVIOUR)[0], query) == [names]

    def test_of_several_sessions_each_by_its_own(self):
        other = sorting(snr=[1.0, 9.0, 9.0, 9.0])
        assert kept(align([rated(), other], [BEHAVIOUR] * 2)[0], "snr > 5") == [["a", "c"], ["b", "c", "d"]]

    def test_goes_with_ids_and_rates(self):
        X, _ = align(rated(), BEHAVIOUR)
        assert SelectUnits(ids=["a", "b"], query="snr > 5").fit_transform(X).sessions[0].unit_names == ["a"]
        with pytest.raises(ValueError, match=r"SelectUnits\(min_rate=50, query='snr > 5'\) leaves no unit of session"):
            SelectUnits(min_rate=50, query="snr > 5").fit(X)

    def test_what_was_fitted_is_what_transform_keeps(self):
        # the sorting to predict from need not have been rated again
        step = SelectUnits(query=QUERY).fit(align(rated(), BEHAVIOUR)[0])
        assert step.transform(align(sorting(), BEHAVIOUR)[0]).sessions[0].unit_names == ["a"]

    @pytest.mark.parametrize("query", ["depth > 3", "snr >", "snr > 'x'", "@limit < snr", "snr.nope"])
    def test_that_cannot_be_evaluated_is_refused_with_what_there_is(self, query):
        message = r"cannot evaluate query=.* for session 'mon'.*\['isi_violations_ratio', 'keep', 'quality', 'snr'\]"
        with pytest.raises(ValueError, match=message):
            SelectUnits(query=query).fit(align(rated(), BEHAVIOUR, session_id="mon")[0])

    @pytest.mark.parametrize("query", ["snr", "snr + 1", "snr = 5", "5", "True"])
    def test_must_be_a_condition(self, query):
        with pytest.raises(ValueError, match=r"must be a condition, true or false for each unit.*\['isi_v"):
            SelectUnits(query=query).fit(align(rated(), BEHAVIOUR)[0])

    def test_of_units_without_properties_says_where_they_come_from(self):
        with pytest.raises(
            ValueError, match=r"'snr' is not defined; its units have no properties: give a SortingAnalyzer"
        ):
            SelectUnits(query=QUERY).fit(align({"a": [1.0]}, ([1.0], [1.0]))[0])

    def test_without_pandas_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match=r"needs pandas: pip install 'spikeinterface_poyo\[pandas\]'"):
            SelectUnits(query=QUERY).fit(align(rated(), BEHAVIOUR)[0])


def test_in_a_pipeline_and_a_grid_search(small_decoder):
    X, y = align(rated(), BEHAVIOUR)
    pipeline = clone(Pipeline([("units", SelectUnits(query=QUERY)), ("poyo", small_decoder())]))
    grid = {"units__query": ["keep", "snr > 5"]}
    search = GridSearchCV(pipeline, grid, cv=BlockedKFold(2), error_score="raise").fit(X, y)
    keep, snr = search.cv_results_["mean_test_score"]
    assert keep != snr
    units = {"keep": ["a", "b", "d"], "snr > 5": ["a", "c"]}[search.best_params_["units__query"]]
    assert search.best_estimator_[-1].sessions_.sessions["session_0"].unit_names == units
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


@pytest.fixture(scope="module")
def analyzer(tmp_path_factory):
    """An analyzer in a folder, with quality and template metrics and a property of its sorting."""
    recording, made = generate_ground_truth_recording(durations=[10.0], num_channels=4, num_units=4, seed=0)
    made.set_property("label", np.array(["good", "mua", "good", "good"]))
    folder = tmp_path_factory.mktemp("analyzer") / "analyzer"
    analyzer = create_sorting_analyzer(made, recording, sparse=False, format="binary_folder", folder=folder)
    parts = {"random_spikes": {}, "noise_levels": {}, "templates": {}, "template_metrics": {}}
    analyzer.compute(parts | {"quality_metrics": {"metric_names": ["snr", "isi_violation"]}}, progress_bar=False)
    return analyzer


@pytest.mark.filterwarnings("ignore::FutureWarning:spikeinterface")
class TestAnalyzer:
    def expected(self, analyzer) -> list[str]:
        table = analyzer.get_metrics_extension_data()
        limit = table["snr"].median()
        good = analyzer.get_sorting_property("label") == "good"
        return limit, [str(u) for u, ok in zip(analyzer.unit_ids, good & (table["snr"] > limit), strict=True) if ok]

    def test_metrics_and_properties_in_one_query(self, analyzer):
        limit, names = self.expected(analyzer)
        X, _ = align(analyzer, (np.arange(9.0), np.arange(9.0)))
        assert {"snr", "isi_violations_ratio", "label"} < set(X.sessions[0].properties)
        assert any("peak" in name for name in X.sessions[0].properties)  # a template metric
        assert 0 < len(names) < 4
        assert kept(X, f"snr > {limit} and isi_violations_ratio < 1e9 and label == 'good'") == [names]

    @pytest.mark.parametrize("format", ["binary_folder", "zarr"])
    def test_reloaded_says_the_same(self, analyzer, tmp_path, format):
        where = tmp_path / ("again" + ".zarr" * (format == "zarr"))
        analyzer.save_as(format=format, folder=where)
        here, there = (as_session(one).properties for one in (analyzer, load_sorting_analyzer(where)))
        assert here.keys() == there.keys()
        for name, values in here.items():
            np.testing.assert_array_equal(there[name], values, err_msg=name)

    def test_without_metrics_has_its_sortings_properties(self, analyzer):
        bare = create_sorting_analyzer(analyzer.sorting, analyzer.recording, sparse=False)
        assert "label" in as_session(bare).properties
        assert "snr" not in as_session(bare).properties

    def test_ids_that_become_numbers_in_a_folder(self, analyzer, tmp_path):
        renamed = analyzer.sorting.rename_units(["001", "1e3", "NA", "7"])
        made = create_sorting_analyzer(
            renamed, analyzer.recording, sparse=False, format="binary_folder", folder=tmp_path / "ids"
        )
        made.compute(["random_spikes", "noise_levels", "templates"], progress_bar=False)
        made.compute("quality_metrics", metric_names=["num_spikes"], progress_bar=False)
        here, there = (as_session(one).properties for one in (made, load_sorting_analyzer(tmp_path / "ids")))
        np.testing.assert_array_equal(there["num_spikes"], here["num_spikes"])
        assert np.isfinite(here["num_spikes"]).all()


def test_text_of_digits_stays_text():
    label = np.array(["001", None, "002"], dtype=object)
    np.testing.assert_array_equal(plain_columns({"label": label})["label"], ["001", "", "002"])
    np.testing.assert_array_equal(
        plain_columns({"snr": np.array([1, None, 2.5], dtype=object)})["snr"], [1, np.nan, 2.5]
    )
