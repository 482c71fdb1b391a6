"""Clocks of SpikeInterface's sortings: which of its wrappers hand on the times of what they were made from."""

from __future__ import annotations

from typing import Any

from .recognition import is_a


def forgets_clock(sorting: Any) -> bool:
    """Whether a sorting was made from one with a clock that its own times leave out."""
    if has_clock(sorting):
        return False
    parents = parents_of(sorting)
    if is_a(sorting, "spikeinterface", "FrameSliceSorting"):  # goes by its parent's clock
        return any(forgets_clock(parent) for parent in parents)
    return any(has_clock(parent) or has_start(parent) or forgets_clock(parent) for parent in parents)


def has_clock(sorting: Any) -> bool:
    """Whether a sorting has a recording, seconds of its own or a start, other than that of a slice."""
    if sorting.has_recording() or any(hasattr(s, "get_unit_spike_train_in_seconds") for s in sorting.segments):
        return True
    return has_start(sorting) and not is_a(sorting, "spikeinterface", "FrameSliceSorting")


def has_start(sorting: Any) -> bool:
    """Whether a segment starts at another time than 0."""
    return any(segment._t_start for segment in sorting.segments)


def parents_of(sorting: Any) -> list[Any]:
    """Sortings that a sorting was made from."""
    given = [value if isinstance(value, list) else [value] for value in sorting._kwargs.values()]
    return [value for values in given for value in values if is_a(value, "spikeinterface", "BaseSorting")]
