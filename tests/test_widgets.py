"""Pictures: what is drawn is what was computed, labelled with its units of measure, on the axes that were given."""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import quantities as pq
from analyzers import QUICK, T_START, make_analyzer, make_recording
from matplotlib.colors import to_rgba
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from spikeinterface_poyo import unit_widgets, widgets


@pytest.fixture(scope="module")
def analyzer(simulate, tmp_path_factory):
    simulated = simulate(n_units=5, duration=24.0, n_outputs=2)
    folder = tmp_path_factory.mktemp("recording") / "recording"
    analyzer = make_analyzer(*make_recording(folder, simulated, 24.0), "memory", None)
    analyzer.compute(
        ["random_spikes", "templates", "unit_locations"], extension_params={}, progress_bar=False, chunk_duration="100s"
    )
    behavior = (simulated.times + T_START, simulated.values * pq.cm / pq.s)
    analyzer.compute("poyo_decoding", behavior=behavior, **QUICK)
    analyzer.set_sorting_property("area", np.array(["CA1", "CA1", "CA3", "CA3", "CA3"]))
    return analyzer


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


PLOTS = {
    "decoded_behavior": (widgets.plot_decoded_behavior, {"outputs": [1]}),
    "decoded_against_true": (widgets.plot_decoded_against_true, {}),
    "training_history": (widgets.plot_training_history, {}),
    "unit_importance": (unit_widgets.plot_unit_importance, {"effect": "silenced"}),
    "unit_importance_map": (unit_widgets.plot_unit_importance_map, {}),
    "unit_embeddings": (unit_widgets.plot_unit_embeddings, {}),
}


@pytest.mark.parametrize("name", PLOTS)
def test_axes_and_figure_are_honoured(analyzer, name):
    plot, options = PLOTS[name]
    figure, (left, right) = plt.subplots(1, 2)
    widget = plot(analyzer, ax=right, **options)
    assert widget.figure is figure
    assert right.has_data()
    assert not left.has_data()
    assert right.get_xlabel()
    assert right.get_ylabel()
    given = plt.figure()
    assert plot(analyzer, figure=given, **options).figure is given
    assert given.axes[0].has_data()
    assert plot(analyzer, figsize=(3, 2), **options).figure.get_size_inches().tolist() == [3, 2]


@pytest.mark.parametrize("name", PLOTS)
def test_an_analyzer_without_the_extension_is_told_what_to_compute(name):
    from spikeinterface.core import create_sorting_analyzer, generate_ground_truth_recording

    recording, sorting = generate_ground_truth_recording(durations=[1.0], num_channels=4, num_units=2)
    with pytest.raises(Exception, match="poyo_decoding"):
        PLOTS[name][0](create_sorting_analyzer(sorting, recording, sparse=False))


def test_decoded_behaviour(analyzer):
    data = analyzer.get_extension("poyo_decoding").get_data()
    widget = widgets.plot_decoded_behavior(analyzer, time_range=(105, 110))
    first, second = np.ravel(widget.axes)
    true, decoded = second.get_lines()
    inside = (data["times"] >= 105) & (data["times"] <= 110)
    r2 = r2_score(data["targets"][inside], data["decoded"][inside], multioutput="raw_values")
    assert [ax.get_title(loc="right") for ax in (first, second)] == [f"R² = {score:.2f}" for score in r2]
    np.testing.assert_array_equal(true.get_xdata(), data["times"][inside])
    np.testing.assert_array_equal(true.get_ydata().ravel(), data["targets"][inside, 1])
    np.testing.assert_array_equal(decoded.get_ydata().ravel(), data["decoded"][inside, 1])
    assert first.get_ylabel() == "output 0 (cm/s)"
    assert second.get_xlabel() == "time (s)"
    with pytest.raises(ValueError, match="2 outputs; give figure="):
        widgets.plot_decoded_behavior(analyzer, ax=first)
    with pytest.raises(ValueError, match="no behaviour in segment 3"):
        widgets.plot_decoded_behavior(analyzer, segment_index=3)
    with pytest.raises(ValueError, match="no behaviour from 0 to 9 s"):
        widgets.plot_decoded_behavior(analyzer, time_range=(0, 9))
    with pytest.raises(ValueError, match="indices from 0 to 1"):
        widgets.plot_decoded_behavior(analyzer, outputs=[2])


def test_importance_as_bars(analyzer):
    importance = analyzer.get_extension("poyo_decoding").get_importance()
    widget = unit_widgets.plot_unit_importance(analyzer, max_units=4)
    heights = [bar.get_height() for bar in widget.ax.patches]
    np.testing.assert_allclose(heights, np.sort(importance["shifted"])[::-1][:4])
    order = np.argsort(-importance["shifted"])[:4]
    assert [label.get_text() for label in widget.ax.get_xticklabels()] == [f"u{i}" for i in order]
    is_red = [bar.get_facecolor() == to_rgba("tab:red") for bar in widget.ax.patches]
    np.testing.assert_array_equal(is_red, importance["shifted_p_adjusted"][order] < 0.05)
    with pytest.raises(ValueError, match="effect must be one of"):
        unit_widgets.plot_unit_importance(analyzer, effect="removed")


