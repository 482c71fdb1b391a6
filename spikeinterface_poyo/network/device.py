"""The device that a network runs on."""

from __future__ import annotations

import torch

from .poyo import POYO
from .rotary import phases, rotate


def find_device(device: str) -> torch.device:
    """Device of that name; "auto" is CUDA, else MPS where it has what the network needs, else the CPU.

    Raises
    ------
    ValueError
        Where torch does not know the device or this machine has none.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() and rotates(torch.device("mps")) else "cpu")
    try:
        found = torch.device(device)
        if found.type not in ("cpu", "cuda", "mps"):
            raise TypeError(f"{found.type!r} is not among those that decoders run on")
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError) as error:  # an AssertionError where torch was built without CUDA
        raise ValueError(
            f"device={device!r} cannot be used here: {error}. Expected 'auto', 'cpu', 'cuda' or 'mps'"
        ) from error
    return found


def put(network: POYO, device: str) -> POYO:
    """The network, moved to the device of that name; a network that is there costs no look at each of its weights."""
    found = torch.empty(0, device=find_device(device)).device  # with its number
    return network if network.omega.device == found else network.to(found)


def rotates(device: torch.device) -> bool:
    """Whether rotary time works there: not every version of torch has complex numbers on MPS."""
    try:
        x = torch.ones(1, 4, device=device, requires_grad=True)
        rotate(x, phases(torch.ones(1, device=device), torch.ones(1, device=device))).sum().backward()
    except (RuntimeError, TypeError):
        return False
    return True
