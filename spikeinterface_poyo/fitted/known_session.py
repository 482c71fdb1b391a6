"""One session that a decoder has learned, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class KnownSession:
    """One session that the decoder has learned.

    Parameters
    ----------
    unit_names : list of str
        Units in the order of their rows.
    first_unit_row, session_row : int
        Rows of the embedding tables.
    sample_interval : float or None
        Interval of the behaviour seen at fit, in seconds; None where it was irregular.
    clocks : list of str
        Source of each segment's clock at fit.
    isolated_rows : bool
        Whether it was an array of counts, read row by row.
    readouts : tuple of str
        Names of its behaviours, in the order of their columns.
    by_name : bool
        Whether its targets came by name, as several behaviours do; what is decoded is given likewise.
    silent_units : list of str
        Units without a spike at fit: known, but without a row, and not read.
    labelled_seconds : float or None
        Time that its labels cover; None where that is not known, as of rows of counts and after further training.
    paces : dict of str to float
        Rates, in 1/s, at which its numbers and angles change, by behaviour, as of `pace.pace_of`, where there is one.
    """

    unit_names: list[str]
    first_unit_row: int
    session_row: int
    sample_interval: float | None
    clocks: list[str]
    isolated_rows: bool
    readouts: tuple[str, ...]
    by_name: bool
    silent_units: list[str]
    labelled_seconds: float | None
    paces: dict[str, float] = field(default_factory=dict)

    @property
    def unit_rows(self) -> dict[str, int]:
        """Row of each unit."""
        return {unit: self.first_unit_row + i for i, unit in enumerate(self.unit_names)}
