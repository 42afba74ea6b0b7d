"""What a client says of thinking changes only where the upstream's model refuses it, or
where it is overruled.
"""

import json
from typing import Any

import pytest

from addon.formats.messages.patch_thinking import thinking_changes
from addon.formats.messages.request import decode
from addon.formats.neutral.adapt import Abilities
from addon.formats.wire.splice import value

type Json = dict[str, Any]

NEW = Abilities(budgets=False, sampling=False)
MIDDLE = Abilities()
OLD = Abilities(adaptive_thinking=False, efforts=False)
OTHER = Abilities(adaptive_thinking=False, unsigned_thinking=True)
MODELS = {
    "claude-opus-5": NEW,
    "claude-opus-4-6": MIDDLE,
    "claude-opus-4-1": OLD,
    "deepseek-v4": OTHER,
}
ADAPTIVE = {"type": "adaptive", "display": "omitted"}
CLEARING = {
    "edits": [
        {"type": "clear_thinking_20251015", "keep": "all"},
        {"type": "clear_tool_uses_20250919"},
    ]
}


def changes(model: str, *, effort: str = "", override: Json | None = None, **members: Any) -> Json:
    """The members that change; None: left out."""
    texts = {name: json.dumps(given).encode() for name, given in members.items()}
    request = decode(
        json.dumps({"model": "m", "messages": [], "max_tokens": 9_000} | members).encode()
    )
    found = thinking_changes(
        texts,
        request,
        model=model,
        abilities=MODELS[model],
        effort=effort,
        override=override or {},
        max_tokens=9_000,
    )
    return {name: value(text) if text else None for name, text in found.items()}


@pytest.mark.parametrize(
    ("model", "members"),
    [
        (
            "claude-opus-5",
            {
                "thinking": ADAPTIVE,
                "output_config": {"effort": "high", "task_budget": {"total": 9}},
            },
        ),
        (
            "claude-opus-4-6",
            {"thinking": {"type": "enabled", "budget_tokens": 2_000, "x": 1}, "top_p": 0.99},
        ),
        ("claude-opus-4-6", {"temperature": 0.3, "top_k": 4, "output_config": {"effort": "low"}}),
        (
            "claude-opus-4-1",
            {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "temperature": 1},
        ),
        ("claude-opus-4-1", {"thinking": {"type": "disabled"}, "temperature": 0.3}),
        ("claude-opus-4-1", {"thinking": {"type": "of the future"}}),
        (
            "deepseek-v4",
            {"thinking": ADAPTIVE, "temperature": 1.7, "output_config": {"effort": "xhigh"}},
        ),
        (
            "deepseek-v4",
            {"thinking": {"type": "enabled", "budget_tokens": 10}, "context_management": CLEARING},
        ),
    ],
)
def test_what_the_model_takes_stays(model: str, members: Json) -> None:
    assert changes(model, **members) == {}


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        pytest.param(
            "claude-opus-5",
            {"thinking": {"type": "enabled", "budget_tokens": 3_000, "x": 1}},
            {"thinking": {"type": "adaptive", "x": 1}, "output_config": {"effort": "medium"}},
            id="no budget where none is taken",
        ),
        pytest.param(
            "claude-opus-4-1",
            {"thinking": ADAPTIVE, "output_config": {"effort": "low", "task_budget": {"total": 9}}},
            {
                "thinking": {"type": "enabled", "display": "omitted", "budget_tokens": 2_048},
                "output_config": {"task_budget": {"total": 9}},
            },
            id="a budget for an effort where none is known",
        ),
        pytest.param(
            "claude-opus-4-1",
            {"output_config": {"effort": "low"}},
            {"output_config": None},
            id="no effort where none is known",
        ),
        pytest.param(
            "claude-opus-4-1",
            {"thinking": {"type": "enabled", "budget_tokens": 9_000}},
            {"thinking": {"type": "enabled", "budget_tokens": 7_200}},
            id="a budget that leaves no answer",
        ),
        pytest.param(
            "claude-opus-5",
            {"temperature": 1, "top_p": 1, "top_k": 1},
            {"temperature": None, "top_p": None, "top_k": None},
            id="no sampling",
        ),
        pytest.param(
            "claude-opus-4-6",
            {"thinking": ADAPTIVE, "temperature": 0.3, "top_p": 0.5, "top_k": 1},
            {"temperature": None, "top_p": None, "top_k": None},
            id="no sampling beside thinking",
        ),
        pytest.param(
            "claude-opus-4-1",
            {
                "thinking": {"type": "adaptive"},
                "tools": [{"name": "f", "input_schema": {}}],
                "tool_choice": {"type": "any"},
                "context_management": CLEARING,
            },
            {
                "thinking": {"type": "disabled"},
                "context_management": {"edits": CLEARING["edits"][1:]},
            },
            id="no budget beside a forced tool, and nothing to clear then",
        ),
    ],
)
def test_what_the_model_refuses_is_changed(model: str, members: Json, expected: Json) -> None:
    assert changes(model, **members) == expected


@pytest.mark.parametrize(
    ("model", "effort", "members", "expected"),
    [
        ("claude-opus-5", "low", {"thinking": ADAPTIVE}, {"output_config": {"effort": "low"}}),
        ("claude-opus-5", "high", {"output_config": {"effort": "high"}}, {}),
        (
            "claude-opus-5",
            "none",
            {"thinking": ADAPTIVE, "output_config": {"effort": "high"}},
            {"thinking": {"type": "disabled"}, "output_config": None},
        ),
        (
            "claude-opus-5",
            "max",
            {"thinking": {"type": "disabled"}},
            {"thinking": None, "output_config": {"effort": "max"}},
        ),
        ("deepseek-v4", "low", {"temperature": 0.3}, {"output_config": {"effort": "low"}}),
    ],
)
def test_a_configured_effort_wins(model: str, effort: str, members: Json, expected: Json) -> None:
    assert changes(model, effort=effort, **members) == expected


def test_members_that_switch_thinking_off_win() -> None:
    off = {"thinking": {"type": "disabled"}}
    found = changes(
        "claude-opus-5",
        override=off,
        thinking=ADAPTIVE,
        context_management=CLEARING,
        output_config={"effort": "low"},
    )
    assert found == off | {"context_management": {"edits": CLEARING["edits"][1:]}}
    assert (
        changes(
            "claude-opus-5",
            override=off,
            thinking={"type": "disabled"},
            context_management=CLEARING,
        )
        == {}
    )
