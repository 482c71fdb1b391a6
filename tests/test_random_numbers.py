"""Fits draw from numbers of their own: torch's generators and defaults are left alone, threads do not meet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, cross_val_score

from spikeinterface_poyo import BlockedKFold, POYODecoder, align

pytestmark = pytest.mark.usefixtures("brief_training", "one_thread")
FOLDS = BlockedKFold(3, gap=0.5)


@pytest.fixture(scope="module")
def samples(simulate):
    made = simulate(duration=40.0)
    return align(made.spikes, made.behavior)


@pytest.fixture
def float64_on_no_device():
    """Torch's defaults as no user is likely to have them."""
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def test_threads_score_as_one_does(samples, small_decoder):
    alone = cross_val_score(small_decoder(), *samples, cv=FOLDS)
    with parallel_config("threading"):
        together = cross_val_score(small_decoder(), *samples, cv=FOLDS, n_jobs=3)
    np.testing.assert_array_equal(together, alone)


def test_a_search_within_a_cross_validation(samples, small_decoder):
    """joblib runs what is nested in threads, of which each may compute batches of another size."""
    search = GridSearchCV(small_decoder(), {"batch_size": [8, 12]}, cv=BlockedKFold(2, gap=0.5), error_score="raise")
    alone = cross_val_score(search, *samples, cv=FOLDS, error_score="raise")
    with parallel_config("threading"):
        together = cross_val_score(search.set_params(n_jobs=2), *samples, cv=FOLDS, n_jobs=2, error_score="raise")
    np.testing.assert_array_equal(together, alone)


def test_torch_draws_on_as_if_nothing_had_been_fitted_or_loaded(samples, small_decoder, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("a fit on the CPU seeded GPUs"))
    before = torch.get_rng_state()
    small_decoder().fit(*samples).save_pretrained(tmp_path)
    POYODecoder.from_pretrained(tmp_path)
    small_decoder(pretrained=tmp_path).fit(*samples)
    assert torch.equal(torch.get_rng_state(), before)


def test_new_weights_of_an_adapted_decoder_are_those_of_its_random_state(samples, small_decoder, tmp_path):
    X, y = samples
    small_decoder().fit(X, y).save_pretrained(tmp_path)
    both = np.column_stack([y, -y])  # needs a new readout
    first, again, other = (
        small_decoder(pretrained=tmp_path, random_state=seed).fit(X, both).predict(X) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_defaults_of_torch_do_not_matter(samples, small_decoder, tmp_path, float64_on_no_device):
    decoder = small_decoder().fit(*samples)
    decoder.save_pretrained(tmp_path)
    decoded = POYODecoder.from_pretrained(tmp_path, device="cpu").predict(samples[0])
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    np.testing.assert_array_equal(decoded, small_decoder().fit(*samples).predict(samples[0]))


def test_torchs_default_type_is_left_as_it_was(simulate, small_decoder, brief_training):
    made = simulate(duration=20.0)
    torch.set_default_dtype(torch.float64)
    try:
        small_decoder(early_stopping=False).fit(made.spikes, made.behavior)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
