"""A request body is opened once, and refused in words when it can't be."""

import pytest

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import Hosted, model_of, opened, unsupported_tool


def test_a_body_is_opened_whatever_precedes_it() -> None:
    assert opened(b'\xef\xbb\xbf {"model":"m","x":"\\ud83d"}') == {"model": "m", "x": "\ud83d"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"{",
        b'{"model":"\xff"}',
        b'{"input":1,"input":2}',
        b'{"model":"m","Model":"n"}',
    ],
    ids=repr,
)
def test_a_body_that_is_no_single_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        opened(body)
    assert (refused.value.problem.status, refused.value.problem.code) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("named", "code"),
    [
        (None, "missing_model"),
        ("", "missing_model"),
        (7, "missing_model"),
        ("a\n", "invalid_model"),
        ("m" * 257, "invalid_model"),
    ],
)
def test_a_model_without_a_proper_name_is_refused(named: object, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        model_of(named)
    assert refused.value.problem.code == code


def test_a_tool_nobody_runs_is_named() -> None:
    assert "'web_search'" in str(unsupported_tool(Hosted("responses", "web_search", {})))
