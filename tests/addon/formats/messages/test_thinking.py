"""How much to think is told to each Messages upstream in the words it knows."""

from typing import Any

import pytest

from addon.formats.messages.thinking import Written, effort_of, read, written
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.request import Request, Thinking, ToolChoice

NEW, OLD = Abilities(), Abilities(adaptive_thinking=False, efforts=False)
ADAPTIVE, DISABLED = {"type": "adaptive"}, {"type": "disabled"}


def enabled(budget: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget}


def asked(thinking: Thinking, origin: Any = "chat", **more: Any) -> Request:
    return Request(origin=origin, model="m", messages=[], thinking=thinking, **more)


@pytest.mark.parametrize(
    ("members", "thinking"),
    [
        ({}, Thinking()),
        ({"thinking": {"type": "adaptive"}}, Thinking(switch="adaptive", summary="auto")),
        (
            {
                "thinking": {"type": "adaptive", "display": "omitted"},
                "output_config": {"effort": "high"},
            },
            Thinking(switch="adaptive", display="omitted", effort="high"),
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 6976, "display": "summarized"}},
            Thinking(switch="enabled", budget=6976, display="summarized", summary="auto"),
        ),
        ({"thinking": {"type": "disabled"}}, Thinking(switch="disabled")),
        ({"thinking": 7, "output_config": []}, Thinking()),
    ],
    ids=str,
)
def test_what_a_client_says_of_thinking_is_read(
    members: dict[str, Any], thinking: Thinking
) -> None:
    assert read(members) == thinking


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        (Thinking(switch="enabled", budget=1024), "low"),
        (Thinking(switch="enabled", budget=2049), "medium"),
        (Thinking(switch="enabled", budget=8192), "medium"),
        (Thinking(switch="enabled", budget=31_999), "high"),
        (Thinking(switch="enabled", budget=1024, effort="max"), "max"),
        (Thinking(switch="disabled", budget=1024), ""),
        (Thinking(switch="adaptive"), ""),
    ],
    ids=str,
)
def test_a_budget_stands_for_an_effort(thinking: Thinking, effort: str) -> None:
    assert effort_of(thinking) == effort


@pytest.mark.parametrize(
    ("said", "new", "old"),
    [
        pytest.param(Thinking(), Written({}, ""), Written({}, ""), id="nothing"),
        pytest.param(
            Thinking(effort="high"),
            Written(ADAPTIVE, "high"),
            Written(enabled(16_384), ""),
            id="chat effort",
        ),
        pytest.param(
            Thinking(effort="minimal"),
            Written(ADAPTIVE, "low"),
            Written(enabled(1_024), ""),
            id="least effort",
        ),
        pytest.param(
            Thinking(effort="none"), Written(DISABLED, ""), Written(DISABLED, ""), id="no effort"
        ),
        pytest.param(
            Thinking(switch="disabled"), Written(DISABLED, ""), Written(DISABLED, ""), id="off"
        ),
        pytest.param(
            Thinking(switch="enabled"),
            Written(ADAPTIVE, ""),
            Written(enabled(8_192), ""),
            id="DeepSeek's switch",
        ),
        pytest.param(
            Thinking(budget=2_000),
            Written(ADAPTIVE, "low"),
            Written(enabled(2_000), ""),
            id="budget",
        ),
        pytest.param(
            Thinking(effort="low", summary="auto"),
            Written(ADAPTIVE | {"display": "summarized"}, "low"),
            Written(enabled(2_048) | {"display": "summarized"}, ""),
            id="to be seen",
        ),
    ],
)
def test_what_other_clients_want_is_told_as_the_upstream_knows_it(
    said: Thinking, new: Written, old: Written
) -> None:
    assert written(asked(said), 32_000, NEW) == new
    assert written(asked(said), 32_000, OLD) == old


@pytest.mark.parametrize(
    ("said", "new", "old"),
    [
        pytest.param(
            Thinking(switch="adaptive", effort="high", display="omitted", summary="auto"),
            Written(ADAPTIVE | {"display": "omitted"}, "high"),
            Written(enabled(16_384) | {"display": "omitted"}, ""),
            id="adaptive",
        ),
        pytest.param(
            Thinking(switch="enabled", budget=3_999),
            Written(enabled(3_999), ""),
            Written(enabled(3_999), ""),
            id="budget",
        ),
        pytest.param(
            Thinking(effort="low"), Written({}, "low"), Written({}, ""), id="effort alone"
        ),
        pytest.param(
            Thinking(switch="disabled"), Written(DISABLED, ""), Written(DISABLED, ""), id="off"
        ),
    ],
)
def test_what_a_messages_client_says_stays_as_it_is_where_the_upstream_knows_it(
    said: Thinking, new: Written, old: Written
) -> None:
    assert written(asked(said, "messages"), 32_000, NEW) == new
    assert written(asked(said, "messages"), 32_000, OLD) == old


def test_a_budget_is_an_effort_where_the_upstream_takes_no_budget() -> None:
    said = Thinking(switch="enabled", budget=3_999, display="summarized", summary="auto")
    newest = written(asked(said, "messages"), 32_000, Abilities(budgets=False))
    assert newest == Written(ADAPTIVE | {"display": "summarized"}, "medium")


def test_models_of_others_take_an_effort_beside_a_budget() -> None:
    said = asked(Thinking(switch="adaptive", effort="high"), "messages")
    assert written(said, 32_000, Abilities(adaptive_thinking=False)) == Written(
        enabled(16_384), "high"
    )


@pytest.mark.parametrize(
    ("max_tokens", "thinking"),
    [
        (16_385, enabled(16_384)),
        (16_384, enabled(13_107)),
        (2_000, enabled(1_600)),
        (1_025, enabled(1_024)),
        (1_024, DISABLED),
        (1, DISABLED),
    ],
)
def test_a_budget_leaves_room_for_an_answer(max_tokens: int, thinking: dict[str, Any]) -> None:
    assert written(asked(Thinking(effort="high")), max_tokens, OLD) == Written(thinking, "")


def test_no_tool_is_forced_beside_a_budget() -> None:
    forced = asked(Thinking(effort="high"), tool_choice=ToolChoice("required"))
    assert written(forced, 32_000, OLD) == Written(DISABLED, "")
    assert written(forced, 32_000, NEW) == Written(ADAPTIVE, "high")


def test_only_a_model_that_is_told_to_think_is_on() -> None:
    assert [Written(one, "").on for one in ({}, DISABLED, ADAPTIVE, enabled(1_024))] == [
        False,
        False,
        True,
        True,
    ]
