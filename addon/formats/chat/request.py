"""Chat bodies as neutral requests, and neutral requests as chat bodies.

Members: https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from addon.formats.chat import carriers, thinking
from addon.formats.neutral.request import (
    SHARED,
    OutputFormat,
    Request,
    Tool,
    ToolChoice,
    model_of,
    opened,
    refused,
    unsupported_tool,
)
from addon.formats.neutral.turn import (
    File,
    Foreign,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    message_of,
)
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.tolerant.history import messages_of
from addon.formats.tolerant.malformed import refuse_malformed
from addon.formats.tolerant.parts import parts_of
from addon.formats.tolerant.tools import choice_of, tools_of, tools_within
from addon.formats.wire.lenient import (
    as_dict,
    as_int,
    as_number,
    as_str,
    bool_member,
    dicts_in,
    strings_in,
)
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import json_text, value

__all__ = ("decode", "decoded", "encode")

_NAMED = frozenset(Request.__struct_fields__) | {
    "function_call",
    "functions",
    "input",
    "max_completion_tokens",
    "n",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "stop_sequences",
    "stream_options",
    "system",
}
"""Members with a neutral name."""

_SAME_NAME = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "parallel_tool_calls",
    "verbosity",
    "user",
)
"""Members whose neutral name is the same."""

_OWN = ("top_k", "store", "metadata")
"""Members that many chat upstreams refuse: only clients of the chat path get them passed on."""


def decode(body: bytes, deployment: str = "") -> Request:
    """Read a chat body; `deployment` names the model instead of it. Raises RequestError."""
    found = opened(body)
    if deployment:
        found["model"] = deployment
    return decoded(found)


def decoded(found: dict[str, Any]) -> Request:
    """The request in the members of a chat body. Raises RequestError."""
    items, system = _items(found), _system(found)
    declared = [*dicts_in(found.get("tools")), *_legacy_functions(found.get("functions"))]
    tools, hosted = tools_of(declared, "chat")
    loaded, hosted_later = tools_within(items)
    tool_choice = found.get("tool_choice") or _legacy_choice(found.get("function_call"))
    return Request(
        origin="chat",
        model=model_of(found.get("model")),
        messages=system + messages_of(items, joined=False),
        tools=tools,
        loaded=loaded,
        hosted=hosted + hosted_later,
        tool_choice=choice_of(tool_choice),
        parallel_tool_calls=bool_member(found, "parallel_tool_calls"),
        max_tokens=_first_integer(found, "max_completion_tokens", "max_tokens"),
        temperature=as_number(found.get("temperature")),
        top_p=as_number(found.get("top_p")),
        top_k=as_int(found.get("top_k")),
        presence_penalty=as_number(found.get("presence_penalty")),
        frequency_penalty=as_number(found.get("frequency_penalty")),
        seed=as_int(found.get("seed")),
        stop=strings_in(found.get("stop")) or strings_in(found.get("stop_sequences")),
        output_format=_output_format(as_dict(found.get("response_format"))),
        verbosity=as_str(found.get("verbosity")),
        thinking=thinking.read(found),
        stream=found.get("stream") is True,
        usage_asked=as_dict(found.get("stream_options")).get("include_usage") is True,
        store=bool_member(found, "store"),
        metadata=as_dict(found.get("metadata")) or None,
        user=as_str(found.get("user")),
        extra={key: member for key, member in found.items() if key not in _NAMED},
    )


def _items(found: dict[str, Any]) -> list[Any]:
    items = found.get("messages")
    if isinstance(items, list):
        refuse_malformed(items, "messages")
        return items
    message = "The request's 'messages' is missing."
    if "messages" in found:
        message = "The request's 'messages' is not an array."
    raise refused("missing_messages", message, "messages")


def _system(found: dict[str, Any]) -> list[Message]:
    """The `system` that some clients put beside the messages."""
    parts = parts_of(found.get("system"))
    if not parts:
        return []
    return [message_of("system", parts)]


def _first_integer(found: dict[str, Any], *names: str) -> int | None:
    numbers = (as_int(found.get(name)) for name in names)
    return next((number for number in numbers if number is not None), None)


def _legacy_functions(functions: Any) -> list[dict[str, Any]]:
    if not isinstance(functions, list):
        return []
    return [{"type": "function", "function": function} for function in functions]


def _legacy_choice(function_call: Any) -> Any:
    if not isinstance(function_call, dict):
        return function_call
    return {"type": "function", "function": function_call}


def _output_format(wanted: dict[str, Any]) -> OutputFormat | None:
    if wanted.get("type") == "json_object":
        return OutputFormat()
    if wanted.get("type") != "json_schema":
        return None
    schema = as_dict(wanted.get("json_schema"))
    return OutputFormat(
        schema=as_dict(schema.get("schema")),
        name=as_str(schema.get("name")),
        description=as_str(schema.get("description")),
        strict=bool_member(schema, "strict"),
    )


def encode(request: Request, *, model: str, completion_tokens: bool = False) -> bytes:
    """The body for a chat upstream; it always asks for streamed usage, which metering needs.

    `completion_tokens`: the upstream knows `max_completion_tokens` (OpenAI's own), not
    `max_tokens`. Raises RequestError where Chat Completions has no word for it.
    """
    for hosted in request.hosted:
        if hosted.wire_format != "chat":
            raise unsupported_tool(hosted)
    members = {name: getattr(request, name) for name in _SAME_NAME}
    extra = request.extra
    if request.origin == "chat":
        members |= {name: getattr(request, name) for name in _OWN}
    else:
        extra = {key: member for key, member in extra.items() if key in SHARED}
    limit = "max_tokens"
    if completion_tokens:
        limit = "max_completion_tokens"
    members |= {
        limit: request.max_tokens,
        "tools": [*map(_tool, request.tools), *(hosted.tool for hosted in request.hosted)],
        "tool_choice": _choice(request.tool_choice, request.tools),
        "response_format": _response_format(request.output_format),
        "stream": request.stream or None,
        "stream_options": None,
        **_thinking_members(request),
    }
    if not members["tools"]:  # upstreams refuse a choice among none
        members |= {"tool_choice": None, "parallel_tool_calls": None}
    if request.stream:
        members["stream_options"] = {"include_usage": True}
    messages = list(_messages(request.messages))
    return json_text({"model": model, "messages": messages, **_given(members), **extra})


def _thinking_members(request: Request) -> dict[str, Any]:
    asked = request.thinking
    members: dict[str, Any] = {thinking.EFFORT: asked.effort}
    # OpenAI and others refuse the switch: only a client that sent it here gets it passed on.
    own = request.origin == "chat" and request.extra.keys().isdisjoint(thinking.WORDS)
    if asked.switch and own:
        members["thinking"] = _given({"type": asked.switch, "budget_tokens": asked.budget})
    return members


def _response_format(wanted: OutputFormat | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    if wanted.schema is None:
        return {"type": "json_object"}
    schema = {
        "name": wanted.name or "answer",  # the API demands a name
        "description": wanted.description,
        "strict": wanted.strict,
        "schema": wanted.schema,
    }
    return {"type": "json_schema", "json_schema": _given(schema)}


def _tool(tool: Tool) -> dict[str, Any]:
    breathe()
    members: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if not tool.custom:
        members |= {"parameters": tool.parameters, "strict": tool.strict}
        return {"type": "function", "function": _given(members)}
    grammar = {key: member for key, member in (tool.grammar or {}).items() if key != "type"}
    if grammar:
        members["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": "custom", "custom": _given(members)}


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """The members that are not empty."""
    return {key: member for key, member in members.items() if member not in (None, "", (), [])}


def _choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> Any:
    if choice is None:
        return None
    if not choice.names:
        return choice.mode
    kinds = {tool.name: "custom" for tool in tools if tool.custom}
    named = [_named(name, kinds.get(name, "function")) for name in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _named(name: str, kind: str) -> dict[str, Any]:
    return {"type": kind, kind: {"name": name}}


def _messages(messages: list[Message]) -> Iterator[dict[str, Any]]:
    """The messages; pictures in tool results, which chat has no place for, follow as the user's."""
    pictures: list[Part] = []
    for message in _with_annexes(messages):
        if pictures and message.role != "tool":
            yield {"role": "user", "content": [_part(part) for part in pictures]}
            pictures = []
        if message.role == "assistant":
            yield _assistant(message)
        elif message.role == "tool":
            yield {
                "role": "tool",
                "tool_call_id": message.result_of,
                "content": _flat(message.parts, "\n"),
            }
            pictures += [part for part in message.parts if isinstance(part, Image | File)]
        else:
            yield {"role": message.role, "content": _content(message)}
    if pictures:
        yield {"role": "user", "content": [_part(part) for part in pictures]}


def _with_annexes(messages: list[Message]) -> Iterator[Message]:
    """The messages, each annex in the one that has its call: some clients replay a turn's text
    and its calls as two messages.
    """
    waiting: list[Part] = []
    for message in messages:
        if message.role != "assistant":
            waiting = []
        elif waiting:
            message = message_of("assistant", [*message.parts, *waiting])
        waiting = [left for part in message.parts for left in _beyond(part, len(message.calls))]
        yield message


def _beyond(part: Part, calls: int) -> Iterator[Part]:
    """The annex of a call after so many, as one of the next message's."""
    if not isinstance(part, Reasoning) or part.carrier != carriers.ANNEX:
        return
    if part.id.isdecimal() and int(part.id) >= calls:
        yield replace(part, id=str(int(part.id) - calls))


def _flat(parts: tuple[Part, ...], between: str) -> str:
    return between.join(part.text for part in parts if isinstance(part, Text))


def _content(message: Message) -> Any:
    """A message's content; a system message is one text with its parts as paragraphs."""
    breathe()
    if message.role == "system":
        return _flat(message.parts, "\n\n")
    if len(message.parts) == 1 and isinstance(message.parts[0], Text):
        return message.parts[0].text
    return [_part(part) for part in message.parts] or ""


def _part(part: Part) -> dict[str, Any]:
    breathe()
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            if not part.url:
                message = "An uploaded image can't be passed on: send it as a data: URL."
                raise refused("unsupported_content", message)
            image = {"url": part.url, "detail": part.detail}
            return {"type": "image_url", "image_url": _given(image)}
        case File():
            place = "file_data"
            if part.url.startswith(("http:", "https:")):
                place = "file_url"
            file = {"filename": part.name, place: part.url, "file_id": part.file_id}
            return {"type": "file", "file": _given(file)}
    raise refused(
        "unsupported_content",
        "A message of the user or the system holds what only an assistant says.",
    )


def _assistant(message: Message) -> dict[str, Any]:
    breathe()
    visible = _flat(message.parts, "")
    calls = [_call(call) for call in message.calls]
    members: dict[str, Any] = {"role": "assistant", "content": visible}
    if calls and not visible:
        members["content"] = None
    for part in message.parts:
        match part:
            case Reasoning() if part.carrier in (carriers.THINK, carriers.THINKING_CHUNK):
                members["content"] = _content_with(part, visible)
            case Reasoning():
                _carry(members, part, calls)
            case Refusal():
                members["refusal"] = part.text
            case Foreign():
                kind = as_str(part.item.get("type"))
                message_text = f"This model can't read the item '{kind}' of the conversation."
                raise refused("unsupported_item", message_text)
    for field in members.keys() & set(REASONING_FIELDS):
        members[field] = "".join(members[field])
    if calls:
        members["tool_calls"] = calls
    return members


def _content_with(thought: Reasoning, visible: str) -> str | list[Any]:
    """The content of a message whose upstream has the reasoning in it."""
    if thought.carrier == carriers.THINK:
        return thought.opaque + visible
    chunks: list[Any] = list(value(thought.opaque.encode()))
    if visible:
        chunks.append({"type": "text", "text": visible})
    return chunks


def _carry(members: dict[str, Any], part: Reasoning, calls: list[dict[str, Any]]) -> None:
    """Put a piece of reasoning where its upstream had it; strings as lists of their pieces."""
    match part.carrier:
        case carriers.ANNEX:
            if part.id.isdecimal() and int(part.id) < len(calls):
                calls[int(part.id)][carriers.ANNEX] = value(part.opaque.encode())
            return
        case carriers.DETAILS:
            members[carriers.DETAILS] = value(part.opaque.encode())
            if members[carriers.DETAILS]:
                return
    if part.quoted or (part.carrier == carriers.DETAILS and part.text):
        field = part.field
        if field not in REASONING_FIELDS:
            field = REASONING_FIELDS[0]
        members.setdefault(field, []).append(part.text)


def _call(call: ToolCall) -> dict[str, Any]:
    breathe()
    if call.custom:
        return {
            "id": call.id,
            "type": "custom",
            "custom": {"name": call.name, "input": call.arguments},
        }
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
