"""What stays stable when a client replays a turn: minted tool-call ids, digests of its text
and arguments. Pure.

A minted id is `call_` and 26 alphanumerics: 16 name the turn (95 bits of randomness), 2 the
call within it, 8 authenticate both. Clients return ids untouched, so any of its calls leads to
a turn, and a foreign id is recognised without a look into the table.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec

from addon.formats.wire.pace import LONG, between_breaths, breathe, breathe_for
from addon.formats.wire.splice import MalformedJson, value
from addon.formats.wire.weight import count_values

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
_MINTED_LENGTH = len("call_") + _TOKEN + _PLACE + _MAC
_KNOWN_IDS = 16_384
"""Ids that are held with what they say: a client replays all of its conversation's with each
request, and a long one has some hundreds. Together they take 6 MB.
"""

_QUERY_OPEN, _QUERY_CLOSE = "<user_query>", "</user_query>"
"""Cursor's tags around the user's own words."""

_LONGEST_ARGUMENTS = 1024 * 1024
"""Characters of a call's arguments: models write some 256 KiB at most in one answer."""

_MOST_VALUES = 20_000
"""JSON values in a call's arguments: each costs a fraction of a microsecond."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
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
    if len(call_id) != _MINTED_LENGTH:
        return None
    return _read_minted(call_id, key)


@lru_cache(_KNOWN_IDS)
def _read_minted(call_id: str, key: bytes) -> MintedId | None:
    match = _MINTED.fullmatch(call_id)
    if match is None or not hmac.compare_digest(match[3], _mac(match[1] + match[2], key)):
        return None
    return MintedId(match[1], _ALPHABET.index(match[2][0]) * 62 + _ALPHABET.index(match[2][1]))


def digest(*parts: bytes | str) -> bytes:
    """A digest of 16 bytes of the parts in this order."""
    breathe()
    return digest_of(b"", *parts)


def frame(*parts: bytes | str) -> bytes:
    """The parts with their lengths, so that no others are the same when they are joined."""
    joined = b""
    for part in parts:
        if isinstance(part, str):
            part = part.encode("utf-8", "surrogatepass")
        joined += len(part).to_bytes(8) + part
    return joined


def digest_of(framed: bytes, *parts: bytes | str) -> bytes:
    """The digest of what is framed already and of the parts after it."""
    if sum(map(len, parts)) < LONG:
        return blake2b(framed + frame(*parts), digest_size=16).digest()
    digested = blake2b(framed, digest_size=16)
    for part in parts:
        cuts = range(0, len(part), LONG)
        pieces = [_encoded(part[at : at + LONG]) for at in between_breaths(cuts)]
        digested.update(sum(map(len, pieces)).to_bytes(8))
        for piece in between_breaths(pieces):
            digested.update(piece)
    return digested.digest()


def _encoded(part: bytes | str) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    return part


def normal_text(text: str) -> str:
    """The text with normal line ends, composition and surrogates, without blanks around it:
    clients change these.

    A text with more marks on a letter than any language has keeps its composition: sorting
    them takes quadratic time.
    """
    if len(text) <= 2 * LONG:
        whole = text if text.isascii() else _composed([text])[0]
        return _with_plain_ends(whole).strip()
    pieces = _composed(list(between_breaths(_pieces(text))))
    return "".join([_with_plain_ends(piece) for piece in between_breaths(pieces)]).strip()


def _composed(pieces: list[str]) -> list[str]:
    if all(map(str.isascii, pieces)):
        return pieces
    whole = [_LONE_SURROGATE.sub(_REPLACEMENT, piece) for piece in between_breaths(pieces)]
    if any(_MANY_MARKS.search(piece) for piece in between_breaths(whole)):
        return whole
    return [unicodedata.normalize("NFC", piece) for piece in between_breaths(whole)]


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that can be composed one by one; where nothing but marks and letters
    that join what stands before them follows for too long, it is cut within them.
    """
    start = 0
    while len(text) - start > 2 * LONG:
        cut = start + LONG
        begin = _BEGINS_ANEW.search(text, cut, cut + LONG)
        if begin is not None:
            cut = begin.start()
        elif text[cut - 1 : cut + 1] == "\r\n":
            cut += 1
        yield text[start:cut]
        start = cut
    yield text[start:]


def query_of(text: str) -> str:
    """The user's own words: the `<user_query>` part, if a client wraps it with changing context."""
    breathe_for(len(text))
    # Two searches: a pattern of both tags would start anew at every tag that nothing closes.
    start = text.find(_QUERY_OPEN)
    if start >= 0:
        end = text.find(_QUERY_CLOSE, start)
        if end >= 0:
            text = text[start + len(_QUERY_OPEN) : end]
    return normal_text(text)


def canonical_arguments(arguments: str) -> str:
    """Call arguments independent of their JSON spelling; other text is normalised, and so is
    what is longer, or holds more, than any model calls a tool with.
    """
    if len(arguments) > _LONGEST_ARGUMENTS:
        return normal_text(arguments)
    breathe_for(len(arguments))
    try:
        encoded = arguments.encode()
        is_long = len(encoded) > _MOST_VALUES  # a value takes a byte and more
        if is_long and count_values(encoded, _MOST_VALUES) > _MOST_VALUES:
            return normal_text(arguments)
        return repr(_canonical(value(encoded)))
    except (MalformedJson, UnicodeEncodeError, RecursionError):
        return normal_text(arguments)


def _marks() -> str:
    """The combining marks for a pattern's class; rare scripts are in it whole, since many
    ranges make a search slow.
    """
    codes = [code for code in range(0x300, 0x10000) if unicodedata.combining(chr(code))]
    return "".join(map(chr, codes)) + "\U00010100-\U0001e9ff"


def _joining() -> str:
    """For a pattern's class: what may join the character before it in a composition, but for
    marks (https://www.unicode.org/reports/tr15/, the second characters of composites).
    """
    found = {"\u1161-\u1175", "\u11a8-\u11c2"}  # Hangul's vowels and final consonants
    for code in range(0xC0, 0x10000):
        apart = unicodedata.decomposition(chr(code)).split()
        if len(apart) == 2 and not apart[0].startswith("<"):
            found |= {chr(int(apart[1], 16))}
            if unicodedata.combining(chr(int(apart[0], 16))):
                found |= {chr(code)}
    return "".join(sorted(found))


# With a class at its head, a search skips all other characters quickly.
_MANY_MARKS = re.compile(f"[{_marks()}][{_marks()}]{{{_MOST_MARKS}}}")

_BEGINS_ANEW = re.compile(f"[^\n{_marks()}{_joining()}]")
"""A character before which a text can be cut: it joins none, and ends no line's end."""


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
