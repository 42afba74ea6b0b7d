"""Errors inside Responses answers: read from an upstream's, written for a client's.

Shapes: https://platform.openai.com/docs/api-reference/responses-streaming/response/failed; xAI says
`{"code": "…", "error": "…"}`.
"""

from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.tolerant.error_body import error_of
from addon.formats.wire.lenient import as_str

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
"""HTTP status of each error code: a stream reports the code alone."""

_CLIENT_CODES = frozenset(("invalid_prompt", "rate_limit_exceeded", "server_error"))
"""The documented codes that clients read; any other becomes one of the last two."""


def failure_of(reported: Any, code: Any = None, message: Any = None) -> StreamError:
    """The error in an `error` member, or in an event's own code and message."""
    error = error_of(reported, code=code, message=message)
    if error is None:
        error = StreamError(as_str(message) or "The upstream reported an error.", code=as_str(code))
    return StreamError(error.message, _STATUSES.get(error.code, error.status), error.code)


def error_object(problem: Problem) -> dict[str, Any]:
    """The `error` member of a failed response."""
    # Words of upstreams may hold lone surrogates.
    message = problem.message.encode(errors="replace").decode()
    return {"code": _client_code(problem), "message": message}


def _client_code(problem: Problem) -> str:
    if problem.code in _CLIENT_CODES:
        return problem.code
    if problem.status == 429:
        return "rate_limit_exceeded"
    return "server_error"
