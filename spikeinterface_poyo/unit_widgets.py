"""Pictures of units: what each is worth for decoding, and how their embeddings lie; see `widgets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from spikeinterface.core import SortingAnalyzer
from spikeinterface.widgets.base import BaseWidget, to_attr

from .postprocessing.extension import NAME
from .postprocessing.unit_metrics import get_unit_metrics, importance_columns
from .widgets import DECODED_COLOR, DecodingWidget

MOST_TICKS = 80  # units that can be told apart along an axis
CYCLE = 10  # colours that matplotlib gives in turn
ROWS_OF_LEGEND = 20
NO_TEXT = "(none)"
SIGNIFICANT = 0.05  # adjusted p value below which a unit is drawn in colour
EFFECTS = {"shifted": "spikes shifted in time", "silenced": "unit silenced"}


def importance_data(sorting_analyzer: SortingAnalyzer, effect: str) -> dict[str, Any]:
    """Drop in skill and adjusted p value of each unit."""
    if effect not in EFFECTS:
        raise ValueError(f"effect must be one of {list(EFFECTS)}, got {effect!r}")
    columns = importance_columns(sorting_analyzer)
    skill = "R²" if sorting_analyzer.get_extension(NAME).classes is None else "Brier skill"
    return {
        "unit_ids": sorting_analyzer.unit_ids,
        "drop": columns[f"poyo_{effect}"],
        "p": columns[f"poyo_{effect}_p_adjusted"],
        "label": f"drop in held-out {skill},\n{EFFECTS[effect]}",
    }


class UnitImportanceWidget(DecodingWidget):
    """Drop in held-out skill of each unit as bars, the largest first; in colour where its adjusted p is below 0.05.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed.
    effect : {"shifted", "silenced"}, default: "shifted"
        What was done to each unit.
    max_units : int, default: 40
        Show so many units at most.
    """

    def __init__(
        self,
        sorting_analyzer: SortingAnalyzer,
        effect: Literal["shifted", "silenced"] = "shifted",
        max_units: int = 40,
        backend: str | None = None,
        **backend_kwargs: Any,
    ) -> None:
        self.find(sorting_analyzer)
        if not isinstance(max_units, (int, np.integer)) or max_units < 1:
            raise ValueError(f"max_units must be a whole number above zero, got {max_units!r}")
        plot_data = importance_data(sorting_analyzer, effect) | {"max_units": max_units}
        BaseWidget.__init__(self, plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: dict[str, Any], **backend_kwargs: Any) -> None:
        """Draw."""
        dp = to_attr(data_plot)
        (ax,) = self.make_axes(**backend_kwargs)
        order = np.argsort(-np.nan_to_num(dp.drop, nan=-np.inf), kind="stable")
        order = order[np.isfinite(dp.drop[order])][: dp.max_units]
        colors = np.where(dp.p[order] < SIGNIFICANT, DECODED_COLOR, "0.7")
        ax.bar(np.arange(len(order)), dp.drop[order], color=colors)
        ax.axhline(0, color="k", lw=0.8)
        some = np.arange(0, len(order), -(-len(order) // MOST_TICKS) or 1)
        ax.set_xticks(some, [str(dp.unit_ids[order[i]]) for i in some], rotation=90)
        ax.set(xlabel="unit", ylabel=dp.label)
        shown = "" if len(order) == len(dp.drop) else f"{len(order)} of {len(dp.drop)} units; "
        ax.set_title(f"{shown}red: adjusted p < {SIGNIFICANT}", fontsize="medium")


class UnitImportanceMapWidget(DecodingWidget):
    """Drop in held-out skill of each unit at its place on the probe. Needs ``unit_locations``.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` and ``unit_locations`` computed.
    effect : {"shifted", "silenced"}, default: "shifted"
        What was done to each unit.
    """

    def __init__(
        self,
        sorting_analyzer: SortingAnalyzer,
        effect: Literal["shifted", "silenced"] = "shifted",
        backend: str | None = None,
        **backend_kwargs: Any,
    ) -> None:
        self.find(sorting_analyzer)
        self.check_extensions(sorting_analyzer, "unit_locations")
        plot_data = importance_data(sorting_analyzer, effect) | {
            "locations": sorting_analyzer.get_extension("unit_locations").get_data()[:, :2],
            "channels": sorting_analyzer.get_channel_locations(),
        }
        BaseWidget.__init__(self, plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: dict[str, Any], **backend_kwargs: Any) -> None:
        """Draw."""
        dp = to_attr(data_plot)
        (ax,) = self.make_axes(**backend_kwargs)
        ax.scatter(*dp.channels.T, marker="s", s=30, color="0.85", label="channels")
        known = np.isfinite(dp.drop)
        drop, places = dp.drop[known], dp.locations[known]
        top = max(float(drop.max(initial=0)), 1e-6)
        order = np.argsort(drop)  # what matters is drawn last, on top
        size = 20 + 180 * np.clip(drop / top, 0, 1)
        points = ax.scatter(
            *places[order].T, c=np.clip(drop[order], 0, None), s=size[order], vmin=0, vmax=top, cmap="viridis",
            edgecolors="k", linewidths=0.5,
        )  # fmt: skip
        self.figure.colorbar(points, ax=ax, label=dp.label)
        ax.set(xlabel="x (µm)", ylabel="y (µm)")
        ax.set_aspect("equal", adjustable="datalim")


class UnitEmbeddingWidget(DecodingWidget):
    """Unit embeddings on their first two principal components, coloured by a property.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed.
    color_by : str, optional
        A numerical or text property of the sorting, or a column of `get_unit_metrics` (needs pandas); firing rates
        where omitted.
    """

    def __init__(
        self,
        sorting_analyzer: SortingAnalyzer,
        color_by: str | None = None,
        backend: str | None = None,
        **backend_kwargs: Any,
    ) -> None:
        extension = self.find(sorting_analyzer)
        label, values = unit_values(sorting_analyzer, color_by)
        embeddings = np.asarray(extension.data["unit_embeddings"][:])
        known = np.isfinite(embeddings).all(axis=1)
        if known.sum() < 3:
            raise ValueError(f"a map needs the embeddings of at least 3 units; there are {known.sum()}")
        centred = embeddings[known] - embeddings[known].mean(axis=0)
        left, scale, _ = np.linalg.svd(centred, full_matrices=False)
        plot_data = {
            "places": left[:, :2] * scale[:2],
            "shares": scale[:2] ** 2 / (scale**2).sum(),
            "values": values[known],
            "label": label,
        }
        BaseWidget.__init__(self, plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: dict[str, Any], **backend_kwargs: Any) -> None:
        """Draw."""
        dp = to_attr(data_plot)
        (ax,) = self.make_axes(**backend_kwargs)
        if dp.values.dtype.kind in "fiub":
            points = ax.scatter(*dp.places.T, c=dp.values.astype(float), cmap="viridis", edgecolors="k", linewidths=0.5)
            self.figure.colorbar(points, ax=ax, label=dp.label)
        else:
            text = dp.values.astype(str)
            known = np.unique(text).tolist()
            colors = colors_of(len(known))
            points = [ax.scatter(*dp.places[text == value].T, color=color, edgecolors="k", linewidths=0.5)
                      for value, color in zip(known, colors, strict=True)]  # fmt: skip
            ax.legend(points, [value or NO_TEXT for value in known], title=dp.label, loc="upper left",
                      bbox_to_anchor=(1, 1), frameon=False, ncols=-(-len(known) // ROWS_OF_LEGEND))  # fmt: skip
        first, second = (f"{100 * share:.0f} % of variance" for share in dp.shares)
        ax.set(xlabel=f"first component ({first})", ylabel=f"second component ({second})", title="unit embeddings")


def colors_of(n: int) -> Sequence[Any]:
    """Colours of ``n`` groups, no two alike."""
    from matplotlib import colormaps

    return [f"C{i}" for i in range(n)] if n <= CYCLE else list(colormaps["turbo"](np.linspace(0.05, 0.95, n)))


def unit_values(sorting_analyzer: SortingAnalyzer, color_by: str | None) -> tuple[str, np.ndarray]:
    """Label and value of each unit of what is asked for."""
    from .inputs.spikes_in import as_session
    from .inputs.unit_properties import of_sorting
    from .sessions.units import firing_rates

    if color_by is None:
        return "firing rate (Hz)", firing_rates(as_session(sorting_analyzer))
    properties = of_sorting(sorting_analyzer.sorting)
    if sorting_analyzer.has_extension(NAME) and color_by.startswith("poyo_"):  # without pandas too
        properties |= importance_columns(sorting_analyzer)
    if color_by in properties:
        return color_by, properties[color_by]
    table = get_unit_metrics(sorting_analyzer)
    if color_by not in table:
        known = sorted({*properties, *table.columns})
        raise ValueError(f"color_by={color_by!r} is no property and no metric of the units; there are {known}")
    return color_by, table[color_by].to_numpy()


plot_unit_importance = UnitImportanceWidget
plot_unit_importance_map = UnitImportanceMapWidget
plot_unit_embeddings = UnitEmbeddingWidget
