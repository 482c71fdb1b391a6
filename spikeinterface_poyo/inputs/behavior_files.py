"""Behaviour in files, by path: ``.npz`` and NWB."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from os import PathLike
from pathlib import Path

import numpy as np

from ..measures import known_unit
from ..paths import as_path
from ..sessions.signals import Signal, n_outputs_of
from .behavior_in import as_signal
from .nwb_in import read_nwb_behavior
from .values import as_values

ARRAYS = {"times", "values", "units", "names"}  # of a .npz
# What reading an archive may raise: NotImplementedError for unknown compression, RuntimeError for what is encrypted.
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)


def read_behavior(path: str | PathLike[str], series: str | None = None) -> Signal:
    """One behaviour signal from a file.

    Parameters
    ----------
    path : str or path
        A ``.npz`` with ``times`` (n,) in seconds, ``values`` (n,) or (n, n_outputs), and perhaps ``units``, a string,
        and ``names``, one an output; or an NWB file. Values that are text are labels, unknown where empty.
    series : str, optional
        Name of the time series in an NWB file; see `read_nwb_behavior`.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where it is of another kind or does not hold what is expected.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no behaviour at {path}: there is no such file")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        if series is not None:
            raise ValueError(f"series={series!r} names a time series in an NWB file; {path.name} is none")
        return as_signal(read_npz(path))
    if suffix in (".nwb", ".h5"):
        return as_signal(read_nwb_behavior(path, series))
    raise ValueError(f"behaviour must be a .npz or an NWB file, got {path.name}")


def read_npz(path: Path) -> Signal:
    """Signal of an archive of arrays."""
    arrays = arrays_of(path)
    if not {"times", "values"} <= set(arrays) or not set(arrays) <= ARRAYS:
        raise ValueError(f"{path} must hold the arrays times and values, and may hold units and names; it holds "
                         f"{sorted(arrays)}")  # fmt: skip
    times, values = arrays["times"], arrays["values"]
    units = sorted({str(unit) for unit in np.atleast_1d(arrays["units"])}) if "units" in arrays else [None]
    names = tuple(map(str, np.atleast_1d(arrays["names"]))) if "names" in arrays else None
    if times.dtype.kind not in "iuf" or values.dtype.kind not in "biufUS":
        raise ValueError(f"times of {path} must be numbers, and values numbers or text; got {times.dtype} and "
                         f"{values.dtype}")  # fmt: skip
    if times.ndim != 1 or values.ndim not in (1, 2) or len(times) != len(values):
        raise ValueError(f"times and values of {path} must have shapes (n,) and (n,) or (n, n_outputs); got "
                         f"{times.shape} and {values.shape}")  # fmt: skip
    n_outputs = n_outputs_of(values)
    if len(units) != 1 or (names is not None and len(names) != n_outputs):
        raise ValueError(f"{path} must hold one unit of measure, and names for its {n_outputs} output(s); it holds "
                         f"units {units} and names {names}")  # fmt: skip
    return Signal(times.astype(np.float64), as_values(values), known_unit(units[0], path.name), names)


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive, by name.

    Raises
    ------
    ValueError
        Where it is damaged, or something else, or holds Python's objects.
    """
    damaged = f"{path} is damaged, or no archive of arrays"
    try:  # what is no archive NumPy would take for an array or a pickle
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive}
    except UNREADABLE as error:
        raise ValueError(f"{damaged}: {error}") from error
    except ValueError as error:
        if "Object arrays" not in str(error):  # NumPy's advice for what it cannot read is to unpickle it
            raise ValueError(damaged) from error
        raise ValueError(f"{path} holds Python's objects, which are never unpickled; write labels as text, unknown "
                         "ones as ''") from error  # fmt: skip
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError(damaged)
    return arrays
