"""The changelog is sorted by what an operator needs, and says nothing twice."""

import re
from collections import Counter
from pathlib import Path

import pytest

CHANGELOG = (Path(__file__).parents[1] / "CHANGELOG.md").read_text("utf-8")
KINDS = ["Breaking", "Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]
"""In this order: what must be done before an upgrade comes first."""


def releases() -> dict[str, str]:
    """The heading of each release -> its text."""
    _, *sections = re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)
    return {heading: text for heading, _, text in (part.partition("\n") for part in sections)}


@pytest.mark.parametrize(("heading", "text"), releases().items(), ids=releases())
def test_a_release_sorts_its_changes(heading: str, text: str) -> None:
    kinds = re.findall(r"^### (.+)$", text, flags=re.MULTILINE)

    assert kinds == [kind for kind in KINDS if kind in kinds]


def test_what_is_unreleased_comes_first_and_the_rest_is_dated() -> None:
    unreleased, *released = releases()

    assert unreleased == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading) for heading in released)


def test_nothing_is_said_twice() -> None:
    entries = re.findall(r"^- (.+?)(?=^- |^\S|^$|\Z)", CHANGELOG, flags=re.MULTILINE | re.DOTALL)
    sentences = Counter(" ".join(entry.split()) for entry in entries)

    assert len(entries) > 10
    assert [text for text, count in sentences.items() if count > 1] == []
