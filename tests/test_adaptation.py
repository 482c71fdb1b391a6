"""Sessions that a trained network has not seen: what learns, what stays, and what it is good for."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import r2_score

from spikeinterface_poyo import POYODecoder, align
from spikeinterface_poyo.fitted.learned import Learned
from spikeinterface_poyo.fitted.record import TrainingRecord
from spikeinterface_poyo.fitted.vocabulary import Vocabulary
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.readouts.number_readouts import ContinuousReadout
from spikeinterface_poyo.sessions.signals import TargetInfo
from spikeinterface_poyo.training import adaptation, identification, loop
from spikeinterface_poyo.training.adaptation import graft
from spikeinterface_poyo.training.data import TrainingData
from spikeinterface_poyo.training.state import TrainingSettings
from spikeinterface_poyo.training.unit_prior import UnitPrior

DURATION = 120.0


@pytest.fixture(scope="module")
def sessions(simulate):
    return [simulate(seed, duration=DURATION, rate=5.0) for seed in range(4)]


@pytest.fixture(scope="module")
def base(sessions, small_decoder) -> POYODecoder:
    decoder = small_decoder(max_iter=10, batch_size=16)
    return decoder.fit([s.spikes for s in sessions[:3]], [s.behavior for s in sessions[:3]])


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    path = tmp_path_factory.mktemp("base")
    base.save_pretrained(path)
    return path


@pytest.fixture
def decoder(folder) -> POYODecoder:
    """A fresh copy of the base."""
    return POYODecoder.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="module")
def new(sessions):
    """The unseen session: a few labels, and later samples to score on."""
    X, y = align(sessions[3].spikes, sessions[3].behavior, session_id="new")
    return X[:300], y[:300], X[400:], y[400:]


def digest(decoder: POYODecoder) -> str:
    """Hash of all that unit identification must not touch: core, and the rows and columns that there were."""
    known = POYODecoder.from_pretrained(decoder.pretrained).network_
    state, sha = decoder.network_.state_dict(), hashlib.sha256()
    for name, tensor in known.state_dict().items():
        sha.update(name.encode())
        sha.update(state[name][: len(tensor)].contiguous().numpy().tobytes())
    return sha.hexdigest()


class TestUnitIdentification:
    @pytest.fixture(scope="class")
    @staticmethod
    def grown(folder, new) -> POYODecoder:
        """The base that has learned the new session too; no test changes it."""
        return POYODecoder.from_pretrained(folder, device="cpu").partial_fit(*new[:2])

    def test_a_new_session_is_decoded_with_nothing_else_changed(self, grown, decoder, sessions, new):
        assert grown.score(*new[2:]) > 0.8
        assert digest(grown) == digest(decoder)
        seen = decoder.predict(sessions[0].spikes, session_id="session_0")
        np.testing.assert_array_equal(grown.predict(sessions[0].spikes, session_id="session_0"), seen)

    def test_tables_grow_by_the_new_units_and_session(self, grown, base):
        assert len(grown.network_.unit_emb.weight) == len(base.network_.unit_emb.weight) + 8
        assert len(grown.network_.session_emb.weight) == len(base.network_.session_emb.weight) + 1
        assert grown.network_.readout.out_features == 1
        assert grown.sessions_.sessions["new"].first_unit_row == len(base.network_.unit_emb.weight)

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_a_new_behaviour_gets_a_readout_of_its_own(self, decoder, sessions, simulate, n_outputs):
        other = simulate(8, duration=DURATION, interval=0.03, n_outputs=n_outputs)
        before, seen = digest(decoder), decoder.predict(sessions[1].spikes, session_id="session_1")
        readout = decoder.network_.readout.weight.detach().clone()
        decoder.partial_fit(other.spikes, other.behavior, session_id="other", behavior_name="colour")
        assert decoder.score(other.spikes, other.behavior, session_id="other") > 0.5
        assert decoder.predict(other.spikes, session_id="other").shape[1:] == ((3,) if n_outputs == 3 else ())
        assert digest(decoder) == before
        torch.testing.assert_close(decoder.network_.readout.weight[:1], readout, rtol=0, atol=0)
        np.testing.assert_array_equal(decoder.predict(sessions[1].spikes, session_id="session_1"), seen)

    def test_several_sessions_at_once(self, decoder, sessions, simulate):
        both = [simulate(8), simulate(9)]
        decoder.partial_fit([s.spikes for s in both], [s.behavior for s in both])
        assert list(decoder.sessions_.sessions) == [f"session_{i}" for i in range(5)]
        assert decoder.score(both[1].spikes, both[1].behavior, session_id="session_4") > 0.5

    def test_the_decoder_can_be_saved_afterwards(self, grown, new, tmp_path):
        grown.save_pretrained(tmp_path)
        loaded = POYODecoder.from_pretrained(tmp_path, device="cpu")
        np.testing.assert_array_equal(loaded.predict(new[2]), grown.predict(new[2]))

    @pytest.mark.usefixtures("short_stages")
    def test_one_seed_one_result(self, folder, new):
        one, other = (POYODecoder.from_pretrained(folder, device="cpu").partial_fit(*new[:2]) for _ in range(2))
        np.testing.assert_array_equal(one.predict(new[2]), other.predict(new[2]))

    def test_all_weights_learn_on_request(self, decoder, sessions, new):
        seen = decoder.predict(sessions[0].spikes, session_id="session_0")
        decoder.set_params(max_iter=2).partial_fit(*new[:2], adapt="all")
        assert decoder.score(*new[2:]) > 0.8
        assert np.abs(decoder.predict(sessions[0].spikes, session_id="session_0") - seen).max() > 0

    def test_weights_are_free_to_learn_afterwards(self, grown):
        assert all(parameter.requires_grad for parameter in grown.network_.parameters())


class TestPartialFit:
    def test_known_sessions_train_all_weights_once_more(self, decoder, sessions):
        before, n_iter = {k: v.clone() for k, v in decoder.network_.state_dict().items()}, decoder.n_iter_
        decoder.partial_fit(sessions[1].spikes, sessions[1].behavior, session_id="session_1")
        assert decoder.n_iter_ == len(decoder.loss_curve_) == n_iter + 1
        changed = {
            name for name, tensor in decoder.network_.state_dict().items() if not torch.equal(tensor, before[name])
        }
        assert {"latent_emb.weight", "readout.weight", "unit_emb.weight"} <= changed
        rows = (decoder.network_.unit_emb.weight != before["unit_emb.weight"]).any(dim=1).nonzero()[:, 0]
        assert rows.tolist() == list(range(9, 17))  # the units of session_1

    def test_an_unfitted_decoder_is_fitted(self, sessions, small_decoder):
        one = small_decoder().partial_fit(sessions[0].spikes, sessions[0].behavior)
        other = small_decoder().fit(sessions[0].spikes, sessions[0].behavior)
        np.testing.assert_array_equal(one.predict(sessions[0].spikes), other.predict(sessions[0].spikes))

    @pytest.mark.usefixtures("short_stages")
    def test_an_unfitted_decoder_starts_from_pretrained_weights(self, folder, new, small_decoder):
        decoder = small_decoder(pretrained=folder).partial_fit(*new[:2])
        assert list(decoder.sessions_.sessions) == ["session_0", "session_1", "session_2", "new"]

    def test_arrays_are_always_of_the_same_session(self, small_decoder):
        X = np.random.default_rng(0).poisson(2.0, (60, 3))
        decoder = small_decoder(early_stopping=False).fit(X, X[:, 0])
        decoder.partial_fit(X[:30], X[:30, 0])
        assert list(decoder.sessions_.sessions) == ["session_0"]
        assert decoder.n_iter_ == 2

    def test_known_and_new_sessions_at_once_are_refused(self, decoder, sessions):
        with pytest.raises(ValueError, match=r"not both at once; known: \['session_0'\], new: \['other'\]"):
            decoder.partial_fit([s.spikes for s in sessions[:2]], [s.behavior for s in sessions[:2]],
                                session_id=["session_0", "other"])  # fmt: skip

    def test_new_units_of_a_known_session_are_refused(self, decoder, sessions):
        with pytest.raises(ValueError, match=r"units \['extra'\].*partial_fit under a new session_id"):
            decoder.partial_fit(sessions[0].spikes | {"extra": [1.0]}, sessions[0].behavior, session_id="session_0")

    def test_another_behaviour_under_the_same_name_is_refused(self, decoder, simulate):
        other = simulate(8, n_outputs=2)
        with pytest.raises(ValueError, match=r"'behavior' does not fit .* 2 output.* behavior_name="):
            decoder.partial_fit(other.spikes, other.behavior)

    def test_anything_but_units_and_all_is_refused(self, decoder, new):
        with pytest.raises(ValueError, match="adapt must be 'units' or 'all', got 'core'"):
            decoder.partial_fit(*new[:2], adapt="core")

    @pytest.mark.parametrize("session_id", ["session_0", "other"])
    def test_a_failure_leaves_the_decoder_as_it_was(self, decoder, sessions, monkeypatch, session_id):
        seen = decoder.predict(sessions[0].spikes, session_id="session_0")
        steps = []

        def fail(*args, **kwargs):
            steps.append(0)
            if len(steps) > 5:
                raise RuntimeError("out of memory")
            return real(*args, **kwargs)

        real = loop.training_step
        monkeypatch.setattr(loop, "training_step", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            decoder.partial_fit(sessions[0].spikes, sessions[0].behavior, session_id=session_id)
        assert list(decoder.sessions_.sessions) == ["session_0", "session_1", "session_2"]
        np.testing.assert_array_equal(decoder.predict(sessions[0].spikes, session_id="session_0"), seen)

    def test_ctrl_c_keeps_what_was_identified_so_far(self, decoder, new, monkeypatch):
        steps = []

        def interrupt(*args, **kwargs):
            steps.append(0)
            if len(steps) > 60:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        real = loop.training_step
        monkeypatch.setattr(loop, "training_step", interrupt)
        with pytest.warns(UserWarning, match="interrupted"):
            decoder.partial_fit(*new[:2], adapt="all")
        assert decoder.interrupted_
        assert len(steps) == 61
        assert np.isfinite(decoder.predict(new[2])).all()


class TestFitFromPretrainedWeights:
    def test_it_learns_from_few_labels_what_scratch_does_not(self, folder, new, small_decoder):
        X, y, X_test, y_test = new
        adapted, scratch = [], []
        for seed in range(3):  # one seed's score differs from another's by as much as the two do
            adapted.append(small_decoder(pretrained=folder, random_state=seed).fit(X[:40], y[:40]))
            scratch.append(small_decoder(random_state=seed).fit(X[:40], y[:40]))
        means = [np.mean([decoder.score(X_test, y_test) for decoder in decoders]) for decoders in (adapted, scratch)]
        assert means[0] > means[1] + 0.03, means
        assert list(adapted[0].sessions_.sessions) == ["new"]

    @pytest.mark.usefixtures("short_stages")
    def test_both_stages_are_recorded(self, folder, new, small_decoder):
        adapted = small_decoder(pretrained=folder, max_iter=2).fit(*new[:2])
        identified = -(-identification.IDENTIFICATION_STEPS // training_steps(adapted))
        assert adapted.n_iter_ == len(adapted.loss_curve_) == identified + 2

    @pytest.mark.usefixtures("short_stages")
    def test_it_starts_from_the_weights_each_time(self, folder, new, small_decoder):
        decoder = small_decoder(pretrained=folder).fit(*new[:2])
        once = decoder.predict(new[2])
        np.testing.assert_array_equal(decoder.fit(*new[:2]).predict(new[2]), once)
        np.testing.assert_array_equal(clone(decoder).fit(*new[:2]).predict(new[2]), once)

    @pytest.mark.usefixtures("short_stages")
    def test_the_shape_of_the_network_is_that_of_the_weights(self, folder, base, new):
        adapted = POYODecoder(pretrained=folder, max_iter=1, dim=128, depth=6, device="cpu").fit(*new[:2])
        assert adapted.network_.config.dim == base.network_.config.dim

    def test_units_of_a_session_known_by_name_keep_their_embeddings_and_others_are_as_expected(
        self, decoder, base, sessions, monkeypatch
    ):
        monkeypatch.setattr(adaptation, "run", lambda *args: TrainingRecord([0.0]))
        fewer = {unit: times for unit, times in sessions[1].spikes.items() if unit != "u3"}
        decoder.fit(fewer | {"extra": [1.0]}, sessions[1].behavior, session_id="session_1")
        table, old = decoder.network_.unit_emb.weight, base.network_.unit_emb.weight
        assert torch.equal(table[1:8], old[[9, 10, 11, 13, 14, 15, 16]])
        torch.testing.assert_close(table[8], old[1:].mean(dim=0))
        assert torch.equal(decoder.network_.session_emb.weight[1], base.network_.session_emb.weight[2])

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [({"window_length": 3.5}, "trained with 1.0 s; leave it at 'auto'"), ({"causal": True}, "causal=False")],
    )
    def test_parameters_that_the_weights_cannot_follow_are_refused(self, folder, new, parameters, message):
        with pytest.raises(ValueError, match=message):
            POYODecoder(pretrained=folder, **parameters).fit(*new[:2])

    def test_counts_by_row_cannot_use_weights_of_spikes(self, folder):
        X = np.random.default_rng(0).poisson(2.0, (60, 3))
        with pytest.raises(ValueError, match="trained on spikes in time; they cannot learn from an array of counts"):
            POYODecoder(pretrained=folder).fit(X, X[:, 0])


def training_steps(decoder: POYODecoder) -> int:
    """Steps an iteration where the samples' time needs no more than the least."""
    return 50


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(0, duration=30.0)


