"""What must hold of every format's way into and out of the neutral vocabulary."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.formats.cursor import is_plain
from addon.formats.messages.blocks import input_of
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.adapt import Abilities, Raising, lowered, raised
from addon.formats.neutral.deltas import Delta, StreamError, UsageReport
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.protocols import Head, deltas_of
from addon.formats.neutral.request import (
    OutputFormat,
    Request,
    Thinking,
    Tool,
    ToolChoice,
    WireFormat,
    cut,
)
from addon.formats.neutral.turn import (
    SUMMARY,
    File,
    Foreign,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
    Usage,
    message_of,
    turn_of,
)
from addon.formats.translate import CLIENTS, UPSTREAMS
from addon.formats.wire import sse
from addon.formats.wire.splice import scalar_text, value
from tests.properties.test_formats import SURROGATES, TEXTS, cuts, json_texts, utf8
from tests.support.grammar import own_state, read_chat, read_responses

FORMATS: list[WireFormat] = ["chat", "responses", "messages"]
ABLE = Abilities(unsigned_thinking=True)
HEAD = Head("abc", 7, "m")
PROBLEM = Problem(status=502, message="cut", code="upstream_cut")

# -- requests --------------------------------------------------------------------------------------

NOT_CARRIED: dict[WireFormat, dict[str, Any]] = {
    "chat": {"include": (), "previous_response_id": ""},
    "responses": {
        "presence_penalty": None,
        "frequency_penalty": None,
        "seed": None,
        "stop": (),
        "top_k": None,
    },
    "messages": {
        "presence_penalty": None,
        "frequency_penalty": None,
        "seed": None,
        "verbosity": "",
        "metadata": None,
        "extra": {},
    },
}
"""Members of a request that an upstream of this format does not get, with the values of
their absence.
"""

NOT_FROM_OTHERS: dict[str, Any] = {"store": None, "metadata": None, "top_k": None}
"""Members that a chat upstream gets only from those who speak to it in its own format."""

ALWAYS: dict[WireFormat, dict[str, Any]] = {
    "chat": {},
    "responses": {"include": ("reasoning.encrypted_content",), "store": False, "usage_asked": True},
    "messages": {"usage_asked": True},
}
"""Members that a request for an upstream of this format always has."""

SAID = SURROGATES.filter(bool)
NAMES = st.sampled_from(["f", "g", "Read"])
SCHEMAS = st.sampled_from(
    [{"type": "object", "properties": {"x": {"type": "integer"}}}, {"type": "object"}]
)
GIVEN = st.lists(
    st.one_of(
        st.builds(Text, SAID),
        st.builds(
            Image, st.just("data:image/png;base64,AA=="), detail=st.sampled_from(["", "low"])
        ),
        st.builds(
            File, st.just("data:application/pdf;base64,AA=="), name=st.sampled_from(["", "a.pdf"])
        ),
    ),
    min_size=1,
    max_size=3,
)
NUMBERS = st.one_of(st.none(), st.floats(0, 2), st.integers(0, 2))


@st.composite
def assistants(draw: st.DrawFn, calls: list[ToolCall]) -> Message:
    thought = draw(st.lists(st.builds(Reasoning, SAID, st.just("reasoning_content")), max_size=1))
    said = draw(st.lists(st.builds(Text, SAID), min_size=0 if calls else 1, max_size=1))
    refusal = draw(st.lists(st.builds(Refusal, SAID), max_size=1))
    return message_of("assistant", [*thought, *said, *refusal, *calls])


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    messages = [message_of("system", [Text(said)]) for said in draw(st.lists(SAID, max_size=1))]
    for turn in range(draw(st.integers(1, 3))):
        messages.append(message_of("user", draw(GIVEN)))
        ids = [f"call_{turn}_{at}" for at in range(draw(st.integers(0, 2)))]
        calls = [ToolCall(one, draw(NAMES), draw(TEXTS), custom=draw(st.booleans())) for one in ids]
        messages.append(draw(assistants(calls)))
        results = [draw(st.lists(st.builds(Text, SAID), max_size=1)) for _ in calls]
        messages += [
            message_of("tool", held, result_of=one) for one, held in zip(ids, results, strict=True)
        ]
    return messages


TOOLS = st.one_of(
    st.builds(
        Tool,
        name=NAMES,
        description=TEXTS,
        parameters=SCHEMAS,
        strict=st.sampled_from([False, True]),
    ),
    st.builds(
        Tool,
        name=NAMES,
        custom=st.just(True),
        grammar=st.sampled_from(
            [None, {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}]
        ),
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    tools = tuple({tool.name: tool for tool in draw(st.lists(TOOLS, max_size=3))}.values())
    names = (
        draw(st.lists(st.sampled_from(tools), unique_by=lambda tool: tool.name)) if tools else []
    )
    choice = ToolChoice(
        draw(st.sampled_from(["auto", "required"])), tuple(tool.name for tool in names)
    )
    shape = OutputFormat(
        schema={"type": "object"}, name="n", description="d", strict=draw(st.booleans())
    )
    return Request(
        origin="chat",
        model="m",
        messages=draw(conversations()),
        tools=tools,
        tool_choice=draw(st.sampled_from([None, choice, ToolChoice("none")])),
        parallel_tool_calls=draw(st.sampled_from([None, True, False])),
        max_tokens=draw(st.sampled_from([None, 100])),
        temperature=draw(NUMBERS),
        top_p=draw(NUMBERS),
        top_k=draw(st.sampled_from([None, 3])),
        presence_penalty=draw(NUMBERS),
        frequency_penalty=draw(NUMBERS),
        seed=draw(st.sampled_from([None, 0, 3])),
        stop=draw(st.sampled_from([(), ("a",), ("a", "b")])),
        output_format=draw(st.sampled_from([None, OutputFormat(), shape])),
        verbosity=draw(st.sampled_from(["", "low"])),
        thinking=Thinking(effort=draw(st.sampled_from(["", "high"]))),
        stream=draw(st.booleans()),
        metadata=draw(st.sampled_from([None, {"k": "v"}])),
        user=draw(st.sampled_from(["", "u"])),
        extra=draw(st.sampled_from([{}, {"service_tier": "flex"}])),
    )


def through(request: Request, wire_format: WireFormat) -> Request:
    """What an upstream of this format reads in what it is sent."""
    if wire_format == "messages":
        request = lowered(request, ABLE).request  # it has no custom tools
    return CLIENTS[wire_format].decode(UPSTREAMS[wire_format].encode(request, request.model, ABLE))


def expected(request: Request, wire_format: WireFormat) -> Request:
    """The request without what the tables say is lost."""
    changes = {"origin": wire_format} | NOT_CARRIED[wire_format] | ALWAYS[wire_format]
    changes |= {"usage_asked": True} if request.stream else {}
    if wire_format == "messages":
        return msgspec.structs.replace(_as_messages(lowered(request, ABLE).request), **changes)
    if wire_format == "responses":
        field = {"reasoning_content": "reasoning_text"}
        changes["messages"] = [_with_field(message, field) for message in request.messages]
        changes["tools"] = tuple(
            msgspec.structs.replace(tool, nested=False) if tool.custom else tool
            for tool in request.tools
        )
    return msgspec.structs.replace(request, **changes)


def _with_field(message: Message, fields: dict[str, str]) -> Message:
    parts = [
        Reasoning(part.text, fields[part.field]) if isinstance(part, Reasoning) else part
        for part in message.parts
    ]
    return message_of(message.role, parts, result_of=message.result_of)


def _as_messages(request: Request) -> Request:
    """The request under the rules that Messages has for members that it does carry."""
    choice, thinks = request.tool_choice, bool(request.thinking.effort)
    several = (
        choice is not None and choice.names and (choice.mode, len(choice.names)) != ("required", 1)
    )
    tools = [
        tool for tool in request.tools if not several or (choice and tool.name in choice.names)
    ]
    alone = request.parallel_tool_calls is False
    mode = choice.mode if choice else "auto" if alone else None
    top_p = request.top_p if request.top_p is None else min(request.top_p, 1)
    shape = request.output_format
    return msgspec.structs.replace(
        request,
        messages=[
            message_of(one.role, map(_block, one.parts), result_of=one.result_of)
            for one in request.messages
        ],
        tools=tuple(msgspec.structs.replace(tool, strict=None) for tool in tools),
        tool_choice=ToolChoice(mode, () if several or not choice else choice.names)
        if tools and mode
        else None,
        parallel_tool_calls=False if tools and alone and mode != "none" else None,
        max_tokens=request.max_tokens or 32_000,
        temperature=None if thinks or request.temperature is None else min(request.temperature, 1),
        top_p=top_p if ((top_p or 0) >= 0.95 if thinks else request.temperature is None) else None,
        top_k=None if thinks else request.top_k,
        output_format=OutputFormat(schema=shape.schema)
        if shape and shape.schema is not None
        else None,
        thinking=Thinking(effort="high", switch="adaptive", summary="auto")
        if thinks
        else Thinking(),
    )


def _block(part: Part) -> Part:
    match part:
        case Refusal():
            return Text(part.text)
        case Reasoning():
            return Reasoning(part.text, "thinking")
        case Image():
            return Image(part.url)
        case ToolCall():
            return ToolCall(part.id, part.name, scalar_text(input_of(part.arguments)).decode())
    return part


def audible(request: Request) -> Request:
    """The request without texts of blanks, which Messages upstreams don't get."""
    messages = [
        message_of(one.role, map(_loud, one.parts), result_of=one.result_of) if one.parts else one
        for one in request.messages
    ]
    return msgspec.structs.replace(request, messages=messages)


