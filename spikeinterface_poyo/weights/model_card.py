"""The model card of a decoder: Markdown with the front matter that model hubs read, from what is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..readouts.number_readouts import readout_from_json
from ..sessions.signals import Kind
from .registry import POYO_CITATION

NOT_GIVEN = "not given"
TAGS = ("spikeinterface", "neuroscience", "neural-decoding", "spikes", "poyo")


class CardSession(NamedTuple):
    """A session that the decoder was trained on; None is not known."""

    name: str
    n_units: int
    labelled_seconds: float | None
    readout: str


class CardReadout(NamedTuple):
    """A behaviour that the decoder reads out; None is not known."""

    name: str
    n_outputs: int
    output_names: Sequence[str] | None
    units: str | None
    kind: Kind = "continuous"


@dataclass(frozen=True)
class CardFacts:
    """What a model card tells; None and what is empty is told as not given.

    Parameters
    ----------
    sessions : sequence of CardSession
        What it was trained on.
    readouts : sequence of CardReadout
        What it decodes.
    window_length : float or None
        Seconds of spikes read at once.
    causal : bool or None
        Whether it reads no spike later than the sample.
    n_parameters : int or None
        Number of weights.
    version : str or None
        Version of spikeinterface_poyo that wrote it.
    model_name : str or None
        Its name; ``owner/name`` on a model hub is also what ``pretrained`` takes.
    licence : str or None
        Licence of the weights, as the hub calls it (``"cc-by-4.0"``).
    data_licence : str or None
        Licence of the recordings.
    metrics : mapping of str to float or str
        Scores by what they are.
    """

    sessions: Sequence[CardSession] = ()
    readouts: Sequence[CardReadout] = ()
    window_length: float | None = None
    causal: bool | None = None
    n_parameters: int | None = None
    version: str | None = None
    model_name: str | None = None
    licence: str | None = None
    data_licence: str | None = None
    metrics: Mapping[str, float | str] = field(default_factory=dict)


def card_facts(description: Mapping[str, Any], **given: Any) -> CardFacts:
    """Facts of a saved decoder.

    Parameters
    ----------
    description : mapping
        Contents of its ``decoder.json``.
    **given : Any
        Fields of `CardFacts` that the description does not have: ``n_parameters``, ``model_name``, ``licence``,
        ``data_licence``, ``metrics``.
    """
    known, network = description["vocabulary"], description["network"]
    readouts = {name: readout_from_json(readout) for name, readout in known["readouts"].items()}
    return CardFacts(
        sessions=[
            CardSession(name, len(session["unit_names"]), session["labelled_seconds"], ", ".join(session["readouts"]))
            for name, session in known["sessions"].items()
        ],
        readouts=[
            CardReadout(name, readout.n_outputs, readout.output_names, readout.units, readout.kind)
            for name, readout in readouts.items()
        ],
        window_length=network["window_length"],
        causal=network["causal"],
        version=description["provenance"]["spikeinterface_poyo"],
        **given,
    )


def model_card(facts: CardFacts) -> str:
    """Model card as the text of a ``README.md``."""
    title = facts.model_name or "POYO decoder"
    return "\n".join(
        [
            front_matter(facts),
            f"# {line(title)}",
            "",
            "A decoder of behaviour from the spikes of neural populations: POYO (Azabou et al. 2023), trained with",
            "spikeinterface_poyo.",
            "",
            "## Use",
            "",
            *use(facts),
            "",
            "## What it decodes",
            "",
            *readout_table(facts),
            "",
            "## What it was trained on",
            "",
            *session_table(facts),
            "",
            f"Licence of the recordings: {line(facts.data_licence or NOT_GIVEN)}.",
            "",
            "## Scores",
            "",
            *score_table(facts),
            "",
            "## The network",
            "",
            *network_table(facts),
            "",
            "## Licence of the weights",
            "",
            "Not given." if facts.licence is None else f"{line(facts.licence)}.",
            "",
            "## Citation",
            "",
            "```bibtex",
            POYO_CITATION.rstrip(),
            "```",
            "",
        ]
    )


def front_matter(facts: CardFacts) -> str:
    """YAML that model hubs read. Strings are written as JSON, which YAML takes and cannot misread."""
    lines = ["---", "library_name: spikeinterface_poyo", "tags:", *(f"- {tag}" for tag in TAGS)]
    if facts.licence is not None:
        lines.append(f"license: {json.dumps(facts.licence)}")
    return "\n".join([*lines, "---", ""])


def use(facts: CardFacts) -> list[str]:
    """How to use it, and what it cannot do."""
    source = facts.model_name if facts.model_name and "/" in facts.model_name else "<this folder or owner/name>"
    labels_alone = {readout.kind for readout in facts.readouts} == {"categorical"}
    estimator = "POYOClassifier" if labels_alone else "POYODecoder"
    return [
        "```python",
        f"from spikeinterface_poyo import {estimator}",
        "",
        f"decoder = {estimator}(pretrained={json.dumps(source)})",
        "decoder.fit(sorting, behavior)  # adapts it to your recording",
        "```",
        "",
        "Units of different recordings never correspond: another recording than those below takes behaviour of its own",
        "to adapt to.",
    ]


def readout_table(facts: CardFacts) -> list[str]:
    """Behaviours, their outputs and units of measure."""
    return table(
        ("behaviour", "kind", "outputs", "names of the outputs", "units"),
        [
            (name, kind, str(n_outputs), ", ".join(names) if names else NOT_GIVEN, units or NOT_GIVEN)
            for name, n_outputs, names, units, kind in facts.readouts
        ],
    )


def session_table(facts: CardFacts) -> list[str]:
    """Sessions, and what they sum to."""
    rows = [
        (name, str(n_units), NOT_GIVEN if seconds is None else f"{seconds:,.0f}", readout)
        for name, n_units, seconds, readout in facts.sessions
    ]
    if not rows:
        return ["Not given."]
    seconds = [session.labelled_seconds for session in facts.sessions]
    known = [value for value in seconds if value is not None]
    total = f"{sum(known) / 60:,.0f} minutes" if len(known) == len(seconds) else f"{NOT_GIVEN} for all"
    n_units = sum(session.n_units for session in facts.sessions)
    summary = f"Sessions: {len(rows):,}; units: {n_units:,}; labelled time: {total}."
    return [summary, "", *table(("session", "units", "labelled time, s", "behaviour"), rows)]


def score_table(facts: CardFacts) -> list[str]:
    """Scores as they were given."""
    rows = [(name, value if isinstance(value, str) else f"{value:.4g}") for name, value in facts.metrics.items()]
    return table(("score", "value"), rows)


def network_table(facts: CardFacts) -> list[str]:
    """Shape of the network."""
    causal = {None: NOT_GIVEN, True: "yes", False: "no, later spikes are read too"}[facts.causal]
    return table(
        ("fact", "value"),
        [
            ("weights", NOT_GIVEN if facts.n_parameters is None else f"{facts.n_parameters:,}"),
            ("window of spikes, s", NOT_GIVEN if facts.window_length is None else f"{facts.window_length:g}"),
            ("causal", causal),
            ("written by spikeinterface_poyo", facts.version or NOT_GIVEN),
        ],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; without rows, that its contents are not given."""
    lines = ["| " + " | ".join(line(cell) for cell in row) + " |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *lines] if lines else ["Not given."]


def line(text: str) -> str:
    """A user's text in one line, where it is neither a table's border nor HTML."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