@pytest.fixture(scope="module")
def known(session, small_decoder) -> POYODecoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikeinterface_poyo.training.defaults.STEPS_AN_ITERATION", 10)
        return small_decoder(early_stopping=False).fit(session.spikes, session.behavior)


@pytest.fixture
def untrained(monkeypatch) -> None:
    """Adaptation without a step."""
    monkeypatch.setattr(adaptation, "run", lambda *_: TrainingRecord([0.0]))


def test_weights_go_on_with_half_the_rate_and_count_by_the_seconds_of_labels(known):
    settings = TrainingSettings(1, 1, 8, 8, 4e-3, 0.0, 0.0)
    assert adaptation.going_on(settings).learning_rate == pytest.approx(2e-3)
    times = [0.1 * np.arange(200), 0.1 * np.arange(100)]
    data = TrainingData(blocks=[], times=times, targets=[], weights=[], centred=False, vocabulary=Vocabulary())
    adapted = adaptation.fine_tuning(settings, data)
    assert adapted.learning_rate == pytest.approx(2e-3)
    assert adapted.share == pytest.approx(30 / (30 + 60))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"window_length": 3.5}, "trained with 1.0 s; leave it at 'auto'"), ({"causal": True}, "causal=False")],
)
def test_one_more_pass_refuses_what_the_weights_cannot_follow(known, session, tmp_path, parameters, message):
    known.save_pretrained(tmp_path)
    decoder = POYODecoder.from_pretrained(tmp_path, device="cpu").set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        decoder.partial_fit(session.spikes, session.behavior, session_id="session_0")


