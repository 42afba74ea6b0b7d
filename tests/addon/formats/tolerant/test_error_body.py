"""Errors are recognised in every provider's shape, and their words are found however deep
they are wrapped.
"""

import json
from typing import Any

import pytest

from addon.formats.neutral.deltas import StreamError
from addon.formats.tolerant.error_body import error_of, full_text
from addon.routing.complaints import fault

MISSING = "The `reasoning_content` in the thinking mode must be passed back to the API."
OPENROUTER = {
    "message": "Provider returned error",
    "code": 400,
    "metadata": {"raw": MISSING, "provider_name": "X"},
}
MIMO = {"code": "400", "message": "Param Incorrect", "param": MISSING, "type": ""}
WORDLESS = "The upstream reported an error."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            {"message": "m", "type": "t", "code": None}, StreamError("m", 502, "t"), id="OpenAI"
        ),
        pytest.param(
            {"message": "m", "code": 429, "metadata": {}},
            StreamError("m", 429, "429"),
            id="OpenRouter",
        ),
        pytest.param(
            OPENROUTER,
            StreamError(f"Provider returned error: {MISSING}", 400, "400"),
            id="OpenRouter raw",
        ),
        pytest.param(MIMO, StreamError(f"Param Incorrect: {MISSING}", 400, "400"), id="MiMo"),
        pytest.param({"code": "1113", "message": "m"}, StreamError("m", 502, "1113"), id="GLM"),
        pytest.param(
            {"message": "m", "param": "messages[3]"}, StreamError("m"), id="a param that is a path"
        ),
        pytest.param("m", StreamError("m"), id="text"),
        pytest.param({"code": 599}, StreamError(WORDLESS, 599, "599"), id="no message"),
        pytest.param(
            {"message": {"a": 1}, "code": 200},
            StreamError(WORDLESS, 502, "200"),
            id="message not text",
        ),
        pytest.param(
            {"message": "", "code": True},
            StreamError(WORDLESS, 502, "True"),
            id="code not a number",
        ),
        pytest.param(
            {"message": "m", "code": 10**30}, StreamError("m", 502, str(10**30)), id="huge code"
        ),
    ],
)
def test_an_error_member_is_read_in_every_shape(error: object, expected: StreamError) -> None:
    assert error_of(error) == expected


@pytest.mark.parametrize("error", [None, {}, "", [], 0, False, ["x"], 7])
def test_what_is_no_error_is_none(error: object) -> None:
    assert error_of(error) is None


@pytest.mark.parametrize(
    ("code", "status"),
    [(1002, 429), (1004, 401), (1008, 402), (1039, 400), (2013, 400), (1000, 502), ("x", 502)],
)
def test_minimax_reports_in_base_resp(code: object, status: int) -> None:
    base_resp = {"status_code": code, "status_msg": "m"}
    assert error_of(None, base_resp) == StreamError("m", status, str(code))


@pytest.mark.parametrize(
    "base_resp", [None, {}, {"status_code": 0, "status_msg": "success"}, [], "x"]
)
def test_minimax_also_reports_success(base_resp: object) -> None:
    assert error_of(None, base_resp) is None


def test_a_status_that_cannot_be_one_is_still_an_error() -> None:
    assert error_of(None, {"status_code": [1]}) == StreamError(WORDLESS, 502, "[1]")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(50505, StreamError("m", 502, "50505"), id="SiliconFlow"),
        pytest.param("429", StreamError("m", 429, "429"), id="text"),
        pytest.param(600, StreamError("m", 502, "600"), id="no status"),
        pytest.param(0, None, id="zero"),
        pytest.param("0", None, id="zero as text"),
        pytest.param(200, None, id="OK"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_bare_code_with_a_message_is_an_error(code: object, expected: StreamError | None) -> None:
    assert error_of(None, None, code, "m") == expected
    assert error_of(None, None, code, None) is None


def test_xai_puts_code_and_words_side_by_side() -> None:
    assert error_of("m", code="invalid-argument") == StreamError("m", 502, "invalid-argument")


WRAPPED: dict[str, Any] = {
    "DeepSeek": {"error": {"message": MISSING, "type": "invalid_request_error", "param": None}},
    "MiMo": {"error": MIMO},
    "OpenRouter": {
        "error": {"message": "x", "metadata": {"raw": json.dumps({"error": {"message": MISSING}})}}
    },
    "OpenRouter twice": {
        "error": {"metadata": {"raw": json.dumps({"a": json.dumps([{"m": MISSING}])})}}
    },
    "list": [{"detail": [{"loc": ["body"], "msg": MISSING}]}],
    "as a key": {MISSING: True},
}


@pytest.mark.parametrize("body", WRAPPED.values(), ids=WRAPPED)
def test_words_are_found_however_they_are_wrapped(body: object) -> None:
    assert MISSING.replace("`", "") in full_text(json.dumps(body).encode())
    assert fault(full_text(json.dumps(body, ensure_ascii=False, indent=1).encode())) == "missing"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"<html>down</html>", "<html>down</html>"),
        (b"a\xffb", "a\ufffdb"),
        (b"{cut", "{cut"),
        (b"7", "7"),
    ],
)
def test_a_body_that_is_no_json_is_its_own_text(body: bytes, text: str) -> None:
    assert full_text(body) == text


@pytest.mark.parametrize("depth", [2_000, 9_000, 100_000])
def test_a_deep_body_is_read_without_recursion(depth: int) -> None:
    assert full_text(b"[" * depth + b'"m"' + b"]" * depth)
