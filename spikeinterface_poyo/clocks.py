"""Clocks of SpikeInterface's sortings: which of its wrappers hand on the times of what they were made from."""

from __future__ import annotations

from typing import Any

from .recognition import is_a

SLICES = ("FrameSliceSorting", "SplitSegmentSorting")  # which start where their parents do, and what they leave out


def forgets_clock(sorting: Any) -> bool:
    """Whether a sorting was made from one with a clock that its own times leave out."""
    if has_clock(sorting):
        return False
    parents = parents_of(sorting)
    if is_a(sorting, "spikeinterface", *SLICES):
        return any(forgets_clock(parent) or has_time_vector(parent) for parent in parents)
    return any(has_clock(parent) or has_start(parent) or forgets_clock(parent) for parent in parents)


def has_clock(sorting: Any) -> bool:
    """Whether a sorting's times are other than sample indices over the rate, and not only as a slice."""
    if any(hasattr(segment, "get_unit_spike_train_in_seconds") for segment in sorting.segments):
        return True
    if sorting.has_recording() and (has_time_vector(sorting) or has_start(sorting._recording)):
        return True
    return has_start(sorting) and not is_a(sorting, "spikeinterface", *SLICES)


def has_time_vector(sorting: Any) -> bool:
    """Whether a sorting has a recording that tells the time of each of its samples."""
    recording = sorting._recording
    return recording is not None and any(map(recording.has_time_vector, range(recording.get_num_segments())))


def has_start(extractor: Any) -> bool:
    """Whether a segment of a sorting or recording starts at another time than 0."""
    names = ("_t_start", "t_start")  # of sortings, of recordings
    return any(getattr(segment, name, None) for segment in extractor.segments for name in names)


def parents_of(sorting: Any) -> list[Any]:
    """Sortings that a sorting was made from."""
    given = [value if isinstance(value, list) else [value] for value in sorting._kwargs.values()]
    return [value for values in given for value in values if is_a(value, "spikeinterface", "BaseSorting")]
