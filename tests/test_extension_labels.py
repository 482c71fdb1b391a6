"""Labels in the extension `poyo_decoding`: decoded by classifiers, scored by accuracy, kept and drawn as labels."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import neo
import numpy as np
import pytest
from analyzers import QUICK, SMALL, T_START, make_analyzer, make_recording
from sklearn.metrics import accuracy_score, confusion_matrix
from spikeinterface.core import load_sorting_analyzer

from spikeinterface_poyo import POYOClassifier, POYODecoder, compare_curation
from spikeinterface_poyo.readouts.label_readout import CategoricalReadout
from spikeinterface_poyo.unit_widgets import plot_unit_importance
from spikeinterface_poyo.widgets import plot_decoded_against_true, plot_decoded_behavior, plot_training_history

pytestmark = [
    pytest.mark.filterwarnings("ignore:poyo_decoding:UserWarning"),
    pytest.mark.usefixtures("brief_training"),
]
TRAINED = {**QUICK, "decoder": {**SMALL, "num_latents_per_step": 2, "batch_size": 8, "max_iter": 6}}


@pytest.fixture(scope="module")
def recorded(simulate, tmp_path_factory):
    """An analyzer in a folder, and where its units' behaviour points to, which is not known in the beginning."""
    simulated = simulate(n_units=6, duration=24.0, rate=60.0)
    folder = tmp_path_factory.mktemp("recording")
    analyzer = make_analyzer(*make_recording(folder / "recording", simulated, 24.0), "binary_folder", folder)
    side = np.where(simulated.values > np.median(simulated.values), "right", "left").astype(object)
    side[:3] = None
    return analyzer, (simulated.times + T_START, side)


@pytest.fixture(scope="module")
def computed(recorded):
    analyzer, side = recorded
    analyzer.compute("poyo_decoding", behavior=side, **TRAINED)
    return load_sorting_analyzer(analyzer.folder)


@pytest.fixture(scope="module")
def extension(computed):
    return computed.get_extension("poyo_decoding")


def test_labels_are_decoded_and_scored_by_accuracy(recorded, extension):
    _, (_, side) = recorded
    data = extension.get_data()
    assert data["targets"].tolist() == side.tolist()
    assert {type(label) for label in data["targets"]} == {str, type(None)}
    assert set(data["decoded"]) == {"left", "right"}
    assert extension.accuracy == pytest.approx(accuracy_score(side[3:], data["decoded"][3:].tolist()))
    assert extension.accuracy > 0.8
    for k, score in enumerate(extension.data["fold_accuracy"]):
        mine = (data["fold"] == k) & (np.arange(len(side)) >= 3)
        assert score == pytest.approx(np.mean(data["targets"][mine] == data["decoded"][mine]))
    with pytest.raises(ValueError, match=r"labels have an accuracy, .*extension\.accuracy"):
        _ = extension.r2
    events = extension.get_data(outputs="neo")
    assert isinstance(events, neo.Event)
    assert events.labels.tolist() == data["decoded"].tolist()


def test_the_decoder_is_a_classifier(recorded, extension):
    analyzer, (times, _) = recorded
    classifier = extension.get_decoder()
    assert isinstance(classifier, POYOClassifier)
    assert classifier.classes_.tolist() == ["left", "right"]
    np.testing.assert_allclose(classifier.predict_proba(analyzer, times).sum(axis=1), 1)


def test_units_are_worth_what_they_add_to_briers_skill(extension):
    assert (extension.get_importance()["silenced"] > 0.01).any()
    skill = extension.data["provenance"]["importance"]["skill"]
    assert 0 < skill <= 1
    readout = CategoricalReadout(
        name="side", first_column=0, classes=("a", "b", "c"), class_weight=(1.0,) * 3, entropy=1.0
    )
    codes, p = (
        np.array([[0.0], [0], [1], [np.nan]]),
        np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0], [0.2, 0.8, 0], [1, 0, 0]]),
    )
    points = readout.as_points(codes)
    error = (readout.answers_as_points(np.log(np.maximum(p, 1e-30))) - points) ** 2
    always = np.array([2 / 3, 1 / 3, 0])
    by_chance = ((points[:3] - always) ** 2).sum()
    assert np.nansum(error @ readout.cost(points)) == pytest.approx(((p - points)[:3] ** 2).sum() / by_chance)


