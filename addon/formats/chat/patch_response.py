"""Whole chat answers for chat clients: the same bytes but for model, tool-call ids and where
reasoning stands.
"""

from collections.abc import Iterator
from functools import partial

from msgspec.structs import replace

from addon.formats.chat import response
from addon.formats.chat.carriers import Quirks
from addon.formats.chat.choices import as_step
from addon.formats.chat.writer import DONE
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.protocols import Mint
from addon.formats.neutral.turn import ToolCall, Turn, Usage
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
        self._answer = response.Answer(body, quirks)
        self.error: StreamError | None = self._answer.error
        self.usage: Usage | None = self._answer.usage
        self.turns: dict[int, Turn] = self._answer.turns

    def patched(self, *, model: str, mint: Mint) -> bytes:
        """The body for the client: the model it asked for, our tool-call ids."""
        parts = self._answer.parts
        changes: dict[str, bytes] = {}
        if value(dict(parts).get("model", b"null")) != model:
            changes["model"] = scalar_text(model)
        edited = self._answer.is_joined or any(self._answer.changes)
        if edited or any(turn.calls for turn in self.turns.values()):
            choices = range(len(self._answer.choices))
            changes["choices"] = array_text([self._patched(at, mint) for at in choices])
        if not changes:
            return self._body
        return object_text([(key, changes.get(key, raw)) for key, raw in parts])

    def _patched(self, position: int, mint: Mint) -> bytes:
        choice = self._answer.choices[position]
        calls, changes = self.turns[position].calls, self._answer.changes[position]
        minted = [replace(call, id=mint(position, at, call.id)) for at, call in enumerate(calls)]
        try:
            if calls:
                choice = changed(
                    choice, ("message", "tool_calls"), partial(_with_ids, calls=iter(minted))
                )
            if changes:
                choice = changed(choice, ("message",), partial(with_members, changes=changes))
        except MalformedJson:
            pass  # something else stands where calls should: the client will say so
        return choice


def decode(body: bytes, quirks: Quirks = Quirks()) -> Answer | None:
    """The answer in a body, or None when it is not one."""
    try:
        return Answer(body, quirks)
    except MalformedJson:
        return None


def _with_ids(texts: bytes, calls: Iterator[ToolCall]) -> bytes:
    if texts == b"null":
        return texts
    return array_text([_written(text, next(calls)) for text in elements(texts)])


def _written(text: bytes, call: ToolCall) -> bytes:
    """The call with its id and its arguments as text: some servers send an object, or none."""
    text = with_members(text, {"id": scalar_text(call.id)})
    if call.custom:
        return text
    return changed(text, ("function",), partial(_with_arguments, arguments=call.arguments))


def _with_arguments(function: bytes, arguments: str) -> bytes:
    if value(dict(members(function)).get("arguments", b"null")) == arguments:
        return function
    return with_members(function, {"arguments": scalar_text(arguments)})


# -- as a stream -----------------------------------------------------------------------------------


def as_stream(body: bytes, *, hide_usage: bool = False) -> bytes:
    """A whole answer as the event stream that says the same; its usage chunk, if any, can
    be left out.
    """
    parts = with_members(body, {"object": b'"chat.completion.chunk"', "choices": b"", "usage": b""})
    found = dict(members(body))
    given, usage = found.get("choices", b"").strip(), found.get("usage", b"null").strip()
    choices: list[bytes] = []
    if given.startswith(b"["):
        choices = list(map(as_step, elements(given)))
    events = [sse.event(with_members(parts, {"choices": array_text(choices)}))]
    if usage != b"null" and not hide_usage:
        events.append(sse.event(with_members(parts, {"choices": b"[]", "usage": usage})))
    return b"".join([*events, DONE])
