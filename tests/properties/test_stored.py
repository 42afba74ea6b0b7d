"""A conversation that is gone on from answer by answer is the one that is sent whole."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.exchange.stored_answers import StoredAnswers
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Message, Turn
from addon.formats.responses.items import items_of
from addon.formats.responses.request import decode
from addon.formats.responses.writer import encode
from addon.formats.wire.splice import scalar_text, value
from shared.clock import SystemClock
from tests.properties.test_formats_answers import answers, minted
from tests.properties.test_formats_neutral import conversations
from tests.support.database import open_database
from tests.support.grammar import own_state

type Json = dict[str, Any]

INCLUDE = ["reasoning.encrypted_content"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredAnswers]:
    engine = open_database(tmp_path_factory.mktemp("stored") / "adapter.db")
    yield StoredAnswers(engine, SystemClock(), max_age_days=1)
    engine.close()


@st.composite
def exchanges(draw: st.DrawFn) -> list[tuple[list[Json] | str, Turn, bool]]:
    """What is asked and answered each time, and whether the client carries the state of
    reasoning.
    """
    asked = st.one_of(conversations().map(lambda messages: list(items_of(messages))), st.just("hi"))
    return draw(st.lists(st.tuples(asked, answers(), st.booleans()), min_size=1, max_size=4))


class Talk:
    """A client that sends what is new, and holds all of it besides."""

    def __init__(self, stored: StoredAnswers, names: Iterator[str]) -> None:
        self._stored = stored
        self._names = names
        self.previous = ""
        self.items: list[Json] = []

    def ask(self, given: list[Json] | str, turn: Turn, *, carries: bool) -> list[Message]:
        """One exchange; the messages that the upstream gets for it."""
        body = {"model": "m", "input": given, "previous_response_id": self.previous}
        body |= {"include": INCLUDE} if carries else {}
        request = decode(scalar_text(body), past=self._stored.past("user:1"))
        head = Head(next(self._names), 7, "m", self._keep)
        told = value(encode(turn, None, request, head, mint=minted, seal=own_state))
        self.items += [{"role": "user", "content": given}] if isinstance(given, str) else given
        self.previous = told["id"]
        return request.messages

    def _keep(self, request: Request, answer_id: str, response: bytes) -> None:
        self._stored.keep("user:1", request, answer_id, response)
        self.said = value(response)["output"]


NAMES = (f"{number:024x}" for number in range(1 << 60))


@given(exchanges())
def test_a_chain_of_requests_is_the_whole_conversation_sent_at_once(
    stored: StoredAnswers, steps: list[tuple[list[Json] | str, Turn, bool]]
) -> None:
    talk = Talk(stored, NAMES)
    for given_, turn, carries in steps:
        sent = talk.ask(given_, turn, carries=carries)
        assert sent == decode(scalar_text({"model": "m", "input": talk.items})).messages
        talk.items += talk.said
