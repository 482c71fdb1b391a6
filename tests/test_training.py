"""Training: the loss, the schedule, the averaged weights, and how a run ends."""

from __future__ import annotations

import _thread
import itertools
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score

from spikeinterface_poyo import BlockedKFold, align
from spikeinterface_poyo.distributed import ALONE
from spikeinterface_poyo.fitted.record import TrainingRecord
from spikeinterface_poyo.network.losses import loss_sums, loss_weights
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.network.windows import BehaviorColumns, Block
from spikeinterface_poyo.sessions.session import Segment
from spikeinterface_poyo.training import fitting
from spikeinterface_poyo.training.batches import BatchSource
from spikeinterface_poyo.training.checkpoints import Checkpoint
from spikeinterface_poyo.training.identification import frozen_core
from spikeinterface_poyo.training.loop import (
    CLIP_NORM,
    SECOND_INTERRUPT,
    set_gradients,
    train,
    training_losses,
    training_step,
)
from spikeinterface_poyo.training.optimization import (
    BETAS,
    MUON_RATE,
    PRIOR_RATE,
    WeightAverage,
    having,
    learning_rate_factor,
    make_optimizers,
    scale_learning_rates,
)
from spikeinterface_poyo.training.sampling import WindowSampler
from spikeinterface_poyo.training.state import TrainingSettings, TrainingState
from spikeinterface_poyo.training.unit_prior import UnitPrior

CONFIG = NetworkConfig(
    2, 1.0, 0.25, 2, dim=16, depth=1, dim_head=8, cross_heads=1, self_heads=2, lin_dropout=0.1, t_min=0.01
)
SETTINGS = TrainingSettings(
    n_iterations=2, steps_per_iteration=5, batch_size=4, n_queries=6, learning_rate=3e-3, weight_decay=0.01,
    unit_dropout=0.2,
)  # fmt: skip


def make_network() -> POYO:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return POYO(CONFIG, n_units=7, n_sessions=2)


def make_source() -> BatchSource:
    """Six units that fire at their own phases of the behaviour."""
    rng = np.random.default_rng(0)
    spikes, units = np.sort(rng.uniform(0, 20, 8000)), rng.integers(0, 6, 8000, dtype=np.int32)
    fires = rng.random(8000) < np.exp(2 * np.cos(spikes - units) - 2)
    spikes, units = spikes[fires], units[fires]
    times = np.arange(0, 20, 0.05)
    targets = torch.from_numpy(np.column_stack([np.sin(times), np.cos(times)]).astype(np.float32))
    behaviors = (BehaviorColumns("velocity", "continuous", 0, 2),)
    block = Block(Segment(spikes, units, 0.0, 20.0), np.arange(1, 7), 1, np.arange(2), behaviors)
    return BatchSource([block], WindowSampler([times], [1], 1.0), targets, torch.ones(len(times)))


def weights_of(network: POYO) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def scored(network: POYO, scores: list[float]) -> tuple[Callable[[], float], list[list[torch.Tensor]]]:
    """A validation that gives these scores in turn, and the weights that it has seen."""
    seen, left = [], iter(scores)

    def validate() -> float:
        seen.append(weights_of(network))
        return next(left)

    return validate, seen


def continuous_loss(predicted, target, weight) -> torch.Tensor:
    """Loss of numbers that all windows are asked for."""
    layout = [(BehaviorColumns("velocity", "continuous", 0, predicted.shape[-1]), torch.ones(len(predicted)))]
    return loss_sums(predicted, target, weight, layout).sum() / loss_weights(target, weight, layout).sum().clamp_min(
        1e-12
    )


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_loss_is_that_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    predicted, target = rng.normal(size=(2, 3, 4, 2))
    target[rng.random(target.shape) < 0.3] = np.nan
    weight = rng.uniform(0, 2, (3, 4)) * (rng.random((3, 4)) < 0.8)
    total = known = 0.0
    for window in range(3):
        for query in range(4):
            difference = predicted[window, query] - target[window, query]
            errors = [error**2 for error in difference if not math.isnan(error)]
            if errors:
                total += weight[window, query] * sum(errors) / len(errors)
                known += weight[window, query]
    assert float(continuous_loss(*map(torch.tensor, (predicted, target, weight)))) == pytest.approx(total / known)


