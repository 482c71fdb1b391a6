"""Units of a session: how often they fire, and the session with some of them only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .session import NO_UNIT, Segment, Session
from .stored_spikes import StoredUnits, unit_chunks


def firing_rates(session: Session) -> np.ndarray:
    """Spikes a second of each unit, shape (n_units,), over the extent of all segments."""
    count = np.zeros(len(session.unit_ids))
    for segment in session.segments:
        for units, weights in unit_chunks(segment):
            count += np.bincount(units, weights, minlength=len(count))
    return count / max(session.duration, np.finfo(float).tiny)


def units_that_fire(session: Session) -> np.ndarray:
    """Which units have a spike, shape (n_units,); spikes on disk are read until all were seen."""
    fires = np.zeros(len(session.unit_ids), dtype=bool)
    for segment in session.segments:
        for units, weights in unit_chunks(segment):
            fires |= np.bincount(units, weights, minlength=len(fires)) > 0
            if fires.all():
                return fires
    return fires


def keep_units(session: Session, keep: np.ndarray) -> Session:
    """The session with the units where ``keep`` is True."""
    return replace(
        session,
        unit_ids=session.unit_ids[keep],
        properties={name: values[keep] for name, values in session.properties.items()},
        segments=tuple(keep_in_segment(segment, keep) for segment in session.segments),
        units_by_place=False,  # which places these had is known
    )


def keep_in_segment(segment: Segment, keep: np.ndarray) -> Segment:
    """One segment's spikes of the kept units, renumbered; in memory."""
    kept, new_index = keep[segment.unit_index] & (segment.unit_index != NO_UNIT), np.cumsum(keep) - 1
    return replace(
        segment,
        spike_times=segment.spike_times[kept],
        unit_index=new_index[segment.unit_index[kept]].astype(np.int32),
        weights=None if segment.weights is None else segment.weights[kept],
    )


def without_units(segment: Segment, keep: np.ndarray) -> Segment:
    """One segment without the units where ``keep`` is False; spikes on disk stay there, those units' with `NO_UNIT`."""
    if isinstance(segment.unit_index, StoredUnits):
        return replace(segment, unit_index=segment.unit_index.renumbered(keep))
    return keep_in_segment(segment, keep)
