"""Angles in the extension `poyo_decoding`: decoded, scored and drawn on the circle."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import quantities as pq
from analyzers import QUICK, SMALL, T_START, make_analyzer, make_recording
from sklearn.metrics import r2_score
from spikeinterface.core import load_sorting_analyzer

from spikeinterface_poyo import BlockedKFold, POYODecoder, align, compare_curation
from spikeinterface_poyo.postprocessing.cross_decoding import cross_decode
from spikeinterface_poyo.readouts.number_readouts import in_one_turn
from spikeinterface_poyo.widgets import cut_at_jumps, plot_decoded_behavior

pytestmark = [
    pytest.mark.filterwarnings("ignore:poyo_decoding:UserWarning"),
    pytest.mark.usefixtures("brief_training"),
]
TRAINED = {**QUICK, "decoder": {**SMALL, "num_latents_per_step": 2, "batch_size": 8, "max_iter": 12}}


def on_circle(degrees: np.ndarray) -> np.ndarray:
    return np.column_stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])


@pytest.fixture(scope="module")
def recorded(simulate, tmp_path_factory):
    """An analyzer in a folder, and the heading that its units follow, which goes round and round."""
    simulated = simulate(n_units=6, duration=24.0, n_outputs=2, rate=60.0)
    folder = tmp_path_factory.mktemp("recording")
    analyzer = make_analyzer(*make_recording(folder / "recording", simulated, 24.0), "binary_folder", folder)
    degrees = np.rad2deg(np.arctan2(simulated.values[:, 1], simulated.values[:, 0])) % 360
    return analyzer, (simulated.times + T_START, degrees * pq.deg)


@pytest.fixture(scope="module")
def computed(recorded):
    analyzer, heading = recorded
    analyzer.compute("poyo_decoding", behavior=heading, behavior_type="circular", **TRAINED)
    return load_sorting_analyzer(analyzer.folder)


@pytest.fixture(scope="module")
def extension(computed):
    return computed.get_extension("poyo_decoding")


def test_angles_are_decoded_and_scored_on_the_circle(extension):
    data = extension.get_data()
    true, decoded = on_circle(data["targets"]), on_circle(data["decoded"])
    assert ((data["decoded"] >= 0) & (data["decoded"] < 360)).all()
    assert extension.r2 == pytest.approx(r2_score(true, decoded))
    assert extension.r2 > 0.9
    for k, score in enumerate(extension.data["fold_r2"]):
        mine = data["fold"] == k
        assert score == pytest.approx(r2_score(true[mine], decoded[mine]))
    assert extension.get_data(outputs="neo").units == pq.deg
    assert (extension.get_importance()["silenced"] > 0.01).any()


def test_a_decoder_that_takes_them_for_numbers_is_worse_and_says_what_to_do(recorded, extension):
    analyzer, heading = recorded
    copy = analyzer.copy()
    with pytest.warns(UserWarning, match="spans a full turn .* behavior_type='circular'"):
        copy.compute("poyo_decoding", behavior=heading, importance=False, **TRAINED)
    decoded = copy.get_extension("poyo_decoding").get_data()["decoded"]
    assert r2_score(on_circle(heading[1].magnitude), on_circle(decoded)) < extension.r2


def test_curation_keeps_what_they_are(computed, extension):
    effect = compare_curation(computed, merge_unit_groups=[["u0", "u1"]], progress_bar=False)
    assert effect.score_before == pytest.approx(extension.r2)
    assert extension.params["behavior_type"] == "circular"
    merged = computed.merge_units([["u0", "u1"]], new_unit_ids=["u0"])
    again = merged.compute("poyo_decoding", **{**extension.params, "importance": False, "progress_bar": False})
    assert effect.score_after == pytest.approx(again.r2, abs=0.1)  # the order of units differs, and with it the seed


def test_the_full_turn_is_kept_as_a_number(recorded, extension):
    analyzer, heading = recorded
    copy = analyzer.copy()
    given = {"behavior": heading, "behavior_type": ("circular", 2 * np.pi * pq.rad), "importance": False}
    again = copy.compute("poyo_decoding", **given, **TRAINED)
    assert again.params["behavior_type"] == ["circular", pytest.approx(360.0)]
    np.testing.assert_allclose(again.data["decoded"], extension.data["decoded"], atol=1e-3)


def test_lines_are_cut_where_angles_go_round(computed, extension):
    ax = plot_decoded_behavior(computed).ax
    first, second = ax.get_lines()
    plt.close("all")
    assert ax.get_title(loc="right") == f"R² = {extension.r2:.2f}"
    targets = extension.get_data()["targets"][:, 0]
    n_jumps = int((np.abs(np.diff(targets)) > 180).sum())
    assert n_jumps > 3
    assert np.isnan(first.get_ydata()).sum() == n_jumps
    assert np.isnan(second.get_ydata()).any()
    times, values = cut_at_jumps(np.arange(4.0), np.array([350.0, 355, 2, 9]), 360.0)
    np.testing.assert_array_equal(times, [0, 1, 2, 2, 3])
    np.testing.assert_array_equal(values, [350, 355, np.nan, 2, 9])


def test_weights_that_learned_radians_answer_in_degrees(recorded, tmp_path):
    analyzer, (times, degrees) = recorded
    in_radians = POYODecoder(**TRAINED["decoder"])
    in_radians.fit(analyzer, (times, degrees.rescale(pq.rad)), behavior_type="circular")
    in_radians.save_pretrained(tmp_path)
    given = {**TRAINED, "behavior": (times, degrees), "behavior_type": "circular", "importance": False}
    again = analyzer.copy().compute("poyo_decoding", **given | {"decoder": str(tmp_path)})
    data = again.get_data()
    assert again.get_data(outputs="neo").units == pq.deg
    assert np.ptp(data["decoded"]) > 180
    assert again.r2 == pytest.approx(r2_score(on_circle(data["targets"]), on_circle(data["decoded"])))
    assert again.r2 > 0.9


def test_all_folds_answer_in_one_range(simulate, small_decoder):
    simulated = simulate(duration=40.0, n_outputs=2)
    near_zero = 2.0 * (np.arange(len(simulated.times)) % 5) - 4
    angle = np.where(simulated.times < 30, near_zero % 360, near_zero - 10)
    X, y = align(simulated.spikes, (simulated.times, angle), behavior_type=("circular", 360.0))
    held_out = cross_decode(small_decoder(), X, y, BlockedKFold(4))
    assert {decoder.sessions_.readouts["behavior"].first for decoder in held_out.decoders} == {0.0, -180.0}
    assert ((held_out.decoded >= -180) & (held_out.decoded < 180)).all()


def test_angles_are_moved_by_whole_turns_only_where_they_are_outside():
    angles = np.array([-170.0, -1.0, 0.0, 170.0, 190.0, 359.0, np.nan])
    np.testing.assert_array_equal(in_one_turn(angles, -5.0, 360.0), [-170, -1, 0, 170, -170, -1, np.nan])
    np.testing.assert_array_equal(in_one_turn(angles, 5.0, 360.0), [190, 359, 0, 170, 190, 359, np.nan])
