"""Whole Messages answers of an upstream, read into a turn."""

from addon.formats.messages.error_body import failure_of
from addon.formats.messages.usage import usage_of
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.turn import ToolCall, Turn, Usage, turn_of
from addon.formats.tolerant.error_words import no_answer
from addon.formats.tolerant.finish import finish_of
from addon.formats.tolerant.parts import parts_of
from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("Answer", "decode")


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
        failed = as_dict(answer.get("base_resp")).get("status_code")
        if answer.get("type") == "error" or answer.get("error") or failed:
            places = ("error", "base_resp", "code", "message")
            self.error = failure_of(*map(answer.get, places))
            return
        if "content" not in answer:
            self.error = no_answer(body)
            return
        parts = parts_of(answer.get("content"), "messages")
        calls = any(isinstance(part, ToolCall) for part in parts)
        finish = finish_of(answer.get("stop_reason"), calls=calls)
        self.turns[0] = turn_of(parts, finish, as_str(answer.get("stop_sequence")))


def decode(body: bytes) -> Answer | None:
    """The answer in a body; None for any other body."""
    try:
        return Answer(body)
    except MalformedJson:
        return None
