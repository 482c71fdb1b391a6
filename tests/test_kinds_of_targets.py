"""Whether targets are numbers, angles or labels, where weights or samples know something of that name already."""

from __future__ import annotations

import neo
import numpy as np
import pytest
import quantities as pq
from scipy.sparse import csr_array

from spikeinterface_poyo import POYOClassifier, POYODecoder, align

pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(0)


@pytest.fixture(scope="module")
def sides(session) -> np.ndarray:
    return np.where(session.values > 0, 5, 2)


@pytest.fixture(scope="module")
def of_labels(session, sides, small_decoder, tmp_path_factory):
    """Weights that learned the labels 2 and 5 of a behaviour that nobody named."""
    folder = tmp_path_factory.mktemp("labels")
    classifier = POYOClassifier(**small_decoder().get_params())
    classifier.fit(session.spikes, (session.times, sides)).save_pretrained(folder)
    return folder


class TestNumbersAreNoLabels:
    def test_in_fit(self, session, small_decoder, of_labels):
        for factor in (1.0, 10.0):
            decoder = small_decoder(pretrained=of_labels).fit(session.spikes, (session.times, factor * session.values))
            assert decoder.sessions_.readouts["behavior"].kind == "continuous"

    def test_in_fit_by_name(self, session, sides, small_decoder, tmp_path):
        base = small_decoder()
        base.fit(session.spikes, {"state": (session.times, sides)}, behavior_type={"state": "categorical"})
        base.save_pretrained(tmp_path)
        decoder = small_decoder(pretrained=tmp_path).fit(session.spikes, {"state": (session.times, session.values)})
        assert decoder.sessions_.readouts["state"].kind == "continuous"
        pixels = {"state": (session.times, np.round(300 * session.values))}
        assert (
            small_decoder(pretrained=tmp_path).fit(session.spikes, pixels).sessions_.readouts["state"].kind
            == "continuous"
        )
        again = small_decoder(pretrained=tmp_path)
        again.fit(session.spikes, {"state": (session.times, sides)})
        assert again.sessions_.readouts["state"].classes == (2, 5)

    @pytest.mark.parametrize("how", ["score", "calibrate", "partial_fit"])
    def test_where_labels_are_known(self, session, sides, of_labels, how):
        X = align(session.spikes, session.behavior)[0]
        decoder = POYODecoder.from_pretrained(of_labels, device="cpu")
        with pytest.raises(ValueError, match="numbers against labels, which POYOClassifier learns"):
            getattr(decoder, how)(X, sides)

    def test_a_classifier_refuses_them(self, session, sides, small_decoder):
        classifier = POYOClassifier(**small_decoder().get_params())
        behaviors = {"position": (session.times, session.values), "side": (session.times, sides.astype(str))}
        with pytest.raises(
            ValueError, match=r"learns labels, and the behaviours \['position'\] are numbers; .*POYODecoder"
        ):
            classifier.fit(session.spikes, behaviors)


class TestAngles:
    def test_numbers_by_name_are_told_of(self, session, small_decoder, tmp_path):
        base = small_decoder().fit(
            session.spikes, {"head": session.behavior}, behavior_type={"head": ("circular", 180.0)}
        )
        base.save_pretrained(tmp_path)
        with pytest.warns(UserWarning, match="'head' is taken for angles of which 180 is a full turn"):
            small_decoder(pretrained=tmp_path).fit(session.spikes, {"head": session.behavior})

    def test_a_unit_of_angle_says_what_a_full_turn_is(self, session, small_decoder):
        degrees = (session.times, session.values * pq.deg)
        decoder = small_decoder().fit(session.spikes, degrees, behavior_type=("circular", 180.0))
        with pytest.raises(ValueError, match="a full turn of 360 against 180"):
            decoder.partial_fit(session.spikes, degrees, behavior_type="circular")


class TestNames:
    def test_what_samples_were_not_aligned_with_is_refused(self, session, small_decoder):
        X, y = align(session.spikes, session.behavior)
        given = {"behavior": y, "speed": np.abs(y)}
        with pytest.raises(ValueError, match=r"aligned with the behaviours \['behavior'\], y has \['speed'\]"):
            small_decoder().fit(X, given)
        decoder = small_decoder().fit(X, {"behavior": y})
        with pytest.raises(ValueError, match=r"y has \['speed'\]"):
            decoder.score(X, given)

    @pytest.mark.parametrize("names", [(1, "1"), ("", "a")])
    def test_that_cannot_be_told_apart_are_refused(self, session, names):
        with pytest.raises(ValueError, match="behaviours need different names, as text, that are not empty"):
            align(session.spikes, dict.fromkeys(names, session.behavior))

    def test_a_signal_beside_samples_is_refused(self, session, small_decoder):
        X, y = align(session.spikes, session.behavior)
        with pytest.raises(ValueError, match=r"y is a neo signal.*align\(sorting, signal\)"):
            small_decoder().fit(X, neo.AnalogSignal(y, "m", sampling_rate=10 * pq.Hz))


