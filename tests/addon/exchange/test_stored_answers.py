"""Answers are stored for their caller: found by the very next request, gone on from,
listed, deleted.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from addon.exchange.stored_answers import LONGEST_CHAIN, LONGEST_CONVERSATION, StoredAnswers
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.paths import classify
from addon.formats.responses.request import decode
from addon.recall.commits import Commit
from shared.store.engine import Engine
from shared.store.sqlite import connect
from tests.addon.recall.chat import Json, Memory
from tests.shared.store.plans import Explained

ADA = "user:1"
EVE = "user:2"
MIB = 1024 * 1024


class Desk:
    """The stored answers of one process over a real database."""

    def __init__(self, path: Path) -> None:
        self.memory = Memory(path)
        self.answers = self.new_answers()
        self.made = 0
        self.commit: Commit | None = None
        """What the end of the latest answer waits for."""

    def new_answers(self) -> StoredAnswers:
        return StoredAnswers(self.memory.engine, self.memory.clock, max_age_days=30)

    def restart(self) -> None:
        """The process ends and starts again."""
        self.memory.engine.flush()
        self.memory.restart()
        self.answers = self.new_answers()

    def answer(
        self, given: Any = "hi", said: str = "yo", *, after: str = "", caller: str = ADA
    ) -> str:
        """An answer is made and kept; its id."""
        self.made += 1
        name = f"{self.made:024x}"
        body = {"model": "m", "input": given, "previous_response_id": after}
        request = decode(json.dumps(body).encode(), past=self.answers.past(caller))
        part = {"type": "output_text", "text": said, "annotations": []}
        thought = {
            "type": "reasoning",
            "id": f"rs_{name}0",
            "summary": [],
            "encrypted_content": "state",
        }
        message = {"type": "message", "id": f"msg_{name}1", "role": "assistant", "content": [part]}
        response = {"id": f"resp_{name}", "output": [thought, message]}
        self.commit = self.answers.keep(
            caller, request, f"resp_{name}", json.dumps(response).encode()
        )
        return f"resp_{name}"

    def before(self, answer_id: str, caller: str = ADA) -> list[str]:
        """What is said in the conversation that a request goes on from."""
        past = self.answers.past(caller)
        assert past is not None
        return texts(past.conversation(answer_id))

    def asked(self, target: str, method: str = "GET", caller: str = ADA) -> Json:
        endpoint = classify(target)
        assert endpoint is not None
        found: Json = json.loads(self.answers.reply(caller, endpoint, method, target))
        return found

    def refusal(self, target: str, method: str = "GET", caller: str = ADA) -> Problem:
        with pytest.raises(RequestError) as refused:
            self.asked(target, method, caller)
        return refused.value.problem


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "adapter.db")
    yield desk
    desk.memory.engine.close()


def texts(items: list[Json]) -> list[str]:
    return [part["text"] for item in items for part in item.get("content", ())]


def fetched(answer_id: str) -> str:
    return f"/v1/responses/{answer_id}"


# -- going on --------------------------------------------------------------------------------------


def test_a_conversation_is_all_that_was_asked_and_answered_in_its_order(desk: Desk) -> None:
    first = desk.answer("one", "two")
    second = desk.answer([{"role": "user", "content": "three"}], "four", after=first)
    desk.answer("aside", "ignored", after=first)
    assert desk.before(second) == ["one", "two", "three", "four"]


def test_a_conversation_however_long_is_one_read(desk: Desk) -> None:
    made = ""
    for _ in range(5):
        made = desk.answer(after=made)
    watched = Explained(desk.memory.engine)
    answers = StoredAnswers(cast(Engine, watched), desk.memory.clock, max_age_days=30)
    past = answers.past(ADA)
    assert past is not None
    assert texts(past.conversation(made)) == ["hi", "yo"] * 5
    assert len(watched.plans) == 1


def test_a_conversation_ends_at_an_answer_that_is_being_deleted(desk: Desk) -> None:
    first = desk.answer("one", "two")
    second = desk.answer("three", "four", after=first)
    with connect(desk.memory.path) as writer:
        writer.execute("BEGIN IMMEDIATE")
        desk.asked(fetched(first), "DELETE")
        with pytest.raises(RequestError, match="not found"):
            desk.before(second)
        writer.execute("ROLLBACK")


def test_an_answer_is_in_the_table_when_its_end_is_seen(desk: Desk) -> None:
    made = desk.answer()
    assert desk.memory.engine.read("SELECT id, principal, previous FROM answers") == [
        (made, ADA, "")
    ]


def test_the_next_request_finds_an_answer_that_could_not_be_written_yet(desk: Desk) -> None:
    with desk.memory.locked():
        first = desk.answer("one", "two")
        second = desk.answer("three", "four", after=first)
        assert desk.before(second) == ["one", "two", "three", "four"]
    desk.restart()
    assert desk.before(second) == ["one", "two", "three", "four"]


def test_a_large_answer_is_found_at_once_and_for_good(desk: Desk) -> None:
    large = desk.memory.random.randbytes(MIB).hex()
    made = desk.answer(large)
    assert desk.before(made)[0] == large
    desk.restart()
    assert desk.before(made)[0] == large


@pytest.mark.parametrize("size", [1, MIB], ids=["small", "large"])
def test_the_end_of_an_answer_waits_until_it_is_stored(desk: Desk, size: int) -> None:
    with desk.memory.locked():
        desk.answer(desk.memory.random.randbytes(size).hex())
        assert desk.commit is not None
        assert desk.commit.awaited
    desk.memory.engine.flush()
    assert not desk.commit.awaited
    desk.answer()
    assert desk.commit is None


def test_an_answer_that_cannot_be_stored_now_is_found_and_not_waited_for(desk: Desk) -> None:
    with desk.memory.full_disk():
        made = desk.answer("one", "two")
        assert desk.commit is not None
        assert not desk.commit.awaited
        assert desk.before(made) == ["one", "two"]
    desk.restart()
    assert desk.before(made) == ["one", "two"]


def test_what_waits_to_be_written_does_not_fill_the_memory(desk: Desk) -> None:
    large = "x" * (6 * MIB)
    with desk.memory.locked():
        made = [desk.answer(large) for _ in range(3)]
        assert desk.before(made[-1])[0] == large
        assert desk.refusal(fetched(made[0])).status == 404
    desk.memory.engine.flush()
    assert desk.before(made[0])[0] == large


@pytest.mark.parametrize("gone", [0, 1], ids=["an earlier one", "itself"])
def test_nothing_goes_on_from_an_answer_that_is_gone(desk: Desk, gone: int) -> None:
    first = desk.answer()
    made = [first, desk.answer(after=first)]
    desk.asked(fetched(made[gone]), "DELETE")
    with pytest.raises(RequestError, match=f"'{made[gone]}' not found") as refused:
        desk.before(made[1])
    problem = refused.value.problem
    assert (problem.status, problem.code) == (400, "previous_response_not_found")
    assert problem.param == "previous_response_id"


def test_what_waits_to_be_written_is_its_callers_alone(desk: Desk) -> None:
    with desk.memory.locked():
        made = desk.answer()
        assert desk.refusal(fetched(made), caller=EVE).status == 404


@pytest.mark.parametrize("unknown", ["resp_1", "", "resp_\ud83d", "resp_é\0"], ids=ascii)
def test_nobody_goes_on_from_what_is_not_theirs(desk: Desk, unknown: str) -> None:
    made = desk.answer()
    for caller, wanted in ((EVE, made), (ADA, unknown or "x" * 1000)):
        with pytest.raises(RequestError, match="not found"):
            desk.before(wanted, caller)


def test_answers_are_kept_for_so_many_days_and_not_one_more(desk: Desk) -> None:
    made = desk.answer()
    desk.memory.clock.pass_days(30)
    assert desk.before(made) == ["hi", "yo"]
    desk.memory.clock.pass_days(0.1)
    assert desk.refusal(fetched(made)).status == 404
    desk.answers.bound(31)
    assert desk.before(made) == ["hi", "yo"]


def test_where_nothing_is_kept_there_is_no_past(desk: Desk) -> None:
    desk.answers.bound(0)
    assert desk.answers.past(ADA) is None


def test_a_conversation_has_an_end(desk: Desk) -> None:
    made = ""
    for _ in range(LONGEST_CHAIN):
        desk.made += 1
        request = decode(b'{"model":"m","input":[]}', past=desk.answers.past(ADA))
        request.previous_response_id = made
        made = f"resp_{desk.made:024x}"
        desk.answers.keep(ADA, request, made, b"{}")
    assert desk.before(made) == []
    request.previous_response_id = made
    desk.answers.keep(ADA, request, "resp_last", b"{}")
    with pytest.raises(RequestError, match="begin a new one"):
        desk.before("resp_last")


def test_a_conversation_fits_into_memory(desk: Desk) -> None:
    first = desk.answer("x" * (LONGEST_CONVERSATION // 2))
    second = desk.answer(after=first)
    third = desk.answer("x" * (LONGEST_CONVERSATION // 2), after=second)
    with pytest.raises(RequestError, match="begin a new one"):
        desk.before(third)


# -- items that are named --------------------------------------------------------------------------


def test_items_of_an_answer_and_of_its_input_are_found_by_their_ids(desk: Desk) -> None:
    made = desk.answer("one", "two")
    past, name = desk.answers.past(ADA), made.removeprefix("resp_")
    assert past is not None
    found = [
        past.item(item_id)
        for item_id in (f"msg_{name}i0", f"msg_{name}1", f"msg_{name}2", f"msg_{name}i1", "rs")
    ]
    assert [item["content"][0]["text"] if item else None for item in found] == [
        "one",
        "two",
        None,
        None,
        None,
    ]


def test_items_of_others_are_not_found(desk: Desk) -> None:
    name, past = desk.answer().removeprefix("resp_"), desk.answers.past(EVE)
    assert past is not None
    assert past.item(f"msg_{name}1") is None


def test_an_item_can_not_be_named_until_the_memory_is_full(desk: Desk) -> None:
    name, past = desk.answer("x" * MIB).removeprefix("resp_"), desk.answers.past(ADA)
    assert past is not None
    with pytest.raises(RequestError, match="begin a new one"):
        [past.item(f"msg_{name}i0") for _ in range(LONGEST_CONVERSATION // MIB)]


# -- the replies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [False, True], ids=["hidden", "shown"])
def test_an_answer_is_told_as_it_was_its_state_to_those_who_ask(desk: Desk, asked: bool) -> None:
    made = desk.answer()
    found = desk.asked(fetched(made) + ("?include[]=reasoning.encrypted_content" if asked else ""))
    assert (found["id"], found["output"][1]["content"][0]["text"]) == (made, "yo")
    assert ("encrypted_content" in found["output"][0]) is asked


def test_the_input_of_an_answer_is_listed_with_what_came_before(desk: Desk) -> None:
    first = desk.answer("one", "two")
    last = desk.answer("five", "six", after=desk.answer("three", "four", after=first))
    found = desk.asked(f"{fetched(last)}/input_items?order=asc")
    assert texts(found["data"]) == ["one", "two", "three", "four", "five"]
    desk.asked(fetched(first), "DELETE")
    found = desk.asked(f"{fetched(last)}/input_items?order=asc")
    assert texts(found["data"]) == ["three", "four", "five"]


@pytest.mark.parametrize("locked", [False, True], ids=["free", "locked"])
def test_a_deleted_answer_is_gone_at_once_and_for_good(desk: Desk, locked: bool) -> None:
    made = desk.answer()
    if locked:
        with desk.memory.locked():
            told = desk.asked(fetched(made), "DELETE")
            assert desk.refusal(fetched(made)).status == 404
    else:
        told = desk.asked(fetched(made), "DELETE")
    assert told == {"id": made, "object": "response", "deleted": True}
    assert desk.refusal(fetched(made)).status == 404
    desk.restart()
    assert desk.memory.engine.read("SELECT id FROM answers") == []


def test_a_large_answer_that_was_written_by_now_is_deleted_from_memory_too(desk: Desk) -> None:
    made = desk.answer(desk.memory.random.randbytes(MIB).hex())
    desk.memory.engine.flush()
    desk.asked(fetched(made), "DELETE")
    assert desk.refusal(fetched(made)).status == 404


def test_an_answer_that_is_deleted_before_it_is_written_stays_away(desk: Desk) -> None:
    with desk.memory.locked():
        made = desk.answer()
        desk.asked(fetched(made), "DELETE")
    desk.memory.engine.flush()
    assert desk.refusal(fetched(made)).status == 404
    assert desk.memory.engine.read("SELECT id FROM answers") == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("rest", ["", "/input_items"], ids=["answer", "input"])
def test_what_is_not_there_and_what_is_not_yours_is_told_in_the_same_words(
    desk: Desk, method: str, rest: str
) -> None:
    made = desk.answer()
    theirs, nobodys = (
        desk.refusal(fetched(made) + rest, method, EVE),
        desk.refusal(fetched("resp_0") + rest, method),
    )
    assert theirs.status == nobodys.status == 404
    assert theirs.message.replace(made, "resp_0") == nobodys.message
    assert desk.before(made) == ["hi", "yo"]


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("/cancel", "Nothing runs in the background"),
        ("?stream=true", "not streamed again"),
        ("/input_items?limit=0", ""),
    ],
    ids=["cancel", "stream", "limit"],
)
def test_what_is_not_done_here_is_said(desk: Desk, rest: str, words: str) -> None:
    problem = desk.refusal(fetched(desk.answer()) + rest)
    assert (problem.status, words in problem.message) == (400, True)
