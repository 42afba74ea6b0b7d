"""What was thought is shown in a chat client's content, beside what the upstream said, and
never kept as said.
"""

import json
from itertools import count
from random import Random
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.formats.chat.patch_stream import PatchStream
from addon.formats.chat.writer import DONE
from addon.formats.neutral.deltas import Delta, OpaqueDelta, ReasoningDelta
from addon.formats.neutral.problem import Problem
from addon.formats.wire import sse
from addon.mirror.blocks import Block, Style
from addon.mirror.stream import Mirror, Mirroring
from shared.model import Principal
from tests.addon.callers import principal, user
from tests.addon.desk import (
    MODEL,
    USER,
    Desk,
    body,
    open_exchange,
    reply_of,
    streamed,
    upstream,
    whole,
)
from tests.addon.recall.chat import Json
from tests.support.client import CLIENTS, Reply, replay
from tests.support.turns import Call, Turn, events

CALLING = Turn(reasoning="thought of a call", calls=(Call("call_0", "Read", '{"path": "a.py"}'),))
SAYING = Turn(reasoning="thought of words", text="All of it is done.")
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5",
    "output": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "in short"}],
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Done."}],
        },
    ],
}


def chunk(delta: Json, finish_reason: str | None = None, choice: int = 0) -> bytes:
    choices = [{"index": choice, "delta": delta, "finish_reason": finish_reason}]
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m",
        "usage": None,
    }
    return sse.event(json.dumps(head | {"choices": choices}).encode())


ROLE = chunk({"role": "assistant", "reasoning_content": ""})
THINK = chunk({"content": None, "reasoning_content": "r"})
TEXT = chunk({"content": "a"})
CALL = chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]})
FINISH = chunk({}, "stop")


class Client:
    """A chat client of an upstream that streams, with the reasoning mirrored; tokens are
    `1`, `2`, …
    """

    def __init__(self, style: Style = "details") -> None:
        tokens = map(str, count(1))
        stream = PatchStream(model="m", hide_usage=False, mint=lambda choice, index, _: "minted")
        self.relay = Mirroring(stream, Mirror(style, lambda: next(tokens)))
        self.out = b""

    def hear(self, *raw: bytes) -> "Client":
        for one in raw:
            self.out += self.relay.feed(one)[1]
        return self

    @property
    def deltas(self) -> list[Json]:
        """What the chunks of the first choice say, in order; ids of calls left out."""
        chunks = [
            json.loads(event[6:])
            for event in self.out.split(b"\n\n")
            if event.startswith(b"data: {")
        ]
        return [
            choice["delta"]
            for one in chunks
            for choice in one.get("choices", ())
            if choice["index"] == 0
        ]

    @property
    def content(self) -> str:
        return "".join(delta.get("content") or "" for delta in self.deltas)


def block(*thoughts: str, token: str = "1", led: bool = False, style: Style = "details") -> str:
    one = Block(style, token, led)
    return one.opening + "".join(map(one.text, thoughts)) + one.closing


def test_reasoning_is_shown_as_it_comes_and_ends_before_the_text() -> None:
    client = Client().hear(ROLE, THINK, THINK, TEXT, FINISH, DONE)
    assert client.content == block("r", "r") + "a"
    one = Block("details", "1")
    said = [delta.get("content") for delta in client.deltas]
    assert said == [None, None, f"{one.opening}r", None, "r", one.closing, "a", None]


def test_what_the_upstream_said_goes_out_as_it_is() -> None:
    client = Client().hear(ROLE, THINK, TEXT, FINISH, DONE)
    ours = [event for event in client.out.split(b"\n\n") if b"thinkback" in event]
    assert len(ours) == 2
    rest = [event for event in client.out.split(b"\n\n") if event not in ours]
    assert b"\n\n".join(rest) == ROLE + THINK + TEXT + FINISH + DONE


def test_our_chunks_look_like_the_upstreams() -> None:
    shown = Client().hear(ROLE, THINK).out.split(b"\n\n")[2]
    assert json.loads(shown[6:]) == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "delta": {"content": Block("details", "1").opening + "r"},
                "finish_reason": None,
            }
        ],
    }


def test_the_block_ends_before_a_call_and_nothing_is_shown_after_it() -> None:
    client = Client().hear(THINK, CALL, THINK, FINISH, DONE)
    assert client.content == block("r")
    assert [delta.keys() for delta in client.deltas][2:4] == [{"content"}, {"tool_calls"}]


@pytest.mark.parametrize("last", [FINISH, DONE], ids=["finish", "done"])
def test_the_block_ends_with_the_answer(last: bytes) -> None:
    client = Client().hear(THINK, last)
    assert client.content == block("r")
    assert client.out.endswith(last)


def test_the_block_ends_with_an_answer_that_is_cut_or_fails() -> None:
    for end in (
        Mirroring.end,
        lambda relay: relay.fail(Problem(status=502, message="no", code="cut")),
    ):
        client = Client().hear(THINK)
        client.out += end(client.relay)
        assert client.content == block("r")
        assert client.out.endswith(DONE)


def test_reasoning_after_text_is_another_block() -> None:
    client = Client("think").hear(THINK, TEXT, THINK, TEXT, FINISH)
    assert (
        client.content
        == block("r", style="think") + "a" + block("r", token="2", led=True, style="think") + "a"
    )


def test_reasoning_and_text_in_one_chunk_come_in_their_order() -> None:
    assert (
        Client().hear(chunk({"reasoning_content": "r", "content": "a"})).content == block("r") + "a"
    )


