"""What a decoder answers at samples, segment by segment: of the network, and put together with what is around."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..fitted.learned import Learned
from ..network.batch import WindowBatch
from ..network.merging import as_read
from ..network.poyo import POYO
from ..network.prediction import WINDOWS_A_SAMPLE, Read, predict_block
from ..readouts.behaviors import readout_columns
from ..readouts.readout import Readout
from ..sessions.samples import SpikeSamples
from ..sessions.session import Session, within
from .smoothing import Nodes

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
        name = names[position]
        yield name, order, answers_at(learned, name, X.sessions[position], segment, X.times[order], reader)


def answers_at(
    learned: Learned,
    name: str,
    session: Session,
    segment: int,
    times: np.ndarray,
    reader: Callable[[Sequence[Readout]], Read],
) -> np.ndarray:
    """Answers of `predict_block` at ascending times of one segment of the session that is known by this name."""
    block = as_read(learned.vocabulary.block(session, segment, name), learned.network.config, times)
    read = reader(learned.vocabulary.readouts_of(name))
    return predict_block(learned.network, block, times, session.isolated_rows, read)


def smoothed_answers(
    learned: Learned, X: SpikeSamples, names: Mapping[int, str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (session id, sample indices, answers, how far windows disagree) for each segment that has samples.

    Answers of behaviours whose pace is known are put together with those around them, see `smoothing`. The other array
    is the standard deviation over windows, 0 where one window answers by itself: for a causal decoder, and for rows of
    counts.
    """
    config = learned.network.config
    for position, segment, order in X.blocks():
        session, name, times = X.sessions[position], names[position], X.times[order]
        paces = {} if config.causal or session.isolated_rows else learned.vocabulary.sessions[name].paces
        nodes = Nodes.around(times if paces else times[:0], config.window_length / WINDOWS_A_SAMPLE)
        every = np.concatenate([times, nodes.times])
        ascending = every.argsort(kind="stable")
        columns = answers_at(learned, name, session, segment, every[ascending], means_and_squares)
        mean, square = np.split(columns[ascending.argsort()], 2, axis=1)
        variance = square - mean**2
        variance = np.where(variance > ROUNDING * square, variance, 0)
        answer = mean[: len(times)].copy()
        recorded = within(nodes.times, session.segments[segment].periods, slack=nodes.step)
        for readout, _, place in readout_columns(learned.vocabulary.readouts_of(name)):
            if readout.name in paces:
                asked, spread = mean[len(times) :, place], variance[len(times) :, place].mean(axis=1)
                answer[:, place] += nodes.corrections(times, asked, spread, recorded, paces[readout.name])
        yield name, order, answer, np.sqrt(variance[: len(times)])
