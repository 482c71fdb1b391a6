"""The model card: what is known of a decoder, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest

from spikeinterface_poyo import SpikeSamples, align
from spikeinterface_poyo.fitted.known_session import KnownSession
from spikeinterface_poyo.fitted.learned import Learned, Origin
from spikeinterface_poyo.fitted.vocabulary import Vocabulary
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.readouts.behaviors import make_readouts
from spikeinterface_poyo.readouts.label_readout import CategoricalReadout
from spikeinterface_poyo.readouts.number_readouts import ContinuousReadout
from spikeinterface_poyo.readouts.readout import Readout
from spikeinterface_poyo.sessions.session import Segment, Session
from spikeinterface_poyo.training.examples import Examples
from spikeinterface_poyo.weights.model_card import model_card

VELOCITY = ContinuousReadout(
    name="velocity", first_column=0, units="cm/s", output_names=("vx", "vy"), mean=(0.0, 0.0), scale=(1.0, 1.0)
)
GAZE = ContinuousReadout(name="gaze", first_column=2, mean=(0.0,), scale=(1.0,))
CHOICE = CategoricalReadout(name="choice", first_column=0, classes=("a", "b"), class_weight=(1.0, 1.0), entropy=0.7)


def known(n_units: int, seconds: float | None, behavior: str) -> KnownSession:
    return KnownSession(
        unit_names=[f"u{i}" for i in range(n_units)],
        first_unit_row=1,
        session_row=1,
        sample_interval=None,
        clocks=[],
        isolated_rows=False,
        readouts=(behavior,),
        by_name=False,
        silent_units=[],
        labelled_seconds=seconds,
    )


SESSIONS = {"monday": known(21, 600.0, "velocity"), "tuesday": known(1200, 1800.4, "gaze")}
GIVEN = {
    "name": "me/decoder",
    "licence": "cc-by-4.0",
    "data_licence": "CC0",
    "metrics": {"R2, held-out end": 0.81234, "sessions better than ridge": "2 of 2"},
    "stages": [{"stage": "training", "steps": 1500, "iterations": 30, "batch_size": 32, "learning_rate": 0.004,
                "weight_decay": 0.01, "unit_dropout": 0.2, "validated": True}],
}  # fmt: skip
NOTHING = {"name": None, "licence": None, "data_licence": None, "metrics": {}, "stages": []}


def learned(
    sessions: dict[str, KnownSession] = SESSIONS, readouts: tuple[Readout, ...] = (VELOCITY, GAZE), causal: bool = True
) -> Learned:
    """A small network that knows these sessions and behaviours."""
    config = NetworkConfig(n_outputs=3, dim=16, depth=1, dim_head=8, self_heads=1, causal=causal)
    vocabulary = Vocabulary(sessions, {readout.name: readout for readout in readouts})
    return Learned(POYO.fresh(config, n_units=2, n_sessions=2), vocabulary)


def front_matter(card: str) -> dict:
    """The front matter as a model hub reads it."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(re.fullmatch(r"---\n(.*?)\n---\n.*", card, flags=re.DOTALL)[1])


