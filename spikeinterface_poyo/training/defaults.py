"""What the data choose: the network's window, and how it is trained: batches, learning rate, length, dropped units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..network.merging import merge_spikes
from ..network.poyo import NetworkConfig
from ..network.prediction import BATCH_TOKENS
from ..parameters import Parameters
from ..sessions.samples import SpikeSamples
from ..sessions.session import Segment
from .data import ROW_BIN, TrainingData
from .state import TrainingSettings

SPIKES_A_UNIT = 5.5  # a window is long enough for an average unit to fire about so often ...
SHORTEST_WINDOW, LONGEST_WINDOW = 2.0, 4.0  # ... within these bounds, in seconds
DENSE_RATE, DENSE_WINDOW = 1000.0, 3.0  # a population of more spikes a second gets at least so many seconds
FEW_STEPS, MOST_STEPS = 300, 1500  # gradient steps: STEPS * (spikes / STEPS_SPIKES) ** STEPS_POWER within these ...
STEPS, STEPS_SPIKES, STEPS_POWER = 400, 40_000, 0.3
FEW_SPIKES, FEW_SPIKES_POWER = 10_000, 0.8  # ... times (spikes / FEW_SPIKES) ** FEW_SPIKES_POWER of fewer ...
FEWEST_STEPS = 100  # ... but at least so many
MAX_TOKENS = 2000  # spikes' tokens a window, on average, above which spikes are merged ...
TOKEN_BINS = (0.01, 0.02, 0.05, 0.1)  # ... in the first of these bins, in seconds, that is coarse enough
SPIKES_TO_COUNT = 200_000  # of a segment's start, to estimate that by
SHARE_A_STEP = 1 / 6  # of the windows that the labels fill, read in a gradient step ...
FEW_WINDOWS, MOST_WINDOWS = 16, 32  # ... within these bounds ...
FEWEST_WINDOWS = 4  # ... and as long as they have BATCH_TOKENS tokens at most, or are so few
STEPS_AN_ITERATION = 50  # gradient steps, at least
SPARE_TIME = 900.0  # seconds of labels from which holding some out to stop by costs less than it gives
MAX_QUERIES = 32  # samples that a training window is asked for
RATE, RATE_OF_LABELS = 2e-3, 1e-3  # peak learning rates; where labels are all that is learned
UNIT_DROPOUT, UNIT_DROPOUT_OF_LABELS = 0.2, 0.4
SHORTEST_PERIOD = 0.01  # seconds: finer timing than behaviour follows is left out of the rotary frequencies


def choose_window_length(X: SpikeSamples) -> float:
    """Seconds of context for these sessions, by firing rates averaged over sessions.

    A population at 1.4 Hz a unit (place cells) gets 4 s, one above 3 Hz 2 s, and one of more than 1,000 spikes a second
    in all (motor cortex, 96 channels) 3 s.
    """
    sessions = X.used_sessions()
    population = float(np.mean([session.n_spikes / (session.duration + 1e-9) for session in sessions]))
    unit = population / float(np.mean([len(session.unit_ids) for session in sessions]))
    shortest = DENSE_WINDOW if population > DENSE_RATE else SHORTEST_WINDOW
    return float(np.clip(SPIKES_A_UNIT / max(unit, 1e-9), shortest, LONGEST_WINDOW))


def choose_n_steps(X: SpikeSamples, covered: float) -> int:
    """Gradient steps for samples that cover so many seconds: more where more spikes can be learned from.

    Small data overfit when trained for long: 2,500 spikes get 100 steps, 10,000 get 300, 40,000 get 400, and a hundred
    times as many 1,500.
    """
    sessions = X.used_sessions()
    rate = sum(session.n_spikes for session in sessions) / max(sum(session.duration for session in sessions), 1e-9)
    spikes = rate * covered
    n_steps = np.clip(STEPS * (spikes / STEPS_SPIKES) ** STEPS_POWER, FEW_STEPS, MOST_STEPS)
    return max(FEWEST_STEPS, int(n_steps * min(1, spikes / FEW_SPIKES) ** FEW_SPIKES_POWER))


def choose_token_bin(X: SpikeSamples, window_length: float) -> float:
    """Seconds within which spikes of a unit are merged: none, or the finest that keeps a window's tokens affordable.

    Attention costs grow with the tokens of a window. A population of 3,900 spikes a second gets 0.1 s, which halves its
    tokens; below `MAX_TOKENS` a window every spike is a token of its own.
    """
    fine_enough = (b for b in (0.0, *TOKEN_BINS) if tokens_a_window(X, window_length, b) <= MAX_TOKENS)
    return next(fine_enough, TOKEN_BINS[-1])


def tokens_a_window(X: SpikeSamples, window_length: float, token_bin: float) -> float:
    """Average number of spikes' tokens in a window of the densest segment."""
    counts = []
    for session in X.used_sessions():
        for segment in session.segments:
            part = first_spikes(segment)
            merged = merge_spikes(part, token_bin) if token_bin else part
            recorded = np.diff(np.clip(part.periods, part.t_start, part.t_stop)).sum()
            counts.append(len(merged.spike_times) / max(recorded, window_length) * window_length)
    return max(counts)


