"""Shape of a network: from torch_brain's weights and hyper-parameters, and back to the arguments of its ``POYO``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..network.poyo import NetworkConfig
from ..network.rotary import rotary_frequencies
from ..warning import warn

OMEGA = "rotary_emb.omega"  # (dim_head / 2,), of which the second half is 0: not rotated
SAME_NAME = ("num_latents_per_step", "dim", "depth", "dim_head", "cross_heads", "self_heads", "ffn_dropout",
             "lin_dropout", "t_min", "t_max")  # fmt: skip
ASSUMED = {"sequence_length": NetworkConfig.window_length, "latent_step": NetworkConfig.latent_step}


def infer_config(weights: Mapping[str, Tensor], model: Mapping[str, Any]) -> NetworkConfig:
    """Shape of the network, from its weights and what the hyper-parameters say of time."""
    q, qkv = "enc_atn.to_q.weight", "proc_layers.0.0.to_qkv.weight"
    rank = {OMEGA: 1, q: 2, qkv: 2, "latent_emb.weight": 2, "unit_emb.weight": 2, "readout.weight": 2}
    lacking = [name for name, ndim in rank.items() if name not in weights or weights[name].ndim != ndim]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}, or they have other numbers of dimensions than POYO's")
    t_min, t_max = rotary_periods(weights[OMEGA])
    dim_head = 2 * len(weights[OMEGA])
    inferred: dict[str, Any] = {
        "num_latents_per_step": len(weights["latent_emb.weight"]),
        "dim": weights["unit_emb.weight"].shape[1],
        "depth": len({name.split(".")[1] for name in weights if name.startswith("proc_layers.")}),
        "dim_head": dim_head,
        "cross_heads": len(weights[q]) // dim_head,
        "self_heads": len(weights[qkv]) // (3 * dim_head),
    }
    for name, value in inferred.items():
        stated = model.get(name, value)
        if value < 1 or type(stated) is not int or stated != value:
            raise ValueError(f"its weights are those of {name}={value}, its hyper-parameters say {stated!r}")
    config = NetworkConfig(
        n_outputs=len(weights["readout.weight"]),
        window_length=duration(model, "sequence_length"),
        latent_step=duration(model, "latent_step"),
        ffn_dropout=probability(model, "ffn_dropout", NetworkConfig.ffn_dropout),
        lin_dropout=probability(model, "lin_dropout", NetworkConfig.lin_dropout),
        t_min=t_min,
        t_max=t_max,
        **inferred,
    )
    n_steps = torch_brain_steps(config.window_length, config.latent_step)
    if n_steps != config.n_steps:
        raise ValueError(f"a window of {config.window_length} s in latent steps of {config.latent_step} s has "
                         f"{n_steps} steps in torch_brain and {config.n_steps} here. Expected a multiple")  # fmt: skip
    return config


def rotary_periods(omega: Tensor) -> tuple[float, float]:
    """Shortest and longest period (s) of stored frequencies; what torch_brain calls them changed between versions."""
    n_pairs = len(omega) // 2
    turning = omega[:n_pairs]
    if n_pairs < 2 or len(omega) % 2 or (turning <= 0).any() or omega[n_pairs:].any():
        raise ValueError(f"expected {OMEGA} to be positive in its first half and 0 in its second, found {omega}")
    t_min, t_max = (float(f"{2 * math.pi / float(value):.6g}") for value in turning[[0, -1]])
    if t_min >= t_max or not torch.allclose(turning, rotary_frequencies(n_pairs, t_min, t_max), rtol=1e-4, atol=0):
        raise ValueError(f"expected the periods of {OMEGA} to rise evenly in log, found {2 * math.pi / turning} s")
    return t_min, t_max


def duration(model: Mapping[str, Any], name: str) -> float:
    """Seconds that the hyper-parameters state, else those of the published models."""
    value = model.get(name, ASSUMED[name])
    if not isinstance(value, (int, float)) or not 1e-6 < value < 1e6:
        raise ValueError(f"expected {name} to be a number of seconds, found {value!r}")
    if name not in model:
        warn(f"the checkpoint does not say its {name}; assuming {value} s, as in the published models. If it was "
             f"another, save the checkpoint with hyper_parameters: {{'model': {{{name!r}: ...}}}}")  # fmt: skip
    return float(value)


def probability(model: Mapping[str, Any], name: str, default: float) -> float:
    """A dropout that the hyper-parameters state, else the default."""
    value = model.get(name, default)
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"expected {name} to be a probability below 1, found {value!r}")
    return float(value)


def torch_brain_steps(window_length: float, latent_step: float) -> int:
    """Latent steps that torch_brain lays over a window: the length of ``numpy.arange(0, window_length, latent_step)``.

    Rounding may make it one more than the exact quotient.
    """
    return math.ceil(window_length / latent_step)


def torch_brain_arguments(config: NetworkConfig) -> dict[str, Any]:
    """Arguments of torch_brain's ``POYO``, but for ``dim_out``, which it takes from the readout.

    Raises
    ------
    ValueError
        Where it would lay another number of latent steps over the window.
    """
    length, step = float(config.window_length), float(config.latent_step)
    if math.isclose(length / step, config.n_steps, rel_tol=1e-9) and torch_brain_steps(length, step) > config.n_steps:
        # The quotient was rounded up: torch_brain would add a step behind the window's end.
        step = length / config.n_steps
        while torch_brain_steps(length, step) > config.n_steps:
            step = math.nextafter(step, math.inf)
    if torch_brain_steps(length, step) != config.n_steps:
        raise ValueError(f"a window of {length} s in latent steps of {step} s has {config.n_steps} steps here and "
                         f"{torch_brain_steps(length, step)} in torch_brain. Use a multiple")  # fmt: skip
    return {
        "_target_": "torch_brain.models.POYO",
        "sequence_length": length,
        "latent_step": step,
        **{name: getattr(config, name) for name in SAME_NAME},
        "atn_dropout": 0.0,
    }
