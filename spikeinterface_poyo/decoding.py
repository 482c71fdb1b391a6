"""From sortings to the samples to decode, and from samples to behaviour in its own units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .alignment import grid_samples
from .network import POYO
from .prediction import predict_block
from .samples import SpikeSamples
from .session import Session
from .vocabulary import Vocabulary


def samples_to_decode(vocabulary: Vocabulary, sessions: Sequence[Session], times: Any) -> SpikeSamples:
    """Samples at ``times``, or on a regular grid at the interval of each session's behaviour at fit.

    Raises
    ------
    ValueError
        Where there is no interval or no extent to lay a grid over.
    """
    return grid_samples(sessions, grid(vocabulary, sessions) if times is None else times)


def grid(vocabulary: Vocabulary, sessions: Sequence[Session]) -> list[np.ndarray]:
    """Seconds to decode at, one array a segment: from the recording's start to its end."""
    names = vocabulary.resolve(sessions, range(len(sessions)))
    grids = []
    for session, name in zip(sessions, names, strict=True):
        interval = vocabulary.sessions[name].sample_interval
        if interval is None:
            raise ValueError(f"the targets of session {name!r} were irregular at fit; give times= to predict at")
        for segment in session.segments:
            if segment.t_start > segment.t_stop:
                raise ValueError(f"a segment of {name!r} has neither spikes nor a recording; give times=")
            n_samples = int(np.floor((segment.t_stop - segment.t_start) / interval * (1 + 1e-12))) + 1
            grids.append(segment.t_start + interval * np.arange(n_samples))
    return grids


def predict_samples(network: POYO, vocabulary: Vocabulary, X: SpikeSamples, names: Sequence[str]) -> np.ndarray:
    """Decoded behaviour, (n_samples,) or (n_samples, most outputs), NaN where a behaviour has fewer outputs.

    ``names`` are the ids of the samples' sessions by position.

    Raises
    ------
    ValueError
        Where a session has units that were not there at fit.
    """
    readouts = [vocabulary.readout_of(names[position]) for position in check_sessions(vocabulary, X, names)]
    readouts = readouts or list(vocabulary.readouts.values())
    out = np.full((len(X), max(readout.n_outputs for readout in readouts)), np.nan)
    for name, order, columns in answers(network, vocabulary, X, names, embed=False):
        readout = vocabulary.readout_of(name)
        out[order, : readout.n_outputs] = readout.decode(columns)
    return out[:, 0] if all(readout.one_dimensional for readout in readouts) else out


def embed_samples(network: POYO, vocabulary: Vocabulary, X: SpikeSamples, names: Sequence[str]) -> np.ndarray:
    """What the readout reads of each sample, (n_samples, dim); ``names`` and errors as in `predict_samples`."""
    check_sessions(vocabulary, X, names)
    out = np.empty((len(X), network.config.dim))
    for _, order, vectors in answers(network, vocabulary, X, names, embed=True):
        out[order] = vectors
    return out


def check_sessions(vocabulary: Vocabulary, X: SpikeSamples, names: Sequence[str]) -> np.ndarray:
    """Positions of the sessions that samples use, after comparing them with what was seen at fit."""
    used = np.unique(X.session_index)
    for position in used:
        vocabulary.check(X.sessions[position], names[position])
    return used


def answers(
    network: POYO, vocabulary: Vocabulary, X: SpikeSamples, names: Sequence[str], embed: bool
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (session id, sample indices, answers of `predict_block`) for each segment that has samples."""
    for position, segment, order in X.blocks():
        session, name = X.sessions[position], names[position]
        block = vocabulary.block(session, segment, name, network.config)
        yield name, order, predict_block(network, block, X.times[order], session.isolated_rows, embed)
