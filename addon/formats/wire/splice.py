"""JSON text taken apart at one level, so that whatever is not touched keeps its bytes.

msgspec does the work in linear time; the standard library takes over for text that msgspec
refuses although upstreams accept it (lone surrogates, `NaN`, numbers beyond a double) and
where duplicated keys are possible, which msgspec drops.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from itertools import batched
from typing import Any

import msgspec

from addon.formats.wire.pace import LONG, between_breaths, breathe, breathe_for, pieces_of
from addon.formats.wire.piecewise import expect, read, skip_space

__all__ = (
    "MalformedJson",
    "Members",
    "Stretch",
    "array_elements",
    "array_pieces",
    "array_text",
    "changed",
    "count",
    "elements",
    "json_text",
    "members",
    "object_in_pieces",
    "object_raw",
    "object_text",
    "replaced",
    "scalar_text",
    "utf8_text",
    "value",
    "with_members",
)

type Stretch = bytes | memoryview
"""A part of a text, which may be a view of it."""

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
_NOT_BLANK_BYTE = re.compile(rb"[^ \t\n\r]")

_SHORT_KEY = 64
"""Characters below which a key's JSON text is cached: names that formats define are shorter."""

_MOST_MEMBERS = 10_000
"""Members that an object may have to be taken apart: real ones have far fewer, and each costs a
microsecond or more.
"""

_LARGE = 1024 * 1024
"""Bytes from which a value is read or written in pieces: in one pass it takes some 2 ms."""

_VERY_LARGE = 4 * 1024 * 1024
"""Bytes from which pieces are joined bit by bit: in one pass it takes some 3 ms."""

_JOINED = 512
"""Pieces that are joined at a time: those of a conversation are a megabyte then."""

_DEEPEST = 16
"""How deep a large value may stand within others: it is looked at once for each level."""

_SCALAR = 8
"""Bytes that any value has, about."""

_UNSEEN = 1024
"""The same of one that stands too deep to be looked at: much may stand in it."""

_BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which RFC 8259 §8.1 lets a reader ignore."""


class MalformedJson(ValueError):
    """The text is not the JSON that was asked for; the message says why."""


def members(text: bytes) -> Members:
    """The members of the object `text`; a byte order mark before it is dropped. Raises
    MalformedJson.
    """
    breathe_for(len(text))
    text = text.removeprefix(_BOM).strip(b" \t\r\n")
    try:
        raws = _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _scan_object(utf8_text(text))
    if len(raws) > _MOST_MEMBERS:
        raise _too_many_members()
    breathe_for(len(text))
    parts = [(key, bytes(raw)) for key, raw in raws.items()]
    # A compact object is exactly as long as its parts: no room for a duplicated key that
    # the dict has swallowed.
    if len(text) == _compact_length(parts) or _holds_only(parts, text):
        return parts
    return _scan_object(utf8_text(text))


def elements(text: bytes) -> list[bytes]:
    """The texts of the elements of the array `text`. Raises MalformedJson."""
    breathe_for(len(text))
    try:
        raws = _ARRAY.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _scan_array(utf8_text(text))
    breathe_for(len(text))
    return [bytes(raw) for raw in raws]


def array_elements(text: bytes) -> list[bytes]:
    """The texts of an array's elements; `[]` for any other text. Raises MalformedJson."""
    if not text.lstrip().startswith(b"["):
        return []
    return elements(text)


