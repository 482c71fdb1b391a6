"""The model card of a decoder: Markdown with the front matter that model hubs read, from what is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import __version__
from ..fitted.learned import Learned, Origin
from ..fitted.vocabulary import Vocabulary
from ..network.poyo import POYO
from ..readouts.readout import Readout
from .registry import POYO_CITATION

NOT_GIVEN = "not given"
TAGS = ("spikeinterface", "neuroscience", "neural-decoding", "spikes", "poyo")


def model_card(
    learned: Learned,
    name: str | None,
    licence: str | None,
    data_licence: str | None,
    metrics: Mapping[str, float | str],
    stages: Sequence[Mapping[str, Any]],
) -> str:
    """Model card as the text of a ``README.md``; what is None or empty is told as not given.

    Parameters
    ----------
    learned : Learned
        The decoder's network, sessions and behaviours.
    name : str or None
        Its name; ``owner/name`` on a model hub is also what ``pretrained`` takes.
    licence : str or None
        Licence of the weights, as the hub calls it (``"cc-by-4.0"``).
    data_licence : str or None
        Licence of the recordings.
    metrics : mapping of str to float or str
        Scores by what they are.
    stages : sequence of mapping
        Stages of training, as of `TrainingRecord`.
    """
    readouts = list(learned.vocabulary.readouts.values())
    return "\n".join(
        [
            front_matter(licence),
            f"# {line(name or 'POYO decoder')}",
            "",
            "A decoder of behaviour from the spikes of neural populations: POYO (Azabou et al. 2023), for",
            "spikeinterface_poyo.",
            "",
            "## Use",
            "",
            *use(name, readouts),
            "",
            "## What it decodes",
            "",
            *readout_table(readouts),
            "",
            "## What it was trained on",
            "",
            *session_table(learned.vocabulary),
            "",
            *origin_table(learned.origins),
            f"Licence of the recordings: {line(data_licence or NOT_GIVEN)}.",
            "",
            "## Scores",
            "",
            *score_table(metrics),
            "",
            "## The network",
            "",
            *network_table(learned.network),
            "",
            "## Training",
            "",
            *stage_table(stages),
            "",
            "## Licence of the weights",
            "",
            "Not given." if licence is None else f"{line(licence)}.",
            "",
            "## Citation",
            "",
            "```bibtex",
            POYO_CITATION.rstrip(),
            "```",
            "",
        ]
    )


def front_matter(licence: str | None) -> str:
    """YAML that model hubs read. Strings are written as JSON, which YAML takes and cannot misread."""
    lines = ["---", "library_name: spikeinterface_poyo", "tags:", *(f"- {tag}" for tag in TAGS)]
    if licence is not None:
        lines.append(f"license: {json.dumps(licence)}")
    return "\n".join([*lines, "---", ""])


def use(name: str | None, readouts: Sequence[Readout]) -> list[str]:
    """How to use it, and what it cannot do."""
    source = name if name and "/" in name else "<this folder or owner/name>"
    labels_alone = {readout.kind for readout in readouts} == {"categorical"}
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


def readout_table(readouts: Sequence[Readout]) -> list[str]:
    """Behaviours, their outputs and units of measure."""
    return table(
        ("behaviour", "kind", "outputs", "names of the outputs", "units"),
        [
            (r.name, r.kind, str(r.n_outputs), ", ".join(r.output_names or ()) or NOT_GIVEN, r.units or NOT_GIVEN)
            for r in readouts
        ],
    )


def session_table(vocabulary: Vocabulary) -> list[str]:
    """Sessions, and what they sum to."""
    rows = [
        (name, str(len(known.unit_names)), whole(known.labelled_seconds), ", ".join(known.readouts))
        for name, known in vocabulary.sessions.items()
    ]
    if not rows:
        return ["Not given."]
    seconds = vocabulary.labelled_seconds
    total = f"{NOT_GIVEN} for all" if seconds is None else f"{seconds / 60:,.{int(seconds < 600)}f} minutes"
    summary = f"Sessions: {len(rows):,}; units: {vocabulary.n_units:,}; labelled time: {total}."
    return [summary, "", *table(("session", "units", "labelled time, s", "behaviour"), rows)]


def origin_table(origins: Sequence[Origin]) -> list[str]:
    """Weights that training started from, which have learned from recordings of their own."""
    if not origins:
        return []
    rows = [
        (o.source or NOT_GIVEN, o.package, f"{o.n_sessions:,}", f"{o.n_units:,}", whole(o.labelled_seconds))
        for o in origins
    ]
    return [
        "Its weights come from these, which learned from recordings that need not be among those above and may have",
        "other licences:",
        "",
        *table(("weights", "trained with", "sessions", "units", "labelled time, s"), rows),
        "",
    ]


def score_table(metrics: Mapping[str, float | str]) -> list[str]:
    """Scores as they were given."""
    rows = []
    for name, value in metrics.items():
        try:
            rows.append((name, value if isinstance(value, str) else f"{value:.4g}"))
        except (TypeError, ValueError) as error:
            raise TypeError(f"metrics must be numbers or text, got {value!r} as {name!r}") from error
    return table(("score", "value"), rows)


def network_table(network: POYO) -> list[str]:
    """Shape of the network."""
    c = network.config
    n_weights = sum(parameter.numel() for parameter in network.parameters())
    return table(
        ("fact", "value"),
        [
            ("weights", f"{n_weights:,}"),
            ("width", f"{c.dim}"),
            ("layers among latents", f"{c.depth}, of {c.self_heads} heads of {c.dim_head}"),
            ("latents", f"{c.num_latents_per_step} at each of {c.n_steps} times in a window"),
            ("window of spikes, s", f"{c.window_length:g}"),
            ("spikes of a unit merged within, s", f"{c.token_bin:g}" if c.token_bin else "not merged"),
            ("causal", "yes" if c.causal else "no, later spikes are read too"),
            ("written by spikeinterface_poyo", __version__),
        ],
    )


def stage_table(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each stage of training was."""
    head = ("stage", "gradient steps", "windows a step", "highest learning rate", "weight decay", "units dropped",
            "stops by a validated part")  # fmt: skip
    return table(
        head,
        [
            (str(s["stage"]), f"{s['steps']:,}", f"{s['batch_size']:,}", f"{s['learning_rate']:g}",
             f"{s['weight_decay']:g}", f"{s['unit_dropout']:g}", "yes" if s["validated"] else "no")
            for s in stages
        ],
    )  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; without rows, that its contents are not given."""
    lines = ["| " + " | ".join(line(cell) for cell in row) + " |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *lines] if lines else ["Not given."]


def whole(number: float | None) -> str:
    """A number without its fraction, where it is known."""
    return NOT_GIVEN if number is None else f"{number:,.0f}"


def line(text: str) -> str:
    """A user's text in one line, where it is neither a table's border nor HTML."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
