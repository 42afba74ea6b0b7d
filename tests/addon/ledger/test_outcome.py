"""An exchange at its end says what came of it."""

import pytest
from msgspec.structs import replace

from addon.formats.neutral.turn import Turn
from addon.ledger.outcome import Outcome
from tests.addon.desk import Desk
from tests.addon.ledger.ended import CALLER, CALLING
from tests.addon.recall.chat import Json


@pytest.fixture
def outcome(desk: Desk) -> Outcome:
    return desk.open(principal=CALLER).outcome()


ENDED, CUT = Turn(text="a", finish_reason="stop"), Turn(text="b")


@pytest.mark.parametrize(
    ("turns", "whole"), [({0: ENDED}, True), ({0: ENDED, 1: CUT}, False), ({}, True)]
)
def test_an_answer_is_whole_when_all_of_its_turns_are(
    outcome: Outcome, turns: dict[int, Turn], whole: bool
) -> None:
    assert replace(outcome, turns=turns).whole == whole


def test_each_message_has_a_line_that_says_what_it_holds_and_how_it_was_found(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING, principal=CALLER)
    messages.append({"role": "assistant", "content": "Said elsewhere."})
    lines = list(desk.open(messages, principal=CALLER).outcome().summary())
    assert lines[0] == "[0] user: hi"
    assert lines[1].startswith("[1] assistant calls=Read turn=id")
    assert lines[2].startswith("[2] tool: ") or lines[2].startswith("[2] user: ")
    assert lines[3].startswith("[3] assistant turn=missing ")
    assert lines[3].endswith(": Said elsewhere.")


def test_what_was_not_understood_has_no_lines(outcome: Outcome) -> None:
    assert list(replace(outcome, messages=None).summary()) == []
    unrestored = replace(outcome, restoration=None)
    assert list(unrestored.summary()) == ["[0] user: hi"]


def test_what_never_went_out_has_no_policy_and_no_tries(desk: Desk) -> None:
    outcome = desk.intake(principal=CALLER).outcome()
    assert (outcome.policy, outcome.error_class, outcome.trouble) == ("", "", "")
    assert (outcome.tries, outcome.sent_bytes, outcome.notes) == ((), 0, ())
