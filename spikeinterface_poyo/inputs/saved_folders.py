"""Folders by path: sortings that SpikeInterface saved, read as plain data.

SpikeInterface's own loading unpickles properties that are Python objects, and makes objects of whatever class a file of
JSON names. A folder may come from anyone, so here only arrays and plain data are read of it, and what takes more is
refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..sessions.session import Session
from ..warning import warn
from .spikeinterface_in import from_saved, from_spikeinterface
from .unit_properties import plain_columns

INFO, SPIKES = "numpysorting_info.json", "spikes.npy"  # of the ``numpy_folder`` format, SpikeInterface's default
OLDER = "sorting_cached.npz"  # of the ``npz_folder`` format


def from_folder(folder: Path) -> Session:
    """The sorting in a folder; of ``numpy_folder`` format, its spikes stay on disk.

    Raises
    ------
    ValueError
        Where it is no folder of a saved sorting, or is damaged.

    Warns
    -----
    UserWarning
        Of properties that are left out, since they would have to be unpickled.
    """
    if not folder.is_dir():
        why = "is a file: open it with a SpikeInterface extractor or pynwb" if folder.exists() else "does not exist"
        raise ValueError(f"{str(folder)!r} {why}; a path is that of a folder in which SpikeInterface saved a sorting")
    try:
        if (folder / INFO).is_file():
            info = json.loads((folder / INFO).read_bytes())
            spikes = np.load(folder / SPIKES, mmap_mode="r", allow_pickle=False)
            unit_ids, rate = np.array(info["unit_ids"]), float(info["sampling_frequency"])
            return from_saved(spikes, unit_ids, info["num_segments"], rate, properties_in(folder))
        if (folder / OLDER).is_file():
            return from_npz(folder)
        if (folder / ".zattrs").is_file():
            return from_zarr(folder)
    except Exception as error:  # of any kind: files are missing, or cut
        raise ValueError(f"the sorting saved in {str(folder)!r} cannot be read: {type(error).__name__}: "
                         f"{error}") from error  # fmt: skip
    raise ValueError(f"{str(folder)!r} is not the folder of a saved sorting, which is all that is opened by path. Of "
                     "an analyzer or a sorter's output, give what spikeinterface.load(folder) returns; that may run "
                     "what is in the folder, so trust who made it")  # fmt: skip


def from_npz(folder: Path) -> Session:
    """A folder of ``npz_folder`` format."""
    from spikeinterface.core import NpzSortingExtractor

    return replace(from_spikeinterface(NpzSortingExtractor(folder / OLDER)), properties=properties_in(folder))


def from_zarr(folder: Path) -> Session:
    """A sorting saved as Zarr.

    Raises
    ------
    ValueError
        Where it is something else, or an array of it is pickled.
    """
    from spikeinterface.core.zarrextractors import ZarrSortingExtractor, super_zarr_open

    root = super_zarr_open(folder, mode="r")
    if "spikeinterface_info" in root.attrs:
        raise ValueError("it is no sorting but an analyzer: give what spikeinterface.load(folder) returns")
    for name, array in arrays_of(root):
        if any(getattr(codec, "codec_id", None) == "pickle" for codec in (*(array.filters or ()), array.compressor)):
            raise ValueError(f"its array {name!r} is pickled, and nothing is unpickled")
    return from_spikeinterface(ZarrSortingExtractor(folder))


def arrays_of(group: Any) -> Iterator[tuple[str, Any]]:
    """Yield all arrays of a group of Zarr, with their names, at any depth."""
    yield from group.arrays()
    for _, inner in group.groups():
        yield from arrays_of(inner)


def properties_in(folder: Path) -> dict[str, np.ndarray]:
    """Properties of units that a folder holds as plain arrays."""
    columns, left = {}, []
    for file in sorted((folder / "properties").glob("[!.]*.npy")):
        try:
            columns[file.stem] = np.load(file, allow_pickle=False)
        except ValueError:
            left.append(file.stem)
    if left:
        warn(f"the properties {left} in {str(folder)!r} are pickled Python objects and left out, since nothing is "
             "unpickled; if you trust who made it, give spikeinterface.load(folder), which reads them")  # fmt: skip
    return plain_columns(columns)
