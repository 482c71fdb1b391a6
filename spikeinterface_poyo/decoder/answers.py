"""What a decoder's network answers at samples, segment by segment, and how far overlapping windows agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..fitted.learned import Learned
from ..network.batch import WindowBatch
from ..network.merging import as_read
from ..network.poyo import POYO
from ..network.prediction import Read, predict_block
from ..readouts.behaviors import readout_columns
from ..readouts.readout import Readout
from ..sessions.samples import SpikeSamples

SMALLEST = torch.finfo(torch.float32).tiny  # probability, so that it has a logarithm
ROUNDING = 1e-6  # of float32 squares: smaller differences are none


def to_average(readouts: Sequence[Readout]) -> Read:
    """What windows say of a session with these behaviours: numbers, and of labels their probabilities.

    A mean of probabilities is less sure of itself where windows disagree than the mean of logits would be.
    """
    labels = [columns for readout, _, columns in readout_columns(readouts) if readout.kind == "categorical"]

    def read(network: POYO, batch: WindowBatch) -> Tensor:
        answer = network(batch).float()
        for columns in labels:
            answer[..., columns] = answer[..., columns].softmax(dim=-1).clamp_min(SMALLEST)
        return answer

    return read


def means_and_squares(readouts: Sequence[Readout]) -> Read:
    """What `to_average` reads, then its squares: averaged over windows, they tell how far windows agree."""
    once = to_average(readouts)

    def read(network: POYO, batch: WindowBatch) -> Tensor:
        answer = once(network, batch)
        return torch.cat([answer, answer.square()], dim=-1)

    return read


def answers(
    learned: Learned,
    X: SpikeSamples,
    names: Mapping[int, str],
    reader: Callable[[Sequence[Readout]], Read] = to_average,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (session id, sample indices, answers of `predict_block`) for each segment that has samples.

    ``reader`` makes what is asked of windows from the session's readouts.
    """
    for position, segment, order in X.blocks():
        session, name = X.sessions[position], names[position]
        block = as_read(learned.vocabulary.block(session, segment, name), learned.network.config, X.times[order])
        read = reader(learned.vocabulary.readouts_of(name))
        yield name, order, predict_block(learned.network, block, X.times[order], session.isolated_rows, read)


def answers_with_spread(
    learned: Learned, X: SpikeSamples, names: Mapping[int, str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (session id, sample indices, answers, their standard deviation over windows) for each segment.

    It is 0 where one window answers by itself: for a causal decoder, and for rows of counts.
    """
    for name, order, columns in answers(learned, X, names, means_and_squares):
        mean, square = np.split(columns, 2, axis=1)
        variance = square - mean**2
        yield name, order, mean, np.sqrt(np.where(variance > ROUNDING * square, variance, 0))
