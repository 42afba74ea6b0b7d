"""Halves of UTF-16 pairs in JSON text: JSON may spell them, Unicode text may not hold them."""

import re

__all__ = ("without_lone_surrogates",)

# Every escape is matched, so that the backslash of an escaped backslash never begins another one.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)",
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
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return _ESCAPE.sub(_paired, text)


def _paired(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return _REPLACEMENT
    return escape[0]
