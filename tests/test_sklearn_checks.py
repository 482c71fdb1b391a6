"""scikit-learn's own checks of estimators, on 2-D arrays of counts; `BinnedCounts`, which takes none, has its own."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from spikeinterface_poyo import POYOClassifier, POYODecoder, SelectUnits

# Sums over several threads are rounded otherwise for another order of samples; checks allow 1e-9.
pytestmark = pytest.mark.usefixtures("brief_training", "one_thread")

DECODER = POYODecoder(
    dim=16,
    depth=1,
    dim_head=8,
    cross_heads=4,
    self_heads=1,
    num_latents_per_step=2,
    n_latent_steps=2,
    batch_size=16,
    max_iter=1,
    learning_rate_init=4e-3,
    early_stopping=False,  # many checks have 10 to 30 samples
    device="cpu",
    random_state=0,
)
LEARNING = {"check_regressors_train", "check_classifiers_train"}  # want most of the training part explained


def expected_to_fail(estimator: Any) -> dict[str, str]:
    """Names of checks that an estimator cannot pass, with the reason and the test that stands for each."""
    if isinstance(estimator, SelectUnits):
        return {}
    of_classifiers = {
        "check_class_weight_classifiers": "gives counts below zero, in spite of the tag; see test_behavior_types.py::"
        "TestLabels::test_weights_of_classes",
    }
    return (of_classifiers if isinstance(estimator, POYOClassifier) else {}) | {
        "check_sample_weight_equivalence_on_dense_data": "a repeated sample is drawn twice as often, which is a weight "
        "of two on average only; see test_estimator.py::test_a_sample_without_weight_has_no_part_in_fit and "
        "test_only_ratios_of_weights_matter",
        "check_methods_subset_invariance": "wants embeddings equal within 1e-7, the rounding of float32 in batches of "
        "another size; see test_latents.py::test_they_do_not_depend_on_which_others_are_asked_for",
    }


@parametrize_with_checks(
    [DECODER, POYOClassifier(**DECODER.get_params()), SelectUnits()], expected_failed_checks=expected_to_fail
)
def test_scikit_learns_check(estimator: Any, check: Any):
    if check.func.__name__ in LEARNING:
        estimator.set_params(max_iter=12, unit_dropout=0.0)
    check(estimator)
