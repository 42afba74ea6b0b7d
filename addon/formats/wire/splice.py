"""JSON text taken apart at one level, so that whatever is not touched keeps its bytes.

msgspec does the work in linear time; the standard library takes over for text that msgspec
refuses although upstreams accept it (lone surrogates, `NaN`, numbers beyond a double) and
where duplicated keys are possible, which msgspec drops.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from addon.formats.wire.pace import breathe

__all__ = (
    "MalformedJson",
    "Members",
    "array_elements",
    "array_text",
    "changed",
    "count",
    "elements",
    "members",
    "object_text",
    "replaced",
    "scalar_text",
    "utf8_text",
    "value",
    "with_members",
)

type Members = list[tuple[str, bytes]]
"""An object's keys with the text of their values, in order, duplicates included."""


class _Object(msgspec.Struct, gc=False):
    """Any object; msgspec skips members that a struct has no field for."""


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[_Object])
_VALUE = msgspec.json.Decoder()

# Not strict: upstreams accept control characters within strings.
_LENIENT = json.JSONDecoder(strict=False)

# Numbers stay text: Python refuses to convert integers of more than 4,300 digits.
_SKIP = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)

# JSON's own blanks (RFC 8259 §2); `\s` has more.
_NOT_BLANK = re.compile(r"[^ \t\n\r]")
_NOT_BLANK_BYTE = re.compile(_NOT_BLANK.pattern.encode())

_SHORT_KEY = 64
"""Characters below which a key's JSON text is cached: names that formats define are shorter."""

_MOST_MEMBERS = 10_000
"""Members that an object may have to be taken apart: real ones have far fewer, and each costs a
microsecond or more.
"""

_BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which RFC 8259 §8.1 lets a reader ignore."""


class MalformedJson(ValueError):
    """The text is not the JSON that was asked for; the message says why."""


def members(text: bytes) -> Members:
    """The members of the object `text`; a byte order mark before it is dropped. Raises
    MalformedJson.
    """
    text = text.removeprefix(_BOM).strip(b" \t\r\n")
    try:
        raws = _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _scan_object(utf8_text(text))
    if len(raws) > _MOST_MEMBERS:
        raise _too_many_members()
    parts = [(key, bytes(raw)) for key, raw in raws.items()]
    # A compact object is exactly as long as its parts: no room for a duplicated key that
    # the dict has swallowed.
    if len(text) == _compact_length(parts) or _holds_only(parts, text):
        return parts
    return _scan_object(utf8_text(text))


def elements(text: bytes) -> list[bytes]:
    """The texts of the elements of the array `text`. Raises MalformedJson."""
    try:
        return [bytes(raw) for raw in _ARRAY.decode(text)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _scan_array(utf8_text(text))


def array_elements(text: bytes) -> list[bytes]:
    """The texts of an array's elements; `[]` for any other text. Raises MalformedJson."""
    if not text.lstrip().startswith(b"["):
        return []
    return elements(text)


