"""Targets, as users give them and get them back, and as columns of numbers, as everything else works with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ..inputs.values import as_values, with_one_unit, without_missing
from ..measures import magnitude_and_unit, rescale
from ..recognition import is_a
from ..sessions.by_name import is_by_name, named_columns
from ..sessions.samples import SpikeSamples
from ..sessions.signals import TargetInfo, check_goes_together, with_kinds
from .behaviors import readout_columns
from .codes import codes_of, decode, encode, known_labels
from .label_readout import CategoricalReadout
from .readout import Readout


class Targets(NamedTuple):
    """Samples and targets, checked.

    ``X.targets`` say all that is known of the behaviours. ``y``, float64, shape (n_samples, most outputs), has those of
    a session one after the other, labels as codes of ``classes``. ``by_name`` tells whether the user gave them so.
    """

    X: SpikeSamples
    y: np.ndarray
    by_name: bool


def as_targets(
    X: SpikeSamples,
    y: Any,
    behavior_type: Any,
    known: Mapping[str, Readout],
    labels: bool,
    classes: Any = None,
    fixed: bool = False,
) -> Targets:
    """Targets as columns.

    Parameters
    ----------
    X : SpikeSamples
        Samples.
    y : array_like, structured array or mapping
        What the user gave.
    behavior_type : str, tuple, mapping or None
        As in `align`; it goes before what was said there.
    known : mapping of str to Readout
        What the decoder reads out already: those behaviours are what they were.
    labels : bool
        Whether targets that come without a name are labels.
    classes : array_like, optional
        All labels that there are, where those are labels; the ones in ``y`` where omitted.
    fixed : bool, default: False
        Whether what is known stays what it is, as in a score, so that whole numbers are labels where those are.

    Raises
    ------
    ValueError
        Where targets are of another length than samples, infinite, unknown everywhere, or of the wrong kind.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    if is_a(y, "neo", "BaseSignal"):
        raise ValueError("y is a neo signal, which has times of its own; align(sorting, signal) gives samples, and the "
                         "y that goes with them")  # fmt: skip
    for given in y.values() if isinstance(y, Mapping) else [y]:
        if issparse(given):
            raise ValueError("y holds a sparse matrix; give its toarray()")
    if not is_by_name(y):
        return by_itself(X, y, "categorical" if labels else behavior_type, known, labels, classes)
    if classes is not None:
        raise ValueError("classes= are those of labels that come by themselves; these targets come by name")
    columns = {str(name): with_one_unit(y[name]) for name in (y if isinstance(y, Mapping) else y.dtype.names)}
    for name, values in columns.items():
        check_length(X, np.asarray(values), f"y[{name!r}]")
    infos = {info.name: info for session in X.targets for info in session}
    infos = with_kinds({name: infos.get(name, TargetInfo(name=name, bare=True)) for name in columns}, behavior_type)
    filled = {name: fill(infos[name], columns[name], known.get(name), fixed) for name in columns}
    numbers = [name for name, (info, _) in filled.items() if info.kind != "categorical"]
    if labels and numbers:
        raise ValueError(f"POYOClassifier learns labels, and the behaviours {numbers} are numbers; behavior_type= says "
                         "that they are categorical, or POYODecoder learns both together")  # fmt: skip
    return lay_out(X, filled)


