"""Stored items as the Responses API lists them
(https://platform.openai.com/docs/api-reference/responses/input-items).
"""

from typing import Any

from addon.formats.neutral.request import refused
from addon.formats.wire.lenient import text

__all__ = ("PREFIXES", "Query", "listed", "page", "shown")

type Query = dict[str, list[str]]
"""The parameters of a request's query, each with its values."""

PREFIXES = {
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "function_call": "fc",
    "function_call_output": "fco",
    "message": "msg",
    "reasoning": "rs",
}
_STATE = "encrypted_content"
_LONGEST_PAGE = 100


def listed(items: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Items that a client sent with what it may leave out: type, parts, status, and an id
    of its own in the answer.
    """
    return [_listed(item, f"{name}i{at}") for at, item in enumerate(items)]


def _listed(item: dict[str, Any], name: str) -> dict[str, Any]:
    kind = text(item.get("type")) or "message"
    if kind not in PREFIXES:
        return item  # its upstream gets it as it came, and would not know an id of ours
    found: dict[str, Any] = {"type": kind, "status": "completed"}
    found |= {key: given for key, given in item.items() if given is not None}
    found["id"] = text(item.get("id")) or f"{PREFIXES[kind]}_{name}"
    if kind == "message" and isinstance(said := item.get("content"), str):
        found["content"] = [_part(said, item.get("role"))] if said else []
    return found


def _part(said: str, role: Any) -> dict[str, Any]:
    if role == "assistant":
        return {"type": "output_text", "text": said, "annotations": []}
    return {"type": "input_text", "text": said}


def shown(items: list[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    """The items, with the state of reasoning for those only who ask to see it."""
    asked = {
        value
        for name, values in query.items()
        if name.partition("[")[0] == "include"
        for value in values
    }
    if f"reasoning.{_STATE}" in asked:
        return items
    return [
        {key: kept for key, kept in item.items() if key != _STATE}
        if item.get("type") == "reasoning"
        else item
        for item in items
    ]


def page(items: list[dict[str, Any]], query: Query) -> dict[str, Any]:
    """The list object that a query asks for, the newest item first unless it says
    otherwise. Raises RequestError.
    """
    order, limit, after = (query.get(name, [""])[-1] for name in ("order", "limit", "after"))
    if order not in ("", "asc", "desc"):
        raise refused("invalid_value", "'order' is 'asc' or 'desc'.", "order")
    if limit and not (
        limit.isdecimal() and limit.isascii() and 1 <= int(limit[:9]) <= _LONGEST_PAGE
    ):
        raise refused("invalid_value", f"'limit' is a number from 1 to {_LONGEST_PAGE}.", "limit")
    ordered = items if order == "asc" else items[::-1]
    if after:
        ordered = ordered[_place(after, ordered) + 1 :]
    told = ordered[: int(limit or 20)]
    return {
        "object": "list",
        "data": shown(told, query),
        "first_id": told[0].get("id") if told else None,
        "last_id": told[-1].get("id") if told else None,
        "has_more": len(told) < len(ordered),
    }


def _place(item_id: str, items: list[dict[str, Any]]) -> int:
    for at, item in enumerate(items):
        if item.get("id") == item_id:
            return at
    raise refused("invalid_value", f"There is no item '{item_id[:80]}' in this list.", "after")
