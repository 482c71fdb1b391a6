"""Weights of the classes of labels."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np


def check_class_weight(class_weight: Any) -> None:
    """Refuse what weighs no classes; which there are is seen when labels are there."""
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight must be a dict of weights by label, 'balanced' or None, got {class_weight!r}")
    bad = {
        label: weight
        for label, weight in class_weight.items()
        if not (isinstance(weight, Real) and 0 <= float(weight) < np.inf)
    }
    if bad:
        raise ValueError(f"class_weight must hold finite weights of zero or more, got {bad}")


def weigh(
    classes: tuple[Any, ...], codes: np.ndarray, weight: np.ndarray, class_weight: Any
) -> tuple[tuple[float, ...], float]:
    """Weight of each class, and entropy of the weighted classes in nats, of samples with these codes and weights.

    Raises
    ------
    ValueError
        Where nothing is left to learn.
    """
    n_classes, known = len(classes), codes >= 0  # unknown ones are NaN, strange ones -1
    mass = np.bincount(codes[known].astype(int), weight[known], n_classes)
    if class_weight is None:
        factor = np.ones(n_classes)
    elif class_weight == "balanced":
        factor = np.where(mass > 0, mass.sum() / (n_classes * np.maximum(mass, 1e-300)), 1.0)
    else:
        factor = np.array([float(class_weight.get(label, 1.0)) for label in classes])
    if not (mass * factor).any():
        of = f"class_weight={class_weight!r}" if mass.any() else "sample_weight="
        raise ValueError(f"{of} gives all labels that there are, among {list(classes)}, the weight zero: there is "
                         "nothing to learn")  # fmt: skip
    share = mass * factor / (mass * factor).sum()
    entropy = -float((factor * mass / mass.sum() * np.log(np.maximum(share, 1e-12))).sum())
    return tuple(factor.tolist()), entropy
