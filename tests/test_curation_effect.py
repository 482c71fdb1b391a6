"""What merging or splitting units does to decoding."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from analyzers import QUICK, T_START, make_analyzer, make_recording
from comparing import trains_of

from spikeinterface_poyo import compare_curation
from spikeinterface_poyo.inputs.spikes_in import as_session
from spikeinterface_poyo.postprocessing import curation_effect
from spikeinterface_poyo.postprocessing.curation_effect import as_it_was, blocks_of, merge_units, split_session
from spikeinterface_poyo.sessions.session import Segment, Session

pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(scope="module")
def analyzer(simulate, tmp_path_factory):
    simulated = simulate(n_units=3, duration=24.0)
    folder = tmp_path_factory.mktemp("recording") / "recording"
    analyzer = make_analyzer(*make_recording(folder, simulated, 24.0), "memory", None)
    behavior = (simulated.times + T_START, simulated.values)
    analyzer.compute("poyo_decoding", behavior=behavior, importance=False, **QUICK)
    return analyzer


def test_merged_and_split_spikes_are_spikeinterfaces(analyzer):
    session = as_session(analyzer)
    with pytest.warns(UserWarning, match="poyo_decoding"):
        merged = analyzer.merge_units([["u2", "u0"]], new_unit_ids=["u2"])
    ours = trains_of(merge_units(session, [["u2", "u0"]]))
    assert {name: len(train) for name, train in ours.items()} == merged.sorting.count_num_spikes_per_unit()
    np.testing.assert_array_equal(ours["u2"], trains_of(as_session(merged))["u2"])

    n_spikes = analyzer.sorting.count_num_spikes_per_unit()["u1"]
    parts = [np.arange(0, n_spikes, 3), np.setdiff1d(np.arange(n_spikes), np.arange(0, n_spikes, 3))]
    with pytest.warns(UserWarning, match="poyo_decoding"):
        split = analyzer.split_units({"u1": parts}, new_unit_ids=[["a", "b"]])
    ours, theirs = trains_of(split_session(session, {"u1": parts})), trains_of(as_session(split))
    assert list(ours) == ["u0", "u2", "u1-0", "u1-1"]
    np.testing.assert_array_equal(ours["u1-0"], theirs["a"])
    np.testing.assert_array_equal(ours["u1-1"], theirs["b"])


def test_the_effect_is_that_of_decoding_the_merged_analyzer(analyzer):
    extension = analyzer.get_extension("poyo_decoding")
    effect = compare_curation(analyzer, merge_unit_groups=[["u0", "u1"]], progress_bar=False)
    assert effect.score_before == pytest.approx(extension.r2)
    with pytest.warns(UserWarning, match="poyo_decoding"):
        merged = analyzer.merge_units([["u0", "u1"]], new_unit_ids=["u0"])
    with pytest.raises(ValueError, match="needs poyo_decoding of the present units"):
        compare_curation(merged, merge_unit_groups=[["u0", "u2"]])
    by_hand = merged.compute("poyo_decoding", **{**extension.params, "progress_bar": False})
    assert effect.score_after == pytest.approx(by_hand.r2, abs=0.05)  # the order of units differs, and with it the seed
    assert effect.difference == effect.score_after - effect.score_before
    assert 0 < effect.p <= 1
    assert effect.n_blocks == 6
    assert list(analyzer.unit_ids) == ["u0", "u1", "u2"]


def test_blocks_gain_what_the_score_does_and_p_is_of_two_sides(analyzer, monkeypatch):
    gains = []
    monkeypatch.setattr(curation_effect, "sign_flip_p", lambda gain, _: gains.append(gain) or np.array([0.03]))
    effect = compare_curation(analyzer, merge_unit_groups=[["u0", "u1"]], progress_bar=False)
    np.testing.assert_allclose([gain.sum() for gain in gains], [effect.difference, -effect.difference])
    assert effect.p == 0.06


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "nothing to compare"),
        ({"merge_unit_groups": [["u0"]]}, "groups of two or more"),
        ({"merge_unit_groups": [["u0", "u9"]]}, "different units of"),
        ({"merge_unit_groups": [["u0", "u1"], ["u1", "u2"]]}, "different units of"),
        ({"split_units": {"u9": [[0], [1]]}}, "unknown unit 'u9'"),
        ({"split_units": {"u0": [[0], [1]]}}, "once"),
        ({"split_units": {"u0": [[0], [10**6]]}}, "once"),
        ({"split_units": {"u0": np.arange(5)}}, "once"),
        ({"merge_unit_groups": ["u0", "u1"]}, "must be a list of lists of units"),
    ],
)
def test_changes_that_are_refused(analyzer, change, message):
    with pytest.raises(ValueError, match=message):
        compare_curation(analyzer, **change)


def test_other_units_than_were_decoded_are_refused(analyzer):
    with pytest.raises(ValueError, match="the units are not those that poyo_decoding was computed on"):
        compare_curation(analyzer.select_units(["u0", "u1"]), merge_unit_groups=[["u0", "u1"]])


def test_another_clock_is_refused(simulate, tmp_path):
    simulated = simulate(n_units=3, duration=24.0)
    analyzer = make_analyzer(*make_recording(tmp_path / "recording", simulated, 24.0), "binary_folder", tmp_path)
    behavior = (simulated.times + T_START, simulated.values)
    analyzer.compute("poyo_decoding", behavior=behavior, importance=False, **QUICK)
    analyzer._recording = None
    with (
        pytest.warns(UserWarning, match="has no recording"),
        pytest.raises(ValueError, match=r"lay from 100.000 to 124.000 s .*set_temporary_recording"),
    ):
        compare_curation(analyzer, merge_unit_groups=[["u0", "u1"]])


@pytest.mark.parametrize(("now", "same"), [((0.2, 23.0), True), ((0.2, 25.0), False), ((-1.0, 23.0), False)])
def test_samples_are_on_the_clock_of_a_recording_that_began_at_zero(now, same):
    segment = Segment(np.array(now), np.zeros(2, dtype=np.int32), *now, clock="frames")
    session = Session(np.array(["a"]), (segment,))
    clocks = [{"source": "recording", "t_start": 0.0, "t_stop": 24.0}]
    with nullcontext() if same else pytest.raises(ValueError, match="segment 0 lies from"):
        assert as_it_was(session, clocks, [24.0]).segments[0].t_stop == 24.0
    with pytest.raises(ValueError, match="segment 0 lies from"):
        as_it_was(session, clocks, [23.5])  # it paused or drifted


def test_without_its_recording_a_silent_beginning_is_decoded_too(simulate, tmp_path):
    simulated = simulate(n_units=3, duration=24.0)
    silent = simulated._replace(spikes={unit: train[train > 4.0] for unit, train in simulated.spikes.items()})
    recording, sorting = make_recording(tmp_path / "recording", silent, 24.0)
    recording.reset_times()  # begins at zero
    analyzer = make_analyzer(recording, sorting, "memory", tmp_path)
    behavior = (simulated.times, simulated.values)
    analyzer.compute("poyo_decoding", behavior=behavior, importance=False, **QUICK)
    expected = compare_curation(analyzer, merge_unit_groups=[["u0", "u1"]], progress_bar=False)
    analyzer._recording = None
    with pytest.warns(UserWarning, match="has no recording"):
        assert compare_curation(analyzer, merge_unit_groups=[["u0", "u1"]], progress_bar=False) == expected


def test_no_block_lies_in_two_folds():
    times, fold = np.arange(0, 20, 1.0), np.repeat([0, 1], 10)
    block = blocks_of(times, np.zeros(20, dtype=int), np.where(times < 7, 0, fold + 1))
    np.testing.assert_array_equal(block, [0] * 5 + [1] * 2 + [2] * 3 + [3] * 5 + [4] * 5)
