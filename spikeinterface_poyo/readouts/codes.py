"""Labels as codes, which are positions among all labels that there are, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

LABELS = (str, bool, int, float, np.bool_, np.integer, np.floating)  # types, which files can hold


def known_labels(labels: np.ndarray) -> np.ndarray:
    """Which labels are known: not None, NaN or empty text."""
    if labels.dtype.kind == "f":
        return ~np.isnan(labels)
    if labels.dtype.kind in "UO":
        return np.array([label is not None and label == label and label != "" for label in labels], dtype=bool)
    return np.ones(len(labels), dtype=bool)


def encode(labels: np.ndarray, name: str, classes: tuple[Any, ...] | None = None) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Codes (n,) of labels, NaN where unknown, and all labels in ascending order: those there are, or ``classes``.

    Raises
    ------
    ValueError
        Where none is known, or some are dates or other objects, or not among ``classes``.
    """
    values = labels[known_labels(labels)].tolist()
    if not values:
        raise ValueError(f"{name} holds no known label")
    strange = {type(label).__name__ for label in values if not isinstance(label, LABELS)}
    if labels.dtype.kind in "mM" or strange:
        what = sorted(strange) if strange else labels.dtype
        raise ValueError(f"labels must be text, truth values or numbers; {name} holds {what}: give their str()")
    if classes is None:
        classes = in_order(values, name)
    elif not set(values) <= set(classes):
        raise ValueError(f"{name} has labels {list(in_order(set(values) - set(classes), name))} that are not among "
                         f"classes={list(classes)}")  # fmt: skip
    return codes_of(labels, classes), classes


def codes_of(labels: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Codes (n,) of labels, which are among ``classes``; NaN where unknown."""
    position = {label: i for i, label in enumerate(classes)}
    known, codes = known_labels(labels), np.full(len(labels), np.nan)
    codes[known] = [position[label] for label in labels[known].tolist()]
    return codes


def decode(codes: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Labels (n,) of codes, which are positions in ``classes``; None, in an array of objects, where they are NaN."""
    labels = as_label_array(classes)
    if not np.isnan(codes).any():
        return labels[codes.astype(int)]
    return np.array([None if np.isnan(code) else labels.item(int(code)) for code in codes], dtype=object)


def in_order(labels: Iterable[Any], name: str) -> tuple[Any, ...]:
    """Different labels, ascending."""
    different = set(labels)
    try:
        return tuple(sorted(different))
    except TypeError:
        types = sorted({type(label).__name__ for label in different})
        raise ValueError(f"the labels of {name} are of several types that have no order: {types}") from None


def as_label_array(labels: Any) -> np.ndarray:
    """Labels as an array of their own type: text, truth values, numbers; of objects where types are mixed."""
    array = np.asarray(labels)
    kinds = {type(label) for label in labels}
    if kinds == {int} and array.dtype.kind == "f":  # NumPy's for some below and some above the largest int64
        return np.array(labels, dtype=np.uint64 if min(labels) >= 0 else object)
    return array if len(kinds) <= 1 else np.array(labels, dtype=object)
