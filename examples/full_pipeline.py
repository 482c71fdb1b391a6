"""From raw voltage to decoded behaviour, and back to the units: what each of a sorter's units is worth.

A recording of 32 channels is made with SpikeInterface's generator from units that are tuned to the velocity of a hand.
It is filtered, sorted, rated by quality metrics and decoded; since the true spikes are known, sorter and decoding are
compared with them. Run from anywhere: ``python examples/full_pipeline.py``. It writes ``full_pipeline.png`` to the
working directory, and needs ``pip install "spikeinterface_poyo[plot]" "spikeinterface[lupin,metrics]"``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import neo
import pandas as pd
import quantities as pq
import spikeinterface.full as si
from sklearn.pipeline import make_pipeline

from spikeinterface_poyo import (
    POYODecoder,
    SelectUnits,
    align,
    get_unit_metrics,
    set_unit_properties,
    simulate_session,
)
from spikeinterface_poyo.unit_widgets import plot_unit_importance
from spikeinterface_poyo.widgets import plot_decoded_behavior

SAMPLING_FREQUENCY = 30_000.0  # Hz
WELL_SORTED = 0.8  # accuracy above which a true unit counts as found by the sorter
LABELLED = 0.8  # share of the recording whose behaviour is used; the rest tests what was chosen by it
QUERY = "snr > 5 and isi_violations_ratio < 0.5 and poyo_shifted > 0.01"


class Result(NamedTuple):
    """What became of one recording."""

    velocity: neo.AnalogSignal
    sorted_units: si.SortingAnalyzer  # with quality metrics and ``poyo_decoding``
    true_units: si.SortingAnalyzer  # those that the sorter found, with ``poyo_decoding``
    accuracy: pd.Series  # of the sorter, by true unit
    table: pd.DataFrame  # metrics, importance, and the matching true unit, by sorted unit


def record(duration: float, n_units: int, seed: int) -> tuple[si.BaseRecording, si.BaseSorting, neo.AnalogSignal]:
    """Raw voltage of units of which three in four are tuned to a velocity, their true spikes, and the velocity."""
    spikes, velocity = simulate_session(
        duration,
        behavior="velocity",
        n_units=n_units,
        tuning={"cosine": 3, "none": 1},
        mean_rate=(3.0, 20.0),
        sampling_rate=20.0,
        random_state=seed,
    )
    # Multi-unit channels are several neurons, here they would have one waveform; silent ones cannot be found.
    single = (spikes.get_property("n_neurons") == 1) & (spikes.get_property("mean_rate") > 1)
    recording, truth = si.generate_ground_truth_recording(
        durations=[duration],
        sampling_frequency=SAMPLING_FREQUENCY,
        num_channels=32,
        sorting=spikes.select_units(spikes.unit_ids[single]),
        seed=seed,
    )
    return recording, truth, velocity


def preprocess_and_sort(
    recording: si.BaseRecording, folder: Path, seed: int
) -> tuple[si.BaseRecording, si.BaseSorting]:
    """The filtered recording, saved to disk, and the units that a sorter finds in it."""
    filtered = si.common_reference(si.bandpass_filter(recording, freq_min=300.0, freq_max=6000.0))
    filtered = filtered.save(folder=folder / "filtered")
    return filtered, si.run_sorter("lupin", filtered, folder=folder / "lupin", seed=seed)


def decode(
    sorting: si.BaseSorting, recording: si.BaseRecording, velocity: neo.AnalogSignal, **options: Any
) -> si.SortingAnalyzer:
    """An analyzer with quality metrics, and with what its units tell of the velocity."""
    analyzer = si.create_sorting_analyzer(sorting, recording)
    analyzer.compute(["random_spikes", "waveforms", "templates", "noise_levels", "spike_amplitudes"])
    analyzer.compute("quality_metrics", metric_names=["num_spikes", "snr", "isi_violation", "amplitude_cutoff"])
    analyzer.compute("poyo_decoding", behavior=velocity, **options)
    return analyzer


def run(folder: Path, duration: float = 300.0, n_units: int = 20, seed: int = 0, **options: Any) -> Result:
    """Everything up to the table of units; ``options`` go to ``poyo_decoding``."""
    raw, truth, velocity = record(duration, n_units, seed)
    filtered, found = preprocess_and_sort(raw, folder, seed)
    comparison = si.compare_sorter_to_ground_truth(truth, found, exhaustive_gt=True)
    accuracy = comparison.get_performance()["accuracy"].astype(float)
    labels = velocity.time_slice(None, LABELLED * duration * pq.s)
    well_sorted = truth.select_units(accuracy.index[accuracy > WELL_SORTED])
    true_units = decode(well_sorted, filtered, labels, **options, importance=False)
    sorted_units = decode(found, filtered, labels, **options)
    set_unit_properties(sorted_units)  # the importance, for `SelectUnits` and SpikeInterface's own tools

    table = get_unit_metrics(sorted_units)
    tuning = dict(zip(truth.unit_ids, truth.get_property("tuning"), strict=True))
    table["true_unit"] = comparison.hungarian_match_21  # -1 where there is none
    table["tuning"] = table["true_unit"].map(tuning)
    return Result(velocity, sorted_units, true_units, accuracy, table)


def score_end(result: Result, decoder: POYODecoder) -> tuple[float, float]:
    """R2 at the end of the recording, which nothing has learned from: of all sorted units, and of those of `QUERY`."""
    X, y = align(result.sorted_units, result.velocity)
    cut = LABELLED * X.times[-1]
    labelled, end = X.times < cut, X.times > cut + 2.0
    selected = make_pipeline(SelectUnits(query=QUERY), decoder).fit(X[labelled], y[labelled])
    all_units = result.sorted_units.get_extension("poyo_decoding").get_decoder()
    return all_units.score(X[end], y[end]), selected.score(X[end], y[end])


def draw(result: Result, begin: float, path: Path) -> None:
    """Picture of true and decoded velocity, of the sorter's accuracy and of what its units are worth."""
    figure, axes = plt.subplot_mosaic(
        [["sorted", "sorted"], ["true", "true"], ["accuracy", "importance"]], figsize=(10, 8), layout="constrained"
    )
    for name, analyzer in (("sorted", result.sorted_units), ("true", result.true_units)):
        plot_decoded_behavior(analyzer, time_range=(begin, begin + 30), outputs=[0], ax=axes[name])
        r2 = analyzer.get_extension("poyo_decoding").r2
        title = (
            f"{len(analyzer.unit_ids)} {name} units, both directions and {LABELLED:.0%} of the recording: R² = {r2:.2f}"
        )
        axes[name].set_title(title, loc="right", fontsize="medium")
    accuracy = result.accuracy.sort_values(ascending=False)
    axes["accuracy"].bar(range(len(accuracy)), accuracy, color="0.5")
    axes["accuracy"].axhline(WELL_SORTED, color="k", lw=0.8, ls="--")
    axes["accuracy"].set_xticks(range(len(accuracy)), accuracy.index, rotation=90)
    axes["accuracy"].set(xlabel="true unit", ylabel="accuracy of the sorter", ylim=(0, 1.05))
    axes["accuracy"].set_title(f"{sum(accuracy > WELL_SORTED)} of {len(accuracy)} true units found", fontsize="medium")
    plot_unit_importance(result.sorted_units, ax=axes["importance"])
    axes["importance"].set_xlabel("sorted unit")
    figure.savefig(path, dpi=100)


def main() -> None:
    """Five minutes of 32 channels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=300.0, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # Long chunks: after each, SpikeInterface collects garbage, which takes long once torch is loaded.
    si.set_global_job_kwargs(n_jobs=1, chunk_duration="10s", progress_bar=False)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), arguments.duration, seed=arguments.seed, n_folds=3)
        print(result.table.round(3).to_string())
        n_found = sum(result.accuracy > WELL_SORTED)
        print(f"accuracy of the sorter: above {WELL_SORTED} for {n_found} of {len(result.accuracy)} true units")
        found, true = (a.get_extension("poyo_decoding").r2 for a in (result.sorted_units, result.true_units))
        print(f"cross-validated R2: {found:.3f} from sorted units, {true:.3f} from the true units that were found")
        draw(result, begin=100.0, path=Path("full_pipeline.png"))
        all_units, selected = score_end(result, POYODecoder(random_state=0))
        print(f"R2 of the last fifth: {all_units:.3f} from all sorted units, {selected:.3f} from those with {QUERY}")


if __name__ == "__main__":
    main()
