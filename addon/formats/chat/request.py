"""Chat bodies as neutral requests, and neutral requests as chat bodies.

Members: https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Iterator
from typing import Any

from addon.formats.chat import carriers
from addon.formats.neutral.request import (
    SHARED,
    OutputFormat,
    Request,
    Thinking,
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
from addon.formats.tolerant.parts import parts_of
from addon.formats.tolerant.tools import choice_of, tools_of
from addon.formats.wire.lenient import flag, integer, number, objects, record, strings, text
from addon.formats.wire.splice import scalar_text, value

__all__ = ("decode", "decoded", "encode")

_NAMED = frozenset(Request.__struct_fields__) | {
    *(
        "input",
        "system",
        "functions",
        "function_call",
        "max_completion_tokens",
        "stop_sequences",
        "response_format",
    ),
    *("reasoning_effort", "reasoning", "stream_options", "n"),
}
"""Members that a neutral request has names for."""

_SAME_NAME = (
    *("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "stop"),
    *("parallel_tool_calls", "verbosity", "user"),
)
"""Members that are called the same here and there."""

_OWN = ("top_k", "store", "metadata")
"""Members that many chat upstreams refuse: passed on for those only who sent them to the
chat path.
"""


def decode(body: bytes, deployment: str = "") -> Request:
    """Read a chat body; `deployment` names the model instead of it. Raises RequestError."""
    found = opened(body)
    if deployment:
        found["model"] = deployment
    return decoded(found)


def decoded(found: dict[str, Any]) -> Request:
    """The request in the members of a chat body. Raises RequestError."""
    messages = found.get("messages")
    if not isinstance(messages, list):
        what = "is not an array" if "messages" in found else "is missing"
        raise refused("missing_messages", f"The request's 'messages' {what}.", "messages")
    tools, hosted = tools_of(
        [*objects(found.get("tools")), *_legacy_functions(found.get("functions"))], "chat"
    )
    system = parts_of(found.get("system"))
    return Request(
        origin="chat",
        model=model_of(found.get("model")),
        messages=[
            *([message_of("system", system)] if system else []),
            *messages_of(messages, joined=False),
        ],
        tools=tools,
        hosted=hosted,
        tool_choice=choice_of(
            found.get("tool_choice") or _legacy_choice(found.get("function_call"))
        ),
        parallel_tool_calls=flag(found, "parallel_tool_calls"),
        max_tokens=_either(
            integer(found.get("max_completion_tokens")), integer(found.get("max_tokens"))
        ),
        temperature=number(found.get("temperature")),
        top_p=number(found.get("top_p")),
        top_k=integer(found.get("top_k")),
        presence_penalty=number(found.get("presence_penalty")),
        frequency_penalty=number(found.get("frequency_penalty")),
        seed=integer(found.get("seed")),
        stop=strings(found.get("stop")) or strings(found.get("stop_sequences")),
        output_format=_output_format(record(found.get("response_format"))),
        verbosity=text(found.get("verbosity")),
        thinking=_thinking(found),
        stream=found.get("stream") is True,
        usage_asked=record(found.get("stream_options")).get("include_usage") is True,
        store=flag(found, "store"),
        metadata=record(found.get("metadata")) or None,
        user=text(found.get("user")),
        extra={key: kept for key, kept in found.items() if key not in _NAMED},
    )


def _either(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


def _legacy_functions(functions: Any) -> list[dict[str, Any]]:
    return (
        [{"type": "function", "function": one} for one in functions]
        if isinstance(functions, list)
        else []
    )


def _legacy_choice(found: Any) -> Any:
    return {"type": "function", "function": found} if isinstance(found, dict) else found


def _output_format(found: dict[str, Any]) -> OutputFormat | None:
    kind, given = found.get("type"), record(found.get("json_schema"))
    if kind == "json_object":
        return OutputFormat()
    if kind != "json_schema":
        return None
    return OutputFormat(
        schema=record(given.get("schema")),
        name=text(given.get("name")),
        description=text(given.get("description")),
        strict=flag(given, "strict"),
    )


def _thinking(found: dict[str, Any]) -> Thinking:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, and the `thinking` of
    Anthropic, DeepSeek and others.
    """
    reasoning, thinking = record(found.get("reasoning")), record(found.get("thinking"))
    budget = integer(thinking.get("budget_tokens"))
    switch = text(thinking.get("type"))
    if reasoning.get("enabled") is not None:
        switch = switch or ("enabled" if reasoning["enabled"] else "disabled")
    return Thinking(
        effort=text(found.get("reasoning_effort")) or text(reasoning.get("effort")),
        budget=integer(reasoning.get("max_tokens")) if budget is None else budget,
        switch=switch,
        summary=text(reasoning.get("summary")),
    )


def encode(request: Request, *, model: str, completion_tokens: bool = False) -> bytes:
    """The body for a chat upstream; streamed usage is always asked for, since metering needs it.

    `completion_tokens`: the upstream knows `max_completion_tokens` (OpenAI's own), not
    `max_tokens`. Raises RequestError for what Chat Completions has no place for.
    """
    for hosted in request.hosted:
        if hosted.wire_format != "chat":
            raise unsupported_tool(hosted)
    names = (*_SAME_NAME, *(_OWN if request.origin == "chat" else ()))
    given = {name: getattr(request, name) for name in names} | {
        "max_completion_tokens" if completion_tokens else "max_tokens": request.max_tokens,
        "tools": [*map(_tool, request.tools), *(hosted.tool for hosted in request.hosted)],
        "tool_choice": _choice(request.tool_choice, request.tools),
        "response_format": _response_format(request.output_format),
        "stream": request.stream or None,
        "stream_options": {"include_usage": True} if request.stream else None,
        **_thinking_members(request),
    }
    extra = {
        key: kept
        for key, kept in request.extra.items()
        if request.origin == "chat" or key in SHARED
    }
    return scalar_text(
        {"model": model, "messages": list(_messages(request.messages)), **_given(given), **extra}
    )


