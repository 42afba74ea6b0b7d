"""Responses' other endpoints: stored items as the API lists them
(https://platform.openai.com/docs/api-reference/responses/input-items), and counts of tokens
(https://platform.openai.com/docs/api-reference/responses/input-tokens).
"""

from typing import Any

from addon.formats.neutral.request import refused
from addon.formats.wire.lenient import as_str
from addon.formats.wire.splice import members, object_text, scalar_text

__all__ = ("PREFIXES", "Query", "encode_input_tokens", "listed", "page", "question_of", "shown")

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
"""Prefixes of the ids of items, as OpenAI's own ids have them."""

_STATE = "encrypted_content"

_COUNTED = (
    *("conversation", "input", "instructions", "model", "parallel_tool_calls"),
    *("previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation"),
)
"""Members that a question for tokens may have."""

_PAGE = 20
"""Items of a page by default, as the API documents."""

_LONGEST_PAGE = 100
"""Items of the longest page, as the API documents."""


def listed(items: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """A client's items with the members that it may leave out: type, parts, status and id."""
    return [_listed(item, f"{name}i{at}") for at, item in enumerate(items)]


def _listed(item: dict[str, Any], name: str) -> dict[str, Any]:
    kind = as_str(item.get("type")) or "message"
    if kind not in PREFIXES:
        return item  # its upstream gets it as it came, and would not know an id of ours
    whole: dict[str, Any] = {"type": kind, "status": "completed"}
    whole |= {key: member for key, member in item.items() if member is not None}
    whole["id"] = as_str(item.get("id")) or f"{PREFIXES[kind]}_{name}"
    content = item.get("content")
    if kind == "message" and isinstance(content, str):
        whole["content"] = _parts(content, item.get("role"))
    return whole


def _parts(words: str, role: Any) -> list[dict[str, Any]]:
    if not words:
        return []
    if role == "assistant":
        return [{"type": "output_text", "text": words, "annotations": []}]
    return [{"type": "input_text", "text": words}]


def shown(items: list[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    """The items, without the state of reasoning unless the query includes it."""
    # Clients write `include`, `include[]` or `include[0]`.
    included = {
        value
        for name, values in query.items()
        if name.partition("[")[0] == "include"
        for value in values
    }
    if f"reasoning.{_STATE}" in included:
        return items
    return [_without_state(item) for item in items]


def _without_state(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("type") != "reasoning":
        return item
    return {key: member for key, member in item.items() if key != _STATE}


def page(items: list[dict[str, Any]], query: Query) -> dict[str, Any]:
    """The page of items that a query asks for, by default from the newest on. Raises
    RequestError.
    """
    order, after = query.get("order", [""])[-1], query.get("after", [""])[-1]
    if order not in ("", "asc", "desc"):
        raise refused("invalid_value", "'order' is 'asc' or 'desc'.", "order")
    limit = _limit(query)
    if order != "asc":
        items = items[::-1]
    if after:
        items = items[_place(after, items) + 1 :]
    paged = items[:limit]
    ends: dict[str, Any] = {"first_id": None, "last_id": None}
    if paged:
        ends = {"first_id": paged[0].get("id"), "last_id": paged[-1].get("id")}
    has_more = len(paged) < len(items)
    return {"object": "list", "data": shown(paged, query), **ends, "has_more": has_more}


def _limit(query: Query) -> int:
    limit = query.get("limit", [""])[-1]
    if not limit:
        return _PAGE
    # Nine digits at most: Python refuses to read thousands of them.
    if limit.isdecimal() and limit.isascii() and 1 <= int(limit[:9]) <= _LONGEST_PAGE:
        return int(limit)
    raise refused("invalid_value", f"'limit' is a number from 1 to {_LONGEST_PAGE}.", "limit")


def _place(item_id: str, items: list[dict[str, Any]]) -> int:
    for at, item in enumerate(items):
        if item.get("id") == item_id:
            return at
    raise refused("invalid_value", f"There is no item '{item_id[:80]}' in this list.", "after")


def encode_input_tokens(tokens: int) -> bytes:
    """The answer to a question for the tokens of a request."""
    return scalar_text({"object": "response.input_tokens", "input_tokens": tokens})


def question_of(body: bytes) -> bytes:
    """The body that asks an upstream for the tokens of the request with this body."""
    return object_text([part for part in members(body) if part[0] in _COUNTED])
