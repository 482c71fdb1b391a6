"""Importance of units beside SpikeInterface's metrics, and as properties of a sorting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from spikeinterface.core import SortingAnalyzer

from ..inputs.unit_properties import metrics_of
from .extension import NAME

if TYPE_CHECKING:
    import pandas as pd


def get_unit_metrics(sorting_analyzer: SortingAnalyzer) -> pd.DataFrame:
    """All metrics of an analyzer's units in one table, the importance for decoding among them.

    SpikeInterface's ``get_metrics_extension_data`` knows its own extensions only; this joins its table with columns
    that begin with ``poyo_``. Needs pandas.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed.

    Returns
    -------
    pandas.DataFrame
        One row a unit.

    Raises
    ------
    ValueError
        Where the importance was not computed.
    """
    table = metrics_of(sorting_analyzer)
    for name, values in importance_columns(sorting_analyzer).items():
        table[name] = values
    return table


def set_unit_properties(sorting_analyzer: SortingAnalyzer) -> None:
    """Set the importance of units as properties of the analyzer's sorting, which SpikeInterface's tools show.

    They are called as the columns of `get_unit_metrics`, and are saved with the analyzer.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed.

    Raises
    ------
    ValueError
        Where the importance was not computed.
    """
    for name, values in importance_columns(sorting_analyzer).items():
        sorting_analyzer.set_sorting_property(name, values, save=not sorting_analyzer.is_read_only())


def importance_columns(sorting_analyzer: SortingAnalyzer) -> dict[str, np.ndarray]:
    """Importance of units by column name.

    Raises
    ------
    ValueError
        Where it was not computed.
    """
    extension = sorting_analyzer.get_extension(NAME)
    importance = None if extension is None else extension.get_importance()
    if importance is None:
        raise ValueError(f"the analyzer has no importance of units; compute it with analyzer.compute({NAME!r}, "
                         "behavior=...)")  # fmt: skip
    return {f"poyo_{name}": importance[name] for name in importance.dtype.names}
