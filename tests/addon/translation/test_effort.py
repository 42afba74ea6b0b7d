"""How hard a model is to think reaches each upstream in its own words, whatever the client's."""

import json
from typing import Any

import pytest

from addon.formats.chat.thinking import WORDS
from addon.formats.neutral.request import WireFormat
from tests.addon.desk import Desk, open_exchange, upstream
from tests.addon.translation.clients import CALLED, PATHS, Json, asking

OFF: Json = {"thinking": {"type": "disabled"}}
TEMPLATE_ON: Json = {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}
ADAPTIVE: Json = {"thinking": {"type": "adaptive"}}
CLEARED: Json = {"type": "enabled", "clear_thinking": False}

HARD: dict[str, Json] = {
    "deepseek-v4": {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
    "mimo": {"thinking": {"type": "enabled"}},
    "kimi": {"thinking": {"type": "enabled"}},
    "kimi-thinking": {"reasoning_effort": "high"},
    "glm": {"thinking": CLEARED, "reasoning_effort": "high"},
    "qwen": {"enable_thinking": True, "thinking_budget": 24576},
    "minimax": {"thinking": {"type": "adaptive"}},
    "openrouter": {"reasoning": {"effort": "high"}},
    "gemini": {"reasoning_effort": "high"},
    "mistral": {"reasoning_effort": "high"},
    "groq": {"reasoning_effort": "high"},
    "vllm": {**TEMPLATE_ON, "reasoning_effort": "high"},
    "none": {"reasoning_effort": "high"},
}
"""What makes each upstream think hard."""

NOT_AT_ALL: dict[str, Json] = {
    "deepseek-v4": OFF,
    "mimo": OFF,
    "kimi": OFF,
    "kimi-thinking": {"reasoning_effort": "low"},
    "glm": OFF,
    "qwen": {"enable_thinking": False},
    "minimax": OFF,
    "openrouter": {"reasoning": {"enabled": False}},
    "gemini": {"reasoning_effort": "none"},
    "mistral": {"reasoning_effort": "none"},
    "groq": {"reasoning_effort": "none"},
    "vllm": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    "none": {"reasoning_effort": "none"},
}

ASKING_HARD: list[tuple[WireFormat, Json]] = [
    ("messages", {**ADAPTIVE, "output_config": {"effort": "high"}}),
    ("messages", ADAPTIVE),
    ("responses", {"reasoning": {"effort": "high"}}),
    ("chat", {"reasoning_effort": "high"}),
]
ASKING_NOT_TO: list[tuple[WireFormat, Json]] = [
    ("messages", OFF),
    ("responses", {"reasoning": {"effort": "none"}}),
    ("chat", {"reasoning_effort": "none"}),
]


def told(desk: Desk, client: WireFormat, members: Json, **settings: Any) -> Json:
    """The members by which a chat upstream is told how hard to think."""
    desk.upstreams = (upstream(**settings),)
    body = json.dumps(asking(client, CALLED) | members).encode()
    sent: Json = json.loads(open_exchange(desk.intake(path=PATHS[client]), body).outgoing.body)
    assert "output_config" not in sent
    return {name: given for name, given in sent.items() if name in WORDS}


@pytest.mark.parametrize(("client", "members"), ASKING_HARD, ids=str)
def test_an_effort_reaches_each_upstream(desk: Desk, client: WireFormat, members: Json) -> None:
    assert {profile: told(desk, client, members, profile=profile) for profile in HARD} == HARD


@pytest.mark.parametrize(("client", "members"), ASKING_NOT_TO, ids=str)
def test_so_does_the_wish_not_to_think(desk: Desk, client: WireFormat, members: Json) -> None:
    found = {profile: told(desk, client, members, profile=profile) for profile in NOT_AT_ALL}
    assert found == NOT_AT_ALL


@pytest.mark.parametrize(
    ("profile", "members", "expected"),
    [
        ("qwen", OFF, {"enable_thinking": False}),
        ("deepseek-v4", {"enable_thinking": False}, OFF),
        ("openrouter", OFF, {"reasoning": {"enabled": False}}),
        ("deepseek-v4", {"reasoning": {"effort": "high"}}, HARD["deepseek-v4"]),
        (
            "vllm",
            {"reasoning": {"effort": "medium"}},
            {**TEMPLATE_ON, "reasoning_effort": "medium"},
        ),
        ("glm", {"chat_template_kwargs": {"enable_thinking": True}}, HARD["glm"]),
        ("glm", ADAPTIVE, HARD["glm"]),
        ("minimax", {"thinking": {"type": "enabled"}}, ADAPTIVE),
        ("none", OFF, {"reasoning_effort": "none"}),
        ("kimi-thinking", OFF, {"reasoning_effort": "low"}),
        ("deepseek-v4", {**OFF, "enable_thinking": False}, OFF),
    ],
    ids=str,
)
def test_a_chat_client_may_use_another_upstreams_words(
    desk: Desk, profile: str, members: Json, expected: Json
) -> None:
    assert told(desk, "chat", members, profile=profile) == expected


@pytest.mark.parametrize(
    ("profile", "members"),
    [
        ("deepseek-v4", ADAPTIVE),
        ("deepseek-v4", {**OFF, "reasoning_effort": "high"}),
        ("qwen", {"enable_thinking": True, "thinking_budget": 7}),
        ("openrouter", {"reasoning": {"effort": "xhigh", "exclude": True}}),
        ("vllm", {"chat_template_kwargs": {"enable_thinking": False, "date": "today"}}),
        ("kimi-keep", {"thinking": {"type": "disabled", "keep": None}}),
        ("none", {"reasoning_effort": "odd"}),
        ("sambanova", {"thinking": {"type": "enabled"}}),
    ],
    ids=str,
)
def test_what_is_said_in_the_upstreams_own_words_stays(
    desk: Desk, profile: str, members: Json
) -> None:
    assert told(desk, "chat", members, profile=profile) == members


@pytest.mark.parametrize("profile", ["deepseek-v4", "qwen", "field-generic"])
def test_nothing_is_said_for_a_client_that_says_nothing(desk: Desk, profile: str) -> None:
    assert [told(desk, client, {}, profile=profile) for client in PATHS] == [{}, {}, {}]


def test_words_stay_where_the_upstream_is_only_guessed(desk: Desk) -> None:
    assert told(desk, "chat", OFF) == OFF
    assert told(desk, "messages", {"output_config": {"effort": "max"}}) == {
        "reasoning_effort": "max"
    }


def test_what_else_stands_in_the_upstreams_word_stays_beside_an_effort(desk: Desk) -> None:
    members = {"model": "gpt-oss:high", "reasoning": {"exclude": True, "max_tokens": 7}}
    found = told(desk, "chat", members, profile="openrouter")
    assert found == {"reasoning": {"exclude": True, "effort": "high"}}


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("qwen", {"enable_thinking": True, "thinking_budget": 6000}),
        ("openrouter", {"reasoning": {"max_tokens": 6000}}),
        ("gemini", {"reasoning_effort": "medium"}),
        ("deepseek-v4", HARD["deepseek-v4"]),
    ],
)
@pytest.mark.parametrize("client", ["messages", "chat"])
def test_a_budget_stays_one_where_the_upstream_takes_one(
    desk: Desk, client: WireFormat, profile: str, expected: Json
) -> None:
    asked = {"thinking": {"type": "enabled", "budget_tokens": 6000}}
    if client == "chat" and profile == "deepseek-v4":
        expected = asked  # its own words
    assert told(desk, client, asked, profile=profile) == expected


@pytest.mark.parametrize(
    ("members", "thinking", "output"),
    [
        ({"reasoning_effort": "high"}, "enabled", {"effort": "high"}),
        ({"reasoning_effort": "minimal"}, "enabled", {"effort": "low"}),
        ({"reasoning_effort": "none"}, "disabled", None),
        ({}, None, None),
    ],
    ids=str,
)
def test_deepseeks_messages_get_an_effort_by_name(
    desk: Desk, members: Json, thinking: str | None, output: Json | None
) -> None:
    address = "https://api.deepseek.com/anthropic"
    desk.upstreams = (upstream(api="messages", base_url=address),)
    body = json.dumps(asking("chat", CALLED) | members).encode()
    sent = json.loads(open_exchange(desk.intake(), body).outgoing.body)
    assert sent.get("thinking", {}).get("type") == thinking
    assert sent.get("output_config") == output
