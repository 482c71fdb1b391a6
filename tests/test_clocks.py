"""Clocks of SpikeInterface's sortings: kept where they can be told, and never lost without a word."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from spikeinterface.core import (
    NumpyRecording,
    NumpySorting,
    aggregate_channels,
    aggregate_units,
    append_recordings,
    concatenate_recordings,
    concatenate_sortings,
    create_sorting_analyzer,
    generate_recording,
    load,
    load_sorting_analyzer,
    select_segment_sorting,
    split_sorting,
)
from spikeinterface.core.segmentutils import SplitSegmentSorting
from spikeinterface.preprocessing import decimate

from spikeinterface_poyo.inputs.alignment import align
from spikeinterface_poyo.inputs.behavior_in import as_signals
from spikeinterface_poyo.inputs.clocks import recorded_periods
from spikeinterface_poyo.inputs.spikes_in import as_session

FS = 1000.0
FRAMES = {"a": np.array([3, 500, 1999]), "b": np.array([0, 7, 500])}
START = 100.0


@pytest.fixture
def shifted() -> NumpySorting:
    sorting = NumpySorting.from_unit_dict(FRAMES, FS)
    sorting.shift_times(START)
    return sorting


@pytest.fixture
def registered() -> NumpySorting:
    """Two segments on the time vectors of a recording, which drift."""
    sorting = NumpySorting.from_unit_dict([FRAMES, FRAMES], FS)
    recording = NumpyRecording([np.zeros((4000, 1))] * 2, FS)
    for segment, start in enumerate((10.0, 50.0)):
        recording.set_times(start + np.arange(4000) / FS * 1.001, segment_index=segment, with_warning=False)
    sorting.register_recording(recording)
    return sorting


def first_spike(sorting) -> float:
    return float(as_session(sorting).segments[0].spike_times[0])


@pytest.mark.parametrize("chosen", [[0], [1], [1, 0]])
def test_a_selected_segment_keeps_the_recordings_clock(registered, chosen):
    given = as_session(registered).segments
    selected = as_session(select_segment_sorting(registered, chosen)).segments
    for index, segment in zip(chosen, selected, strict=True):
        assert segment.clock == "recording"
        np.testing.assert_array_equal(segment.spike_times, given[index].spike_times)


KEPT = {
    "itself": lambda sorting: sorting,
    "units": lambda sorting: sorting.select_units(["a"]),
    "slice": lambda sorting: sorting.frame_slice(0, 1500),
    "units of a slice": lambda sorting: sorting.frame_slice(0, 1500).select_units(["a"]),
}
LOST = {
    "a slice of units": lambda sorting: sorting.select_units(["a"]).frame_slice(0, 1500),
    "units side by side": lambda sorting: aggregate_units([sorting, sorting.rename_units(["c", "d"])]),
}


@pytest.mark.parametrize("how", KEPT)
def test_a_start_is_kept_without_a_word(shifted, how):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first_spike(KEPT[how](shifted)) >= START


@pytest.mark.parametrize("how", LOST)
def test_a_start_that_spikeinterface_loses_is_told_of(shifted, how):
    with pytest.warns(UserWarning, match="does not hand on the clock"):
        assert first_spike(LOST[how](shifted)) < START


def test_a_slice_that_loses_its_start_is_told_of():
    slices = NumpySorting.from_unit_dict(FRAMES, FS).frame_slice(400, 2000)
    assert first_spike(slices) == 0.5
    with pytest.warns(UserWarning, match="does not hand on the clock"):
        assert first_spike(aggregate_units([slices])) == 0.1


def test_a_recording_matters_where_it_has_times_of_its_own(registered):
    one = select_segment_sorting(registered, [0])
    one.register_recording(registered._recording.select_segments([0]))
    with pytest.warns(UserWarning, match="does not hand on the clock"):
        as_session(aggregate_units([one]))
    (split,), (given,) = as_session(SplitSegmentSorting(one)).segments, as_session(one).segments
    np.testing.assert_array_equal(split.spike_times, given.spike_times)
    plain = NumpySorting.from_unit_dict(FRAMES, FS)
    plain.register_recording(NumpyRecording([np.zeros((4000, 1))], FS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first_spike(aggregate_units([plain])) == 0.0


@pytest.fixture
def drifting() -> NumpyRecording:
    recording = NumpyRecording([np.zeros((4000, 2))], FS)
    recording.set_times(START + np.arange(4000) / FS * 1.01, segment_index=0, with_warning=False)
    return recording


RECORDINGS = {
    "itself": (lambda recording: recording, True),
    "a slice": (lambda recording: recording.frame_slice(0, 3000), True),
    "channels": (lambda recording: recording.select_channels([0]), True),
    "a slice of channels": (lambda recording: recording.select_channels([0]).frame_slice(0, 3000), True),
    "channels of a slice": (lambda recording: recording.frame_slice(0, 3000).select_channels([0]), False),
    "a slice of a slice": (lambda recording: recording.frame_slice(0, 3500).frame_slice(0, 3000), False),
    "every second sample": (lambda recording: decimate(recording, 2), True),
    "every second sample of a slice": (
        lambda recording: decimate(recording.frame_slice(1000, 4000), 2),
        False,
    ),
    "groups": (lambda recording: aggregate_channels([recording.select_channels([i]) for i in range(2)]), True),
    "groups of slices": (
        lambda recording: aggregate_channels(
            [recording.select_channels([i]).frame_slice(1000, 4000) for i in range(2)]
        ),
        False,
    ),
}


@pytest.mark.parametrize("how", RECORDINGS)
def test_times_that_a_recording_loses_are_told_of(drifting, how):
    make, keeps = RECORDINGS[how]
    recording = make(drifting)
    frames = {unit: train[train < recording.get_num_samples()] for unit, train in FRAMES.items()}
    sorting = NumpySorting.from_unit_dict(frames, recording.get_sampling_frequency())
    sorting.register_recording(recording)
    given = {"spikes": lambda: as_session(sorting), "behaviour": lambda: as_signals(recording)}
    for what, read in given.items():
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            read()
        assert any("does not hand on the times" in str(one.message) for one in told) != keeps, what
    if keeps:
        times = recording.get_times()[FRAMES["b"]]
        assert set(times) <= set(as_session(sorting).segments[0].spike_times)


@pytest.mark.parametrize(("shift", "start"), [(5.0, START + 6.0), (-START - 1.0, 0.0)])
def test_a_shift_told_on_top_of_a_slice_is_no_loss(shift, start):
    recording = NumpyRecording([np.zeros((4000, 2))], FS, t_starts=[START]).frame_slice(1000, 3000)
    recording.shift_times(shift)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_signals(recording)[0].times[0] == start


def test_regular_times_are_not_lost_where_some_of_their_samples_are_left_out():
    decimated = decimate(clock(4000, FS, {}).frame_slice(0, 4000), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_signals(decimated)


def test_a_loss_among_several_is_told_of(drifting):
    lost = drifting.frame_slice(0, 3000).select_channels([0])
    with pytest.warns(UserWarning, match="ChannelSliceRecording does not hand on the times"):
        as_signals(append_recordings([lost, lost]))


SPLIT = {  # what is split, and by how many seconds it is shifted
    "itself": (lambda sorting: sorting, 0.0),
    "shifted": (lambda sorting: sorting, 5.0),
    "a slice": (
        lambda sorting: NumpySorting.from_unit_dict({"a": np.array([1005, 3007])}, FS).frame_slice(1000, 7000),
        0.0,
    ),
}


@pytest.mark.parametrize("how", SPLIT)
@pytest.mark.parametrize("after", [0.0, 5.0])
def test_segments_of_a_split_sorting_are_on_their_recordings_clocks(how, after):
    first, second = np.zeros((2000, 2), dtype=np.int16), np.zeros((4000, 3), dtype=np.float32)
    recordings = [NumpyRecording([first], FS, t_starts=[3.0]), NumpyRecording([second], FS, t_starts=[50.0])]
    make, before = SPLIT[how]
    whole = make(NumpySorting.from_unit_dict({"a": np.array([5, 2007])}, FS))
    if before:
        whole.shift_times(before)
    split = split_sorting(whole, recordings)
    if after:
        split.shift_times(after)
    if not before:  # which SpikeInterface forgets where a recording comes
        whole.register_recording(NumpyRecording([np.zeros((6000, 2))], FS, t_starts=[9.0]))  # too late to matter
    told = before + after
    segments = as_session(split).segments
    np.testing.assert_allclose([segment.spike_times[0] for segment in segments], [told + 3.005, told + 50.007])
    assert [segment.t_start for segment in segments] == [told + 3.0, told + 50.0]


@pytest.fixture
def paused() -> NumpySorting:
    """Six seconds of a clock that drifts, with a pause of 20 s after three of them and one of half a second after."""
    seconds = START + 1.0003 * np.arange(6000) / FS
    seconds[3001:] += 20
    seconds[4500:] += 0.5
    recording = NumpyRecording([np.zeros((6000, 1))], FS)
    recording.set_times(seconds, with_warning=False)
    sorting = NumpySorting.from_unit_dict({"a": np.arange(0, 6000, 50), "b": np.array([3000, 3001, 5999])}, FS)
    sorting.register_recording(recording)
    return sorting


PAUSED = np.array([[START, START + 3.0009 + 1e-3], [START + 23.0019003, START + 26.5017997]])


@pytest.mark.parametrize("how", ["itself", "units", "a slice", "units of a segment"])
def test_while_a_recording_pauses_nothing_is_known(paused, how):
    chosen = {
        "itself": paused,
        "units": paused.select_units(["a"]),
        "a slice": paused.frame_slice(0, 6000),
        "units of a segment": select_segment_sorting(paused, [0]).select_units(["a"]),
    }
    (segment,) = as_session(chosen[how]).segments
    np.testing.assert_allclose(segment.observed, PAUSED, atol=1e-6)
    times = START + np.arange(0, 27, 0.1)
    with pytest.warns(UserWarning, match=r"200 of 270 behaviour samples .*, or between their 2 periods, and are left"):
        X, _ = align(paused, (times, times))
    assert set(X.times) == set(times[(times < PAUSED[0, 1]) | (times > PAUSED[1, 0])])
    with pytest.raises(
        ValueError, match=r"span 100\.000 to 126\.50. s, with pauses between their 2 periods, the behav"
    ):
        align(paused, (times[50:100], times[50:100]))


def clock(n_frames: int, rate: float, jumps: dict[int, float], step: float = 1.0) -> NumpyRecording:
    seconds = step * np.arange(n_frames) / rate
    for frame, by in jumps.items():
        seconds[frame:] += by
    recording = NumpyRecording([np.zeros((n_frames, 1), dtype=np.int8)], rate)
    recording.set_times(seconds)
    return recording


@pytest.mark.parametrize(
    ("recording", "n_periods"),
    [
        (clock(20_000, 1000.0, {8000: 100.0}), 2),
        (clock(20_000, 1000.0, {1: 5.0, 19_999: 5.0}), 3),
        (clock(20_000, 1000.0, {8000: 0.9}), 1),
        (clock(20_000, 1000.0, {8000: 100.0, 14_000: -95.0}), 1),
        (clock(20_000, 1000.0, {}, step=1e6), 1),  # microseconds
        (clock(200, 0.5, {}, step=1.6), 1),
        (clock(200, 0.5, {100: 60.0}), 2),
        (clock(1, 1000.0, {}), 1),
        (clock(20_000, 1000.0, dict.fromkeys(range(800, 20000, 800), 4.0)), 25),  # sweeps
        (clock(1500, 1000.0, {1000: 20.0}), 2),
    ],
)
@pytest.mark.filterwarnings("ignore:by a recording's time vector")
def test_what_is_a_pause(recording, n_periods):
    assert len(recorded_periods(recording, 0, recording.get_sampling_frequency())) == n_periods


def test_a_time_vector_in_milliseconds_is_told_of():
    sorting = NumpySorting.from_unit_dict(FRAMES, FS)
    sorting.register_recording(clock(20_000, FS, {}, step=1e3))
    with pytest.warns(UserWarning, match=r"1000 s go by in a second of its samples: are its times in seconds\?"):
        as_session(sorting)
    whole = clock(20_000, FS, {})
    whole.set_times(1e3 * (np.arange(20_000) // 10 * 0.01), with_warning=False)  # in steps of 10 samples
    with pytest.warns(UserWarning, match="s go by in a second of its samples"):
        assert len(recorded_periods(whole, 0, FS)) == 1


def test_periods_go_along_with_a_split_and_a_shift(paused):
    split = split_sorting(NumpySorting.from_unit_dict({"a": np.array([5])}, FS), [paused._recording])
    split.shift_times(4.0)
    np.testing.assert_allclose(as_session(split).segments[0].observed, PAUSED + 4, atol=1e-6)


def test_an_analyzer_whose_sorting_was_shifted_is_told_of():
    recording = NumpyRecording([np.zeros((2000, 2), dtype=np.float32)], FS, t_starts=[START])
    recording.set_dummy_probe_from_locations(np.array([[0.0, 0], [0, 20]]))
    sorting = NumpySorting.from_unit_dict(FRAMES, FS)
    sorting.register_recording(recording)
    sorting.shift_times(1.5)
    analyzer = create_sorting_analyzer(sorting, recording, sparse=False)
    with pytest.warns(UserWarning, match=r"sorting is 1.5 to 1.5 s later than its recording, whose times count"):
        assert first_spike(analyzer) == START
    sorting.shift_times(-1.5)  # back, but for rounding
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first_spike(create_sorting_analyzer(sorting, recording, sparse=False)) == START


def test_what_never_had_a_clock_loses_none():
    sorting = NumpySorting.from_unit_dict(FRAMES, FS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_session(aggregate_units([sorting, sorting.rename_units(["c", "d"])]))


def test_an_analyzer_without_its_recording_is_told_of():
    recording = NumpyRecording([np.zeros((2000, 2), dtype=np.float32)], FS, t_starts=[START])
    recording.set_dummy_probe_from_locations(np.array([[0.0, 0], [0, 20]]))
    analyzer = create_sorting_analyzer(NumpySorting.from_unit_dict(FRAMES, FS), recording, sparse=False)
    assert first_spike(analyzer) == START
    analyzer._recording = None
    with pytest.warns(UserWarning, match="has no recording"):
        assert first_spike(analyzer) == 0.0


def test_a_clock_that_was_lost_two_steps_ago_is_told_of(shifted):
    once = aggregate_units([shifted])
    with pytest.warns(UserWarning, match="does not hand on the clock"):
        as_session(aggregate_units([once]))


@pytest.mark.parametrize("how", ["analyzer", "units of an analyzer", "registered", "slice as behaviour"])
def test_a_time_vector_that_was_kept_as_json_is_read(tmp_path, how):
    recording = generate_recording(num_channels=2, durations=[4.0], sampling_frequency=FS)
    recording = recording.save(folder=tmp_path / "recording", progress_bar=False)
    times = START + np.arange(4000) / FS * 1.001
    recording.set_times(times, with_warning=False)
    sorting = NumpySorting.from_unit_dict(FRAMES, FS)
    if "analyzer" in how:
        create_sorting_analyzer(sorting, recording, format="binary_folder", folder=tmp_path / "analyzer", sparse=False)
        analyzer = load_sorting_analyzer(tmp_path / "analyzer")
        session = as_session(analyzer.select_units(["a"]) if "units" in how else analyzer)
    else:
        reloaded = load(recording.to_dict(recursive=True))
        reloaded.segments[0]._time_vector = times.tolist()  # as from a file
        if "behaviour" in how:
            (signal,) = as_signals(reloaded.frame_slice(500, 1500))
            np.testing.assert_array_equal(signal.times, times[500:1500])
            return
        sorting.register_recording(reloaded)
        session = as_session(sorting)
    assert session.segments[0].clock == "recording"
    np.testing.assert_array_equal(session.segments[0].spike_times[-1], times[1999])


@pytest.mark.parametrize(("start", "told"), [(0.0, False), (7.0, True)])
def test_a_concatenated_recording_that_has_lost_its_clocks_is_told_of(start, told):
    recordings = [generate_recording(num_channels=2, durations=[4.0], sampling_frequency=FS) for _ in range(2)]
    sortings = [NumpySorting.from_unit_dict(FRAMES, FS) for _ in range(2)]
    for recording, sorting in zip(recordings, sortings, strict=True):
        if start:
            recording.shift_times(start)
        sorting.register_recording(recording)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        session = as_session(concatenate_sortings(sortings))
    assert session.segments[0].spike_times[-1] == pytest.approx(4.0 + 1.999)
    assert any("concatenated counts time from its own start" in str(warning.message) for warning in warned) == told


@pytest.mark.parametrize("how", ["parts that go on in each other", "meant"])
def test_a_concatenated_recording_that_loses_no_clock_is_no_matter(how):
    whole = generate_recording(num_channels=2, durations=[4.0], sampling_frequency=FS)
    if how == "meant":
        whole.shift_times(START)
    recording = concatenate_recordings([whole.frame_slice(0, 1500), whole.frame_slice(1500, 4000)])
    if how == "meant":
        recording.shift_times(0)
    sorting = NumpySorting.from_unit_dict(FRAMES, FS)
    sorting.register_recording(recording)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_session(sorting).segments[0].spike_times[-1] == pytest.approx(1.999)


def test_a_grid_over_a_pause_is_told_of(paused, small_decoder):
    times = np.arange(100.0, 126.0, 0.1)
    with pytest.warns(UserWarning, match="between their 2 periods"):
        decoder = small_decoder(window_length=0.5).fit(paused, (times, np.sin(times)))
    with pytest.warns(UserWarning, match=r"\d+ of \d+ times of 'session_0' lie between the 2 periods of its recording"):
        decoded = decoder.predict(paused)
    assert np.isfinite(decoded).all()
