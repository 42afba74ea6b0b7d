"""Whole Messages answers of an upstream, read into a turn."""

from typing import Any

from addon.formats.messages.error_body import failure_of
from addon.formats.messages.usage import usage_of
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.turn import ToolCall, Turn, Usage, turn_of
from addon.formats.tolerant.parts import parts_of
from addon.formats.wire.lenient import record, text
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("Answer", "decode", "finish_of")

_REASONS = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "pause_turn",
    "refusal": "content_filter",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}


class Answer:
    """A whole answer of an upstream."""

    def __init__(self, body: bytes) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        found = value(body)
        if not isinstance(found, dict):
            raise MalformedJson("the body is not an object")
        self.error: StreamError | None = None
        failed = record(found.get("base_resp")).get("status_code")
        if found.get("type") == "error" or found.get("error") or failed:
            self.error = failure_of(
                *(found.get(name) for name in ("error", "base_resp", "code", "message"))
            )
        self.usage: Usage | None = usage_of(found.get("usage"))
        parts = parts_of(found.get("content"), "messages")
        finish = finish_of(
            found.get("stop_reason"), calls=any(isinstance(part, ToolCall) for part in parts)
        )
        turn = turn_of(parts, finish, text(found.get("stop_sequence")))
        self.turns: dict[int, Turn] = {} if self.error else {0: turn}


def decode(body: bytes) -> Answer | None:
    """The answer in a body, or None when it is not one."""
    try:
        return Answer(body)
    except MalformedJson:
        return None


def finish_of(stop_reason: Any, *, calls: bool) -> str:
    """Why an answer ended, in the words of `Finish`."""
    return _REASONS.get(text(stop_reason), "tool_calls" if calls else "stop")
