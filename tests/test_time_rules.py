"""Rules of time and of units of measure that hold for any spikes and any behaviour."""

from __future__ import annotations

import copy
import pickle

import neo
import numpy as np
import quantities as pq
from comparing import trains_of
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeinterface.core import NumpyRecording, NumpySorting

from spikeinterface_poyo import align
from spikeinterface_poyo.inputs.spikes_in import as_session
from spikeinterface_poyo.sessions.session import Session

N_FRAMES = 2000
RATES = st.sampled_from([1000.0, 20_000.0, 30_000.0, 24_414.0625, 32_051.28])
STARTS = st.sampled_from([0.0, 0.1, 100.0, 12_345.678, -3.3, 1.6e9])
UNITS_OF_TIME = {"s": 1, "ms": 1_000, "us": 1_000_000}
rules = settings(max_examples=30, deadline=None)


@st.composite
def trains(draw, at_least_one: bool = True) -> dict[str, np.ndarray]:
    """Frames of a few units: ascending, perhaps with duplicates within and between units, perhaps none."""
    frames = st.lists(st.integers(0, N_FRAMES - 1), max_size=12)
    out = {f"u{i}": np.sort(np.array(draw(frames), dtype=np.int64)) for i in range(draw(st.integers(1, 4)))}
    if at_least_one and not any(map(len, out.values())):
        out["u0"] = np.array([5])
    return out


def recording(rate: float, starts: list[float] | None = None, n_segments: int = 1) -> NumpyRecording:
    silence = np.zeros((N_FRAMES, 1), dtype=np.int16)
    return NumpyRecording([silence] * n_segments, rate, t_starts=starts)


def assert_same_bits(session: Session, expected: list[np.ndarray], segment: int = 0) -> None:
    for times, train in zip(trains_of(session, segment).values(), expected, strict=True):
        np.testing.assert_array_equal(times, train)


def assert_spikeinterfaces_seconds(sorting: NumpySorting) -> None:
    session = as_session(sorting)
    for segment in range(sorting.get_num_segments()):
        seconds = [sorting.get_unit_spike_train_in_seconds(u, segment_index=segment) for u in sorting.unit_ids]
        assert_same_bits(session, seconds, segment)


class TestSpikeInterfacesSeconds:
    """Adapted times are `sorting.get_unit_spike_train_in_seconds`, bit for bit."""

    @given(frames=trains(), rate=RATES)
    @rules
    def test_without_a_recording(self, frames, rate):
        assert_spikeinterfaces_seconds(NumpySorting.from_unit_dict(frames, rate))

    @given(frames=trains(), rate=RATES, start=STARTS)
    @rules
    def test_with_a_start_time(self, frames, rate, start):
        sorting = NumpySorting.from_unit_dict(frames, rate)
        sorting.register_recording(recording(rate, [start]))
        assert_spikeinterfaces_seconds(sorting)

    @given(frames=trains(), rate=RATES, start=STARTS, drift=st.floats(-0.01, 0.01), seed=st.integers(0, 5))
    @rules
    def test_with_a_drifting_time_vector(self, frames, rate, start, drift, seed):
        jitter = np.random.default_rng(seed).uniform(0, 0.5, N_FRAMES)
        clock = recording(rate)
        clock.set_times(start + (np.arange(N_FRAMES) + jitter) / rate * (1 + drift))
        sorting = NumpySorting.from_unit_dict(frames, rate)
        sorting.register_recording(clock)
        assert_spikeinterfaces_seconds(sorting)
        segment = as_session(sorting).segments[0]
        assert segment.t_start == clock.get_times()[0]
        assert segment.t_stop >= clock.get_times()[-1]

    @given(frames=st.lists(trains(), min_size=2, max_size=3), starts=st.lists(STARTS, min_size=3, max_size=3))
    @rules
    def test_with_segments_whose_clocks_overlap(self, frames, starts):
        frames = [{u: f.get(u, np.array([], dtype=np.int64)) for u in ("u0", "u1", "u2", "u3")} for f in frames]
        sorting = NumpySorting.from_unit_dict(frames, 1000.0)
        n_segments = sorting.get_num_segments()
        sorting.register_recording(recording(1000.0, starts[:n_segments], n_segments))
        assert_spikeinterfaces_seconds(sorting)
        assert [segment.t_start for segment in as_session(sorting).segments] == starts[:n_segments]

    @given(frames=trains(), start=STARTS, bounds=st.tuples(st.integers(0, 900), st.integers(1000, N_FRAMES)))
    @rules
    def test_of_a_slice(self, frames, start, bounds):
        frames["u0"] = np.append(frames["u0"][frames["u0"] < 950], 950)
        sorting = NumpySorting.from_unit_dict(frames, 1000.0)
        sorting.register_recording(recording(1000.0, [start]))
        assert_spikeinterfaces_seconds(sorting.frame_slice(*bounds))

    @given(frames=trains(), shift=STARTS)
    @rules
    def test_of_a_shifted_sorting_and_of_some_of_its_units(self, frames, shift):
        sorting = NumpySorting.from_unit_dict(frames, 1000.0)
        sorting.shift_times(shift)
        assert_spikeinterfaces_seconds(sorting)
        frames["u0"] = np.append(frames["u0"], N_FRAMES)
        sorting = NumpySorting.from_unit_dict(frames, 1000.0)
        sorting.shift_times(shift)
        (segment,) = as_session(sorting.select_units(["u0"])).segments
        np.testing.assert_array_equal(segment.spike_times, sorting.get_unit_spike_train_in_seconds("u0"))


