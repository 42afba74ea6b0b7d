"""Chat bodies made to fit what some upstreams refuse: pictures, and two messages of the user in a row."""

from typing import Any

from addon.formats.lenient import record, text
from addon.formats.splice import MalformedJson, array_text, elements, members, scalar_text, value, with_members

__all__ = ("fitted",)

_PICTURES = ("image", "image_url", "input_image")
_LEFT_OUT = {"type": "text", "text": "[image left out: this model can't read it]"}


def fitted(body: bytes, *, pictures: bool, in_a_row: bool) -> tuple[bytes, tuple[str, ...]]:
    """The body without what its upstream does not take, and notes on what was left out; all else keeps its bytes."""
    given = messages = elements(dict(members(body)).get("messages", b"[]"))
    notes: tuple[str, ...] = ()
    if not pictures:
        seen = [_without_pictures(raw) for raw in messages]
        notes = tuple(
            f"the image in message {at} was left out: the upstream takes none"
            for at, (before, after) in enumerate(zip(messages, seen, strict=True))
            if before != after
        )
        messages = seen
    if not in_a_row:
        messages = _joined(messages)
    return (with_members(body, {"messages": array_text(messages)}) if messages != given else body), notes


def _without_pictures(raw: bytes) -> bytes:
    content = dict(members(raw)).get("content", b"null")
    if not content.lstrip().startswith(b"["):
        return raw
    parts = elements(content)
    kept = [scalar_text(_LEFT_OUT) if _kind(part) in _PICTURES else part for part in parts]
    return with_members(raw, {"content": array_text(kept)}) if kept != parts else raw


def _kind(part: bytes) -> str:
    return text(record(value(part)).get("type"))


def _joined(messages: list[bytes]) -> list[bytes]:
    """The messages with those of the user that follow each other as one."""
    found: list[bytes] = []
    for raw in messages:
        if found and _role(found[-1]) == _role(raw) == "user":
            both = _parts(found[-1]) + _parts(raw)
            found[-1] = with_members(found[-1], {"content": array_text(both)})
        else:
            found.append(raw)
    return found


def _role(raw: bytes) -> str:
    try:
        said: Any = value(dict(members(raw)).get("role", b"null"))
    except MalformedJson:
        return ""
    return said if isinstance(said, str) else ""


def _parts(raw: bytes) -> list[bytes]:
    """The content as parts; nothing for an empty one."""
    content = dict(members(raw)).get("content", b"null").strip()
    if content.startswith(b"["):
        return elements(content)
    said = value(content)
    return [scalar_text({"type": "text", "text": said})] if isinstance(said, str) and said else []