def test_the_same_reasoning_under_two_names_is_shown_once() -> None:
    assert Client().hear(
        chunk({"reasoning_content": "r", "reasoning": "r"}), FINISH
    ).content == block("r")


@pytest.mark.parametrize("empty", [ROLE, TEXT, FINISH], ids=["field", "text", "finish"])
def test_where_nothing_was_thought_there_is_no_block(empty: bytes) -> None:
    assert Client().hear(empty, FINISH, DONE).out == empty + FINISH + DONE


def test_choices_have_blocks_of_their_own() -> None:
    other = chunk({"reasoning_content": "r"}, choice=1)
    client = Client().hear(THINK, other, TEXT, chunk({}, "stop", choice=1), FINISH)
    assert client.content == block("r") + "a"
    assert b"thinkback.2" in client.out


def test_a_block_opens_after_the_chunk_that_tells_the_role_though_state_comes_with_it() -> None:
    deltas: list[Delta] = [
        ReasoningDelta("r", "summary"),
        OpaqueDelta("state", "encrypted_content"),
    ]
    assert Mirror("details", lambda: "1").beside(deltas, ROLE).startswith(ROLE)


# -- through an exchange ---------------------------------------------------------------------------


def opened(
    mirror: str = "details", who: Principal = USER, *, tmp: Desk, **members: Any
) -> Exchange:
    tmp.upstreams = (upstream(mirror=mirror),)
    return tmp.open(principal=who, **members)


def content_of(reply: Any) -> Any:
    return json.loads(reply.body)["choices"][0]["message"]["content"]


def test_a_whole_answer_begins_with_its_block(desk: Desk) -> None:
    shown = content_of(whole(opened(tmp=desk), SAYING))
    assert shown.startswith("<details>")
    assert shown.endswith("</details>\n\nAll of it is done.")
    assert content_of(whole(opened(tmp=desk), CALLING)).endswith("</details>\n\n")
    assert content_of(whole(opened(tmp=desk), Turn(reasoning=None, text="Done."))) == "Done."


def test_a_whole_answer_for_a_client_that_streams_begins_with_its_block(desk: Desk) -> None:
    exchange = opened(tmp=desk, stream=True)
    out = whole(exchange, SAYING).body
    assert json.loads(out.split(b"\n\n")[0][6:])["choices"][0]["delta"]["content"].startswith(
        "<details>"
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_of_another_format_begins_with_its_block(desk: Desk, stream: bool) -> None:
    desk.upstreams = (upstream(mirror="details", api="responses"),)
    exchange = desk.open(stream=stream)
    reply = reply_of(exchange.whole(200, {}, json.dumps(RESPONSE).encode()))
    body = reply.body.decode()
    assert "\\n\\n> in short" in body
    assert body.index("in short") < body.index("</details>") < body.index("Done.")


def test_clients_of_other_formats_are_shown_nothing(desk: Desk) -> None:
    desk.upstreams = (upstream(mirror="details"),)
    exchange = open_exchange(
        desk.intake(path="/v1/responses"), json.dumps({"model": MODEL, "input": "hi"}).encode()
    )
    assert b"<details>" not in whole(exchange, SAYING).body


@pytest.mark.parametrize(
    ("own", "upstreams", "shown"),
    [
        ("", "off", ""),
        ("", "think", "<think>"),
        ("details", "off", "<details>"),
        ("off", "details", ""),
    ],
)
def test_what_a_user_wants_goes_before_what_the_upstream_is_set_to(
    desk: Desk, own: str, upstreams: str, shown: str
) -> None:
    exchange = opened(upstreams, principal(user(mirror=own)), tmp=desk)
    said = content_of(whole(exchange, SAYING))
    assert said.partition("<!--")[0].removesuffix("<summary>Thinking</summary>") == (
        shown or "All of it is done."
    )


def test_what_is_remembered_is_what_the_upstream_said(desk: Desk) -> None:
    exchange = opened(tmp=desk, stream=True)
    assert "<details>" in streamed(exchange, SAYING)["content"]
    assert exchange.outcome().turns[0].text == SAYING.text


@pytest.mark.parametrize("habits", ["cursor", "cursor-2025", "continue"])
@pytest.mark.parametrize("turn", [CALLING, SAYING], ids=["calling", "saying"])
@pytest.mark.parametrize("cut", range(3, 14))
def test_an_answer_that_was_stopped_comes_back_as_without_a_mirror(
    desk: Desk, habits: str, turn: Turn, cut: int
) -> None:
    bodies = set()
    for mirror in ("off", "details", "think"):
        exchange = opened(mirror, tmp=desk, stream=True)
        answer, reply = exchange.stream({}), Reply()
        for event in events(turn, MODEL, Random(1))[:cut]:
            for piece in answer.feed(event).split(b"\n\n"):
                if piece.startswith(b"data: {"):
                    reply.text += json.loads(piece[6:])["choices"][0]["delta"].get("content") or ""
        answer.stop()
        message = replay(reply, CLIENTS[habits])
        if not reply.text.strip():
            message = replay(Reply(calls=[{"function": {"arguments": "{}"}}]), CLIENTS[habits])
            del message["tool_calls"]
        again = {"role": "user", "content": "again"}
        bodies.add(desk.open([{"role": "user", "content": "hi"}, message, again]).outgoing.body)
    assert len(bodies) == 1


def test_what_is_asked_is_counted_without_blocks(desk: Desk) -> None:
    said = content_of(whole(opened(tmp=desk), SAYING))
    asked = [{"role": "user", "content": f"You said: {said}"}]
    assert desk.open(asked).outgoing.body == body(
        [{"role": "user", "content": f"You said: {SAYING.text}"}]
    )
