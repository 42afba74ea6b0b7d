"""Responses bodies as neutral requests, and neutral requests as Responses bodies.

Members: https://platform.openai.com/docs/api-reference/responses/create.
"""

from typing import Any, Protocol

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
from addon.formats.tolerant.tools import choice_of, tools_of
from addon.formats.wire.lenient import flag, integer, number, objects, record, strings, text
from addon.formats.wire.splice import Members, scalar_text

__all__ = (
    "ENCRYPTED",
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
"""Members that a neutral request has names for, and those that are refused."""

ENCRYPTED = "reasoning.encrypted_content"
"""The value of `include` that asks for reasoning that can be sent back."""


class Past(Protocol):
    """What is stored of a caller's answers."""

    def conversation(self, answer_id: str) -> list[dict[str, Any]]:
        """The items that were asked and answered up to an answer, itself included. Raises
        RequestError.
        """

    def item(self, item_id: str) -> dict[str, Any] | None:
        """The item that an `item_reference` names, or None. Raises RequestError."""


def decode(body: bytes, *, past: Past | None = None, parts: Members | None = None) -> Request:
    """Read a Responses request; without `past` nothing is stored, `parts` are its members
    when it was `cut` before. Raises RequestError.
    """
    return decoded(opened(body, parts), past=past)


def decoded(found: dict[str, Any], *, past: Past | None = None) -> Request:
    """The request in the members of a Responses body; what it goes on from stands in its
    messages, too.

    Instructions are those of this request alone, as the API documents it. Raises RequestError.
    """
    own = _own_items(found, past)
    items = items_before(found, past) + own
    return request_of(found, messages_of(items, joined=True), own if past is not None else None)


def request_of(
    found: dict[str, Any], messages: list[Message], own: list[dict[str, Any]] | None
) -> Request:
    """The request in the members of a body whose items mean these messages.

    `own` are the items of its input, references resolved; None: nothing is stored here.
    Raises RequestError.
    """
    for member in ("background", "conversation", "prompt"):
        if found.get(member):
            message = (
                f"'{member}' is not supported here: leave it out and send the whole "
                "conversation in 'input'."
            )
            raise refused("unsupported_parameter", message, member)
    tools, hosted = tools_of(found.get("tools"), "responses")
    shape, reasoning = record(found.get("text")), record(found.get("reasoning"))
    return Request(
        origin="responses",
        model=model_of(found.get("model")),
        messages=_system(found) + messages,
        tools=tools,
        hosted=hosted,
        tool_choice=choice_of(found.get("tool_choice")),
        parallel_tool_calls=flag(found, "parallel_tool_calls"),
        max_tokens=integer(found.get("max_output_tokens")),
        temperature=number(found.get("temperature")),
        top_p=number(found.get("top_p")),
        output_format=_output_format(record(shape.get("format"))),
        verbosity=text(shape.get("verbosity")),
        thinking=Thinking(
            effort=text(reasoning.get("effort")),
            summary=text(reasoning.get("summary")) or text(reasoning.get("generate_summary")),
        ),
        stream=found.get("stream") is True,
        usage_asked=True,
        store=flag(found, "store"),
        previous_response_id=text(found.get("previous_response_id")),
        own_items=own if found.get("store") is not False else None,
        include=strings(found.get("include")),
        metadata=record(found.get("metadata")) or None,
        user=text(found.get("user")),
        extra={key: kept for key, kept in found.items() if key not in _NAMED},
    )


def _own_items(found: dict[str, Any], past: Past | None) -> list[dict[str, Any]]:
    """The items of the request's input, with those that are referred to."""
    items = found.get("input", [])
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    if not isinstance(items, list):
        raise refused(
            "invalid_input",
            "The request's 'input' is neither a text nor an array of items.",
            "input",
        )
    return [referred(item, past) for item in objects(items)]


def referred(item: dict[str, Any], past: Past | None) -> dict[str, Any]:
    """The item, or the one it refers to when that is stored."""
    found = (
        past.item(text(item.get("id"))) if past and item.get("type") == "item_reference" else None
    )
    return found or item


def items_before(found: dict[str, Any], past: Past | None) -> list[dict[str, Any]]:
    """The items that the body goes on from by its `previous_response_id`. Raises RequestError."""
    previous = text(found.get("previous_response_id"))
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
    instructions = text(found.get("instructions"))
    return [message_of("system", [Text(instructions)])] if instructions else []


def _output_format(found: dict[str, Any]) -> OutputFormat | None:
    if found.get("type") == "json_object":
        return OutputFormat()
    if found.get("type") != "json_schema":
        return None
    return OutputFormat(
        schema=record(found.get("schema")),
        name=text(found.get("name")),
        description=text(found.get("description")),
        strict=flag(found, "strict"),
    )


def encode(request: Request, *, model: str, encrypted: bool = True) -> bytes:
    """The body for a Responses upstream, which keeps nothing of it: the client's whole
    conversation is in it.

    `encrypted`: ask for reasoning that can be sent back; models that don't reason refuse
    that. Raises RequestError for what Responses has no place for.
    """
    for hosted in request.hosted:
        if hosted.wire_format != "responses":
            raise refused(
                "unsupported_tool",
                f"The tool '{hosted.kind}' is not known to the model's upstream.",
                "tools",
            )
    include = [one for one in request.include if one != ENCRYPTED] + (
        [ENCRYPTED] if encrypted else []
    )
    given = {
        "tools": tools_given(request),
        "tool_choice": tool_choice_of(request),
        "parallel_tool_calls": request.parallel_tool_calls,
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "text": text_of(request) or None,
        "reasoning": _given(
            {"effort": request.thinking.effort, "summary": request.thinking.summary}
        )
        or None,
        "stream": request.stream or None,
        "include": include,
        "metadata": request.metadata,
        "user": request.user,
    }
    extra = {
        key: kept
        for key, kept in request.extra.items()
        if request.origin == "responses" or key in SHARED
    }
    items = list(items_of(request.messages))
    return scalar_text({"model": model, "input": items, "store": False, **_given(given), **extra})


def tools_given(request: Request) -> list[dict[str, Any]]:
    """The tools as Responses declares them."""
    return [*map(_tool, request.tools), *(hosted.tool for hosted in request.hosted)]


def tool_choice_of(request: Request) -> Any:
    """The `tool_choice` member, or None."""
    choice, custom = request.tool_choice, {tool.name for tool in request.tools if tool.custom}
    if choice is None or not choice.names:
        return choice.mode if choice else None
    named = [
        {"type": "custom" if name in custom else "function", "name": name} for name in choice.names
    ]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.custom:
        form = {"format": tool.grammar} if tool.grammar else {}
        return {
            "type": "custom",
            "name": tool.name,
            **_given({"description": tool.description}),
            **form,
        }
    # Responses is strict unless told otherwise, Chat Completions and Messages are not.
    given = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", **_given(given), "strict": bool(tool.strict)}


def text_of(request: Request) -> dict[str, Any]:
    """The `text` member: the shape of the answer's text."""
    found: dict[str, Any] = {}
    if (wanted := request.output_format) is not None and wanted.schema is None:
        found["format"] = {"type": "json_object"}
    elif wanted is not None:
        given = {
            "name": wanted.name or "answer",
            "description": wanted.description,
            "schema": wanted.schema,
        }
        found["format"] = {"type": "json_schema", **_given(given | {"strict": wanted.strict})}
    if request.verbosity:
        found["verbosity"] = request.verbosity
    return found


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """The members that say something."""
    return {key: kept for key, kept in members.items() if kept not in (None, "", [])}
