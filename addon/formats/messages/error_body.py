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
"""HTTP status of each type of error: a stream reports the type alone."""

_UNKNOWN = StreamError("The upstream reported an error.")


def failure_of(
    reported: Any, base_resp: Any = None, code: Any = None, message: Any = None
) -> StreamError:
    """The error in an `error` member, or in what other servers have in its place."""
    error = error_of(reported, base_resp, code, message) or _UNKNOWN
    return StreamError(error.message, _STATUSES.get(error.code, error.status), error.code)