def choose_batch_size(X: SpikeSamples, config: NetworkConfig, n_windows: float) -> int:
    """Windows a gradient step, for labels that fill ``n_windows``.

    Fewer for few labels, which larger batches overfit sooner, and for large populations, whose windows have more tokens
    to pay for.
    """
    markers = 2 * max(len(session.unit_ids) for session in X.used_sessions())
    tokens = tokens_a_window(X, config.window_length, config.token_bin) + markers
    wanted = np.clip(SHARE_A_STEP * n_windows, FEW_WINDOWS, MOST_WINDOWS)
    return max(FEWEST_WINDOWS, int(min(wanted, BATCH_TOKENS // tokens)))


def first_spikes(segment: Segment) -> Segment:
    """The beginning of a segment, long enough to count tokens by."""
    if len(segment.spike_times) <= SPIKES_TO_COUNT:
        return segment
    times, units, weights = segment.take(slice(SPIKES_TO_COUNT))
    return replace(segment, spike_times=times, unit_index=units, weights=weights, t_start=times[0], t_stop=times[-1])


def choose_network(decoder: Parameters, X: SpikeSamples, n_columns: int) -> NetworkConfig:
    """Shape of the network for these samples, with ``n_columns`` in the readout.

    Raises
    ------
    ValueError
        Where the given window is longer than every recording, or recordings last no time at all.
    """
    sessions = X.used_sessions()
    rows = any(session.isolated_rows for session in sessions)
    longest = max(segment.t_stop - segment.t_start for session in sessions for segment in session.segments)
    if not longest > 0:
        raise ValueError("the spikes of every recording lie at one moment; give spike times that span some seconds")
    if rows:
        length = ROW_BIN
    elif decoder.window_length == "auto":
        length = min(choose_window_length(X), longest)
    elif decoder.window_length > longest:
        raise ValueError(
            f"window_length={decoder.window_length} s is longer than the longest recording, {longest:.3f} s"
        )
    else:
        length = float(decoder.window_length)
    return NetworkConfig(
        n_outputs=n_columns,
        window_length=length,
        latent_step=length if rows else length / decoder.n_latent_steps,
        num_latents_per_step=decoder.num_latents_per_step,
        dim=decoder.dim,
        depth=decoder.depth,
        dim_head=decoder.dim_head,
        cross_heads=decoder.cross_heads,
        self_heads=decoder.self_heads,
        ffn_dropout=0.0,
        lin_dropout=decoder.dropout,
        t_min=min(SHORTEST_PERIOD, length),
        t_max=2 * length,
        causal=decoder.causal and not rows,
        token_bin=0.0 if rows else choose_token_bin(X, length),
    )


def holds_out(decoder: Parameters, data: TrainingData) -> bool:
    """Whether some samples are held out to stop early by."""
    if decoder.early_stopping != "auto":
        return bool(decoder.early_stopping)
    return data.seconds >= SPARE_TIME


def labels_alone(data: TrainingData) -> bool:
    """Whether labels are all that is learned, which a network soon knows by heart."""
    return {behavior.kind for block in data.blocks for behavior in block.behaviors} == {"categorical"}


def choose_training(
    decoder: Parameters, X: SpikeSamples, data: TrainingData, config: NetworkConfig, device: torch.device
) -> TrainingSettings:
    """Numbers of the recipe for ``data``, which were made of ``X``."""
    n_samples = sum(map(len, data.times))
    if data.centred:
        n_windows, n_queries = float(n_samples), 1
    else:
        n_windows = data.seconds / config.window_length
        n_queries = int(np.clip(n_samples / max(n_windows, 1), 1, MAX_QUERIES))
    batch_size = choose_batch_size(X, config, n_windows) if decoder.batch_size == "auto" else decoder.batch_size
    n_iterations = decoder.max_iter
    if n_iterations == "auto":
        n_steps = FEW_STEPS if data.centred else choose_n_steps(X, data.seconds)
        n_iterations = -(-n_steps // STEPS_AN_ITERATION)
    rate, unit_dropout = decoder.learning_rate_init, decoder.unit_dropout
    if rate == "auto":
        rate = RATE_OF_LABELS if labels_alone(data) else RATE
    if unit_dropout == "auto":
        unit_dropout = UNIT_DROPOUT_OF_LABELS if labels_alone(data) else UNIT_DROPOUT
    return TrainingSettings(
        n_iterations=n_iterations,
        steps_per_iteration=max(STEPS_AN_ITERATION, int(np.ceil(n_windows / batch_size))),
        batch_size=batch_size,
        n_queries=n_queries,
        learning_rate=rate,
        weight_decay=decoder.alpha,
        unit_dropout=unit_dropout,
        patience=decoder.n_iter_no_change,
        autocast=device.type == "cuda",
        verbose=decoder.verbose,
    )
