"""`POYODecoder.transform`: what the readout reads, in scikit-learn's manner."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from unsmoothed import unsmoothed

from spikeinterface_poyo import BlockedKFold, align

pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(scope="module")
def made(simulate):
    return simulate(n_units=3, duration=20.0, n_outputs=2)


@pytest.fixture(scope="module")
def samples(made):
    """Samples, their targets, and the samples in any order, some of them twice."""
    X, y = align(made.spikes, made.behavior, session_id="one")
    order = np.random.default_rng(0).permutation(np.r_[np.arange(len(X)), :20])
    return X, y, X[order]


@pytest.fixture(scope="module", params=[False, True], ids=["centred", "causal"])
def fitted(request, samples, small_decoder):
    X, y, _ = samples
    return small_decoder(causal=request.param).fit(X, y)


def read_out(decoder, vectors: np.ndarray) -> np.ndarray:
    """Behaviour from vectors, by the last layer and the user's units."""
    weight, bias = (parameter.detach().double().cpu().numpy() for parameter in decoder.network_.readout.parameters())
    columns = vectors @ weight.T + bias
    (readout,) = decoder.sessions_.readouts.values()
    return readout.decode(columns)


def test_the_readout_turns_them_into_what_windows_say(fitted, samples):
    shuffled = samples[2]
    vectors = fitted.transform(shuffled)
    assert vectors.shape == (len(shuffled), fitted.dim)
    assert vectors.dtype == np.float64
    assert vectors.std(axis=0).min() > 1e-3
    np.testing.assert_allclose(read_out(fitted, vectors), unsmoothed(fitted).predict(shuffled), rtol=0, atol=1e-5)


def test_a_sortings_vectors_are_those_of_its_samples(fitted, made):
    times = [5.0, 2.5]
    found = fitted.transform(made.spikes, times, session_id="one")
    expected = unsmoothed(fitted).predict(made.spikes, times, session_id="one")
    np.testing.assert_allclose(read_out(fitted, found), expected, atol=1e-5)
    with pytest.raises(ValueError, match="unknown session"):
        fitted.transform(made.spikes, times, session_id="two")


def test_columns_have_names(fitted, samples):
    pd = pytest.importorskip("pandas")
    names = fitted.get_feature_names_out()
    assert names[:2].tolist() == ["poyodecoder0", "poyodecoder1"]
    assert len(names) == fitted.dim
    try:
        frame = fitted.set_output(transform="pandas").transform(samples[0][:5])
        assert isinstance(fitted.predict(samples[0][:5]), np.ndarray)
    finally:
        fitted.set_output(transform="default")
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(names)


def test_before_fit_there_are_none(samples, small_decoder):
    with pytest.raises(NotFittedError):
        small_decoder().transform(samples[0])
    with pytest.raises(NotFittedError):
        small_decoder().get_feature_names_out()


def test_counts_in_rows(small_decoder):
    counts = np.random.default_rng(0).poisson(2.0, (40, 3))
    decoder = small_decoder().fit(counts, counts[:, 0])
    np.testing.assert_allclose(read_out(decoder, decoder.transform(counts)).ravel(), decoder.predict(counts), atol=1e-5)


def test_they_do_not_depend_on_which_others_are_asked_for(small_decoder):
    counts = np.random.default_rng(0).poisson(2.0, (40, 3))
    decoder = small_decoder().fit(counts, counts[:, 0])
    for method in (decoder.transform, decoder.predict):
        rows = np.concatenate([method(row[None]) for row in counts])
        np.testing.assert_allclose(rows, method(counts), rtol=0, atol=2e-6)


def test_as_a_step_of_a_pipeline(samples, small_decoder):
    X, y, _ = samples
    pipeline = make_pipeline(small_decoder(), Ridge(1e-3))
    assert cross_val_score(pipeline, X, y, cv=BlockedKFold(2), error_score="raise").shape == (2,)


def test_latents_of_units_that_were_not_there_are_refused(simulate, small_decoder):
    session = simulate(duration=30.0)
    decoder = small_decoder(early_stopping=False, max_iter=1).fit(session.spikes, session.behavior)
    X, _ = align(session.spikes | {"stranger": np.array([1.0])}, session.behavior)
    with pytest.raises(ValueError, match=r"units \['stranger'\] that were not there at fit"):
        decoder.transform(X)
