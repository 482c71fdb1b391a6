"""Behaviour in: times in seconds and plain values, from every kind of signal."""

from __future__ import annotations

import neo
import numpy as np
import pytest
import quantities as pq

from spikeinterface_poyo.inputs.behavior_in import as_signal, as_signals
from spikeinterface_poyo.measures import rescale

TIMES = np.array([10.0, 10.5, 11.0])
VALUES = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])


def test_analog_signal():
    names = {"channel_names": np.array(["x", "y"])}
    given = neo.AnalogSignal(VALUES, units="cm/s", sampling_rate=2 * pq.Hz, t_start=10 * pq.s, array_annotations=names)
    signal = as_signal(given)
    np.testing.assert_array_equal(signal.times, TIMES)
    np.testing.assert_array_equal(signal.values, VALUES)
    assert (signal.units, signal.names) == ("cm/s", ("x", "y"))


@pytest.mark.parametrize("t_start", [10 * pq.s, 10_000 * pq.ms])
@pytest.mark.parametrize("rate", [{"sampling_rate": 2 * pq.Hz}, {"sampling_period": 500 * pq.ms}])
def test_analog_signal_in_any_unit_of_time(t_start, rate):
    signal = as_signal(neo.AnalogSignal(VALUES, units="cm", t_start=t_start, **rate))
    np.testing.assert_allclose(signal.times, TIMES, rtol=1e-15)


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("us", 1_000_000), ("min", 1 / 60)])
def test_irregular_signal_in_any_unit_of_time(unit, scale):
    signal = as_signal(neo.IrregularlySampledSignal(TIMES * scale, VALUES, units="m", time_units=unit))
    np.testing.assert_allclose(signal.times, TIMES, rtol=1e-15)
    np.testing.assert_array_equal(signal.values, VALUES)
    assert (signal.units, signal.names) == ("m", None)


@pytest.mark.parametrize("times", [TIMES, TIMES.tolist(), TIMES * 1000 * pq.ms, [t * 1000 * pq.ms for t in TIMES]])
@pytest.mark.parametrize("values", [VALUES, VALUES[:, 0], VALUES.tolist()])
def test_pair_of_times_and_values(times, values):
    signal = as_signal((times, values))
    np.testing.assert_array_equal(signal.times, TIMES)
    np.testing.assert_array_equal(signal.values, values)
    assert signal.units is None


def test_pair_with_quantities_keeps_the_unit():
    signal = as_signal((TIMES, VALUES * pq.m / pq.s))
    assert signal.units == "m/s"
    np.testing.assert_array_equal(signal.values, VALUES)


@pytest.mark.parametrize("wrap", [lambda q: neo.AnalogSignal(q, sampling_rate=2 * pq.Hz), lambda q: (TIMES, q)])
def test_a_unit_whose_name_does_not_tell_its_size_gives_way_to_base_units(wrap):
    signal = as_signal(wrap(pq.Quantity(VALUES, pq.CompoundUnit("1/30*m"))))
    assert signal.units == "m"
    np.testing.assert_allclose(signal.values, VALUES / 30)


def test_complex_numbers_are_refused():
    for given in (neo.AnalogSignal(VALUES + 1j, units="V", sampling_rate=2 * pq.Hz), (TIMES, VALUES + 1j)):
        with pytest.raises(ValueError, match="must be real numbers or labels"):
            as_signal(given)
    with pytest.raises(ValueError, match="times must be real numbers"):
        as_signal((TIMES + 1j, VALUES))


def test_integer_values_become_float():
    assert as_signal((TIMES, [1, 2, 3])).values.dtype == np.float64


class TestPandas:
    pd = pytest.importorskip("pandas")

    def test_text_in_place_of_times_is_refused(self):
        frame = self.pd.DataFrame({"x": [1.0, 2.0]}, index=["a", "b"])
        pairs = self.pd.MultiIndex.from_tuples([(0, 1), (0, 2)])
        for index in (frame.index, pairs):
            with pytest.raises(ValueError, match="times must be numbers, in seconds; got values of type"):
                as_signal(frame.set_index(index))

    def test_series_is_one_dimensional(self):
        signal = as_signal(self.pd.Series(VALUES[:, 0], index=TIMES, name="x"))
        np.testing.assert_array_equal(signal.times, TIMES)
        assert signal.values.shape == (3,)

    def test_frame_names_its_outputs(self):
        signal = as_signal(self.pd.DataFrame(VALUES, index=TIMES, columns=["x", "y"]))
        np.testing.assert_array_equal(signal.values, VALUES)
        assert signal.names == ("x", "y")

    def test_time_differences_are_seconds(self):
        signal = as_signal(self.pd.Series(VALUES[:, 0], index=self.pd.to_timedelta(TIMES, unit="s")))
        np.testing.assert_array_equal(signal.times, TIMES)

    def test_dates_are_dates_where_the_first_is_missing(self):
        dates = self.pd.DatetimeIndex([self.pd.NaT, "2020-01-01", "2020-01-02"], tz="UTC")
        with pytest.raises(ValueError, match="dates on the clock"):
            as_signal(self.pd.Series(VALUES[:, 0], index=dates))

    def test_dates_are_refused_with_advice(self):
        frame = self.pd.Series(VALUES[:, 0], index=self.pd.date_range("2020-01-01", periods=3))
        with pytest.raises(ValueError, match=r"dates.*seconds of the recording"):
            as_signal(frame)


