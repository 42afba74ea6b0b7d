"""Whole chat answers, read into turns."""

from typing import Any

from addon.formats.chat.carriers import ANNEX, DETAILS, Carrying, Changes, Quirks, annex_of
from addon.formats.chat.choices import joined
from addon.formats.chat.error_body import choice_error
from addon.formats.chat.usage import usage_of
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import Delta, ReasoningDelta, StreamError, TextDelta
from addon.formats.neutral.turn import (
    Part,
    Reasoning,
    Refusal,
    ToolCall,
    Turn,
    Usage,
    text_of,
    turn_of,
)
from addon.formats.tolerant.content import REASONING_FIELDS, THINKING_CHUNK, thought_of
from addon.formats.tolerant.error_body import error_of
from addon.formats.tolerant.error_words import no_answer
from addon.formats.tolerant.finish import finish_of, is_cut, stop_sequence_of
from addon.formats.tolerant.parts import arguments_of, filled
from addon.formats.wire.splice import MalformedJson, Members, elements, members, scalar_text, value

__all__ = ("Answer", "decode")


class Answer:
    """A whole answer of an upstream."""

    def __init__(self, body: bytes, quirks: Quirks = Quirks()) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        self.parts: Members = members(body)
        found = dict(self.parts)
        given = elements(found.get("choices", b"[]"))
        self.choices: list[bytes] = joined(given)
        self.is_joined = len(self.choices) < len(given)
        """Whether the upstream had cut a turn into several choices."""

        choices = [_dict(value(choice)) for choice in self.choices]
        self.error: StreamError | None = _error(found, choices)
        if self.error is None and "choices" not in found:
            self.error = no_answer(body)
        self.usage: Usage | None = usage_of(_member(found, "usage"))
        read = [_turn(choice, quirks) for choice in choices]
        self.turns: dict[int, Turn] = {position: turn for position, (turn, _) in enumerate(read)}
        self.changes: list[Changes] = [changes for _, changes in read]
        """What a client gets otherwise than it came of each choice's message."""


def decode(body: bytes, quirks: Quirks = Quirks()) -> Answer | None:
    """The answer in a body, or None when it is not one."""
    try:
        return Answer(body, quirks)
    except MalformedJson:
        return None


def _error(found: dict[str, bytes], choices: list[dict[str, Any]]) -> StreamError | None:
    message = None if "choices" in found else _member(found, "message") or _member(found, "msg")
    if error := error_of(
        _member(found, "error"), _member(found, "base_resp"), _member(found, "code"), message
    ):
        return error
    errors = (choice_error(choice.get("finish_reason"), choice.get("error")) for choice in choices)
    return next((error for error in errors if error), None)


def _member(found: dict[str, bytes], key: str) -> Any:
    return value(found.get(key, b"null"))


def _turn(choice: dict[str, Any], quirks: Quirks) -> tuple[Turn, Changes]:
    """The turn, and what the client gets otherwise than it came."""
    message = _dict(choice.get("message"))
    said, changes = Carrying(0, quirks).read(
        _said(message), message.get(DETAILS), message.get("content"), ends=True
    )
    heard = Accumulator()
    for delta in said:
        heard.add(delta)
    parts: list[Part] = [part for turn in heard.turns().values() for part in turn.ordered]
    calls = _calls(message)
    reason = finish_of(choice.get("finish_reason"), calls=bool(calls))
    if not is_cut(reason):
        calls = tuple(map(filled, calls))
    for at, call in enumerate(calls):
        parts += [*_annex(message, at), call]
    if refusal := _text(message.get("refusal")):
        parts.append(Refusal(refusal))
    stop = stop_sequence_of(choice.get("stop_reason"), reason)
    return turn_of(parts, reason, stop), changes


def _said(message: dict[str, Any]) -> list[Delta]:
    given = [
        ReasoningDelta(message[field], field)
        for field in REASONING_FIELDS
        if isinstance(message.get(field), str)
    ]
    content = message.get("content")
    thoughts = [thought_of(part) for part in content] if isinstance(content, list) else []
    if chunks := [thought for thought in thoughts if thought is not None]:
        given.append(ReasoningDelta("".join(chunks), THINKING_CHUNK))
    text = text_of(scalar_text(content))
    return [*given, *([TextDelta(text)] if text else [])]


def _annex(message: dict[str, Any], at: int) -> list[Reasoning]:
    calls = message.get("tool_calls")
    given = _dict(calls[at]).get(ANNEX) if isinstance(calls, list) and at < len(calls) else None
    return (
        [Reasoning("", "", (annex := annex_of(given, at)).opaque, annex.carrier, annex.id)]
        if given
        else []
    )


def _calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls")
    found = [_call(_dict(call)) for call in calls] if isinstance(calls, list) else []
    if legacy := _dict(message.get("function_call")):
        found.append(_call({"function": legacy}))
    return tuple(found)


def _call(call: dict[str, Any]) -> ToolCall:
    if custom := _dict(call.get("custom")):
        return ToolCall(
            _text(call.get("id")),
            _text(custom.get("name")),
            _text(custom.get("input")),
            custom=True,
        )
    function = _dict(call.get("function"))
    call_id, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
    return ToolCall(_text(call_id), _text(name), arguments_of(arguments))


def _text(found: Any) -> str:
    return found if isinstance(found, str) else ""


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
