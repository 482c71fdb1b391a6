"""A decoder whose answers are those of its windows, for tests."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from spikeinterface_poyo import POYODecoder


def unsmoothed(decoder: POYODecoder) -> POYODecoder:
    """The same decoder, which does not know how quickly behaviour changes, and so puts no windows together."""
    known, other = decoder.sessions_, copy(decoder)
    other.sessions_ = replace(known, sessions={n: replace(s, paces={}) for n, s in known.sessions.items()})
    return other
