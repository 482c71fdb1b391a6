"""Whole pipelines: voltage, a real sorter, quality metrics, decoding, and what it says of the units."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from spikeinterface.core import NumpyRecording, create_sorting_analyzer, reset_global_job_kwargs, set_global_job_kwargs

from spikeinterface_poyo import POYODecoder, SelectUnits, align, get_unit_metrics, set_unit_properties
from spikeinterface_poyo.postprocessing.unit_metrics import importance_columns

pytest.importorskip("pandas", reason="quality metrics are a pandas table")

EXAMPLE = Path(__file__).parents[1] / "examples" / "full_pipeline.py"
SMALL = {
    "dim": 16, "depth": 1, "dim_head": 8, "cross_heads": 1, "self_heads": 2, "num_latents_per_step": 4,
    "n_latent_steps": 2, "window_length": 0.5, "random_state": 0, "device": "cpu",
}  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of sorters and of small recordings


@pytest.fixture(scope="module", autouse=True)
def _one_job():
    """Long chunks: SpikeInterface collects garbage after each, which takes long where torch is loaded."""
    set_global_job_kwargs(n_jobs=1, chunk_duration="10s", progress_bar=False)
    yield
    reset_global_job_kwargs()


def assert_metrics_and_importance_in_one_table(analyzer, metrics):
    table = get_unit_metrics(analyzer)
    assert list(table.index) == list(analyzer.unit_ids)
    assert {*metrics, *importance_columns(analyzer)} <= set(table.columns)
    assert np.isfinite(table["poyo_shifted"]).all()
    return table


class TestSortedRecording:
    """`examples/full_pipeline.py` on 40 s of 32 channels."""

    @pytest.fixture(scope="class")
    def example(self):
        pytest.importorskip("numba", reason="the sorter needs numba")
        pytest.importorskip("matplotlib", reason="the example draws")
        spec = importlib.util.spec_from_file_location("full_pipeline", EXAMPLE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @pytest.fixture(scope="class")
    def result(self, example, tmp_path_factory):
        options = {"decoder": {**SMALL, "max_iter": 3}, "n_folds": 2}
        return example.run(tmp_path_factory.mktemp("pipeline"), duration=40.0, n_units=16, **options)

    def test_sorted_units_decode_as_well_as_the_true_ones(self, example, result):
        assert (result.accuracy > example.WELL_SORTED).mean() >= 0.75
        r2 = example.score_end(result, POYODecoder(**SMALL, max_iter=8))
        *_, found, true = r2.values()
        assert true > 0.3
        assert abs(found - true) < 0.15  # on 8 s, by a small decoder; for full length and size see docs/guide.md
        assert min(r2.values()) > 0.2

    def test_importance_stands_beside_quality_metrics(self, result):
        assert_metrics_and_importance_in_one_table(result.analyzer, ["snr", "isi_violations_ratio"])

    def test_units_are_selected_by_both(self, example, result):
        X, _ = align(result.analyzer, result.velocity)
        table = result.table
        chosen = (table["snr"] > 5) & (table["isi_violations_ratio"] < 0.5) & (table["poyo_shifted"] > 0.01)
        kept = SelectUnits(query=example.QUERY).fit(X).unit_ids_["session_0"]
        assert list(kept) == list(table.index[chosen])
        assert 0 < len(kept) < len(table)

    def test_the_picture(self, example, result, tmp_path):
        example.draw(result, begin=10.0, path=tmp_path / "picture.png")
        assert (tmp_path / "picture.png").stat().st_size > 10_000


class TestNeurosuite:
    """A sorter's own output without the voltage: all that can be known from spike trains."""

    METRICS = ("num_spikes", "firing_rate", "presence_ratio", "isi_violations_ratio")

    @pytest.fixture(scope="class")
    def heading(self, mouse):
        _, signal = mouse
        return signal.times.rescale("s").magnitude[::6], signal.magnitude[::6]  # 20 Hz are plenty

    @pytest.fixture(scope="class")
    def analyzer(self, shared_data, heading):
        pytest.importorskip("lxml", reason="neurosuite folders are read with lxml")
        from spikeinterface.extractors import read_neuroscope_sorting

        sorting = read_neuroscope_sorting(shared_data / "mouse_head_direction" / "neurosuite")
        # An analyzer needs a recording. There is none: silence stands for it, and nothing is computed from voltage.
        n_samples = int(1200 * sorting.sampling_frequency)
        silence = NumpyRecording([np.broadcast_to(np.int16(0), (n_samples, 1))], sorting.sampling_frequency)
        silence.set_dummy_probe_from_locations(np.zeros((1, 2)))
        analyzer = create_sorting_analyzer(sorting, silence, sparse=False)
        analyzer.compute("quality_metrics", metric_names=["num_spikes", "firing_rate", "presence_ratio",
                                                          "isi_violation"])  # fmt: skip
        decoder = {**SMALL, "max_iter": 2}
        analyzer.compute("poyo_decoding", behavior=heading, decoder=decoder, n_folds=2, n_windows=30)
        set_unit_properties(analyzer)
        return analyzer

    def test_heading_is_decoded(self, analyzer):
        assert len(analyzer.unit_ids) == 17
        assert analyzer.get_extension("poyo_decoding").r2 > 0.8

    def test_head_direction_cells_matter_and_are_selected(self, analyzer, heading):
        table = assert_metrics_and_importance_in_one_table(analyzer, self.METRICS)
        thalamus = analyzer.get_sorting_property("group") == 1
        assert table["poyo_shifted"][thalamus].mean() > 10 * abs(table["poyo_shifted"][~thalamus].mean())
        X, y = align(analyzer, heading)
        pipeline = make_pipeline(
            SelectUnits(query="isi_violations_ratio < 0.5 and poyo_shifted > 0.02"), POYODecoder(**SMALL, max_iter=1)
        ).fit(X, y)
        kept = pipeline[0].unit_ids_["session_0"]
        assert 0 < len(kept) < len(table)
        assert thalamus[analyzer.sorting.ids_to_indices(kept)].all()
