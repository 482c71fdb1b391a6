"""One recording in every container it can come in: the same spike times, the same predictions."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone
from typing import NamedTuple

import neo
import numpy as np
import pytest
import quantities as pq
from spikeinterface.core import NumpyRecording, NumpySorting, create_sorting_analyzer, load, load_sorting_analyzer

from spikeinterface_poyo import align
from spikeinterface_poyo.inputs.spikes_in import as_session

RATE = 20_000
START, STOP = 700, 730  # s, the part of the packaged recording that goes into containers
TIMES = np.arange(START + 1, STOP - 1, 0.05)
CLOCKS = ["t_start", "time vector"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:The extractor is not serializable"),
    pytest.mark.filterwarnings("ignore:The recording registered to this sorting"),
    pytest.mark.filterwarnings("ignore:The Recording is not serializable"),
    pytest.mark.filterwarnings("ignore:create_sorting_analyzer"),
    pytest.mark.filterwarnings("ignore::FutureWarning:spikeinterface"),
]


class Container(NamedTuple):
    """A recording on disk, reloaded, and its sorting, both fresh from memory."""

    sorting: NumpySorting
    recording: object
    folder: object


def cut(mouse) -> dict[int, np.ndarray]:
    """Frames of the part, from 0."""
    trains = {unit: mouse[0].get_unit_spike_train(unit) - START * RATE for unit in mouse[0].unit_ids}
    return {unit: t[(t >= 0) & (t < (STOP - START) * RATE)] for unit, t in trains.items()}


def registered(sorting, recording):
    sorting.register_recording(recording)
    return sorting


@pytest.fixture(scope="module", params=CLOCKS)
def container(request, mouse, tmp_path_factory) -> Container:
    n_frames = (STOP - START) * RATE
    recording = NumpyRecording([np.zeros((n_frames, 1), dtype=np.int16)], RATE, t_starts=[START])
    if request.param == "time vector":  # drifts by a millisecond
        clock = START + np.arange(n_frames) / RATE * (1 + 1e-3 / (STOP - START))
        recording.set_times(clock)
    recording.set_dummy_probe_from_locations(np.zeros((1, 2)))
    folder = tmp_path_factory.mktemp("containers")
    one_piece = {"chunk_duration": f"{STOP - START}s", "verbose": False}
    recording.save(folder=folder / "recording", **one_piece)
    recording.save(folder=folder / "recording.zarr", format="zarr", **one_piece)
    sorting = registered(NumpySorting.from_unit_dict(cut(mouse), RATE), load(folder / "recording"))
    return Container(sorting, recording, folder)


@pytest.fixture(scope="module")
def expected(container, tiny_decoder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spike times by SpikeInterface itself, in order of time, then unit; their units; and predictions."""
    sorting = container.sorting
    trains = [sorting.get_unit_spike_train_in_seconds(unit) for unit in sorting.unit_ids]
    unit = np.arange(len(trains)).repeat([len(train) for train in trains])
    times = np.concatenate(trains)
    order = np.lexsort((unit, times))
    return times[order], unit[order], tiny_decoder.predict(sorting, TIMES)


def assert_same(obj, expected, decoder) -> None:
    times, unit, predictions = expected
    (segment,) = as_session(obj).segments
    np.testing.assert_array_equal(segment.spike_times, times)
    np.testing.assert_array_equal(segment.unit_index, unit)
    np.testing.assert_array_equal(decoder.predict(obj, TIMES), predictions)


def test_predictions_depend_on_time(container, expected, tiny_decoder):
    # or the rest of this file would show nothing
    shifted = {0: container.sorting.get_unit_spike_train_in_seconds(0) + 0.05}
    trains = {u: container.sorting.get_unit_spike_train_in_seconds(u) for u in container.sorting.unit_ids} | shifted
    difference = np.abs(tiny_decoder.predict(trains, TIMES) - expected[2]).max()
    assert difference > 1e-3 * max(tiny_decoder.sessions_.readouts["behavior"].scale)
    assert expected[2].std() > 0.05