@pytest.mark.parametrize("estimator", [POYODecoder, POYOClassifier])
def test_sparse_targets_are_refused(session, estimator):
    X, y = align(session.spikes, session.behavior)
    with pytest.raises(ValueError, match=r"sparse matrix; give its toarray\(\)"):
        estimator().fit(X, csr_array(y.reshape(len(y), -1)))
    with pytest.raises(ValueError, match="sparse matrix"):
        estimator().fit(X, {"side": csr_array(y.reshape(len(y), -1))})


def test_a_session_with_fewer_outputs_stands_by_itself(simulate, small_decoder):
    one, two = simulate(0), simulate(1, n_outputs=2)
    X, y = align(
        [one.spikes, two.spikes], [one.behavior, two.behavior], session_id=["a", "b"], behavior_name=["f", "v"]
    )
    decoder = small_decoder().fit(X, y)
    scores = []
    for name in ("a", "b"):
        mine = X.session_ids == name
        scores.append(decoder.score(X[mine], y[mine]))
        decoder.calibrate(X[mine], y[mine], cv="prefit")
        alone = small_decoder().fit(X[mine], y[mine])
        assert alone.n_outputs_ == (1 if name == "a" else 2)
        for fitted in (decoder, alone):
            assert fitted.predict(X[mine]).shape == ((mine.sum(),) if name == "a" else (mine.sum(), 2))
    assert decoder.score(X, y) == pytest.approx(np.mean(scores))


def test_one_output_by_name_may_be_of_either_shape(simulate):
    one, two = simulate(0), simulate(1)
    behaviors = [{"v": one.behavior}, {"v": (two.times, two.values[:, None])}]
    for given in (behaviors, behaviors[::-1]):
        _, y = align([one.spikes, two.spikes], given)
        np.testing.assert_array_equal(y["v"][:, 0], np.concatenate([np.ravel(b["v"][1]) for b in given]))


def test_no_samples_have_no_targets(session, sides, small_decoder):
    X, y = align(session.spikes, {"v": session.behavior, "side": (session.times, sides.astype(str))})
    decoded = small_decoder().fit(X, y).predict(X[:0])
    assert (decoded.shape, decoded.dtype.names) == ((0,), ("v", "side"))


def named_signal(values: np.ndarray, names: list[str]) -> neo.AnalogSignal:
    return neo.AnalogSignal(values, "m", sampling_rate=10 * pq.Hz, array_annotations={"channel_names": names})


def test_names_of_outputs_go_with_as_many(simulate, small_decoder):
    session = simulate(0, n_outputs=2)
    decoder = small_decoder(warm_start=True).fit(session.spikes, named_signal(session.values, ["x", "y"]))
    X, y = align(session.spikes, named_signal(session.values[:, [0, 1, 0]], ["a", "b", "c"]))
    decoder.fit(X, y[:, :2])
    assert decoder.sessions_.readouts["behavior"].output_names == ("x", "y")
    assert list(decoder.decode(session.spikes).array_annotations["channel_names"]) == ["x", "y"]


def test_truth_values_and_text_stay_what_they_are(simulate, small_decoder):
    one, two = simulate(0), simulate(1)
    behaviors = [(one.times, one.values > 0), (two.times, np.where(two.values > 0, "up", "down"))]
    X, y = align([one.spikes, two.spikes], behaviors, behavior_name=["a", "b"])
    assert {type(label) for label in y[X.session_ids == "session_0"]} == {bool}
    _, y = align([one.spikes, two.spikes], [{"a": behaviors[0]}, {"a": behaviors[1]}])
    assert {type(label) for label in y["a"]} == {bool, str}


def test_weights_that_leave_nothing_are_refused(session, sides, small_decoder):
    for weights, message in (
        ({5: 0, 2: 0.0}, "the weight zero: there is nothing to learn"),
        ({5: np.inf}, "finite weights"),
    ):
        classifier = POYOClassifier(**small_decoder(class_weight=weights).get_params())
        with pytest.raises(ValueError, match=message):
            classifier.fit(session.spikes, (session.times, sides))


def test_a_label_that_a_fold_lacks_is_wrong_and_no_number(session, sides, small_decoder):
    behaviors = {"side": (session.times, sides), "v": session.behavior}
    decoder = small_decoder().fit(session.spikes, behaviors, behavior_type={"side": "categorical"})
    strange = np.where(np.arange(len(sides)) < 5, 7, sides)
    score = decoder.score(session.spikes, behaviors)
    assert decoder.score(session.spikes, {**behaviors, "side": (session.times, strange)}) < score


def test_a_column_that_nobody_aligned_is_no_padding(session, small_decoder):
    X, y = align(session.spikes, session.behavior)
    with pytest.raises(ValueError, match=r"output\(s\) \[1\] are all NaN"):
        small_decoder().fit(X, np.column_stack([y, np.full(len(y), np.nan)]))
