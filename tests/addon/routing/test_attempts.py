"""A request's candidates are tried in their order, and what came of each is kept."""

import pytest

from addon.routing.attempts import Attempts
from addon.routing.candidates import Candidate
from addon.routing.keyring import Keyring
from shared.config.schema import Upstream

UP = Upstream(name="up", base_url="https://up.example", api_keys=("sk-1", "sk-2", "sk-3"))
ONE, TWO, THREE = (Candidate(UP, key, "m") for key in UP.api_keys)


@pytest.fixture
def keyring() -> Keyring:
    return Keyring()


def test_each_candidate_is_tried_once_until_none_is_left(keyring: Keyring) -> None:
    attempts = Attempts([ONE, TWO], keyring)
    seen = []
    while attempts.advance():
        seen.append(attempts.candidate)
        attempts.end("500")
    assert seen == [ONE, TWO]
    assert [(one.candidate, one.outcome) for one in attempts.tried] == [(ONE, "500"), (TWO, "500")]


def test_a_candidate_that_is_tried_once_more_stands_there_twice(keyring: Keyring) -> None:
    attempts = Attempts([ONE, TWO], keyring)
    attempts.advance()
    attempts.end("400")
    attempts.repeat()
    assert [(one.candidate, one.outcome) for one in attempts.tried] == [(ONE, "400"), (ONE, "")]


def test_a_candidate_that_was_not_tried_after_all_leaves_no_trace(keyring: Keyring) -> None:
    attempts = Attempts([ONE, TWO, THREE], keyring)
    attempts.advance()
    attempts.advance()
    attempts.withdraw()
    assert attempts.candidate == ONE
    assert attempts.advance()
    assert [one.candidate for one in attempts.tried] == [ONE, THREE]


def test_a_key_rests_until_its_time_or_until_it_works(keyring: Keyring) -> None:
    attempts = Attempts([ONE], keyring)
    attempts.advance()
    attempts.rest(until=20.0)
    assert keyring.rests(UP, ONE.key, 19.0)
    assert not keyring.rests(UP, ONE.key, 20.0)
    assert attempts.succeed(), "it had rested"
    assert not attempts.succeed(), "it works"
    assert not keyring.rests(UP, ONE.key, 19.0)
    assert attempts.tried[-1].outcome == "200"