@pytest.mark.parametrize("recording", ["memory", "recording", "recording.zarr"])
@pytest.mark.parametrize("kind", ["numpy_folder", "zarr"])
def test_sorting_saved_and_reloaded(container, expected, tiny_decoder, tmp_path, kind, recording):
    saved = container.sorting.save(folder=tmp_path / ("sorting" + ".zarr" * (kind == "zarr")), format=kind)
    clock = container.recording if recording == "memory" else load(container.folder / recording)
    assert_same(registered(saved, clock), expected, tiny_decoder)
    assert_same(registered(load(next(tmp_path.iterdir())), clock), expected, tiny_decoder)


def test_sorting_pickled(container, expected, tiny_decoder):
    again = pickle.loads(pickle.dumps(container.sorting))
    assert not again.has_recording()
    assert_same(registered(again, container.recording), expected, tiny_decoder)


def test_samples_pickled(container, expected, tiny_decoder):
    # what joblib does with n_jobs=2
    X, _ = align(container.sorting, (TIMES, np.zeros(len(TIMES))))
    np.testing.assert_array_equal(tiny_decoder.predict(pickle.loads(pickle.dumps(X))), expected[2])


@pytest.mark.parametrize("kind", ["memory", "binary_folder", "zarr"])
@pytest.mark.parametrize("recording", ["recording", "recording.zarr"])
def test_analyzer(container, expected, tiny_decoder, tmp_path, kind, recording):
    where = None if kind == "memory" else tmp_path / ("analyzer" + ".zarr" * (kind == "zarr"))
    clock = load(container.folder / recording)
    sorting = NumpySorting.from_sorting(container.sorting)
    analyzer = create_sorting_analyzer(registered(sorting, clock), clock, format=kind, folder=where, sparse=False)
    assert_same(analyzer, expected, tiny_decoder)
    again = pickle.loads(pickle.dumps(analyzer)) if where is None else load_sorting_analyzer(where)
    assert_same(again, expected, tiny_decoder)


@pytest.mark.parametrize("kind", ["binary_folder", "zarr"])
def test_analyzer_that_lost_its_recording_gets_it_back(container, expected, tiny_decoder, tmp_path, kind):
    where = tmp_path / ("analyzer" + ".zarr" * (kind == "zarr"))
    create_sorting_analyzer(container.sorting, container.recording, format=kind, folder=where, sparse=False)
    again = load_sorting_analyzer(where)
    assert not again.has_recording()
    again.set_temporary_recording(container.recording)
    assert_same(again, expected, tiny_decoder)


@pytest.mark.parametrize("lose", ["pickle", "save", "analyzer"])
def test_a_lost_clock_is_never_silent(container, small_decoder, mouse, tmp_path, lose):
    heading = mouse[1].time_slice(START * pq.s, (START + 20) * pq.s)
    decoder = small_decoder(early_stopping=False).fit(container.sorting, heading)
    if lose == "pickle":
        lost = pickle.loads(pickle.dumps(container.sorting))
    elif lose == "save":
        container.sorting.save(folder=tmp_path / "sorting")
        lost = load(tmp_path / "sorting")
    else:
        create_sorting_analyzer(
            container.sorting, container.recording, format="binary_folder", folder=tmp_path / "analyzer", sparse=False
        )
        lost = load_sorting_analyzer(tmp_path / "analyzer")
    with pytest.raises(ValueError, match=r"do not overlap in time.*register_recording"):
        decoder.predict(lost, TIMES)
    with pytest.raises(ValueError, match=r"do not overlap in time.*register_recording"):
        decoder.score(lost, heading)
    with pytest.warns(UserWarning, match=r"was on the clock of a recording.*register_recording"):
        decoder.predict(lost, TIMES - START)


