"""Sessions given for prediction are those of the fit, or it is said that they may not be."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from spikeinterface_poyo import align
from spikeinterface_poyo.fitted.known_session import KnownSession
from spikeinterface_poyo.fitted.same_session import check_same
from spikeinterface_poyo.sessions.session import Segment, Session

pytestmark = pytest.mark.usefixtures("brief_training")


def known(*clocks: str, rows: bool = False) -> KnownSession:
    return KnownSession(
        unit_names=["a"],
        first_unit_row=1,
        session_row=1,
        sample_interval=0.1,
        clocks=list(clocks),
        isolated_rows=rows,
        readouts=("behavior",),
        by_name=False,
        silent_units=["quiet"],
        labelled_seconds=1.0,
    )


def given(*clocks: str, unit: str = "a", rows: bool = False, start: float = 0.0) -> Session:
    spike = np.array([start + 1.0]), np.zeros(1, np.int32)
    segments = tuple(Segment(*spike, start, start + 2.0, clock=clock) for clock in clocks)
    return Session(np.array([unit]), segments, isolated_rows=rows)


def test_a_clock_that_one_segment_has_lost_is_told_of():
    with pytest.warns(UserWarning, match=r"was on the clock of a recording.*register_recording"):
        check_same(given("recording", "frames"), "session_0", known("recording", "recording"))


@pytest.mark.parametrize("start", [0.0, 5.0])
def test_a_recordings_start_that_the_fit_did_not_have_is_told_of(start):
    session = given("recording", start=start)
    if start:
        with pytest.warns(UserWarning, match=r"was on no recording's clock.* starts at 5 s.*fit again"):
            check_same(session, "session_0", known("frames"))
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_same(session, "session_0", known("frames"))


@pytest.mark.parametrize("rows", [False, True])
def test_spikes_are_not_taken_for_the_counts_of_fit_nor_counts_for_spikes(rows):
    was, now = ("an array of counts", "spikes in time")[:: 1 if rows else -1]
    with pytest.raises(ValueError, match=f"was {was} at fit, and {now} were given"):
        check_same(given("seconds", rows=not rows), "session_0", known("seconds", rows=rows))


def test_a_session_none_of_whose_units_fired_at_fit_is_refused():
    with pytest.raises(ValueError, match=r"none of the units that fired at fit: \['a'\]"):
        check_same(given("seconds", unit="quiet"), "session_0", known("seconds"))


def test_places_do_not_tell_which_of_three_sessions_two_are(simulate, small_decoder):
    sessions = [simulate(seed, duration=20.0) for seed in range(3)]
    spikes, behaviors = [one.spikes for one in sessions], [one.behavior for one in sessions]
    decoder = small_decoder().fit(spikes, behaviors)
    times, names = [[1.0, 2.0]] * 2, ["session_1", "session_2"]
    last_two = align(spikes[1:], behaviors[1:])
    refused = r"2 session\(s\) without names .* saw \['session_0', 'session_1', 'session_2'\]: name them"
    for attempt in (
        lambda: decoder.predict(spikes[1:], times),
        lambda: decoder.predict(last_two[0]),
        lambda: decoder.score(spikes[1:], behaviors[1:]),
        lambda: decoder.partial_fit(*last_two),
    ):
        with pytest.raises(ValueError, match=refused):
            attempt()
    dated = small_decoder().fit(spikes[0], behaviors[0], session_id="session_20240101")  # a name of the user's
    assert list(dated.partial_fit(*last_two).sessions_.sessions)[1:] == ["session_0", "session_1"]
    named = decoder.predict(spikes[1:], times, session_id=names)
    np.testing.assert_array_equal(named, decoder.predict(spikes, [[1.0, 2.0]] * 3)[2:])
    X, _ = align(spikes, behaviors)
    mine = X.session_ids != "session_0"
    np.testing.assert_allclose(decoder.predict(X[mine]), decoder.predict(X)[mine], rtol=0, atol=1e-6)


def test_another_behaviour_is_not_taken_for_the_known_one(simulate, small_decoder):
    session = simulate(duration=20.0)
    decoder = small_decoder().fit(session.spikes, session.behavior, session_id="a", behavior_name="hand")
    before = decoder.predict(session.spikes, session_id="a")
    pupil = align(session.spikes, session.behavior, "a", "pupil")
    for attempt in (decoder.partial_fit, decoder.score):
        with pytest.raises(ValueError, match=r"behaviour 'pupil' is not known .* reads out \['hand'\]"):
            attempt(*pupil)
    np.testing.assert_array_equal(decoder.predict(session.spikes, session_id="a"), before)
    assert decoder.score(*align(session.spikes, session.behavior, "a")) == decoder.score(
        session.spikes, session.behavior, session_id="a"
    )


@pytest.mark.parametrize(("factor", "offset", "told"), [(1, 0, 0), (3, 1, 0), (0, 0.5, 0), (30, 0, 1), (1, 1000, 2)])
def test_a_session_on_another_scale_is_told_of(simulate, small_decoder, factor, offset, told):
    one, other = (simulate(seed, duration=20.0) for seed in range(2))
    behaviors = [one.behavior, (other.times, factor * other.values + offset)]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        small_decoder().fit([one.spikes, other.spikes], behaviors)
    messages = [
        str(warning.message) for warning in warned if "on the scale that sessions share" in str(warning.message)
    ]
    assert len(messages) == told
    assert all("behavior_name=" in message for message in messages)


def test_a_session_that_joins_on_another_scale_is_told_of_once(simulate, small_decoder):
    one, other = (simulate(seed, duration=20.0) for seed in range(2))
    decoder = small_decoder().fit(one.spikes, one.behavior)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        decoder.partial_fit(other.spikes, (other.times, 100 * other.values), adapt="all")
    assert sum("on the scale that sessions share" in str(warning.message) for warning in warned) == 1


def test_the_scale_counts_where_a_known_session_goes_on_and_samples_without_weight_do_not(simulate, small_decoder):
    session = simulate(duration=20.0)
    times, values = session.behavior
    wild = np.where(times < 2, 500.0, values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X, y = align(session.spikes, (times, wild), session_id="a")
        decoder = small_decoder().fit(X, y, sample_weight=(times >= 2).astype(float))
    with pytest.warns(UserWarning, match="on the scale that sessions share"):
        decoder.partial_fit(session.spikes, (times, 100 * values), session_id="a")
    still = (times[:20], 0.01 * values[:20])  # two seconds in which little happens
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoder.partial_fit(session.spikes, still, session_id="b")
    metres = simulate(duration=60.0)
    with pytest.warns(UserWarning, match="on the scale that sessions share"):
        decoder.partial_fit(metres.spikes, (metres.times, 0.01 * metres.values), session_id="c")
    few = np.where(metres.times < 2, 0.01 * metres.values, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoder.partial_fit(metres.spikes, (metres.times, few), session_id="d")


def test_a_few_rows_of_counts_tell_nothing_of_scale(small_decoder):
    rng = np.random.default_rng(0)
    y = np.sin(np.arange(300) / 40)
    counts = rng.poisson(np.column_stack([3 + 2 * y, 3 - 2 * y]))
    decoder = small_decoder().fit(counts, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoder.partial_fit(counts[60:63], y[60:63])
