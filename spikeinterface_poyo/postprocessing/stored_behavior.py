"""Behaviour of an analyzer: kept by path in the extension's parameters, or stored with its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..inputs.alignment import align
from ..inputs.behavior_files import read_behavior
from ..inputs.behavior_in import as_signals
from ..paths import as_path, is_path
from ..readouts.codes import codes_of, decode, in_order, known_labels
from ..sessions.samples import SpikeSamples
from ..sessions.signals import Signal

MARKER = {"stored": True}  # stands for a stored behaviour where parameters are written as JSON


class StoredBehavior:
    """Signals that an extension keeps as data, so that it can be computed again, also on a merged or split sorting.

    Parameters
    ----------
    signals : sequence of Signal
        One a segment.

    Raises
    ------
    ValueError
        For labels of types that have no order among them.
    """

    def __init__(self, signals: Sequence[Signal]) -> None:
        self.signals = list(signals)
        labels = [signal.values[known_labels(signal.values)] for signal in self.signals if signal.is_labels]
        self.classes = list(in_order(np.concatenate(labels).tolist(), "the behaviour")) if labels else None

    def __repr__(self) -> str:
        shapes = [signal.values.shape for signal in self.signals]
        return f"StoredBehavior({shapes[0] if len(shapes) == 1 else shapes})"

    def to_data(self) -> dict[str, Any]:
        """As extension data: arrays, labels as codes, and a dict of units of measure, names and labels."""
        data: dict[str, Any] = {}
        for i, signal in enumerate(self.signals):
            values = signal.values if self.classes is None else codes_of(signal.values, self.classes)
            data[f"behavior_times_{i}"], data[f"behavior_values_{i}"] = signal.times, values
        described = [{"units": s.units, "names": None if s.names is None else list(s.names)} for s in self.signals]
        return data | {"behavior_signals": {"signals": described, "classes": self.classes}}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> StoredBehavior:
        """Inverse of `to_data`."""
        signals = []
        classes = data["behavior_signals"].get("classes")  # which was not written before there were labels
        for i, described in enumerate(data["behavior_signals"]["signals"]):
            names = None if described["names"] is None else tuple(described["names"])
            times, values = (np.asarray(data[f"behavior_{what}_{i}"][:]) for what in ("times", "values"))
            if classes is not None:
                values = decode(values, classes)
            signals.append(Signal(times, values, described["units"], names))
        return cls(signals)


def as_parameter(behavior: Any) -> Any:
    """What is kept of ``behavior`` in an extension's parameters: absolute paths, one a segment, or a StoredBehavior.

    Raises
    ------
    ValueError
        Where none is given, or where parameters that were written come without the behaviour that was stored.
    """
    if behavior is None:
        raise ValueError("poyo_decoding needs behavior=: a signal (see align), or the path of a .npz or NWB file")
    if isinstance(behavior, StoredBehavior):
        return behavior
    if isinstance(behavior, dict) and behavior == MARKER:
        raise ValueError("these parameters stand for a behaviour that is stored with another analyzer's extension; "
                         "give behavior= itself")  # fmt: skip
    if isinstance(behavior, Mapping):
        raise ValueError(f"poyo_decoding decodes one behaviour; give one of {list(behavior)}, and others to copies "
                         "of the analyzer")  # fmt: skip
    if is_path(behavior):
        return str(as_path(behavior).absolute())
    if isinstance(behavior, (list, tuple)) and any(map(is_path, behavior)):
        if not all(map(is_path, behavior)):
            raise ValueError("behavior= has paths and signals; give all segments the one or the other")
        return [str(as_path(path).absolute()) for path in behavior]
    return StoredBehavior(as_signals(behavior))


def align_parameter(spikes: Any, parameter: Any, series: str | None, behavior_type: Any) -> tuple[SpikeSamples, Any]:
    """Samples and targets of an analyzer, or a session, and a behaviour as parameters keep it; see `align`."""
    signals = signals_of(parameter, series)
    return align(spikes, signals if len(signals) > 1 else signals[0], behavior_type=behavior_type)


def signals_of(parameter: Any, series: str | None) -> list[Signal]:
    """Signals, one a segment, of a behaviour as parameters keep it."""
    if isinstance(parameter, StoredBehavior):
        if series is not None:
            raise ValueError(f"series={series!r} names a time series in an NWB file; behavior= is no path")
        return parameter.signals
    paths = parameter if isinstance(parameter, list) else [parameter]
    return [read_behavior(path, series) for path in paths]
