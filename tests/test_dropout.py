"""Dropout and gated units of our own do what torch's do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from spikeinterface_poyo.network.dropout import dropout, geglu


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_right_share_and_the_mean(p):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.ones(333, 1001, requires_grad=True)
        y = dropout(x, p, training=True)
    y.sum().backward()
    assert abs((y == 0).double().mean().item() - p) < 0.005
    torch.testing.assert_close(y.detach().unique(), torch.tensor([0, 1 / (1 - p)]))
    assert torch.equal(x.grad, y.detach())
    row, column = (y == 0).double().var(dim=0).mean(), (y == 0).double().var(dim=1).mean()
    assert max(abs(row - p * (1 - p)), abs(column - p * (1 - p))) < 0.005  # no stripes


def test_dropout_is_repeated_by_a_seed_and_off_outside_training():
    x = torch.randn(7, 5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = dropout(x, 0.5, training=True)
        torch.manual_seed(0)
        assert torch.equal(first, dropout(x, 0.5, training=True))
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_geglu_and_its_gradient():
    x = torch.randn(3, 4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value, gate = x.chunk(2, dim=-1)
    torch.testing.assert_close(geglu(x), value * F.gelu(gate))
    assert torch.autograd.gradcheck(geglu, x)
