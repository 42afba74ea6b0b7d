"""Values of JSON that anybody may have written, each of the type that is wanted."""

from collections.abc import Mapping
from typing import Any

import msgspec

from addon.formats.wire.splice import MalformedJson, value

__all__ = ("decoded", "flag", "integer", "number", "objects", "record", "strings", "text")


def decoded[T](decoder: msgspec.json.Decoder[T], json_text: bytes) -> T | None:
    """What the text says, read strictly where that works, else with lone surrogates and odd
    numbers; None: nothing.
    """
    try:
        return decoder.decode(json_text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the lenient reader may take it
    try:
        return msgspec.convert(_with_readable_names(value(json_text)), decoder.type)
    except (MalformedJson, msgspec.ValidationError, UnicodeEncodeError, RecursionError):
        return None


def _with_readable_names(found: Any) -> Any:
    """The value with question marks for lone surrogates in its members' names, which
    msgspec can't compare.
    """
    if isinstance(found, list):
        return [_with_readable_names(item) for item in found]
    if not isinstance(found, dict):
        return found
    return {
        key.encode(errors="replace").decode(): _with_readable_names(item)
        for key, item in found.items()
    }


def text(found: Any) -> str:
    """The string, or an empty one."""
    return found if isinstance(found, str) else ""


def record(found: Any) -> dict[str, Any]:
    """The object, or an empty one."""
    return found if isinstance(found, dict) else {}


def objects(found: Any) -> list[dict[str, Any]]:
    """The objects of an array."""
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def strings(found: Any) -> tuple[str, ...]:
    """The strings of an array; a bare string is one."""
    if isinstance(found, str):
        return (found,)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def number(found: Any) -> float | None:
    """The number, or None."""
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def integer(found: Any) -> int | None:
    """The whole number, or None."""
    return found if type(found) is int else None


def flag(found: Mapping[str, Any], key: str) -> bool | None:
    """The boolean member, or None."""
    answer = found.get(key)
    return answer if isinstance(answer, bool) else None