@pytest.mark.usefixtures("untrained")
def test_an_adapted_network_has_the_decoders_dropout_and_tokens_as_coarse_as_the_bases(known, session, tmp_path):
    known.save_pretrained(tmp_path / "fine")
    base = POYODecoder.from_pretrained(tmp_path / "fine", device="cpu")
    base.network_.config = replace(base.network_.config, token_bin=0.05)
    base.save_pretrained(tmp_path / "coarse")
    decoder = POYODecoder(dropout=0.11, device="cpu", random_state=0)
    for name, token_bin in (("fine", 0.0), ("coarse", 0.05)):
        adapted = clone(decoder).set_params(pretrained=tmp_path / name).fit(session.spikes, session.behavior)
        assert adapted.network_.config.token_bin == token_bin
        assert adapted.network_.config.lin_dropout == 0.11


def test_sessions_that_join_are_learned_from_tokens_as_coarse_as_they_are_read(known, session, tmp_path, monkeypatch):
    known.save_pretrained(tmp_path)
    decoder = POYODecoder.from_pretrained(tmp_path, device="cpu")
    decoder.network_.config, learned_from = replace(decoder.network_.config, token_bin=0.05), []

    def recorded(decoder, network, *_):
        learned_from.append(network.config.token_bin)
        return TrainingRecord([0.0])

    monkeypatch.setattr(adaptation, "run", recorded)
    decoder.partial_fit(session.spikes, session.behavior, session_id="joins")
    assert learned_from == [decoder.network_.config.token_bin] == [0.05]


