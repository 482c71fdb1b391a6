"""Epochs: from every kind of intervals, and which samples they leave."""

from __future__ import annotations

import neo
import numpy as np
import pytest
import quantities as pq
from spikeinterface.core import NumpyEvent

from spikeinterface_poyo import POYODecoder, align
from spikeinterface_poyo.inputs.epochs_in import as_intervals, as_segment_intervals
from spikeinterface_poyo.sessions.session import within

pytestmark = pytest.mark.usefixtures("brief_training")

INTERVALS = np.array([[1.0, 2.5], [4.0, 4.5]])
SPIKES = {"a": np.arange(0, 10, 0.1), "b": np.arange(0.05, 10, 0.3)}
TIMES = np.arange(0, 10, 0.25)
BEHAVIOUR = (TIMES, np.sin(TIMES))
INSIDE = np.array([1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 4.0, 4.25, 4.5])

EVENT = np.array([(1.0, 1.5, "go"), (4.0, 0.5, "go")], dtype=[("time", "f8"), ("duration", "f8"), ("label", "U2")])


def stamped() -> np.ndarray:
    return EVENT.astype([("timestamp", "f8"), ("duration", "f8"), ("label", "U2")])


def pynapple_set():
    nap = pytest.importorskip("pynapple")
    return nap.IntervalSet(INTERVALS[:, 0], INTERVALS[:, 1])


def nwb_trials():
    pynwb = pytest.importorskip("pynwb")
    trials = pynwb.epoch.TimeIntervals(name="trials", description="x")
    for start, stop in INTERVALS:
        trials.add_interval(start_time=start, stop_time=stop)
    return trials


def table(*names: str):
    return pytest.importorskip("pandas").DataFrame(INTERVALS, columns=list(names)).assign(label="go")


