"""Which behaviours samples have, where they stand in ``y``, and the readouts of any kind that are made for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..measures import rescale
from ..network.windows import BehaviorColumns
from ..sessions.samples import SpikeSamples, stretches
from ..sessions.signals import UNNAMED, TargetInfo
from ..warning import warn
from .label_readout import CategoricalReadout
from .number_readouts import ANGLES, CircularReadout, ContinuousReadout, warn_of_jumps
from .readout import Readout, names_of

KINDS: Mapping[str, type[Readout]] = {cls.kind: cls for cls in (ContinuousReadout, CircularReadout, CategoricalReadout)}
OTHER_SCALE = 5.0  # times the standard deviation that sessions share, or a fifth of it: hardly the same behaviour


def target_columns(infos: Sequence[TargetInfo], width: int) -> Iterator[tuple[TargetInfo, slice]]:
    """Yield each behaviour of a session with its columns of ``y``, which has ``width``: one after the other."""
    first = 0
    for info in infos:
        past = width if info.n_outputs is None else first + info.n_outputs
        yield info, slice(first, past)
        first = past


def target_columns_by_name(
    infos: Sequence[TargetInfo], width: int, known: Sequence[str]
) -> Iterator[tuple[str, tuple[TargetInfo, slice]]]:
    """`target_columns` by the ``known`` name of the behaviour; one without a name is the only one that is known.

    Raises
    ------
    ValueError
        For a name that is not known.
    """
    for info, place in target_columns(infos, width):
        name = known[0] if len(known) == len(infos) == 1 and info.name == UNNAMED else info.name
        if name not in known:
            raise ValueError(f"behaviour {name!r} is not known of this session; the decoder reads out {list(known)}")
        yield name, (info, place)


def readout_columns(readouts: Iterable[Readout]) -> Iterator[tuple[Readout, slice, slice]]:
    """Yield each behaviour of a session with its outputs in the session's targets, and its columns in the answers."""
    output = column = 0
    for readout in readouts:
        outputs, columns = slice(output, output + readout.n_outputs), slice(column, column + readout.n_columns)
        yield readout, outputs, columns
        output, column = outputs.stop, columns.stop


def asked_for(readouts: Sequence[Readout]) -> tuple[np.ndarray, tuple[BehaviorColumns, ...]]:
    """Columns of the readout layer that a session with these behaviours is asked for, and what they are."""
    behaviors = tuple(readout.asked_at(columns.start) for readout, _, columns in readout_columns(readouts))
    return np.concatenate([readout.columns for readout in readouts]), behaviors


def behaviors_of(
    X: SpikeSamples, y: np.ndarray, known: Collection[str] = ()
) -> dict[str, tuple[TargetInfo, np.ndarray]]:
    """By name, the behaviours that samples have: what they measure, and targets (n_samples, n_outputs).

    ``y`` has shape (n_samples, most outputs); a session of fewer outputs has them in the first columns. Targets are NaN
    where a sample's session does not have the behaviour.

    Raises
    ------
    ValueError
        Where a behaviour is nowhere known, or an output of one that is not read out already, as the ``known`` ones are.
    """
    behaviors: dict[str, tuple[TargetInfo, np.ndarray]] = {}
    for position, mine in X.by_session():
        for info, place in target_columns(X.targets[position], y.shape[1]):
            values = y[mine, place]
            if info.name not in behaviors:
                behaviors[info.name] = (info, np.full((len(y), values.shape[1]), np.nan))
            behaviors[info.name][1][mine] = values
    for name, (_, values) in behaviors.items():
        unknown = np.isnan(values).all(axis=0)
        if unknown.all() or (unknown.any() and name not in known):
            raise ValueError(f"output(s) {np.flatnonzero(unknown).tolist()} of behaviour {name!r} are all NaN, or "
                             "known only where samples have no weight")  # fmt: skip
    return behaviors


def shared_readouts(X: SpikeSamples, y: np.ndarray, known: Mapping[str, Readout]) -> dict[str, Readout]:
    """Those of the ``known`` readouts that read out what these samples have under the same name.

    Raises
    ------
    ValueError
        Where an output is nowhere known of a behaviour that is another than that of its name.

    Warns
    -----
    UserWarning
        Where numbers are taken for angles, or for angles of that full turn, because they were under that name.
    """
    behaviors = behaviors_of(X, y, known)
    shared = {}
    for name, (info, values) in behaviors.items():
        if name not in known:
            continue
        why, unknown = known[name].conflict(info, values.shape[1]), np.isnan(values).all(axis=0)
        if why is None:
            shared[name] = known[name]
        elif unknown.any():
            raise ValueError(f"output(s) {np.flatnonzero(unknown).tolist()} of behaviour {name!r} are all NaN, and it "
                             f"is not what the weights know by that name: {why}")  # fmt: skip
    for name, readout in shared.items():
        if isinstance(readout, CircularReadout) and not readout.is_told(behaviors[name][0]):
            units = behaviors[name][0].units
            turn = f"{float(rescale(np.array(readout.period), readout.units, units, name)):g}"
            told = "'circular'" if units in ANGLES else f"('circular', {turn})"
            warn(f"behaviour {name!r} is taken for angles of which {turn} is a full turn, as was learned under "
                 f"that name; behavior_type={told} says so, 'continuous' that they are none")  # fmt: skip
    return shared


