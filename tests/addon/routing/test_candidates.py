"""Candidates are tried upstream by upstream, resting keys last of all."""

from addon.routing.candidates import MAX_ATTEMPTS, Candidate, candidates
from addon.routing.keyring import Keyring
from shared.config.schema import Upstream
from shared.model import Principal
from shared.routes import Route

USER = Principal(id="user:1", name="ada", key_suffix="abcd")


def upstream(name: str, *keys: str) -> Upstream:
    return Upstream(name=name, base_url="https://example.com", api_keys=keys)


ONE, TWO = upstream("one", "a", "b"), upstream("two", "c")
ROUTES = [Route(ONE, "m1"), Route(TWO, "m2")]


def passthrough(name: str, key: str) -> Principal:
    return Principal(
        id="upstream:x", name="passthrough", key_suffix="", upstream=name, upstream_key=key
    )


def order(keyring: Keyring, now: float = 0, routes: list[Route] = ROUTES) -> list[str]:
    return [one.key for one in candidates(routes, keyring, USER, now)]


def test_every_key_of_every_upstream_is_tried_in_the_configured_order() -> None:
    assert candidates(ROUTES, Keyring(), USER, 0) == [
        Candidate(ONE, "a", "m1"),
        Candidate(ONE, "b", "m1"),
        Candidate(TWO, "c", "m2"),
    ]


def test_only_the_keys_of_an_upstream_take_turns_not_the_upstreams() -> None:
    keyring = Keyring()
    assert [order(keyring) for _ in range(3)] == [["a", "b", "c"], ["b", "a", "c"], ["a", "b", "c"]]


def test_a_resting_key_comes_after_all_other_upstreams() -> None:
    keyring = Keyring()
    keyring.failed(ONE, "a", 10)
    assert order(keyring) == ["b", "c", "a"]
    keyring.failed(ONE, "b", 10)
    assert order(keyring)[0] == "c"
    keyring.failed(TWO, "c", 10)
    assert order(keyring)[-1] == "c"
    assert order(keyring, now=10)[-1] == "c"


def test_attempts_are_bounded_and_resting_keys_are_the_ones_left_out() -> None:
    keyring, big = Keyring(), upstream("big", *(f"k{i}" for i in range(MAX_ATTEMPTS + 5)))
    for i in range(5):
        keyring.failed(big, f"k{i}", 10)
    assert set(order(keyring, routes=[Route(big, "m")])) == {
        f"k{i}" for i in range(5, MAX_ATTEMPTS + 5)
    }


def test_a_caller_with_an_upstreams_key_reaches_that_upstream_with_that_key_only() -> None:
    keyring = Keyring()
    keyring.failed(ONE, "b", 10)
    assert candidates(ROUTES, keyring, passthrough("one", "b"), 0) == [Candidate(ONE, "b", "m1")]
    assert candidates(ROUTES, keyring, passthrough("elsewhere", "b"), 0) == []
    assert order(keyring)[0] == "a", "it takes no turn"


def test_without_a_route_there_is_no_candidate() -> None:
    assert candidates([], Keyring(), USER, 0) == []