def count(text: bytes, most: int) -> int:
    """How many elements the array `text` has; one beyond `most` may stand for all that
    follow. Raises MalformedJson.
    """
    breathe_for(len(text))
    try:
        return len(_OBJECTS.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return len(_scan_array(utf8_text(text), most))


def object_text(parts: Members) -> bytes:
    """The object with these members, in this order."""
    breathe()
    pieces = [piece for key, raw in parts for piece in (b",", _key_text(key), b":", raw)]
    # One join: each sum of bytes would copy megabytes once more.
    return b"".join([b"{", *pieces[1:], b"}"])


def object_in_pieces(parts: Members, name: str, pieces: Sequence[Stretch]) -> bytes:
    """The object with these members, of which the one of this name has the text of the pieces."""
    breathe()
    joined: list[Stretch] = []
    for key, raw in parts:
        joined += (b",", _key_text(key), b":")
        if key == name:
            joined += pieces
        else:
            joined.append(raw)
    joined[:1] = [b"{"]
    return _joined([*joined, b"}"])


def _joined(pieces: list[Stretch]) -> bytes:
    """The pieces in one, with breaths between where they are many and long."""
    if sum(map(len, pieces)) < _VERY_LARGE:
        return b"".join(pieces)
    whole = BytesIO()
    for lot in between_breaths(batched(pieces, _JOINED)):
        whole.write(b"".join(lot))
    return whole.getvalue()


def array_text(parts: list[bytes]) -> bytes:
    """The array with these elements."""
    breathe()
    pieces = [piece for raw in parts for piece in (b",", raw)]
    return b"".join([b"[", *pieces[1:], b"]"])


def array_pieces(parts: Iterable[bytes]) -> list[Stretch]:
    """The text of the array with these elements, in pieces that are yet to be joined."""
    pieces: list[Stretch] = [piece for raw in parts for piece in (b",", raw)]
    return [b"[", *pieces[1:], b"]"]


def json_text(node: Any) -> bytes:
    """The same as `scalar_text` for a value that may be long, written in pieces."""
    return b"".join(_written(node))


def _written(node: Any) -> Iterator[bytes]:
    breathe()
    if not isinstance(node, dict | list) or _weight(node) < LONG:
        yield scalar_text(node)
        return
    comma = b""
    if isinstance(node, dict):
        yield b"{"
        for key, item in node.items():
            yield b"%b%b:" % (comma, _key_text(key))
            yield from _written(item)
            comma = b","
        yield b"}"
    else:
        yield b"["
        for item in node:
            yield comma
            yield from _written(item)
            comma = b","
        yield b"]"


def _weight(node: Any, depth: int = 0) -> int:
    """About how many bytes a value has, guessed where that is deep within it; as soon as it is
    LONG the rest is not looked at.
    """
    if isinstance(node, str):
        return len(node)
    if isinstance(node, msgspec.Raw):
        return memoryview(node).nbytes
    if not isinstance(node, dict | list):
        return _SCALAR
    if depth == _DEEPEST:
        return _UNSEEN
    weight = _SCALAR
    for item in node.values() if isinstance(node, dict) else node:
        weight += _weight(item, depth + 1)
        if weight >= LONG:
            break
    return weight


def scalar_text(scalar: object) -> bytes:
    """The JSON text of a Python value, in which a Raw is text already; strings keep lone
    surrogates as escapes.
    """
    if isinstance(scalar, str) and len(scalar) >= _LARGE:
        pieces = [scalar_text(piece)[1:-1] for piece in pieces_of(scalar)]
        return b"".join([b'"', *pieces, b'"'])
    try:
        return msgspec.json.encode(scalar)
    except UnicodeEncodeError:
        return json.dumps(scalar, separators=(",", ":"), default=_taken_apart).encode()


def _taken_apart(raw: msgspec.Raw) -> Any:
    return value(bytes(raw))


def object_raw(text: bytes) -> msgspec.Raw | None:
    """The text, to stand in a value as it is, if it is that of one object; None else.

    Nothing is made of what stands within: a tree of small values takes fifty times its text, and
    as long as all of them take to be let go nobody else goes on.
    """
    breathe_for(len(text))
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return msgspec.Raw(text.strip())


def value(text: bytes) -> Any:
    """The value of a JSON text as Python objects. Raises MalformedJson."""
    return _value(text, 0)


def _value(text: bytes | msgspec.Raw, depth: int) -> Any:
    size = len(memoryview(text))
    breathe_for(size)
    if size >= _LARGE:
        return _large_value(bytes(text), depth)
    try:
        return _VALUE.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(utf8_text(bytes(text)))


def _large_value(text: bytes, depth: int) -> Any:
    """The value, level by level."""
    if depth > _DEEPEST:
        raise MalformedJson("the JSON is nested too deeply")
    first = _first(text)
    if first == b"-" or first.isdigit():
        raise MalformedJson("a number has a million digits")
    try:
        match first:
            case b"{":
                found = _OBJECT.decode(text)
                parts = between_breaths(found.items())
                return {key: _value(raw, depth + 1) for key, raw in parts}
            case b"[":
                raws = _ARRAY.decode(text)
                return [_value(raw, depth + 1) for raw in between_breaths(raws)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the lenient reader may take it
    return _lenient(utf8_text(text))


def _first(text: bytes) -> bytes:
    """The first character that is no blank."""
    at = _skip_blanks(text, 0)
    return text[at : at + 1]


def utf8_text(text: bytes) -> str:
    """The text decoded. Raises MalformedJson, also for bytes that the functions above skip."""
    breathe_for(len(text))
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
            start = _skip_blanks(text, at)
            if not text.startswith(token, start):
                return False
            at = start + len(token)
        opening = b","
    return text[at:].strip() == b"}"


def _skip_blanks(text: bytes, at: int) -> int:
    """Where the next character stands that is no blank."""
    for start in between_breaths(range(at, len(text), LONG)):
        found = _NOT_BLANK_BYTE.search(text, start, start + LONG)
        if found is not None:
            return found.start()
    return len(text)


def _lenient(text: str) -> Any:
    found, at = _read(_LENIENT, text, skip_space(text, 0))
    _expect_end(text, at)
    return found


def _scan_object(text: str) -> Members:
    parts: Members = []
    at = _expect(text, skip_space(text, 0), "{")
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
    at = _expect(text, skip_space(text, 0), "[")
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
    _, end = _read(_SKIP, text, at)
    breathe_for(end - at)
    return text[at:end], skip_space(text, end)


def _read(decoder: json.JSONDecoder, text: str, at: int) -> tuple[Any, int]:
    try:
        return read(decoder, text, at)
    except RecursionError as error:
        raise MalformedJson("the JSON is nested too deeply") from error
    except ValueError as error:
        raise MalformedJson(f"the JSON is malformed: {error}") from error


def _expect(text: str, at: int, token: str) -> int:
    try:
        return expect(text, at, token)
    except ValueError as error:
        raise MalformedJson(f"the JSON is malformed: {error}") from error


def _expect_end(text: str, at: int) -> None:
    if skip_space(text, at) != len(text):
        raise MalformedJson(f"the JSON is malformed: text after its end at offset {at}")
