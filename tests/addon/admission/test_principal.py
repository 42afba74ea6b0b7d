"""A credential is a known principal's, or it is refused with a reason."""

from collections.abc import Mapping

import pytest

from addon.admission.principal import credentials, identify, passthrough_principal, user_principal
from addon.formats.neutral.problem import Problem
from shared.config.schema import Upstream
from shared.model import Principal, User, VirtualKey
from shared.security import keys
from tests.addon.callers import user, virtual_key

NOW = 1_000_000
KEY = keys.mint_key()
TOKEN = "header.claims.signature"
CALL_TOKEN = "header.call.signature"
THEIRS = "tp-an-upstream-key-1234"


def upstreams(*api_keys: str) -> tuple[Upstream, ...]:
    return tuple(
        Upstream(
            name=f"up{at}", base_url="https://example.com", api_keys=(f"other-{at}-0123456789", key)
        )
        for at, key in enumerate(api_keys)
    )


def shown(
    *texts: str,
    key: VirtualKey | None = None,
    of: User | None = None,
    api_keys: tuple[str, ...] = (THEIRS,),
) -> Principal | Problem:
    """What becomes of credentials; KEY is the known virtual key, TOKEN the known session and
    CALL_TOKEN one of hers for that key.
    """
    found = (key or virtual_key(), of or user())
    return identify(
        texts,
        find_key=lambda digest: found if digest == keys.digest(KEY) else None,
        read_token={TOKEN: (found[1], None), CALL_TOKEN: found[::-1]}.get,
        upstreams=upstreams(*api_keys),
        now_ms=NOW,
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"authorization": "Bearer abc"}, ("abc",), id="bearer"),
        pytest.param({"authorization": "bEARER   abc  "}, ("abc",), id="any case"),
        pytest.param({"api-key": " abc "}, ("abc",), id="Azure"),
        pytest.param({"x-api-key": "abc"}, ("abc",), id="Anthropic"),
        pytest.param(
            {"authorization": "Bearer a", "api-key": "b", "x-api-key": "c"},
            ("a", "b", "c"),
            id="bearer first",
        ),
        pytest.param({"api-key": "b", "x-api-key": "c"}, ("b", "c"), id="Azure second"),
        pytest.param({"authorization": "Bearer ", "x-api-key": "c"}, ("c",), id="empty bearer"),
        pytest.param({"authorization": "Basic YTpi", "x-api-key": "c"}, ("c",), id="basic is none"),
        pytest.param({"authorization": "Basic YTpi"}, (), id="basic alone"),
        pytest.param({"authorization": "abc"}, (), id="no scheme"),
        pytest.param({"authorization": "Bearer a, Bearer b"}, ("a, Bearer b",), id="two at once"),
        pytest.param({"authorization": "", "api-key": "", "x-api-key": ""}, (), id="empty"),
        pytest.param({}, (), id="none"),
        pytest.param({"authorization": "Bearer a", "x-api-key": "a"}, ("a",), id="the same twice"),
    ],
)
def test_a_credential_is_found_where_clients_put_it(
    headers: Mapping[str, str], expected: tuple[str, ...]
) -> None:
    assert credentials(headers) == expected


@pytest.mark.parametrize("texts", [("sk-placeholder", KEY), (KEY, "dummy"), ("a", "b", KEY)])
def test_a_good_key_counts_whatever_stands_beside_it(texts: tuple[str, ...]) -> None:
    assert shown(*texts) == shown(KEY)


def test_none_of_several_bad_keys_is_let_in() -> None:
    problem = shown("sk-placeholder", "sk-another-one")
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code) == (401, "invalid_api_key")
    assert problem == shown("sk-placeholder")


def test_a_known_key_that_may_not_be_used_says_why_beside_a_placeholder() -> None:
    revoked = virtual_key(revoked_at=1)
    assert shown("sk-placeholder", KEY, key=revoked) == shown(KEY, key=revoked)


def test_a_virtual_key_is_its_user() -> None:
    key = virtual_key(suffix=keys.suffix(KEY))
    assert shown(KEY, key=key) == Principal(
        id="user:7", name="ada", key_suffix=KEY[-4:], user=user(), key=key
    )


