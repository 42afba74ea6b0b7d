"""A token of the doctor's is good with the installation's secret, and for minutes."""

import jwt
import pytest

from shared.doctor import STAND_IN, issue_token, read_token, stand_in
from shared.security.secrets import derive

SECRET = b"s" * 32
NOW = 1_800_000_000


def test_a_token_says_whom_its_holder_may_reach() -> None:
    found = read_token(issue_token(SECRET, now=NOW, upstream="a", key="k"), SECRET, now=NOW)

    assert found
    assert (found.upstream, found.key) == ("a", "k")
    mine = read_token(issue_token(SECRET, now=NOW), SECRET, now=NOW)
    assert mine
    assert mine.upstream == STAND_IN
    assert mine.jti != found.jti


def test_it_ends_by_itself() -> None:
    token = issue_token(SECRET, now=NOW)

    assert read_token(token, SECRET, now=NOW + 299)
    assert not read_token(token, SECRET, now=NOW + 300)


@pytest.mark.parametrize(
    "token",
    [
        "sk-key",
        "a.b.c",
        "é.é.é",
        "x." * 2 + "x" * 2000,
        issue_token(b"t" * 32, now=NOW),
        jwt.encode({"jti": "0" * 16, "exp": NOW + 9}, SECRET, algorithm="HS256"),
        jwt.encode({"jti": "x", "exp": NOW + 9}, derive(SECRET, "doctor"), algorithm="HS256"),
        jwt.encode({"jti": "0" * 16, "exp": NOW + 9}, "", algorithm="none"),
    ],
    ids=[
        "key",
        "no JWT",
        "no ASCII",
        "long",
        "other secret",
        "secret itself",
        "claims",
        "unsigned",
    ],
)
def test_anything_else_is_none(token: str) -> None:
    assert read_token(token, SECRET, now=NOW) is None


def test_the_stand_in_is_at_the_sidecar() -> None:
    assert stand_in("127.0.0.1:8788").request_path == "/doctor/v1/chat/completions"
