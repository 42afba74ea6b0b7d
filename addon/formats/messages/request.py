"""Messages bodies as neutral requests, and neutral requests as Messages bodies.

Members: https://platform.claude.com/docs/en/api/messages/create.
"""

from itertools import takewhile
from typing import Any

from addon.formats.messages import thinking
from addon.formats.messages.blocks import cache_control, conversation
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.request import (
    OutputFormat,
    Request,
    Tool,
    ToolChoice,
    model_of,
    opened,
    refused,
    unsupported_tool,
)
from addon.formats.neutral.turn import Message, marked, message_of
from addon.formats.tolerant.history import messages_of
from addon.formats.tolerant.parts import parts_of
from addon.formats.tolerant.tools import choice_of, tools_of
from addon.formats.wire.lenient import flag, integer, number, record, strings, text
from addon.formats.wire.splice import Members, members, object_text, scalar_text

__all__ = ("decode", "encode", "items_of", "query_of", "request_of")

_NAMED = frozenset(
    (
        *(
            "model",
            "messages",
            "system",
            "tools",
            "tool_choice",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
        ),
        *("stop_sequences", "stream", "metadata", "thinking", "output_config"),
    )
)
"""Members that a neutral request has names for."""

_NAMED_WITHIN = {
    "output_config": frozenset(("effort", "format")),
    "thinking": frozenset(("type", "budget_tokens", "display")),
}
"""The same for members of members."""

_LONGEST_USER = 64
"""Characters of a user's name that everybody takes; Claude Code's is longer
(github.com/looplj/axonhub/issues/1669).
"""

_CACHED_FOR = "5m"
_QUERY = ("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config")
"""Members that count (https://platform.claude.com/docs/en/api/messages-count-tokens)."""


def decode(body: bytes, parts: Members | None = None) -> Request:
    """Read a Messages request, or one that asks for a count of its tokens; `parts` are its
    members when it was `cut` before. Raises RequestError.
    """
    found = opened(body, parts)
    return request_of(found, messages_of(items_of(found), joined=False, foreign="messages"))


def items_of(found: dict[str, Any]) -> list[Any]:
    """The `messages` of a body. Raises RequestError when there is no such array."""
    items = found.get("messages")
    if isinstance(items, list):
        return items
    what = "is not an array" if "messages" in found else "is missing"
    raise refused("missing_messages", f"The request's 'messages' {what}.", "messages")


def request_of(found: dict[str, Any], messages: list[Message]) -> Request:
    """The request that a body's members make; `messages` are those of its array. Raises
    RequestError.
    """
    tools, hosted = tools_of(found.get("tools"), "messages")
    system = parts_of(found.get("system"), "messages")
    user = _user(found)
    return Request(
        origin="messages",
        model=model_of(found.get("model")),
        messages=[*([message_of("system", system)] if system else []), *messages],
        tools=tools,
        hosted=hosted,
        tool_choice=choice_of(found.get("tool_choice")),
        parallel_tool_calls=_parallel(record(found.get("tool_choice"))),
        max_tokens=integer(found.get("max_tokens")),
        temperature=number(found.get("temperature")),
        top_p=number(found.get("top_p")),
        top_k=integer(found.get("top_k")),
        stop=strings(found.get("stop_sequences")),
        output_format=_output_format(record(record(found.get("output_config")).get("format"))),
        thinking=thinking.read(found),
        stream=found.get("stream") is True,
        usage_asked=True,
        user=user,
        extra=_extra(found, user),
    )


def _user(found: dict[str, Any]) -> str:
    named = text(record(found.get("metadata")).get("user_id"))
    return named if len(named) <= _LONGEST_USER else ""


def _extra(found: dict[str, Any], user: str) -> dict[str, Any]:
    extra = {key: kept for key, kept in found.items() if key not in _NAMED}
    for key, named in _NAMED_WITHIN.items():
        if rest := {
            name: kept for name, kept in record(found.get(key)).items() if name not in named
        }:
            extra[key] = rest
    if (metadata := record(found.get("metadata"))) and metadata != {"user_id": user}:
        extra["metadata"] = metadata
    return extra


def _parallel(choice: dict[str, Any]) -> bool | None:
    disabled = flag(choice, "disable_parallel_tool_use")
    return None if disabled is None else not disabled


def _output_format(found: dict[str, Any]) -> OutputFormat | None:
    return (
        OutputFormat(schema=record(found.get("schema")))
        if found.get("type") == "json_schema"
        else None
    )


def encode(request: Request, *, model: str, abilities: Abilities) -> bytes:
    """The body for a Messages upstream. Raises RequestError for what Messages has no place for."""
    return scalar_text(_body(request, model, abilities))


def query_of(body: bytes) -> bytes:
    """The body with which a Messages upstream is asked to count the tokens of the request
    with this one.
    """
    return object_text([part for part in members(body) if part[0] in _QUERY])


