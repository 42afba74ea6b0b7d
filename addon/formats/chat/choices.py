"""The choices of a whole chat answer: some servers cut one turn into several choices of one index,
or put them into a stream's chunks.

Copilot's Claude models answer with the text in one choice and the calls in the next
(https://github.com/HKUDS/nanobot/pull/1555).
"""

from collections.abc import Sequence

from addon.formats.wire.lenient import as_dict, as_int, as_str
from addon.formats.wire.splice import (
    array_text,
    changed,
    elements,
    members,
    object_text,
    scalar_text,
    value,
    with_members,
)

__all__ = ("as_step", "joined")


def joined(choices: Sequence[bytes]) -> list[bytes]:
    """The choices with those of one index made one, in the order of their first."""
    if len(choices) < 2:
        return list(choices)
    whole: dict[int, bytes] = {}
    for position, choice in enumerate(choices):
        number = as_int(as_dict(value(choice)).get("index"))
        if number is None:
            number = position
        whole[number] = _with(whole[number], choice) if number in whole else choice
    return list(whole.values())


def _with(choice: bytes, more: bytes) -> bytes:
    """The choice with what another one says besides; the later knows how the turn ended."""
    parts, others = dict(members(choice)), dict(members(more))
    message = _message_with(parts.get("message", b"{}"), others.pop("message", b"{}"))
    said = {name: text for name, text in others.items() if text != b"null"}
    return object_text(list((parts | said | {"message": message}).items()))


def _message_with(message: bytes, more: bytes) -> bytes:
    if not (message.startswith(b"{") and more.startswith(b"{")):
        return message
    parts = dict(members(message))
    for name, text in members(more):
        before = parts.get(name, b"null")
        if before == b"null":
            parts[name] = text
        elif name == "content" and before[:1] == text[:1] == b'"':
            parts[name] = scalar_text(as_str(value(before)) + as_str(value(text)))
        elif before[:1] == text[:1] == b"[":
            parts[name] = array_text([*elements(before), *elements(text)])
    return object_text(list(parts.items()))


def as_step(choice: bytes) -> bytes:
    """A whole answer's choice as the step of a stream that says all of it."""
    if not choice.startswith(b"{"):
        choice = b"{}"
    message = dict(members(choice)).get("message", b"")
    if not message.startswith(b"{"):
        message = b"{}"
    delta = changed(message, ("tool_calls",), _numbered)
    return with_members(choice, {"message": b"", "delta": delta})


def _numbered(calls: bytes) -> bytes:
    if not calls.startswith(b"["):
        return calls
    given = enumerate(elements(calls))
    return array_text([_with_index(call, at) for at, call in given])


def _with_index(call: bytes, at: int) -> bytes:
    if not call.startswith(b"{"):
        call = b"{}"
    return with_members(call, {"index": scalar_text(at)})
