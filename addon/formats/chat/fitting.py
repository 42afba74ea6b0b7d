"""Chat bodies made to fit what some upstreams refuse: pictures, and two messages of the
user in a row.
"""

from itertools import groupby
from typing import Any

from addon.formats.wire.lenient import record, text
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    changed,
    elements,
    members,
    scalar_text,
    value,
    with_members,
)

__all__ = ("fitted", "typed")

_PICTURES = {
    "file": "file",
    "image": "image",
    "image_url": "image",
    "input_file": "file",
    "input_image": "image",
}
"""Kinds of parts, and what they are called."""


def fitted(body: bytes, *, pictures: bool, in_a_row: bool) -> tuple[bytes, tuple[str, ...]]:
    """The body without what its upstream does not take, and notes on what was left out; all
    else keeps its bytes.
    """
    given = messages = elements(dict(members(body)).get("messages", b"[]"))
    notes: tuple[str, ...] = ()
    if not pictures:
        seen = [_without_pictures(raw) for raw in messages]
        notes = tuple(
            f"a picture or file in message {at} was left out: the upstream takes none"
            for at, (before, after) in enumerate(zip(messages, seen, strict=True))
            if before != after
        )
        messages = seen
    if not in_a_row:
        messages = _joined(messages)
    return (
        with_members(body, {"messages": array_text(messages)}) if messages != given else body
    ), notes


def typed(tools: bytes) -> bytes:
    """The tools of a body, every schema saying that it is an object's; some upstreams demand it."""
    found = elements(tools) if tools.lstrip().startswith(b"[") else []
    wanted = [changed(tool, ("function",), _with_typed_schema) for tool in found]
    return array_text(wanted) if wanted != found else tools


def _with_typed_schema(function: bytes) -> bytes:
    given = (
        dict(members(function)).get("parameters", b"null")
        if function.lstrip().startswith(b"{")
        else b""
    )
    if given.strip() == b"null":
        return with_members(function, {"parameters": b'{"type":"object","properties":{}}'})
    return changed(function, ("parameters",), _typed) if given else function


def _typed(schema: bytes) -> bytes:
    named = dict(members(schema)).get("type", b"") if schema.lstrip().startswith(b"{") else _OBJECT
    return schema if named.strip() == _OBJECT else with_members(schema, {"type": _OBJECT})


_OBJECT = b'"object"'


def _without_pictures(raw: bytes) -> bytes:
    content = dict(members(raw)).get("content", b"null")
    if not content.lstrip().startswith(b"["):
        return raw
    parts = elements(content)
    kept = [
        _remark(_PICTURES[kind]) if (kind := _kind(part)) in _PICTURES else part for part in parts
    ]
    return with_members(raw, {"content": array_text(kept)}) if kept != parts else raw


def _remark(what: str) -> bytes:
    return scalar_text({"type": "text", "text": f"[{what} left out: this model can't read it]"})


def _kind(part: bytes) -> str:
    return text(record(value(part)).get("type"))


def _joined(messages: list[bytes]) -> list[bytes]:
    """The messages with those of the user that follow each other as one."""
    found: list[bytes] = []
    for role, run in groupby(messages, _role):
        first, *others = run
        if role == "user" and others:
            parts = [part for raw in (first, *others) for part in _parts(raw)]
            found.append(with_members(first, {"content": array_text(parts)}))
        else:
            found += [first, *others]
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
