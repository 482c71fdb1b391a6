"""Spikes in: every kind of sorting becomes the same session."""

from __future__ import annotations

from datetime import datetime, timezone

import neo
import numpy as np
import pytest
import quantities as pq
from comparing import trains_of
from spikeinterface.core import NumpyRecording, NumpySorting, select_segment_sorting

from spikeinterface_poyo import align
from spikeinterface_poyo.inputs.spikes_in import as_session

FS = 1000.0
FRAMES = {"a": np.array([3, 500, 500, 1999]), "b": np.array([], dtype=int), "c": np.array([0, 7, 500])}
SECONDS = {unit: frames / FS for unit, frames in FRAMES.items()}


def neo_trains(unit: pq.Quantity = pq.s, t_stop: float = 2.0) -> list[neo.SpikeTrain]:
    scale = float((1 * pq.s).rescale(unit).magnitude)
    return [
        neo.SpikeTrain(train * scale, units=unit, t_stop=t_stop * scale, name=name) for name, train in SECONDS.items()
    ]


def neo_segment() -> neo.Segment:
    segment = neo.Segment()
    segment.spiketrains = neo_trains()
    return segment


def neo_block(n_segments: int = 1) -> neo.Block:
    block = neo.Block()
    block.segments.extend([neo_segment() for _ in range(n_segments)])
    return block


def nwb_file(trains: dict = SECONDS):
    pynwb = pytest.importorskip("pynwb")
    start = datetime(2020, 1, 1, tzinfo=timezone.utc)
    file = pynwb.NWBFile(session_description="x", identifier="x", session_start_time=start)
    for train in trains.values():
        file.add_unit(spike_times=train)
    return file


