"""The model card: what is known of a decoder, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest

from spikeinterface_poyo import align
from spikeinterface_poyo.fitted.vocabulary import Vocabulary
from spikeinterface_poyo.sessions.session import Segment, Session
from spikeinterface_poyo.weights.model_card import CardFacts, CardReadout, CardSession, card_facts, model_card

FACTS = CardFacts(
    sessions=[CardSession("monday", 21, 600.0, "velocity"), CardSession("tuesday", 1200, 1800.4, "gaze")],
    readouts=[CardReadout("velocity", 2, ("vx", "vy"), "cm/s"), CardReadout("gaze", 1, None, None)],
    window_length=1.0,
    causal=True,
    n_parameters=1_254_018,
    version="0.1.0",
    model_name="me/decoder",
    licence="cc-by-4.0",
    data_licence="CC0",
    metrics={"R2, held-out end": 0.81234, "sessions better than ridge": "2 of 2"},
)


def front_matter(card: str) -> dict:
    """The front matter as a model hub reads it."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(re.fullmatch(r"---\n(.*?)\n---\n.*", card, flags=re.DOTALL)[1])


def rows(card: str) -> list[list[str]]:
    """Cells of all tables."""
    lines = [line for line in card.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_card_tells_what_is_known():
    card = model_card(FACTS)
    assert "# me/decoder" in card.splitlines()
    assert 'POYODecoder(pretrained="me/decoder")' in card
    labels = [CardReadout("choice", 1, None, None, "categorical")]
    assert 'POYOClassifier(pretrained="me/decoder")' in model_card(replace(FACTS, readouts=labels))
    assert "Sessions: 2; units: 1,221; labelled time: 40 minutes." in card
    assert "Licence of the recordings: CC0." in card
    assert "azabou2023unified" in card
    for row in (
        ["monday", "21", "600", "velocity"],
        ["tuesday", "1200", "1,800", "gaze"],
        ["velocity", "continuous", "2", "vx, vy", "cm/s"],
        ["gaze", "continuous", "1", "not given", "not given"],
        ["R2, held-out end", "0.8123"],
        ["sessions better than ridge", "2 of 2"],
        ["weights", "1,254,018"],
        ["window of spikes, s", "1"],
        ["causal", "yes"],
        ["written by spikeinterface_poyo", "0.1.0"],
    ):
        assert row in rows(card)


def test_the_front_matter_is_what_hubs_read():
    found = front_matter(model_card(FACTS))
    assert found["library_name"] == "spikeinterface_poyo"
    assert found["license"] == "cc-by-4.0"
    assert "neural-decoding" in found["tags"]
    assert set(found) == {"library_name", "license", "tags"}


@pytest.mark.parametrize("licence", ["no", "1.0", 'a: "b"\nc', "---"])
def test_the_front_matter_cannot_be_misread(licence):
    assert front_matter(model_card(replace(FACTS, licence=licence)))["license"] == licence


def test_what_is_not_known_is_said_and_not_guessed():
    card = model_card(CardFacts())
    assert "license" not in front_matter(card)
    assert "None" not in card
    for row in (["weights", "not given"], ["causal", "not given"], ["window of spikes, s", "not given"]):
        assert row in rows(card)
    for section in ("What it decodes", "What it was trained on", "Scores", "Licence of the weights"):
        assert f"## {section}\n\nNot given." in card
    assert "Licence of the recordings: not given." in card


def test_labelled_time_that_is_not_known_of_all_is_not_summed():
    sessions = [CardSession("monday", 1, 60.0, "velocity"), CardSession("tuesday", 1, None, "velocity")]
    card = model_card(replace(FACTS, sessions=sessions))
    assert "labelled time: not given for all." in card
    assert ["tuesday", "1", "not given", "velocity"] in rows(card)


def test_a_decoder_that_is_not_causal_says_so():
    assert ["causal", "no, later spikes are read too"] in rows(model_card(replace(FACTS, causal=False)))


@pytest.mark.parametrize("name", ["a|b", "two\nlines", "<script>", "back\\slash|", "# title"])
def test_names_cannot_break_the_tables(name):
    sessions = [CardSession(name, 1, 60.0, name)]
    card = model_card(replace(FACTS, sessions=sessions, readouts=[CardReadout(name, 1, (name,), name)]))
    assert [len(row) for row in rows(card) if len(row) > 2] == 3 * [5] + 3 * [4]  # head, rule and one row of each table
    assert "<script>" not in card


def test_facts_of_a_saved_decoder(simulate, small_decoder, tmp_path):
    session = simulate(n_outputs=2)
    decoder = small_decoder().fit(session.spikes, session.behavior, session_id="monday")
    decoder.save_pretrained(tmp_path)
    facts = card_facts(json.loads((tmp_path / "decoder.json").read_text()), n_parameters=7, licence="mit")
    (known,), (readout,) = facts.sessions, facts.readouts
    assert (known.name, known.n_units) == ("monday", len(session.spikes))
    assert known.labelled_seconds == pytest.approx(np.ptp(session.times), abs=1.0)
    assert (readout.name, readout.n_outputs, readout.output_names, readout.units) == (known.readout, 2, None, None)
    assert facts.window_length == decoder.network_.config.window_length
    assert facts.causal is False
    assert facts.version == version("spikeinterface_poyo")
    assert (facts.n_parameters, facts.licence, facts.data_licence) == (7, "mit", None)
    assert ["monday", str(known.n_units), f"{known.labelled_seconds:,.0f}", readout.name] in rows(model_card(facts))


def test_labels_of_all_segments_count(simulate):
    one = simulate(duration=20.0)
    segments = Session(
        np.array(["a"]),
        tuple(Segment(one.spikes["u0"], np.zeros(len(one.spikes["u0"]), np.int32), 0.0, 20.0) for _ in range(2)),
    )
    X, y = align(segments, [one.behavior, one.behavior])
    vocabulary = Vocabulary.of(X, y[:, None], {0: "session_0"}, {}, False)
    assert vocabulary.sessions["session_0"].labelled_seconds == pytest.approx(40, abs=0.5)
