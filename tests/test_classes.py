"""`POYOClassifier.partial_fit(..., classes=)`: labels that come later, and those that never may."""

from __future__ import annotations

import warnings
from datetime import date

import neo
import numpy as np
import pytest

from spikeinterface_poyo import POYOClassifier, align
from spikeinterface_poyo.readouts.label_readout import CategoricalReadout
from spikeinterface_poyo.sessions.signals import TargetInfo

SIDES = ["east", "north", "west"]
pytestmark = pytest.mark.usefixtures("short_stages")


@pytest.fixture(scope="module")
def made(simulate):
    return simulate(n_units=4, duration=20.0)


@pytest.fixture(scope="module")
def halves(made):
    """Samples of one named session: the first half knows "east" alone, the second "west" too."""
    X, y = align(made.spikes, (made.times, np.where(made.values > 0, "east", "west")), session_id="monday")
    east = y == "east"
    return (X[east][:50], y[east][:50]), (X[100:], y[100:])


@pytest.fixture
def classifier(small_decoder) -> POYOClassifier:
    return POYOClassifier(**small_decoder(early_stopping=False).get_params())


def test_labels_that_come_later_are_learned(classifier, halves):
    (X, y), (later, its_y) = halves
    classifier.partial_fit(X, y, classes=["west", "north", "east"])
    assert classifier.classes_.tolist() == SIDES
    assert classifier.predict_proba(later).shape == (len(later), 3)
    for k in range(2):
        classifier.partial_fit(later, its_y, **({"classes": SIDES} if k == 1 else {}))
    assert classifier.n_iter_ == 3
    assert classifier.classes_.tolist() == SIDES
    assert set(classifier.predict(later)) == {"east", "west"}
    assert classifier.score(later, its_y) > 0.6


def test_the_first_labels_are_the_classes_where_none_are_told(classifier, halves):
    (X, y), (later, its_y) = halves
    classifier.partial_fit(later, its_y)
    assert classifier.classes_.tolist() == ["east", "west"]
    with pytest.raises(ValueError, match=r"labels that the decoder was not trained on; it knows \['east', 'west'\]"):
        classifier.partial_fit(X, np.full(len(y), "north"))


def test_labels_that_nobody_told_of_are_refused(classifier, halves):
    _, (X, y) = halves
    with pytest.raises(ValueError, match=r"y has labels \['west'\] that are not among classes=\['east', 'north'\]"):
        classifier.partial_fit(X, y, classes=["east", "north"])
    assert not hasattr(classifier, "classes_")


def test_the_classes_stay_what_they_were(classifier, halves):
    _, (X, y) = halves
    classifier.partial_fit(X, y)
    before = classifier.predict_proba(X)
    with pytest.raises(ValueError, match=r"classes=\['east', 'north', 'west'\] are not those of the first call, "
                                         r"\['east', 'west'\]"):  # fmt: skip
        classifier.partial_fit(X, y, classes=SIDES)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


def test_a_new_session_may_lack_a_class(classifier, halves, made):
    _, (X, y) = halves
    classifier.fit(X, y)
    before = classifier.predict_proba(X)
    east = made.times[made.values > 0.5]
    new, new_y = align(made.spikes, (east, np.full(len(east), "east")), session_id="tuesday")
    classifier.partial_fit(new, new_y, classes=["west", "east"])
    assert classifier.classes_.tolist() == ["east", "west"]
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    with pytest.raises(ValueError, match=r"the labels \['north'\] are new"):
        classifier.partial_fit(*align(made.spikes, (east, np.full(len(east), "north")), session_id="wednesday"))


@pytest.mark.parametrize(
    ("classes", "message"),
    [([[0, 1]], "1d array"), ([np.nan], "classes holds no known label"), (["a", 1], "labels|types")],
)
def test_classes_are_checked(classifier, classes, message):
    counts = np.ones((10, 2))
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(counts, np.arange(10) % 2, classes=classes)


