"""Messages bodies as neutral requests, and neutral requests as Messages bodies.

Members: https://platform.claude.com/docs/en/api/messages/create.
"""

from itertools import takewhile
from typing import Any

from msgspec.structs import replace

from addon.formats.messages import thinking
from addon.formats.messages.billing import without_billing_line
from addon.formats.messages.blocks import cache_control, conversation
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.request import (
    Hosted,
    OutputFormat,
    Request,
    Tool,
    ToolChoice,
    model_of,
    opened,
    refused,
    unsupported_tool,
)
from addon.formats.neutral.schemas import flat
from addon.formats.neutral.turn import Message, Part, Text, marked, message_of
from addon.formats.tolerant.history import messages_of
from addon.formats.tolerant.malformed import refuse_malformed
from addon.formats.tolerant.parts import parts_of
from addon.formats.tolerant.tools import choice_of, tools_of
from addon.formats.wire.lenient import as_dict, as_int, as_number, as_str, bool_member, strings_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import Members, json_text, members, object_text

__all__ = ("decode", "described", "encode", "items_of", "query_of", "request_of")

_NAMED = frozenset(
    (
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    )
)
"""Members with a neutral name."""

_NAMED_WITHIN = {
    "output_config": frozenset(("effort", "format")),
    "thinking": frozenset(("type", "budget_tokens", "display")),
}
"""The same for members of members."""

_LONGEST_USER = 64
"""Characters that every upstream takes as a user's name; Claude Code's is longer
(github.com/looplj/axonhub/issues/1669).
"""

_CACHED_FOR = "5m"
"""The API's default, which costs less to write than its other choice, `1h`."""

_QUERY = ("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config")
"""Members that have tokens (https://platform.claude.com/docs/en/api/messages-count-tokens)."""


def decode(body: bytes, parts: Members | None = None) -> Request:
    """Read a Messages request, or one that asks for a count of its tokens; `parts` are its
    members when it was `cut` before. Raises RequestError.
    """
    members = opened(body, parts)
    return request_of(members, messages_of(items_of(members), joined=False, foreign="messages"))


def items_of(members: dict[str, Any]) -> list[Any]:
    """The `messages` of a body. Raises RequestError when there is no such array."""
    items = members.get("messages")
    if isinstance(items, list):
        refuse_malformed(items, "messages")
        return items
    message = "The request's 'messages' is missing."
    if "messages" in members:
        message = "The request's 'messages' is not an array."
    raise refused("missing_messages", message, "messages")


def request_of(members: dict[str, Any], messages: list[Message]) -> Request:
    """The request of a body's members; `messages` are the ones of its array. Raises
    RequestError.
    """
    tools, hosted = tools_of(members.get("tools"), "messages")
    hosted += _connectors(members, hosted)
    user = _user(members)
    return Request(
        origin="messages",
        model=model_of(members.get("model")),
        messages=_system(members) + messages,
        tools=tools,
        hosted=hosted,
        tool_choice=choice_of(members.get("tool_choice")),
        parallel_tool_calls=_parallel(as_dict(members.get("tool_choice"))),
        max_tokens=as_int(members.get("max_tokens")),
        temperature=as_number(members.get("temperature")),
        top_p=as_number(members.get("top_p")),
        top_k=as_int(members.get("top_k")),
        stop=strings_in(members.get("stop_sequences")),
        output_format=_output_format(members),
        thinking=thinking.read(members),
        stream=members.get("stream") is True,
        usage_asked=True,
        user=user,
        extra=_extra(members, user),
    )


def _connectors(members: dict[str, Any], hosted: tuple[Hosted, ...]) -> tuple[Hosted, ...]:
    """The servers of `mcp_servers` where no tool declares theirs, as its first version had them
    (https://platform.claude.com/docs/en/agents-and-tools/mcp-connector).
    """
    if not members.get("mcp_servers") or any(one.kind == "mcp_toolset" for one in hosted):
        return ()
    return (Hosted("messages", "mcp_servers", {}),)


def _system(members: dict[str, Any]) -> list[Message]:
    """The system prompt, without what is none: other formats' upstreams would cache it as one."""
    parts = [_prompt(part) for part in parts_of(members.get("system"), "messages")]
    parts = [part for part in parts if not isinstance(part, Text) or part.text]
    if not parts:
        return []
    return [message_of("system", parts)]


def _prompt(part: Part) -> Part:
    if isinstance(part, Text):
        return replace(part, text=without_billing_line(part.text))
    return part


def _user(members: dict[str, Any]) -> str:
    name = as_str(as_dict(members.get("metadata")).get("user_id"))
    if len(name) > _LONGEST_USER:
        return ""
    return name


def _extra(members: dict[str, Any], user: str) -> dict[str, Any]:
    extra = _without(members, _NAMED)
    for key, names in _NAMED_WITHIN.items():
        rest = _without(as_dict(members.get(key)), names)
        if rest:
            extra[key] = rest
    metadata = as_dict(members.get("metadata"))
    if metadata and metadata != {"user_id": user}:
        extra["metadata"] = metadata
    return extra


def _without(members: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: member for name, member in members.items() if name not in names}


def _parallel(choice: dict[str, Any]) -> bool | None:
    disabled = bool_member(choice, "disable_parallel_tool_use")
    if disabled is None:
        return None
    return not disabled


def _output_format(members: dict[str, Any]) -> OutputFormat | None:
    """The shape of the answer, also under the name of the API's beta."""
    wanted = as_dict(as_dict(members.get("output_config")).get("format"))
    wanted = wanted or as_dict(members.get("output_format"))
    if wanted.get("type") != "json_schema":
        return None
    return OutputFormat(schema=as_dict(wanted.get("schema")))


