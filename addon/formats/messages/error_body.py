"""Errors of Messages upstreams: what failed, and whether the thinking of the request was the reason.

Shapes: https://platform.claude.com/docs/en/api/errors.
"""

import re
from typing import Any, Literal

from addon.formats.chat.error_body import error_of
from addon.formats.deltas import StreamError

__all__ = ("ThinkingFault", "failure_of", "thinking_fault")

type ThinkingFault = Literal["missing", "refused"]
"""`missing`: a turn lacks its thinking. `refused`: the request's thinking is altered, unsigned or not from there."""

_STATUSES = {
    "api_error": 500,
    "authentication_error": 401,
    "billing_error": 402,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "request_too_large": 413,
    "timeout_error": 504,
}
"""HTTP status that a type of error stands for where only the type is given."""

# DeepSeek (github.com/leookun/cursor-byok/issues/268), Anthropic in manual thinking
# (github.com/anthropics/claude-code/issues/10199), Kimi (github.com/mastra-ai/mastra/issues/12592).
_MISSING = re.compile(
    r"content\[\]\.thinking.{0,12}in the thinking mode must be passed back"
    r"|expected .?thinking.? or .?redacted_thinking.?,? but found"
    r"|must start with a thinking block"
    r"|reasoning_content is missing in assistant tool call message"
    r"|missing .?reasoning_content.? field in the assistant message",
    re.IGNORECASE,
)
# https://platform.claude.com/docs/en/build-with-claude/preserved-thinking and the issue above.
_REFUSED = re.compile(
    r"invalid .?signature.? in .?thinking.? block"
    r"|block is bound to a different conversation"
    r"|thinking.{0,60}blocks? in the latest assistant message cannot be modified"
    r"|thinking(\.\w+)*: field required",
    re.IGNORECASE,
)


def failure_of(found: Any, base_resp: Any = None, code: Any = None, message: Any = None) -> StreamError:
    """The error that an `error` member, or what other servers have in its place, reports."""
    error = error_of(found, base_resp, code, message) or StreamError("The upstream reported an error.")
    return StreamError(error.message, _STATUSES.get(error.code, error.status), error.code)


def thinking_fault(text: str) -> ThinkingFault | None:
    """What an upstream's error, as `full_text` gives it, says of the thinking in the request; None: nothing."""
    if _REFUSED.search(text):
        return "refused"
    return "missing" if _MISSING.search(text) else None
