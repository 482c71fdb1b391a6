"""The default decoder decodes a real recording well: one seed of the bench in examples/benchmarks."""

from __future__ import annotations

import pytest

from spikeinterface_poyo import POYODecoder, align


@pytest.mark.slow
def test_mouse_heading_is_decoded(mouse):
    X, y = align(*mouse)
    n_train = int(0.8 * len(X))
    decoder = POYODecoder(random_state=0).fit(X[:n_train], y[:n_train])
    assert decoder.score(X[n_train:], y[n_train:]) >= 0.88
