import re
from pathlib import Path
from typing import get_args

import pytest

from manage_api.domains.lessons.schemas import LessonView
from manage_api.domains.requests.schemas import RequestView
from manage_api.web.words import agent, lesson_words, outcome, rule_words, trouble
from shared.store.ledger import Entry
from shared.store.lessons import Kind, Lesson, Scope

ADDON = Path(__file__).parents[3] / "addon"
NEVER_SETTLED = {"invalid_api_key", "not_found", "sidecar_down"}
"""Codes of answers to callers nobody knows, and of the sidecar's paths: they are in no ledger."""


def codes() -> set[str]:
    """The codes that the data plane's problems carry."""
    sources = [path.read_text("utf-8") for path in ADDON.rglob("*.py")]
    found = {
        code
        for text in sources
        for code in re.findall(r'(?:code=|refused\(\s*|error_class=)"(\w+)"', text)
    }
    return found - NEVER_SETTLED


@pytest.mark.parametrize("code", sorted(codes() | {"client_left", "lost"}))
def test_every_code_of_the_data_plane_has_a_sentence(code: str) -> None:
    assert "“" not in trouble(code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", ""),
        ("upstream_429", "The upstream answered with status 429: its rate limit was reached."),
        ("upstream_418", "The upstream answered with status 418: it could not do that."),
        ("content_filter", "It ended with “content filter” (status 400)."),
    ],
)
def test_what_an_upstream_says_becomes_a_sentence(code: str, words: str) -> None:
    assert trouble(code, 400 if code == "content_filter" else 0) == words


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"status": 200}, ("ok", "done")),
        ({"error_class": "client_left"}, ("warn", "stopped")),
        ({"status": 429, "error_class": "insufficient_quota"}, ("warn", "over limit")),
        ({"status": 502, "error_class": "upstream_unreachable"}, ("bad", "502")),
        ({"status": 200, "error_class": "upstream_cut"}, ("bad", "cut off")),
    ],
)
def test_an_outcome_is_a_colour_and_few_words(
    fields: dict[str, object], shown: tuple[str, str]
) -> None:
    entry = Entry(exchange="e", at=0, **fields)  # type: ignore[arg-type]

    assert outcome(RequestView.of(1, entry)) == shown
    assert outcome(RequestView.of(None, entry)) == ("info", "running")


def test_every_lesson_has_words() -> None:
    kinds, scopes = get_args(Kind.__value__), get_args(Scope.__value__)
    lessons = [
        Lesson(upstream="one", model="m", kind=kind, profile="glm", scope=scope)
        for kind in kinds
        for scope in scopes
    ]
    words = {lesson_words(LessonView.of(lesson)) for lesson in lessons}
    assert len(words) == len(scopes) + len(kinds) - 1


def test_every_rule_of_the_documentation_has_words() -> None:
    table = (ADDON.parent / "docs/recall.md").read_text("utf-8")
    rules = re.findall(r"^\| `([a-z-]+)` \| [^|]+\|$", table, re.MULTILINE)

    assert len(rules) >= 10
    assert [rule for rule in rules if rule_words(rule) == rule] == []


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Cursor/1.0", "Cursor"),
        ("OpenAI/Python 2.8.1", "OpenAI SDK for Python"),
        ("x/1 y", "x/1"),
        ("", "unknown client"),
    ],
)
def test_programs_go_by_the_names_people_know(user_agent: str, name: str) -> None:
    assert agent(user_agent) == name