def test_bars_of_units_with_a_small_p_are_red(analyzer, monkeypatch):
    data = {"unit_ids": list("abc"), "drop": np.array([0.1, 0.3, 0.2]), "p": np.array([0.9, 0.01, 0.9]), "label": ""}
    monkeypatch.setattr(unit_widgets, "importance_data", lambda *_: data)
    bars = unit_widgets.plot_unit_importance(analyzer).ax.patches
    assert [bar.get_facecolor() == to_rgba("tab:red") for bar in bars] == [True, False, False]


def test_importance_on_the_probe(analyzer):
    widget = unit_widgets.plot_unit_importance_map(analyzer)
    channels, units = widget.ax.collections
    np.testing.assert_allclose(channels.get_offsets(), analyzer.get_channel_locations())
    places = analyzer.get_extension("unit_locations").get_data()[:, :2]
    drop = analyzer.get_extension("poyo_decoding").get_importance()["shifted"]
    order = np.argsort(drop)
    np.testing.assert_allclose(units.get_offsets(), places[order])
    np.testing.assert_allclose(units.get_array(), np.clip(drop[order], 0, None))
    assert widget.ax.get_xlabel() == "x (µm)"


def test_units_without_a_result_are_not_on_the_probe(analyzer, monkeypatch):
    data = analyzer.get_extension("poyo_decoding").data
    importance = data["unit_importance"].copy()
    importance["shifted"][0] = np.nan
    monkeypatch.setitem(data, "unit_importance", importance)
    _, units = unit_widgets.plot_unit_importance_map(analyzer).ax.collections
    places = analyzer.get_extension("unit_locations").get_data()[1:, :2]
    np.testing.assert_allclose(units.get_offsets(), places[np.argsort(importance["shifted"][1:])])


def test_embeddings_coloured_by_a_property_or_a_metric(analyzer, monkeypatch):
    by_area = unit_widgets.plot_unit_embeddings(analyzer, color_by="area")
    assert [text.get_text() for text in by_area.ax.get_legend().get_texts()] == ["CA1", "CA3"]
    by_metric = unit_widgets.plot_unit_embeddings(analyzer, color_by="poyo_shifted")
    importance = analyzer.get_extension("poyo_decoding").get_importance()
    np.testing.assert_allclose(by_metric.ax.collections[0].get_array(), importance["shifted"])
    with pytest.raises(ValueError, match="color_by='depth' is no property"):
        unit_widgets.plot_unit_embeddings(analyzer, color_by="depth")
    monkeypatch.setitem(sys.modules, "pandas", None)
    without_pandas = unit_widgets.plot_unit_embeddings(analyzer, color_by="poyo_shifted")
    np.testing.assert_allclose(without_pandas.ax.collections[0].get_array(), importance["shifted"])
    with pytest.raises(ImportError, match=r"a table of metrics needs pandas: pip install 'spikeinterface_poyo\[pandas"):
        unit_widgets.plot_unit_embeddings(analyzer, color_by="snr")


def test_embeddings_lie_on_their_principal_components(analyzer):
    embeddings = analyzer.get_extension("poyo_decoding").data["unit_embeddings"]
    expected = PCA(2).fit(embeddings)
    ax = unit_widgets.plot_unit_embeddings(analyzer).ax
    places = np.abs(ax.collections[0].get_offsets())
    np.testing.assert_allclose(places, np.abs(expected.transform(embeddings)), atol=1e-5)
    first, second = (f"({100 * share:.0f} % of variance)" for share in expected.explained_variance_ratio_)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (f"first component {first}", f"second component {second}")


def test_few_shot():
    scores = {"from scratch": {1: 0.2, 5: [0.5, 0.7]}, "pretrained": {1: [0.5, 0.6], 5: 0.8}}
    ax = widgets.plot_few_shot(scores).ax
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [0.2, 0.6])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "5"]
    with pytest.raises(ValueError, match="at least one"):
        widgets.plot_few_shot({})


def test_few_shot_leaves_out_fits_that_failed():
    ax = widgets.plot_few_shot({"a": {1: [np.nan, 0.2], 2: [np.nan], 5: 0.3}}).ax
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), [[1, 0.2], [5, 0.3]])
    for scores in (None, {"a": None}, {"a": {1: [], 2: 0.3}}, {"a": {}}):
        with pytest.raises(ValueError, match="each at least one; got "):
            widgets.plot_few_shot(scores)


def test_groups_have_colours_of_their_own():
    for n in (3, 10, 12, 40):
        assert len({to_rgba(color) for color in unit_widgets.colors_of(n)}) == n


def test_units_without_text_are_in_the_legend(analyzer):
    shank = np.array(["", *"abcdefghijklmnopqrstuvwxyz"])[: len(analyzer.unit_ids)]
    analyzer.sorting.set_property("shank", shank)
    legend = unit_widgets.plot_unit_embeddings(analyzer, color_by="shank").ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["(none)", *shank[1:]]


def test_so_many_bars_that_their_names_would_overlap(analyzer, monkeypatch):
    monkeypatch.setattr(unit_widgets, "MOST_TICKS", 2)
    ax = unit_widgets.plot_unit_importance(analyzer).ax
    assert len(ax.get_xticks()) == 2
    with pytest.raises(ValueError, match="max_units must be a whole number above zero, got 0"):
        unit_widgets.plot_unit_importance(analyzer, max_units=0)