class TestWithoutRecording:
    """Frame 0 is second 0: nothing can be lost, and every container gives the same bits."""

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("kind", ["numpy_folder", "zarr", "pickle", "NumpySorting"])
    def test_containers(self, mouse, tiny_decoder, tmp_path, kind):
        sorting = NumpySorting.from_sorting(mouse[0])
        if kind == "pickle":
            again = pickle.loads(pickle.dumps(sorting))
        elif kind == "NumpySorting":
            again = NumpySorting.from_sorting(sorting)
        else:
            sorting.save(folder=tmp_path / ("sorting" + ".zarr" * (kind == "zarr")), format=kind)
            again = load(next(tmp_path.iterdir()))
        one, other = (as_session(given).segments[0] for given in (mouse[0], again))
        np.testing.assert_array_equal(one.spike_times, other.spike_times)
        np.testing.assert_array_equal(one.unit_index, other.unit_index)
        np.testing.assert_array_equal(tiny_decoder.predict(again, TIMES), tiny_decoder.predict(mouse[0], TIMES))

    @pytest.mark.filterwarnings("error")
    def test_a_slice_stays_on_the_clock(self, mouse, tiny_decoder):
        piece = mouse[0].frame_slice(START * RATE, STOP * RATE)
        context = 3.5 * tiny_decoder.network_.config.window_length  # all that an answer reads: see decoder/smoothing.py
        inner = TIMES[np.abs(TIMES - (START + STOP) / 2) < (STOP - START) / 2 - context]
        expected = tiny_decoder.predict(mouse[0], inner)
        np.testing.assert_allclose(tiny_decoder.predict(piece, inner), expected, rtol=0, atol=1e-5)

    @pytest.mark.filterwarnings("error")
    def test_slices_are_no_lost_clock(self, mouse, small_decoder):
        heading = mouse[1].time_slice(START * pq.s, (START + 20) * pq.s)
        decoder = small_decoder(early_stopping=False).fit(mouse[0].frame_slice(START * RATE, STOP * RATE), heading)
        decoder.predict(mouse[0].frame_slice(0, STOP * RATE), TIMES)

    def test_a_lost_shift_is_never_silent(self, mouse, small_decoder):
        sorting = NumpySorting.from_sorting(mouse[0])
        sorting.shift_times(5.0)
        heading = mouse[1].time_slice(START * pq.s, (START + 20) * pq.s).time_shift(5 * pq.s)
        decoder = small_decoder(early_stopping=False).fit(sorting, heading)
        with pytest.warns(UserWarning, match="was on a clock of its own; this sorting has none"):
            decoder.predict(pickle.loads(pickle.dumps(sorting)), TIMES)


