"""The calls in a conversation, as an upstream of any format sees it, and what became of them."""

from collections.abc import Iterator
from typing import Any

from tests.support.signatures import blocks_of
from tests.support.turns import Json, text_of

__all__ = ("results",)


def results(request: Json) -> list[str]:
    """What each call of a conversation came to, in the calls' order. Raises KeyError for a call
    without a result.
    """
    calls: list[str] = []
    came: dict[str, str] = {}
    for call, result in _pairs(request):
        if result is None:
            calls.append(call)
        else:
            came[call] = text_of(result)
    return [came[call] for call in calls]


def _pairs(request: Json) -> Iterator[tuple[str, Any]]:
    """The id of each call with None, and that of each result with its content."""
    if "input" in request:
        yield from _of_items(request["input"])
    for message in request.get("messages") or ():
        yield from _of_message(message)


def _of_items(items: list[Json]) -> Iterator[tuple[str, Any]]:
    for item in items:
        if item.get("type", "").endswith("_call"):
            yield item["call_id"], None
        elif item.get("type", "").endswith("_call_output"):
            yield item["call_id"], item["output"]


def _of_message(message: Json) -> Iterator[tuple[str, Any]]:
    for call in message.get("tool_calls") or ():
        yield call["id"], None
    if message["role"] == "tool":
        yield message["tool_call_id"], message["content"]
    for block in blocks_of(message.get("content") or []):
        if block["type"] == "tool_use":
            yield block["id"], None
        elif block["type"] == "tool_result":
            yield block["tool_use_id"], block.get("content") or ""
