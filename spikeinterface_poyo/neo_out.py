"""Decoded behaviour out, as neo signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .readouts import Readout
from .samples import SpikeSamples


def to_neo(
    samples: SpikeSamples,
    values: np.ndarray,
    readouts: Sequence[Readout],
    intervals: Sequence[float | None] | None,
) -> Any:
    """One signal a segment, or the only one by itself.

    Parameters
    ----------
    samples : SpikeSamples
        Samples at which ``values`` (n_samples, n_outputs) were decoded.
    readouts : sequence of Readout
        What each session's behaviour is; dimensionless where it has no unit of measure.
    intervals : sequence of float or None
        Sampling interval of each session in seconds, where the samples lie on its regular grid.
    """
    import neo
    import quantities as pq

    signals = []
    for position, segment, order in samples.blocks():
        readout = readouts[position]
        names, units = readout.output_names, readout.units
        annotations = {} if names is None else {"channel_names": np.array(names)}
        common = {"units": units or "dimensionless", "name": "decoded behaviour", "array_annotations": annotations}
        description = {"session_id": samples.session_name(position), "segment_index": segment}
        times, decoded = samples.times[order], values[order, : readout.n_outputs]
        if intervals is None:
            signal = neo.IrregularlySampledSignal(times * pq.s, decoded, **common, **description)
        else:
            period = intervals[position] * pq.s
            signal = neo.AnalogSignal(decoded, sampling_period=period, t_start=times[0] * pq.s, **common, **description)
        signals.append(signal)
    return signals[0] if len(signals) == 1 else signals
