"""Our Muon gives the numbers of torch's."""

from __future__ import annotations

import torch

from spikeinterface_poyo.training.muon import Muon, orthogonalised


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


def test_off_cuda_steps_are_as_exact_as_gradients():
    x, (a, b, c) = torch.randn(3, 24, 16, generator=torch.Generator().manual_seed(0)), (3.4445, -4.775, 2.0315)
    left, scale, right = torch.linalg.svd(
        x.double() / torch.linalg.matrix_norm(x.double(), keepdim=True), full_matrices=False
    )
    for _ in range(5):
        scale = a * scale + b * scale**3 + c * scale**5
    exact = left @ torch.diag_embed(scale) @ right
    torch.testing.assert_close(orthogonalised(x, (a, b, c), 5, 1e-7).double(), exact, rtol=0, atol=1e-4)
