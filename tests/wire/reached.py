"""What reached an upstream of a dialect's request, and what of it such an upstream would refuse."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tests.support.turns import FIELD, Json

__all__ = ("Reached", "in_chat", "in_responses")

type Judge = Callable[[Json], bool]


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """One request in the words of a fixture's last line."""

    model: str
    effort: str
    tools: int
    custom: int
    images: int

    thoughts: tuple[str, ...]
    """The reasoning of all replayed turns that carry any, in order."""

    faults: tuple[str, ...]
    """What an upstream that takes only what its API documents would refuse."""

    def among(self, names: Any) -> Json:
        """The members of these names."""
        return {name: getattr(self, name) for name in names}


def in_chat(body: Json) -> Reached:
    """A request to a chat upstream that knows functions only and reads the arguments of
    replayed calls.
    """
    tools = body.get("tools", [])
    messages = body["messages"]
    return Reached(
        model=body["model"],
        effort=body.get("reasoning_effort", ""),
        tools=len(tools),
        custom=sum(tool["type"] == "custom" for tool in tools),
        images=sum(part["type"] == "image_url" for message in messages for part in _parts(message)),
        thoughts=tuple(message[FIELD] for message in messages if message.get(FIELD)),
        faults=(*_refused(tools, _is_chat_tool), *_refused(messages, _is_chat_message)),
    )


def in_responses(body: Json) -> Reached:
    """A request to a Responses upstream."""
    tools = body.get("tools", [])
    items = body["input"]
    return Reached(
        model=body["model"],
        effort=body.get("reasoning", {}).get("effort", ""),
        tools=len(tools),
        custom=sum(tool["type"] == "custom" for tool in tools),
        images=sum(part["type"] == "input_image" for item in items for part in _parts(item)),
        thoughts=tuple(item["encrypted_content"] for item in items if item["type"] == "reasoning"),
        faults=(
            *_refused(tools, _is_responses_tool),
            *_refused(items, _is_item),
            *_unpaired(items),
        ),
    )


def _parts(message: Json) -> list[Json]:
    content = message.get("content", message.get("output"))
    return content if isinstance(content, list) else []


def _refused(found: list[Json], accepts: Judge) -> Iterator[str]:
    return (json.dumps(one) for one in found if not accepts(one))


def _is_chat_tool(tool: Json) -> bool:
    return bool(tool["type"] == "function" and _is_function(tool.get("function", {})))


def _is_function(function: Json) -> bool:
    return bool(function.get("name") and function.get("parameters", {}).get("type") == "object")


def _is_chat_message(message: Json) -> bool:
    known = message["role"] in ("system", "user", "assistant", "tool")
    calls = message.get("tool_calls", [])
    return known and _are(message, "text", "image_url") and all(map(_is_chat_call, calls))


def _is_chat_call(call: Json) -> bool:
    return call["type"] == "function" and _is_object(call["function"]["arguments"])


def _are(message: Json, *kinds: str) -> bool:
    return all(part["type"] in kinds for part in _parts(message))


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def _is_responses_tool(tool: Json) -> bool:
    return (
        bool(tool["name"])
        if tool["type"] == "custom"
        else tool["type"] == "function" and _is_function(tool)
    )


def _is_item(item: Json) -> bool:
    match item["type"]:
        case "message":
            said = (
                ("output_text",) if item["role"] == "assistant" else ("input_text", "input_image")
            )
            return _are(item, *said)
        case "function_call":
            return _is_object(item["arguments"])
        case "custom_tool_call":
            return isinstance(item["input"], str)
        case "function_call_output" | "custom_tool_call_output":
            return _are(item, "input_text", "input_image")
    return bool(item["type"] == "reasoning")


def _unpaired(items: list[Json]) -> Iterator[str]:
    """Results that answer no call of their own kind."""
    calls = {
        (item["call_id"], f"{item['type']}_output")
        for item in items
        if item["type"].endswith("_call")
    }
    results = [item for item in items if item["type"].endswith("_output")]
    return (json.dumps(item) for item in results if (item["call_id"], item["type"]) not in calls)