def _loud(part: Part) -> Part:
    if isinstance(part, Text | Refusal) and not part.text.strip():
        return msgspec.structs.replace(part, text="x")
    return part


@given(requests().map(audible))
@pytest.mark.parametrize("wire_format", FORMATS)
def test_a_request_says_the_same_in_every_format_but_for_what_is_listed(
    wire_format: WireFormat, request: Request
) -> None:
    assert through(request, wire_format) == expected(request, wire_format)


@given(requests())
@pytest.mark.parametrize("wire_format", FORMATS)
def test_what_a_format_has_said_once_it_says_again_byte_for_byte(
    wire_format: WireFormat, request: Request
) -> None:
    body = UPSTREAMS[wire_format].encode(request, "m", ABLE)
    assert UPSTREAMS[wire_format].encode(CLIENTS[wire_format].decode(body), "m", ABLE) == body


@given(requests())
def test_a_request_that_went_through_both_formats_lost_only_what_is_listed(
    request: Request,
) -> None:
    there = through(through(request, "responses"), "chat")
    lost = NOT_CARRIED["responses"] | NOT_FROM_OTHERS | {"usage_asked": request.stream}
    kept = msgspec.structs.replace(request, **lost)
    kept.messages = [
        _with_field(message, {"reasoning_content": "reasoning_text"}) for message in kept.messages
    ]
    assert there == kept


