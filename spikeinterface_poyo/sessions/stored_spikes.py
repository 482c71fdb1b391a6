"""Spikes that stay on disk: arrays of times and units that read a saved sorting's records only where they are asked.

SpikeInterface's saved folder holds one structured array of (sample_index, unit_index, segment_index), in order of time,
that can be mapped into memory. What is read of it is bit for bit what reading all of it gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from .session import NO_UNIT, Segment

RECORDS_AT_ONCE = 200_000  # where many are read, one chunk after the other
PLACES_TO_COMPARE, RECORDS_A_PLACE = 16, 64  # evenly spaced: each may be a page of the disk to read


class MappedFile:
    """The array in a ``.npy``, mapped into memory."""

    def __init__(self, file: Path) -> None:
        self.array = np.load(file, mmap_mode="r")

    @cached_property
    def digest(self) -> str:
        """Of the number and a thousand of the records: it tells most sortings apart without reading them."""
        first = np.linspace(0, max(len(self.array) - RECORDS_A_PLACE, 0), PLACES_TO_COMPARE).astype(np.int64)
        index = np.minimum(first[:, None] + np.arange(RECORDS_A_PLACE), len(self.array) - 1)
        some = self.array[index] if len(self.array) else self.array
        return sha256(repr((self.array.dtype, len(self.array))).encode() + some.tobytes()).hexdigest()[:12]


_mapped: WeakValueDictionary[tuple[Path, int, int, int], MappedFile] = WeakValueDictionary()


def mapped_file(file: Path) -> MappedFile:
    """The file as it is now, mapped once for all who read it: each mapping holds it open."""
    status = file.stat()
    version = (file, status.st_ino, status.st_size, status.st_mtime_ns)
    mapped = _mapped.get(version)
    if mapped is None:
        mapped = _mapped[version] = MappedFile(file)
    return mapped


@dataclass(frozen=True)
class StoredRecords:
    """Records ``first`` to ``past`` of the array in ``file``, a ``.npy``; pickled by name, opened when read.

    ``digest`` is that of the array (`MappedFile.digest`).

    Raises
    ------
    ValueError
        Where another array is in the file when it is opened.
    """

    file: Path
    first: int
    past: int
    digest: str

    @cached_property
    def whole(self) -> MappedFile:
        """The file."""
        mapped = mapped_file(self.file)
        if mapped.digest != self.digest:
            raise ValueError(f"the spikes in {self.file} are not those that were there when its sorting was given: "
                             "another was saved in their place; give that to align, fit or predict")  # fmt: skip
        return mapped

    @cached_property
    def mapped(self) -> np.ndarray:
        """The records, mapped into memory."""
        return np.asarray(self.whole.array[self.first : self.past])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("whole", "mapped")}

    def __len__(self) -> int:
        return self.past - self.first


class StoredArray(np.lib.mixins.NDArrayOperatorsMixin):
    """What looks like a one-dimensional array and becomes one, wholly, where more is asked than elements of it."""

    records: StoredRecords

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = (np.asarray(value) if isinstance(value, StoredArray) else value for value in inputs)
        return getattr(ufunc, method)(*arrays, **options)


@dataclass(frozen=True, eq=False)
class StoredTimes(StoredArray):
    """Float64 seconds of records: sample index over sampling rate (Hz), plus ``t_start`` (s).

    Raises
    ------
    ValueError
        Where those that are asked for are not in order.
    """

    records: StoredRecords
    rate: float
    t_start: float

    def __getitem__(self, index: Any) -> Any:
        frames = self.records.mapped["sample_index"][index]
        if np.ndim(frames):
            back = frames[1:] < frames[:-1]
            if back.any() and (back & neighbours(index)).any():
                raise ValueError(
                    f"the spikes in {self.records.file} are not in order of time, in which they are looked up; give "
                    "spikeinterface.load(folder).to_numpy_sorting(), which is put in order"
                )
        return self.seconds(frames)

    def seconds(self, frames: Any) -> Any:
        """Times of sample indices, as SpikeInterface has them."""
        return frames / self.rate + self.t_start

    def searchsorted(self, seconds: Any) -> np.ndarray:
        """As of ``ndarray``: the number of earlier spikes."""
        seconds = np.asarray(seconds, dtype=np.float64)
        frames = self.records.mapped["sample_index"]
        if len(frames) == 0:
            return np.zeros(seconds.shape, dtype=np.int64)
        # The first sample at that time or later, which rounding may put one too high or too low.
        guess = np.ceil((seconds - self.t_start) * self.rate).clip(float(frames[0]), float(frames[-1]) + 1)
        sample = guess.astype(np.int64)
        sample -= self.seconds(sample - 1) >= seconds
        sample += self.seconds(sample) < seconds
        return np.searchsorted(frames, sample)


@dataclass(frozen=True, eq=False)
class StoredUnits(StoredArray):
    """Unit indices of records, int32; of spikes at one moment in ascending order, within what is asked for at once.

    ``numbers``, where given, are what to call each unit of the file.
    """

    records: StoredRecords
    numbers: np.ndarray | None = None

    def __getitem__(self, index: Any) -> Any:
        frames, units = self.records.mapped["sample_index"][index], self.records.mapped["unit_index"][index]
        if np.ndim(units):
            together = (frames[:-1] == frames[1:]) & neighbours(index)
            sort_together(units := units.astype(np.int32), together)
        return units if self.numbers is None else self.numbers[units]

    def renumbered(self, keep: np.ndarray) -> StoredUnits:
        """The same without the units where ``keep`` is False, whose spikes become those of `NO_UNIT`."""
        numbers = np.where(keep, np.cumsum(keep) - 1, NO_UNIT).astype(np.int32)
        if self.numbers is not None:
            numbers = np.where(self.numbers == NO_UNIT, NO_UNIT, numbers[self.numbers])
        return replace(self, numbers=numbers)


def neighbours(index: Any) -> Any:
    """Whether each element that ``index`` takes of an array is followed by the one that follows it there."""
    if isinstance(index, slice):
        return index.step in (None, 1)
    return np.diff(np.flatnonzero(index) if np.asarray(index).dtype == bool else index) == 1


def sort_together(units: np.ndarray, together: np.ndarray) -> None:
    """Sort ``units`` (n,) in place within each run; ``together`` (n - 1,): whether the next one is of the same run."""
    if not (together & (units[:-1] > units[1:])).any():
        return
    runs = np.concatenate([[0], np.cumsum(~together)])
    in_run = np.zeros(len(units), dtype=bool)
    in_run[:-1] |= together
    in_run[1:] |= together
    some = np.flatnonzero(in_run)
    units[some] = units[some][np.lexsort((units[some], runs[some]))]


def stored_segment(file: Path, first: int, past: int, rate: float, t_start: float) -> Segment:
    """Segment of the records ``first`` to ``past`` of a saved sorting."""
    mapped = mapped_file(file)
    records = StoredRecords(file, first, past, mapped.digest)
    times = StoredTimes(records, rate, t_start)
    extent = (float(times[0]), float(times[-1])) if len(records) else (np.inf, -np.inf)
    return Segment(times, StoredUnits(records), *extent, clock="frames")  # type: ignore[arg-type]


def is_stored(segment: Segment) -> bool:
    """Whether the segment's spikes stay on disk."""
    return isinstance(segment.spike_times, StoredTimes)


def unit_chunks(segment: Segment) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Unit indices and weights of all spikes of a segment, in chunks: what is done with them takes little memory.

    Spikes may be on disk, or mapped into a worker of joblib, which is not to copy them.
    """
    for first in range(0, len(segment.spike_times), RECORDS_AT_ONCE):
        some = slice(first, first + RECORDS_AT_ONCE)
        yield segment.unit_index[some], None if segment.weights is None else segment.weights[some]
