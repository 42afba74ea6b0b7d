"""What stays stable when a client replays a turn: minted tool-call ids, anchors,
fingerprints. Pure.

A minted id is `call_` and 26 alphanumerics: 16 name the turn (95 bits of randomness), 2 the
call within it, 8 authenticate both. Clients return ids untouched, so a turn is found by any
of its calls, and an id of ours is told from a foreign one without asking the table.
"""

import hashlib
import hmac
import re
import unicodedata
from operator import itemgetter
from typing import Any

import msgspec

from addon.formats.wire.splice import MalformedJson, value

__all__ = (
    "MintedId",
    "canonical_arguments",
    "digest",
    "mint",
    "new_token",
    "normal_text",
    "query_of",
    "read_minted",
)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN, _PLACE, _MAC = 16, 2, 8
_MINTED = re.compile(
    rf"call_([0-9A-Za-z]{{{_TOKEN}}})([0-9A-Za-z]{{{_PLACE}}})([0-9A-Za-z]{{{_MAC}}})", re.ASCII
)
_QUERY_OPEN, _QUERY_CLOSE = "<user_query>", "</user_query>"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_MARKS = 30
"""Combining marks on one letter; no language has more
(https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format).
"""

_LETTERS = bytes(ord(_ALPHABET[byte % 62]) for byte in range(256))


class MintedId(msgspec.Struct, frozen=True):
    """A tool-call id of ours, taken apart."""

    token: str
    """Names the turn."""

    index: int
    """Which of the turn's calls."""


def new_token(random: bytes) -> str:
    """A turn's name from at least 12 random bytes."""
    return _base62(int.from_bytes(random), _TOKEN)


def mint(token: str, index: int, key: bytes) -> str:
    """The id the client gets for call number `index` of the turn `token`."""
    place = _base62(index, _PLACE)
    return f"call_{token}{place}{_mac(token + place, key)}"


def read_minted(call_id: str, key: bytes) -> MintedId | None:
    """The turn and call behind an id, or None for an id that is not ours."""
    match = _MINTED.fullmatch(call_id)
    if match is None or not hmac.compare_digest(match[3], _mac(match[1] + match[2], key)):
        return None
    return MintedId(match[1], _ALPHABET.index(match[2][0]) * 62 + _ALPHABET.index(match[2][1]))


def digest(*parts: bytes | str) -> bytes:
    """16 bytes that stand for the parts in this order; no two lists of parts share them by
    concatenation.
    """
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(len(text).to_bytes(8) + text)
    return state.digest()


def normal_text(text: str) -> str:
    """The text without what clients change on the way: line ends, composition, blanks
    around it, broken surrogates.

    A text with more marks on a letter than any language has keeps its composition: sorting
    them takes quadratic time.
    """
    if not text.isascii():
        text = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
        if not _MANY_MARKS.search(text):
            text = unicodedata.normalize("NFC", text)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def query_of(text: str) -> str:
    """What the user typed: the `<user_query>` part where a client wraps it with context
    that changes.
    """
    # Searched for one after the other: a pattern of both starts anew at every tag that
    # nothing closes.
    start = text.find(_QUERY_OPEN)
    end = text.find(_QUERY_CLOSE, start) if start >= 0 else -1
    return normal_text(text[start + len(_QUERY_OPEN) : end] if end >= 0 else text)


def canonical_arguments(arguments: str) -> str:
    """Call arguments as every serialiser would agree on them; text that is no JSON stands
    for itself.
    """
    try:
        return repr(_canonical(value(arguments.encode())))
    except (MalformedJson, UnicodeEncodeError, RecursionError):
        return normal_text(arguments)


def _marks() -> str:
    """A pattern's class of the combining marks; rare scripts are in it whole, as many
    ranges make a search slow.
    """
    codes = [code for code in range(0x300, 0x10000) if unicodedata.combining(chr(code))]
    return "".join(map(chr, codes)) + "\U00010100-\U0001e9ff"


# One class at its head lets a search skip what is none of them.
_MANY_MARKS = re.compile(f"[{_marks()}][{_marks()}]{{{_MOST_MARKS}}}")


def _canonical(found: Any) -> Any:
    if isinstance(found, dict):
        return sorted(
            ((normal_text(key), _canonical(item)) for key, item in found.items()), key=itemgetter(0)
        )
    if isinstance(found, list):
        return tuple(_canonical(item) for item in found)
    if isinstance(found, float) and found.is_integer():
        return int(found)
    return normal_text(found) if isinstance(found, str) else found


def _mac(text: str, key: bytes) -> str:
    return (
        hashlib.blake2b(text.encode(), key=key, digest_size=_MAC)
        .digest()
        .translate(_LETTERS)
        .decode()
    )


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
