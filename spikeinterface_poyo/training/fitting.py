"""From samples to a trained network: what `POYODecoder.fit` does from scratch, and what every kind of fit shares."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from ..fitted.learned import Learned, Origin, keep
from ..fitted.record import TrainingRecord
from ..fitted.vocabulary import Vocabulary
from ..network.initialisation import attend_to_near_times, say_nothing
from ..network.poyo import POYO, NetworkConfig
from ..parameters import Parameters
from ..readouts.behaviors import make_readouts
from ..warning import warn
from .callbacks import FitWatch, StageWatch
from .data import TrainingData, hold_out
from .defaults import STEPS_AN_ITERATION, choose_network, choose_training, holds_out
from .examples import Examples
from .identification import frozen_core, identification
from .job import Job, training_job
from .loop import train
from .optimization import set_weights
from .state import TrainingSettings, TrainingState
from .unit_noise import UNIT_NOISE

LEADING_STEPS = 300  # gradient steps of one session alone, where there are several


def fit_from_scratch(
    decoder: Parameters, examples: Examples, watch: FitWatch | None = None
) -> tuple[Learned, TrainingRecord]:
    """Train a new network."""
    readouts = make_readouts(examples.X, examples.weighty, examples.weight, {}, decoder.class_weight)
    vocabulary = examples.vocabulary(readouts)
    config = choose_network(decoder, examples.X, vocabulary.n_columns)
    examples.check_scales(vocabulary)
    data = examples.data(vocabulary)
    with training_job(decoder, examples, "from scratch", watch=watch) as job:
        network = POYO.fresh(config, vocabulary.n_unit_rows, vocabulary.n_session_rows, job.seed)
        attend_to_near_times(network)
        say_nothing(network, data.constant_columns)
        network.to(job.device)
        settings = choose_training(decoder, examples.X, data, config, job.device)
        record = TrainingRecord()
        training, held_out = divided(decoder, data, config)  # before any stage learns from what others are judged by
        if len(vocabulary.sessions) > 1:
            record = start_with_one(network, training, settings, job)
            settings = replace(settings, unit_noise=UNIT_NOISE)
        if not record.interrupted:
            record = record.followed_by(train_stage(network, training, settings, job, held_out))
    return Learned(network, vocabulary), record


def start_with_one(network: POYO, data: TrainingData, settings: TrainingSettings, job: Job) -> TrainingRecord:
    """Train a fresh network on one of several sessions, then identify the units of all with what it has learned.

    A network learns nothing until its core and the embeddings of a session fit together, and every further session in
    a batch leaves fewer windows to find that out from: on ten populations drawn from one recording the loss had not
    moved after 2,000 steps. A core that reads one session soon finds the embeddings of the others.
    """
    n_iterations = -(-LEADING_STEPS // STEPS_AN_ITERATION)
    leading = replace(settings, n_iterations=n_iterations, steps_per_iteration=STEPS_AN_ITERATION, stage="one session")
    first = data.leading_session()
    record = train_stage(network, first, leading, job)
    if record.interrupted:
        (name,) = (name for name, known in data.vocabulary.sessions.items()
                   if known.session_row == first.blocks[0].session_row)  # fmt: skip
        warn(f"only session {name!r} was learned from: what the others decode to means nothing yet")
    else:
        with frozen_core(network, 0):
            identified = train_stage(network, data, identification(settings), job)
        record = record.followed_by(identified)
    return record


def run(decoder: Parameters, network: POYO, data: TrainingData, settings: TrainingSettings, job: Job) -> TrainingRecord:
    """Train a network in place on ``data``, some of it held out where the decoder stops early."""
    training, held_out = divided(decoder, data, network.config)
    return train_stage(network, training, settings, job, held_out)


def divided(decoder: Parameters, data: TrainingData, config: NetworkConfig) -> tuple[TrainingData, TrainingData | None]:
    """What to train on, and what is held out where the decoder stops early."""
    if not holds_out(decoder, data):
        return data, None
    return hold_out(data, decoder.validation_fraction, config.window_length)


def train_stage(
    network: POYO, data: TrainingData, settings: TrainingSettings, job: Job, held_out: TrainingData | None = None
) -> TrainingRecord:
    """Train a network in place on ``data``, validated on what is held out."""
    scored = None if held_out is None else held_out.as_predicted(network.config)
    validate = None if scored is None else lambda: scored.score(network, job.team)
    source = data.source(network.config, job.device)
    watched: AbstractContextManager[StageWatch | None] = nullcontext()
    if job.watch is not None and job.team.size == 1:  # a process cannot end a stage for all
        watched = job.watch.stage(
            settings.stage, settings.n_iterations, partial(as_if_ended, data.vocabulary, job.origins)
        )
    with watched as watch:
        record = train(network, source, settings, job.rng, validate, job.checkpoint, job.team, watch)
    job.interrupted = record.interrupted
    return record


def as_if_ended(vocabulary: Vocabulary, origins: tuple[Origin, ...], state: TrainingState) -> dict[str, Any]:
    """Fitted attributes of a decoder whose training would end now."""
    network = copy.deepcopy(state.network)
    set_weights(network, state.best_weights())
    attributes = SimpleNamespace()
    keep(attributes, Learned(network.eval(), vocabulary, origins), state.record)
    return vars(attributes)
