"""Keys take turns; one that failed rests and is the last resort."""

from collections import Counter

import pytest

from addon.routing.keyring import Keyring
from shared.config.schema import Upstream


def upstream(*keys: str, name: str = "up") -> Upstream:
    return Upstream(name=name, base_url="https://example.com", api_keys=keys)


THREE = upstream("a", "b", "c")


def test_keys_take_turns() -> None:
    keyring = Keyring()
    assert [keyring.order(THREE, 0) for _ in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_upstreams_take_turns_by_themselves() -> None:
    keyring, other = Keyring(), upstream("x", "y", name="other")
    assert [keyring.order(THREE, 0)[0], keyring.order(other, 0)[0], keyring.order(THREE, 0)[0]] == [
        "a",
        "x",
        "b",
    ]


def test_an_upstream_without_keys_is_asked_without_one() -> None:
    assert Keyring().order(upstream(), 0) == [""]


def test_a_key_that_failed_is_last_until_it_has_rested() -> None:
    keyring = Keyring()
    keyring.failed(THREE, "a", 10.0)
    assert [keyring.order(THREE, now)[-1] for now in (0.0, 5.0, 9.9)] == ["a", "a", "a"]
    assert "a" in {keyring.order(THREE, 10.0)[0] for _ in range(3)}


def test_a_key_that_worked_rests_no_longer() -> None:
    keyring = Keyring()
    keyring.failed(THREE, "a", 10.0)
    keyring.worked(THREE, "a")
    keyring.worked(THREE, "b")
    assert not keyring.rests(THREE, "a", 0)


def test_the_same_key_rests_at_one_upstream_only() -> None:
    keyring = Keyring()
    keyring.failed(THREE, "a", 10.0)
    assert keyring.rests(THREE, "a", 0)
    assert not keyring.rests(upstream("a", name="other"), "a", 0)


def test_what_other_nodes_have_found_of_a_key_holds_here() -> None:
    keyring = Keyring()
    keyring.failed(THREE, "c", 20.0)
    keyring.take_over({("up", "a"): 10.0, ("up", "c"): 5.0})
    assert [key for key in "abc" if keyring.rests(THREE, key, 9.0)] == ["a", "c"]
    keyring.take_over({("up", "b"): 10.0})
    assert [key for key in "abc" if keyring.rests(THREE, key, 9.0)] == ["b"]
    assert keyring.worked(THREE, "b")


def test_what_is_not_written_yet_is_not_taken_for_over() -> None:
    keyring = Keyring()
    keyring.failed(THREE, "a", 10.0)
    keyring.take_over({})
    assert keyring.rests(THREE, "a", 0)


@pytest.mark.parametrize("resting", ["", "a", "b", "c", "ab", "bc", "ca", "abc"])
def test_the_load_of_a_resting_key_is_shared_fairly(resting: str) -> None:
    keyring = Keyring()
    for key in resting:
        keyring.failed(THREE, key, 10.0)
    first = Counter(keyring.order(THREE, 0)[0] for _ in range(60))
    fit = set("abc") - set(resting) or set("abc")
    assert first == dict.fromkeys(fit, 60 // len(fit))
