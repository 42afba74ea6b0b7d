"""Errors that one choice of a chat answer reports."""

from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.tolerant.error_body import error_of

__all__ = ("choice_error",)

_FAILED = {"error": 502, "insufficient_system_resource": 503, "network_error": 502}
"""Finish reasons that are faults: OpenRouter's, DeepSeek's
(https://api-docs.deepseek.com/api/create-chat-completion) and GLM's.
"""


def choice_error(finish_reason: Any, error: Any) -> StreamError | None:
    """The error that one choice reports, by an `error` member of its own or by how it ended."""
    if error and (reported := error_of(error)):
        return reported
    if not isinstance(finish_reason, str) or finish_reason not in _FAILED:
        return None
    message = f"The upstream broke its answer off ({finish_reason})."
    return StreamError(message, _FAILED[finish_reason], finish_reason)
