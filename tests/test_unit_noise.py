"""Noise on the embeddings of units: how wide it is, whom it reaches, and that it is the same for all who ask."""

from __future__ import annotations

import pytest
import torch

from spikeinterface_poyo.training.batches import BatchSource
from spikeinterface_poyo.training.unit_noise import UNIT_NOISE, UnitNoise

pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture
def embeddings() -> torch.Tensor:
    """Those that differ much along the first coordinate, and less along the second."""
    standard = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    return torch.tensor([3.0, 0.0]) + standard * torch.tensor([0.8, 0.1])


def test_it_is_as_wide_as_embeddings_differ(embeddings):
    noise = UnitNoise(0.5, seed=3).draw(embeddings)
    assert noise.shape == (5000, 2)
    torch.testing.assert_close(noise.std(dim=0), torch.tensor([0.4, 0.05]), rtol=0.05, atol=0)
    torch.testing.assert_close(noise.mean(dim=0), torch.zeros(2), rtol=0, atol=0.02)


def test_a_seed_tells_it(embeddings):
    first, again, other = (UnitNoise(0.5, seed).draw(embeddings) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_unit_has_none(embeddings):
    assert not UnitNoise(0.5, seed=1).draw(embeddings[:1]).any()


def test_embeddings_that_are_alike_have_some_that_is_finite():
    for value in torch.linspace(0.01, 1.0, 50):  # of some, rounding makes the variance negative
        assert UnitNoise(0.5, seed=1).draw(value.expand(7, 4)).isfinite().all()


@pytest.fixture
def drawn(monkeypatch) -> list[tuple[str, UnitNoise | None]]:
    """Stage and noise of every batch that training draws."""
    seen = []
    draw = BatchSource.draw

    def observed(self, settings, rng, mine=slice(None)):
        batch = draw(self, settings, rng, mine)
        seen.append((settings.stage, batch.unit_noise))
        return batch

    monkeypatch.setattr(BatchSource, "draw", observed)
    return seen


def test_cores_of_several_sessions_learn_with_it_and_nothing_else_does(simulate, small_decoder, drawn):
    first, second, new = (simulate(seed) for seed in range(3))
    spikes, behavior = [first.spikes, second.spikes], [first.behavior, second.behavior]
    decoder = small_decoder().fit(spikes, behavior, session_id=["a", "b"])
    decoder.partial_fit(new.spikes, new.behavior, session_id="c", adapt="all")
    assert {stage for stage, noise in drawn if noise} == {"training"}
    noise = [noise for stage, noise in drawn if stage == "training"]
    assert {n.scale for n in noise} == {UNIT_NOISE}
    assert len({n.seed for n in noise}) == len(noise)
    drawn.clear()
    small_decoder().fit(first.spikes, first.behavior)
    assert not any(noise for _, noise in drawn)
