"""Responses bodies as neutral requests, and neutral requests as Responses bodies.

Members: https://platform.openai.com/docs/api-reference/responses/create.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from addon.formats.neutral.hosted_tools import is_named
from addon.formats.neutral.request import (
    SHARED,
    OutputFormat,
    Request,
    Thinking,
    Tool,
    model_of,
    opened,
    refused,
)
from addon.formats.neutral.turn import Message, Text, message_of
from addon.formats.responses.items import items_of
from addon.formats.tolerant.history import messages_of
from addon.formats.tolerant.malformed import refuse_malformed
from addon.formats.tolerant.tools import choice_of, tools_of, tools_within
from addon.formats.wire.lenient import (
    as_dict,
    as_int,
    as_number,
    as_str,
    bool_member,
    strings_in,
)
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import Members, json_text

__all__ = (
    "ENCRYPTED",
    "LEAST_LIMIT",
    "Past",
    "decode",
    "decoded",
    "encode",
    "items_before",
    "referred",
    "request_of",
    "text_of",
    "tool_choice_of",
    "tools_given",
)


_NAMED = frozenset(Request.__struct_fields__) | {
    *("input", "instructions", "max_output_tokens", "text", "reasoning", "stream_options"),
    *("background", "conversation", "prompt"),
}
"""Members with a neutral name, and refused ones."""

ENCRYPTED = "reasoning.encrypted_content"
"""The value of `include` that asks for the state of reasoning."""


LEAST_LIMIT = 16
"""The least `max_output_tokens` that the API takes
(https://platform.openai.com/docs/api-reference/responses/create).
"""


class Past(Protocol):
    """A caller's stored answers."""

    def conversation(self, answer_id: str) -> list[dict[str, Any]]:
        """The items of a conversation up to and with an answer. Raises RequestError."""

    def item(self, item_id: str) -> dict[str, Any] | None:
        """The item that an `item_reference` names, or None. Raises RequestError."""


def decode(body: bytes, *, past: Past | None = None, parts: Members | None = None) -> Request:
    """Read a Responses request; without `past` nothing is stored, `parts` are its members
    when it was `cut` before. Raises RequestError.
    """
    return decoded(opened(body, parts), past=past)


def decoded(found: dict[str, Any], *, past: Past | None = None) -> Request:
    """The request in the members of a Responses body; its messages begin with the stored past.

    Instructions are those of this request alone, as the API documents it. Raises RequestError.
    """
    own = _own_items(found, past)
    items = items_before(found, past) + own
    messages = messages_of(items, joined=True)
    if past is None:
        return request_of(found, items, messages, None)
    return request_of(found, items, messages, own)


def request_of(
    found: dict[str, Any],
    items: Sequence[Any],
    messages: list[Message],
    own: list[dict[str, Any]] | None,
) -> Request:
    """The request in the members of a body with this conversation, which is these messages.

    `own` are the items of its input, references resolved; None: nothing is stored here.
    Raises RequestError.
    """
    if found.get("store") is False:
        own = None
    for member in ("background", "conversation", "prompt"):
        if found.get(member):
            message = (
                f"'{member}' is not supported here: leave it out and send the whole "
                "conversation in 'input'."
            )
            raise refused("unsupported_parameter", message, member)
    tools, hosted = tools_of(found.get("tools"), "responses")
    loaded, hosted_later = tools_within(items)
    shape, reasoning = as_dict(found.get("text")), as_dict(found.get("reasoning"))
    return Request(
        origin="responses",
        model=model_of(found.get("model")),
        messages=_system(found) + messages,
        tools=tools,
        loaded=loaded,
        hosted=hosted + hosted_later,
        tool_choice=choice_of(found.get("tool_choice")),
        parallel_tool_calls=bool_member(found, "parallel_tool_calls"),
        max_tokens=as_int(found.get("max_output_tokens")),
        temperature=as_number(found.get("temperature")),
        top_p=as_number(found.get("top_p")),
        output_format=_output_format(as_dict(shape.get("format"))),
        verbosity=as_str(shape.get("verbosity")),
        thinking=Thinking(
            effort=as_str(reasoning.get("effort")),
            summary=as_str(reasoning.get("summary")) or as_str(reasoning.get("generate_summary")),
        ),
        stream=found.get("stream") is True,
        usage_asked=True,
        store=bool_member(found, "store"),
        previous_response_id=as_str(found.get("previous_response_id")),
        own_items=own,
        include=strings_in(found.get("include")),
        metadata=as_dict(found.get("metadata")) or None,
        user=as_str(found.get("user")),
        extra={key: member for key, member in found.items() if key not in _NAMED},
    )


def _own_items(found: dict[str, Any], past: Past | None) -> list[dict[str, Any]]:
    """The items of the request's input, references resolved."""
    items = found.get("input", [])
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    if not isinstance(items, list):
        raise refused(
            "invalid_input",
            "The request's 'input' is neither a text nor an array of items.",
            "input",
        )
    refuse_malformed(items, "input")
    return [referred(item, past) for item in items]


def referred(item: dict[str, Any], past: Past | None) -> dict[str, Any]:
    """The stored item that the item refers to, else the item itself."""
    if not past or item.get("type") != "item_reference":
        return item
    return past.item(as_str(item.get("id"))) or item


def items_before(found: dict[str, Any], past: Past | None) -> list[dict[str, Any]]:
    """The stored items that the body's `previous_response_id` names. Raises RequestError."""
    previous = as_str(found.get("previous_response_id"))
    if not previous:
        return []
    if past is None:
        message = (
            "Answers are not stored here: send the whole conversation instead of "
            "'previous_response_id'."
        )
        raise refused("unsupported_parameter", message, "previous_response_id")
    return past.conversation(previous)


def _system(found: dict[str, Any]) -> list[Message]:
    instructions = as_str(found.get("instructions"))
    if not instructions:
        return []
    return [message_of("system", [Text(instructions)])]


def _output_format(wanted: dict[str, Any]) -> OutputFormat | None:
    if wanted.get("type") == "json_object":
        return OutputFormat()
    if wanted.get("type") != "json_schema":
        return None
    return OutputFormat(
        schema=as_dict(wanted.get("schema")),
        name=as_str(wanted.get("name")),
        description=as_str(wanted.get("description")),
        strict=bool_member(wanted, "strict"),
    )


def encode(request: Request, *, model: str, encrypted: bool = True) -> bytes:
    """The body for a Responses upstream: the whole conversation, of which it stores nothing.

    `encrypted`: ask for the state of reasoning, which models that don't reason refuse. Raises
    RequestError where Responses has no word for it.
    """
    for hosted in request.hosted:
        if hosted.wire_format != "responses":
            raise refused(
                "unsupported_tool",
                f"The tool '{hosted.kind}' is not known to the model's upstream.",
                "tools",
            )
    include = [name for name in request.include if name != ENCRYPTED]
    if encrypted:
        include.append(ENCRYPTED)
    reasoning = {"effort": request.thinking.effort, "summary": request.thinking.summary}
    members = {
        "tools": tools_given(request),
        "tool_choice": tool_choice_of(request),
        "parallel_tool_calls": request.parallel_tool_calls,
        "max_output_tokens": _limit(request.max_tokens),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "text": text_of(request) or None,
        "reasoning": _given(reasoning) or None,
        "stream": request.stream or None,
        "include": include,
        "metadata": request.metadata,
        "user": request.user,
    }
    if not members["tools"]:  # upstreams refuse a choice among none
        members |= {"tool_choice": None, "parallel_tool_calls": None}
    extra = request.extra
    if request.origin != "responses":
        extra = {key: member for key, member in extra.items() if key in SHARED}
    items = list(items_of(request.messages))
    return json_text({"model": model, "input": items, "store": False, **_given(members), **extra})


def _limit(tokens: int | None) -> int | None:
    if tokens is None:
        return None
    return max(tokens, LEAST_LIMIT)


def tools_given(request: Request) -> list[dict[str, Any]]:
    """The tools as Responses declares them, a group once."""
    given: list[dict[str, Any]] = []
    for tool in request.tools:
        if not tool.group or not given or given[-1] is not tool.declared:
            given.append(tool.declared or _tool(tool))
    return [*given, *(hosted.tool for hosted in request.hosted)]


def tool_choice_of(request: Request) -> Any:
    """The `tool_choice` member, or None."""
    choice = request.tool_choice
    if choice is None:
        return None
    if not choice.names:
        return choice.mode
    tools = [_chosen(name, request) for name in choice.names]
    if choice.mode == "required" and len(tools) == 1:
        return tools[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}


def _chosen(name: str, request: Request) -> dict[str, Any]:
    """A tool of a choice; those that the upstream runs are named by their kind, and servers by
    their label (https://platform.openai.com/docs/api-reference/responses/create).
    """
    for hosted in request.hosted:
        if is_named(hosted, name):
            label = as_str(hosted.tool.get("server_label"))
            return {"type": hosted.kind, **_given({"server_label": label})}
    for tool in request.tools:
        if tool.name == name and tool.custom:
            return {"type": "custom", "name": name}
        if tool.name == name and tool.declared and not tool.group:
            return {"type": tool.declared["type"]}
    return {"type": "function", "name": name}


def _tool(tool: Tool) -> dict[str, Any]:
    breathe()
    if tool.custom:
        members = {"description": tool.description, "format": tool.grammar or None}
        return {"type": "custom", "name": tool.name, **_given(members)}
    members = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    # Responses is strict unless told otherwise, Chat Completions and Messages are not.
    return {"type": "function", **_given(members), "strict": bool(tool.strict)}


def text_of(request: Request) -> dict[str, Any]:
    """The `text` member: the shape of the answer's text."""
    shape: dict[str, Any] = {}
    if request.output_format is not None:
        shape["format"] = _format(request.output_format)
    if request.verbosity:
        shape["verbosity"] = request.verbosity
    return shape


def _format(wanted: OutputFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    members = {
        "name": wanted.name or "answer",  # the API demands a name
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    return {"type": "json_schema", **_given(members)}


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """The members that are not empty."""
    return {key: member for key, member in members.items() if member not in (None, "", [])}
