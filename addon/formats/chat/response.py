"""Whole chat answers: read into turns and patched for the client."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from addon.formats.chat.carriers import ANNEX, DETAILS, Carrying, Changes, Quirks, annex_of
from addon.formats.chat.error_body import choice_error
from addon.formats.chat.patch_stream import DONE, Mint
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
from addon.formats.wire import sse
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    changed,
    elements,
    members,
    object_text,
    scalar_text,
    value,
    with_members,
)

__all__ = ("Answer", "as_stream", "decode")


class Answer:
    """A whole answer of an upstream."""

    def __init__(self, body: bytes, quirks: Quirks = Quirks()) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        self._body = body
        self._parts = members(body)
        found = dict(self._parts)
        self._choices = elements(found.get("choices", b"[]"))
        choices = [_dict(value(choice)) for choice in self._choices]
        self.error: StreamError | None = _error(found, choices)
        self.usage: Usage | None = usage_of(_member(found, "usage"))
        read = [_turn(choice, quirks) for choice in choices]
        self.turns: dict[int, Turn] = {position: turn for position, (turn, _) in enumerate(read)}
        self._changes = [changes for _, changes in read]

    def patched(self, *, model: str, mint: Mint) -> bytes:
        """The body for the client: the model it asked for, our tool-call ids."""
        as_it_is = not any(self._changes) and not any(turn.calls for turn in self.turns.values())
        if as_it_is and _member(dict(self._parts), "model") == model:
            return self._body
        changes: dict[str, bytes] = {
            "choices": array_text([self._minted(p, mint) for p in range(len(self._choices))])
        }
        changes["model"] = scalar_text(model)
        return object_text([(key, changes.get(key, raw)) for key, raw in self._parts])

    def _minted(self, position: int, mint: Mint) -> bytes:
        calls, changes, choice = (
            self.turns[position].calls,
            self._changes[position],
            self._choices[position],
        )
        ids = iter([mint(position, at, call.id) for at, call in enumerate(calls)])
        try:
            if calls:
                choice = changed(choice, ("message", "tool_calls"), partial(_with_ids, ids=ids))
            return (
                changed(choice, ("message",), partial(with_members, changes=changes))
                if changes
                else choice
            )
        except MalformedJson:
            return choice  # something else stands where calls should: the client will say so


def decode(body: bytes, quirks: Quirks = Quirks()) -> Answer | None:
    """The answer in a body, or None when it is not one."""
    try:
        return Answer(body, quirks)
    except MalformedJson:
        return None


def as_stream(body: bytes, *, hide_usage: bool = False) -> bytes:
    """A whole answer as the event stream that says the same; its usage chunk, if any, can
    be left out.
    """
    found = _dict(value(body))
    choices = [_as_chunk(_dict(choice)) for choice in found.pop("choices", None) or ()]
    usage = found.pop("usage", None)
    head = found | {"object": "chat.completion.chunk"}
    events = [sse.event(scalar_text(head | {"choices": choices}))]
    if usage is not None and not hide_usage:
        events.append(sse.event(scalar_text(head | {"choices": [], "usage": usage})))
    return b"".join([*events, DONE])


def _as_chunk(choice: dict[str, Any]) -> dict[str, Any]:
    message = _dict(choice.pop("message", None))
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [_dict(call) | {"index": at} for at, call in enumerate(calls)]
    return choice | {"delta": message}


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
    for at, call in enumerate(_calls(message)):
        parts += [*_annex(message, at), call]
    if refusal := _text(message.get("refusal")):
        parts.append(Refusal(refusal))
    return turn_of(parts, _text(choice.get("finish_reason"))), changes


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
    return ToolCall(_text(call_id), _text(name), _text(arguments))


def _text(found: Any) -> str:
    return found if isinstance(found, str) else ""


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _with_ids(calls: bytes, ids: Iterator[str]) -> bytes:
    return (
        array_text([_with_id(call, next(ids)) for call in elements(calls)])
        if calls != b"null"
        else calls
    )


def _with_id(call: bytes, call_id: str) -> bytes:
    return object_text(
        [("id", scalar_text(call_id)), *(part for part in members(call) if part[0] != "id")]
    )
