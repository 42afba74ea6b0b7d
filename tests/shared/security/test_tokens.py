"""A session token says who signed in, until it ends, and can't be forged."""

import base64

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import User
from shared.security.tokens import (
    Claims,
    InvalidToken,
    issue_call_token,
    issue_token,
    read_token,
)

SECRET = bytes(range(32))
NOW = 1_000_000
USER = User(
    id=7,
    username="ada",
    role="user",
    disabled=False,
    epoch=3,
    must_change_password=False,
    created_at=0,
)
CLAIMS = {"sub": "7", "epoch": 3, "iat": NOW, "exp": NOW + 60, "jti": "1"}


def signed(claims: dict[str, object], algorithm: str = "HS256", secret: bytes = SECRET) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def test_a_token_says_whose_it_is_and_under_which_epoch() -> None:
    token = issue_token(USER, SECRET, now=NOW)
    claims = read_token(token, SECRET, now=NOW)
    assert claims == Claims(user_id=7, epoch=3, jti=claims.jti, expires_at=(NOW + 43_200) * 1000)
    assert len(claims.jti) == 32


def test_a_token_carries_the_agreed_claims_and_no_two_are_alike() -> None:
    tokens = [issue_token(USER, SECRET, now=NOW) for _ in range(2)]
    first, second = (jwt.decode(token, options={"verify_signature": False}) for token in tokens)
    assert {name: first[name] for name in ("sub", "epoch", "iat", "exp")} == {
        "sub": "7",
        "epoch": 3,
        "iat": NOW,
        "exp": NOW + 43_200,
    }
    assert first["jti"] != second["jti"]


def test_a_token_ends_by_the_callers_clock() -> None:
    token = issue_token(USER, SECRET, now=NOW, lifetime=60)
    assert read_token(token, SECRET, now=NOW + 59)
    with pytest.raises(InvalidToken, match="The session has ended"):
        read_token(token, SECRET, now=NOW + 60)


def test_a_call_token_says_that_it_is_one_and_is_soon_over() -> None:
    session = read_token(issue_token(USER, SECRET, now=NOW), SECRET, now=NOW)
    claims = [
        read_token(
            issue_call_token(USER, SECRET, now=NOW, key_id=key_id, session=session), SECRET, now=NOW
        )
        for key_id in (None, 5)
    ]
    assert session.key_id is None
    assert [each.key_id for each in claims] == [0, 5]
    assert {(each.jti, each.expires_at) for each in claims} == {(session.jti, (NOW + 600) * 1000)}


def test_a_call_token_lasts_no_longer_than_its_session() -> None:
    session = read_token(issue_token(USER, SECRET, now=NOW, lifetime=60), SECRET, now=NOW)
    token = issue_call_token(USER, SECRET, now=NOW + 50, key_id=None, session=session)
    assert read_token(token, SECRET, now=NOW + 59)
    with pytest.raises(InvalidToken, match="ended"):
        read_token(token, SECRET, now=NOW + 60)


def unsigned(claims: dict[str, object]) -> str:
    parts = (msgspec.json.encode(part) for part in ({"alg": "none", "typ": "JWT"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(CLAIMS, secret=bytes(32)), id="other-secret"),
        pytest.param(
            signed(CLAIMS, algorithm="HS384", secret=SECRET + SECRET),
            id="other-algorithm-and-secret",
        ),
        pytest.param(unsigned(CLAIMS), id="unsigned"),
        pytest.param(signed(CLAIMS)[:-2] + "AA", id="changed-signature"),
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="no-token"),
        pytest.param("\ud800.\ud800.\ud800", id="surrogates"),
        pytest.param(signed(CLAIMS | {"pad": "x" * 5000}), id="huge"),
        *(
            pytest.param(signed({k: v for k, v in CLAIMS.items() if k != name}), id=f"no-{name}")
            for name in CLAIMS
        ),
        pytest.param(signed(CLAIMS | {"sub": "0"}), id="sub-zero"),
        pytest.param(signed(CLAIMS | {"sub": "7\n"}), id="sub-with-newline"),
        pytest.param(signed(CLAIMS | {"sub": "9" * 30}), id="sub-beyond-64-bits"),
        pytest.param(signed(CLAIMS | {"epoch": True}), id="epoch-not-a-number"),
        pytest.param(signed(CLAIMS | {"exp": "never"}), id="exp-not-a-number"),
        pytest.param(signed(CLAIMS | {"exp": 1e300}), id="exp-not-an-integer"),
        pytest.param(signed(CLAIMS | {"exp": 2**60}), id="exp-beyond-a-database"),
        pytest.param(signed(CLAIMS | {"epoch": 10**30}), id="epoch-beyond-64-bits"),
        pytest.param(signed(CLAIMS | {"jti": "\ud800"}), id="jti-not-text"),
        pytest.param(signed(CLAIMS | {"jti": "x" * 65}), id="jti-long"),
        pytest.param(signed(CLAIMS | {"key": -1}), id="key-negative"),
        pytest.param(signed(CLAIMS | {"key": "1"}), id="key-not-a-number"),
    ],
)
def test_what_is_not_our_token_is_refused_in_words(token: str) -> None:
    with pytest.raises(InvalidToken, match="The session token is invalid: sign in again"):
        read_token(token, SECRET, now=NOW)


def test_only_hs256_is_accepted() -> None:
    long = SECRET + SECRET
    assert read_token(signed(CLAIMS, secret=long), long, now=NOW)
    with pytest.raises(InvalidToken):
        read_token(signed(CLAIMS, algorithm="HS512", secret=long), long, now=NOW)


def test_an_empty_secret_neither_signs_nor_verifies() -> None:
    with pytest.raises(ValueError, match="empty"):
        issue_token(USER, b"", now=NOW)
    with pytest.raises(InvalidToken):
        read_token(signed(CLAIMS), "", now=NOW)


@given(st.text() | st.lists(st.text(alphabet="abcAZ019_-="), min_size=3, max_size=3).map(".".join))
def test_no_text_breaks_the_reader(token: str) -> None:
    with pytest.raises(InvalidToken):
        read_token(token, SECRET, now=NOW)
