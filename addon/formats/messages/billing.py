"""The line that Claude Code puts before its system prompt: it bills, and is no prompt.

It changes with each request, so that a prefix cache that reads it never finds anything
(github.com/anthropics/claude-code/issues/68900). Anthropic takes it for what it is.
"""

import re

__all__ = ("MARK", "without_billing_line")

MARK = "x-anthropic-billing-header:"
_LINE = re.compile(rf"{MARK}[^\n]*\n*")


def without_billing_line(text: str) -> str:
    """The text without the line and the blank lines after it; empty when there is nothing else."""
    return _LINE.sub("", text, count=1) if text.startswith(MARK) else text
