"""The parameters of a decoder: which there are, for what reads them, and what they may be."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from .paths import is_path
from .readouts.class_weights import check_class_weight

LEAST_WINDOW = 1e-3  # s; shorter ones are as many as a fit never ends with


class Parameters(Protocol):
    """An estimator with the parameters of `POYODecoder`, which says what they mean."""

    pretrained: Any
    window_length: float | Literal["auto"]
    causal: bool
    dim: int
    depth: int
    dim_head: int
    cross_heads: int
    self_heads: int
    num_latents_per_step: int
    n_latent_steps: int
    dropout: float
    unit_dropout: float | Literal["auto"]
    learning_rate_init: float | Literal["auto"]
    alpha: float
    class_weight: Any
    warm_start: bool
    batch_size: int | Literal["auto"]
    max_iter: int | Literal["auto"]
    early_stopping: bool | Literal["auto"]
    validation_fraction: float
    n_iter_no_change: int
    device: str
    random_state: Any
    checkpoint: Any
    verbose: bool

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All of them by name."""


def check_parameters(decoder: Parameters) -> None:
    """Refuse parameters out of range.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter, what was given and what was expected.
    """
    counts = ("dim", "depth", "dim_head", "cross_heads", "self_heads", "num_latents_per_step", "n_latent_steps",
              "n_iter_no_change")  # fmt: skip
    for name in ("dropout", "unit_dropout", "validation_fraction", "learning_rate_init", "alpha", "window_length"):
        if getattr(decoder, name) != getattr(decoder, name):  # NaN is within any bounds
            raise ValueError(f"{name} must be a number, got NaN")
    for name in counts:
        check_scalar(getattr(decoder, name), name, (int, np.integer), min_val=1)
    number = (int, float, np.integer, np.floating)
    share = {"min_val": 0, "max_val": 1, "include_boundaries": "left"}
    check_scalar(decoder.dropout, "dropout", number, **share)
    if decoder.unit_dropout != "auto":
        check_scalar(decoder.unit_dropout, "unit_dropout", number, **share)
    check_scalar(decoder.validation_fraction, "validation_fraction", number, min_val=0, max_val=1,
                 include_boundaries="neither")  # fmt: skip
    if decoder.learning_rate_init != "auto":
        check_scalar(decoder.learning_rate_init, "learning_rate_init", number, min_val=0, include_boundaries="neither")
    check_scalar(decoder.alpha, "alpha", number, min_val=0)
    check_class_weight(decoder.class_weight)
    try:
        check_random_state(decoder.random_state)
    except ValueError as error:
        raise ValueError(f"random_state: {error}") from error
    if decoder.checkpoint is not None and not (is_path(decoder.checkpoint) and str(decoder.checkpoint)):
        raise TypeError(f"checkpoint must be the path of a file, or None, got {decoder.checkpoint!r}")
    for name in ("batch_size", "max_iter"):
        if getattr(decoder, name) != "auto":
            check_scalar(getattr(decoder, name), name, (int, np.integer), min_val=1)
    for name in ("causal", "verbose", "warm_start"):
        if isinstance(value := getattr(decoder, name), str):
            raise ValueError(f"{name} must be True or False, got {value!r}")
    if decoder.early_stopping not in ("auto", True, False):
        raise ValueError(f"early_stopping must be 'auto', True or False, got {decoder.early_stopping!r}")
    if decoder.window_length != "auto":
        check_scalar(decoder.window_length, "window_length", number, min_val=LEAST_WINDOW)
    if decoder.dim_head % 4:
        raise ValueError(f"dim_head must be a multiple of 4, got {decoder.dim_head}")
    if decoder.causal and decoder.n_latent_steps < 2:
        raise ValueError(f"a causal decoder needs n_latent_steps >= 2, got {decoder.n_latent_steps}")