def test_unknown_and_weightless_targets_send_no_gradient():
    predicted = torch.zeros(1, 3, 2, requires_grad=True)
    target = torch.tensor([[[1.0, math.nan], [2.0, 3.0], [math.nan, math.nan]]])
    continuous_loss(predicted, target, torch.tensor([[1.0, 0.0, 1.0]])).backward()
    np.testing.assert_array_equal(predicted.grad != 0, [[[True, False], [False, False], [False, False]]])


def test_loss_without_a_known_target_is_zero():
    predicted = torch.zeros(1, 2, 1, requires_grad=True)
    loss = continuous_loss(predicted, torch.full((1, 2, 1), math.nan), torch.ones(1, 2))
    loss.backward()
    assert loss.item() == 0
    assert not predicted.grad.any()


@pytest.mark.parametrize("n_steps", [1, 7, 50, 1000])
def test_learning_rate_warms_up_and_decays(n_steps):
    factor = np.array([learning_rate_factor(step, n_steps) for step in range(n_steps + 1)])
    assert (factor[:-1] > 0).all()
    assert factor.max() <= 1
    assert factor[-1] == pytest.approx(0)
    peak = factor.argmax()
    assert peak <= 0.15 * n_steps
    assert (np.diff(factor[peak:]) < 0).all()
    assert (np.diff(factor[: peak + 1]) > 0).all()


def test_average_is_a_running_mean_of_the_weights():
    network, rng = make_network(), torch.Generator().manual_seed(0)
    average = WeightAverage(network)
    expected = network.readout.bias[0].item()
    for step in range(1, 200):
        with torch.no_grad():
            network.readout.bias[0] = float(torch.randn((), generator=rng))
        decay = min(0.99, step / (10 + step))
        expected = decay * expected + (1 - decay) * network.readout.bias[0].item()
        average.update(network)
    with having(network, average.weights):
        assert network.readout.bias[0].item() == pytest.approx(expected, abs=1e-5)


def test_training_ends_part_of_the_way_where_settings_say_so():
    network = make_network()
    start = weights_of(network)
    state = TrainingState(network, replace(SETTINGS, share=0.25), np.random.default_rng(0))
    for weight in state.average.weights:
        weight.add_(1.0)
    state.end_stage(validated=True)
    for before, after in zip(start, weights_of(network), strict=True):
        torch.testing.assert_close(after, before + 0.25)