def test_targets_by_name_have_classes_of_their_own(classifier, halves):
    X, y = halves[1]
    with pytest.raises(ValueError, match="these targets come by name"):
        classifier.partial_fit(X, {"side": y}, classes=SIDES)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("ballanced", "'balanced' or None, got 'ballanced'"),
        ([1, 2], "dict of weights by label"),
        ({"left": 5.0}, r"class_weight= has the labels \['left'\], which are not among"),
        ({"L": -1.0}, "weights of zero or more"),
        ({"L": "1"}, "weights of zero or more"),
    ],
)
def test_weights_of_classes_are_checked(simulate, small_decoder, class_weight, message):
    session = simulate(0)
    classifier = POYOClassifier(**small_decoder(class_weight=class_weight).get_params())
    with pytest.raises(ValueError, match=message):
        classifier.fit(session.spikes, (session.times, np.where(session.values > 0, "L", "R")))


def test_a_weight_of_a_label_that_a_fold_lacks_is_no_error(simulate, small_decoder):
    session = simulate(0)
    labels = np.where(session.values > 0, "L", "R")
    classifier = POYOClassifier(**small_decoder(class_weight={"L": 2.0, "R": 1.0, "rare": 9.0}).get_params())
    assert classifier.fit(session.spikes, (session.times, labels)).classes_.tolist() == ["L", "R"]


def test_adapted_weights_heed_the_weights_of_classes(simulate, small_decoder, tmp_path):
    first, second = simulate(0), simulate(1)
    labelled = [(s.times, np.where(s.values > 0, "L", "R")) for s in (first, second)]
    POYOClassifier(**small_decoder().get_params()).fit(first.spikes, labelled[0]).save_pretrained(tmp_path)
    adapted = POYOClassifier(pretrained=tmp_path, class_weight={"L": 9.0}, device="cpu").fit(second.spikes, labelled[1])
    (readout,) = adapted.sessions_.readouts.values()
    assert readout.class_weight == (9.0, 1.0)
    assert adapted.predict_proba(second.spikes)[:, 0].mean() > np.mean(labelled[1][1] == "L")


def test_a_single_label_is_told_of():
    told = {"name": "lick", "first_column": 0}
    with pytest.warns(UserWarning, match="all labels of 'lick' are 'down': there is nothing to tell apart"):
        CategoricalReadout.of(np.zeros((3, 1)), np.ones(3), TargetInfo(name="lick", classes=("down",)), **told)


def test_labels_are_decoded_as_events(classifier, halves, made):
    (X, y), _ = halves
    fitted = classifier.fit(X, y)
    event = fitted.decode(X[:5])
    assert isinstance(event, neo.Event)
    np.testing.assert_array_equal(event.labels, fitted.predict(X[:5]).astype(str))
    np.testing.assert_allclose(event.times.rescale("s").magnitude, X.times[:5])


def test_a_score_by_labels_that_are_written_otherwise_is_told_of(classifier, halves):
    _, (X, y) = halves
    classifier.fit(X, y)
    with pytest.warns(
        UserWarning, match=r"no label of session 'monday' .* \['east', 'west'\], so that none is decoded right"
    ):
        assert classifier.score(X, np.char.upper(y)) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert classifier.score(X, np.where(X.times < 15, "north", y)) > 0  # some are known


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["2024-01-01", "2024-01-02"], "M8[D]"),
        np.array([1, 2], "m8[ns]"),
        np.array([date(2024, 1, 1), date(2024, 1, 2)]),
    ],
    ids=["dates", "durations", "date objects"],
)
def test_labels_that_files_cannot_hold_are_refused(halves, classifier, labels):
    X, _ = halves[1]
    with pytest.raises(ValueError, match="labels must be text, truth values or numbers"):
        classifier.fit(X, labels[np.arange(len(X)) % 2])
    pairs = np.empty(len(X), dtype=object)
    pairs[:] = [(i % 2, "ab"[i % 2]) for i in range(len(X))]
    with pytest.raises(ValueError, match=r"holds \['tuple'\]"):
        classifier.fit(X, pairs)