class TestOtherFiles:
    """The same spikes, rounded otherwise: spike times within 1 us, predictions within 1e-3 of the target's SD."""

    folder = "mouse_head_direction"
    single_units = (*range(3, 10), *range(12, 20))

    def check(self, given, mouse, decoder, since: float = 660.0) -> None:
        session = as_session(given)
        assert session.unit_names == [str(unit) for unit in mouse[0].unit_ids]
        (segment,) = session.segments
        for i, unit in enumerate(mouse[0].unit_ids):
            times = segment.spike_times[segment.unit_index == i]
            expected = mouse[0].get_unit_spike_train_in_seconds(unit)
            np.testing.assert_allclose(times[times >= since], expected, rtol=0, atol=1.001e-6)
        difference = np.abs(decoder.predict(given, TIMES) - decoder.predict(mouse[0], TIMES))
        assert (difference <= 1e-3 * np.array(decoder.sessions_.readouts["behavior"].scale)).all()

    @pytest.mark.parametrize("keep_mua_units", [True, False])
    def test_neurosuite(self, mouse, tiny_decoder, shared_data, keep_mua_units):
        pytest.importorskip("lxml")
        from spikeinterface.extractors import read_neuroscope_sorting

        sorting = read_neuroscope_sorting(shared_data / self.folder / "neurosuite", keep_mua_units=keep_mua_units)
        assert sorting.get_num_units() == 17 if keep_mua_units else 15
        mapped = sorting.select_units(list(self.single_units), renamed_unit_ids=list(range(15)))
        self.check(mapped, mouse, tiny_decoder)

    def test_neurosuite_ids_that_are_not_mapped_are_refused(self, mouse, tiny_decoder, shared_data):
        pytest.importorskip("lxml")
        from spikeinterface.extractors import read_neuroscope_sorting

        sorting = read_neuroscope_sorting(shared_data / self.folder / "neurosuite")
        with pytest.raises(ValueError, match=r"units \['15', .*'19'\] that were not there at fit"):
            tiny_decoder.predict(sorting, TIMES)

    @pytest.mark.parametrize("what", ["file", "units"])
    def test_nwb_through_pynwb(self, mouse, tiny_decoder, shared_data, what):
        pynwb = pytest.importorskip("pynwb")
        with pynwb.NWBHDF5IO(shared_data / self.folder / "A2929-200711.nwb", "r") as io:
            file = io.read()
            self.check(file if what == "file" else file.units, mouse, tiny_decoder)

    @pytest.mark.parametrize("select", [False, True])
    @pytest.mark.parametrize("t_start", [0.0, 5.0])
    def test_nwb_through_spikeinterface(self, mouse, tiny_decoder, shared_data, t_start, select):
        pytest.importorskip("pynwb")
        from spikeinterface.extractors import read_nwb_sorting

        file = shared_data / self.folder / "A2929-200711.nwb"
        sorting = read_nwb_sorting(file, sampling_frequency=RATE, t_start=t_start)
        self.check(sorting.select_units(list(range(15))) if select else sorting, mouse, tiny_decoder)

    def test_nwb_gives_the_same_bits_through_both(self, tiny_decoder, shared_data):
        pynwb = pytest.importorskip("pynwb")
        from spikeinterface.extractors import read_nwb_sorting

        file = shared_data / self.folder / "A2929-200711.nwb"
        other = read_nwb_sorting(file, sampling_frequency=RATE, t_start=0.0)
        with pynwb.NWBHDF5IO(file, "r") as io:
            units = io.read().units
            np.testing.assert_array_equal(tiny_decoder.predict(units, TIMES), tiny_decoder.predict(other, TIMES))

    def seconds(self, mouse, decimals: int | None) -> dict[int, np.ndarray]:
        trains = {unit: mouse[0].get_unit_spike_train(unit) / RATE for unit in mouse[0].unit_ids}
        return trains if decimals is None else {u: np.round(t, decimals) for u, t in trains.items()}

    @pytest.mark.parametrize("decimals", [None, 6])
    @pytest.mark.parametrize("unit", ["plain", "s", "ms", "us"])
    def test_dict(self, mouse, tiny_decoder, unit, decimals):
        trains = self.seconds(mouse, decimals)
        if unit != "plain":
            trains = {u: (t * pq.s).rescale(unit) for u, t in trains.items()}
        self.check(trains, mouse, tiny_decoder)

    @pytest.mark.parametrize("unit", ["s", "ms"])
    @pytest.mark.parametrize("kind", ["list", "Segment", "Block"])
    def test_neo(self, mouse, tiny_decoder, kind, unit):
        segment, block = neo.Segment(), neo.Block()
        segment.spiketrains = [
            neo.SpikeTrain((t * pq.s).rescale(unit), t_start=0 * pq.s, t_stop=1200 * pq.s, name=str(u))
            for u, t in self.seconds(mouse, None).items()
        ]
        block.segments.append(segment)
        given = {"list": list(segment.spiketrains), "Segment": segment, "Block": block}[kind]
        self.check(given, mouse, tiny_decoder)

    def test_nwb_written_anew(self, mouse, tiny_decoder, tmp_path):
        pynwb = pytest.importorskip("pynwb")
        start = datetime(2020, 1, 1, tzinfo=timezone.utc)
        file = pynwb.NWBFile(session_description="x", identifier="x", session_start_time=start)
        for unit, train in self.seconds(mouse, 6).items():
            file.add_unit(id=int(unit), spike_times=train)
        with pynwb.NWBHDF5IO(tmp_path / "mouse.nwb", "w") as io:
            io.write(file)
        with pynwb.NWBHDF5IO(tmp_path / "mouse.nwb", "r") as io:
            self.check(io.read(), mouse, tiny_decoder)
