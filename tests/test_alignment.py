"""`align` and the samples that `predict(times=...)` makes."""

from __future__ import annotations

import neo
import numpy as np
import pytest
import quantities as pq
from spikeinterface.core import NumpyRecording, NumpySorting

from spikeinterface_poyo import SpikeSamples, align, from_counts
from spikeinterface_poyo.inputs.alignment import pair
from spikeinterface_poyo.inputs.overlap import grid_samples
from spikeinterface_poyo.inputs.spikes_in import as_sessions

SPIKES = {"a": np.arange(0, 10, 0.1), "b": np.arange(0, 10, 0.3)}
TIMES = np.arange(0, 9, 0.5)
VALUES = np.arange(18.0)


def two_segments() -> NumpySorting:
    return NumpySorting.from_unit_dict([{0: np.arange(0, 5000, 50)}, {0: np.arange(0, 8000, 50)}], 1000.0)


def test_one_sample_for_each_time_in_the_given_order():
    order = np.random.default_rng(0).permutation(len(TIMES))
    X, y = align(SPIKES, (TIMES[order], VALUES[order]))
    assert isinstance(X, SpikeSamples)
    np.testing.assert_array_equal(X.times, TIMES[order])
    np.testing.assert_array_equal(y, VALUES[order])


def test_duplicated_times_are_kept():
    X, y = align(SPIKES, ([1.0, 1.0, 2.0], [5.0, 6.0, 7.0]))
    np.testing.assert_array_equal(X.times, [1.0, 1.0, 2.0])
    np.testing.assert_array_equal(y, [5.0, 6.0, 7.0])


def test_nan_stays_in_y():
    values = VALUES.copy()
    values[3] = np.nan
    X, y = align(SPIKES, (TIMES, values))
    np.testing.assert_array_equal(y, values)
    assert len(X) == len(values)


def test_times_of_another_unit_are_suspected():
    """The one sample that lies inside would train without a word of it."""
    with pytest.warns(UserWarning, match=r"15 of 18 .* more than a second outside .* same clock, in seconds\?"):
        align(SPIKES, (TIMES * 10, VALUES))


def test_each_of_several_sessions_has_a_name_or_none_has():
    with pytest.raises(ValueError, match="each session needs a name where some have one"):
        align([SPIKES, SPIKES], [(TIMES, VALUES)] * 2, session_id=["a", None])


@pytest.mark.parametrize("shape", [(18,), (18, 1), (18, 3)])
def test_y_has_the_shape_of_the_values(shape):
    assert align(SPIKES, (TIMES, np.zeros(shape)))[1].shape == shape


def test_inputs_are_not_changed():
    values, times = VALUES.copy(), TIMES.copy()
    X, y = align(SPIKES, (times, values))
    y += 1
    X.times[:] = 0
    np.testing.assert_array_equal(values, VALUES)
    np.testing.assert_array_equal(times, TIMES)


class TestSegments:
    def test_each_segment_has_its_own_signal_and_clock(self):
        X, y = align(two_segments(), [(TIMES[:5], VALUES[:5]), (TIMES[:3], -VALUES[:3])])
        np.testing.assert_array_equal(X.segment_index, [0] * 5 + [1] * 3)
        np.testing.assert_array_equal(X.times, np.concatenate([TIMES[:5], TIMES[:3]]))
        np.testing.assert_array_equal(y, np.concatenate([VALUES[:5], -VALUES[:3]]))

    def test_neo_block_gives_one_signal_a_segment(self):
        block = neo.Block()
        for _ in range(2):
            segment = neo.Segment()
            segment.analogsignals.append(neo.AnalogSignal(np.zeros((8, 2)), units="cm", sampling_rate=2 * pq.Hz))
            block.segments.append(segment)
        X, y = align(two_segments(), block)
        assert y.shape == (16, 2)
        assert X.targets[0][0].units == "cm"

    @pytest.mark.parametrize("signals", [(TIMES, VALUES), [(TIMES, VALUES)], [(TIMES, VALUES)] * 3])
    def test_another_number_of_signals_than_segments_is_refused(self, signals):
        given = len(signals) if isinstance(signals, list) else 1
        with pytest.raises(ValueError, match=rf"2 segment\(s\) needs a list of 2 .*; got {given}"):
            align(two_segments(), signals)

    def test_several_signals_for_one_segment_are_refused(self):
        with pytest.raises(ValueError, match=r"1 segment\(s\) needs a list of 1 .*; got 2"):
            align(SPIKES, [(TIMES, VALUES)] * 2)

    def test_a_segment_without_spikes_is_silence(self):
        silent = {"a": np.array([], dtype=int)}
        sorting = NumpySorting.from_unit_dict([silent, {"a": np.arange(0, 5000, 50)}], 1000.0)
        X, _ = align(sorting, [(TIMES[:5], VALUES[:5])] * 2)
        assert len(X) == 10