@given(requests().map(audible))
def test_a_request_that_went_through_messages_lost_no_more_of_it_than_messages_and_chat_do(
    request: Request,
) -> None:
    there = through(through(request, "messages"), "chat")
    lost = NOT_FROM_OTHERS | {
        "usage_asked": request.stream,
        "origin": "chat",
        "thinking": request.thinking,
    }
    kept = msgspec.structs.replace(expected(request, "messages"), **lost)
    kept.messages = [_as_chat(message) for message in kept.messages]
    assert there == kept


def _as_chat(message: Message) -> Message:
    """A chat message has one text, and reasoning under another name."""
    if message.role != "assistant":
        return message
    thoughts = [
        Reasoning(part.text, "reasoning_content")
        for part in message.parts
        if isinstance(part, Reasoning)
    ]
    return message_of(
        "assistant", [*thoughts, *([Text(message.text)] if message.text else []), *message.calls]
    )


@given(requests())
def test_a_lowered_request_holds_functions_only_and_fits_itself(request: Request) -> None:
    low = lowered(request, Abilities())
    assert not any(tool.custom for tool in low.request.tools)
    assert not any(call.custom for message in low.request.messages for call in message.calls)
    assert lowered(low.request, Abilities()).request == low.request


@given(json_texts(4).map(utf8))
@pytest.mark.parametrize(
    "member",
    [
        "messages",
        "input",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "system",
        "stop",
        "thinking",
    ],
)
@pytest.mark.parametrize("wire_format", FORMATS)
def test_any_json_in_a_request_is_read_or_refused(
    wire_format: WireFormat, member: str, text: bytes
) -> None:
    items = b"" if member in ("messages", "input") else b'"messages":[],"input":[],'
    with suppress(RequestError):
        is_plain(cut(b'{%b"%b":%b}' % (items, member.encode(), text)))
        request = CLIENTS[wire_format].decode(
            b'{"model":"m",%b"%b":%b}' % (items, member.encode(), text)
        )
        for upstream in UPSTREAMS.values():
            with suppress(RequestError):
                upstream.encode(lowered(request, ABLE).request, "m", ABLE)


