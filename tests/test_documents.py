"""Documents: links lead somewhere, and every public name is listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spikeinterface_poyo

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("spikeinterface_poyo/**/*.md")),
]


def anchors(document: Path) -> set[str]:
    """Where links into a document may lead, as GitHub makes them of its headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if "://" not in link:
            file, _, anchor = link.partition("#")
            target = (document.parent / file).resolve() if file else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", spikeinterface_poyo.__all__)
def test_public_names_are_listed(name):
    assert f"`{name}`" in (ROOT / "docs" / "api.md").read_text("utf-8")
