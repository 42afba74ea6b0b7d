"""What clients are told of failures, and with which status."""

import pytest

from addon.admission import problems
from addon.admission.problems import status_for
from addon.formats.neutral.problem import Problem
from shared.model import Limits
from shared.store.ledger import Balance


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


UNAUTHORISED = (401, "invalid_api_key", "authentication_error", None, "")


def invalid(
    status: int, code: str, param: str | None = None
) -> tuple[int, str, str, str | None, str]:
    return status, code, "invalid_request_error", param, ""


def of_ours(status: int, code: str, retry_after: str = "") -> tuple[int, str, str, None, str]:
    return status, code, "server_error", None, retry_after


def of_theirs(code: str) -> tuple[int, str, str, None, str]:
    return 502, code, "upstream_error", None, ""


SPENT = Limits(quota_tokens=1, quota_cost_micros=1)
INSUFFICIENT = (429, "insufficient_quota", "insufficient_quota", None, "")


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (problems.no_key(), UNAUTHORISED),
        (problems.unknown_key("sk-…"), UNAUTHORISED),
        (problems.key_revoked("abcd"), UNAUTHORISED),
        (problems.key_expired("abcd"), UNAUTHORISED),
        (problems.key_for_management("abcd"), UNAUTHORISED),
        (problems.account_disabled(), UNAUTHORISED),
        (problems.password_unchanged(), UNAUTHORISED),
        (problems.bad_head("x"), invalid(400, "bad_request")),
        (problems.method_not_allowed("PUT", ("GET",)), invalid(405, "method_not_allowed")),
        (problems.no_websocket(), invalid(426, "upgrade_required")),
        (problems.not_served("GET", "/v1/x"), invalid(404, "not_found")),
        (problems.unknown_coding("bz2"), invalid(415, "unsupported_content_encoding")),
        (problems.damaged("gzip"), invalid(400, "invalid_body")),
        (problems.too_large(1), invalid(413, "request_too_large")),
        (problems.answer_not_found("resp_1"), invalid(404, "not_found")),
        (problems.nothing_here(), invalid(404, "not_found")),
        (problems.not_allowed("m"), (403, "model_not_allowed", "permission_error", "model", "")),
        (problems.no_such_model("m"), invalid(404, "model_not_found", "model")),
        (problems.unknown_model("m", []), invalid(400, "model_not_found", "model")),
        (
            problems.reasoning_unknown(3, "x"),
            invalid(400, "reasoning_not_known", "messages[3]"),
        ),
        (problems.quota_exceeded("you", SPENT, Balance(tokens=1), 1, 0), INSUFFICIENT),
        (problems.budget_exceeded("you", SPENT, Balance(cost_micros=1), 0), INSUFFICIENT),
        (problems.unpriced("you", "m"), INSUFFICIENT),
        (problems.crowded(), (429, "rate_limit_exceeded", "rate_limit_error", None, "2")),
        (problems.too_much_at_once(), (429, "rate_limit_exceeded", "rate_limit_error", None, "2")),
        (
            problems.too_many("requests", "you", 9),
            (429, "rate_limit_exceeded", "rate_limit_error", None, "9"),
        ),
        (problems.no_room(), of_ours(503, "overloaded", "2")),
        (problems.no_upstream(), of_ours(503, "no_upstream")),
        (problems.books_busy(), of_ours(503, "quota_unavailable", "2")),
        (problems.books_unwritable(), of_ours(503, "usage_not_recorded", "10")),
        (problems.gateway_failed(), of_ours(500, "gateway_error")),
        (problems.gateway_stopped(), of_ours(503, "gateway_stopped")),
        (problems.sidecar_down(), of_ours(502, "sidecar_down")),
        (problems.malformed("x"), of_theirs("upstream_malformed")),
        (problems.unreachable("up", "x"), of_theirs("upstream_unreachable")),
        (problems.keys_refused("up", "sk-…", 401, ""), of_theirs("upstream_auth_error")),
        (
            problems.told_by_upstream(418, "tea"),
            (418, "upstream_error", "upstream_error", None, ""),
        ),
    ],
)
def test_programs_are_told_by_status_code_and_type_and_when_to_come_back(
    problem: Problem, told: tuple[int, str, str, str | None, str]
) -> None:
    fields = (problem.status, problem.code, problem.type, problem.param, problem.retry_after)
    assert fields == told


LONG = "x" * 10_000


@pytest.mark.parametrize(
    ("problem", "repeated"),
    [
        (problems.not_served("GET", LONG), 200),
        (problems.unknown_coding(LONG), 40),
        (problems.damaged(LONG), 40),
        (problems.answer_not_found(LONG), 80),
        (problems.not_allowed(LONG), 200),
        (problems.no_such_model(LONG), 80),
        (problems.unknown_model(LONG, []), 200),
        (problems.unpriced("you", LONG), 200),
    ],
)
def test_of_a_clients_own_words_not_more_is_repeated_than_a_person_reads(
    problem: Problem, repeated: int
) -> None:
    assert f" {'x' * repeated}" in problem.message.replace("'", " ").replace("/", " ")
    assert "x" * (repeated + 1) not in problem.message


def test_a_screen_of_models_is_listed() -> None:
    known = [f"model-{number}" for number in range(60)]
    message = problems.unknown_model("m", known).message
    assert message.endswith("model-48, model-49.")
    assert problems.unknown_model("m", []).message.endswith("there are: none by name.")


def test_the_limit_of_a_body_is_told_in_mebibytes() -> None:
    assert "larger than 32 MiB" in problems.too_large(32 * 1024 * 1024).message


def test_head_is_not_listed_among_the_methods() -> None:
    problem = problems.method_not_allowed("PUT", ("GET", "HEAD", "DELETE"))
    assert problem.message == "Use GET or DELETE here, not PUT."


def test_what_an_upstream_says_of_a_key_is_passed_on_if_it_says_anything() -> None:
    silent, told = (problems.keys_refused("up", "sk-…", 401, words) for words in ("", "No funds."))
    assert silent.message == "Upstream 'up' rejected key sk-… (401): check its api_keys."
    assert told.message == f"{silent.message} It says: No funds."


def test_an_upstream_that_says_nothing_is_told_by_its_status() -> None:
    message = problems.told_by_upstream(503, "").message
    assert message == "The upstream answered with an error (503)."
    assert problems.told_by_upstream(503, "Tea.").message == "Tea."


def test_why_an_answer_is_none_begins_a_sentence() -> None:
    assert problems.malformed("it has no end").message == "It has no end."
