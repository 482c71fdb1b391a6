"""Pictures of decoding, in SpikeInterface's manner: ``plot_...(analyzer, ax=...)``, which returns the widget.

They need matplotlib (``pip install 'spikeinterface_poyo[plot]'``) and, of an analyzer, ``poyo_decoding`` computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from spikeinterface.core import SortingAnalyzer
from spikeinterface.widgets.base import BaseWidget, to_attr

from .extras import needed
from .postprocessing.extension import NAME, ComputePOYODecoding

TRUE_COLOR, DECODED_COLOR = "0.6", "tab:red"
LINES: tuple[dict[str, Any], dict[str, Any]] = {"lw": 2}, {"lw": 1}  # true and decoded
MARKS = {"ls": "", "marker": "s", "ms": 7}, {"ls": "", "marker": "."}  # of labels, between which there is nothing


class DecodingWidget(BaseWidget):
    """Base of the widgets here: finds the extension, and the axes to draw on."""

    def make_figure(self, **options: Any) -> None:
        """Set ``figure``, ``axes`` and ``ax``; labels of a figure that was not given are kept inside it."""
        with needed("plot", "a picture"):
            from spikeinterface.widgets.utils_matplotlib import make_mpl_figure
        self.figure, self.axes, self.ax = make_mpl_figure(**options)
        if all(options[name] is None for name in ("figure", "ax", "axes")):
            self.figure.set_layout_engine("constrained")

    def find(self, sorting_analyzer: SortingAnalyzer) -> ComputePOYODecoding:
        """The analyzer's extension.

        Raises
        ------
        Exception
            SpikeInterface's own, where it is not computed.
        """
        sorting_analyzer = self.ensure_sorting_analyzer(sorting_analyzer)
        self.check_extensions(sorting_analyzer, NAME)
        return sorting_analyzer.get_extension(NAME)

    def make_axes(self, n_axes: int = 1, **backend_kwargs: Any) -> np.ndarray:
        """Axes (n_axes,), one below the other where there are several; sets ``figure``, ``axes`` and ``ax``."""
        if n_axes == 1:
            self.make_figure(**backend_kwargs)
            return np.array([self.ax if self.ax is not None else np.ravel(self.axes)[0]])
        if backend_kwargs["ax"] is not None:
            raise ValueError(f"there are {n_axes} outputs; give figure=, or axes= with as many, or outputs=[...]")
        self.make_figure(**{**backend_kwargs, "ncols": 1}, num_axes=n_axes)
        axes = np.ravel(self.axes)
        if len(axes) < n_axes:
            raise ValueError(f"there are {n_axes} outputs and {len(axes)} axes; give as many, or outputs=[...]")
        return axes[:n_axes]


def output_labels(extension: ComputePOYODecoding) -> list[str]:
    """Name and unit of measure of each output, for an axis."""
    behavior, n_outputs = extension.data["behavior"], extension.data["targets"].shape[1]
    names = behavior["names"] or (["behaviour"] if n_outputs == 1 else [f"output {i}" for i in range(n_outputs)])
    return [f"{name}{in_brackets(behavior['units'])}" for name in names]


def in_brackets(units: str | None) -> str:
    """Unit of measure behind a name, where there is one."""
    return "" if units in (None, "dimensionless") else f" ({units})"


def chosen_outputs(extension: ComputePOYODecoding, outputs: Sequence[int] | None) -> list[int]:
    """Indices of outputs to draw; all where None."""
    n_outputs = extension.data["targets"].shape[1]
    if outputs is None:
        return list(range(n_outputs))
    chosen = np.asarray(outputs)
    if chosen.ndim != 1 or not len(chosen) or not np.isin(chosen, np.arange(n_outputs)).all():
        raise ValueError(f"outputs must be a list of indices from 0 to {n_outputs - 1}, got {outputs!r}")
    return chosen.astype(int).tolist()


def columns_of(extension: ComputePOYODecoding) -> dict[str, np.ndarray]:
    """What was decoded as numbers, labels as positions among all of them."""
    return {name: np.asarray(extension.data[name][:]) for name in ("times", "segment_index", "targets", "decoded")}


def turn_of(extension: ComputePOYODecoding) -> float | None:
    """Of angles, in their unit of measure; None of plain numbers, and of results from before there were angles."""
    return extension.data["behavior"].get("period")


def r2_of(true: np.ndarray, decoded: np.ndarray, turn: float | None) -> float:
    """R2 of one output, (n, 1) each; of angles, of their cosines and sines."""
    from .readouts.encoding import on_circle
    from .readouts.scoring import mean_r2

    if turn is not None:
        true, decoded = on_circle(true, turn), on_circle(decoded, turn)
    return mean_r2(true, decoded)


def score_title(true: np.ndarray, decoded: np.ndarray, turn: float | None, labels: bool) -> str:
    """How well one output is decoded, (n, 1) each, in words; empty where nothing is to decode."""
    known = np.isfinite(true)
    if labels:
        return f"accuracy = {(true == decoded)[known].mean():.2f}" if known.any() else ""
    return f"R² = {r2_of(true, decoded, turn):.2f}" if known.sum() >= 2 and np.nanstd(true) > 0 else ""


def cut_at_jumps(times: np.ndarray, values: np.ndarray, turn: float | None) -> tuple[np.ndarray, np.ndarray]:
    """A line (n,) to draw, which has a gap where an angle goes on at the other end of its range."""
    if turn is None:
        return times, values
    jumps = np.flatnonzero(np.abs(np.diff(values)) > turn / 2) + 1
    return np.insert(times, jumps, times[jumps]), np.insert(values, jumps, np.nan)


class DecodedBehaviorWidget(DecodingWidget):
    """True and held-out decoded behaviour over time, with R2, or accuracy, of what is shown.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed.
    segment_index : int, default: 0
        Segment to show.
    time_range : (float, float), optional
        Seconds; where omitted, the first minute.
    outputs : list of int, optional
        Outputs to show, one below the other; all where omitted.
    """

    def __init__(
        self,
        sorting_analyzer: SortingAnalyzer,
        segment_index: int = 0,
        time_range: tuple[float, float] | None = None,
        outputs: Sequence[int] | None = None,
        backend: str | None = None,
        **backend_kwargs: Any,
    ) -> None:
        extension = self.find(sorting_analyzer)
        data = columns_of(extension)
        mine = np.flatnonzero(data["segment_index"] == segment_index)
        if len(mine) == 0:
            raise ValueError(f"no behaviour in segment {segment_index!r}; there is in "
                             f"{np.unique(data['segment_index']).tolist()}")  # fmt: skip
        begin = data["times"][mine].min()
        low, high = (begin, begin + 60) if time_range is None else time_range
        mine = mine[(data["times"][mine] >= low) & (data["times"][mine] <= high)]
        if len(mine) == 0:
            raise ValueError(f"no behaviour from {low} to {high} s in segment {segment_index}")
        mine = mine[np.argsort(data["times"][mine], kind="stable")]
        plot_data = {
            "times": data["times"][mine],
            "targets": data["targets"][mine],
            "decoded": data["decoded"][mine],
            "labels": output_labels(extension),
            "outputs": chosen_outputs(extension, outputs),
            "turn": turn_of(extension),
            "classes": extension.classes,
        }
        BaseWidget.__init__(self, plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: dict[str, Any], **backend_kwargs: Any) -> None:
        """Draw."""
        dp = to_attr(data_plot)
        axes = self.make_axes(len(dp.outputs), **backend_kwargs)
        for ax, output in zip(axes, dp.outputs, strict=True):
            true, decoded = dp.targets[:, [output]], dp.decoded[:, [output]]
            lines = [cut_at_jumps(dp.times, values[:, 0], dp.turn) for values in (true, decoded)]
            of_true, of_decoded = LINES if dp.classes is None else MARKS
            ax.plot(*lines[0], color=TRUE_COLOR, label="true", **of_true)
            ax.plot(*lines[1], color=DECODED_COLOR, label="decoded, held out", **of_decoded)
            ax.set_ylabel(dp.labels[output])
            if dp.classes is not None:
                ax.set_yticks(range(len(dp.classes)), list(map(str, dp.classes)))
            ax.set_title(score_title(true, decoded, dp.turn, dp.classes is not None), loc="right", fontsize="medium")
            ax.margins(x=0)
        for ax in axes[:-1]:
            ax.tick_params(labelbottom=False)
        axes[-1].set_xlabel("time (s)")
        axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)


class DecodedAgainstTrueWidget(DecodingWidget):
    """Held-out decoded against true behaviour, all samples, one colour an output; of labels, shares of each true one.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed.
    outputs : list of int, optional
        Outputs to show; all where omitted.
    """

    def __init__(
        self,
        sorting_analyzer: SortingAnalyzer,
        outputs: Sequence[int] | None = None,
        backend: str | None = None,
        **backend_kwargs: Any,
    ) -> None:
        extension = self.find(sorting_analyzer)
        data, classes = columns_of(extension), extension.classes
        plot_data = {
            "targets": data["targets"],
            "decoded": data["decoded"],
            "labels": output_labels(extension),
            "outputs": chosen_outputs(extension, outputs),
            "units": extension.data["behavior"]["units"],
            "classes": classes,
            "title": f"R² = {extension.r2:.2f}" if classes is None else f"accuracy = {extension.accuracy:.2f}",
        }
        BaseWidget.__init__(self, plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: dict[str, Any], **backend_kwargs: Any) -> None:
        """Draw."""
        dp = to_attr(data_plot)
        (ax,) = self.make_axes(**backend_kwargs)
        if dp.classes is not None:
            self.plot_confusion(ax, dp)
            return
        for output in dp.outputs:
            ax.scatter(dp.targets[:, output], dp.decoded[:, output], s=4, alpha=0.3, lw=0, label=dp.labels[output])
        low, high = np.nanmin(dp.targets[:, dp.outputs]), np.nanmax(dp.targets[:, dp.outputs])
        ax.plot([low, high], [low, high], color="k", lw=0.8, ls="--")
        unit = in_brackets(dp.units)
        ax.set(xlabel=f"true{unit}", ylabel=f"decoded, held out{unit}", title=dp.title)
        ax.set_aspect("equal", adjustable="datalim")
        for handle in ax.legend(markerscale=3, frameon=False, loc="upper left").legend_handles:
            handle.set_alpha(1)

    def plot_confusion(self, ax: Any, dp: Any) -> None:
        """How often each true label is decoded as each; rows sum to one."""
        from sklearn.metrics import confusion_matrix

        known = np.isfinite(dp.targets[:, 0])
        codes = (values[known, 0].astype(int) for values in (dp.targets, dp.decoded))
        places = np.arange(len(dp.classes))
        shares = confusion_matrix(*codes, labels=places, normalize="true")
        image = ax.imshow(shares, vmin=0, vmax=1, cmap="viridis")
        self.figure.colorbar(image, ax=ax, label="share of the true label")
        names = list(map(str, dp.classes))
        ax.set_xticks(places, names, rotation=90)
        ax.set_yticks(places, names)
        ax.set(xlabel="decoded, held out", ylabel="true", title=dp.title)


class TrainingHistoryWidget(DecodingWidget):
    """Training loss of the decoder of all samples, and its validation score where some were held out.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed.
    """

    def __init__(self, sorting_analyzer: SortingAnalyzer, backend: str | None = None, **backend_kwargs: Any) -> None:
        extension = self.find(sorting_analyzer)
        decoder = extension.get_decoder()
        plot_data = {"losses": decoder.loss_curve_, "scores": decoder.validation_scores_}
        BaseWidget.__init__(self, plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: dict[str, Any], **backend_kwargs: Any) -> None:
        """Draw."""
        dp = to_attr(data_plot)
        (ax,) = self.make_axes(**backend_kwargs)
        ax.plot(np.arange(1, len(dp.losses) + 1), dp.losses, color="k", marker=".", label="training loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="iteration", ylabel="training loss (1 is chance)")
        if dp.scores:
            twin = ax.twinx()
            twin.plot(np.arange(1, len(dp.scores) + 1), dp.scores, color=DECODED_COLOR, marker=".")
            twin.set_ylabel("validation score (0 is chance)", color=DECODED_COLOR)
            twin.tick_params(axis="y", colors=DECODED_COLOR)


class FewShotWidget(DecodingWidget):
    """Held-out R2 against minutes of labels, one line a way of fitting.

    Parameters
    ----------
    scores : dict of str to dict of float to float or list of float
        For each way (such as "from scratch", "pretrained"): minutes of labels to R2, or to its values over seeds or
        sessions, whose mean is drawn with their range. NaN, as of fits that failed, are left out.
    """

    def __init__(
        self,
        scores: Mapping[str, Mapping[float, float | Sequence[float]]],
        backend: str | None = None,
        **backend_kwargs: Any,
    ) -> None:
        problem = "scores must map each way of fitting to {minutes of labels: R2, or a list of R2}, each at least one"
        if not hasattr(scores, "items") or not all(hasattr(curve, "items") for _, curve in scores.items()):
            raise ValueError(f"{problem}; got {scores!r:.200}")
        curves = {way: {float(minutes): np.atleast_1d(np.asarray(values, dtype=float))
                        for minutes, values in curve.items()} for way, curve in scores.items()}  # fmt: skip
        if not curves or not all(curve and all(map(len, curve.values())) for curve in curves.values()):
            raise ValueError(f"{problem}; got {scores!r:.200}")
        BaseWidget.__init__(self, {"scores": curves}, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: dict[str, Any], **backend_kwargs: Any) -> None:
        """Draw."""
        (ax,) = self.make_axes(**backend_kwargs)
        for way, curve in data_plot["scores"].items():
            known = {minute: curve[minute][~np.isnan(curve[minute])] for minute in sorted(curve)}
            values = [value for value in known.values() if len(value)]
            minutes = [minute for minute, value in known.items() if len(value)]
            (line,) = ax.plot(minutes, [value.mean() for value in values], marker="o", label=way)
            low, high = [value.min() for value in values], [value.max() for value in values]
            ax.fill_between(minutes, low, high, color=line.get_color(), alpha=0.2, lw=0)
        ax.set_xscale("log")
        ticks = sorted({minute for curve in data_plot["scores"].values() for minute in curve})
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set(xlabel="labels (minutes)", ylabel="held-out R²")
        ax.legend(frameon=False)


plot_decoded_behavior = DecodedBehaviorWidget
plot_decoded_against_true = DecodedAgainstTrueWidget
plot_training_history = TrainingHistoryWidget
plot_few_shot = FewShotWidget
