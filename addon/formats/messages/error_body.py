"""Errors of Messages upstreams.

Shapes: https://platform.claude.com/docs/en/api/errors.
"""

from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.tolerant.error_body import error_of

__all__ = ("failure_of",)

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


def failure_of(
    found: Any, base_resp: Any = None, code: Any = None, message: Any = None
) -> StreamError:
    """The error that an `error` member, or what other servers have in its place, reports."""
    error = error_of(found, base_resp, code, message) or StreamError(
        "The upstream reported an error."
    )
    return StreamError(error.message, _STATUSES.get(error.code, error.status), error.code)