def by_itself(
    X: SpikeSamples, y: Any, behavior_type: Any, known: Mapping[str, Readout], labels: bool, classes: Any
) -> Targets:
    """Targets of sessions that have one behaviour each."""
    several = [[info.name for info in session] for session in X.targets if len(session) > 1]
    if several:
        raise ValueError(f"samples have the behaviours {several[0]}: y must come by name, as align gives it")
    infos = {session[0].name: session[0] for session in X.targets}
    infos = with_column_names(infos, y)
    infos, y = in_units_of(X, with_kinds(infos, behavior_type), with_one_unit(y))
    if labels:
        return label_codes(X, y, infos, None if classes is None else all_labels(classes, infos, known), known)
    y = without_missing(y)
    if as_values(y).dtype.kind != "f" and y.dtype.kind != "b":
        raise ValueError("y holds labels: POYOClassifier learns them; among several behaviours, give them by name")
    if any(info.kind == "categorical" for info in infos.values()):
        raise ValueError("categorical targets by themselves are for POYOClassifier; among several, give them by name")
    y = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y")
    check_length(X, y, "y")
    used = {X.targets[position][0].name for position, _ in X.by_session()}
    flat = without_padding(y.reshape(len(y), -1), [infos[name].n_outputs for name in used], infos.values())
    nowhere = np.isnan(flat).all(axis=0)
    learned = infos.keys() <= known.keys()  # then some may be unknown here, as in a fold to score
    if nowhere.all() or (nowhere.any() and not learned):
        raise ValueError(f"y must hold known values; output(s) {np.flatnonzero(nowhere).tolist()} are all NaN")
    for name, info in infos.items():
        n_outputs = info.n_outputs if len(used) > 1 and info.n_outputs is not None else flat.shape[1]
        if n_outputs > flat.shape[1]:
            raise ValueError(f"y has {flat.shape[1]} output(s), behaviour {name!r} was aligned with {n_outputs}")
        padded = y.ndim == 2 and y.shape[1] > n_outputs  # so as to stand beside one that has more outputs
        infos[name] = replace(
            info, n_outputs=n_outputs, one_dimensional=info.one_dimensional if padded else y.ndim == 1
        )
    return Targets(with_infos(X, [[infos[session[0].name]] for session in X.targets]), flat, False)


def with_column_names(infos: dict[str, TargetInfo], y: Any) -> dict[str, TargetInfo]:
    """The only behaviour with its outputs named as the columns of a table ``y`` are.

    Raises
    ------
    ValueError
        Where these are the outputs that were aligned, in another order.
    """
    columns = tuple(y.columns) if is_a(y, "pandas", "DataFrame") else ()
    if len(infos) > 1 or len(columns) < 2 or not all(isinstance(column, str) for column in columns):
        return infos
    ((name, info),) = infos.items()
    named = replace(info, names=columns)
    check_goes_together(named, info, "y")
    return {name: named}


def without_padding(y: np.ndarray, widths: Sequence[int | None], aligned: Iterable[TargetInfo]) -> np.ndarray:
    """Targets (n_samples, most outputs) without the columns in which only other sessions of `align` have outputs.

    ``widths`` are the numbers of outputs of those there are, ``aligned`` the behaviours of all.
    """
    widest = max((info.n_outputs or 0 for info in aligned), default=0)
    if None in widths or y.shape[1] != widest:
        return y
    width = max(filter(None, widths))
    return y[:, :width] if np.isnan(y[:, width:]).all() else y


def in_units_of(X: SpikeSamples, infos: Mapping[str, TargetInfo], y: Any) -> tuple[dict[str, TargetInfo], Any]:
    """Targets that come as a quantity as plain numbers, in the units of measure that the samples' behaviours have."""
    if not is_a(y, "quantities", "Quantity"):
        return dict(infos), y
    check_length(X, y, "y")
    told, plain = dict(infos), np.array(y.magnitude, dtype=np.float64)
    for position, mine in X.by_session():
        info = infos[X.targets[position][0].name]
        told[info.name], plain[mine] = measured(info, y[mine])
    return told, plain


def measured(info: TargetInfo, values: Any) -> tuple[TargetInfo, Any]:
    """Values in the behaviour's unit of measure, or in their own where nothing is known of it; plain ones as they are.

    Raises
    ------
    ValueError
        Where the behaviour has no unit of measure, or one that these cannot be converted to.
    """
    if not is_a(values, "quantities", "Quantity"):
        return info, values
    plain, units = magnitude_and_unit(values)
    given = replace(info, units=units, bare=False)
    if info.bare:
        return given, plain
    what = f"y of behaviour {info.name!r}"
    check_goes_together(given, info, what)
    return info, rescale(plain, units, info.units, what)


