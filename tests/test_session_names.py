"""Which session is which: by the name that the user gave, else by the place among the samples."""

from __future__ import annotations

import numpy as np
import pytest

from spikeinterface_poyo import POYOClassifier, POYODecoder, align
from spikeinterface_poyo.training import adaptation, sampling

pytestmark = pytest.mark.usefixtures("brief_training")
NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def sessions(simulate):
    return [simulate(seed) for seed in range(3)]


def aligned(sessions, **names):
    return align([s.spikes for s in sessions], [s.behavior for s in sessions], **names)


@pytest.mark.parametrize("named", [False, True])
def test_only_a_session_that_was_named_is_taken_for_the_bases(sessions, small_decoder, tmp_path, named, monkeypatch):
    base = small_decoder().fit([s.spikes for s in sessions[:2]], [s.behavior for s in sessions[:2]])
    base.save_pretrained(tmp_path)
    started = []

    def recorded(decoder, network, *rest):
        started.append(network.unit_emb.weight.detach().clone())
        return run(decoder, network, *rest)

    run = adaptation.run
    monkeypatch.setattr(adaptation, "run", recorded)
    name = {"session_id": "session_0"} if named else {}
    POYODecoder(pretrained=tmp_path, device="cpu").fit(sessions[2].spikes, sessions[2].behavior, **name)
    known = base.network_.unit_emb.weight[1:9].detach().cpu()
    assert np.array_equal(started[0][1:9].numpy(), known.numpy()) == named


def test_samples_of_several_sessions_are_learned_and_decoded_under_one_name(sessions, small_decoder):
    X, y = aligned(sessions)
    named, _ = aligned(sessions, session_id=[f"session_{i}" for i in range(3)])
    ids, decoded = X.session_ids, []
    for samples in (X, named):
        decoder = small_decoder().fit(samples[ids == "session_0"], y[ids == "session_0"])
        for name in ("session_2", "session_1"):
            decoder.partial_fit(samples[ids == name], y[ids == name])
        assert list(decoder.sessions_.sessions) == ["session_0", "session_2", "session_1"]
        decoded.append(decoder.predict(samples))
    np.testing.assert_array_equal(*decoded)


def test_a_session_that_joins_does_not_take_the_name_of_one_that_was_left_out(sessions, small_decoder, tmp_path):
    X, y = aligned(sessions)
    ids = X.session_ids
    mine = np.isin(ids, ["session_0", "session_2"])
    small_decoder().fit(X[mine], y[mine]).save_pretrained(tmp_path)
    decoder = POYODecoder.from_pretrained(tmp_path).partial_fit(sessions[2].spikes, sessions[2].behavior)
    assert list(decoder.sessions_.sessions) == ["session_0", "session_2", "session_3"]
    with pytest.raises(ValueError, match="name them"):
        decoder.predict(X[ids == "session_1"])
    apart = small_decoder().fit(sessions[0].spikes, sessions[0].behavior)
    apart.partial_fit(X[ids == "session_2"], y[ids == "session_2"])
    apart.partial_fit(sessions[2].spikes, sessions[2].behavior)
    assert list(apart.sessions_.sessions) == ["session_0", "session_2", "session_3"]
    named = small_decoder().fit(sessions[0].spikes, sessions[0].behavior, session_id="a")  # nobody's place is a name
    joined = named.partial_fit(sessions[1].spikes, sessions[1].behavior)
    assert list(joined.sessions_.sessions) == ["a", "session_0"]


def test_two_sessions_of_one_name_are_refused(sessions, small_decoder):
    with pytest.raises(ValueError, match=r"expected 2 different session ids.*got \[1, '1'\]"):
        aligned(sessions[:2], session_id=[1, "1"])
    (first,), (second,) = (aligned([session], session_id=["session_1"])[0].sessions for session in sessions[:2])
    unnamed = aligned([sessions[2]])[0].sessions[0]
    behaviors = [session.behavior for session in sessions]
    for given in ([first, second], [second, unnamed]):
        with pytest.raises(ValueError, match=r"sessions must have different ids, got \['session_1', 'session_1'\]"):
            small_decoder().fit(given, behaviors[:2])
    decoder = small_decoder().fit(unnamed, behaviors[2]).partial_fit([first, unnamed], [behaviors[0], behaviors[2]])
    assert list(decoder.sessions_.sessions) == ["session_0", "session_1", "session_2"]


def test_samples_of_several_sessions_are_new_to_pretrained_weights(sessions, small_decoder, tmp_path):
    small_decoder().fit([s.spikes for s in sessions[:2]], [s.behavior for s in sessions[:2]]).save_pretrained(tmp_path)
    first = POYODecoder(pretrained=tmp_path, device="cpu").partial_fit(*aligned(sessions[1:]))
    assert list(first.sessions_.sessions) == [f"session_{i}" for i in range(4)]


def test_known_samples_of_several_sessions_train_on(sessions, small_decoder):
    X, y = aligned(sessions[:2])
    mine = X.session_ids == "session_1"
    decoder = small_decoder().fit(X, y)
    before = decoder.predict(X[mine])
    decoder.partial_fit(X[mine], y[mine])
    assert list(decoder.sessions_.sessions) == ["session_0", "session_1"]
    assert not np.array_equal(decoder.predict(X[mine]), before)


def test_signals_come_in_the_order_of_sessions(sessions, small_decoder):
    spikes, behaviors = [s.spikes for s in sessions], [s.behavior for s in sessions]
    decoder = small_decoder().fit(spikes, behaviors, session_id=NAMES, behavior_name=["vel", "force", "vel"])
    decoded = decoder.decode(spikes, times=3 * [[1.0, 2.0]], session_id=NAMES)
    assert [signal.annotations["session_id"] for signal in decoded] == NAMES


