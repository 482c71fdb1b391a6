"""Descriptions of saved decoders that earlier versions wrote, as today's."""

from __future__ import annotations

import json
from typing import Any


def upgraded(description: dict[str, Any]) -> dict[str, Any]:
    """A description of an older format version as one of today's; KeyError and its like where it is none."""
    if description["format_version"] == 1:
        description = with_named_behavior(description)
    if description["format_version"] < 3:
        description = with_several_behaviors(description)
    if description["format_version"] < 4:
        description = description | {"calibration": {}}
    if description["format_version"] < 5:
        description = with_pairs_of_class_weight(description)
    return description


def with_pairs_of_class_weight(description: dict[str, Any]) -> dict[str, Any]:
    """A description of format version 4 as version 5: until then labels that were keys became text."""
    parameters = dict(description["parameters"])
    if isinstance(parameters.get("class_weight"), dict):
        readouts = description["vocabulary"]["readouts"].values()
        labels = {as_key(label): label for readout in readouts for label in readout.get("classes", ())}
        given = parameters["class_weight"].items()
        parameters["class_weight"] = [[labels.get(label, label), weight] for label, weight in given]
    return description | {"parameters": parameters}


def as_key(label: Any) -> str:
    """A label as JSON writes it where it is a key."""
    return label if isinstance(label, str) else json.dumps(label)


def with_named_behavior(description: dict[str, Any]) -> dict[str, Any]:
    """A description of format version 1, which knew one behaviour only, as version 2."""
    target = description.pop("target")
    readout = {
        "name": "behavior",
        "first_column": 0,
        "mean": target["mean"],
        "scale": target["scale"],
        "units": target["units"],
        "output_names": target["names"],
        "one_dimensional": target["one_dimensional"],
        "kind": "continuous",
    }
    sessions = {
        name: known | {"readout": "behavior", "silent_units": [], "labelled_seconds": None}
        for name, known in description.pop("sessions").items()
    }
    training = description.pop("training")
    return description | {
        "vocabulary": {"sessions": sessions, "readouts": {"behavior": readout}},
        "training": {
            "losses": training["loss_curve_"],
            "scores": training["validation_scores_"] or [],
            "interrupted": training["interrupted_"],
        },
    }


def with_several_behaviors(description: dict[str, Any]) -> dict[str, Any]:
    """A description of format version 2, whose sessions had one behaviour each, as version 3."""
    known = description["vocabulary"]
    sessions = {}
    for name, session in known["sessions"].items():
        others = {key: value for key, value in session.items() if key != "readout"}
        sessions[name] = others | {"readouts": [session["readout"]], "by_name": False}
    return description | {"vocabulary": {**known, "sessions": sessions}}