@pytest.mark.parametrize("by_name", [False, True])
def test_labels_may_be_unknown_in_all_of_a_segment(by_name):
    times, left = TIMES[:10], np.full(10, "left")
    signals = [[(times, left), (times, values)] for values in (np.full(10, None), VALUES[:10])]
    given, mixed = ({"side": both} if by_name else both for both in signals)
    _, y = align(two_segments(), given)
    assert (y["side"] if by_name else y).tolist() == ["left"] * 10 + [None] * 10
    with pytest.raises(ValueError, match=r"numbers .*and .*labels"):
        align(two_segments(), mixed)


class TestSessions:
    def test_list_of_sortings_is_several_sessions(self):
        X, y = align([SPIKES, two_segments()], [(TIMES, VALUES), [(TIMES[:4], VALUES[:4])] * 2])
        np.testing.assert_array_equal(X.session_index, [0] * 18 + [1] * 8)
        assert list(dict.fromkeys(X.session_ids)) == ["session_0", "session_1"]
        assert len(y) == 26

    def test_neos_list_of_segments_is_several_sessions(self):
        block = neo.Block()
        for _ in range(2):
            segment = neo.Segment()
            segment.spiketrains.append(neo.SpikeTrain([1.0], units="s", t_stop=9, name="a"))
            block.segments.append(segment)
        X, _ = align(block.segments, [(np.arange(9.0), np.arange(9.0))] * 2)
        assert len(X.sessions) == 2

    def test_list_of_spiketrain_lists_is_several_sessions(self):
        trains = [neo.SpikeTrain([1.0, 2.0], units="s", t_stop=10)]
        X, _ = align([trains, trains], [(TIMES, VALUES)] * 2)
        assert len(X.sessions) == 2

    def test_a_list_of_one_sorting_is_that_sorting(self):
        X, y = align([SPIKES], [(TIMES, VALUES)])
        assert len(X.sessions) == 1
        np.testing.assert_array_equal(y, VALUES)

    @pytest.mark.parametrize("behaviour", [(TIMES, VALUES), [(TIMES, VALUES)], ((TIMES, VALUES), (TIMES, VALUES))])
    def test_another_number_of_behaviours_is_refused(self, behaviour):
        with pytest.raises(ValueError, match="2 sortings need a list of 2 behaviours; got"):
            align([SPIKES, SPIKES], behaviour)

    def test_an_empty_list_is_refused(self):
        with pytest.raises(ValueError, match="empty list of sortings"):
            align([], [])

    def test_names(self):
        X, _ = align([SPIKES, SPIKES], [(TIMES, VALUES)] * 2, session_id=["monday", "tuesday"])
        np.testing.assert_array_equal(X.session_ids, ["monday"] * 18 + ["tuesday"] * 18)

    @pytest.mark.parametrize("name", ["monday", 5, np.int64(5)])
    def test_one_name(self, name):
        X, _ = align(SPIKES, (TIMES, VALUES), session_id=name)
        assert set(X.session_ids) == {str(name)}

    @pytest.mark.parametrize("name", ["speed", 5, np.int64(5)])
    def test_one_name_of_the_behavior(self, name):
        X, _ = align(SPIKES, (TIMES, VALUES), behavior_name=name)
        assert X.targets[0][0].name == str(name)

    @pytest.mark.parametrize("names", ["one", ["one"], ["one", "one"], ["one", "two", "three"]])
    def test_names_that_do_not_fit_are_refused(self, names):
        with pytest.raises(ValueError, match="expected 2 different session ids, one a sorting; got"):
            align([SPIKES, SPIKES], [(TIMES, VALUES)] * 2, session_id=names)

    def test_outputs_must_be_the_same(self):
        with pytest.raises(ValueError, match="behavior_name"):
            align([SPIKES, SPIKES], [(TIMES, VALUES), (TIMES, np.zeros((18, 2)))])

    def test_outputs_in_another_order_are_refused(self):
        pd = pytest.importorskip("pandas")
        one = pd.DataFrame({"x": VALUES, "y": VALUES}, index=TIMES)
        with pytest.raises(ValueError, match=r"session_1 has the outputs \('y', 'x'\), .* as \('x', 'y'\)"):
            align([SPIKES, SPIKES], [one, one[["y", "x"]]])


class TestUnitsOfMeasure:
    def test_signals_come_in_the_first_ones_unit(self):
        X, y = align([SPIKES, SPIKES], [(TIMES, VALUES * pq.cm / pq.s), (TIMES, VALUES * pq.m / pq.s)])
        assert X.targets[0][0].units == "cm/s"
        np.testing.assert_allclose(y[18:], 100 * y[:18], rtol=1e-15)

    def test_units_that_cannot_be_converted_are_refused(self):
        with pytest.raises(ValueError, match="session_1 is in 'kg', which cannot be converted to 'cm'"):
            align([SPIKES, SPIKES], [(TIMES, VALUES * pq.cm), (TIMES, VALUES * pq.kg)])

    @pytest.mark.parametrize("first", [0, 1])
    def test_a_missing_unit_is_refused_where_others_have_one(self, first):
        signals = [(TIMES, VALUES * pq.cm), (TIMES, VALUES)]
        with pytest.raises(ValueError, match=r"session_1 has .*'cm'.*units, or none"):
            align([SPIKES, SPIKES], [signals[first], signals[1 - first]])


