"""What must hold of a request on its way into and out of every format."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.formats.cursor import is_plain
from addon.formats.messages.blocks import input_of
from addon.formats.neutral.adapt import Abilities, lowered
from addon.formats.neutral.problem import RequestError
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
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    message_of,
)
from addon.formats.translate import CLIENTS, UPSTREAMS
from addon.formats.wire.splice import scalar_text
from tests.properties.test_formats import SURROGATES, TEXTS, json_texts, utf8

FORMATS: list[WireFormat] = ["chat", "responses", "messages"]
ABLE = Abilities(unsigned_thinking=True)
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

NO_CHOICE: dict[str, Any] = {"tool_choice": None, "parallel_tool_calls": None}
"""What is said of choosing among no tools."""

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
    changes |= {} if request.tools else NO_CHOICE
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
        messages=_unended(
            [
                message_of(one.role, map(_block, one.parts), result_of=one.result_of)
                for one in request.messages
            ]
        ),
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


def _unended(messages: list[Message]) -> list[Message]:
    """The messages without blanks at the end of an answer that is begun."""
    *before, last = messages
    end = last.parts[-1] if last.role == "assistant" else None
    if not isinstance(end, Text):
        return messages
    return [*before, message_of("assistant", [*last.parts[:-1], Text(end.text.rstrip())])]


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
    kept = msgspec.structs.replace(request, **lost | ({} if request.tools else NO_CHOICE))
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
    if kept.output_format:
        kept.output_format = msgspec.structs.replace(kept.output_format, name="answer")
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
