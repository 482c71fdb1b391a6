"""Adaptation of a trained network to sessions it has not seen.

Unit identification learns embeddings of the new units and sessions, and a readout where the behaviour is new, with all
else frozen; fine-tuning then trains everything. Source: Azabou et al., NeurIPS 2023 (arXiv 2310.16046), section 3.3.
The learning rates and numbers of steps are ours: see docs/defaults.md.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from ..fitted.learned import Learned
from ..fitted.record import TrainingRecord
from ..fitted.same_session import kind_of
from ..fitted.vocabulary import Vocabulary
from ..network.initialisation import say_nothing, silent, speak_again
from ..network.poyo import POYO, NetworkConfig
from ..parameters import Parameters
from ..readouts.behaviors import behaviors_of, make_readouts, n_columns, shared_readouts
from ..readouts.number_readouts import ContinuousReadout
from ..readouts.readout import Readout
from ..sessions.samples import SpikeSamples
from ..warning import warn
from .callbacks import FitWatch
from .data import TrainingData
from .defaults import choose_token_bin, choose_training
from .examples import Examples
from .fitting import fit_from_scratch, run, train_stage
from .identification import TABLES, frozen_core, identification
from .job import Job, training_job
from .state import TrainingSettings
from .unit_prior import UnitPrior

FINE_TUNING_RATE = 0.5  # share of learning_rate_init with which all weights go on from what is known
FINE_TUNING_SECONDS = 60.0  # of labels, with which weights are kept halfway from identified to fine-tuned ones


def learn(
    decoder: Parameters,
    base: Learned | None,
    examples: Examples,
    same: Collection[str] | None = None,
    watch: FitWatch | None = None,
) -> tuple[Learned, TrainingRecord]:
    """What `POYODecoder.fit` does: train from scratch, or adapt a base, to which sessions are the ``same``."""
    if base is None:
        return fit_from_scratch(decoder, examples, watch)
    return adapt(decoder, base, examples, named_sessions(examples) if same is None else same, watch)


def named_sessions(examples: Examples) -> set[str]:
    """Sessions that a base may know under their ids: those that the user named, and rows of counts, which need no name.

    The first unnamed session of one decoder has nothing to do with the first unnamed one of another.
    """
    sessions = {name: examples.X.sessions[position] for position, name in examples.names.items()}
    return {name for name, session in sessions.items() if session.session_id is not None or session.isolated_rows}


def adapt(
    decoder: Parameters, base: Learned, examples: Examples, same: Collection[str], watch: FitWatch | None
) -> tuple[Learned, TrainingRecord]:
    """Unit identification, then fine-tuning, of a network that knows the sessions of ``examples`` only."""
    token_bin = max(base.network.config.token_bin, choose_token_bin(examples.X, base.network.config.window_length))
    known = sorted({*same}.intersection(base.vocabulary.sessions, examples.names.values()))
    how = f"adapt, with {known} as they are known" if known else "adapt"
    with training_job(decoder, examples, how, base, watch) as job:
        new = identify_units(decoder, base, examples, token_bin, job, same, by_itself=True)
        record = new.record
        if not record.interrupted:
            settings = fine_tuning(new.settings, new.data)
            record = record.followed_by(run(decoder, new.learned.network, new.data, settings, job))
    return new.learned, record


def add_sessions(
    decoder: Parameters, known: Learned, examples: Examples, how: Literal["units", "all"]
) -> tuple[Learned, TrainingRecord]:
    """A network that knows the sessions of ``examples`` too.

    With "units" what was known stays as it was, bit for bit; with "all" fine-tuning on the new sessions follows, which
    changes the core and with it what older sessions decode to.

    Raises
    ------
    ValueError
        Where a behaviour is not what it was under its name.
    """
    readouts = known.vocabulary.readouts
    for name, (info, values) in behaviors_of(examples.X, examples.y, readouts).items():
        why = readouts[name].conflict(info, values.shape[1]) if name in readouts else None
        if why is not None:
            raise ValueError(f"behaviour {name!r} does not fit what the decoder knows by that name: {why}. Another "
                             "behaviour needs another behavior_name=")  # fmt: skip
    with training_job(decoder, examples, how, known) as job:
        # Known sessions are to be read as before, so tokens stay as fine as they were.
        new = identify_units(decoder, known, examples, known.network.config.token_bin, job)
        both, record = join(known, new), new.record
        both.network.to(job.device)
        if how == "units":
            warn_of_silent(new)
        elif not record.interrupted:
            vocabulary, data = wake(both.network, both.vocabulary, examples, job.seed)
            both = replace(both, vocabulary=vocabulary)
            record = record.followed_by(run(decoder, both.network, data, fine_tuning(new.settings, data), job))
    return both, record


@dataclass(frozen=True, eq=False)
class Identified:
    """Result of unit identification: a network of the new sessions alone, what it was trained on, and how."""

    learned: Learned
    n_shared: int  # columns of the readout that were known before; they come first
    data: TrainingData
    settings: TrainingSettings
    record: TrainingRecord


def wake(network: POYO, vocabulary: Vocabulary, examples: Examples, seed: int) -> tuple[Vocabulary, TrainingData]:
    """Let outputs be learned that were constant in all that the network knows, and are not what they were.

    The vocabulary that knows their mean and scale, which a constant has not, and the examples as it standardises them.
    """
    readouts = dict(vocabulary.readouts)
    for name, readout in vocabulary.readouts.items():
        constant = np.isin(readout.columns, silent(network, readout.columns))
        if isinstance(readout, ContinuousReadout) and constant.any():
            numbers = examples.numbers(vocabulary, readout)
            told = np.flatnonzero(constant & ~np.isnan(numbers).all(axis=0))
            readouts[name] = readout.standardising(told, numbers, examples.weight)
    vocabulary = replace(vocabulary, readouts=readouts)
    data = examples.data(vocabulary)
    speak_again(network, silent(network, data.off_columns), seed)  # the others are constant again
    return vocabulary, data


def warn_of_silent(new: Identified) -> None:
    """Tell of outputs that were constant where they were learned, and are not that in what is read like it now."""
    learned, columns = new.learned, silent(new.learned.network, new.data.off_columns)
    for name, readout in learned.vocabulary.readouts.items():
        outputs = np.flatnonzero(np.isin(readout.columns, columns)).tolist()
        if outputs:
            warn(f"output(s) {outputs} of behaviour {name!r} were constant in all sessions known before, and are "
                 "decoded as that in the new ones too; adapt='all' learns them")  # fmt: skip


def identify_units(
    decoder: Parameters,
    base: Learned,
    examples: Examples,
    token_bin: float,
    job: Job,
    same: Collection[str] = (),
    by_itself: bool = False,
) -> Identified:
    """Learn embeddings for the sessions of ``examples``, and readouts of new behaviours, with the base frozen.

    Sessions that are the ``same`` as the base's of that id begin with what it learned. Where no other sessions will be
    read with what comes of it (``by_itself``), outputs that were constant may be learned.
    """
    shared = shared_readouts(examples.X, examples.y, base.vocabulary.readouts)
    readouts = make_readouts(examples.X, examples.weighty, examples.weight, shared, decoder.class_weight)
    vocabulary = examples.vocabulary(readouts)
    check_fits(decoder, base.network.config, base.vocabulary.reads_rows, examples.X)
    config = replace(base.network.config, n_outputs=vocabulary.n_columns, lin_dropout=decoder.dropout,
                     token_bin=token_bin)  # fmt: skip
    prior = UnitPrior.of(base.network.unit_emb.weight[1:])
    network, n_shared = graft(base, vocabulary, shared, config, prior, job.seed, same), n_columns(shared.values())
    if by_itself:
        vocabulary, data = wake(network, vocabulary, examples, job.seed)
    else:
        data = examples.data(vocabulary)
    examples.check_scales(vocabulary, silent(network, np.arange(n_shared)))
    constant = data.constant_columns
    say_nothing(network, constant[constant >= n_shared])
    network.to(job.device)
    settings = choose_training(decoder, examples.X, data, config, job.device)
    with frozen_core(network, n_shared):
        record = run(decoder, network, data, identification(settings, prior), job)
    return Identified(Learned(network, vocabulary, base.origins), n_shared, data, settings, record)


def go_on(decoder: Parameters, known: Learned, examples: Examples) -> tuple[Learned, TrainingRecord]:
    """One more iteration over known sessions, over all weights and all samples: there is nothing to stop early."""
    config = known.network.config
    known.vocabulary.check_sessions(examples.X, examples.names)
    check_fits(decoder, config, known.vocabulary.reads_rows, examples.X)
    with training_job(decoder, examples, "go on", known) as job:
        # Each call has random numbers of its own, or a fixed random_state would show it the same windows again.
        job.rng = np.random.default_rng([*job.rng.integers(2**32, size=4), getattr(decoder, "n_iter_", 0)])
        network = copy.deepcopy(known.network).to(job.device)
        vocabulary, data = wake(network, known.vocabulary, examples, job.seed)
        examples.check_scales(vocabulary)
        settings = replace(choose_training(decoder, examples.X, data, config, job.device), n_iterations=1)
        record = train_stage(network, data, going_on(settings), job)
    return replace(known, network=network, vocabulary=vocabulary.with_more_labels(examples.names.values())), record


def check_fits(decoder: Parameters, base: NetworkConfig, base_rows: bool, X: SpikeSamples) -> None:
    """Whether weights of that shape can learn these samples; ``base_rows`` tells that they learned rows of counts.

    Raises
    ------
    ValueError
        Where the decoder's parameters, or rows of counts, ask for something else than the weights can do.
    """
    rows = any(session.isolated_rows for session in X.used_sessions())
    if rows != base_rows:
        raise ValueError(f"the weights were trained on {kind_of(base_rows)}; they cannot learn from {kind_of(rows)}")
    if decoder.window_length not in ("auto", base.window_length) and not rows:
        raise ValueError(f"window_length={decoder.window_length} s, but the weights were trained with "
                         f"{base.window_length} s; leave it at 'auto'")  # fmt: skip
    if decoder.causal and not base.causal and not rows:
        raise ValueError("causal=True, but the weights were trained with causal=False: they read later spikes")


def going_on(settings: TrainingSettings) -> TrainingSettings:
    """Settings when all weights go on from what they learned before."""
    return replace(settings, learning_rate=FINE_TUNING_RATE * settings.learning_rate, stage="fine-tuning")


def fine_tuning(settings: TrainingSettings, data: TrainingData) -> TrainingSettings:
    """The same after unit identification, whose weights count for the more the fewer labels there are.

    Means of weights before and after fine-tuning are better than either; source: Wortsman et al. 2022, "Robust
    fine-tuning of zero-shot models" (arXiv 2109.01903). How much of each is ours.
    """
    labelled = data.seconds
    return replace(going_on(settings), share=labelled / (labelled + FINE_TUNING_SECONDS))


def graft(
    base: Learned,
    vocabulary: Vocabulary,
    shared: Mapping[str, Readout],
    config: NetworkConfig,
    prior: UnitPrior | None,
    seed: int,
    same: Collection[str],
) -> POYO:
    """A network with the base's core and tables for the sessions of ``vocabulary``, in which units are as expected.

    Units of sessions that are the ``same`` as the base's of that id, and the ``shared`` readouts, begin with what it
    learned; what is new is drawn from ``seed``.
    """
    network = POYO.fresh(config, vocabulary.n_unit_rows, vocabulary.n_session_rows, seed)
    learned = base.network.state_dict()
    core = {name: tensor for name, tensor in learned.items() if name.split(".")[0] not in TABLES}
    network.load_state_dict(core, strict=False)
    with torch.no_grad():
        if prior is not None:
            network.unit_emb.weight[1:] = prior.mean.cpu()
        for name, readout in shared.items():
            columns = torch.from_numpy(vocabulary.readouts[name].columns)
            network.readout.weight[columns] = base.network.readout.weight[readout.columns].cpu()
            network.readout.bias[columns] = base.network.readout.bias[readout.columns].cpu()
        for name in vocabulary.sessions.keys() & base.vocabulary.sessions.keys() & set(same):
            new, old = vocabulary.sessions[name], base.vocabulary.sessions[name]
            known_rows = old.unit_rows
            for unit, row in new.unit_rows.items():
                if unit in known_rows:
                    network.unit_emb.weight[row] = learned["unit_emb.weight"][known_rows[unit]].cpu()
            network.session_emb.weight[new.session_row] = learned["session_emb.weight"][old.session_row].cpu()
    return network


def join(known: Learned, new: Identified) -> Learned:
    """Everything known, and the rows and columns of the new sessions after it."""
    state, added = known.network.state_dict(), new.learned.network.state_dict()
    first = {
        "unit_emb.weight": 1,
        "session_emb.weight": 1,
        "readout.weight": new.n_shared,
        "readout.bias": new.n_shared,
    }
    state |= {name: torch.cat([state[name].cpu(), added[name][row:].cpu()]) for name, row in first.items()}
    config = replace(known.network.config, n_outputs=len(state["readout.bias"]))
    network = POYO.fresh(config, len(state["unit_emb.weight"]), len(state["session_emb.weight"]))
    network.load_state_dict(state)
    return replace(known, network=network.eval(), vocabulary=known.vocabulary.joined(new.learned.vocabulary))
