"""Decoded behaviour out, as neo signals, and as events where it is labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..fitted.vocabulary import Vocabulary
from ..measures import UNKNOWN_UNIT
from ..readouts.behaviors import readout_columns
from ..readouts.label_readout import CategoricalReadout
from ..readouts.readout import Readout
from ..readouts.targets import as_given
from ..sessions.samples import SpikeSamples


def to_neo(
    samples: SpikeSamples, values: np.ndarray, vocabulary: Vocabulary, names: Mapping[int, str], on_grid: bool
) -> Any:
    """One signal a segment, or the only one by itself; where behaviours came by name, a dict of that.

    Parameters
    ----------
    samples : SpikeSamples
        Samples at which ``values`` (n_samples, most outputs) were decoded, as `decoding.predict_samples` gives them.
    vocabulary : Vocabulary
        What the sessions' behaviours are.
    names : mapping of int to str
        Ids of the sessions by position.
    on_grid : bool
        Whether samples lie on the sessions' regular grids.
    """
    signals: dict[str, list[Any]] = {}
    in_order: list[Any] = []
    by_name = False
    for position, segment, order in samples.blocks():
        known = vocabulary.sessions[names[position]]
        by_name |= known.by_name
        description = {"session_id": names[position], "segment_index": segment}
        period = known.sample_interval if on_grid else None
        for readout, outputs, _ in readout_columns(vocabulary.readouts_of(names[position])):
            signal = as_neo(readout, samples.times[order], values[order, outputs], period, description)
            signals.setdefault(readout.name, []).append(signal)
            in_order.append(signal)
    return {name: alone(mine) for name, mine in signals.items()} if by_name else alone(in_order)


def as_neo(
    readout: Readout, times: np.ndarray, decoded: np.ndarray, period: float | None, description: dict[str, Any]
) -> Any:
    """One behaviour of one segment; dimensionless where it has no unit of measure.

    ``period`` is the sampling interval in seconds of samples on a grid, else None.
    """
    if isinstance(readout, CategoricalReadout):
        return as_neo_event(times, as_given(readout, decoded), name=readout.name, **description)
    description = {"name": "decoded behaviour", **description}
    return as_neo_signal(times, decoded, readout.units, readout.output_names, period, **description)


def as_neo_signal(
    times: np.ndarray,
    decoded: np.ndarray,
    units: str | None,
    names: Sequence[str] | None,
    period: float | None = None,
    **description: Any,
) -> Any:
    """Decoded numbers (n, n_outputs) at ``times`` in seconds: regular where the samples lie on a grid of ``period``."""
    import neo
    import quantities as pq

    try:
        values = pq.Quantity(decoded, units or "dimensionless")
    except UNKNOWN_UNIT:  # one that a user made in another process
        raise ValueError(f"quantities does not know the unit {units!r} that the behaviour was in at fit; make it again "
                         "with quantities.UnitQuantity, or take plain numbers from predict") from None  # fmt: skip
    annotations = {} if names is None else {"channel_names": np.array(names)}
    common = {"array_annotations": annotations, **description}
    if period is None:
        return neo.IrregularlySampledSignal(times * pq.s, values, **common)
    return neo.AnalogSignal(values, sampling_period=period * pq.s, t_start=times[0] * pq.s, **common)


def as_neo_event(times: np.ndarray, labels: np.ndarray, **description: Any) -> Any:
    """Decoded labels (n,) at ``times`` in seconds."""
    import neo
    import quantities as pq

    return neo.Event(times * pq.s, labels=labels.astype(np.str_), **description)


def alone(signals: list[Any]) -> Any:
    """The only signal, or all of them."""
    return signals[0] if len(signals) == 1 else signals
