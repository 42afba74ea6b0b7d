"""The billing line that Claude Code puts before its system prompt, which is no prompt.

It changes with each request, so that a prefix cache that reads it never hits
(github.com/anthropics/claude-code/issues/68900). Anthropic takes it out itself.
"""

import re

__all__ = ("MARK", "without_billing_line")

MARK = "x-anthropic-billing-header:"
"""The line's beginning."""

_LINE = re.compile(rf"{MARK}[^\n]*\n*")


def without_billing_line(text: str) -> str:
    """The text without the line and the blank lines after it."""
    if not text.startswith(MARK):
        return text
    return _LINE.sub("", text, count=1)