def test_where_behaviour_came_by_name_in_one_session_all_is_decoded_by_name(sessions, small_decoder):
    one, two, _ = sessions
    decoder = small_decoder().fit(one.spikes, {"behavior": one.behavior}).partial_fit(two.spikes, two.behavior)
    assert list(decoder.decode([one.spikes, two.spikes], times=2 * [[1.0, 2.0]])) == ["behavior"]


def test_sessions_may_have_labels_of_their_own(sessions, small_decoder):
    pairs = [("L", "R"), ("go", "stop")]
    labels = [np.where(s.values > 0, *pair) for s, pair in zip(sessions, pairs, strict=False)]
    X, y = align([s.spikes for s in sessions[:2]], [(s.times, v) for s, v in zip(sessions, labels, strict=False)],
                 session_id=NAMES[:2], behavior_name=["choice", "cue"])  # fmt: skip
    classifier = POYOClassifier(**small_decoder().get_params()).fit(X, y)
    assert {name: r.classes for name, r in classifier.sessions_.readouts.items()} == {"choice": ("L", "R"),
                                                                                     "cue": ("go", "stop")}  # fmt: skip
    assert classifier.classes_.tolist() == ["L", "R", "go", "stop"]
    decoded = classifier.predict(X)
    for name, pair in zip(NAMES, pairs, strict=False):
        mine = X.session_ids == name
        assert set(decoded[mine]) <= set(pair)
        np.testing.assert_array_equal(decoded[mine], classifier.predict(X[mine]))
    shares = [np.mean(decoded[X.session_ids == name] == y[X.session_ids == name]) for name in NAMES[:2]]
    assert classifier.score(X, y) == pytest.approx(np.mean(shares))


def test_classes_of_several_types_have_an_order(sessions, small_decoder):
    labels = [np.where(s.values > 0, "L", "R") if i == 0 else (s.values > 0) + 1 for i, s in enumerate(sessions[:2])]
    X, _ = aligned(sessions[:2], behavior_name=["choice", "cue"])
    y = np.concatenate([part.astype(object) for part in labels])
    classifier = POYOClassifier(**small_decoder().get_params()).fit(X, y)
    assert classifier.classes_.tolist() == [1, 2, "L", "R"]


def test_a_session_without_known_targets_is_refused(sessions, small_decoder):
    X, y = aligned(sessions[:2])
    second = X.session_ids == "session_1"
    with pytest.raises(ValueError, match="session 'session_1' has nothing to learn from"):
        small_decoder().fit(X, np.where(second, np.nan, y))
    with pytest.raises(ValueError, match="session 'session_1' has nothing to learn from"):
        small_decoder().fit(X, y, sample_weight=np.where(second, 0.0, 1.0))


def test_a_session_of_weight_zero_has_no_score(sessions, small_decoder):
    X, y = aligned(sessions[:2])
    first = X.session_ids == "session_0"
    decoder = small_decoder().fit(X, y)
    assert decoder.score(X, y, first.astype(float)) == decoder.score(X[first], y[first])


class TestWarmStart:
    def test_fit_goes_on_from_what_it_learned(self, sessions, small_decoder, full_training):
        X, y = align(sessions[0].spikes, sessions[0].behavior)
        cold = small_decoder(max_iter=4, warm_start=True).fit(X, y)
        losses, rows = cold.loss_curve_, cold.sessions_.sessions
        warm = cold.fit(X, y)
        assert warm.loss_curve_[0] < 0.5 * losses[0]
        assert list(warm.sessions_.sessions) == list(rows)

    def test_sessions_may_come_and_go(self, sessions, small_decoder):
        decoder = small_decoder(warm_start=True)
        decoder.fit([s.spikes for s in sessions[:2]], [s.behavior for s in sessions[:2]], session_id=["a", "b"])
        decoder.fit(sessions[0].spikes, sessions[0].behavior, session_id="a")
        decoder.fit(sessions[2].spikes, sessions[2].behavior, session_id="c")
        assert list(decoder.sessions_.sessions) == ["c"]

    def test_without_it_fit_starts_anew(self, sessions, small_decoder):
        X, y = align(sessions[0].spikes, sessions[0].behavior)
        decoder = small_decoder().fit(X, y)
        first = decoder.predict(X)
        np.testing.assert_array_equal(decoder.fit(X, y).predict(X), first)

    def test_the_first_fit_is_as_ever(self, sessions, small_decoder):
        X, y = align(sessions[0].spikes, sessions[0].behavior)
        plain, warm = (small_decoder(warm_start=start).fit(X, y).predict(X) for start in (False, True))
        np.testing.assert_array_equal(plain, warm)


def test_each_further_pass_sees_windows_of_its_own(sessions, small_decoder, monkeypatch):
    drawn, draw = [], sampling.WindowSampler.draw

    def recorded(self, *arguments):
        windows, query = draw(self, *arguments)
        drawn.append(windows.start.tolist())
        return windows, query

    X, y = align(sessions[0].spikes, sessions[0].behavior, session_id="a")
    decoder = small_decoder(early_stopping=True, validation_fraction=0.3).fit(X, y)
    monkeypatch.setattr(sampling.WindowSampler, "draw", recorded)
    for _ in range(2):
        decoder.partial_fit(X, y)
    first, second = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    assert first != second
    assert len(decoder.loss_curve_) == 3
    with pytest.raises(ValueError, match="causal=True, but the weights"):
        decoder.set_params(causal=True).partial_fit(X, y)