def count(text: bytes, most: int) -> int:
    """How many elements the array `text` has; one beyond `most` may stand for all that
    follow. Raises MalformedJson.
    """
    try:
        return len(_OBJECTS.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return len(_scan_array(utf8_text(text), most))


def object_text(parts: Members) -> bytes:
    """The object with these members, in this order."""
    return b"{" + b",".join([_key_text(key) + b":" + raw for key, raw in parts]) + b"}"


def array_text(parts: list[bytes]) -> bytes:
    """The array with these elements."""
    return b"[" + b",".join(parts) + b"]"


def scalar_text(scalar: object) -> bytes:
    """The JSON text of a Python value; strings keep lone surrogates as escapes."""
    try:
        return msgspec.json.encode(scalar)
    except UnicodeEncodeError:
        return json.dumps(scalar, separators=(",", ":")).encode()


def value(text: bytes) -> Any:
    """The value of a JSON text as Python objects. Raises MalformedJson."""
    try:
        return _VALUE.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(utf8_text(text))


def utf8_text(text: bytes) -> str:
    """The text decoded. Raises MalformedJson, also for bytes that the functions above skip."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise MalformedJson(
            f"the body is not UTF-8 text: invalid byte at offset {error.start}"
        ) from error


def changed(text: bytes, path: tuple[str, ...], change: Callable[[bytes], bytes]) -> bytes:
    """The text with the value at `path` (object keys, outermost first) put through
    `change`, when there is one.
    """
    if not path:
        return change(text)
    parts = members(text)
    patched = list(parts)
    for at, (key, raw) in enumerate(parts):
        if key == path[0]:
            patched[at] = (key, changed(raw, path[1:], change))
    if patched == parts:
        return text
    return object_text(patched)


def with_members(text: bytes, changes: Mapping[str, bytes]) -> bytes:
    """The object with these members set in their place or at the end; those without a text
    are left out.
    """
    parts = members(text)
    patched = replaced(parts, changes)
    if patched == parts:
        return text
    return object_text(patched)


def replaced(parts: Members, changes: Mapping[str, bytes]) -> Members:
    """The members with these set in their place or at the end; those without a text are
    left out.
    """
    present = {key for key, _ in parts}
    patched = [(key, changes.get(key, raw)) for key, raw in parts]
    patched += [(key, raw) for key, raw in changes.items() if key not in present]
    return [(key, raw) for key, raw in patched if raw]


def _compact_length(parts: Members) -> int:
    if not parts:
        return len(b"{}")
    # Each member has a colon, and a comma or the last brace after it.
    return 1 + sum([len(_key_text(key)) + len(raw) + 2 for key, raw in parts])


def _key_text(key: str) -> bytes:
    if len(key) < _SHORT_KEY:
        return _short_key_text(key)
    return scalar_text(key)


@lru_cache(maxsize=1024)
def _short_key_text(key: str) -> bytes:
    return scalar_text(key)


def _holds_only(parts: Members, text: bytes) -> bool:
    """Whether the object consists of these members and blanks between them."""
    at = 0
    opening = b"{"
    for key, raw in parts:
        for token in (opening, _key_text(key), b":", raw):
            start = _NOT_BLANK_BYTE.search(text, at)
            if start is None or not text.startswith(token, start.start()):
                return False
            at = start.start() + len(token)
        opening = b","
    return text[at:].strip() == b"}"


def _lenient(text: str) -> Any:
    try:
        return _LENIENT.decode(text)
    except RecursionError as error:
        raise MalformedJson("the JSON is nested too deeply") from error
    except ValueError as error:
        raise MalformedJson(f"the JSON is malformed: {error}") from error


def _scan_object(text: str) -> Members:
    parts: Members = []
    at = _expect(text, _skip_space(text, 0), "{")
    while text[at : at + 1] != "}":
        if parts:
            at = _expect(text, at, ",")
        key, at = _span(text, at)
        if key[:1] != '"':
            raise MalformedJson(f"the JSON is malformed: a key must be a string at offset {at}")
        raw, at = _span(text, _expect(text, at, ":"))
        parts.append((_lenient(key), raw.encode()))
        if len(parts) > _MOST_MEMBERS:
            raise _too_many_members()
    _expect_end(text, at + 1)
    return parts


def _too_many_members() -> MalformedJson:
    return MalformedJson(f"an object in the JSON has more than {_MOST_MEMBERS:,} members")


def _scan_array(text: str, most: int | None = None) -> list[bytes]:
    """The texts of the elements, as far as the first beyond `most`."""
    raws: list[bytes] = []
    at = _expect(text, _skip_space(text, 0), "[")
    while text[at : at + 1] != "]":
        if raws:
            at = _expect(text, at, ",")
        raw, at = _span(text, at)
        raws.append(raw.encode())
        if most is not None and len(raws) > most:
            return raws
    _expect_end(text, at + 1)
    return raws


def _span(text: str, at: int) -> tuple[str, int]:
    """The text of the value that starts at `at`, and where the next token starts."""
    breathe()
    try:
        _, end = _SKIP.raw_decode(text, at)
    except RecursionError as error:
        raise MalformedJson("the JSON is nested too deeply") from error
    except ValueError as error:
        raise MalformedJson(f"the JSON is malformed: {error}") from error
    return text[at:end], _skip_space(text, end)


def _skip_space(text: str, at: int) -> int:
    match = _NOT_BLANK.search(text, at)
    if match is None:
        return len(text)
    return match.start()


def _expect(text: str, at: int, token: str) -> int:
    if text[at : at + 1] != token:
        raise MalformedJson(f"the JSON is malformed: expected '{token}' at offset {at}")
    return _skip_space(text, at + 1)


def _expect_end(text: str, at: int) -> None:
    if _skip_space(text, at) != len(text):
        raise MalformedJson(f"the JSON is malformed: text after its end at offset {at}")
