"""An upstream's answer is read as what it is, however it was asked for and whatever it is
labelled.
"""

import json

import pytest

from addon.exchange.verdict import Again
from addon.formats import translate
from addon.formats.neutral.deltas import Delta, UsageReport
from addon.formats.neutral.protocols import Head, deltas_of
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import Reasoning, Text, ToolCall, Turn, Usage, turn_of
from tests.addon.desk import Desk, open_exchange, reply_of, upstream
from tests.addon.exchange.test_refusal import PATHS, body_for

TURN = turn_of(
    [Reasoning("thought", "reasoning_content"), Text("fine"), ToolCall("t", "Read", '{"p":1}')],
    "tool_calls",
)
REQUEST = Request(origin="chat", model="m", messages=[], usage_asked=True)


def events_of(wire_format: WireFormat, turn: Turn) -> bytes:
    """The stream in which an upstream of this format says the turn."""
    head = Head("1", 1, "up")
    writer = translate.CLIENTS[wire_format].writer(
        REQUEST, head, lambda *_: "call_theirs", lambda _: ""
    )
    deltas: list[Delta] = [*deltas_of(turn), UsageReport(Usage(prompt_tokens=7))]
    return writer.write(deltas) + writer.end()


@pytest.mark.parametrize("label", ["text/event-stream", "application/json", ""])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("wire_format", PATHS)
def test_events_that_nobody_asked_for_are_read(
    desk: Desk, wire_format: str, api: WireFormat, stream: bool, label: str
) -> None:
    desk.upstreams = (upstream("one", api=api),)
    headers = {"content-type": label} if label else {}
    exchange = open_exchange(desk.intake(path=PATHS[wire_format]), body_for(wire_format, stream))
    reply = reply_of(exchange.whole(200, headers, events_of(api, TURN)))
    assert reply.status == 200
    assert (b"fine" in reply.body, b"Read" in reply.body) == (True, True)
    assert b"call_theirs" not in reply.body
    outcome = exchange.outcome()
    assert outcome.usage is not None
    assert outcome.usage.prompt_tokens == 7
    if stream:
        assert reply.headers["content-type"] == "text/event-stream"
    else:
        assert json.loads(reply.body)
        assert "event-stream" not in reply.headers.get("content-type", "")


@pytest.mark.parametrize("api", PATHS)
def test_events_that_break_off_are_an_error_and_another_key_is_tried(
    desk: Desk, api: WireFormat
) -> None:
    desk.upstreams = (upstream("one", api=api, api_keys=("sk-a", "sk-b")),)
    exchange = open_exchange(desk.intake(), body_for("chat", stream=False))
    whole = events_of(api, TURN)
    assert exchange.whole(200, {}, whole[: len(whole) // 3]) == Again()
    reply = reply_of(exchange.whole(200, {}, whole[: len(whole) // 3]))
    assert reply.status == 502
    assert "in the middle" in json.loads(reply.body)["error"]["message"]
