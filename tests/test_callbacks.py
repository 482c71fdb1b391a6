"""scikit-learn's callbacks: what they are told of a fit, and how they end it."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from spikeinterface_poyo import BlockedKFold, POYOClassifier, POYODecoder, align
from spikeinterface_poyo.training import checkpoints, loop
from spikeinterface_poyo.training.data import TrainingData

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
pytestmark = pytest.mark.usefixtures("brief_training")


@pytest.fixture(scope="module")
def session(simulate):
    return simulate(0)


@pytest.fixture(scope="module")
def samples(session):
    return align(session.spikes, session.behavior)


class Diary:
    """Writes down what it is told, and ends a stage after so many iterations."""

    def __init__(self, n_iterations: int = 10**6) -> None:
        self.n_iterations, self.entries = n_iterations, []

    def setup(self, estimator, context):
        self.entries.append("setup")

    def teardown(self, estimator, context):
        self.entries.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        if context.task_name != "iteration":
            self.entries.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.entries.append(f"{context.task_name} ends")
        return context.task_name == "iteration" and context.task_id + 1 >= self.n_iterations


def test_a_fit_tells_of_its_stages_and_iterations(samples, small_decoder):
    diary = Diary()
    small_decoder(max_iter=3).set_callbacks(diary).fit(*samples)
    iterations = 3 * ["iteration ends"]
    assert diary.entries == [
        "setup",
        "fit begins",
        "training begins",
        *iterations,
        "training ends",
        "fit ends",
        "teardown",
    ]


def test_several_sessions_have_several_stages(simulate, small_decoder):
    sessions = [simulate(seed) for seed in range(2)]
    diary = Diary(n_iterations=1)
    small_decoder(max_iter=2).set_callbacks(diary).fit([s.spikes for s in sessions], [s.behavior for s in sessions])
    stages = [entry.removesuffix(" begins") for entry in diary.entries if entry.endswith("begins")]
    assert stages == ["fit", "one session", "unit identification", "training"]
    assert diary.entries.count("iteration ends") == 3  # each stage was ended after its first


def test_what_is_learned_is_the_same_with_them(samples, small_decoder):
    plain, watched = small_decoder(max_iter=2).fit(*samples), small_decoder(max_iter=2).set_callbacks(Diary())
    np.testing.assert_array_equal(watched.fit(*samples).predict(samples[0]), plain.predict(samples[0]))


def test_one_that_says_so_ends_training(samples, small_decoder):
    decoder = small_decoder(max_iter=5).set_callbacks(Diary(n_iterations=2)).fit(*samples)
    assert decoder.n_iter_ == 2


def test_scores_of_each_iteration(samples, small_decoder):
    monitor = callback.ScoringMonitor(scoring="r2")
    decoder = small_decoder(max_iter=3).set_callbacks(monitor).fit(*samples)
    scores = {row["task_id_path"]: row["r2"] for row in monitor.get_logs().data}
    assert set(scores) == {(0,), (0, 0, 0), (0, 0, 1), (0, 0, 2)}  # the fit, and the iterations of its only stage
    assert scores[0, 0, 2] == scores[0,] == pytest.approx(decoder.score(*samples))
    assert scores[0, 0, 0] < scores[0, 0, 2]


def test_where_samples_are_held_out_they_see_the_best_so_far(session, samples, small_decoder, monkeypatch):
    validated = iter([0.5, 0.1, 0.0])
    monkeypatch.setattr(TrainingData, "score", lambda *arguments: next(validated))
    monitor = callback.ScoringMonitor(scoring="r2")
    decoder = small_decoder(max_iter=3, early_stopping=True).set_callbacks(monitor).fit(*samples)
    scores = {row["task_id_path"]: row["r2"] for row in monitor.get_logs().data}
    assert scores[0, 0, 0] == scores[0, 0, 2] == pytest.approx(decoder.score(*samples))


@pytest.mark.parametrize("start", [0.0, 0.9])
@pytest.mark.parametrize("given", [{}, {"session_id": "monday"}, {"epochs": [(5.0, 40.0)]}])
def test_what_is_scored_is_what_is_trained_on_whatever_was_given(session, small_decoder, start, given):
    times, values = session.times + start, session.behavior[1]
    monitor = callback.ScoringMonitor(scoring="r2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoder = small_decoder(max_iter=2).set_callbacks(monitor).fit(session.spikes, (times, values), **given)
        X, y = align(session.spikes, (times, values), **given)
    assert monitor.get_logs().data[-1]["r2"] == pytest.approx(r2_score(y, decoder.predict(X)), abs=1e-9)


def test_scores_are_weighted_as_the_fit_is(samples, small_decoder):
    weight = np.linspace(0, 1, len(samples[1]))
    monitor = callback.ScoringMonitor(scoring="r2")
    decoder = small_decoder(max_iter=2).set_callbacks(monitor).fit(*samples, sample_weight=weight)
    assert monitor.get_logs().data[-1]["r2"] == pytest.approx(decoder.score(*samples, sample_weight=weight))


def test_scores_of_labels(session, small_decoder):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    X, y = align(session.spikes, (session.times, np.where(session.values > 0, "up", "down")))
    classifier = POYOClassifier(**small_decoder(max_iter=2).get_params()).set_callbacks(monitor).fit(X, y)
    assert monitor.get_logs().data[-1]["accuracy"] == classifier.score(X, y)


def test_they_go_through_a_search(samples, small_decoder):
    monitor = callback.ScoringMonitor(scoring="r2")
    search = GridSearchCV(small_decoder().set_callbacks(monitor), {"max_iter": [1, 2]}, cv=BlockedKFold(2))
    search.fit(*samples)
    iterations = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert len(iterations) == 2 * (1 + 2) + search.best_params_["max_iter"]


def test_a_fit_that_was_stopped_in_an_iteration_goes_on(samples, small_decoder, tmp_path, monkeypatch):
    step, steps = loop.training_step, []

    def interrupted(*arguments):
        steps.append(step(*arguments))
        if len(steps) == 15:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "training_step", interrupted)
    decoder = small_decoder(max_iter=3, checkpoint=tmp_path / "state").set_callbacks(Diary())
    with pytest.warns(UserWarning, match="interrupted"):
        decoder.fit(*samples)
    diary = Diary()
    assert decoder.set_callbacks(diary).fit(*samples).n_iter_ == 3
    assert diary.entries.count("iteration ends") == 2


def test_a_progress_bar(samples, small_decoder, capsys):
    pytest.importorskip("rich")
    small_decoder(max_iter=2).set_callbacks(callback.ProgressBar()).fit(*samples)
    assert "training" in capsys.readouterr().out


def test_a_failed_fit_tears_them_down(samples, small_decoder, monkeypatch):
    diary = Diary()

    def fail(*_):
        raise RuntimeError("stop here")

    monkeypatch.setattr("spikeinterface_poyo.training.loop.training_step", fail)
    with pytest.raises(RuntimeError, match="stop here"):
        small_decoder().set_callbacks(diary).fit(*samples)
    assert diary.entries[-1] == "teardown"


def test_decoders_with_them_are_cloned_and_pickled(samples, small_decoder):
    decoder = small_decoder().set_callbacks(callback.ScoringMonitor(scoring="r2")).fit(*samples)
    again: POYODecoder = pickle.loads(pickle.dumps(decoder))
    np.testing.assert_array_equal(again.predict(samples[0]), decoder.predict(samples[0]))
    assert clone(decoder).fit(*samples).n_iter_ == 1


def test_they_see_what_a_decoder_started_from(samples, small_decoder, tmp_path):
    small_decoder().fit(*samples).save_pretrained(tmp_path)
    seen = []

    class Look(Diary):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "iteration":
                seen.append(fitted_estimator.origins_)

    decoder = small_decoder(pretrained=tmp_path).set_callbacks(Look()).fit(*samples)
    assert len(decoder.origins_) == 1
    assert set(seen) == {decoder.origins_}
