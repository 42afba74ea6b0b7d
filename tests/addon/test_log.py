"""The log has one line for each request, which says what is known of it."""

from typing import Any

import pytest

from addon.log import RequestLine
from shared.security.keys import mint_key


def line(**more: Any) -> RequestLine:
    given: dict[str, Any] = {
        "client": "9.9.9.9",
        "user_agent": "Cursor/1.0",
        "method": "POST",
        "path": "/v1/x",
    }
    return RequestLine(**given | {"status": "200", "seconds": 1.23456} | more)


def test_a_line_says_everything_that_is_known() -> None:
    full = line(
        principal="ada",
        key_suffix="abcd",
        model="gpt-5",
        upstream_model="deepseek-v4-pro",
        upstream="deep",
        upstream_key="…wxyz",
        tries=("401", "200"),
        restored={"id": 3, "missing": 1},
        first_byte=0.5,
        tokens=(100, 64, 7),
        note="noted",
    )
    assert full.text() == (
        "200 POST /v1/x 1.235s ada …abcd gpt-5 → deepseek-v4-pro @deep …wxyz "
        "tries=401,200 turns=id:3,missing:1 "
        'ttfb=0.500s tokens=100+7 cached=64 9.9.9.9 "Cursor/1.0" noted'
    )


@pytest.mark.parametrize(("step", "said"), [("off", "thinking=off"), ("trim", "history=shortened")])
def test_a_line_says_that_the_whole_request_was_changed_for_a_lost_turn(
    step: str, said: str
) -> None:
    assert f" turns=missing:1 {said} " in line(restored={"missing": 1}, step=step).text()


def test_a_line_says_no_more_than_is_known() -> None:
    assert line().text() == '200 POST /v1/x 1.235s 9.9.9.9 "Cursor/1.0"'
    same = line(model="m", upstream_model="m", upstream="up", tokens=(1, 0, 2), tries=("200",))
    assert same.text() == '200 POST /v1/x 1.235s m @up tries=200 tokens=1+2 9.9.9.9 "Cursor/1.0"'


def test_a_line_stays_one_line_of_bounded_length_without_secrets() -> None:
    key = mint_key()
    text = line(
        method="X" * 60_000, user_agent=f"a\n\x1b[31m{key}" + "y" * 60_000, path="/\u2028"
    ).text()
    assert key not in text
    assert text.isprintable()
    assert len(text) < 400
