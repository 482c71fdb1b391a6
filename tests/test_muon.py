"""Our Muon gives the numbers of torch's."""

from __future__ import annotations

import torch

from spikeinterface_poyo.muon import Muon


def test_same_numbers_as_torch():
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 64), (96, 32), (32, 96), (96, 32), (64, 64), (8, 8)]
    ours, theirs = ([torch.nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    settings = {"lr": 0.02, "weight_decay": 0.1}
    optimizers = [Muon(ours, **settings), torch.optim.Muon(theirs, **settings)]
    for _ in range(4):
        for parameters in zip(ours[:-1], theirs[:-1], strict=True):  # the last one gets no gradient
            gradient = torch.randn(parameters[0].shape, generator=generator)
            for parameter in parameters:
                parameter.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).abs().max() <= 0.02 * (other - 1).abs().max()  # torch works in bfloat16
    assert optimizers[0].state_dict()["state"].keys() == optimizers[1].state_dict()["state"].keys()
