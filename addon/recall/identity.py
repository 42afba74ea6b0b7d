"""What stays stable when a client replays a turn: minted tool-call ids, digests of its text
and arguments. Pure.

A minted id is `call_` and 26 alphanumerics: 16 name the turn (95 bits of randomness), 2 the
call within it, 8 authenticate both. Clients return ids untouched, so any of its calls leads to
a turn, and a foreign id is recognised without a look into the table.
"""

import hmac
import re
import unicodedata
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec

from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import MalformedJson, value

__all__ = (
    "MintedId",
    "canonical_arguments",
    "digest",
    "digest_of",
    "frame",
    "mint",
    "new_token",
    "normal_text",
    "query_of",
    "read_minted",
)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Characters that every provider takes in an id, and that no client escapes."""

_TOKEN, _PLACE, _MAC = 16, 2, 8
"""Lengths of a minted id's pieces, as told above."""

_MINTED = re.compile(
    rf"call_([0-9A-Za-z]{{{_TOKEN}}})([0-9A-Za-z]{{{_PLACE}}})([0-9A-Za-z]{{{_MAC}}})", re.ASCII
)
_QUERY_OPEN, _QUERY_CLOSE = "<user_query>", "</user_query>"
"""Cursor's tags around the user's own words."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_MARKS = 30
"""Combining marks on one letter; no language has more
(https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format).
"""

_LETTERS = bytes(ord(_ALPHABET[byte % 62]) for byte in range(256))
"""A letter of the alphabet for each byte of a MAC."""


class MintedId(msgspec.Struct, frozen=True):
    """The pieces of a minted tool-call id."""

    token: str
    """Name of the turn."""

    index: int
    """Number of the call in the turn."""


def new_token(random: bytes) -> str:
    """A turn's token from at least 12 random bytes."""
    return _base62(int.from_bytes(random), _TOKEN)


def mint(token: str, index: int, key: bytes) -> str:
    """The id the client gets for call number `index` of the turn `token`."""
    place = _base62(index, _PLACE)
    return f"call_{token}{place}{_mac(token + place, key)}"


def read_minted(call_id: str, key: bytes) -> MintedId | None:
    """The turn and call of a minted id; None for any other id."""
    match = _MINTED.fullmatch(call_id)
    if match is None or not hmac.compare_digest(match[3], _mac(match[1] + match[2], key)):
        return None
    return MintedId(match[1], _ALPHABET.index(match[2][0]) * 62 + _ALPHABET.index(match[2][1]))


def digest(*parts: bytes | str) -> bytes:
    """A digest of 16 bytes of the parts in this order."""
    breathe()
    return digest_of(frame(*parts))


def frame(*parts: bytes | str) -> bytes:
    """The parts with their lengths, so that no others are the same when they are joined."""
    joined = b""
    for part in parts:
        if isinstance(part, str):
            part = part.encode("utf-8", "surrogatepass")
        joined += len(part).to_bytes(8) + part
    return joined


def digest_of(joined: bytes) -> bytes:
    """The digest of parts that are framed."""
    return blake2b(joined, digest_size=16).digest()


def normal_text(text: str) -> str:
    """The text with normal line ends, composition and surrogates, without blanks around it:
    clients change these.

    A text with more marks on a letter than any language has keeps its composition: sorting
    them takes quadratic time.
    """
    if not text.isascii():
        text = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
        if not _MANY_MARKS.search(text):
            text = unicodedata.normalize("NFC", text)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def query_of(text: str) -> str:
    """The user's own words: the `<user_query>` part, if a client wraps it with changing context."""
    # Two searches: a pattern of both tags would start anew at every tag that nothing closes.
    start = text.find(_QUERY_OPEN)
    if start >= 0:
        end = text.find(_QUERY_CLOSE, start)
        if end >= 0:
            text = text[start + len(_QUERY_OPEN) : end]
    return normal_text(text)


def canonical_arguments(arguments: str) -> str:
    """Call arguments independent of their JSON spelling; other text is normalised."""
    try:
        return repr(_canonical(value(arguments.encode())))
    except (MalformedJson, UnicodeEncodeError, RecursionError):
        return normal_text(arguments)


def _marks() -> str:
    """The combining marks for a pattern's class; rare scripts are in it whole, since many
    ranges make a search slow.
    """
    codes = [code for code in range(0x300, 0x10000) if unicodedata.combining(chr(code))]
    return "".join(map(chr, codes)) + "\U00010100-\U0001e9ff"


# With a class at its head, a search skips all other characters quickly.
_MANY_MARKS = re.compile(f"[{_marks()}][{_marks()}]{{{_MOST_MARKS}}}")


def _canonical(node: Any) -> Any:
    if isinstance(node, dict):
        members = [(normal_text(key), _canonical(item)) for key, item in node.items()]
        return sorted(members, key=itemgetter(0))
    if isinstance(node, list):
        return tuple(_canonical(item) for item in node)
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if isinstance(node, str):
        return normal_text(node)
    return node


def _mac(text: str, key: bytes) -> str:
    mac = blake2b(text.encode(), key=key, digest_size=_MAC).digest()
    return mac.translate(_LETTERS).decode()


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
