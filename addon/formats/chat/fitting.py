"""Chat bodies fitted to upstreams that refuse pictures or consecutive messages of the user."""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Any

from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.pace import between_breaths
from addon.formats.wire.splice import (
    MalformedJson,
    array_elements,
    array_text,
    changed,
    elements,
    members,
    scalar_text,
    value,
    with_members,
)

__all__ = ("fitted", "fitted_tools")

_PICTURES = {
    "file": "file",
    "image": "image",
    "image_url": "image",
    "input_file": "file",
    "input_image": "image",
}
"""Kinds of parts with a picture or file, and what the remark calls them."""

_OBJECT = b'"object"'
_NO_ARGUMENTS = b'{"type":"object","properties":{}}'
"""The schema of a function without a schema."""


def fitted(
    body: bytes,
    *,
    pictures: bool,
    allows_consecutive_user_messages: bool,
    without: tuple[str, ...] = (),
) -> tuple[bytes, tuple[str, ...]]:
    """The body without what its upstream refuses, and notes on the parts left out.

    `pictures`: the upstream takes pictures and files. `without`: members of messages that it
    refuses; a refusal becomes the content. All else keeps its bytes.
    """
    given = elements(dict(members(body)).get("messages", b"[]"))
    messages = given
    notes: tuple[str, ...] = ()
    if not pictures:
        messages = [_without_pictures(raw) for raw in given]
        notes = tuple(
            f"a picture or file in message {at} was left out: the upstream takes none"
            for at, (before, after) in enumerate(zip(given, messages, strict=True))
            if before != after
        )
    if without:
        messages = [_without_members(raw, without) for raw in messages]
    if not allows_consecutive_user_messages:
        messages = _joined(messages)
    if messages == given:
        return body, notes
    return with_members(body, {"messages": array_text(messages)}), notes


def fitted_tools(tools: bytes, schema: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """The tools of a body as upstreams take them: each name once, every schema with the type
    `object` and put through `schema`.
    """
    given = array_elements(tools)
    fit = partial(_with_schema, schema=schema)
    patched = [changed(tool, ("function",), fit) for tool in between_breaths(_once(given))]
    if patched == given:
        return tools
    return array_text(patched)


def _once(tools: list[bytes]) -> list[bytes]:
    """The first tool of each name."""
    names: set[str] = set()
    kept: list[bytes] = []
    for raw in between_breaths(tools):
        tool = as_dict(value(raw))
        named = as_dict(tool.get("function")) or as_dict(tool.get("custom"))
        name = as_str(named.get("name"))
        if not name or name not in names:
            kept.append(raw)
        names.add(name)
    return kept


def _with_schema(function: bytes, schema: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    typed = _with_typed_schema(function)
    if not typed.lstrip().startswith(b"{"):
        return typed
    given = as_dict(value(dict(members(typed)).get("parameters", b"null")))
    wanted = schema(given)
    if wanted == given:
        return typed
    return with_members(typed, {"parameters": scalar_text(wanted)})


def _with_typed_schema(function: bytes) -> bytes:
    if not function.lstrip().startswith(b"{"):
        return function
    parameters = dict(members(function)).get("parameters", b"null")
    if parameters.strip() == b"null":
        return with_members(function, {"parameters": _NO_ARGUMENTS})
    return changed(function, ("parameters",), _typed)


def _typed(schema: bytes) -> bytes:
    if not schema.lstrip().startswith(b"{"):
        return schema
    if dict(members(schema)).get("type", b"").strip() == _OBJECT:
        return schema
    return with_members(schema, {"type": _OBJECT})


def _without_members(raw: bytes, names: tuple[str, ...]) -> bytes:
    if not any(b'"%b"' % name.encode() in raw for name in names):
        return raw
    found = dict(members(raw))
    changes = dict.fromkeys(found.keys() & set(names), b"")
    if "refusal" in changes and not value(found.get("content", b"null")):
        changes["content"] = found["refusal"]
    return with_members(raw, changes)


def _without_pictures(raw: bytes) -> bytes:
    parts = array_elements(dict(members(raw)).get("content", b"null"))
    readable = [_readable(part) for part in parts]
    if readable == parts:
        return raw
    return with_members(raw, {"content": array_text(readable)})


def _readable(part: bytes) -> bytes:
    """The part, or a remark in the place of a picture or file."""
    what = _PICTURES.get(as_str(as_dict(value(part)).get("type")))
    if what is None:
        return part
    return scalar_text({"type": "text", "text": f"[{what} left out: this model can't read it]"})


def _joined(messages: list[bytes]) -> list[bytes]:
    """The messages with consecutive ones of the user as one."""
    joined: list[bytes] = []
    for role, group in groupby(messages, _role):
        run = list(group)
        if role == "user" and len(run) > 1:
            parts = [part for raw in run for part in _parts(raw)]
            joined.append(with_members(run[0], {"content": array_text(parts)}))
        else:
            joined += run
    return joined


def _role(raw: bytes) -> str:
    try:
        return as_str(value(dict(members(raw)).get("role", b"null")))
    except MalformedJson:
        return ""


def _parts(raw: bytes) -> list[bytes]:
    """The content as parts; none for an empty one."""
    content = dict(members(raw)).get("content", b"null").strip()
    if content.startswith(b"["):
        return elements(content)
    words = as_str(value(content))
    if not words:
        return []
    return [scalar_text({"type": "text", "text": words})]
