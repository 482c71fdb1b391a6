"""Muon with matrices of one shape stepped together: torch's numbers, in half its time for networks this small."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """``torch.optim.Muon`` with its defaults, whose time goes into launching small matrix products, in stacks."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                self.step_together(parameters, group)

    def step_together(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Step parameters of one shape."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov's
        updates = orthogonalised(torch.stack(ahead), group["ns_coefficients"], group["ns_steps"], group["eps"])
        n_rows, n_columns = parameters[0].shape
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, updates.unbind(), alpha=-group["lr"] * math.sqrt(max(1, n_rows / n_columns)))


def orthogonalised(
    matrices: Tensor, coefficients: tuple[float, float, float], n_steps: int, smallest_norm: float
) -> Tensor:
    """Nearly orthogonal matrices (n, rows, columns) near the given ones, by Newton and Schulz's iteration.

    In bfloat16 on CUDA; elsewhere in the gradients' own precision, because bfloat16 turns the last bit of a gradient
    into a hundredth of a step: after 50 steps the losses of one and of two processes would differ by a per cent.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
    """
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=smallest_norm)
    for _ in range(n_steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
