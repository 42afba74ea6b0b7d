"""Whole Responses answers of an upstream, read into a turn."""

from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.turn import ToolCall, Turn, Usage, turn_of
from addon.formats.responses.error_body import failure_of
from addon.formats.responses.usage import usage_of
from addon.formats.tolerant.items import item_parts
from addon.formats.wire.lenient import objects, record, text
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("Answer", "decode", "finish_of")


class Answer:
    """A whole answer of an upstream."""

    def __init__(self, body: bytes) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        found = value(body)
        if not isinstance(found, dict):
            raise MalformedJson("the body is not an object")
        self.error: StreamError | None = None
        if found.get("error") or found.get("status") in ("failed", "cancelled"):
            self.error = failure_of(found.get("error"), found.get("code"), found.get("message"))
        self.usage: Usage | None = usage_of(found.get("usage"))
        parts = [part for item in objects(found.get("output")) for part in item_parts(item)]
        finish = finish_of(found, calls=any(isinstance(part, ToolCall) for part in parts))
        self.turns: dict[int, Turn] = {} if self.error else {0: turn_of(parts, finish)}


def decode(body: bytes) -> Answer | None:
    """The answer in a body, or None when it is not one."""
    try:
        return Answer(body)
    except MalformedJson:
        return None


def finish_of(response: dict[str, Any], *, calls: bool) -> str:
    """Why an answer ended, in the words of Chat Completions."""
    reason = text(record(response.get("incomplete_details")).get("reason"))
    if response.get("status") == "incomplete" or reason:
        return "content_filter" if reason == "content_filter" else "length"
    return "tool_calls" if calls else "stop"
