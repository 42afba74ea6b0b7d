"""Claude Code's billing line is told from a prompt."""

import pytest

from addon.formats.messages.billing import without_billing_line

LINE = "x-anthropic-billing-header: cc_version=2.1.328.abc; cc_entrypoint=cli; cch=36ee5;"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LINE, ""),
        (f"{LINE}\n\nYou are an agent.", "You are an agent."),
        (f"You are an agent.\n{LINE}", f"You are an agent.\n{LINE}"),
        ("x-anthropic-billing: no", "x-anthropic-billing: no"),
        ("", ""),
    ],
)
def test_the_line_goes_where_it_begins_the_prompt(text: str, expected: str) -> None:
    assert without_billing_line(text) == expected
