"""Where the cache knew much less than before, and why that may be."""

from typing import Any

import msgspec
import pytest

from manage_api.domains.requests.drops import Step, steps
from manage_api.domains.requests.schemas import RequestView
from shared.store.ledger import Entry

HOUR = 3_600_000


def turns(*rules: str) -> list[dict[str, Any]]:
    return [{"at": 2 * at, "rule": rule, "why": ""} for at, rule in enumerate(rules)]


def view(
    prompt: int, cached: int, *, details: dict[str, Any] | None = None, **members: Any
) -> RequestView:
    usual = {
        "at": 0,
        "upstream": "main",
        "upstream_key": "wxyz",
        "upstream_model": "m",
        "status": 200,
    }
    text = msgspec.json.encode(details or {}).decode()
    entry = Entry(
        exchange="x", prompt_tokens=prompt, cached_tokens=cached, details=text, **usual | members
    )
    return RequestView.of(1, entry)


def second(before: RequestView, now: RequestView) -> Step:
    """The later one of two requests."""
    return steps([before, now])[1]


@pytest.mark.parametrize(
    ("before", "now", "dropped"),
    [
        ((100, 90), (120, 100), False),
        ((100, 90), (200, 89), True),
        ((100, 90), (200, 90), False),
        ((100, 90), (90, 0), False),
        ((100, 90), (100, 0), False),
        ((100, 0), (200, 0), False),
        ((100, 90), (0, 0), False),
    ],
    ids=["kept", "under half", "half", "shorter", "as long", "never any", "refused"],
)
def test_a_drop_is_less_than_half_the_share_of_a_longer_prompt(
    before: tuple[int, int], now: tuple[int, int], dropped: bool
) -> None:
    assert second(view(*before), view(*now)).dropped is dropped


def test_the_first_request_drops_from_nothing() -> None:
    assert [step.dropped for step in steps([view(100, 0)])] == [False]
    assert steps([]) == []


def test_what_nobody_counted_is_compared_with_none() -> None:
    guessed, refused = view(150, 0, estimated=True), view(0, 0, status=429)
    made = steps([view(100, 90), guessed, refused, view(200, 10)])
    assert [step.dropped for step in made] == [False, False, False, True]


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ({}, {"upstream": "spare", "upstream_key": "else"}, "a different upstream: main before"),
        ({}, {"upstream_key": "else"}, "a different key of the upstream, with its own cache"),
        ({}, {"upstream_model": "n"}, "a different model: m before"),
        ({}, {"at": HOUR}, "a long pause, after which upstreams discard cached prompts"),
        (
            {"details": {"turns": turns("missing", "id", "missing")}},
            {"details": {"turns": turns("anchor", "id", "chain", "missing")}},
            "2 turns newly restored",
        ),
        (
            {"details": {"turns": turns("id", "id")}},
            {"details": {"turns": turns("missing", "id", "id")}},
            "1 turn newly missing",
        ),
        (
            {"details": {"policy": "deepseek-v4: empty"}},
            {"details": {"policy": "deepseek-v4: off"}, "missing": 1},
            (
                "a different policy for turns that are not found: deepseek-v4: off after "
                "deepseek-v4: empty"
            ),
        ),
        (
            {},
            {"details": {"tries": [{"outcome": "400"}, {"outcome": "200"}]}},
            "the upstream rejected the first body and got a repaired one",
        ),
    ],
    ids=["upstream", "key", "model", "pause", "restored", "lost", "policy", "repair"],
)
def test_the_likely_reason_is_told(
    before: dict[str, Any], now: dict[str, Any], reason: str
) -> None:
    assert second(view(100, 90, **before), view(200, 0, **now)).reasons == (reason,)


def test_turns_that_are_not_listed_one_by_one_were_found() -> None:
    """A long conversation's request lists its misses and the latest turns."""
    missing, found = turns(*["missing"] * 3), turns(*["id"] * 90)[80:]
    one = view(100, 90, details={"turns": [missing[0], *found]})
    two = view(200, 0, details={"turns": [missing[1], missing[2], *found]})
    assert second(one, two).reasons == ("1 turn newly restored", "2 turns newly missing")


def test_an_attempt_elsewhere_is_no_repair() -> None:
    tries = [{"key": "…aaaa", "outcome": "429"}, {"key": "…bbbb", "outcome": "200"}]
    assert second(view(100, 90), view(200, 0, details={"tries": tries})).reasons == ()


def test_a_drop_without_a_reason_tells_none() -> None:
    assert second(view(100, 90), view(200, 0)) == Step(request=view(200, 0), dropped=True)


def test_what_did_not_drop_needs_no_reason() -> None:
    assert second(view(100, 90), view(120, 100, upstream_model="n")).reasons == ()


def test_another_policy_for_turns_does_nothing_where_all_are_found() -> None:
    first, then = (
        view(100, 90, details={"policy": "a: empty"}),
        view(200, 0, details={"policy": "a: off"}),
    )
    assert second(first, then).reasons == ()