def encode(request: Request, *, model: str, abilities: Abilities) -> bytes:
    """The body for a Messages upstream. Raises RequestError where Messages has no word for it."""
    return json_text(_body(request, model, abilities))


def query_of(body: bytes) -> bytes:
    """The body that asks an upstream for the tokens of the request with this body."""
    return object_text([part for part in members(body) if part[0] in _QUERY])


def _body(request: Request, model: str, abilities: Abilities) -> dict[str, Any]:
    for hosted in request.hosted:
        if hosted.wire_format != "messages":
            raise unsupported_tool(hosted)
    max_tokens = request.max_tokens
    if max_tokens is None:
        max_tokens = abilities.max_tokens
    own = request.origin == "messages"
    neutral = request.messages
    if abilities.caches and not own:
        neutral = _cached(neutral)
    system, messages = conversation(neutral, abilities)
    head = {"model": model, "max_tokens": max_tokens}
    if system:
        head["system"] = system
    head["messages"] = messages
    members = _given(_members(request, max_tokens, abilities))
    if own:
        members = _joined(members, request.extra)
    return head | members


def _members(request: Request, max_tokens: int, abilities: Abilities) -> dict[str, Any]:
    """All members but the conversation, empty ones included."""
    own = request.origin == "messages"
    thought = thinking.written(request, max_tokens, abilities)
    output = {"effort": thought.effort, "format": _format(request.output_format)}
    members: dict[str, Any] = {
        "tools": [_tool(tool, own=own) for tool in _allowed(request)],
        "tool_choice": None,
        "stop_sequences": [stop for stop in request.stop if stop.strip()],
        "metadata": _given({"user_id": request.user}),
        "thinking": thought.thinking,
        "output_config": _given(output),
        "stream": request.stream or None,
    }
    members["tools"] += [hosted.tool for hosted in request.hosted if hosted.tool]
    if members["tools"]:
        members["tool_choice"] = _choice(request)
    if abilities.sampling:
        members |= _sampling(request, thinks=thought.on)
    return members


def _cached(messages: list[Message]) -> list[Message]:
    """The messages with cache marks at the ends of the system prompt and of the conversation,
    unless the client has set marks itself.

    https://platform.claude.com/docs/en/build-with-claude/prompt-caching: a mark also finds
    what earlier ones kept.
    """
    if any(map(_is_marked, messages)):
        return messages
    leading = list(takewhile(lambda message: message.role == "system", messages))
    messages = list(messages)
    for end in {len(leading) - 1, len(messages) - 1}:
        if end >= 0:
            messages[end] = _with_mark(messages[end])
    return messages


def _is_marked(message: Message) -> bool:
    return bool(message.cache) or any(getattr(part, "cache", "") for part in message.parts)


def _with_mark(message: Message) -> Message:
    if message.role == "tool":
        return message_of(
            message.role,
            message.parts,
            result_of=message.result_of,
            failed=message.failed,
            cache=_CACHED_FOR,
        )
    parts = marked(message.parts, _CACHED_FOR)
    return message_of(message.role, parts, result_of=message.result_of, failed=message.failed)


def _joined(members: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """All members; the ones in both are objects, whose members are joined."""
    joined = extra | members
    for name in extra.keys() & members.keys():
        joined[name] = extra[name] | members[name]
    return joined


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """The members that are not empty."""
    return {key: member for key, member in members.items() if member not in (None, "", [], {})}


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
    breathe()
    if tool.declared:
        return tool.declared
    declared = described(tool)
    # Strict tools of other formats may have schemas that Messages refuses for strict ones.
    if own and tool.strict is not None:
        declared["strict"] = tool.strict
    return declared | tool.extra


def described(tool: Tool) -> dict[str, Any]:
    """The tool as a function, with its schema."""
    function: dict[str, Any] = {
        "name": tool.name,
        "input_schema": flat(tool.parameters or {"type": "object"}),
    }
    if tool.description:
        function["description"] = tool.description
    return function | cache_control(tool.cache)


def _choice(request: Request) -> dict[str, Any] | None:
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return {"type": "none"}
    member: dict[str, Any] = {}
    if choice is not None:
        member = _choice_among(choice)
    if request.parallel_tool_calls is False:
        member = {"type": "auto"} | member | {"disable_parallel_tool_use": True}
    return member or None


def _choice_among(choice: ToolChoice) -> dict[str, Any]:
    if _forces_one(choice):
        return {"type": "tool", "name": choice.names[0]}
    if choice.mode == "required":
        return {"type": "any"}
    return {"type": "auto"}


def _format(wanted: OutputFormat | None) -> dict[str, Any] | None:
    """The `format` of the answer; Messages has none for JSON without a schema."""
    if wanted is None or wanted.schema is None:
        return None
    return {"type": "json_schema", "schema": wanted.schema}


def _sampling(request: Request, *, thinks: bool) -> dict[str, Any]:
    """The sampling members that Messages takes, where temperatures end at 1."""
    top_p = _at_most_one(request.top_p)
    if thinks:
        if top_p is None or top_p < thinking.LEAST_TOP_P:
            return {}
        return {"top_p": top_p}
    temperature = _at_most_one(request.temperature)
    if temperature is not None and request.origin != "messages":
        top_p = None  # some models take only one of the two
    return {"temperature": temperature, "top_p": top_p, "top_k": request.top_k}


def _at_most_one(sampling: float | None) -> float | None:
    if sampling is None:
        return None
    return min(sampling, 1)