def label_codes(
    X: SpikeSamples,
    y: Any,
    infos: Mapping[str, TargetInfo],
    classes: tuple[Any, ...] | None,
    readouts: Mapping[str, Readout],
) -> Targets:
    """Labels that come by themselves, as scikit-learn's classifiers take them; ``classes`` are all that there are."""
    y = without_missing(y)
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        raise ValueError(f"y should be a 1d array of labels, got an array of shape {np.shape(y)}: POYOClassifier "
                         "learns one label a sample, POYODecoder numbers and several behaviours")  # fmt: skip
    y = column_or_1d(y, warn=True)
    check_length(X, y, "y")
    if y.dtype.kind == "f" and np.isinf(y).any():
        raise ValueError("Input y contains infinity")
    codes = np.full(len(y), np.nan)
    told = {name: replace(info, n_outputs=1, classes=classes, one_dimensional=True) for name, info in infos.items()}
    name_of = np.array([session[0].name for session in X.targets])[X.session_index]
    for name in np.unique(name_of).tolist():  # each behaviour has labels of its own
        mine = name_of == name
        what = "y" if len(infos) == 1 else f"y of behaviour {name!r}"
        codes[mine], its_classes = encode_some(y[mine], what, classes, readouts.get(name))
        told[name] = replace(told[name], classes=its_classes)
    known = known_labels(y)
    check_classification_targets(np.array(y[known].tolist()) if y.dtype.kind == "O" else y[known])
    return Targets(with_infos(X, [[told[session[0].name]] for session in X.targets]), codes[:, None], False)


