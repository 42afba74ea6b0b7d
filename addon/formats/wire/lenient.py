"""JSON values of any type, each read as the type that its reader expects."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import MalformedJson, value

__all__ = (
    "as_dict",
    "as_int",
    "as_number",
    "as_str",
    "bool_member",
    "decode_leniently",
    "dicts_in",
    "is_object",
    "is_object_in",
    "strings_in",
)


def decode_leniently[T](decoder: msgspec.json.Decoder[T], json_text: bytes) -> T | None:
    """The text decoded, with lone surrogates and odd numbers where strict JSON fails; None when
    it has another shape.
    """
    try:
        return decoder.decode(json_text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the lenient reader may take it
    try:
        return msgspec.convert(_with_readable_names(value(json_text)), decoder.type)
    except (MalformedJson, msgspec.ValidationError, UnicodeEncodeError, RecursionError):
        return None


def _with_readable_names(node: Any) -> Any:
    """The value with question marks for lone surrogates in its members' names, which
    msgspec can't compare.
    """
    breathe()
    if isinstance(node, list):
        return [_with_readable_names(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key.encode(errors="replace").decode(): _with_readable_names(item)
        for key, item in node.items()
    }


def as_str(node: Any) -> str:
    """The string; `""` unless it is one."""
    if isinstance(node, str):
        return node
    return ""


def as_dict(node: Any) -> dict[str, Any]:
    """The object; `{}` unless it is one."""
    if isinstance(node, dict):
        return node
    return {}


def dicts_in(node: Any) -> list[dict[str, Any]]:
    """The objects in an array; `[]` unless it is one."""
    if not isinstance(node, list):
        return []
    return [item for item in node if isinstance(item, dict)]


def is_object(text: str) -> bool:
    """Whether the text is a whole JSON object."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(value(text.encode(errors="replace")), dict)
    except MalformedJson:
        return False


def is_object_in(pieces: Sequence[str]) -> bool:
    """Whether pieces of text, one at least, are a whole JSON object together."""
    # All of them are looked at only when the last one can be the end: they may be many.
    return pieces[-1].rstrip()[-1:] in ("", "}") and is_object("".join(pieces))


def strings_in(node: Any) -> tuple[str, ...]:
    """The strings in an array, or the bare string alone; `()` unless it is either."""
    if isinstance(node, str):
        return (node,)
    if not isinstance(node, list):
        return ()
    return tuple(item for item in node if isinstance(item, str))


def as_number(node: Any) -> float | None:
    """The number; None unless it is one."""
    if isinstance(node, int | float) and not isinstance(node, bool):
        return node
    return None


def as_int(node: Any) -> int | None:
    """The whole number, which some clients write as `100.0`; None unless it is one."""
    # `type` rather than isinstance: a bool is an int in Python.
    if type(node) is int:
        return node
    if type(node) is float and node.is_integer():
        return int(node)
    return None


def bool_member(members: Mapping[str, Any], key: str) -> bool | None:
    """The boolean member of this name; None unless it is one."""
    member = members.get(key)
    if isinstance(member, bool):
        return member
    return None