def test_a_session_is_its_user() -> None:
    assert shown(TOKEN) == Principal(id="user:7", name="ada", key_suffix="jwt", user=user())


def test_a_call_token_is_its_user_within_the_limits_of_its_key() -> None:
    assert shown(CALL_TOKEN) == shown(KEY)
    for unusable in (virtual_key(revoked_at=1), virtual_key(expires_at=NOW)):
        assert shown(CALL_TOKEN, key=unusable) == shown(KEY, key=unusable)
        assert isinstance(shown(CALL_TOKEN, key=unusable), Problem)


def test_an_upstreams_own_key_is_passed_through_to_that_upstream_only() -> None:
    found = shown("second-key-0123456789", api_keys=(THEIRS, "second-key-0123456789"))
    assert isinstance(found, Principal)
    assert (found.upstream, found.upstream_key, found.user) == (
        "up1",
        "second-key-0123456789",
        None,
    )
    assert found.name == "passthrough"
    assert "second-key" not in found.id


def test_callers_with_different_upstream_keys_are_different_principals() -> None:
    first, second = (
        shown("a" * 20, api_keys=("a" * 20, "b" * 20)),
        shown("b" * 20, api_keys=("a" * 20, "b" * 20)),
    )
    assert isinstance(first, Principal)
    assert isinstance(second, Principal)
    assert first.id != second.id


def test_a_key_of_two_upstreams_is_the_first_ones() -> None:
    found = passthrough_principal(THEIRS, upstreams(THEIRS, THEIRS))
    assert found is not None
    assert found.upstream == "up0"


@pytest.mark.parametrize(
    ("key", "of", "words"),
    [
        pytest.param(virtual_key(revoked_at=1), user(), "revoked", id="revoked"),
        pytest.param(virtual_key(expires_at=NOW), user(), "expired", id="expired"),
        pytest.param(virtual_key(scope="admin"), user(), "management API only", id="admin scope"),
        pytest.param(virtual_key(), user(disabled=True), "disabled", id="disabled"),
        pytest.param(
            virtual_key(),
            user(must_change_password=True),
            "well-known password",
            id="well-known password",
        ),
    ],
)
def test_a_known_key_that_may_not_call_is_told_why(key: VirtualKey, of: User, words: str) -> None:
    problem = shown(KEY, key=key, of=of)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code) == (401, "invalid_api_key")
    assert words in problem.message
    assert KEY not in problem.message


def test_a_key_that_has_not_expired_yet_may_call() -> None:
    assert isinstance(shown(KEY, key=virtual_key(expires_at=NOW + 1)), Principal)


def test_a_session_of_a_disabled_account_may_not_call() -> None:
    problem = user_principal(user(disabled=True))
    assert isinstance(problem, Problem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-unknown-key-0123456789",
        KEY[:-1],
        KEY + "x",
        KEY.upper(),
        THEIRS[:-1],
        THEIRS.upper(),
        "a.b.c",
        "..",
        "x" * 100_000,
        "sk-é\udcff0123456789",
        "' OR 1=1 --",
        "Bearer",
        "up0",
    ],
    ids=[
        "empty",
        "unknown key",
        "key cut short",
        "key and more",
        "key in capitals",
        "upstream key cut short",
        "upstream key in capitals",
        "token",
        "dots",
        "long",
        "no text",
        "SQL",
        "scheme",
        "upstream name",
    ],
)
def test_an_unknown_credential_is_refused_without_being_repeated(text: str) -> None:
    problem = shown(text)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code, problem.type) == (
        401,
        "invalid_api_key",
        "authentication_error",
    )
    assert len(text) < 5 or text not in problem.message


@pytest.mark.parametrize("key", ["", THEIRS])
def test_without_upstream_keys_nothing_is_passed_through(key: str) -> None:
    assert passthrough_principal(key, ()) is None
    assert passthrough_principal(key, upstreams("another-key-0123456789")) is None


def test_who_shows_nothing_is_told_to_send_a_key() -> None:
    problem = shown()
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code) == (401, "invalid_api_key")
    assert problem.message.startswith("No API key was sent")
