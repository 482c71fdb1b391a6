"""The recording that comes with the package."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import neo
    from spikeinterface.core import NumpySorting


def load_mouse_head_direction() -> tuple[NumpySorting, neo.IrregularlySampledSignal]:
    """Spikes of 15 neurons of a freely moving mouse, and where its head points.

    Mouse A2929, session 200711, awake: 7 single units of the anterodorsal nucleus, whose head direction cells make
    heading easy to decode, and 8 of CA1. Everything is on one clock, the recording's: spikes from 660 s to 1200 s,
    heading from 670.64 s to 1199.99 s.

    Returns
    -------
    sorting : spikeinterface.core.NumpySorting
        One segment at 20 kHz, 45,670 spikes. Frame 0 is second 0 of the recording, so ``frame / 20000`` is the time in
        seconds. Unit ids are the integers 0 to 14 of the NWB file (the units 3 to 9 and 12 to 19 that SpikeInterface
        reads from the sorter's own folder). The property ``location`` is ``"adn"`` or ``"ca1"``.
    heading : neo.IrregularlySampledSignal
        Cosine and sine of the head direction, dimensionless, shape (63527, 2), at 120 Hz; times in seconds;
        ``array_annotations["channel_names"]`` is ``["cos_heading", "sin_heading"]``.

    Notes
    -----
    Source: test data of pynapple 0.11.4. MIT licence, copyright (c) pynapple authors; the licence's text is in
    ``spikeinterface_poyo/data/README.md``. Please cite Viejo et al. 2023 [1]_.

    References
    ----------
    .. [1] Viejo, G., Levenstein, D., Skromne Carrasco, S., et al. (2023). Pynapple, a toolbox for data analysis in
       neuroscience. eLife 12:RP85786.

    Examples
    --------
    >>> from spikeinterface_poyo import load_mouse_head_direction
    >>> sorting, heading = load_mouse_head_direction()
    >>> sorting.get_num_units(), sorting.sampling_frequency
    (15, 20000.0)
    >>> heading.shape, [str(name) for name in heading.array_annotations["channel_names"]]
    ((63527, 2), ['cos_heading', 'sin_heading'])
    """
    import neo
    import quantities as pq
    from spikeinterface.core import NumpySorting

    packaged = files("spikeinterface_poyo") / "data" / "mouse_head_direction.npz"
    with packaged.open("rb") as file, np.load(file) as stored:
        arrays = dict(stored)

    first_spikes = np.cumsum(arrays["spike_counts"])[:-1]
    trains = [np.cumsum(deltas, dtype=np.int64) for deltas in np.split(arrays["spike_deltas"], first_spikes)]
    sorting = NumpySorting.from_unit_dict(dict(enumerate(trains)), float(arrays["sampling_frequency"][0]))
    sorting.set_property("location", arrays["location"])

    angle = arrays["heading"].astype(np.float64)
    heading = neo.IrregularlySampledSignal(
        np.cumsum(arrays["heading_deltas"], dtype=np.int64) / arrays["heading_ticks"],
        np.column_stack([np.cos(angle), np.sin(angle)]),
        units=pq.dimensionless,
        time_units=pq.s,
        name="head direction",
        array_annotations={"channel_names": np.array(["cos_heading", "sin_heading"])},
    )
    return sorting, heading
