"""JSON that the strict reader refuses, read piece by piece: the standard library would take a
quarter of a second for a text of some megabytes, and nothing else could go on meanwhile.
"""

import json
import re
from typing import Any

from addon.formats.wire.pace import LONG, between_breaths, breathe

__all__ = ("expect", "read", "skip_space")

_FEW = 4096
"""Characters that are tried first: most values are shorter."""

# JSON's own blanks (RFC 8259 §2); `\s` has more.
_NOT_BLANK = re.compile(r"[^ \t\n\r]")

_HEX = "[0-9a-fA-F]"
_CHARACTERS = re.compile(
    rf'(?:[^"\\]{{1,256}}+|\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|\\u{_HEX}{{4}}'
    rf"|\\[^u]){{0,2048}}+",
    re.DOTALL,
)
"""Some whole characters of a string: no escape and no pair of surrogates is cut."""


def read(decoder: json.JSONDecoder, text: str, at: int) -> tuple[Any, int]:
    """The value that starts at `at`, and where it ends. Raises ValueError and RecursionError as
    the decoder does.
    """
    breathe()
    if len(text) - at > LONG:
        for size in (_FEW, LONG):
            piece = text[at : at + size]
            try:
                found, end = decoder.raw_decode(piece)
            except ValueError:
                continue  # it is longer, or wrong: the piece does not tell
            if end < len(piece):
                return found, at + end
        reading = {'"': _string, "[": _array, "{": _object}.get(text[at])
        if reading is not None:
            return reading(decoder, text, at)
    return decoder.raw_decode(text, at)


def _string(decoder: json.JSONDecoder, text: str, at: int) -> tuple[str, int]:
    pieces: list[str] = []
    at += 1
    while text[at : at + 1] != '"':
        match = _CHARACTERS.match(text, at)
        if match is None or match.end() == at:
            raise ValueError(f"a string that does not end, or an escape that is none: char {at}")
        pieces.append(decoder.decode(f'"{match[0]}"'))
        at = match.end()
        breathe()
    return "".join(pieces), at + 1


def _array(decoder: json.JSONDecoder, text: str, at: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = skip_space(text, at + 1)
    while text[at : at + 1] != "]":
        if found:
            at = expect(text, at, ",")
        item, at = read(decoder, text, at)
        found.append(item)
        at = skip_space(text, at)
    return found, at + 1


def _object(decoder: json.JSONDecoder, text: str, at: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = skip_space(text, at + 1)
    while text[at : at + 1] != "}":
        if found:
            at = expect(text, at, ",")
        key, at = read(decoder, text, at)
        if not isinstance(key, str):
            raise ValueError(f"a key must be a string: char {at}")
        found[key], at = read(decoder, text, expect(text, skip_space(text, at), ":"))
        at = skip_space(text, at)
    return found, at + 1


def skip_space(text: str, at: int) -> int:
    """Where the next character stands that is no blank."""
    for start in between_breaths(range(at, len(text), LONG)):
        match = _NOT_BLANK.search(text, start, start + LONG)
        if match is not None:
            return match.start()
    return len(text)


def expect(text: str, at: int, token: str) -> int:
    """Where the next character stands after the token and blanks. Raises ValueError for another
    one.
    """
    if text[at : at + 1] != token:
        raise ValueError(f"expected '{token}' at offset {at}")
    return skip_space(text, at + 1)
