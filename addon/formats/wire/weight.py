"""How much there is in a JSON text, counted before anything is made of it: decoding a few
megabytes of empty arrays takes seconds and gigabytes.
"""

import re

from addon.formats.wire.pace import breathe

__all__ = ("SEPARATORS", "count_outside_strings", "count_values", "has_more")

STEP = 256 * 1024
"""Bytes that are looked at between two breaths."""

SEPARATORS = (b",", b"[", b"{")
"""Before each value but the first of a text stands one of these, or a key after one."""

_WITHIN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


def count_values(text: bytes, most: int) -> int:
    """About how many values are in the text, at least as many as there are; as soon as that is
    more than `most` the rest is not counted. What is no JSON is counted as far as it goes.
    """
    if _separators(text, 0, len(text), most) <= most:
        return most
    return count_outside_strings(text, most)


def count_outside_strings(text: bytes, most: int) -> int:
    """The same, for a text that begins outside of strings, and exactly unless there are more."""
    found, at = 0, 0
    while found <= most:
        opening = text.find(b'"', at)
        end = len(text) if opening < 0 else opening
        found += _separators(text, at, end, most)
        if opening < 0:
            break
        at = _after_string(text, opening + 1)
        breathe()
    return found


def has_more(text: bytes, sign: bytes, most: int) -> bool:
    """Whether the sign, a byte, stands in the text more than so many times less one."""
    return _count(text, (sign,), 0, len(text), most) >= most


def _separators(text: bytes, start: int, end: int, most: int) -> int:
    """How many there are, strings included, or a few more than `most`."""
    return _count(text, SEPARATORS, start, end, most)


def _count(text: bytes, signs: tuple[bytes, ...], start: int, end: int, most: int) -> int:
    found = 0
    for at in range(start, end, STEP):
        for sign in signs:
            found += text.count(sign, at, min(at + STEP, end))
        if found > most:
            break
        breathe()
    return found


def _after_string(text: bytes, at: int) -> int:
    """Where the string ends that has begun before `at`."""
    while at < len(text):
        match = _WITHIN_STRING.match(text, at, at + STEP)
        end = match.end() if match else at
        if text[end : end + 1] == b'"':
            return end + 1
        if end == at:
            break
        at = end
        breathe()
    return len(text)
