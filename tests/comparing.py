"""What several test modules compare: decoders by their weights, sessions by the spike trains of their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np

    from spikeinterface_poyo import POYODecoder
    from spikeinterface_poyo.sessions.session import Session


def assert_same_weights(one: POYODecoder, other: POYODecoder) -> None:
    mine, theirs = one.network_.state_dict(), other.network_.state_dict()
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


def trains_of(session: Session, segment: int = 0) -> dict[str, np.ndarray]:
    """Spike times of each unit of a segment, in seconds."""
    part = session.segments[segment]
    return {name: part.spike_times[part.unit_index == i] for i, name in enumerate(session.unit_names)}
