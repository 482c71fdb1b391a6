"""Pretrained weights that have a name."""

from __future__ import annotations

import dataclasses
import re

import pytest

from spikeinterface_poyo.weights import registry
from spikeinterface_poyo.weights.fetching import split_address
from spikeinterface_poyo.weights.registry import PretrainedEntry, list_pretrained


def test_names_are_unique_and_cannot_be_taken_for_something_else():
    assert len(registry.BY_NAME) == len(registry.ENTRIES)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in registry.BY_NAME)
    assert {"poyo_mp", "poyo_1"} <= set(registry.BY_NAME)


def test_the_list_is_the_callers():
    list_pretrained().clear()
    assert list_pretrained()


@pytest.mark.parametrize("entry", list_pretrained(), ids=lambda entry: entry.name)
def test_entries_say_what_one_should_know(entry):
    for text in (entry.description, entry.inputs, entry.outputs, entry.source, entry.licence):
        assert text.strip()
    assert entry.citation.startswith("@")
    assert entry.citation.count("{") == entry.citation.count("}")
    assert entry.address is None or split_address(entry.address)[1] is None
    assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
    assert entry.how_to_obtain
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.name = "mine"


def test_what_is_unknown():
    known = PretrainedEntry("tiny", "", "", "", "", "", licence="mit", address="https://host/a.ckpt", sha256="0" * 64)
    assert known.unknown == ()
    assert dataclasses.replace(known, licence=registry.UNKNOWN).unknown == ("licence",)
    assert dataclasses.replace(known, sha256=None).unknown == ("SHA-256",)
