"""What goes through scikit-learn's pipelines and cross-validation beside samples and targets."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import assert_same_weights
from sklearn import config_context
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import Pipeline

from spikeinterface_poyo import POYOClassifier, POYODecoder, SelectUnits, align

pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(scope="module")
def samples(simulate):
    simulated = simulate(n_units=4, duration=20.0)
    return align(simulated.spikes, simulated.behavior)


@pytest.fixture(scope="module")
def weight(samples) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, len(samples[1]))


@pytest.fixture
def decoder(small_decoder) -> POYODecoder:
    return small_decoder(early_stopping=False)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_weights_and_groups_reach_fit_score_and_splitter(samples, weight, decoder):
    X, y = samples
    groups = (X.times // 2).astype(int)
    asked = decoder.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    result = cross_validate(asked, X, y, params={"sample_weight": weight, "groups": groups}, cv=GroupKFold(2),
                            return_estimator=True, return_indices=True, error_score="raise")  # fmt: skip
    train, test = (result["indices"][part][0] for part in ("train", "test"))
    assert not set(groups[train]) & set(groups[test])
    fitted = decoder.fit(X[train], y[train], sample_weight=weight[train])
    assert_same_weights(fitted, result["estimator"][0])
    assert result["test_score"][0] == fitted.score(X[test], y[test], sample_weight=weight[test])


@pytest.mark.usefixtures("routing")
def test_weights_reach_the_last_step_of_a_pipeline(samples, weight, decoder):
    pipeline = Pipeline([("units", SelectUnits()), ("poyo", decoder.set_fit_request(sample_weight=True))])
    pipeline.fit(*samples, sample_weight=weight)
    assert_same_weights(pipeline["poyo"], decoder.fit(*samples, sample_weight=weight))


@pytest.mark.usefixtures("routing")
def test_what_nobody_asked_for_is_refused(samples, weight, decoder):
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        cross_validate(decoder, *samples, params={"sample_weight": weight}, cv=GroupKFold(2), error_score="raise")


def test_without_routing_parameters_are_cut_to_each_fold(samples, weight, decoder):
    X, y = samples
    folds = [(np.arange(100), np.arange(100, 200))]
    result = cross_validate(decoder, X, y, params={"sample_weight": weight}, cv=folds, return_estimator=True,
                            error_score="raise")  # fmt: skip
    assert_same_weights(result["estimator"][0], decoder.fit(X[:100], y[:100], sample_weight=weight[:100]))


@pytest.mark.usefixtures("routing")
def test_classes_can_be_asked_for():
    asked = POYOClassifier().set_partial_fit_request(classes=True, sample_weight=True)
    requests = asked.get_metadata_routing().partial_fit.requests
    assert requests["classes"] is requests["sample_weight"] is True


@pytest.mark.parametrize("estimator", [POYODecoder(dim=32), POYOClassifier(dim=32), SelectUnits(ids=["a"])])
def test_notebooks_show_what_was_set(estimator):
    shown = estimator._repr_html_()
    assert type(estimator).__name__ in shown
    assert ("dim" if hasattr(estimator, "dim") else "ids") in shown


def test_columns_are_known_for_counts_and_forgotten_for_samples(samples, decoder):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.random.default_rng(0).poisson(2.0, (30, 3)), columns=["a", "b", "c"])
    decoder.fit(table, table["a"].to_numpy() * 1.0)
    assert decoder.n_features_in_ == 3
    assert decoder.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        decoder.predict(table[["a", "c", "b"]])
    decoder.fit(*samples)
    assert not hasattr(decoder, "n_features_in_")
    assert not hasattr(decoder, "feature_names_in_")