class TestOverlap:
    def test_none_is_an_error_that_names_both_ranges(self):
        with pytest.raises(ValueError, match=r"0\.000 to 9\.900 s.*100\.000 to 108\.500 s.*same clock"):
            align(SPIKES, (TIMES + 100, VALUES))

    def test_none_in_one_segment_names_the_segment(self):
        with pytest.raises(ValueError, match="session_0, segment 1 do not overlap"):
            align(two_segments(), [(TIMES[:4], VALUES[:4]), (TIMES[:4] + 100, VALUES[:4])])

    def test_none_by_milliseconds_taken_for_seconds(self):
        with pytest.raises(ValueError, match="do not overlap"):
            align(SPIKES, ((TIMES + 1) * 1e3, VALUES))

    def test_behaviour_outside_the_recording_is_left_out_with_a_warning(self):
        with pytest.warns(UserWarning, match=r"4 of 18 behaviour samples .*left out"):
            X, y = align(SPIKES, (TIMES + 4, VALUES))
        assert X.times.max() <= 10.9
        np.testing.assert_array_equal(y, VALUES[:14])

    def test_and_scored_with_one(self):
        with pytest.warns(UserWarning, match=r"4 of 18 .* are scored all the same; score\(\*align\("):
            X, _ = pair(SPIKES, (TIMES + 4, VALUES), leave_out=False)
        assert len(X) == 18

    @pytest.mark.filterwarnings("error")
    def test_one_second_of_overhang_is_no_matter(self):
        assert len(align(SPIKES, (TIMES - 1, VALUES))[0]) == 18

    @pytest.mark.filterwarnings("error")
    def test_the_recording_counts_and_not_its_spikes(self):
        sorting = NumpySorting.from_unit_dict({0: np.array([5000])}, 1000.0)
        sorting.register_recording(NumpyRecording([np.zeros((10_000, 1))], 1000.0))
        assert len(align(sorting, (TIMES, VALUES))[0]) == 18


def test_counts_stand_where_a_sorting_stands():
    X, y = align(from_counts(np.ones((180, 3)), np.arange(180) * 0.05, 0.05), (TIMES, VALUES))
    assert X.shape == y.shape == (18,)


class TestTimes:
    @pytest.mark.parametrize("times", [[1.0, 3.0], (1.0, 3.0), np.array([1, 3]), [1000, 3000] * pq.ms,
                                       [1000 * pq.ms, 3 * pq.s]])  # fmt: skip
    def test_of_one_segment(self, times):
        np.testing.assert_array_equal(grid_samples(as_sessions(SPIKES), times).times, [1.0, 3.0])

    def test_of_several_segments(self):
        X = grid_samples(as_sessions([SPIKES, two_segments()]), [[1.0], [2.0, 1.5], [3.0]])
        np.testing.assert_array_equal(X.times, [1.0, 2.0, 1.5, 3.0])
        np.testing.assert_array_equal(X.session_index, [0, 1, 1, 1])
        np.testing.assert_array_equal(X.segment_index, [0, 0, 0, 1])

    def test_of_several_segments_may_be_rows(self):
        X = grid_samples(as_sessions(two_segments()), np.array([[1.0, 2.0], [3.0, 4.0]]))
        np.testing.assert_array_equal(X.times, [1.0, 2.0, 3.0, 4.0])
        np.testing.assert_array_equal(X.segment_index, [0, 0, 1, 1])

    @pytest.mark.parametrize("times", [[1.0, 2.0], [[1.0]], [[1.0]] * 3])
    def test_of_another_number_of_segments_are_refused(self, times):
        with pytest.raises(ValueError, match=r"one array a segment: expected 2, got"):
            grid_samples(as_sessions(two_segments()), times)

    @pytest.mark.parametrize("times", [5.0, [], [np.nan, 1.0], [np.inf], np.zeros((2, 2))])
    def test_that_make_no_sense_are_refused(self, times):
        with pytest.raises(ValueError, match=r"times of session_0 must be a one-dimensional array of finite seconds"):
            grid_samples(as_sessions(SPIKES), times)

    def test_outside_the_recording_are_refused(self):
        with pytest.raises(ValueError, match=r"times of session_0 do not overlap.*9\.900 s, the times 500\.000"):
            grid_samples(as_sessions(SPIKES), [500.0])

    def test_partly_outside_the_recording_are_all_kept_with_a_warning(self):
        with pytest.warns(
            UserWarning, match=r"1 of 2 times of session_0 \(5\.000 to 500\.000 s\) lie more than a second outside"
        ):
            assert len(grid_samples(as_sessions(SPIKES), [5.0, 500.0])) == 2
