"""Failures of Messages upstreams are understood."""

from typing import Any

import pytest

from addon.formats.messages.error_body import failure_of
from addon.formats.neutral.deltas import StreamError


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (
            {"type": "overloaded_error", "message": "Overloaded"},
            StreamError("Overloaded", 529, "overloaded_error"),
        ),
        ({"type": "rate_limit_error", "message": "m"}, StreamError("m", 429, "rate_limit_error")),
        (
            {"type": "invalid_request_error", "message": "m"},
            StreamError("m", 400, "invalid_request_error"),
        ),
        ({"type": "api_error", "message": "m"}, StreamError("m", 500, "api_error")),
        ({"type": "new_error", "message": "m"}, StreamError("m", 502, "new_error")),
        ({"code": 429, "message": "m"}, StreamError("m", 429, "429")),
        ("m", StreamError("m")),
        (None, StreamError("The upstream reported an error.")),
    ],
    ids=str,
)
def test_a_failure_is_read_with_the_status_that_its_type_stands_for(
    error: Any, failure: StreamError
) -> None:
    assert failure_of(error) == failure


def test_minimax_reports_errors_beside_the_message() -> None:
    assert failure_of(None, {"status_code": 1002, "status_msg": "rate limit"}) == StreamError(
        "rate limit", 429, "1002"
    )
