"""SpikeInterface recordings in: analog streams, such as those of a NIDQ board or ADC channels, as behaviour."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..measures import known_unit
from ..sessions.signals import Signal
from ..warning import warn
from .clocks import check_times

FAST = 1000.0  # Hz; behaviour that is sampled faster is mostly raw


def from_recording(recording: Any, index: int) -> Signal:
    """One segment of a ``BaseRecording``: all channels, on the recording's own clock (start or time vector).

    Values are in the channels' ``physical_unit`` where the recording has ``gain_to_physical_unit``, else in microvolts
    where it has ``gain_to_uV``, else as they are, without a unit of measure.

    Raises
    ------
    ValueError
        Where channels have different units of measure.

    Warns
    -----
    UserWarning
        Where the sampling rate is far above that of behaviour, or the recording lost its parent's times.
    """
    check_times(recording)
    n_samples = recording.get_num_samples(segment_index=index)
    rate = recording.get_sampling_frequency()
    if rate > FAST:
        warn(
            f"behaviour from a recording at {rate:g} Hz makes {n_samples} samples, one a frame; "
            "spikeinterface.preprocessing.resample(recording, resample_rate=100) keeps its clock and makes far fewer",
        )
    times = np.asarray(recording.sample_index_to_time(np.arange(n_samples), segment_index=index), dtype=np.float64)
    values, units = scaled(recording, recording.get_traces(segment_index=index))
    return Signal(times, values, units, tuple(str(channel) for channel in recording.channel_ids))


def scaled(recording: Any, traces: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Traces (n_samples, n_channels) as float64 in their unit of measure, and the unit."""
    values = traces.astype(np.float64)
    known = recording.get_property_keys()
    if "gain_to_physical_unit" in known and "physical_unit" in known:
        units = sorted({str(unit) for unit in recording.get_property("physical_unit")})
        if len(units) > 1:
            raise ValueError(f"the channels of a recording given as behaviour have the units {units}; choose those of "
                             "one unit with recording.select_channels(...)")  # fmt: skip
        offset = recording.get_property("offset_to_physical_unit") if "offset_to_physical_unit" in known else 0.0
        unit = known_unit(units[0], "the recording given as behaviour")
        return values * recording.get_property("gain_to_physical_unit") + offset, unit
    if recording.has_scaleable_traces():
        return values * recording.get_property("gain_to_uV") + recording.get_property("offset_to_uV"), "uV"
    return values, None