def encode_some(
    labels: np.ndarray, name: str, classes: tuple[Any, ...] | None, known: Readout | None
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """`encode`, where the labels of a behaviour that is read out already may all be unknown, as in a fold to score."""
    if isinstance(known, CategoricalReadout) and not known_labels(labels).any():
        return np.full(len(labels), np.nan), known.classes
    return encode(labels, name, classes)


def fill(info: TargetInfo, values: Any, known: Readout | None, fixed: bool) -> tuple[TargetInfo, np.ndarray]:
    """One behaviour of several: all that is known of it, and its columns (n_samples, n_outputs); see `as_targets`."""
    info, values = measured(info, values)
    values = as_values(values)
    kind = info.kind
    if kind is None and (values.dtype.kind != "f" or has_labels_of(known, values, fixed)):
        kind = "categorical"
    if kind != "categorical" and values.dtype.kind != "f":
        raise ValueError(f"behaviour {info.name!r} holds labels, which cannot be {kind}")
    flat, classes = values.reshape(len(values), -1), None
    if kind == "categorical":
        if flat.shape[1] != 1:
            raise ValueError(f"behaviour {info.name!r} is categorical and has {flat.shape[1]} columns; give each as a "
                             "behaviour of its own")  # fmt: skip
        codes, classes = encode_some(flat[:, 0], info.name, None, known)
        flat = codes[:, None]
    if np.isinf(flat).any():
        raise ValueError(f"behaviour {info.name!r} must be finite or NaN; {np.isinf(flat).sum()} values are infinite")
    told = replace(info, n_outputs=flat.shape[1], kind=kind, classes=classes, one_dimensional=values.ndim == 1)
    return told, flat


def has_labels_of(known: Readout | None, values: np.ndarray, fixed: bool) -> bool:
    """Whether numbers are labels that are read out already; where these are ``fixed``, whole ones are labels too."""
    if not isinstance(known, CategoricalReadout):
        return False
    labels = set(values[known_labels(values)].tolist())
    return labels <= set(known.classes) or (fixed and all(map(is_whole, labels.union(known.classes))))


def is_whole(label: Any) -> bool:
    """Whether a label is a whole number."""
    return isinstance(label, (int, float, np.number)) and float(label).is_integer()


def lay_out(X: SpikeSamples, filled: Mapping[str, tuple[TargetInfo, np.ndarray]]) -> Targets:
    """For each session the behaviours that it was aligned with, or those that are known somewhere in it."""
    sessions = [list(session) for session in X.targets]
    for position, mine in X.by_session():
        aligned = [info.name for info in sessions[position] if not info.bare]
        known = [name for name, (_, values) in filled.items() if not np.isnan(values[mine]).all()]
        names = [name for name in filled if name in (aligned or known)]
        strange = [name for name in known if name not in names]
        if aligned and (strange or not names):
            raise ValueError(f"session {X.session_name(position)!r} was aligned with the behaviours {aligned}, y has "
                             f"{strange or list(filled)}; give them the same names")  # fmt: skip
        if not names:
            raise ValueError(f"no behaviour of session {X.session_name(position)!r} is known anywhere in it")
        sessions[position] = [filled[name][0] for name in names]
    widths = [sum(info.n_outputs or 0 for info in sessions[position]) for position, _ in X.by_session()]
    y = np.full((len(X), max(widths)), np.nan)
    for position, mine in X.by_session():
        rows = np.hstack([filled[info.name][1][mine] for info in sessions[position]])
        y[mine, : rows.shape[1]] = rows
    return Targets(with_infos(X, sessions), y, True)


def with_infos(X: SpikeSamples, targets: Sequence[Sequence[TargetInfo]]) -> SpikeSamples:
    """The same samples, of which more is known."""
    return SpikeSamples(X.sessions, X.session_index, X.segment_index, X.times, targets)


def check_length(X: SpikeSamples, y: np.ndarray, what: str) -> None:
    """Refuse targets of another length than samples."""
    n = len(y) if y.ndim else 1
    if n != len(X):
        raise ValueError(f"X and y must have the same length; X has {len(X)} samples, {what} has {n}")


def all_labels(classes: Any, infos: Mapping[str, TargetInfo], known: Mapping[str, Readout]) -> tuple[Any, ...]:
    """The labels that there are, as the user says; those of a behaviour that is read out already stay the same."""
    _, told = encode(column_or_1d(classes, warn=True), "classes")
    for name in infos.keys() & known.keys():
        readout = known[name]
        if isinstance(readout, CategoricalReadout) and told != readout.classes:
            raise ValueError(f"classes={list(told)} are not those of the first call, {list(readout.classes)}")
    return told


def users_targets(readouts: Sequence[Sequence[Readout]], values: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
    """Decoded columns by name: a structured array as `align` gives it.

    Parameters
    ----------
    readouts : sequence of sequence of Readout
        Behaviours of each session.
    values : ndarray, shape (n_samples, most outputs)
        What was decoded, as `Targets.y`.
    rows : sequence of ndarray
        Samples of each session.
    """
    columns: dict[str, np.ndarray] = {}
    for session, mine in zip(readouts, rows, strict=True):
        for readout, outputs, _ in readout_columns(session):
            if readout.name not in columns:
                columns[readout.name] = np.full((len(values), readout.n_outputs), np.nan)
            columns[readout.name][mine] = values[mine, outputs]
    by_name = {readout.name: readout for session in readouts for readout in session}
    return named_columns({name: as_given(by_name[name], column) for name, column in columns.items()})


def as_given(readout: Readout, values: np.ndarray) -> np.ndarray:
    """Decoded targets (n, n_outputs) in the shape and type that they had at fit."""
    if isinstance(readout, CategoricalReadout):
        return decode(values[:, 0], readout.classes)
    return values[:, 0] if readout.one_dimensional else values


def as_columns(readout: Readout, y: np.ndarray) -> np.ndarray:
    """Inverse of `as_given`; labels are among the readout's."""
    if isinstance(readout, CategoricalReadout):
        return codes_of(y, readout.classes)[:, None]
    return y.reshape(len(y), -1)
