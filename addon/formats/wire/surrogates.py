"""Halves of UTF-16 pairs in JSON text: JSON may spell them, Unicode text may not hold them."""

import re
from collections.abc import Iterator

from addon.formats.wire.pace import between_breaths, breathe_for

__all__ = ("without_lone_surrogates",)

# Every escape is matched, so that the backslash of an escaped backslash never begins another one.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_CHARACTERS = re.compile(
    rb"(?:[^\\]{1,256}+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u[0-9a-fA-F]{4}|\\.){0,2048}+",
    re.DOTALL,
)
_REPLACEMENT = rb"\ufffd"
"""U+FFFD, Unicode's replacement character, as JSON spells it."""


def without_lone_surrogates(text: bytes) -> bytes:
    """The JSON text with U+FFFD in the place of each lone surrogate; everything else keeps
    its bytes.

    Anthropic refuses a request with one: "no low surrogate in string"
    (github.com/anthropics/claude-code/issues/1709).
    """
    breathe_for(len(text))
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return b"".join([_ESCAPE.sub(_paired, piece) for piece in between_breaths(_pieces(text))])


def _pieces(text: bytes) -> Iterator[bytes]:
    """The text in pieces, no escape and no pair of them cut."""
    at = 0
    while at < len(text):
        match = _CHARACTERS.match(text, at)
        end = match.end() if match is not None else at
        if end == at:  # a backslash that nothing follows
            end = len(text)
        yield text[at:end]
        at = end


def _paired(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return _REPLACEMENT
    return escape[0]