def test_a_shared_readout_begins_as_the_base_has_it():
    config = NetworkConfig(3, dim=16, depth=1, dim_head=8, cross_heads=1, self_heads=2)
    known = {
        name: ContinuousReadout.of(
            np.zeros((2, n)), np.ones(2), TargetInfo(None, None, name, n), name=name, first_column=first, units=None
        )
        for name, n, first in (("a", 1, 0), ("b", 2, 1))
    }
    base = Learned(POYO.fresh(config, 3, 2, seed=1), Vocabulary({}, known))
    new = Vocabulary({}, {"b": replace(known["b"], first_column=0)})
    network = graft(base, new, {"b": known["b"]}, replace(config, n_outputs=2), None, 2, ())
    assert torch.equal(network.readout.weight, base.network.readout.weight[1:])
    assert torch.equal(network.readout.bias, base.network.readout.bias[1:])


def test_identification_has_settings_of_its_own():
    prior = UnitPrior(torch.zeros(4), torch.eye(4))
    settings = identification.identification(TrainingSettings(9, 70, 8, 8, 4e-3, 0.0, 0.0), prior)
    assert (settings.learning_rate, settings.unit_prior) == (identification.IDENTIFICATION_RATE, prior)
    assert settings.n_iterations == 5  # 300 steps, rounded up
    assert settings.n_steps >= identification.IDENTIFICATION_STEPS