def rows(card: str) -> list[list[str]]:
    """Cells of all tables."""
    lines = [line for line in card.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_card_tells_what_is_known():
    model = learned()
    card = model_card(model, **GIVEN)
    assert "# me/decoder" in card.splitlines()
    assert 'POYODecoder(pretrained="me/decoder")' in card
    assert 'POYOClassifier(pretrained="me/decoder")' in model_card(learned(readouts=(CHOICE,)), **GIVEN)
    assert "Sessions: 2; units: 1,221; labelled time: 40 minutes." in card
    assert "Licence of the recordings: CC0." in card
    assert "azabou2023unified" in card
    n_weights = sum(weight.numel() for weight in model.network.parameters())
    for row in (
        ["monday", "21", "600", "velocity"],
        ["tuesday", "1200", "1,800", "gaze"],
        ["velocity", "continuous", "2", "vx, vy", "cm/s"],
        ["gaze", "continuous", "1", "not given", "not given"],
        ["R2, held-out end", "0.8123"],
        ["sessions better than ridge", "2 of 2"],
        ["weights", f"{n_weights:,}"],
        ["window of spikes, s", "1"],
        ["causal", "yes"],
        ["width", "16"],
        ["layers among latents", "1, of 1 heads of 8"],
        ["spikes of a unit merged within, s", "not merged"],
        ["training", "1,500", "32", "0.004", "0.01", "0.2", "yes"],
        ["written by spikeinterface_poyo", version("spikeinterface_poyo")],
    ):
        assert row in rows(card)


def test_the_front_matter_is_what_hubs_read():
    found = front_matter(model_card(learned(), **GIVEN))
    assert found["library_name"] == "spikeinterface_poyo"
    assert found["license"] == "cc-by-4.0"
    assert "neural-decoding" in found["tags"]
    assert set(found) == {"library_name", "license", "tags"}


@pytest.mark.parametrize("licence", ["no", "1.0", 'a: "b"\nc', "---"])
def test_the_front_matter_cannot_be_misread(licence):
    assert front_matter(model_card(learned(), **GIVEN | {"licence": licence}))["license"] == licence


def test_what_is_not_known_is_said_and_not_guessed():
    card = model_card(learned({}, ()), **NOTHING)
    assert "license" not in front_matter(card)
    assert "None" not in card
    for section in ("What it decodes", "What it was trained on", "Scores", "Licence of the weights"):
        assert f"## {section}\n\nNot given." in card
    assert "Licence of the recordings: not given." in card


def test_labelled_time_that_is_not_known_of_all_is_not_summed():
    sessions = {"monday": known(1, 60.0, "velocity"), "tuesday": known(1, None, "velocity")}
    card = model_card(learned(sessions), **GIVEN)
    assert "labelled time: not given for all." in card
    assert ["tuesday", "1", "not given", "velocity"] in rows(card)


def test_little_labelled_time_is_told_in_tenths_of_a_minute():
    card = model_card(learned({"monday": known(1, 20.0, "velocity")}), **NOTHING)
    assert "labelled time: 0.3 minutes." in card


def test_weights_that_it_started_from_are_told_of():
    origins = (Origin("poyo_mp", "torch_brain", 100, 9_789, None), Origin(None, "spikeinterface_poyo", 2, 30, 1234.5))
    card = model_card(replace(learned(), origins=origins), **GIVEN)
    assert ["poyo_mp", "torch_brain", "100", "9,789", "not given"] in rows(card)
    assert ["not given", "spikeinterface_poyo", "2", "30", "1,234"] in rows(card)
    assert "other licences" in card
    assert "other licences" not in model_card(learned(), **GIVEN)


def test_a_decoder_that_is_not_causal_says_so():
    assert ["causal", "no, later spikes are read too"] in rows(model_card(learned(causal=False), **GIVEN))


def test_a_score_is_a_number_or_text():
    with pytest.raises(TypeError, match="metrics must be numbers or text, got None as 'R2'"):
        model_card(learned(), **GIVEN | {"metrics": {"R2": None}})


@pytest.mark.parametrize("name", ["a|b", "two\nlines", "<script>", "back\\slash|", "# title"])
def test_names_cannot_break_the_tables(name):
    readout = ContinuousReadout(name=name, first_column=0, units=name, output_names=(name,), mean=(0.0,), scale=(1.0,))
    card = model_card(learned({name: known(1, 60.0, name)}, (readout,)), **GIVEN)
    widths = [len(row) for row in rows(card) if len(row) > 2]
    assert widths == 3 * [5] + 3 * [4] + 3 * [7]  # head, rule and one row of each table
    assert "<script>" not in card


def test_the_card_of_a_fitted_decoder(simulate, small_decoder):
    session = simulate(n_outputs=2)
    decoder = small_decoder().fit(session.spikes, session.behavior, session_id="monday")
    card = decoder.model_card(licence="mit")
    (trained,), (readout,) = decoder.sessions_.sessions.values(), decoder.sessions_.readouts
    assert trained.labelled_seconds == pytest.approx(np.ptp(session.times), abs=1.0)
    assert ["monday", str(len(session.spikes)), f"{trained.labelled_seconds:,.0f}", readout] in rows(card)
    assert [readout, "continuous", "2", "not given", "not given"] in rows(card)
    assert ["causal", "no, later spikes are read too"] in rows(card)
    assert front_matter(card)["license"] == "mit"


def test_labels_of_all_segments_count(simulate):
    one = simulate(duration=20.0)
    segments = Session(
        np.array(["a"]),
        tuple(Segment(one.spikes["u0"], np.zeros(len(one.spikes["u0"]), np.int32), 0.0, 20.0) for _ in range(2)),
    )
    X, y = align(segments, [one.behavior, one.behavior])
    y[len(y) // 4 : len(y) // 2] = np.nan
    weight = np.ones(len(y))
    assert seconds_of(X, y, weight) == pytest.approx(30, abs=0.5)
    weight[: len(y) // 8] = 0
    assert seconds_of(X, y, weight) == pytest.approx(25, abs=0.5)


def seconds_of(X: SpikeSamples, y: np.ndarray, weight: np.ndarray) -> float | None:
    """Labelled time of the only session of samples."""
    examples = Examples(X, y[:, None], weight, {0: "session_0"}, False)
    return examples.vocabulary(make_readouts(X, examples.weighty, weight, {})).labelled_seconds


def test_labelled_time_is_not_known_of_rows_nor_after_more_training(simulate, small_decoder):
    session = simulate(duration=20.0)
    counts = np.random.default_rng(0).poisson(2, (60, 4)).astype(float)
    assert small_decoder().fit(counts, counts.sum(axis=1)).sessions_.labelled_seconds is None
    X, y = align(session.spikes, session.behavior, session_id="monday")
    decoder = small_decoder().fit(X, y)
    assert decoder.sessions_.labelled_seconds is not None
    before = decoder.sessions_
    decoder.partial_fit(X, y)
    assert decoder.sessions_.labelled_seconds is None
    assert before.labelled_seconds is not None