def _body(request: Request, model: str, abilities: Abilities) -> dict[str, Any]:
    for hosted in request.hosted:
        if hosted.wire_format != "messages":
            raise unsupported_tool(hosted)
    max_tokens = abilities.max_tokens if request.max_tokens is None else request.max_tokens
    thought = thinking.written(request, max_tokens, abilities)
    own = request.origin == "messages"
    kept = _cached(request.messages) if abilities.caches and not own else request.messages
    system, messages = conversation(kept, abilities)
    tools = [
        *(_tool(tool, own=own) for tool in _allowed(request)),
        *(hosted.tool for hosted in request.hosted),
    ]
    given = {
        "tools": tools,
        "tool_choice": _choice(request) if tools else None,
        "stop_sequences": [stop for stop in request.stop if stop.strip()],
        "metadata": {"user_id": request.user} if request.user else None,
        "thinking": thought.thinking,
        "output_config": _given(
            {"effort": thought.effort, "format": _format(request.output_format)}
        ),
        "stream": request.stream or None,
        **(_sampling(request, thinks=thought.on) if abilities.sampling else {}),
    }
    head = {
        "model": model,
        "max_tokens": max_tokens,
        **({"system": system} if system else {}),
        "messages": messages,
    }
    return head | _joined(_given(given), request.extra if own else {})


def _cached(messages: list[Message]) -> list[Message]:
    """The messages with marks where the prompt cache is to keep what was said so far,
    unless the client set some.

    https://platform.claude.com/docs/en/build-with-claude/prompt-caching: a mark also finds
    what earlier ones kept.
    """
    if any(
        message.cache or any(getattr(part, "cache", "") for part in message.parts)
        for message in messages
    ):
        return messages
    ends = {
        len(messages) - 1,
        len(list(takewhile(lambda message: message.role == "system", messages))) - 1,
    }
    return [_kept(message) if at in ends else message for at, message in enumerate(messages)]


def _kept(message: Message) -> Message:
    parts = message.parts if message.role == "tool" else marked(message.parts, _CACHED_FOR)
    held = {"result_of": message.result_of, "cache": _CACHED_FOR if message.role == "tool" else ""}
    return message_of(message.role, parts, failed=message.failed, **held)


def _joined(given: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """All members; those that stand in both are objects, and taken together."""
    return extra | {key: extra[key] | kept if key in extra else kept for key, kept in given.items()}


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """The members that say something."""
    return {key: kept for key, kept in members.items() if kept not in (None, "", [], {})}


def _allowed(request: Request) -> list[Tool]:
    """The tools that may be called; Messages has no other way to name several."""
    choice = request.tool_choice
    if choice is None or not choice.names or _forces_one(choice):
        return list(request.tools)
    names = frozenset(choice.names)
    return [tool for tool in request.tools if tool.name in names]


def _forces_one(choice: ToolChoice) -> bool:
    return choice.mode == "required" and len(choice.names) == 1


def _tool(tool: Tool, *, own: bool) -> dict[str, Any]:
    """What others call strict takes schemas that Messages refuses."""
    found: dict[str, Any] = {
        "name": tool.name,
        "input_schema": tool.parameters or {"type": "object"},
    }
    if tool.description:
        found["description"] = tool.description
    if own and tool.strict is not None:
        found["strict"] = tool.strict
    return found | cache_control(tool.cache) | tool.extra


def _choice(request: Request) -> dict[str, Any] | None:
    choice, alone = request.tool_choice, request.parallel_tool_calls is False
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if alone else None
    if choice.mode == "none":
        return {"type": "none"}
    found: dict[str, Any] = {"type": "any" if choice.mode == "required" else "auto"}
    if _forces_one(choice):
        found = {"type": "tool", "name": choice.names[0]}
    return found | ({"disable_parallel_tool_use": True} if alone else {})


def _format(wanted: OutputFormat | None) -> dict[str, Any] | None:
    """Messages can't be asked for just any JSON."""
    return (
        {"type": "json_schema", "schema": wanted.schema}
        if wanted and wanted.schema is not None
        else None
    )


def _sampling(request: Request, *, thinks: bool) -> dict[str, Any]:
    """Temperatures end at 1; beside thinking only a `top_p` near 1 is taken, and on some
    models one of the two.
    """
    top_p = request.top_p if request.top_p is None else min(request.top_p, 1)
    if thinks:
        return {"top_p": top_p if top_p is not None and top_p >= _LEAST_TOP_P else None}
    temperature = (
        request.temperature if request.temperature is None else min(request.temperature, 1)
    )
    both = request.origin == "messages" or temperature is None
    return {"temperature": temperature, "top_p": top_p if both else None, "top_k": request.top_k}


_LEAST_TOP_P = 0.95