@pytest.mark.parametrize("how", ["partial_fit", "pretrained"])
def test_a_session_may_lack_an_output_that_is_known_already(simulate, small_decoder, tmp_path, how):
    monday, tuesday = simulate(0, n_outputs=2), simulate(1, n_outputs=2)
    X, y = align(monday.spikes, monday.behavior, session_id="monday")
    decoder = small_decoder().fit(X, y)
    Z, z = align(tuesday.spikes, tuesday.behavior, session_id="tuesday")
    z[:, 1] = np.nan
    if how == "partial_fit":
        decoder.partial_fit(Z, z)
    else:
        decoder.save_pretrained(tmp_path)
        decoder = small_decoder(pretrained=tmp_path).fit(Z, z)
    decoded = decoder.predict(Z)
    assert np.isfinite(decoded).all()
    assert decoder.score(Z, z) == pytest.approx(r2_score(z[:, 0], decoded[:, 0]))
    with pytest.raises(ValueError, match="all NaN"):
        decoder.partial_fit(Z, np.full_like(z, np.nan))
    with pytest.raises(ValueError, match="all NaN"):
        small_decoder().fit(Z, z)
    decoder.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"all NaN, and it is not what the weights know by that name: 3 output\(s\)"):
        small_decoder(pretrained=tmp_path).fit(Z, np.column_stack([z, z[:, 0]]))
