"""What an upstream has refused of a request's members is kept from it, and nothing else changes."""

import json

import pytest

from addon.formats.neutral.member_rules import MemberRules
from addon.formats.neutral.request import WireFormat
from addon.translation.member_fit import (
    effort_in,
    fitted_members,
    limit_in,
    nearest,
    optional_in,
    shortened,
)


@pytest.mark.parametrize(
    ("body", "names", "expected"),
    [
        (b'{ "a":1, "user":"u" }', {"user"}, b'{"a":1}'),
        (b'{ "a":1 }', {"user"}, b'{ "a":1 }'),
        (b'{"max_tokens":9}', {"max_tokens"}, b'{"max_completion_tokens":9}'),
        (b'{"max_completion_tokens":9}', {"max_completion_tokens"}, b'{"max_tokens":9}'),
        (b'{"max_tokens":9}', {"max_completion_tokens"}, b'{"max_tokens":9}'),
        (b'{"max_tokens":9}', {"max_tokens", "max_completion_tokens"}, b"{}"),
        (
            b'{"max_tokens":9,"max_completion_tokens":8}',
            {"max_tokens"},
            b'{"max_completion_tokens":8}',
        ),
    ],
    ids=["left out", "not there", "its other name", "and back", "fits", "neither", "both"],
)
def test_a_body_goes_without_what_its_upstream_does_not_know(
    body: bytes, names: set[str], expected: bytes
) -> None:
    rules = MemberRules(without=frozenset(names))
    assert fitted_members(body, "chat", rules) == expected


@pytest.mark.parametrize(
    ("api", "body", "name", "expected"),
    [
        (
            "responses",
            b'{"reasoning":{"effort":"low", "summary":"auto"}}',
            "reasoning.effort",
            b'{"reasoning":{"summary":"auto"}}',
        ),
        ("responses", b'{"reasoning":{"effort":"low"}}', "reasoning.effort", b"{}"),
        (
            "responses",
            b'{"include":["a","reasoning.encrypted_content"]}',
            "reasoning.encrypted_content",
            b'{"include":["a"]}',
        ),
        ("messages", b'{"top_k":4,"model":"m"}', "top_k", b'{"model":"m"}'),
        ("messages", b'{"user":"u"}', "user", b'{"user":"u"}'),
    ],
    ids=["within another", "nothing is left", "a value", "a member", "none of the format's"],
)
def test_each_format_has_its_own_members(
    api: WireFormat, body: bytes, name: str, expected: bytes
) -> None:
    assert fitted_members(body, api, MemberRules(without=frozenset((name,)))) == expected
    assert (name in optional_in(body, api)) == (expected != body)


@pytest.mark.parametrize(
    ("api", "body", "expected"),
    [
        ("chat", {"max_completion_tokens": 90}, {"max_completion_tokens": 50}),
        ("chat", {"max_tokens": 50}, {"max_tokens": 50}),
        ("chat", {"max_tokens": 90, "max_completion_tokens": 7}, None),
        ("responses", {"max_output_tokens": 90}, {"max_output_tokens": 50}),
        ("responses", {"max_tokens": 90}, {"max_tokens": 90}),
        (
            "messages",
            {"max_tokens": 90, "thinking": {"type": "enabled", "budget_tokens": 80}},
            {"max_tokens": 50, "thinking": {"type": "enabled", "budget_tokens": 40}},
        ),
    ],
    ids=str,
)
def test_a_limit_is_lowered_to_what_the_model_has(
    api: WireFormat, body: dict[str, object], expected: dict[str, object] | None
) -> None:
    if expected is None:
        expected = body | {"max_tokens": 50}
    found = fitted_members(json.dumps(body).encode(), api, MemberRules(most_tokens=50))
    assert json.loads(found) == expected


@pytest.mark.parametrize(
    ("api", "name", "body", "expected"),
    [
        ("chat", "", {}, {"max_tokens": 500}),
        ("chat", "max_completion_tokens", {}, {"max_completion_tokens": 500}),
        ("chat", "", {"max_tokens": None}, {"max_tokens": 500}),
        ("chat", "", {"max_tokens": -1}, {"max_tokens": 500}),
        ("chat", "", {"max_tokens": 499}, {"max_tokens": 499}),
        ("chat", "", {"max_completion_tokens": 501}, {"max_completion_tokens": 500}),
        ("responses", "", {}, {"max_output_tokens": 500}),
        (
            "messages",
            "",
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}},
            {"max_tokens": 500, "thinking": {"type": "disabled"}},
        ),
        (
            "messages",
            "",
            {"max_tokens": 9000, "thinking": {"type": "adaptive"}},
            {"max_tokens": 500, "thinking": {"type": "adaptive"}},
        ),
    ],
    ids=str,
)
def test_an_answer_is_limited_whether_or_not_its_client_limits_it(
    api: WireFormat, name: str, body: dict[str, object], expected: dict[str, object]
) -> None:
    assert json.loads(shortened(json.dumps(body).encode(), api, 500, name)) == expected


@pytest.mark.parametrize(("longest", "budget"), [(1025, 1024), (1280, 1024), (5000, 4000)])
def test_a_budget_of_thinking_leaves_room_for_the_answer(longest: int, budget: int) -> None:
    body = {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    found = json.loads(shortened(json.dumps(body).encode(), "messages", longest))
    assert found["thinking"]["budget_tokens"] == budget


@pytest.mark.parametrize(
    ("effort", "offered", "expected"),
    [
        ("high", ("low", "high"), "high"),
        ("medium", ("low", "high"), "high"),
        ("max", ("minimal", "low", "high"), "high"),
        ("minimal", ("none", "high"), "high"),
        ("high", ("none",), ""),
        ("none", ("none", "low"), "none"),
        ("none", ("low", "high"), "low"),
        ("odd", ("low",), ""),
    ],
)
def test_another_effort_becomes_the_nearest(
    effort: str, offered: tuple[str, ...], expected: str
) -> None:
    assert nearest(effort, offered) == expected


@pytest.mark.parametrize(
    ("api", "body", "expected"),
    [
        ("chat", {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}),
        ("chat", {"reasoning": {"effort": "xhigh"}}, {"reasoning": {"effort": "high"}}),
        ("responses", {"reasoning": {"effort": "xhigh"}}, {"reasoning": {"effort": "high"}}),
        ("messages", {"output_config": {"effort": "xhigh"}}, {"output_config": {"effort": "high"}}),
    ],
    ids=str,
)
def test_an_effort_is_where_its_format_has_it(
    api: WireFormat, body: dict[str, object], expected: dict[str, object]
) -> None:
    text = json.dumps(body).encode()
    assert effort_in(text, api) == "xhigh"
    assert json.loads(fitted_members(text, api, MemberRules(efforts=("low", "high")))) == expected


def test_a_body_without_a_limit_has_none() -> None:
    assert limit_in(b'{"max_tokens":null}', "chat") is None
    assert limit_in(b'{"max_tokens":5}', "responses") is None
