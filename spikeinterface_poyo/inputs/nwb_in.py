"""NWB in: behaviour and trials by name, from a file or from pynwb objects, with their units of measure and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..extras import needed
from ..measures import known_unit
from ..paths import as_path, is_path
from ..recognition import is_a
from ..sessions.signals import Signal
from .epochs_in import as_intervals

# Time series that hold no behaviour: raw data of electrodes and cameras, text, marks of begin and end.
NOT_BEHAVIOR = ("ElectricalSeries", "ImageSeries", "AnnotationSeries", "IntervalSeries")


def read_nwb_behavior(source: Any, name: str | Sequence[str] | None = None) -> Signal:
    """Behaviour from an NWB file, by name: what ``fit``, ``score`` and `align` take as behaviour.

    Parameters
    ----------
    source : str, path, NWBFile, or container of time series
        Path of an NWB file (HDF5), or a pynwb object, such as a file or ``nwbfile.processing["behavior"]``.
    name : str or list of str, optional
        Name of the ``TimeSeries`` or ``SpatialSeries``, or of the container that holds only one, in acquisition or
        processing; the end of its path (``"Position/led0"``) where names repeat. May be omitted where there is one.
        Series of a list, such as ``["x", "y"]``, become the outputs of one behaviour.

    Returns
    -------
    Signal
        Times in seconds on the file's clock, which is that of its spikes, and values with conversion and offset
        applied, in the unit of measure that the file states.

    Raises
    ------
    ValueError
        Where there is no such series, or more than one: the message lists them; or where the series of a list differ
        in times or unit of measure.

    Examples
    --------
    >>> velocity = read_nwb_behavior("session.nwb", "hand_velocity")  # doctest: +SKIP
    """
    with opened(source) as container:
        if name is None or isinstance(name, str):
            return from_series(find_series(container, name))
        return as_outputs({one: from_series(find_series(container, one)) for one in name})


def read_nwb_epochs(source: Any, name: str = "trials") -> np.ndarray:
    """Intervals of an NWB file, by name: what ``epochs=`` takes.

    For some of the rows, hand over a table: ``epochs=nwbfile.trials.to_dataframe().query("correct")``.

    Parameters
    ----------
    source : str, path or NWBFile
        Path of an NWB file (HDF5), or pynwb's object of it.
    name : str, default: "trials"
        Name of the ``TimeIntervals`` table: "trials", "epochs", "invalid_times", or one in ``nwbfile.intervals``.

    Returns
    -------
    ndarray, shape (n, 2)
        Start and stop in seconds, ascending, disjoint.

    Raises
    ------
    ValueError
        Where there is no such table: the message lists those that there are.
    """
    with opened(source) as file:
        common = {key: getattr(file, key) for key in ("trials", "epochs", "invalid_times")}
        tables = {key: table for key, table in common.items() if table is not None} | dict(file.intervals)
        if name not in tables:
            raise ValueError(f"the NWB file has no intervals {name!r}; it has {sorted(tables)}")
        return as_intervals(tables[name])


@contextmanager
def opened(source: Any) -> Iterator[Any]:
    """The file at a path, closed again afterwards; a pynwb object as it is."""
    if not is_path(source):
        yield source
        return
    with needed("nwb", "reading an NWB file"):
        import pynwb
    with pynwb.NWBHDF5IO(str(as_path(source)), mode="r", load_namespaces=True) as io:
        yield io.read()


def find_series(container: Any, name: str | None = None) -> Any:
    """The time series of that name in a pynwb object; without a name its only one, or its only one of behaviour."""
    found = dict(time_series(container))
    if name is None:
        behavior = {path: series for path, series in found.items() if path.startswith("processing/behavior/")}
        matches = behavior or found
    else:
        ends = {path: series for path, series in found.items() if f"/{path}".endswith(f"/{name}")}
        matches = ends or {path: series for path, series in found.items() if f"/{name}/" in f"/{path}"}
    if len(matches) == 1:
        return next(iter(matches.values()))
    wanted = "one behaviour" if name is None else repr(name)
    others = "" if matches.keys() == found.keys() else f": {sorted(found)}"
    raise ValueError(
        f"expected {wanted} in the NWB {type(container).__name__}, found {sorted(matches) or 'none'}; name one with "
        f"read_nwb_behavior(source, name){others}"
    )


def time_series(container: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, time series) of all in a pynwb object that may be behaviour."""
    if is_a(container, "pynwb", "NWBFile"):
        for place in ("acquisition", "processing"):
            for name, child in getattr(container, place).items():
                yield from time_series(child, f"{place}/{name}")
    elif is_a(container, "pynwb", "TimeSeries"):
        if not is_a(container, "pynwb", *NOT_BEHAVIOR):
            yield path or container.name, container
    else:
        for child in container.children:
            yield from time_series(child, f"{path}/{child.name}".lstrip("/"))


def from_series(series: Any) -> Signal:
    """Pynwb ``TimeSeries``: its timestamps, or starting time and rate; conversion and offset applied."""
    data = np.asarray(series.data[:])
    if data.dtype.kind not in "biuf":
        raise ValueError(f"the NWB series {series.name!r} must hold numbers, it holds {data.dtype}")
    data = data.astype(np.float64)
    if series.timestamps is not None:
        times = np.asarray(series.timestamps[:], dtype=np.float64)
    else:
        times = series.starting_time + np.arange(len(data)) / series.rate
    if data.ndim not in (1, 2) or len(times) != len(data):
        raise ValueError(
            f"the NWB series {series.name!r} must have data of shape (n,) or (n, n_outputs) and n timestamps; it has "
            f"{data.shape} and {len(times)}"
        )
    return Signal(
        times, data * series.conversion + series.offset, known_unit(series.unit, f"the NWB series {series.name!r}")
    )


def as_outputs(signals: Mapping[str, Signal]) -> Signal:
    """One signal with each of these, one-dimensional, as an output."""
    if not signals:
        raise ValueError("got an empty list of names; expected at least one")
    first = next(iter(signals.values()))
    for name, signal in signals.items():
        if signal.values.ndim != 1 or signal.units != first.units or not np.array_equal(signal.times, first.times):
            raise ValueError(
                f"the NWB series {list(signals)} cannot be outputs of one behaviour: they must have one value a time, "
                f"the same times and the same unit of measure; {name!r} does not go with {next(iter(signals))!r}"
            )
    values = np.column_stack([signal.values for signal in signals.values()])
    return Signal(first.times, values, first.units, tuple(signals))
