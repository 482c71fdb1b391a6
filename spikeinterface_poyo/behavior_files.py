"""Behaviour in files, by path: ``.npz`` and NWB."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .behavior_in import Signal, as_signal
from .spikes_in import is_a

ARRAYS = {"times", "values", "units", "names"}  # of a .npz


def read_behavior(path: str | PathLike[str], series: str | None = None) -> Signal:
    """One behaviour signal from a file.

    Parameters
    ----------
    path : str or path
        A ``.npz`` with ``times`` (n,) in seconds, ``values`` (n,) or (n, n_outputs), and perhaps ``units``, a string,
        and ``names``, one an output; or an NWB file.
    series : str, optional
        Name of the time series in an NWB file, or ``<container>/<name>``; needed where there are several.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where it is of another kind or does not hold what is expected.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no behaviour at {path}: there is no such file")
    if path.suffix == ".npz":
        if series is not None:
            raise ValueError(f"series={series!r} names a time series in an NWB file; {path.name} is none")
        return as_signal(read_npz(path))
    if path.suffix in (".nwb", ".h5"):
        return as_signal(read_nwb(path, series))
    raise ValueError(f"behaviour must be a .npz or an NWB file, got {path.name}")


def read_npz(path: Path) -> Signal:
    """Signal of an archive of arrays."""
    with np.load(path, allow_pickle=False) as archive:
        if not {"times", "values"} <= set(archive) or not set(archive) <= ARRAYS:
            raise ValueError(f"{path} must hold the arrays times and values, and may hold units and names; it holds "
                             f"{sorted(archive)}")  # fmt: skip
        times, values = (np.asarray(archive[name], dtype=np.float64) for name in ("times", "values"))
        units = str(archive["units"]) if "units" in archive else None
        names = tuple(map(str, archive["names"])) if "names" in archive else None
    if times.ndim != 1 or values.ndim not in (1, 2) or len(times) != len(values):
        raise ValueError(f"times and values of {path} must have shapes (n,) and (n,) or (n, n_outputs); got "
                         f"{times.shape} and {values.shape}")  # fmt: skip
    return Signal(times, values, units, names)


def read_nwb(path: Path, series: str | None) -> Signal:
    """Signal of a time series in an NWB file, in the unit of measure that the file states."""
    import pynwb

    with pynwb.NWBHDF5IO(path, mode="r", load_namespaces=True) as io:
        found = dict(behavior_series(io.read()))
        wanted = [key for key in found if series is None or series in (key, key.rpartition("/")[2])]
        if len(wanted) != 1:
            given = "series= is needed to choose one" if series is None else f"got series={series!r}"
            raise ValueError(f"{path.name} holds the time series {sorted(found)}; {given}")
        return from_time_series(found[wanted[0]])


def behavior_series(file: Any) -> Iterator[tuple[str, Any]]:
    """Names and time series of an NWB file: under ``acquisition``, and in its processing module ``behavior``."""
    places = [file.acquisition.values()]
    if "behavior" in file.processing:
        places.append(file.processing["behavior"].data_interfaces.values())
    for place in places:
        for item in place:
            if is_a(item, "pynwb", "ElectricalSeries", "ImageSeries"):
                continue
            if is_a(item, "pynwb", "TimeSeries"):
                yield item.name, item
            elif hasattr(item, "spatial_series") or hasattr(item, "time_series"):
                inside = getattr(item, "spatial_series", None) or getattr(item, "time_series", None) or {}
                for name, value in inside.items():
                    yield f"{item.name}/{name}", value


def from_time_series(series: Any) -> Signal:
    """Signal of an NWB time series."""
    values = np.asarray(series.data[:], dtype=np.float64) * series.conversion + series.offset
    if series.timestamps is not None:
        times = np.asarray(series.timestamps[:], dtype=np.float64)
    else:
        times = series.starting_time + np.arange(len(values)) / series.rate
    return Signal(times, values, known_unit(series.unit))


def known_unit(unit: str) -> str | None:
    """A file's unit of measure as quantities writes it; None where it is no unit."""
    import quantities as pq

    try:
        return pq.Quantity(1.0, unit).dimensionality.string
    except (LookupError, ValueError, SyntaxError, TypeError):
        return None
