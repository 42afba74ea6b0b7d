"""One conversation in every client's format over every upstream's: the same words, the same
calls, nothing refused.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.trio import CLIENTS, UPSTREAMS, Trio
from tests.support.client import TOOLS
from tests.support.provider import Refusal
from tests.support.talks import Result, Said, Talk
from tests.support.turns import Json, Turn, TurnMaker

TURNS = 40
MODELS = {"chat": "deepseek-v4-pro", "responses": "gpt-high", "messages": "think-adaptive"}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = f"data:image/png;base64,{PIXEL}"
BUSY, WRONG = 10, 20
"""Turns before which the upstream is busy once, and before which it refuses what it got."""

FAILED = "No such file: a.py"


@pytest.fixture(scope="module")
def shared_trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    with ExitStack() as stack:
        yield Trio(stack, tmp_path_factory.mktemp("trio"))


@pytest.fixture
def trio(shared_trio: Trio) -> Trio:
    shared_trio.reset()
    return shared_trio


class Played(TurnMaker):
    """Gives the same turns to everybody, one after the other."""

    def __init__(self) -> None:
        super().__init__(Random(7))
        self.turns: list[Turn] = [super(Played, self).make({"tools": TOOLS}) for _ in range(TURNS)]
        self._next = iter(self.turns)

    def make(self, request: Json) -> Turn:
        return next(self._next)


def test_the_played_turns_hold_what_is_to_be_shown() -> None:
    turns = Played().turns
    assert any(len(turn.calls) > 1 for turn in turns)
    assert any(turn.text and turn.calls for turn in turns)
    assert sum(not turn.calls for turn in turns) > 4


@pytest.mark.parametrize("upstream", UPSTREAMS, ids=[f"over {upstream}" for upstream in UPSTREAMS])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_is_the_same_in_every_format(trio: Trio, client: str, upstream: str) -> None:
    asked = trio.upstream(upstream)
    asked.maker = played = Played()
    talk = trio.talk(client, MODELS[upstream])
    talk.say("Fix the bug.", PICTURE)
    for number, turn in enumerate(played.turns):
        if number in REFUSALS:
            asked.script(REFUSALS[number])
            see_refusal(talk, REFUSALS[number])
        said = talk.ask(streamed=bool(number % 2))
        assert shown(said) == (
            turn.text,
            [(call.name, json.loads(call.arguments)) for call in turn.calls],
        )
        go_on(talk, said, number)
    assert trio.rejections == []
    assert trio.thoughts(upstream) == TURNS - 1
    last = json.dumps(trio.bodies(upstream)[-1])
    assert last.count(PIXEL) == 1 + sum(not turn.calls for turn in played.turns[:-1])
    assert last.count(FAILED) == 1
    assert last.count('"is_error": true') == (client == upstream == "messages")


REFUSALS = {
    BUSY: Refusal(429, "Slow down, please.", (("retry-after", "0"),)),
    WRONG: Refusal(400, "The prompt is too long by one token."),
}


def see_refusal(talk: Talk, refusal: Refusal) -> None:
    """The client is told in its own words; streamed or not is all the same then."""
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        talk.ask(streamed=refusal.status == 429)
    error: Any = caught.value
    assert error.status_code == refusal.status
    body: Any = error.body
    if isinstance(error, anthropic.APIStatusError):
        kind = {400: "invalid_request_error", 429: "rate_limit_error"}[refusal.status]
        assert (body["type"], body["error"]) == (
            "error",
            {"type": kind, "message": refusal.message},
        )
    else:
        assert body["message"] == refusal.message


def shown(said: Said) -> tuple[str, list[tuple[str, Json]]]:
    return said.text, [(call.name, call.arguments) for call in said.calls]


def go_on(talk: Talk, said: Said, number: int) -> None:
    """Results, the first of all a failure; or the user's next words, with a picture."""
    if not said.calls:
        talk.say(f"Go on, {number}.", PICTURE)
        return
    fails = number == FIRST_CALL
    talk.answer([Result(call, FAILED if fails else "fine", failed=fails) for call in said.calls])


FIRST_CALL = next(number for number, turn in enumerate(Played().turns) if len(turn.calls) == 1)
"""The first turn with one call."""
