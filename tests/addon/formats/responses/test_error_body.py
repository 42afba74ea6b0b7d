"""Failures of Responses upstreams are understood, and problems told as clients of that API
expect them.
"""

from typing import Any

import pytest
from openai.types.responses import ResponseError

from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.responses.error_body import error_object, failure_of


@pytest.mark.parametrize(
    ("error", "code", "message", "failure"),
    [
        pytest.param(
            {"code": "server_error", "message": "m"},
            None,
            None,
            StreamError("m", 502, "server_error"),
            id="failed",
        ),
        pytest.param(
            {"code": "rate_limit_exceeded", "message": "m"},
            None,
            None,
            StreamError("m", 429, "rate_limit_exceeded"),
            id="429",
        ),
        pytest.param(
            None,
            "invalid_encrypted_content",
            "m",
            StreamError("m", 400, "invalid_encrypted_content"),
            id="flat event",
        ),
        pytest.param("m", "x", None, StreamError("m", 502, "x"), id="xAI"),
        pytest.param(
            None, None, None, StreamError("The upstream reported an error."), id="wordless"
        ),
        pytest.param(None, "", "m", StreamError("m"), id="words alone"),
    ],
)
def test_a_failure_is_read(error: Any, code: Any, message: Any, failure: StreamError) -> None:
    assert failure_of(error, code, message) == failure


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (429, "insufficient_quota", "rate_limit_exceeded"),
        (502, "upstream_cut", "server_error"),
        (400, "invalid_prompt", "invalid_prompt"),
    ],
)
def test_a_problem_is_told_under_a_code_that_clients_know(
    status: int, code: str, told: str
) -> None:
    found = error_object(Problem(status=status, message="m\ud83d", code=code))
    assert ResponseError.model_validate(found).code == told
    assert found["message"] == "m?"