def make_readouts(
    X: SpikeSamples, y: np.ndarray, weight: np.ndarray, shared: Mapping[str, Readout], class_weight: Any = None
) -> dict[str, Readout]:
    """Readouts of the behaviours that samples have: the ``shared`` ones, in columns that come first, and new ones.

    Parameters
    ----------
    X : SpikeSamples
        Samples.
    y : ndarray, shape (n_samples, most outputs)
        Their targets, NaN where unknown or without weight.
    weight : ndarray, shape (n_samples,)
        Their weights, for the standardisation.
    shared : mapping of str to Readout
        Those that a pretrained decoder has.
    class_weight : None, "balanced" or mapping, optional
        Weights of the classes of labels.

    Warns
    -----
    UserWarning
        Where numbers look like angles, and nobody said what they are.
    """
    readouts: dict[str, Readout] = {}
    behaviors = behaviors_of(X, y, shared)
    for name, readout in shared.items():
        info, values = behaviors[name]
        adapted = readout.adapted(values, weight, info, class_weight)
        readouts[name] = replace(adapted, first_column=n_columns(readouts.values()))
    for name, (info, values) in behaviors.items():
        if name in shared:
            continue
        common = {"name": name, "first_column": n_columns(readouts.values()), "units": info.units,
                  "output_names": names_of(info, values.shape[1]), "one_dimensional": info.one_dimensional}  # fmt: skip
        options = {"class_weight": class_weight} if info.kind == "categorical" else {}
        readouts[name] = KINDS[info.kind or "continuous"].of(values, weight, info, **options, **common)
    plain = {name: values for name, (info, values) in behaviors.items()
             if name not in shared and info.kind is None and info.units is None}  # fmt: skip
    warn_of_angles(X, plain)
    check_weighed_labels(class_weight, readouts.values())
    return readouts


def warn_of_angles(X: SpikeSamples, numbers: Mapping[str, np.ndarray]) -> None:
    """Tell of behaviours without a unit of measure, (n_samples, n_outputs) by name, that jump as angles do.

    Rows of counts are in no order of time.
    """
    blocks = [(i, order) for i, _, order in X.blocks() if not X.sessions[i].isolated_rows] if numbers else []
    for name, values in numbers.items():
        whose = {i for i, infos in enumerate(X.targets) if any(info.name == name for info in infos)}
        orders = [order for i, order in blocks if i in whose]
        if orders:
            warn_of_jumps([values[order] for order in orders], [stretches(X.times[order]) for order in orders], name)


def check_weighed_labels(class_weight: Any, readouts: Iterable[Readout]) -> None:
    """Refuse weights of labels that there are not, where labels that there are have none: a slip of the pen.

    A training fold may lack a label that has a weight.

    Raises
    ------
    ValueError
        Naming them.
    """
    labels = {label for readout in readouts if isinstance(readout, CategoricalReadout) for label in readout.classes}
    if not isinstance(class_weight, Mapping) or labels <= set(class_weight):
        return
    strange = [label for label in class_weight if label not in labels]
    if strange:
        raise ValueError(f"class_weight= has the labels {strange}, which are not among those to learn: "
                         f"{sorted(labels, key=str)}")  # fmt: skip


def warn_of_other_scale(standardised: np.ndarray, behavior: str, session: str, least: float) -> None:
    """Tell of numbers of one session, (n, n_outputs), that do not fit the scale and origin that sessions share.

    Those that vary far less than others' count for nothing in the loss: ``least`` is the smallest standard deviation
    that is no reason to tell.
    """
    for column in standardised.T:
        known = column[~np.isnan(column)]
        if len(known) == 0:
            continue
        spread, centre = float(known.std()), float(known.mean())
        is_little = spread < least and np.ptp(known) > 0
        if is_little or max(spread, abs(centre)) > OTHER_SCALE:
            warn(f"behaviour {behavior!r} of session {session!r} has a standard deviation of {spread:.2g} and a mean "
                 f"of {centre:.2g} on the scale that sessions share, 1 and 0 for all together: where scales or origins "
                 "differ, give units of measure, or each a behavior_name= of its own")  # fmt: skip
            return


def n_columns(readouts: Iterable[Readout]) -> int:
    """Columns of all of them."""
    return sum(readout.n_columns for readout in readouts)


def n_outputs(readouts: Iterable[Readout]) -> int:
    """Outputs of all of them."""
    return sum(readout.n_outputs for readout in readouts)


def readout_from_json(data: Mapping[str, Any]) -> Readout:
    """Inverse of `Readout.to_json`."""
    fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in data.items()}
    return KINDS[fields.pop("kind")](**fields)
