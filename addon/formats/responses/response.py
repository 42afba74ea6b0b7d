"""Whole Responses answers of an upstream, read into a turn."""

from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.turn import Part, ToolCall, Turn, Usage, turn_of
from addon.formats.responses.error_body import failure_of
from addon.formats.responses.usage import usage_of
from addon.formats.tolerant.error_words import no_answer
from addon.formats.tolerant.items import item_parts
from addon.formats.tolerant.parts import filled
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("Answer", "decode", "finish_of", "parts_made")


class Answer:
    """A whole answer of an upstream."""

    def __init__(self, body: bytes) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        answer = value(body)
        if not isinstance(answer, dict):
            raise MalformedJson("the body is not an object")
        self.error: StreamError | None = None
        self.usage: Usage | None = usage_of(answer.get("usage"))
        self.turns: dict[int, Turn] = {}
        if answer.get("error") or answer.get("status") in ("failed", "cancelled"):
            self.error = failure_of(answer.get("error"), answer.get("code"), answer.get("message"))
            return
        if "output" not in answer:
            self.error = no_answer(body)
            return
        parts = [part for item in dicts_in(answer.get("output")) for part in parts_made(item)]
        finish = finish_of(answer, calls=any(isinstance(part, ToolCall) for part in parts))
        self.turns[0] = turn_of(parts, finish)


def decode(body: bytes) -> Answer | None:
    """The answer in a body; None for any other body."""
    try:
        return Answer(body)
    except MalformedJson:
        return None


def parts_made(item: dict[str, Any]) -> list[Part]:
    """The parts of an item that an upstream has made: a whole call has arguments."""
    parts = item_parts(item)
    if item.get("status") == "incomplete":
        return parts
    return list(map(filled, parts))


def finish_of(response: dict[str, Any], *, calls: bool) -> str:
    """The reason of `Finish` for a whole response."""
    reason = as_str(as_dict(response.get("incomplete_details")).get("reason"))
    if reason == "content_filter":
        return "content_filter"
    if response.get("status") == "incomplete" or reason:
        return "length"
    if calls:
        return "tool_calls"
    return "stop"
