"""Failures of Messages upstreams are understood, those above all that name the thinking."""

import json
from typing import Any

import pytest

from addon.formats.chat.error_body import full_text
from addon.formats.deltas import StreamError
from addon.formats.messages.error_body import ThinkingFault, failure_of, thinking_fault


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, StreamError("Overloaded", 529, "overloaded_error")),
        ({"type": "rate_limit_error", "message": "m"}, StreamError("m", 429, "rate_limit_error")),
        ({"type": "invalid_request_error", "message": "m"}, StreamError("m", 400, "invalid_request_error")),
        ({"type": "api_error", "message": "m"}, StreamError("m", 500, "api_error")),
        ({"type": "new_error", "message": "m"}, StreamError("m", 502, "new_error")),
        ({"code": 429, "message": "m"}, StreamError("m", 429, "429")),
        ("m", StreamError("m")),
        (None, StreamError("The upstream reported an error.")),
    ],
    ids=str,
)
def test_a_failure_is_read_with_the_status_that_its_type_stands_for(error: Any, failure: StreamError) -> None:
    assert failure_of(error) == failure


def test_minimax_reports_errors_beside_the_message() -> None:
    assert failure_of(None, {"status_code": 1002, "status_msg": "rate limit"}) == StreamError("rate limit", 429, "1002")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("The `content[].thinking` in the thinking mode must be passed back to the API.", "missing"),
        (
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block",
            "missing",
        ),
        ("thinking is enabled but reasoning_content is missing in assistant tool call message at index 2", "missing"),
        ("messages.3.content.0: Invalid `signature` in `thinking` block", "refused"),
        ("messages.1.content.0.thinking.signature: Field required", "refused"),
        (
            "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different …",
            "refused",
        ),
        ("The block is bound to a different conversation.", "refused"),
        (
            "messages.5.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
            "modified. These blocks must remain as they were in the original response.",
            "refused",
        ),
        ("max_tokens: Field required", None),
        ("`max_tokens` must be greater than `thinking.budget_tokens`.", None),
        ("messages: text content blocks must be non-empty", None),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "wrapped"])
def test_an_error_that_names_the_thinking_is_told_from_others(
    message: str, fault: ThinkingFault | None, nested: bool
) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    wrapped = {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps(body)}}}
    assert thinking_fault(full_text(json.dumps(wrapped if nested else body).encode())) == fault
