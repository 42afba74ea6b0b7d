"""What is known of a conversation that came before makes no difference to what goes upstream: it is
read, its turns are found and restored, and it is patched as if the gateway had just been started.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.formats.wire.pieces import Pieces
from addon.recall.memory import Recall
from tests.addon.desk import MODEL, Desk, Refused, upstream
from tests.addon.recall.chat import Json
from tests.support.turns import Call, Turn

MIB = 1024 * 1024
OTHER = "glm-5.2"
TURNS = (
    Turn(reasoning="first", calls=(Call("call_a", "Read", '{"path":"a"}'),)),
    Turn(
        reasoning="second", text="I look.", calls=(Call("x", "Read", "{}"), Call("y", "Ls", "{}"))
    ),
    Turn(reasoning="third", text="Done: it is a long answer that only this turn has, I am sure."),
    Turn(reasoning=None, calls=(Call("call_b", "Read", '{"path":"b"}'),)),
    Turn(reasoning="", text="Yes."),
    Turn(reasoning="sixth", calls=(Call("z", "Read", '{"path":"c"}'), Call("z", "Ls", "{}"))),
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "drop", "repeat", "swap", "say", "think", "rename", "ask"]),
        st.integers(0, 40),
        st.sampled_from([MODEL, OTHER]),
    ),
    min_size=2,
    max_size=6,
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("known")
    desk = Desk(folder / "a.db", upstream("one", models=(MODEL,)), upstream("two", models=(OTHER,)))
    desk.memory.recall.bound(MIB)
    yield desk
    desk.memory.engine.close()


@pytest.fixture(scope="module")
def conversation(desk: Desk) -> list[Json]:
    messages: list[Json] = [{"role": "developer", "content": "Be brief."}]
    for number, turn in enumerate(TURNS * 2):
        messages.append({"role": "user", "content": f"question {number}"})
        desk.converse(messages, turn)
    desk.memory.engine.flush()
    return messages


@contextmanager
def nothing_known(desk: Desk) -> Iterator[None]:
    pieces, recall = desk.pieces, desk.memory.recall
    desk.pieces = Pieces(MIB)
    desk.memory.recall = Recall(desk.memory.engine, desk.memory.clock, memory_bytes=MIB)
    try:
        yield
    finally:
        desk.pieces, desk.memory.recall = pieces, recall


def sent(desk: Desk, messages: list[Json], model: str) -> bytes | str:
    try:
        return desk.open(messages, model=model).outgoing.body
    except Refused as refused:
        return refused.problem.message


def changed(messages: list[Json], how: str, at: int) -> list[Json]:
    messages, at = copy.deepcopy(messages), at % len(messages)
    match how:
        case "cut":
            return messages[: at + 1]
        case "drop":
            return messages[:at] + messages[at + 1 :] or messages
        case "repeat":
            return messages[: at + 1] + messages[at:]
        case "swap":
            return [*messages[:at], *reversed(messages[at : at + 2]), *messages[at + 2 :]]
        case "say":
            messages[at]["content"] = "other words"
        case "think":
            messages[at]["reasoning_content"] = "a copy"
        case "rename":
            for call in messages[at].get("tool_calls", ()):
                call["id"] = "call_other"
        case "ask":
            messages.append({"role": "user", "content": f"question {at}"})
    return messages


@settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(edits=EDITS)
def test_a_history_goes_upstream_as_if_it_came_for_the_first_time(
    desk: Desk, conversation: list[Json], edits: list[tuple[str, int, str]]
) -> None:
    messages = conversation
    for how, at, model in edits:
        messages = changed(messages, how, at)
        known = sent(desk, messages, model)
        with nothing_known(desk):
            assert known == sent(desk, messages, model)
