"""What a client is told fits its format."""

import json

import pytest

from addon.formats.neutral.problem import Problem, RequestError, error_body


def problem(status: int = 400, code: str = "some_code", message: str = "Words.") -> Problem:
    return Problem(status=status, message=message, code=code, type="some_error", param="model")


def test_an_error_for_openai_clients_names_type_param_and_code() -> None:
    error = {"message": "Words.", "type": "some_error", "param": "model", "code": "some_code"}
    assert json.loads(error_body("chat", problem())) == {"error": error}
    assert error_body("responses", problem()) == error_body("chat", problem())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_an_error_for_anthropic_clients_has_their_shape_and_the_type_of_its_status(
    status: int, kind: str
) -> None:
    error = {"type": kind, "message": "Words."}
    assert json.loads(error_body("messages", problem(status))) == {"type": "error", "error": error}


@pytest.mark.parametrize("wire_format", ["chat", "messages"])
def test_words_that_no_text_can_hold_are_told_all_the_same(wire_format: str) -> None:
    body = error_body(wire_format, problem(message="no model '\ud83d\x00\u2028é'"))
    assert json.loads(body.decode())["error"]["message"] == "no model '?\x00\u2028é'"


def test_a_request_error_says_what_its_problem_says() -> None:
    error = RequestError(problem())
    assert str(error) == "Words."
    assert error.problem == problem()
