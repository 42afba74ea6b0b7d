"""What clients are told of failures, and with which status."""

import pytest

from addon.admission.problems import status_for


@pytest.mark.parametrize(
    ("status", "code", "for_cursor"),
    [
        (400, "model_not_found", 400),
        (401, "invalid_api_key", 401),
        (401, "upstream_error", 400),
        (404, "x", 400),
        (413, "request_too_large", 400),
        (429, "rate_limit", 429),
        (429, "insufficient_quota", 400),
        (429, "upstream_error", 429),
        (500, "gateway_error", 400),
        (500, "server_error", 500),
        (502, "upstream_unreachable", 502),
        (502, "upstream_auth_error", 400),
        (503, "no_upstream", 400),
        (503, "quota_unavailable", 503),
        (503, "usage_not_recorded", 400),
    ],
)
def test_cursor_gets_a_400_where_a_person_must_read(
    status: int, code: str, for_cursor: int
) -> None:
    assert status_for(status, code, "Cursor/1.0") == for_cursor
    assert status_for(status, code, "OpenAI/Python") == status
    assert status_for(status, code, "") == status
