"""scikit-learn's own checks of estimators, on 2-D arrays of counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from spikeinterface_poyo import POYOClassifier, POYODecoder

DECODER = POYODecoder(
    dim=16,
    depth=1,
    dim_head=8,
    cross_heads=1,
    self_heads=1,
    num_latents_per_step=2,
    n_latent_steps=2,
    batch_size=4,
    max_iter=1,
    early_stopping=False,  # many checks have 10 to 30 samples
    device="cpu",
    random_state=0,
)


def expected_to_fail(estimator: POYODecoder | POYOClassifier) -> dict[str, str]:
    training = "wants more of the training part than one iteration of so small a network learns"
    classes = "wants partial_fit(..., classes=), and new labels are refused instead"
    of_classifiers = {
        "check_classifiers_train": training,
        "check_class_weight_classifiers": "gives counts below zero, in spite of the tag; see test_behavior_types.py::"
        "TestLabels::test_weights_of_classes",
        "check_n_features_in_after_fitting": classes,
        "check_estimators_partial_fit_n_features": classes,
    }
    return (of_classifiers if isinstance(estimator, POYOClassifier) else {}) | {
        "check_regressors_train": "wants R2 > 0.5 on the training part, more than one iteration of so small a network",
        "check_sample_weight_equivalence_on_dense_data": "a repeated sample is drawn twice as often, which is a weight "
        "of two on average only",
        "check_methods_subset_invariance": "wants embeddings equal within 1e-7, the rounding of float32 in batches of "
        "another size; see test_latents.py::test_they_do_not_depend_on_which_others_are_asked_for",
    }


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums over several threads are rounded otherwise for another order of samples; checks allow 1e-9."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@parametrize_with_checks([DECODER, POYOClassifier(**DECODER.get_params())], expected_failed_checks=expected_to_fail)
def test_scikit_learns_check(estimator: POYODecoder | POYOClassifier, check: Any):
    check(estimator)
