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
    truth: si.BaseSorting
    accuracy: pd.Series  # of the sorter, by true unit
    analyzer: si.SortingAnalyzer  # of the sorted units, with quality metrics and ``poyo_decoding``
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


def run(folder: Path, duration: float = 300.0, n_units: int = 20, seed: int = 0, **options: Any) -> Result:
    """Everything up to the table of units; ``options`` go to ``poyo_decoding``."""
    raw, truth, velocity = record(duration, n_units, seed)
    filtered, found = preprocess_and_sort(raw, folder, seed)
    analyzer = si.create_sorting_analyzer(found, filtered)
    analyzer.compute(["random_spikes", "waveforms", "templates", "noise_levels", "spike_amplitudes"])
    analyzer.compute("quality_metrics", metric_names=["num_spikes", "snr", "isi_violation", "amplitude_cutoff"])
    labels = velocity.time_slice(None, LABELLED * duration * pq.s)
    analyzer.compute("poyo_decoding", behavior=labels, **options)
    set_unit_properties(analyzer)  # the importance, for `SelectUnits` and SpikeInterface's own tools

    comparison = si.compare_sorter_to_ground_truth(truth, found, exhaustive_gt=True)
    accuracy = comparison.get_performance()["accuracy"].astype(float)
    tuning = dict(zip(truth.unit_ids, truth.get_property("tuning"), strict=True))
    table = get_unit_metrics(analyzer)
    table["true_unit"] = comparison.hungarian_match_21  # -1 where there is none
    table["accuracy"], table["tuning"] = table["true_unit"].map(accuracy), table["true_unit"].map(tuning)
    return Result(velocity, truth, accuracy, analyzer, table)


def score_end(result: Result, decoder: POYODecoder) -> dict[str, float]:
    """R2 at the end of the recording, which nothing has learned from, by the units that are read."""
    pairs = result.table[result.table["accuracy"] > WELL_SORTED]
    true_units = result.truth.select_units(list(pairs["true_unit"]))
    end_of_labels = LABELLED * result.velocity.t_stop.rescale("s").item()

    def score(units: si.BaseSorting | si.SortingAnalyzer, selection: SelectUnits) -> float:
        X, y = align(units, result.velocity)
        labelled, end = X.times < end_of_labels, X.times > end_of_labels + 2.0
        return make_pipeline(selection, decoder).fit(X[labelled], y[labelled]).score(X[end], y[end])

    return {
        "all sorted units": score(result.analyzer, SelectUnits()),
        f"sorted units with {QUERY}": score(result.analyzer, SelectUnits(query=QUERY)),
        f"sorted units of accuracy above {WELL_SORTED}": score(result.analyzer, SelectUnits(ids=list(pairs.index))),
        "the true units that these match": score(true_units, SelectUnits()),
    }


def draw(result: Result, begin: float, path: Path) -> None:
    """Picture of true and decoded velocity, of the sorter's accuracy and of what its units are worth."""
    figure, axes = plt.subplot_mosaic(
        [["velocity", "velocity"], ["accuracy", "importance"]], figsize=(10, 6), layout="constrained"
    )
    plot_decoded_behavior(result.analyzer, time_range=(begin, begin + 30), outputs=[0], ax=axes["velocity"])
    r2 = result.analyzer.get_extension("poyo_decoding").r2
    title = f"{len(result.table)} sorted units, both directions, {LABELLED:.0%} of the recording: R² = {r2:.2f}"
    axes["velocity"].set_title(title, loc="right", fontsize="medium")
    accuracy = result.accuracy.sort_values(ascending=False)
    axes["accuracy"].bar(range(len(accuracy)), accuracy, color="0.5")
    axes["accuracy"].axhline(WELL_SORTED, color="k", lw=0.8, ls="--")
    axes["accuracy"].set_xticks(range(len(accuracy)), accuracy.index, rotation=90)
    axes["accuracy"].set(xlabel="true unit", ylabel="accuracy of the sorter", ylim=(0, 1.05))
    n_found = sum(accuracy > WELL_SORTED)
    axes["accuracy"].set_title(f"{n_found} of {len(accuracy)} true units above {WELL_SORTED}", fontsize="medium")
    plot_unit_importance(result.analyzer, ax=axes["importance"])
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
        print(f"cross-validated R2 of all sorted units: {result.analyzer.get_extension('poyo_decoding').r2:.3f}")
        draw(result, begin=arguments.duration / 3, path=Path("full_pipeline.png"))
        for units, r2 in score_end(result, POYODecoder(random_state=0)).items():
            print(f"R2 of the last fifth: {r2:.3f} from {units}")


if __name__ == "__main__":
    main()
