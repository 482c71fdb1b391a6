"""Properties of units: what sortings and analyzers know of each, as plain arrays that ride with a session."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..extras import needed
from ..warning import warn


def of_sorting(sorting: Any) -> dict[str, np.ndarray]:
    """Properties of a SpikeInterface sorting that are one value a unit."""
    return plain_columns({str(key): sorting.get_property(key) for key in sorting.get_property_keys()})


def of_analyzer(analyzer: Any) -> dict[str, np.ndarray]:
    """Properties of the analyzer's sorting, and its quality, template and spike train metrics, which come first."""
    properties = of_sorting(analyzer.sorting)
    if find_spec("pandas") is None:  # then no metrics can have been computed here
        return properties
    return properties | of_table(metrics_of(analyzer))


def metrics_of(analyzer: Any) -> Any:
    """SpikeInterface's table of an analyzer's metrics, with one row a unit.

    Where it is read from a folder, ids such as "001" have become numbers: then rows go by their place.

    Warns
    -----
    UserWarning
        Where units have no row, or some rows have no unit.
    """
    with needed("pandas", "a table of metrics"):
        table = analyzer.get_metrics_extension_data()
    missing = [str(unit) for unit in analyzer.unit_ids if unit not in table.index]
    if missing and len(table) == len(analyzer.unit_ids):
        return table.set_axis(analyzer.unit_ids)
    if len(table) and (missing or len(table) > len(analyzer.unit_ids)):
        warn("the analyzer's metrics are partly of units of other ids, as where SpikeInterface read ids such as '001' "
             "from a folder as numbers; compute all metrics again, or rename the units")  # fmt: skip
    return table.reindex(analyzer.unit_ids)


def of_table(frame: Any) -> dict[str, np.ndarray]:
    """Columns of a pandas table with one row a unit."""
    columns = frame.astype(object).where(frame.notna(), None)  # nullable dtypes have a missing value of their own
    return plain_columns({str(name): column.to_numpy() for name, column in columns.items()})


def of_nwb_units(units: Any) -> dict[str, np.ndarray]:
    """Columns of an NWB ``Units`` table that are one value a unit."""
    plain = [name for name in units.colnames if type(units[name]).__name__ == "VectorData"]
    return plain_columns({name: units[name].data[:] for name in plain})


def plain_columns(columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """One-dimensional columns as arrays of numbers, truth values or text; others are left out."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    plain = {name: plain_array(values) for name, values in arrays.items() if values.ndim == 1}
    return {name: values for name, values in plain.items() if values is not None}


def plain_array(values: np.ndarray) -> np.ndarray | None:
    """Array without objects; numbers with gaps are NaN there, text with gaps is empty. None where it holds others."""
    if values.dtype.kind in "biufU":
        return values
    missing = np.array([value is None or (isinstance(value, float) and value != value) for value in values], dtype=bool)
    if not all(isinstance(value, (str, bool, int, float, np.generic)) for value in values[~missing]):
        return None  # such as references to an electrode group
    if not missing.any() and all(isinstance(value, (bool, np.bool_)) for value in values):
        return values.astype(bool)
    if not any(isinstance(value, str) for value in values[~missing]):  # "001" is a name
        with suppress(TypeError, ValueError):
            return np.where(missing, np.nan, values).astype(np.float64)
    return np.array(["" if gap else str(value) for value, gap in zip(values, missing, strict=True)])