def test_curation_compares_accuracies_and_computes_labels_again(computed, extension):
    effect = compare_curation(computed, merge_unit_groups=[["u0", "u1"]], progress_bar=False)
    assert effect.score_before == extension.accuracy
    merged = computed.merge_units([["u0", "u1"]], new_unit_ids=["u0"])
    parameters = {**extension.params, "importance": False, "progress_bar": False}
    again = merged.compute("poyo_decoding", **parameters)
    assert again.get_data()["targets"].tolist() == extension.get_data()["targets"].tolist()
    assert effect.score_after == pytest.approx(again.accuracy, abs=0.1)  # the order of units differs, and the seed


def test_numbers_that_are_labels_and_their_weights_are_kept(recorded, tmp_path):
    analyzer, (times, side) = recorded
    number = np.where(side == "left", 1, 2)
    given = {**QUICK, "importance": False, "decoder": {**SMALL, "class_weight": {1.0: 3.0, 2.0: 1.0}}}
    copy = analyzer.save_as(format="zarr", folder=tmp_path / "copy.zarr")
    copy.compute("poyo_decoding", behavior=(times, number), behavior_type="categorical", **given)
    kept = load_sorting_analyzer(copy.folder).get_extension("poyo_decoding")
    assert kept.params["behavior_type"] == "categorical"
    assert kept.classes == [1.0, 2.0]
    np.testing.assert_array_equal(kept.get_data()["targets"], number)
    assert kept.get_decoder().class_weight == {1.0: 3.0, 2.0: 1.0}
    again = analyzer.copy().compute("poyo_decoding", **kept.params, progress_bar=False)
    np.testing.assert_array_equal(again.data["decoded"], kept.data["decoded"])


def test_labels_by_path_and_a_classifier(recorded, tmp_path):
    analyzer, (times, side) = recorded
    np.savez(tmp_path / "side.npz", times=times[3:], values=side[3:].astype(str))
    given = {**QUICK, "importance": False, "decoder": POYOClassifier(**SMALL)}
    computed = analyzer.copy().compute("poyo_decoding", behavior=tmp_path / "side.npz", **given)
    assert computed.get_data()["targets"].tolist() == side[3:].tolist()


def test_pictures(computed, extension):
    data = extension.get_data()
    ax = plot_decoded_behavior(computed).ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["left", "right"]
    assert ax.get_title(loc="right") == f"accuracy = {extension.accuracy:.2f}"
    against = plot_decoded_against_true(computed).ax
    shares = confusion_matrix(data["targets"][3:].tolist(), data["decoded"][3:].tolist(), normalize="true")
    np.testing.assert_allclose(against.images[0].get_array(), shares)
    assert against.get_title() == f"accuracy = {extension.accuracy:.2f}"
    assert plot_unit_importance(computed).ax.get_ylabel().startswith("drop in held-out Brier skill")
    assert plot_training_history(computed).ax.has_data()
    plt.close("all")


def test_what_cannot_be_decoded_is_refused_before_any_work(recorded, monkeypatch):
    analyzer, (times, side) = recorded
    monkeypatch.setattr(POYOClassifier, "fit", lambda *_, **__: pytest.fail("nothing is to be trained"))

    def compute(**given):
        analyzer.copy().compute("poyo_decoding", **{**QUICK, "behavior": (times, side), **given})

    with pytest.raises(ValueError, match="labels, which POYOClassifier decodes; got decoder=POYODecoder"):
        compute(decoder=POYODecoder(**SMALL))
    with pytest.raises(ValueError, match="behavior_type='continuous' is for POYODecoder; got decoder=POYOClassifier"):
        compute(behavior=(times, np.ones(len(times))), behavior_type="continuous", decoder=POYOClassifier(**SMALL))
    with pytest.raises(ValueError, match="holds labels, which cannot be circular"):
        compute(behavior_type="circular")
    with pytest.raises(ValueError, match="several types that have no order"):
        compute(behavior=(np.append(times, times[-1] + 100), np.append(side, [3])))  # also outside the recording
    with pytest.raises(ValueError, match=r"the labels \['10', '11', '12', '13', '14'\] and 36 more"):
        compute(behavior=(times, np.arange(10, 10 + len(times) // 3).repeat(3).astype(str)))
    with pytest.raises(ValueError, match="all labels are 'left': there is nothing to decode"):
        compute(behavior=(times, np.full(len(times), "left")))
    rare = side.copy()
    rare[:5] = "aborted"
    with pytest.raises(ValueError, match=r"fold 0 of 2 does not train on the labels \['aborted'\]"):
        compute(behavior=(times, rare))