def _thinking_members(request: Request) -> dict[str, Any]:
    """A switch is passed to those who were meant to get it: OpenAI and others refuse the member."""
    thinking = request.thinking
    switch = {"type": thinking.switch, "budget_tokens": thinking.budget}
    meant = thinking.switch and request.origin == "chat"
    return {"reasoning_effort": thinking.effort, "thinking": _given(switch) if meant else None}


def _response_format(wanted: OutputFormat | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    if wanted.schema is None:
        return {"type": "json_object"}
    given = {
        "name": wanted.name,
        "description": wanted.description,
        "strict": wanted.strict,
        "schema": wanted.schema,
    }
    return {"type": "json_schema", "json_schema": _given(given)}


def _tool(tool: Tool) -> dict[str, Any]:
    given = {"name": tool.name, "description": tool.description}
    if tool.custom:
        grammar = {key: kept for key, kept in (tool.grammar or {}).items() if key != "type"}
        form = {"type": "grammar", "grammar": grammar} if grammar else None
        return {"type": "custom", "custom": _given(given | {"format": form})}
    return {
        "type": "function",
        "function": _given(given | {"parameters": tool.parameters, "strict": tool.strict}),
    }


def _given(named: dict[str, Any]) -> dict[str, Any]:
    """The members that say something."""
    return {key: kept for key, kept in named.items() if kept not in (None, "", (), [])}


def _choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> Any:
    if choice is None:
        return None
    custom = {tool.name for tool in tools if tool.custom}
    named = [_named(name, "custom" if name in custom else "function") for name in choice.names]
    if not named:
        return choice.mode
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _named(name: str, kind: str) -> dict[str, Any]:
    return {"type": kind, kind: {"name": name}}


def _messages(messages: list[Message]) -> Iterator[dict[str, Any]]:
    """Pictures in tool results, which chat has no place for, follow the results as the user's."""
    pictures: list[Part] = []
    for message in messages:
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


def _flat(parts: tuple[Part, ...], between: str) -> str:
    return between.join(part.text for part in parts if isinstance(part, Text))


def _content(message: Message) -> Any:
    """A system message is one text: its parts stand apart there as paragraphs."""
    if message.role == "system":
        return _flat(message.parts, "\n\n")
    if len(message.parts) == 1 and isinstance(message.parts[0], Text):
        return message.parts[0].text
    return [_part(part) for part in message.parts] or ""


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            if not part.url:
                raise refused(
                    "unsupported_content",
                    "An uploaded image can't be passed on: send it as a data: URL.",
                )
            return {
                "type": "image_url",
                "image_url": _given({"url": part.url, "detail": part.detail}),
            }
        case File():
            held = "file_url" if part.url.startswith(("http:", "https:")) else "file_data"
            given = {"filename": part.name, held: part.url, "file_id": part.file_id}
            return {"type": "file", "file": _given(given)}
    raise refused(
        "unsupported_content",
        "A message of the user or the system holds what only an assistant says.",
    )


def _assistant(message: Message) -> dict[str, Any]:
    said = _flat(message.parts, "")
    calls = [_call(call) for call in message.calls]
    found: dict[str, Any] = {"role": "assistant", "content": said or (None if calls else "")}
    thought: Reasoning | None = None
    for part in message.parts:
        match part:
            case Reasoning() if part.carrier in (carriers.THINK, carriers.THINKING_CHUNK):
                thought = part
            case Reasoning():
                _carry(found, part, calls)
            case Refusal():
                found["refusal"] = part.text
            case Foreign():
                kind = text(part.item.get("type"))
                raise refused(
                    "unsupported_item",
                    f"This model can't read the item '{kind}' of the conversation.",
                )
    if thought is not None:
        found["content"] = _thought_and_said(thought, said)
    for field in found.keys() & set(REASONING_FIELDS):
        found[field] = "".join(found[field])
    if calls:
        found["tool_calls"] = calls
    return found


def _thought_and_said(thought: Reasoning, said: str) -> str | list[Any]:
    """The content of a message whose upstream has the reasoning in it."""
    if thought.carrier == carriers.THINK:
        return thought.opaque + said
    return [*value(thought.opaque.encode()), *([{"type": "text", "text": said}] if said else [])]


def _carry(found: dict[str, Any], part: Reasoning, calls: list[dict[str, Any]]) -> None:
    """Put a piece of reasoning where its upstream had it; strings as lists of their pieces."""
    match part.carrier:
        case carriers.ANNEX:
            if part.id.isdecimal() and int(part.id) < len(calls):
                calls[int(part.id)][carriers.ANNEX] = value(part.opaque.encode())
            return
        case carriers.DETAILS:
            found[carriers.DETAILS] = value(part.opaque.encode())
            if found[carriers.DETAILS]:
                return
    if part.quoted or (part.carrier == carriers.DETAILS and part.text):
        field = part.field if part.field in REASONING_FIELDS else REASONING_FIELDS[0]
        found.setdefault(field, []).append(part.text)


def _call(call: ToolCall) -> dict[str, Any]:
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
