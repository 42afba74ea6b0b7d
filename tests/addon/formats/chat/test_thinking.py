"""What a chat body says of thinking is read in the words of any upstream."""

import pytest

from addon.formats.chat.thinking import read
from addon.formats.neutral.request import Thinking
from tests.addon.translation.clients import Json


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, Thinking()),
        ({"reasoning_effort": "low"}, Thinking(effort="low")),
        ({"reasoning": {"effort": "high"}}, Thinking(effort="high")),
        ({"reasoning": {"max_tokens": 0}}, Thinking(budget=0)),
        ({"thinking": {"type": "adaptive"}}, Thinking(switch="adaptive")),
        ({"thinking": "odd", "reasoning": 7}, Thinking()),
        (
            {"enable_thinking": True, "thinking_budget": 9},
            Thinking(switch="enabled", budget=9),
        ),
        ({"enable_thinking": False}, Thinking(switch="disabled")),
        ({"chat_template_kwargs": {"enable_thinking": False}}, Thinking(switch="disabled")),
        ({"chat_template_kwargs": {"thinking": True}}, Thinking(switch="enabled")),
        ({"chat_template_kwargs": {"system": "x"}}, Thinking()),
    ],
    ids=str,
)
def test_any_word_is_understood(found: Json, expected: Thinking) -> None:
    assert read(found) == expected
