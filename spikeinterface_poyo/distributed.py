"""Several processes that train one network: every batch of windows is shared out, gradients are added up.

Each process draws the plan of the whole batch from the same random numbers, reads and computes its share of the
windows, and takes the same step. So the result depends on their number only by the rounding of sums, and on a CPU not
at all where each has whole groups of windows (`parts.GROUP`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256

import torch
import torch.distributed as dist
from torch import Tensor


class Team:
    """The processes that train together; by itself a process alone.

    Parameters
    ----------
    rank, size : int
        Number of this process, from 0, and of all.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and talks."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """Which of ``n`` windows are this process's.

        Raises
        ------
        ValueError
            Where there are fewer windows than processes.
        """
        if n < self.size:
            raise ValueError(f"a batch of {n} windows cannot be shared by {self.size} processes; give batch_size= of "
                             f"{self.size} or more")  # fmt: skip
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def total(self, value: Tensor) -> Tensor:
        """Sum over processes, without gradient."""
        total = value.detach().clone()
        self.add_up([total])
        return total

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, which are of one type, by their sums over processes, the same in each."""
        if self.size == 1:
            return
        joined = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(joined)
        for tensor, part in zip(tensors, joined.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def differences(self, facts: Mapping[str, str]) -> list[str]:
        """Wait for all processes, and name the facts in which they differ; all have facts of the same names."""
        numbers = torch.tensor([int(sha256(fact.encode()).hexdigest()[:15], 16) for fact in facts.values()])
        largest = torch.stack([numbers, -numbers])
        if self.size > 1:
            dist.all_reduce(largest, dist.ReduceOp.MAX)
        same = (largest[0] == -largest[1]).tolist()
        return [name for name, agreed in zip(facts, same, strict=True) if not agreed]


ALONE = Team()
_present = ALONE


def present_team() -> Team:
    """The team of this process: those of the `team` around, else itself."""
    return _present


@contextmanager
def team() -> Iterator[Team]:
    """Context in which fits are shared by the processes that torchrun started; without torchrun, by this one alone.

    Each process must make the same fits of the same data, with the same ``random_state``; others are refused. On CUDA
    each has the device of its ``LOCAL_RANK``.
    """
    global _present
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    _present = Team(dist.get_rank(), dist.get_world_size())
    try:
        yield _present
    finally:
        _present = ALONE
        dist.destroy_process_group()
