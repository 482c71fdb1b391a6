"""Targets by name: several behaviours side by side in one structured array, each known where it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def is_by_name(y: Any) -> bool:
    """Whether targets come by name: a structured array, or a mapping of arrays."""
    return isinstance(y, Mapping) or getattr(getattr(y, "dtype", None), "names", None) is not None


def named_columns(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """A structured array of columns (n,) or (n, n_outputs), one field each: numbers as float64, labels as objects."""
    n = len(next(iter(columns.values())))
    fields = [(name, np.float64 if values.dtype.kind == "f" else object, values.shape[1:])
              for name, values in columns.items()]  # fmt: skip
    out = np.empty(n, dtype=fields)
    for name, values in columns.items():
        out[name] = values
    return out


def unknown(n: int, like: np.ndarray) -> np.ndarray:
    """As many targets that nobody knows: NaN for numbers, None for labels."""
    is_number = like.dtype.kind == "f"
    return np.full((n, *like.shape[1:]), np.nan if is_number else None, dtype=np.float64 if is_number else object)


def joint_samples(times: Sequence[np.ndarray], values: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Behaviours of one segment as columns of the same samples.

    Where all have the same times they share samples; else each has samples of its own, at which the others are
    unknown, and samples are in order of time.
    """
    if all(np.array_equal(times[0], other) for other in times[1:]):
        return times[0], list(values)
    joint = np.concatenate(times)
    order = np.argsort(joint, kind="stable")
    past = np.cumsum([len(part) for part in times])
    columns = []
    for part, stop in zip(values, past, strict=True):
        column = unknown(len(joint), part)
        column[stop - len(part) : stop] = part
        columns.append(column[order])
    return joint[order], columns


def of_one_kind(columns: Sequence[np.ndarray], mixed: str) -> list[np.ndarray]:
    """Columns that all are numbers, or all labels; those that are unknown everywhere can be either.

    Raises
    ------
    ValueError
        Where some are numbers and some are labels; ``mixed`` says so.
    """
    labels = [values for values in columns if values.dtype.kind != "f"]
    if not labels or len(labels) == len(columns):
        return list(columns)
    if not all(np.isnan(values).all() for values in columns if values.dtype.kind == "f"):
        raise ValueError(mixed)
    return [unknown(len(values), labels[0]) if values.dtype.kind == "f" else values for values in columns]


def stacked(parts: Sequence[Mapping[str, np.ndarray]], lengths: Sequence[int]) -> dict[str, np.ndarray]:
    """Columns of several segments, one after the other; unknown where a segment does not have them.

    One output is (n,) where it is so in all segments, and (n, 1) else.

    Raises
    ------
    ValueError
        Where a behaviour is numbers in one segment and labels in another.
    """
    stack = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        mixed = f"behaviour {name!r} is numbers in one segment and labels in another"
        where = [i for i, part in enumerate(parts) if name in part]
        given = dict(zip(where, of_one_kind([parts[i][name] for i in where], mixed), strict=True))
        like = max(given.values(), key=np.ndim)
        columns = [given[i] if i in given else unknown(n, like) for i, n in enumerate(lengths)]
        stack[name] = np.concatenate(of_one_type([values.reshape(len(values), *like.shape[1:]) for values in columns]))
    return stack


def of_one_type(columns: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """The columns as they are where they are of one kind, or as objects: truth values beside text are no text."""
    if len({column.dtype.kind for column in columns}) == 1:
        return columns
    return [column.astype(object) for column in columns]