def test_weights_come_back_to_the_bit_after_the_average_was_applied():
    network = make_network()
    average = WeightAverage(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    average.update(network)
    present, averaged = weights_of(network), [w.clone() for w in average.weights]
    with having(network, average.weights):
        assert same(weights_of(network), averaged)
    assert not same(present, averaged)
    assert same(weights_of(network), present)


def test_training_lowers_the_loss_and_leaves_the_network_in_evaluation():
    network = make_network()
    settings = TrainingSettings(4, 60, 8, 8, 3e-3, 0.01, 0.1)
    record = train(network, make_source(), settings, np.random.default_rng(0))
    assert len(record.losses) == 4
    assert record.losses[-1] < 0.5 * record.losses[0]
    assert not network.training
    assert not record.interrupted


def test_equal_seeds_train_equal_weights():
    networks = []
    for _ in range(2):
        networks.append(make_network())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            train(networks[-1], make_source(), SETTINGS, np.random.default_rng(0))
    assert same(*map(weights_of, networks))


def test_unit_dropout_leaves_no_window_without_tokens():
    network, source = make_network().train(), make_source()
    settings = TrainingSettings(1, 1, 4, 6, 1e-3, 0.0, unit_dropout=0.999999)
    rng = np.random.default_rng(3)
    batches = [source.draw(settings, rng) for _ in range(20)]
    assert all((b.token_log_weight > -math.inf).any(dim=1).all() for b, *_ in batches)
    for batch in batches:
        loss = training_losses(network, *batch[:4], autocast=False)
        loss.backward()
        assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_early_stopping_keeps_the_best_weights():
    network = make_network()
    validate, seen = scored(network, [0.1, 0.5, 0.3, 0.4, 0.9])
    settings = TrainingSettings(10, 3, 4, 6, 3e-3, 0.01, 0.0, patience=2)
    record = train(network, make_source(), settings, np.random.default_rng(0), validate)
    assert record.stopped_early
    assert record.scores == [0.1, 0.5, 0.3, 0.4]
    assert same(weights_of(network), seen[1])
    assert not same(seen[1], seen[3])


def test_later_weights_are_kept_while_scores_differ_by_chance():
    network = make_network()
    validate, seen = scored(network, [0.3, 0.515, 0.5, 0.4])
    settings = TrainingSettings(4, 3, 4, 6, 3e-3, 0.01, 0.0, patience=4)
    train(network, make_source(), settings, np.random.default_rng(0), validate)
    assert same(weights_of(network), seen[2])


def test_without_patience_all_iterations_run_and_the_best_is_kept():
    network = make_network()
    validate, seen = scored(network, [0.5, 0.1, 0.2])
    settings = TrainingSettings(3, 3, 4, 6, 3e-3, 0.01, 0.0)
    record = train(network, make_source(), settings, np.random.default_rng(0), validate)
    assert not record.stopped_early
    assert same(weights_of(network), seen[0])


def test_validation_does_not_disturb_training():
    final = []
    for validate in (None, lambda: 0.0):
        network = make_network()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            record = train(network, make_source(), SETTINGS, np.random.default_rng(0), validate)
        final.append(record.losses)
    assert final[0] == final[1]


def interrupted(network: POYO, at: int) -> POYO:
    """The network, which sends this process a Ctrl-C in its ``at``-th training step."""
    steps = itertools.count(1)

    def press(*_: object) -> None:
        if network.training and next(steps) == at:
            signal.raise_signal(signal.SIGINT)

    network.register_forward_pre_hook(press)
    return network


@pytest.mark.parametrize("at", [1, 4, 8])
def test_an_interrupt_ends_training_with_a_warning(at):
    network = interrupted(make_network(), at)
    kept = "the best weights" if at > SETTINGS.steps_per_iteration else "no iteration had ended"
    with pytest.warns(UserWarning, match=f"interrupted; {kept}"):
        record = train(network, make_source(), SETTINGS, np.random.default_rng(0))
    assert record.interrupted
    assert len(record.losses) == (at - 1) // SETTINGS.steps_per_iteration
    assert not network.training
    assert all(torch.isfinite(w).all() for w in weights_of(network))


def test_an_interrupt_keeps_the_best_validated_weights():
    network = interrupted(make_network(), 13)
    validate, seen = scored(network, [0.5, 0.1])
    settings = TrainingSettings(10, 5, 4, 6, 3e-3, 0.01, 0.0)
    with pytest.warns(UserWarning, match="interrupted"):
        record = train(network, make_source(), settings, np.random.default_rng(0), validate)
    assert record.scores == [0.5, 0.1]
    assert same(weights_of(network), seen[0])


def test_an_interrupt_during_validation_keeps_averaged_weights():
    network, seen = make_network(), []

    def validate() -> float:
        seen.append(weights_of(network))
        signal.raise_signal(signal.SIGINT)
        return 0.0

    with pytest.warns(UserWarning, match="interrupted"):
        record = train(network, make_source(), SETTINGS, np.random.default_rng(0), validate)
    assert record.interrupted
    assert same(weights_of(network), seen[0])


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_cure():
    settings = TrainingSettings(3, 20, 4, 6, learning_rate=1e30, weight_decay=0.0, unit_dropout=0.0)
    with pytest.raises(ValueError, match="learning_rate_init"):
        train(make_network(), make_source(), settings, np.random.default_rng(0))


class CtrlC(threading.Thread):
    """Presses Ctrl-C once training runs in the main thread, and again ``pause`` seconds after each press, until `over`.

    Python drops the press that comes while it runs a finaliser.
    """

    def __init__(self, presses: int, pause: float) -> None:
        super().__init__(daemon=True)
        self.presses, self.pause, self.over = presses, pause, threading.Event()

    def run(self) -> None:
        while not self.is_training():
            time.sleep(0.01)
        for _ in range(self.presses):
            _thread.interrupt_main()
            if self.over.wait(self.pause):
                return

    @staticmethod
    def is_training() -> bool:
        frame = sys._current_frames()[threading.main_thread().ident]
        while frame is not None:
            if frame.f_code is set_gradients.__code__:
                return True
            frame = frame.f_back
        return False


def test_the_first_ctrl_c_leaves_a_fitted_decoder(simulate, small_decoder):
    session = simulate()
    decoder = small_decoder(max_iter=100_000)
    presser = CtrlC(presses=5, pause=2 * SECOND_INTERRUPT)  # each of them a first one
    presser.start()
    with pytest.warns(UserWarning, match="interrupted"):
        decoder.fit(session.spikes, session.behavior)
    presser.over.set()
    presser.join()
    assert decoder.interrupted_ is True
    assert decoder.n_iter_ == len(decoder.loss_curve_) < 100_000
    assert np.isfinite(decoder.predict(session.spikes)).all()


def test_an_interrupt_before_all_sessions_were_learned_names_the_one_that_was(simulate, small_decoder, monkeypatch):
    sessions = [simulate(seed, n_units=4 + 4 * seed) for seed in range(2)]
    monkeypatch.setattr(fitting, "train", lambda *arguments: TrainingRecord([1.0], interrupted=True))
    with pytest.warns(UserWarning, match="only session 'big' was learned from"):
        small_decoder().fit(
            [one.spikes for one in sessions], [one.behavior for one in sessions], session_id=["small", "big"]
        )


@pytest.mark.filterwarnings("ignore:training was interrupted")
def test_a_second_ctrl_c_soon_after_raises(simulate, small_decoder):
    session = simulate()
    X, y = align(session.spikes, session.behavior)
    presser = CtrlC(presses=2, pause=0.3)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(small_decoder(max_iter=1000), X, y, cv=BlockedKFold(3))  # the second would hit the second fold
    presser.join()


def test_a_step_is_taken_along_clipped_gradients():
    network, source = make_network(), replace(make_source(), targets=1000 * make_source().targets)
    state = TrainingState(network, SETTINGS, np.random.default_rng(0))
    training_step(state, source.draw(SETTINGS, np.random.default_rng(0)), ALONE)
    norm = torch.stack([parameter.grad.norm() for parameter in network.parameters()]).norm()
    assert norm.item() == pytest.approx(CLIP_NORM, rel=1e-3)


def test_the_level_of_a_behaviour_that_a_batch_lacks_stays():
    state = TrainingState(make_network(), SETTINGS, np.random.default_rng(0))
    for parameter in state.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    state.levels = torch.tensor([0.8, 0.6])
    state.descend(torch.tensor([2.0, 0.0]), torch.tensor([4.0, 0.0]))
    assert state.levels[0] < 0.8
    assert state.levels[1].item() == pytest.approx(0.6)


def test_a_state_that_is_gone_on_from_knows_how_far_each_behaviour_has_come():
    state, again = (TrainingState(make_network(), SETTINGS, np.random.default_rng(seed)) for seed in (0, 1))
    state.levels = torch.tensor([0.8, 0.1])
    again.unpack(*state.pack())
    assert torch.equal(again.levels, state.levels)


def test_weights_that_are_not_finite_are_refused_where_losses_do_not_tell():
    state = TrainingState(make_network(), SETTINGS, np.random.default_rng(0))
    state.losses = [torch.tensor(0.5)]
    assert state.check_finite() == 0.5
    state.network.readout.bias.data[0] = math.inf
    with pytest.raises(ValueError, match="weights are no longer finite; lower learning_rate_init"):
        state.check_finite()


def test_a_state_that_is_gone_on_from_knows_its_best_weights_and_its_patience():
    state, again = (
        TrainingState(make_network(), replace(SETTINGS, patience=2), np.random.default_rng(0)) for _ in range(2)
    )
    for score in (0.9, 0.1):  # the first is kept, the second is not
        for weight in state.average.weights:
            weight.add_(1.0)
        state.end_iteration(lambda score=score: score)
    again.unpack(*state.pack())
    assert same(again.best_weights(), state.best_weights())
    assert not same(again.best_weights(), again.average.weights)
    again.end_iteration(lambda: 0.1)
    assert again.record.stopped_early


def test_steps_are_as_long_as_the_schedule_says():
    state = TrainingState(make_network(), SETTINGS, np.random.default_rng(0))
    initial = [group["lr"] for optimizer in state.optimizers for group in optimizer.param_groups]
    state.levels = torch.ones(1)
    for parameter in state.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for step in range(SETTINGS.n_steps):
        state.descend(torch.ones(1), torch.ones(1))
        found = [group["lr"] for optimizer in state.optimizers for group in optimizer.param_groups]
        assert found == pytest.approx([learning_rate_factor(step, SETTINGS.n_steps) * lr for lr in initial])


def test_each_weight_has_the_optimiser_and_the_rate_that_is_made_for_it():
    network = make_network()
    names = {id(p): name for name, p in network.named_parameters()}
    adam, muon, in_prior = make_optimizers(network, 1e-3, 0.1, UnitPrior(torch.zeros(16), torch.eye(16)))
    of = [{names[id(p)] for group in o.param_groups for p in group["params"]} for o in (adam, muon, in_prior)]
    assert set().union(*of) == set(names.values())
    assert sum(map(len, of)) == len(names)
    assert of[2] == {"unit_emb.weight"}
    assert {n for n in of[0] if "emb" in n or "readout" in n} == {
        "session_emb.weight",
        "token_type_emb.weight",
        "latent_emb.weight",
        "readout.weight",
        "readout.bias",
    }
    assert all(p.ndim == 2 for group in muon.param_groups for p in group["params"])
    assert not any(n.endswith("bias") or "norm" in n or "emb" in n or "readout" in n for n in of[1])
    (a,), (m,), (u,) = (o.param_groups for o in (adam, muon, in_prior))
    assert [g["lr"] for g in (a, m, u)] == pytest.approx([1e-3, MUON_RATE * 1e-3, PRIOR_RATE * 1e-3])
    assert (a["weight_decay"], m["weight_decay"]) == (0.0, 0.1)
    assert a["betas"] == u["betas"] == BETAS
    for factor in (0.5, 0.25):
        scale_learning_rates([adam, muon], factor)
    assert [g["lr"] for g in (a, m)] == pytest.approx([0.25e-3, 0.25 * MUON_RATE * 1e-3])


def test_a_record_goes_on_with_that_of_the_next_stage():
    first = TrainingRecord([3.0], [0.1], stopped_early=True)
    both = first.followed_by(TrainingRecord([2.0, 1.0], [0.2], interrupted=True))
    assert both == TrainingRecord([3.0, 2.0, 1.0], [0.1, 0.2], interrupted=True, stopped_early=False)


def test_who_does_not_lead_a_team_writes_no_checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path / "folder" / "state", {}, writes=False)
    state = TrainingState(make_network(), SETTINGS, np.random.default_rng(0))
    assert checkpoint.enter(state) is None
    checkpoint.write_if_due()
    checkpoint.leave()
    checkpoint.close()
    assert not (tmp_path / "folder").exists()


