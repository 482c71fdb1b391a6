"""What is expected of new units: a distribution of the known ones, and an optimiser in its coordinates."""

from __future__ import annotations

import pytest
import torch

from spikeinterface_poyo.training.unit_prior import FEWEST_UNITS, PENALTY, SMALLEST_SD, AdamInPrior, UnitPrior


@pytest.fixture
def known() -> torch.Tensor:
    """Embeddings that differ much along the first coordinate, little along the second, not at all along the third."""
    deviations = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    return torch.tensor([1.0, -2.0, 3.0]) + deviations * torch.tensor([0.5, 0.1, 0.0])


def test_many_units_give_their_mean_and_covariance(known):
    prior = UnitPrior.of(known)
    torch.testing.assert_close(prior.mean, torch.tensor([1.0, -2.0, 3.0]), atol=0.03, rtol=0)
    spread = (prior.axes.mT @ prior.axes).diagonal().sqrt()
    torch.testing.assert_close(spread, torch.tensor([0.5, 0.1, SMALLEST_SD]), atol=0.01, rtol=0)


def test_few_units_are_drawn_towards_a_ball(known):
    widths = [UnitPrior.of(known[:n]).axes.norm(dim=1) for n in (FEWEST_UNITS, 5000)]
    ratios = [float(width.max() / width.min()) for width in widths]
    assert ratios[0] < ratios[1] / 2


def test_a_handful_of_units_tells_nothing(known):
    assert UnitPrior.of(known[: FEWEST_UNITS - 1]) is None


def test_in_plain_coordinates_it_is_torchs_adam():
    prior = UnitPrior(torch.zeros(4), torch.eye(4))
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(6, 4)) for _ in range(2))
    options = {"lr": 0.01, "betas": (0.9, 0.98)}
    optimizers = [AdamInPrior(ours, prior, **options), torch.optim.Adam([theirs], weight_decay=PENALTY, **options)]
    for _ in range(5):
        gradient = torch.randn(6, 4, generator=generator)
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours[1:], theirs[1:])


def test_units_become_what_data_say_where_they_do_and_stay_as_expected_where_not(known):
    prior = UnitPrior.of(known)
    table = torch.nn.Parameter(prior.mean.repeat(3, 1))
    table.data[0] = 0
    wanted = prior.mean + torch.tensor([0.4, 0.0, 0.0])
    optimizer = AdamInPrior(table, prior, lr=0.03, betas=(0.9, 0.98))
    for _ in range(300):
        table.grad = None
        ((table[1] - wanted) ** 2).sum().backward()
        optimizer.step()
    assert not table[0].any()
    torch.testing.assert_close(table[1], wanted, atol=0.01, rtol=0)
    torch.testing.assert_close(table[2], prior.mean)


def test_steps_are_as_long_as_units_differ_in_a_direction():
    widths = torch.tensor([0.5, 0.1, 0.02])
    table = torch.nn.Parameter(torch.zeros(2, 3))
    optimizer = AdamInPrior(table, UnitPrior(torch.zeros(3), torch.diag(widths)), lr=0.03)
    table.grad = torch.ones(2, 3)
    optimizer.step()
    torch.testing.assert_close(table[1].detach(), -0.03 * widths)


def test_gradients_are_turned_into_coordinates_of_any_axes():
    generator = torch.Generator().manual_seed(0)
    axes, mean = torch.randn(3, 3, generator=generator), torch.randn(3, generator=generator)
    wanted = torch.randn(3, generator=generator)
    table = torch.nn.Parameter(torch.zeros(2, 3))
    coordinates = torch.nn.Parameter(torch.linalg.solve(axes.mT, -mean))  # of the same start
    ours = AdamInPrior(table, UnitPrior(mean, axes), lr=0.03)
    theirs = torch.optim.Adam([coordinates], lr=0.03, weight_decay=ours.param_groups[0]["weight_decay"])
    for _ in range(5):
        for optimizer, value in ((ours, lambda: table[1]), (theirs, lambda: mean + coordinates @ axes)):
            optimizer.zero_grad()
            ((value() - wanted) ** 2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(table[1].detach(), (mean + coordinates @ axes).detach(), rtol=1e-4, atol=1e-5)
