"""What to expect of a new unit's embedding, from those of the units that a network knows.

Few spikes say little of a unit, but a core that has read many units knows what units are like: embeddings of new ones
are learned as deviations from the mean of the known, in the directions and at the scale in which these differ, and are
drawn towards that mean. This is an empirical Bayes estimate; numbers are in docs/defaults.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FEWEST_UNITS = 20  # fewer do not tell what units are like
SMALLEST_SD = 0.02  # of embeddings in any direction: that of a fresh network's
PENALTY = 3e-4  # on squared deviations over two, in standard deviations, beside a loss that is 1 by chance


@dataclass(frozen=True, eq=False)
class UnitPrior:
    """A normal distribution of embeddings.

    Parameters
    ----------
    mean : Tensor, shape (dim,)
        The expected embedding.
    axes : Tensor, shape (dim, dim)
        Principal axes of the deviations, one a row, each as long as its standard deviation.
    """

    mean: Tensor
    axes: Tensor

    @classmethod
    def of(cls, embeddings: Tensor) -> UnitPrior | None:
        """From the embeddings of known units, shape (n_units, dim); None where they are fewer than `FEWEST_UNITS`.

        The covariance of few units is drawn towards a ball by Ledoit and Wolf's rule.
        """
        if len(embeddings) < FEWEST_UNITS:
            return None
        from sklearn.covariance import LedoitWolf

        known = LedoitWolf().fit(embeddings.detach().cpu().double().numpy())
        variances, directions = torch.linalg.eigh(torch.from_numpy(known.covariance_))
        axes = directions.mT * variances.clamp_min(SMALLEST_SD**2).sqrt()[:, None]
        return cls(torch.from_numpy(known.location_).to(embeddings), axes.to(embeddings))


class AdamInPrior(torch.optim.Adam):
    """Adam over a table of embeddings, whose coordinates are standard deviations of a prior and decay towards its mean.

    Row 0, which stands for no unit, stays as it is.
    """

    def __init__(self, table: torch.nn.Parameter, prior: UnitPrior, **options: Any) -> None:
        super().__init__([table], weight_decay=PENALTY, **options)
        self.table = table
        self.mean, self.axes = prior.mean.to(table.device), prior.axes.to(table.device)
        self.to_coordinates = torch.linalg.inv(self.axes)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; the table and its gradient are turned into coordinates for it, and the move back."""
        assert self.table.grad is not None
        before = self.table.clone()
        coordinates = (before - self.mean) @ self.to_coordinates
        self.table.copy_(coordinates)
        self.table.grad = self.table.grad @ self.axes.mT
        super().step()
        moved = (self.table - coordinates) @ self.axes
        moved[0] = 0
        self.table.copy_(before + moved)