KINDS = {
    "array": lambda: INTERVALS,
    "list of pairs": lambda: [(1.0, 2.5), [4, 4.5]],
    "in ms": lambda: INTERVALS * 1000 * pq.ms,
    "pairs of quantities": lambda: [(1 * pq.s, 2500 * pq.ms), (4000 * pq.ms, 4.5 * pq.s)],
    "neo Epoch": lambda: neo.Epoch(INTERVALS[:, 0] * pq.s, [1.5, 0.5] * pq.s),
    "neo Epoch that lasts ms": lambda: neo.Epoch(INTERVALS[:, 0] * pq.s, [1500, 500] * pq.ms),
    "neo Epoch in ms": lambda: neo.Epoch(INTERVALS[:, 0] * 1000 * pq.ms, [1.5, 0.5] * pq.s),
    "pynapple IntervalSet": pynapple_set,
    "NWB TimeIntervals": nwb_trials,
    "NWB table": lambda: nwb_trials().to_dataframe(),
    "pandas": lambda: table("start", "end"),
    "SpikeInterface events": lambda: NumpyEvent.from_dict({"trials": EVENT}),
    "SpikeInterface events, timestamp": lambda: NumpyEvent.from_dict({"trials": stamped()}),
    "SpikeInterface events of a channel": lambda: (NumpyEvent.from_dict({"x": EVENT[:1], "trials": EVENT}), "trials"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_intervals(kind):
    intervals = as_intervals(KINDS[kind]())
    assert intervals.dtype == np.float64
    np.testing.assert_array_equal(intervals, INTERVALS)


@pytest.mark.parametrize("kind", KINDS)
def test_only_samples_inside_count_ends_included(kind):
    X, y = align(SPIKES, BEHAVIOUR, epochs=KINDS[kind]())
    np.testing.assert_array_equal(X.times, INSIDE)
    np.testing.assert_array_equal(y, np.sin(INSIDE))


def test_ends_are_included_although_sums_of_steps_round():
    times = np.arange(0, 1, 0.1)  # 0.3 and 0.7 a little late
    for epochs in ([(0.1, 0.3), (0.6, 0.7)], neo.Epoch([0.1, 0.6] * pq.s, durations=[0.2, 0.1] * pq.s)):
        X, _ = align(SPIKES, (times, times), epochs=epochs)
        np.testing.assert_allclose(X.times, [0.1, 0.2, 0.3, 0.6, 0.7])


def test_a_table_of_time_differences():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(
        {"start_time": pd.to_timedelta([1, 4], unit="s"), "stop_time": pd.to_timedelta([3, 5], unit="s")}
    )
    np.testing.assert_array_equal(as_intervals(table), [[1.0, 3.0], [4.0, 5.0]])


def test_spikes_outside_stay_readable():
    X, _ = align(SPIKES, BEHAVIOUR, epochs=INTERVALS)
    np.testing.assert_array_equal(X.sessions[0].segments[0].spike_times, np.sort(np.concatenate([*SPIKES.values()])))


def test_samples_are_those_that_pynapple_keeps():
    nap = pytest.importorskip("pynapple")
    rng = np.random.default_rng(0)
    times = np.unique(np.round(rng.uniform(0, 10, 400), 2))  # some fall on the edges
    edges = np.sort(rng.choice(times, 20, replace=False)).reshape(-1, 2)
    kept = nap.Tsd(times, times).restrict(nap.IntervalSet(edges[:, 0], edges[:, 1])).t
    X, _ = align(SPIKES, (times, times), epochs=edges)
    assert 0 < len(kept) < len(times)
    np.testing.assert_array_equal(X.times, kept)


def test_epochs_in_any_order_that_overlap_are_joined():
    given = np.array([[4.0, 5.0], [1.0, 2.0], [1.5, 1.6], [2.0, 3.0], [4.5, 6.0], [5.0, 5.5]])
    np.testing.assert_array_equal(as_intervals(given), [[1.0, 3.0], [4.0, 6.0]])
    X, _ = align(SPIKES, BEHAVIOUR, epochs=given)
    assert len(set(X.times)) == len(X.times)


def test_unsorted_and_repeated_samples_keep_their_order():
    times = np.array([4.2, 1.1, 9.0, 1.1, 2.6])
    X, y = align(SPIKES, (times, np.arange(5.0)), epochs=INTERVALS)
    np.testing.assert_array_equal(X.times, [4.2, 1.1, 1.1])
    np.testing.assert_array_equal(y, [0.0, 1.0, 3.0])


def test_within_agrees_with_its_definition():
    rng = np.random.default_rng(1)
    intervals = np.sort(rng.uniform(0, 100, 40)).reshape(-1, 2)
    times = rng.uniform(-5, 105, 1000)
    for slack in (0.0, 1.0, 30.0):
        plain = ((times[:, None] >= intervals[:, 0] - slack) & (times[:, None] <= intervals[:, 1] + slack)).any(axis=1)
        np.testing.assert_array_equal(within(times, intervals, slack), plain)


def spikes_of_two_segments() -> neo.Block:
    block = neo.Block()
    for start in (0, 100):
        segment = neo.Segment()
        trains = SPIKES.values()
        segment.spiketrains = [neo.SpikeTrain(start + t, units="s", t_start=start, t_stop=start + 10) for t in trains]
        block.segments.append(segment)
    return block


TWO_BEHAVIOURS = [BEHAVIOUR, (100 + TIMES, np.cos(TIMES))]


class TestSegments:
    spikes = spikes_of_two_segments()

    def test_take_one_each_on_their_own_clocks(self):
        X, _ = align(self.spikes, TWO_BEHAVIOURS, epochs=[[(1, 2)], np.array([[103.0, 104.0]])])
        np.testing.assert_array_equal(X.times, [1, 1.25, 1.5, 1.75, 2, 103, 103.25, 103.5, 103.75, 104])
        np.testing.assert_array_equal(X.segment_index, [0] * 5 + [1] * 5)

    def test_neos_lists_are_lists(self):
        segment = neo.Segment()
        for start in (1.0, 103.0):
            segment.epochs.append(neo.Epoch([start] * pq.s, durations=[1.0] * pq.s))
        X, _ = align(self.spikes, TWO_BEHAVIOURS, epochs=segment.epochs)
        np.testing.assert_array_equal(X.times, [1, 1.25, 1.5, 1.75, 2, 103, 103.25, 103.5, 103.75, 104])

    def test_events_have_one_each_by_themselves(self):
        later = EVENT.copy()
        later["time"] += 102
        event = NumpyEvent.from_dict([{"trials": EVENT}, {"trials": later}])
        X, _ = align(self.spikes, TWO_BEHAVIOURS, epochs=event)
        np.testing.assert_array_equal(X.times, [*INSIDE, *(INSIDE + 102)])
        picked = [event.select_segment([0]), (event.select_segment([1]), "trials")]
        np.testing.assert_array_equal(align(self.spikes, TWO_BEHAVIOURS, epochs=picked)[0].times, X.times)

    def test_none_is_all_times_and_an_empty_array_is_none_of_them(self):
        X, y = align(self.spikes, TWO_BEHAVIOURS, epochs=[None, np.empty((0, 2))])
        np.testing.assert_array_equal(X.times, TIMES)
        np.testing.assert_array_equal(y, np.sin(TIMES))

    @pytest.mark.parametrize("epochs", [INTERVALS, [(1, 2), (3, 4)], [INTERVALS] * 3])
    def test_need_one_each(self, epochs):
        with pytest.raises(ValueError, match=r"2 segment\(s\) needs epochs for each, as a list of 2.*got [13]"):
            align(self.spikes, TWO_BEHAVIOURS, epochs=epochs)

    def test_events_of_several_segments_are_not_one_segments(self):
        event = NumpyEvent.from_dict([{"trials": EVENT}, {"trials": EVENT}])
        with pytest.raises(ValueError, match="events of 2 segments stand where epochs of one were expected"):
            align(self.spikes, TWO_BEHAVIOURS, epochs=[event, None])


class TestSessions:
    def test_take_one_each(self):
        events = (NumpyEvent.from_dict({"trials": EVENT, "licks": EVENT[:1]}), "trials")
        for epochs in (INTERVALS, events):
            assert len(align([SPIKES] * 2, [BEHAVIOUR] * 2, epochs=[epochs, epochs])[0]) == 2 * len(INSIDE)
        X, _ = align([SPIKES, SPIKES], [BEHAVIOUR, BEHAVIOUR], epochs=[INTERVALS, None])
        np.testing.assert_array_equal(X.times, [*INSIDE, *TIMES])
        np.testing.assert_array_equal(X.session_index, [0] * len(INSIDE) + [1] * len(TIMES))

    def test_of_several_segments_take_a_list_each(self):
        both, behavior = TestSegments.spikes, TWO_BEHAVIOURS
        epochs = [[[(1, 2)], None], INTERVALS]
        X, _ = align([both, SPIKES], [behavior, BEHAVIOUR], epochs=epochs)
        np.testing.assert_array_equal(X.times, [1, 1.25, 1.5, 1.75, 2, *(100 + TIMES), *INSIDE])

    @pytest.mark.parametrize(("epochs", "given"), [(INTERVALS, "one ndarray"), ([INTERVALS], "a list of 1")])
    def test_need_one_each(self, epochs, given):
        with pytest.raises(ValueError, match=f"2 sortings need a list of 2 epochs, one a sorting; got {given}"):
            align([SPIKES, SPIKES], [BEHAVIOUR, BEHAVIOUR], epochs=epochs)


def test_no_warning_for_samples_that_the_epochs_leave_out_anyway(recwarn):
    long = (np.arange(0, 50, 0.25), np.arange(200.0))
    X, _ = align(SPIKES, long, epochs=[(0, 5)])
    assert len(X) == 21
    assert not recwarn.list
    with pytest.warns(UserWarning, match="56 of 100 behaviour samples .* lie more than a second outside"):
        align(SPIKES, long, epochs=[(0, 24.75)])


def test_epochs_outside_the_behaviour_are_refused_with_both_ranges():
    with pytest.raises(ValueError, match=r"inside the epochs: the behaviour spans 0\.000 to 9\.750 s, the 2 epoch\(s\) "
                                         r"101\.000 to 104\.500 s"):  # fmt: skip
        align(SPIKES, BEHAVIOUR, epochs=INTERVALS + 100)


@pytest.mark.parametrize("epochs", [np.empty((0, 2)), []])
def test_empty_epochs_are_refused(epochs):
    with pytest.raises(ValueError, match="no sample is left: the epochs are empty"):
        align(SPIKES, BEHAVIOUR, epochs=epochs)


@pytest.mark.parametrize("epochs", [3, "trials", (1, 2), {"start": 1}, object()])
def test_an_unknown_kind_is_a_type_error_that_names_what_is_accepted(epochs):
    with pytest.raises(TypeError, match=r"cannot read epochs from .*IntervalSet.*neo.*NWB.*shape \(n, 2\)"):
        align(SPIKES, BEHAVIOUR, epochs=epochs)


@pytest.mark.parametrize("shape", [(2,), (4, 3), (2, 2, 2)])
def test_arrays_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"epochs must have shape \(n, 2\).*got \("):
        as_intervals(np.ones(shape))


@pytest.mark.parametrize("bad", [[3.0, 2.0], [np.nan, 2.0], [1.0, np.inf]])
def test_epochs_that_do_not_start_before_they_stop_are_refused(bad):
    with pytest.raises(ValueError, match=r"1 of 3 do not, for instance number 2"):
        as_intervals(np.vstack([INTERVALS, bad]))


def test_times_in_no_unit_of_time_are_refused():
    with pytest.raises(ValueError, match="unit of time such as s or ms, got 'cm'"):
        as_intervals(INTERVALS * pq.cm)


@pytest.mark.parametrize("events", [EVENT["time"], EVENT[["time", "label"]]])
def test_events_without_durations_are_refused(events):
    with pytest.raises(ValueError, match="'trials' do not have; give an array"):
        as_intervals(NumpyEvent.from_dict({"trials": np.array(events)}))


def test_durations_that_are_all_unknown_or_zero_are_refused():
    unknown, zero = EVENT.copy(), EVENT.copy()
    unknown["duration"], zero["duration"] = np.nan, 0
    with pytest.raises(ValueError, match="epochs need durations"):
        as_intervals(NumpyEvent.from_dict({"trials": unknown}))
    with pytest.raises(ValueError, match=r"epochs must have a duration.*got 2"):
        as_intervals(NumpyEvent.from_dict({"trials": zero}))


@pytest.mark.parametrize(("epochs", "given"), [(slice(None), ""), ("tryals", ", not 'tryals'")])
def test_the_channel_of_events_must_be_known(epochs, given):
    event = NumpyEvent.from_dict({"trials": EVENT, "licks": EVENT})
    with pytest.raises(ValueError, match=rf"\(event, channel_id\), of \['trials', 'licks'\]{given}$"):
        as_intervals(event if isinstance(epochs, slice) else (event, epochs))


def test_tables_without_the_columns_are_refused():
    with pytest.raises(ValueError, match=r"columns start_time and stop_time; it has \['from', 'to', 'label'\]"):
        as_intervals(table("from", "to"))


def test_none_stands_for_one_segment():
    assert as_segment_intervals(None) == [None]


class TestDecoder:
    epochs = ((2.0, 20.0), (30.0, 50.0))

    def test_fit_and_score_are_those_on_the_aligned_samples(self, simulate, small_decoder):
        session = simulate()
        X, y = align(session.spikes, session.behavior, epochs=self.epochs)
        assert 0 < len(X) < len(session.times)
        raw = small_decoder().fit(session.spikes, session.behavior, epochs=self.epochs)
        aligned = small_decoder().fit(X, y)
        np.testing.assert_array_equal(raw.predict(X), aligned.predict(X))
        assert not np.array_equal(raw.predict(X), small_decoder().fit(session.spikes, session.behavior).predict(X))
        score = raw.score(session.spikes, session.behavior, epochs=self.epochs)
        assert score == raw.score(X, y)
        assert score != raw.score(session.spikes, session.behavior)

    def test_partial_fit_too(self, simulate, small_decoder):
        one, two = simulate(0), simulate(1)
        raw, aligned = (small_decoder().fit(one.spikes, one.behavior) for _ in range(2))
        raw.partial_fit(two.spikes, two.behavior, session_id="two", epochs=self.epochs)
        X, y = align(two.spikes, two.behavior, session_id="two", epochs=self.epochs)
        aligned.partial_fit(X, y)
        np.testing.assert_array_equal(raw.predict(X), aligned.predict(X))

    def test_partial_fit_that_begins_too(self, simulate, small_decoder):
        session = simulate()
        X, _ = align(session.spikes, session.behavior)
        first = small_decoder().partial_fit(session.spikes, session.behavior, epochs=self.epochs)
        fitted = small_decoder().fit(session.spikes, session.behavior, epochs=self.epochs)
        np.testing.assert_array_equal(first.predict(X), fitted.predict(X))

    def test_samples_and_arrays_have_none(self):
        X, y = align(SPIKES, BEHAVIOUR)
        with pytest.raises(ValueError, match="epochs= are for sortings"):
            POYODecoder().fit(X, y, epochs=INTERVALS)
        with pytest.raises(ValueError, match="epochs= are for sortings"):
            POYODecoder().fit(np.ones((4, 2)), np.ones(4), epochs=INTERVALS)


def test_fields_of_events_are_known_by_their_names_in_any_order():
    event = np.array([(2.0, "go", 1.0), (1.0, "go", 4.0)], [("duration", "f8"), ("label", "U9"), ("time", "f8")])
    np.testing.assert_array_equal(as_intervals(NumpyEvent.from_dict({"trials": event})), [[1.0, 3.0], [4.0, 5.0]])