KINDS = {
    "SpikeInterface": lambda: NumpySorting.from_unit_dict(FRAMES, FS),
    "dict": lambda: SECONDS,
    "dict of lists": lambda: {unit: train.tolist() for unit, train in SECONDS.items()},
    "dict in ms": lambda: {unit: train * 1000 * pq.ms for unit, train in SECONDS.items()},
    "dict of lists of quantities": lambda: {unit: [t * 1000 * pq.ms for t in train] for unit, train in SECONDS.items()},
    "neo list": neo_trains,
    "neo list in ms": lambda: neo_trains(pq.ms),
    "neo tuple": lambda: tuple(neo_trains()),
    "neo SpikeTrainList": lambda: neo_segment().spiketrains,
    "neo Segment": neo_segment,
    "neo Block": neo_block,
    "NWB file": nwb_file,
    "NWB Units": lambda: nwb_file().units,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_session(kind):
    session = as_session(KINDS[kind]())
    names = ["0", "1", "2"] if "NWB" in kind else list(SECONDS)
    assert session.unit_names == names
    assert len(session.segments) == 1
    for train, expected in zip(trains_of(session).values(), SECONDS.values(), strict=True):
        np.testing.assert_array_equal(train, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_spikes_are_float64_seconds_in_order_of_time_then_unit(kind):
    segment = as_session(KINDS[kind]()).segments[0]
    assert segment.spike_times.dtype == np.float64
    assert segment.unit_index.dtype == np.int32
    order = np.lexsort((segment.unit_index, segment.spike_times))
    np.testing.assert_array_equal(order, np.arange(len(order)))


def test_a_session_passes_through():
    session = as_session(SECONDS)
    assert as_session(session) is session


@pytest.mark.parametrize("ids", [[4, 7], ["x", "y"], np.array([4, 7], dtype=np.uint8)])
def test_unit_ids_stay_as_they_are(ids):
    trains = (np.array([1, 2]), np.array([3]))
    sorting = NumpySorting.from_unit_dict(dict(zip(ids, trains, strict=True)), FS)
    np.testing.assert_array_equal(as_session(sorting).unit_ids, ids)
    np.testing.assert_array_equal(as_session(dict(zip(ids, trains, strict=True))).unit_ids, ids)


def test_ids_that_read_the_same_are_refused():
    sorting = as_session({1: [0.1], "b": [0.2]})
    assert sorting.unit_names == ["1", "b"]
    with pytest.raises(ValueError, match=r"must differ when written as text; these repeat: \['1'\]"):
        as_session({1: [0.1], "1": [0.2]})


def test_ids_other_than_integers_and_strings_are_refused():
    with pytest.raises(ValueError, match="integers or strings"):
        as_session({(0, 1): [0.1], (0, 2): [0.2]})


@pytest.mark.parametrize("given", [3, None, object(), np.zeros((3, 2))])
def test_an_unknown_kind_is_a_type_error_that_names_what_is_accepted(given):
    with pytest.raises(TypeError, match=rf"{type(given).__name__}.*SpikeInterface.*neo.*NWB.*dict"):
        as_session(given)


def test_two_dimensional_trains_are_refused():
    with pytest.raises(ValueError, match=r"unit 'a' must be one-dimensional, got shape \(2, 2\)"):
        as_session({"a": np.zeros((2, 2))})


@pytest.mark.parametrize("unit", [pq.cm, pq.dimensionless, pq.Hz])
def test_trains_in_no_unit_of_time_are_refused(unit):
    with pytest.raises(ValueError, match="unit of time"):
        as_session({"a": np.array([1.0]) * unit})


class TestNeo:
    def test_extent_is_that_of_the_trains(self):
        trains = [
            neo.SpikeTrain([20.0], units="ms", t_start=10, t_stop=900, name="a"),
            neo.SpikeTrain([0.5], units="s", t_start=0.4, t_stop=1.5, name="b"),
        ]
        segment = as_session(trains).segments[0]
        assert (segment.t_start, segment.t_stop) == (0.010, 1.5)

    def test_trains_in_different_units_of_time(self):
        trains = [neo.SpikeTrain([250.0], units="ms", t_stop=1000), neo.SpikeTrain([0.5], units="s", t_stop=1)]
        np.testing.assert_array_equal(as_session(trains).segments[0].spike_times, [0.25, 0.5])

    def test_unit_id_annotation_names_a_unit_without_a_name(self):
        trains = [neo.SpikeTrain([0.1], units="s", t_stop=1, unit_id=i) for i in (5, 9)]
        np.testing.assert_array_equal(as_session(trains).unit_ids, [5, 9])

    @pytest.mark.parametrize("names", [(None, None), ("same", "same"), ("one", None), ("", "")])
    def test_place_names_a_unit_where_names_do_not(self, names):
        trains = [neo.SpikeTrain([0.1], units="s", t_stop=1, name=name) for name in names]
        np.testing.assert_array_equal(as_session(trains).unit_ids, [0, 1])

    def test_segments_name_units_in_one_way(self):
        block = neo_block(2)
        block.segments[1].spiketrains = [neo.SpikeTrain(t.magnitude, units="s", t_stop=2) for t in neo_trains()]
        session = as_session(block)
        assert session.unit_names == ["0", "1", "2"]

    def test_places_are_refused_where_a_unit_is_missing_in_one_segment(self):
        block = neo_block(3)
        for segment, n in zip(block.segments, (3, 2, 0), strict=True):
            segment.spiketrains = [neo.SpikeTrain(t.magnitude, units="s", t_stop=2) for t in neo_trains()[:n]]
        with pytest.raises(ValueError, match=r"segments have \[3, 2, 0\] spike trains.*train\.name"):
            as_session(block)
        block.segments = block.segments[::2]
        assert as_session(block).unit_names == ["0", "1", "2"]

    def test_unit_missing_in_one_segment_is_silent_there(self):
        block = neo_block(2)
        block.segments[1].spiketrains = neo_trains()[:1]
        session = as_session(block)
        assert session.unit_names == ["a", "b", "c"]
        assert [len(train) for train in trains_of(session, 1).values()] == [4, 0, 0]

    def test_segments_have_clocks_of_their_own(self):
        block = neo_block(2)
        later = [neo.SpikeTrain(t.magnitude + 50, units="s", t_start=50, t_stop=52, name=t.name) for t in neo_trains()]
        block.segments[1].spiketrains = later
        starts = [segment.t_start for segment in as_session(block).segments]
        assert starts == [0.0, 50.0]


class TestSpikeInterface:
    def test_extent_is_the_recording_where_there_is_one(self):
        sorting = NumpySorting.from_unit_dict(FRAMES, FS)
        assert (as_session(sorting).segments[0].t_start, as_session(sorting).segments[0].t_stop) == (0.0, 1.999)
        sorting.register_recording(NumpyRecording([np.zeros((4000, 1))], FS, t_starts=[10.0]))
        segment = as_session(sorting).segments[0]
        assert (segment.t_start, segment.t_stop, segment.clock) == (10.0, 14.0, "recording")

    @pytest.mark.filterwarnings("ignore:Some spikes exceed")
    def test_spikes_beyond_the_recording_are_refused(self):
        sorting = NumpySorting.from_unit_dict(FRAMES, FS)
        sorting.register_recording(NumpyRecording([np.zeros((1000, 1))], FS))
        with pytest.raises(ValueError, match=r"samples 0\.\.1999, outside the recording's 0\.\.999.*remove_excess"):
            as_session(sorting)

    def test_a_shift_of_the_sorting_is_kept(self):
        sorting = NumpySorting.from_unit_dict(FRAMES, FS)
        sorting.shift_times(100.0)
        np.testing.assert_array_equal(trains_of(as_session(sorting))["a"], SECONDS["a"] + 100.0)

    def test_select_units_keeps_the_clock(self):
        # SpikeInterface's own select_units forgets the shift
        sorting = NumpySorting.from_unit_dict(FRAMES, FS)
        sorting.shift_times(100.0)
        session = as_session(sorting.select_units(["c", "a"]).select_units(["a", "c"], renamed_unit_ids=[1, 0]))
        assert session.unit_names == ["1", "0"]
        np.testing.assert_array_equal(trains_of(session)["1"], SECONDS["a"] + 100.0)
        np.testing.assert_array_equal(trains_of(session)["0"], SECONDS["c"] + 100.0)

    def test_a_shift_of_selected_units_comes_on_top(self):
        sorting = NumpySorting.from_unit_dict(FRAMES, FS)
        sorting.shift_times(100.0)
        selected = sorting.select_units(["a"])
        selected.shift_times(5.0)
        np.testing.assert_array_equal(trains_of(as_session(selected))["a"], SECONDS["a"] + 100.0 + 5.0)

    def test_select_units_keeps_the_registered_recording(self):
        sorting = NumpySorting.from_unit_dict(FRAMES, FS)
        sorting.register_recording(NumpyRecording([np.zeros((4000, 1))], FS, t_starts=[10.0]))
        session = as_session(sorting.select_units(["c"]))
        assert session.segments[0].clock == "recording"
        np.testing.assert_array_equal(trains_of(session)["c"], SECONDS["c"] + 10.0)

    def test_select_units_of_a_segment_keeps_the_extent_of_its_recording(self):
        sorting = NumpySorting.from_unit_dict([FRAMES, FRAMES], FS)
        sorting.register_recording(NumpyRecording([np.zeros((4000, 1))] * 2, FS, t_starts=[0.0, 10.0]))
        (whole,) = as_session(select_segment_sorting(sorting, [1])).segments
        selected = select_segment_sorting(sorting, [1]).select_units(["c"])
        (some,) = as_session(selected).segments
        assert (some.t_start, some.t_stop) == (whole.t_start, whole.t_stop) == (10.0, pytest.approx(10 + 4000 / FS))
        selected.shift_times(5.0)
        (later,) = as_session(selected).segments
        assert (later.t_start, later.t_stop) == (15.0, whole.t_stop + 5.0)

    @pytest.mark.parametrize("t_start", [0.0, 5.0])
    def test_select_units_keeps_the_seconds_of_an_nwb_file(self, tmp_path, t_start):
        pynwb = pytest.importorskip("pynwb")
        from spikeinterface.extractors import read_nwb_sorting

        trains = {0: [5.00001234, 6.5], 1: [7.1234567, 8.0]}
        with pynwb.NWBHDF5IO(tmp_path / "file.nwb", "w") as io:
            io.write(nwb_file(trains))
        sorting = read_nwb_sorting(tmp_path / "file.nwb", sampling_frequency=FS, t_start=t_start)
        np.testing.assert_array_equal(trains_of(as_session(sorting))["1"], trains[1])
        np.testing.assert_array_equal(trains_of(as_session(sorting.select_units([1])))["1"], trains[1])

    def test_segments_without_spikes_are_kept(self):
        sorting = NumpySorting.from_unit_dict([{"a": np.array([], dtype=int)}, {"a": np.array([5])}], FS)
        assert [len(segment.spike_times) for segment in as_session(sorting).segments] == [0, 1]


@pytest.mark.parametrize("trains", [{}, {"a": [], "b": []}])
def test_empty_nwb_tables_are_refused(trains):
    with pytest.raises(ValueError, match=r"empty|no Units table"):
        align(nwb_file(trains), (np.arange(9.0), np.arange(9.0)))


def test_a_path_that_is_no_saved_sorting_says_so(tmp_path):
    file = tmp_path / "session.nwb"
    with pytest.raises(ValueError, match=r"session.nwb' does not exist; a path is that of a folder in which Spike"):
        as_session(str(file))
    file.touch()
    with pytest.raises(ValueError, match="is a file: open it with a SpikeInterface extractor or pynwb"):
        as_session(file)