class TestNeoContainers:
    signal = neo.AnalogSignal(VALUES, units="cm", sampling_rate=2 * pq.Hz, t_start=10 * pq.s)

    def segment(self, *signals) -> neo.Segment:
        segment = neo.Segment()
        segment.analogsignals.extend(signals)
        return segment

    def test_segment_with_one_signal(self):
        np.testing.assert_array_equal(as_signal(self.segment(self.signal)).values, VALUES)

    @pytest.mark.parametrize("n", [0, 2])
    def test_segment_with_another_number_of_signals_is_refused(self, n):
        with pytest.raises(ValueError, match=f"must hold one signal, got {n}"):
            as_signal(self.segment(*[self.signal] * n))

    def test_block_is_one_signal_a_segment(self):
        block = neo.Block()
        block.segments.extend([self.segment(self.signal), self.segment(self.signal)])
        assert len(as_signals(block)) == 2


@pytest.mark.parametrize("given", [None, 3, VALUES, "x.csv", (TIMES,), [TIMES, VALUES]])
def test_an_unknown_kind_is_a_type_error_that_names_what_is_accepted(given):
    with pytest.raises(TypeError, match=r"cannot read behaviour from .*expected a neo AnalogSignal.*pandas"):
        as_signals(given)


@pytest.mark.parametrize(
    ("times", "values"),
    [(TIMES, VALUES[:2]), (TIMES[:, None], VALUES), (TIMES, np.zeros((3, 1, 1))), (1.0, 2.0)],
)
def test_times_and_values_that_do_not_fit_are_refused_with_their_shapes(times, values):
    with pytest.raises(ValueError, match=r"must have shapes .*got \("):
        as_signal((times, values))


def test_an_empty_signal_is_refused():
    with pytest.raises(ValueError, match="empty"):
        as_signal(([], []))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_times_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="must be finite; 1 are NaN or infinite"):
        as_signal(([1.0, bad], [1.0, 2.0]))


def test_times_in_no_unit_of_time_are_refused():
    with pytest.raises(ValueError, match="unit of time such as s or ms, got 'cm'"):
        as_signal((TIMES * pq.cm, VALUES))


@pytest.mark.parametrize(
    ("unit", "target", "factor"),
    [("m/s", "cm/s", 100), ("cm", "m", 0.01), ("rad", "deg", 180 / np.pi), ("N", "kN", 1e-3), ("cm", "cm", 1)],
)
def test_rescale(unit, target, factor):
    np.testing.assert_allclose(rescale(VALUES, unit, target, "it"), VALUES * factor, rtol=1e-14)


@pytest.mark.parametrize(
    ("unit", "target"), [("cm", "s"), ("dimensionless", "cm"), ("cm/s", "cm"), ("cm", "parasangs"), ("cm", "a.u.")]
)
def test_rescale_refuses_another_kind_of_quantity(unit, target):
    with pytest.raises(ValueError, match=f"^speed is in '{unit}', which cannot be converted to '{target}'"):
        rescale(VALUES, unit, target, "speed")


def test_masked_values_are_unknown():
    values = np.ma.masked_equal([1.0, -999.0, 3.0], -999.0)
    np.testing.assert_array_equal(as_signal((np.arange(3.0), values)).values, [1.0, np.nan, 3.0])
    labels = np.ma.array(["a", "b", "a"], mask=[False, True, False])
    assert as_signal((np.arange(3.0), labels)).values.tolist() == ["a", None, "a"]


@pytest.mark.parametrize("missing", ["NA", "masked column"])
def test_what_pandas_does_not_know_is_unknown(missing):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": pd.array([1.0, None], dtype="Float64"), "b": [3.0, 4.0]}, index=[0.0, 0.5])
    if missing == "NA":
        frame = frame.astype(object)
    np.testing.assert_array_equal(as_signal(frame).values, [[1.0, 3.0], [np.nan, 4.0]])
    labels = pd.Series(["go", None], dtype="string", index=[0.0, 0.5])
    assert as_signal(labels).values.tolist() == ["go", None]


def test_a_table_whose_index_is_no_time_is_refused():
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"row numbers: .*, set_index\(...\) one of the columns \['time', 'x'\]"):
        as_signal(pd.DataFrame({"time": [10.0, 10.5], "x": [1.0, 2.0]}))
    speed = pd.Series([1.0, 2.0])
    with pytest.raises(ValueError, match=r"set_axis.* makes times the index$"):
        as_signal(speed)
    np.testing.assert_array_equal(as_signal(speed.set_axis([10.0, 10.5])).times, [10.0, 10.5])


def test_a_list_of_quantities_has_one_unit():
    signal = as_signal(([0.0, 1.0], [1 * pq.m, 50 * pq.cm]))
    assert (signal.values.tolist(), signal.units) == ([1.0, 0.5], "m")
    with pytest.raises(ValueError, match="some have none"):
        as_signal(([0.0, 1.0], [1 * pq.m, 50.0]))


@pytest.mark.parametrize("values", [[1 + 1j, 2.0], np.array([0, 1], "m8[s]"), np.array([0, 1], "M8[s]")])
def test_values_that_are_no_real_numbers_are_refused(values):
    with pytest.raises(ValueError, match="real numbers or labels"):
        as_signal(([0.0, 1.0], values))


def test_temperatures_are_converted_where_scales_begin_alike():
    values = np.array([1.0, 2.0])
    np.testing.assert_allclose(rescale(values, "mK", "K", "temperature"), values / 1000)
    for one, other in (("degC", "K"), ("K", "degC"), ("degF", "degC")):
        with pytest.raises(ValueError, match="quantities does not know where these scales have their zero"):
            rescale(values, one, other, "temperature")
    assert rescale(values, "degC", "degC", "temperature") is values