# -- answers ---------------------------------------------------------------------------------------

THOUGHTS = st.one_of(
    st.builds(Reasoning, SURROGATES, st.just(SUMMARY)),
    st.builds(
        Reasoning,
        SURROGATES,
        st.just(SUMMARY),
        st.just("state"),
        st.just("encrypted_content"),
        st.just("rs_1"),
    ),
)
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}
ANY_PARTS = st.lists(
    st.one_of(
        THOUGHTS,
        st.builds(Text, SAID),
        st.builds(Refusal, SAID),
        st.builds(ToolCall, st.just("x"), NAMES, SURROGATES, st.booleans()),
        st.just(Foreign("responses", SEARCH)),
    ),
    max_size=6,
)
USAGES = st.one_of(
    st.none(),
    st.builds(
        Usage,
        prompt_tokens=st.just(9),
        completion_tokens=st.just(5),
        cached_tokens=st.integers(0, 9),
    ),
)


@st.composite
def answers(draw: st.DrawFn) -> Turn:
    """A turn in which pieces of one kind stand apart, as formats with items have it."""
    parts = draw(ANY_PARTS)
    held = [part for at, part in enumerate(parts) if at == 0 or not _joins(parts[at - 1], part)]
    calls = any(isinstance(part, ToolCall) for part in held)
    return turn_of(
        held, draw(st.sampled_from(["length", "content_filter", "tool_calls" if calls else "stop"]))
    )


def _joins(before: Part, part: Part) -> bool:
    """Whether the parts would be one message."""
    return isinstance(before, Text | Refusal) and isinstance(part, Text | Refusal)


def minted(choice: int, index: int, _: str) -> str:
    return f"call_{choice}_{index}"


def asking(**more: Any) -> Request:
    body = {
        "model": "m",
        "input": "hi",
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
    }
    return CLIENTS["responses"].decode(scalar_text(body | {"stream": True} | more))


def written(wire_format: WireFormat, deltas: list[Delta], problem: Problem | None = None) -> bytes:
    """The stream a client gets, one delta after the other."""
    writer = CLIENTS[wire_format].writer(asking(), HEAD, minted, own_state)
    steps = [writer.write([delta]) for delta in deltas]
    return b"".join([*steps, writer.fail(problem) if problem else writer.end()])


def heard(wire_format: WireFormat, pieces: list[bytes]) -> tuple[dict[int, Turn], Usage | None]:
    reader, accumulator, events = UPSTREAMS[wire_format].reader(), Accumulator(), sse.Events()
    for raw in [raw for piece in pieces for raw in events.feed(piece)]:
        for delta in reader.read(raw):
            accumulator.add(delta)
    assert reader.done
    return accumulator.turns(), accumulator.usage


def steps(turn: Turn, usage: Usage | None) -> list[Delta]:
    return [*deltas_of(turn), *([UsageReport(usage)] if usage else [])]


def own_ids(turn: Turn) -> Turn:
    """The turn under the ids that clients get, in the words that streams have for its reasoning."""
    calls = iter(range(len(turn.calls)))
    parts = [
        ToolCall(f"call_0_{next(calls)}", part.name, part.arguments, part.custom)
        if isinstance(part, ToolCall)
        else part
        for part in turn.ordered
    ]
    kept = [_named(part, at) for at, part in enumerate(parts)]
    return turn_of(kept, turn.finish_reason)


def _named(part: Part, at: int) -> Part:
    """A reasoning item has the id that its place gives it."""
    if not isinstance(part, Reasoning) or not part.opaque:
        return part
    return Reasoning(part.text, part.field, part.opaque, part.carrier, f"rs_abc{at}")


@given(answers(), USAGES, st.data())
def test_a_turn_that_goes_out_as_responses_events_comes_back_whole_in_any_cut(
    turn: Turn, usage: Usage | None, data: st.DataObject
) -> None:
    stream = written("responses", steps(turn, usage))
    read_responses(stream)
    assert heard("responses", data.draw(cuts(stream))) == ({0: own_ids(turn)}, usage)


