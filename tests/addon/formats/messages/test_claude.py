"""What a Claude model's name tells of what it takes."""

import pytest

from addon.formats.messages.claude import (
    is_claude,
    takes_budgets,
    takes_budgets_only,
    takes_prefills,
    takes_sampling,
    takes_system_messages,
)


@pytest.mark.parametrize(
    ("model", "budgets_only"),
    [
        ("claude-3-7-sonnet-20250219", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1", True),
        ("anthropic/claude-haiku-4-5", True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("claude-sonnet-4-5@20250929", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-6-20260201", False),
        ("claude-fable-5-1", False),
        ("deepseek-v4-pro", False),
    ],
)
def test_old_claude_models_take_budgets_only(model: str, budgets_only: bool) -> None:
    assert takes_budgets_only(model) == takes_prefills(model) == budgets_only


@pytest.mark.parametrize(
    ("model", "sampling"),
    [
        ("claude-3-5-haiku-latest", True),
        ("anthropic.claude-sonnet-4-6", True),
        ("claude-opus-4-6-20260201", True),
        ("claude-opus-4-7", False),
        ("claude-sonnet-5", False),
        ("claude-fable-5-1", False),
    ],
)
def test_new_claude_models_take_no_temperature_and_no_budget(model: str, sampling: bool) -> None:
    assert takes_sampling(model) == takes_budgets(model) == sampling


@pytest.mark.parametrize(
    ("model", "claude"),
    [("claude-opus-5", True), ("anthropic/claude-fable-5", True), ("not-claude", False)],
)
def test_a_claude_model_is_known_by_its_name(model: str, claude: bool) -> None:
    assert is_claude(model) == claude


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("claude-opus-4-8", True),
        ("anthropic/claude-opus-5", True),
        ("claude-opus-4-8-20260528", True),
        ("claude-opus-4-7", False),
        ("claude-opus-4-20250514", False),
        ("claude-sonnet-5", False),
        ("deepseek-v4", False),
    ],
)
def test_new_opus_models_take_system_messages_in_the_conversation(model: str, taken: bool) -> None:
    assert takes_system_messages(model) == taken
