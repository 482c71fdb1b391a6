"""The three recordings that the benchmarks decode, each brought to one small form.

``mouse`` is the head-direction session that ships with the package. ``rat`` and ``monkey`` may not be shipped: they are
read from a data folder, and a ``FileNotFoundError`` says which file is missing and where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DEFAULT_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
"""Folder of the recordings that are not shipped: ``shared/data`` beside the repository."""

MONKEY_BIN = 0.05  # seconds


@dataclass(frozen=True, eq=False)
class Recording:
    """Spikes (or binned counts) of one population and what is to be decoded from them.

    Attributes
    ----------
    name : str
        Name of the recording.
    spikes : dict or None
        Spike train of each unit, in seconds. None where only counts exist.
    counts : tuple or None
        ``(counts, centres, bin_size)``: counts of shape (n_bins, n_units), bin centres in seconds, bin size in seconds.
        None where the spike trains exist.
    times : ndarray, shape (n_samples,)
        Sample times in seconds, increasing.
    values : ndarray, shape (n_samples, n_outputs)
        Behaviour at these times.
    targets : tuple of str
        Name of each column of ``values``.
    """

    name: str
    spikes: dict[str | int, np.ndarray] | None
    counts: tuple[np.ndarray, np.ndarray, float] | None
    times: np.ndarray
    values: np.ndarray
    targets: tuple[str, ...]


def load_mouse(data: Path | None = None) -> Recording:
    """Head direction of a mouse as (cos, sin): 15 units of the anterodorsal nucleus and CA1.

    Source: Viejo et al. 2023, eLife 12:RP85786.
    """
    from spikeinterface_poyo.recordings.datasets import load_mouse_head_direction

    sorting, heading = load_mouse_head_direction()
    # The frames of the sorting count from the clock's zero, so frames / rate is already the time of the tracking.
    rate = sorting.get_sampling_frequency()
    spikes = {
        unit: sorting.get_unit_spike_train(unit_id=unit, segment_index=0).astype(np.float64) / rate
        for unit in sorting.unit_ids.tolist()
    }
    times = np.asarray(heading.times.rescale("s").magnitude, dtype=np.float64)
    return Recording("mouse", spikes, None, times, np.asarray(heading.magnitude, dtype=np.float64), ("cos", "sin"))


def load_rat(data: Path | None = None) -> Recording:
    """Position of a rat in a round arena (-1 to 1): 49 units of CA1.

    Source: Cajigas, Malik and Brown 2012, J. Neurosci. Methods 211:245 (nSTAT).
    """
    content = _read_matlab(data, "rat_open_field/PlaceCellDataAnimal1.mat", "the nSTAT toolbox's example data")
    spikes = {
        index: np.sort(np.atleast_1d(unit.spikeTimes).astype(np.float64))
        for index, unit in enumerate(np.atleast_1d(content["neuron"]))
    }
    values = np.column_stack([content["x"], content["y"]]).astype(np.float64)
    return Recording("rat", spikes, None, np.asarray(content["time"], dtype=np.float64), values, ("x", "y"))


def load_monkey(data: Path | None = None, day: int = 0) -> Recording:
    """Wrist force of a monkey: 96 channels of M1 in 50 ms bins, on day 0 or day 16.

    Source: Farshchian et al. 2019, ICLR (SachsLab/IntracranialNeurophysDL).
    """
    content = _read_matlab(data, f"monkey_wrist_force/Day{day}.mat", "SachsLab/IntracranialNeurophysDL on GitHub")
    binned = content["binnedData"]
    # Rates are exact multiples of 20 Hz: one spike in a bin of 50 ms.
    counts = np.rint(np.asarray(binned.spikeratedata, dtype=np.float64) * MONKEY_BIN)
    centres = (np.arange(len(counts)) + 0.5) * MONKEY_BIN
    values = np.asarray(binned.forcedatabin, dtype=np.float64)
    name = "monkey" if day == 0 else f"monkey_day{day}"
    return Recording(name, None, (counts, centres, MONKEY_BIN), centres, values, ("force x", "force y"))


def load_monkey_day16(data: Path | None = None) -> Recording:
    """Day 16 of the monkey recording, see :func:`load_monkey`."""
    return load_monkey(data, day=16)


LOADERS: dict[str, Callable[[Path | None], Recording]] = {
    "mouse": load_mouse,
    "rat": load_rat,
    "monkey": load_monkey,
    "monkey_day16": load_monkey_day16,
}


def load(name: str, data: Path | str | None = None) -> Recording:
    """Load one recording by its name.

    Parameters
    ----------
    name : str
        A key of ``LOADERS``.
    data : Path or str, optional
        Folder of the recordings that are not shipped. Default: ``shared/data`` beside the repository.

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If the recording isn't in the folder.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown recording {name!r}, expected one of {', '.join(LOADERS)}")
    return LOADERS[name](None if data is None else Path(data))


def split(recording: Recording, fraction: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Split the samples in two at one moment: the first ``fraction`` to train on, the rest to test.

    Returns
    -------
    train, test : ndarray of bool, shape (n_samples,)
    """
    index = np.arange(len(recording.times))
    train = index < round(fraction * len(index))
    return train, ~train


def validation_split(recording: Recording, fraction: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """The same split once more inside the training part, so that a choice made by it never sees the held-out end."""
    outer, _ = split(recording, fraction)
    train, _ = split(recording, fraction * fraction)
    return train, outer & ~train


def _read_matlab(data: Path | None, relative: str, origin: str) -> dict:
    from scipy.io import loadmat

    path = (data or DEFAULT_DATA) / relative
    if not path.is_file():
        raise FileNotFoundError(f"{relative} isn't in the data folder (from {origin}): pass the folder with --data")
    return loadmat(path, squeeze_me=True, struct_as_record=False)