@given(answers(), USAGES)
def test_a_whole_response_is_its_streams_twin(turn: Turn, usage: Usage | None) -> None:
    streamed = read_responses(written("responses", steps(turn, usage)))
    whole = CLIENTS["responses"].whole({0: turn}, usage, asking(), HEAD, minted, own_state)
    assert value(whole) == streamed
    found = UPSTREAMS["responses"].whole(whole)
    assert found is not None
    assert (found.turns, found.usage) == ({0: own_ids(turn)}, usage)


@given(answers(), st.integers(0, 20))
def test_a_response_that_fails_anywhere_is_well_formed_and_read_as_a_failure(
    turn: Turn, at: int
) -> None:
    stream = written("responses", list(deltas_of(turn))[:at], PROBLEM)
    assert read_responses(stream)["status"] == "failed"
    reader = UPSTREAMS["responses"].reader()
    found = [delta for raw in sse.Events().feed(stream) for delta in reader.read(raw)]
    assert [delta.message for delta in found if isinstance(delta, StreamError)] == ["cut"]


@given(answers(), USAGES, st.data())
def test_a_turn_as_chat_chunks_keeps_its_words_and_calls_in_any_cut(
    turn: Turn, usage: Usage | None, data: st.DataObject
) -> None:
    stream = written("chat", steps(turn, usage))
    choices, told = read_chat(stream)
    assert (choices[0].text, choices[0].calls) == (
        turn.text,
        [
            {"id": f"call_0_{at}", "name": c.name, "arguments": c.arguments}
            for at, c in enumerate(turn.calls)
        ],
    )
    assert (told is None) == (usage is None)
    turns, _ = heard("chat", data.draw(cuts(stream)))
    reasoning = "\n\n".join(
        part.text for part in turn.ordered if isinstance(part, Reasoning) and part.text
    )
    assert (turns[0].text, turns[0].reasoning.text if turns[0].reasoning else "") == (
        turn.text,
        reasoning,
    )


@given(answers(), USAGES)
def test_how_deltas_are_grouped_changes_no_byte(turn: Turn, usage: Usage | None) -> None:
    for wire_format in FORMATS:
        writer = CLIENTS[wire_format].writer(asking(), HEAD, minted, own_state)
        assert writer.write(steps(turn, usage)) + writer.end() == written(
            wire_format, steps(turn, usage)
        )


@given(answers())
def test_what_a_lowered_upstream_calls_is_raised_alike_whole_and_streamed(turn: Turn) -> None:
    custom = frozenset(call.name for call in turn.calls if call.custom)
    low = [
        ToolCall(part.id, part.name, scalar_text({"input": part.arguments}).decode())
        if isinstance(part, ToolCall)
        else part
        for part in turn.ordered
    ]
    raising, accumulator = Raising(custom), Accumulator()
    for delta in raising.read(list(deltas_of(turn_of(low, "stop")))):
        accumulator.add(delta)
    assert accumulator.turns()[0] == raised(turn_of(low, "stop"), custom)
    assert [c.arguments for c in accumulator.turns()[0].calls if c.name in custom] == [
        c.arguments for c in turn.calls if c.name in custom
    ]


@given(st.lists(json_texts(4).map(utf8), max_size=4))
@pytest.mark.parametrize(
    "wrapped",
    [
        b"%b",
        b'{"type":"response.output_item.added","output_index":0,"item":%b}',
        b'{"type":"response.output_item.done","output_index":%b,"item":{"type":"message"}}',
        b'{"type":"response.completed","response":%b}',
        b'{"type":"response.output_text.delta","delta":%b}',
        b'{"type":"error","error":%b}',
    ],
)
def test_any_json_in_a_responses_event_is_taken(wrapped: bytes, texts: list[bytes]) -> None:
    reader, accumulator = UPSTREAMS["responses"].reader(), Accumulator()
    for text in texts:
        for delta in reader.read(sse.event((wrapped % text).replace(b"\r", b"\n"))):
            accumulator.add(delta)
    accumulator.turns()


@given(json_texts(4).map(utf8))
@pytest.mark.parametrize(
    "wrapped", [b"%b", b'{"output":%b}', b'{"output":[%b]}', b'{"status":"failed","error":%b}']
)
def test_any_json_as_a_whole_response_is_taken_or_refused(wrapped: bytes, text: bytes) -> None:
    UPSTREAMS["responses"].whole(wrapped % text)