class TestUnitsOfTime:
    @given(frames=trains(), unit=st.sampled_from(list(UNITS_OF_TIME)))
    @rules
    def test_whole_numbers_are_equal_in_every_unit(self, frames, unit):
        # n ms, 1000 n us and n / 1000 s are one time, to the last bit
        scaled = {u: pq.Quantity(f * UNITS_OF_TIME[unit] / 1000, unit) for u, f in frames.items()}
        assert_same_bits(as_session(scaled), [f / 1000 for f in frames.values()])

    @given(frames=trains(), rate=RATES, unit=st.sampled_from(list(UNITS_OF_TIME)), start=STARTS)
    @rules
    def test_any_time_is_equal_but_for_rounding(self, frames, rate, unit, start):
        seconds = {u: start + f / rate for u, f in frames.items()}
        scaled = {u: t * UNITS_OF_TIME[unit] * pq.Quantity(1, unit) for u, t in seconds.items()}
        for times, train in zip(trains_of(as_session(scaled)).values(), seconds.values(), strict=True):
            np.testing.assert_allclose(times, train, rtol=4e-16, atol=0)

    @given(frames=trains(), unit=st.sampled_from(["ms", "us"]), dtype=st.sampled_from([np.int64, np.int32]))
    @rules
    def test_integer_neo_trains(self, frames, unit, dtype):
        # neo itself cannot rescale these
        per_second = UNITS_OF_TIME[unit]
        neo_trains = [
            neo.SpikeTrain(np.array(f * (per_second // 1000), dtype=dtype), units=unit, t_stop=10 * per_second, name=u)
            for u, f in frames.items()
        ]
        session = as_session(neo_trains)
        assert session.unit_names == list(frames)
        assert_same_bits(session, [f / 1000 for f in frames.values()])
        assert (session.segments[0].t_start, session.segments[0].t_stop) == (0.0, 10.0)

    @given(unit=st.sampled_from(list(UNITS_OF_TIME)), start=st.integers(0, 100), n=st.integers(2, 50))
    @rules
    def test_behaviour(self, unit, start, n):
        scale = UNITS_OF_TIME[unit]
        seconds = start + np.arange(n) / 10
        values = np.arange(float(n))
        signals = [
            (seconds * scale * pq.Quantity(1, unit), values),
            neo.IrregularlySampledSignal(seconds * scale, values, units="dimensionless", time_units=unit),
            neo.AnalogSignal(
                values, units="dimensionless", t_start=start * scale * pq.Quantity(1, unit), sampling_rate=10 * pq.Hz
            ),
        ]
        for signal in signals:
            X, y = align({"a": [0.0, 200.0]}, signal)
            np.testing.assert_allclose(X.times, seconds, rtol=4e-16)
            np.testing.assert_array_equal(y.ravel(), values)


class TestUnitsOfMeasure:
    @given(
        values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
        pair=st.sampled_from([("cm/s", "m/s", 100), ("m", "cm", 0.01), ("deg", "rad", 180 / np.pi), ("N", "kN", 1000)]),
    )
    @rules
    def test_sessions_in_different_units_of_measure_are_one(self, values, pair):
        unit, other, factor = pair
        times, values = np.arange(len(values)) / 10, np.array(values)
        signals = [
            (times, pq.Quantity(values, unit)),
            neo.IrregularlySampledSignal(times, values / factor, units=other, time_units="s"),
        ]
        spikes = {"a": [0.0, 3.0]}
        X, y = align([spikes, spikes], [(times, pq.Quantity(values[:, None], unit)), signals[1]])
        first, second = np.split(y, 2)
        assert X.targets[0][0].units == unit
        np.testing.assert_array_equal(first.ravel(), values)
        np.testing.assert_allclose(second, first, rtol=1e-13, atol=1e-300)


class TestClock:
    @given(frames=trains(), rate=RATES, shift=STARTS)
    @rules
    def test_a_shifted_recording_shifts_spikes_and_extent(self, frames, rate, shift):
        plain, shifted = (NumpySorting.from_unit_dict(frames, rate) for _ in range(2))
        plain.register_recording(recording(rate, [0.0]))
        shifted.register_recording(recording(rate, [shift]))
        (one,), (other,) = as_session(plain).segments, as_session(shifted).segments
        resolution = np.spacing(abs(shift) + 10)
        np.testing.assert_allclose(other.spike_times, one.spike_times + shift, rtol=0, atol=2 * resolution)
        np.testing.assert_array_equal(other.unit_index, one.unit_index)
        assert abs(other.t_start - shift) <= resolution
        assert abs(other.t_stop - one.t_stop - shift) <= 4 * resolution

    @given(frames=trains(), start=STARTS)
    @rules
    def test_is_fixed_by_align(self, frames, start):
        # pickling a sorting drops its recording, and shifting the recording later must not move what is aligned
        clock = recording(1000.0, [start])
        sorting = NumpySorting.from_unit_dict(frames, 1000.0)
        sorting.register_recording(clock)
        expected = [sorting.get_unit_spike_train_in_seconds(u) for u in sorting.unit_ids]
        X, _ = align(sorting, (start + np.arange(4) / 10, np.zeros(4)))
        clock.shift_times(50.0)
        for again in (X, pickle.loads(pickle.dumps(X)), copy.deepcopy(X), X[1:3]):
            assert_same_bits(again.sessions[0], expected)


class TestOrder:
    @given(frames=trains(), rate=RATES, seed=st.integers(0, 9))
    @rules
    def test_of_spikes_does_not_matter(self, frames, rate, seed):
        rng = np.random.default_rng(seed)
        one = as_session({u: f / rate for u, f in frames.items()}).segments[0]
        other = as_session({u: rng.permutation(f) / rate for u, f in frames.items()}).segments[0]
        np.testing.assert_array_equal(one.spike_times, other.spike_times)
        np.testing.assert_array_equal(one.unit_index, other.unit_index)

    @given(frames=trains(), rate=RATES)
    @rules
    def test_is_the_same_from_every_kind(self, frames, rate):
        # equal times of two units come in one order, or sums in the network would round differently
        sorting = NumpySorting.from_unit_dict(frames, rate)
        seconds = {u: f / rate for u, f in frames.items()}
        neo_trains = [neo.SpikeTrain(t, units="s", t_stop=10, name=u) for u, t in seconds.items()]
        expected = as_session(sorting).segments[0]
        for given_as in (seconds, neo_trains):
            segment = as_session(given_as).segments[0]
            np.testing.assert_array_equal(segment.spike_times, expected.spike_times)
            np.testing.assert_array_equal(segment.unit_index, expected.unit_index)

    @given(frames=trains())
    @rules
    def test_duplicates_are_kept(self, frames):
        doubled = {u: np.repeat(f, 2) for u, f in frames.items()}
        for given_as in (NumpySorting.from_unit_dict(doubled, 1000.0), {u: f / 1000 for u, f in doubled.items()}):
            assert_same_bits(as_session(given_as), [f / 1000 for f in doubled.values()])

    @given(order=st.permutations(range(12)))
    @rules
    def test_of_behaviour_is_kept_and_pairs_stay_together(self, order):
        times = np.array([0, 1, 2, 2, 2, 3, 4, 5, 6, 7, 7, 8])[order] / 10
        X, y = align({"a": [0.0, 1.0]}, (times, np.array(order)))
        np.testing.assert_array_equal(X.times, times)
        np.testing.assert_array_equal(y, order)