def test_readouts_that_are_known_learn_nothing_while_the_core_is_frozen():
    network = make_network()
    with frozen_core(network, 1):
        network.readout(torch.ones(3, 16)).square().sum().backward()
        assert {n.split(".")[0] for n, p in network.named_parameters() if p.requires_grad} == {
            "unit_emb",
            "session_emb",
            "readout",
        }
    for gradient in (network.readout.weight.grad, network.readout.bias.grad):
        assert not gradient[0].any()
        assert gradient[1].any()
    network.zero_grad()
    network.readout(torch.ones(3, 16)).square().sum().backward()
    assert all(parameter.requires_grad for parameter in network.parameters())
    for parameter in network.readout.parameters():
        assert parameter.grad[0].any()


def test_weights_that_validate_better_before_training_than_after_are_kept():
    network = make_network()
    validate, seen = scored(network, [0.9, 0.2, 0.885, 0.1])
    settings = TrainingSettings(3, 3, 4, 6, 3e-3, 0.01, 0.0, patience=4, share=0.5)
    start = weights_of(network)
    record = train(network, make_source(), settings, np.random.default_rng(0), validate)
    assert same(seen[0], start)
    assert record.scores == [0.2, 0.885, 0.1]
    assert record.best_score == 0.9
    assert same(weights_of(network), seen[2])  # as good as at the start, but for chance
    validate, _ = scored(network, [0.9, 0.2, 0.3, 0.1])
    start = weights_of(network)
    train(network, make_source(), settings, np.random.default_rng(0), validate)
    assert same(weights_of(network), start)
