"""What a client gets of a well-formed stream is well-formed: over every pair of formats, at any
cut, translated or patched, and as the whole answer where that is wanted instead.
"""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.exchange.exchange import Exchange
from addon.formats.neutral.deltas import CallDelta, Delta, UsageReport
from addon.formats.neutral.protocols import Head, deltas_of
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import (
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
    Usage,
    turn_of,
)
from addon.formats.translate import CLIENTS, UPSTREAMS, Client
from tests.addon.desk import MODEL, Desk, open_exchange, reply_of, upstream
from tests.addon.translation.clients import PATHS
from tests.properties.test_formats import cuts
from tests.support.grammar import own_state
from tests.support.turns import Json
from tests.support.well_formed import check_stream, check_whole

FORMATS: tuple[WireFormat, ...] = ("chat", "responses", "messages")
PAIRS = [(client, api) for client in FORMATS for api in FORMATS]
EXAMPLES = settings(
    max_examples=settings().max_examples // 20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LONG = "mcp__" + "files_" * 30
SCHEMA: Json = {"type": "object", "properties": {}}
USAGE = Usage(prompt_tokens=9, completion_tokens=5, cached_tokens=3, reasoning_tokens=1)

# -- the client ------------------------------------------------------------------------------------


def asking(client: WireFormat, *, usage: bool = True, custom: bool = True) -> Json:
    """A request for which everything may be said: with thoughts and functions, and with a custom
    tool if that is wanted.
    """
    body: Json = {"model": MODEL, "stream": True}
    says = [{"role": "user", "content": "hi"}]
    match client:
        case "chat":
            functions = [{"name": name, "parameters": SCHEMA} for name in ("Read", LONG)]
            body["tools"] = [{"type": "function", "function": one} for one in functions]
            body["tools"] += [{"type": "custom", "custom": {"name": "Patch"}}] * custom
            body["messages"] = says
            if usage:
                body["stream_options"] = {"include_usage": True}
        case "responses":
            functions = [{"name": name, "parameters": SCHEMA} for name in ("Read", LONG)]
            body["tools"] = [{"type": "function", "strict": False, **one} for one in functions]
            body["tools"] += [{"type": "custom", "name": "Patch"}] * custom
            body |= {"input": says, "include": ["reasoning.encrypted_content"]}
            body["reasoning"] = {"summary": "auto"}
        case "messages":
            tools = [{"name": name, "input_schema": SCHEMA} for name in ("Read", LONG)]
            body |= {"max_tokens": 9000, "messages": says, "tools": tools}
            body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    return body


def opened(
    desk: Desk, client: WireFormat, api: WireFormat, body: Json, **more: Any
) -> tuple[Exchange, Request]:
    """The exchange, and what its upstream is asked."""
    desk.upstreams = (upstream(api=api, **more),)
    exchange = open_exchange(desk.intake(path=PATHS[client]), json.dumps(body).encode())
    return exchange, CLIENTS[api].decode(exchange.outgoing.body)


# -- the upstream ----------------------------------------------------------------------------------

WORDS = st.text('ab \n"\\{}<é🧠', max_size=9)
STATES: dict[WireFormat, tuple[str, str]] = {
    "chat": ("", ""),
    "responses": ("STATE", "encrypted_content"),
    "messages": ("STATE", "signature"),
}
ARGUMENTS = st.sampled_from(
    ["{}", '{"input":"a\\nb"}', '{"a":{"b":"}"}}', '{ "x" : [1, "é"] }', '{"input":1}', ""]
)


@st.composite
def turns(draw: st.DrawFn, request: Request, api: WireFormat) -> Turn:
    """A turn that calls the tools of the request."""
    state, carrier = STATES[api]
    thoughts = st.builds(
        Reasoning, WORDS, st.just("reasoning_content"), st.just(state), st.just(carrier)
    )
    parts: list[Part] = draw(
        st.lists(
            st.one_of(
                thoughts,
                st.builds(Text, WORDS.filter(bool)),
                st.builds(Refusal, WORDS.filter(bool)),
                st.sampled_from(request.tools).flatmap(
                    lambda tool: st.builds(
                        ToolCall,
                        st.uuids().map(lambda made: f"theirs_{made.hex}"),
                        st.just(tool.name),
                        WORDS if tool.custom else ARGUMENTS,
                        st.just(tool.custom),
                    )
                ),
            ),
            max_size=5,
        )
    )
    if api == "chat":  # a refusal has a place of its own
        parts.sort(key=lambda part: isinstance(part, Refusal))
    calls = any(isinstance(part, ToolCall) for part in parts)
    reason = draw(st.sampled_from(["tool_calls" if calls else "stop", "length", "content_filter"]))
    stop = draw(st.sampled_from(["", "END"])) if api == "messages" and reason == "stop" else ""
    return turn_of(parts, reason, stop)


@st.composite
def told(draw: st.DrawFn, turn: Turn, api: WireFormat, choice: int = 0) -> list[Delta]:
    """The deltas of a turn in pieces; the calls of a chat upstream are mixed."""
    pieces = [piece for delta in deltas_of(turn, choice) for piece in draw(cut(delta))]
    if api != "chat" or not draw(st.booleans()):
        return pieces
    *mixed, end = pieces
    starts = [at for at, piece in enumerate(mixed) if _starts(piece)]
    for at in draw(st.lists(st.integers(0, len(mixed)), max_size=6)):
        if 0 < at < len(mixed) and at not in starts and isinstance(mixed[at], CallDelta):
            after = draw(st.integers(at, len(mixed)))
            later = [piece for piece in mixed[at + 1 : after] if _same(piece, mixed[at])]
            if not later:
                mixed.insert(after, mixed[at])
                del mixed[at]
    return [*mixed, end]


def _starts(delta: Delta) -> bool:
    return isinstance(delta, CallDelta) and bool(delta.name)


def _same(delta: Delta, other: Delta) -> bool:
    return (
        isinstance(delta, CallDelta) and isinstance(other, CallDelta) and delta.index == other.index
    )


@st.composite
def cut(draw: st.DrawFn, delta: Delta) -> list[Delta]:
    """The steps of one delta."""
    size = draw(st.integers(1, 4))
    match delta:
        case CallDelta(arguments=text):
            first = CallDelta(delta.index, delta.id, delta.name, "", delta.choice, delta.custom)
            if draw(st.booleans()):
                return [delta]
            return [
                first,
                *(
                    CallDelta(delta.index, "", "", text[at : at + size], delta.choice, delta.custom)
                    for at in range(0, len(text), size)
                ),
            ]
    return [delta]


@st.composite
def beside(draw: st.DrawFn, first: list[Delta], other: list[Delta]) -> list[Delta]:
    """The deltas of two choices, mixed, of which the first begins."""
    mixed, rest = first[:1], [first[1:], other]
    while any(rest):
        takes = draw(st.sampled_from([deltas for deltas in rest if deltas]))
        mixed.append(takes.pop(0))
    return mixed


def streamed(api: WireFormat, deltas: list[Delta], counts: str) -> bytes:
    """The upstream's stream, one event after the other; `counts` as in COUNTS."""
    writer = writing(api).writer(asked(api), HEAD, lambda *ids: ids[2], own_state)
    if counts != "nowhere":
        deltas = [*deltas, UsageReport(USAGE)]
    stream = b"".join(writer.write([delta]) for delta in deltas) + writer.end()
    if api == "chat" and counts == "with the end":
        [counted] = re.findall(rb'data: .*"choices":\[\],"usage":(.*)\}\n\n', stream)
        stream = re.sub(rb'data: .*"choices":\[\],"usage".*\n\n', b"", stream)
        head, finish, rest = stream.rpartition(b'"}]}')
        return head + finish[:-1] + b',"usage":' + counted + b"}" + rest
    return stream


COUNTS = st.sampled_from(["at last", "at last", "with the end", "nowhere"])
"""Where a chat upstream tells the usage; others do at last, or nowhere."""

HEAD = Head("theirs", 7, MODEL)


def writing(api: WireFormat) -> Client:
    return CLIENTS[api]


def asked(api: WireFormat) -> Request:
    """A request of the upstream's format that wants to see everything."""
    return CLIENTS[api].decode(json.dumps(asking(api)).encode())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk") / "a.db")


# -- what is checked -------------------------------------------------------------------------------


@pytest.mark.parametrize(("client", "api"), PAIRS)
@given(st.data())
@EXAMPLES
def test_a_stream_is_well_formed_and_says_what_the_whole_answer_does(
    desk: Desk, client: WireFormat, api: WireFormat, data: st.DataObject
) -> None:
    usage, counts = data.draw(st.booleans()), data.draw(COUNTS)
    body = asking(client, usage=usage, custom=data.draw(st.booleans()))
    mirror = data.draw(st.sampled_from(["off", "details", "think"]))
    exchange, request = opened(desk, client, api, body, mirror=mirror)
    turn = data.draw(turns(request, api))
    deltas = data.draw(told(turn, api))
    if api == "chat" and data.draw(st.booleans()):
        deltas = data.draw(beside(deltas, data.draw(told(data.draw(turns(request, api)), api, 1))))
    theirs = streamed(api, deltas, counts)
    check_stream(api, theirs)
    answer = exchange.stream({"content-type": "text/event-stream"})
    stream = b"".join([*map(answer.feed, data.draw(cuts(theirs))), answer.end()])
    assert answer.error is None
    known = counts == "at last" and client == "chat"
    said = check_stream(client, stream, usage=usage if known else None)
    exchange, _ = opened(desk, client, api, body | {"stream": False}, mirror=mirror)
    whole = reply_of(exchange.whole(200, {"content-type": "text/event-stream"}, theirs))
    check_whole(client, whole.body)
    if mirror == "off":  # shown reasoning stands elsewhere in a whole answer
        assert spoken(client, json.dumps(said).encode()) == spoken(client, whole.body)


@pytest.mark.parametrize(("client", "api"), PAIRS)
@given(st.data())
@EXAMPLES
def test_a_whole_answer_as_a_stream_is_well_formed_and_says_the_same(
    desk: Desk, client: WireFormat, api: WireFormat, data: st.DataObject
) -> None:
    body = asking(client, custom=data.draw(st.booleans()))
    mirror = data.draw(st.sampled_from(["off", "details", "think"]))
    exchange, request = opened(desk, client, api, body, mirror=mirror)
    turns_told = {0: data.draw(turns(request, api))}
    if api == "chat" and data.draw(st.booleans()):
        turns_told[1] = data.draw(turns(request, api))
    theirs = writing(api).whole(turns_told, USAGE, asked(api), HEAD, lambda *ids: ids[2], own_state)
    check_whole(api, theirs)
    replies = [reply_of(exchange.whole(200, JSON, theirs))]
    exchange, _ = opened(desk, client, api, body | {"stream": False}, mirror=mirror)
    replies.append(reply_of(exchange.whole(200, JSON, theirs)))
    said = check_stream(client, replies[0].body, usage=True if client == "chat" else None)
    check_whole(client, replies[1].body)
    if mirror == "off":
        assert spoken(client, json.dumps(said).encode()) == spoken(client, replies[1].body)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_call_that_was_cut_off_is_told_as_far_as_it_came(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    exchange, _ = opened(desk, client, api, asking(client))
    call = ToolCall("theirs", "Read", '{"a":"cut')
    theirs = streamed(api, list(deltas_of(turn_of([Text("a"), call], "length"))), "at last")
    check_stream(api, theirs)
    answer = exchange.stream({"content-type": "text/event-stream"})
    stream = answer.feed(theirs) + answer.end()
    check_stream(client, stream)
    assert b"cut" in stream


def spoken(client: WireFormat, body: bytes) -> Any:
    """What an answer says, in whatever pieces."""
    found = UPSTREAMS[client].whole(body)
    assert found is not None
    return [
        (
            turn.text,
            "".join(part.text for part in turn.ordered if isinstance(part, Refusal)),
            "".join(part.text for part in turn.ordered if isinstance(part, Reasoning)).split(),
            # A custom call's empty input is streamed to chat clients as a function's arguments,
            # where no text is read as an empty object.
            [(call.name, call.arguments or "{}") for call in turn.calls],
            turn.finish_reason,
            turn.stop_sequence,
        )
        for turn in found.turns.values()
    ]
