"""Errors inside Responses answers: read from an upstream's, written for a client's.

Shapes: https://platform.openai.com/docs/api-reference/responses-streaming/response/failed; xAI says
`{"code": "…", "error": "…"}`.
"""

from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.tolerant.error_body import error_of
from addon.formats.wire.lenient import text

__all__ = ("error_object", "failure_of")

_STATUSES = {
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_encrypted_content": 400,
    "invalid_prompt": 400,
    "previous_response_not_found": 400,
    "rate_limit_exceeded": 429,
    "server_is_overloaded": 503,
}
"""HTTP status that an error code stands for where only the code is given."""

_TOLD = frozenset(("invalid_prompt", "rate_limit_exceeded", "server_error"))


def failure_of(found: Any, code: Any = None, message: Any = None) -> StreamError:
    """The error that an `error` member, or an event's own code and message, reports."""
    error = error_of(found, code=code, message=message)
    if error is None:
        error = StreamError(text(message) or "The upstream reported an error.", code=text(code))
    return StreamError(error.message, _STATUSES.get(error.code, error.status), error.code)


def error_object(problem: Problem) -> dict[str, Any]:
    """The `error` member of a failed response; clients know a few codes only."""
    code = "rate_limit_exceeded" if problem.status == 429 else "server_error"
    # Words of upstreams may hold lone surrogates.
    message = problem.message.encode(errors="replace").decode()
    return {"code": problem.code if problem.code in _TOLD else code, "message": message}
