"""Reasoning shown within an answer's content, and taken out again when a client replays it. Pure.

What is shown is a block: `<details>` or `<think>` around the text, with a mark of ours
after its first tag and one before its last. Marks are HTML comments: clients replay those
like any other text, and stand within what is collapsed, so that nobody sees them even where
a renderer shows comments. They are plain ASCII, which neither normalisation nor a filter of
invisible characters changes. Each bears a token with a MAC: no other text can be taken for
a block, be it a user's own `<details>` or this very file.

Blocks are cut out of the JSON as it came, in whatever way the client's encoder spells them.
"""

import hashlib
import hmac
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from addon.formats.wire.splice import MalformedJson, elements, members, value

__all__ = ("Block", "Style", "new_token", "stripped")

type Style = Literal["details", "think"]
type Cut = tuple[int, int]
"""Where something to leave out begins and ends."""

_NAME = b"--thinkback"
_MOST_MARKS = 5_000
"""Marks that a body may hold; no conversation has so many, and each is looked at closely."""

_RANDOM, _MAC = 6, 6
_LEAD = "\n\n"
"""What parts a block from text before it, and from what comes after it."""

_TAGS = {
    "details": ("<details><summary>Thinking</summary>", "</details>"),
    "think": ("<think>", "</think>"),
}


class Block(msgspec.Struct, frozen=True):
    """One block; it is its opening, any number of texts, and its closing."""

    style: Style
    token: str
    led: bool = False
    """Whether text of the same answer stands before it."""

    @property
    def opening(self) -> str:
        lead, kind = (_LEAD, "+") if self.led else ("", ":")
        return f"{lead}{_TAGS[self.style][0]}<!--thinkback{kind}{self.token}-->\n\n{self._quote}"

    @property
    def closing(self) -> str:
        return f"\n\n<!--thinkback.{self.token}-->{_TAGS[self.style][1]}{_LEAD}"

    def text(self, said: str) -> str:
        """The reasoning as it stands in the block: no tag in it is one, and no fence leads
        out of it.
        """
        return said.replace("<", "<\N{ZERO WIDTH SPACE}").replace("\n", f"\n{self._quote}")

    @property
    def _quote(self) -> str:
        """Markdown ends with a quotation whatever was left open in it."""
        return "> " if self.style == "details" else ""


def new_token(random: bytes, key: bytes) -> str:
    """The token of a new block, from at least 6 random bytes."""
    name = random[:_RANDOM].hex()
    return name + _mac(name, key)


def _mac(name: str, key: bytes) -> str:
    return hashlib.blake2b(name.encode(), key=key, digest_size=_MAC, person=b"mirror").hexdigest()


def stripped(body: bytes, key: bytes) -> bytes:
    """A request's body, in any format, without the blocks made under this key; the same
    object when there are none.

    A block that has no end goes on to the end of the assistant's message; elsewhere it
    stays. A text part of an assistant's content that was nothing but a block goes as a
    whole, and so does such a message among Responses items.
    """
    if not 0 < body.count(_NAME) <= _MOST_MARKS:
        return body
    try:
        cuts = list(_in_body(body, _Keyring(key)))
    except MalformedJson:
        return body  # whoever reads it will say so
    return _without(body, cuts) if cuts else body


def _without(text: bytes, cuts: list[Cut]) -> bytes:
    kept, at = [], 0
    for start, end in cuts:
        kept.append(text[at:start])
        at = end
    return b"".join([*kept, text[at:]])


# -- where blocks stand in a body ------------------------------------------------------------------


class _Keyring:
    """Knows our tokens."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[bytes, bool] = {}

    def made(self, token: bytes) -> bool:
        """Whether a block of ours has this token."""
        if token not in self._known:
            name, mac = token[: 2 * _RANDOM].decode(), token[2 * _RANDOM :].decode()
            self._known[token] = hmac.compare_digest(mac, _mac(name, self._key))
        return self._known[token]


def _in_body(body: bytes, ring: _Keyring) -> Iterator[Cut]:
    for name, start, end in _members(body):
        text = body[start:end]
        if _NAME not in text:
            continue
        if name in ("messages", "input") and text.startswith(b"["):
            yield from _moved(_in_messages(text, ring, items=name == "input"), start)
        else:
            yield from _moved(_in_any(text, ring), start)


def _in_messages(text: bytes, ring: _Keyring, *, items: bool) -> Iterator[Cut]:
    """`items`: an assistant's message that has no content any more goes as a whole."""
    inner: dict[int, list[Cut]] = {}
    empty: set[int] = set()
    places = list(_elements(text))
    for at, (start, end) in enumerate(places):
        message = text[start:end]
        if _NAME in message:
            inner[at], bare = _in_message(message, ring)
            if bare and items:
                empty.add(at)
    yield from _thinned(text, places, inner, empty)


def _in_message(text: bytes, ring: _Keyring) -> tuple[list[Cut], bool]:
    """What to cut from a message, and whether nothing is left of its content."""
    if not text.startswith(b"{"):
        return list(_in_any(text, ring)), False
    cuts: list[Cut] = []
    bare, parts = False, list(_members(text))
    assistant = any(
        name == "role" and value(text[start:end]) == "assistant" for name, start, end in parts
    )
    for name, start, end in parts:
        if assistant and name == "content":
            found, bare = _in_content(text[start:end], ring)
        else:
            found = list(_in_any(text[start:end], ring))
        cuts += _moved(found, start)
    return cuts, bare


def _in_content(text: bytes, ring: _Keyring) -> tuple[list[Cut], bool]:
    """The same for the content of an assistant's message, whose texts are one text."""
    said = _Said(ring)
    if not text.startswith(b"["):
        cuts = said.cuts(text) if text.startswith(b'"') else []
        return cuts, bool(cuts) and _without(text, cuts) == b'""'
    inner: dict[int, list[Cut]] = {}
    empty: set[int] = set()
    places = list(_elements(text))
    for at, (start, end) in enumerate(places):
        where = _text_of(text[start:end])
        if where is None:
            continue
        literal = text[start + where[0] : start + where[1]]
        if cuts := said.cuts(literal):
            inner[at] = list(_moved(cuts, where[0]))
            if _without(literal, cuts) == b'""':
                empty.add(at)
    return list(_thinned(text, places, inner, empty)), bool(empty) and len(empty) == len(places)


def _text_of(part: bytes) -> Cut | None:
    """Where the text of a content part stands in it."""
    if part.startswith(b'"'):
        return 0, len(part)
    if not part.startswith(b"{"):
        return None
    texts = (
        (start, end)
        for name, start, end in _members(part)
        if name == "text" and part[start : start + 1] == b'"'
    )
    return next(texts, None)


def _in_any(text: bytes, ring: _Keyring) -> Iterator[Cut]:
    """The whole blocks in any JSON text, each within one of its strings."""
    if _NAME not in text:
        return
    for match in _STRING.finditer(text):
        if _NAME in match[0]:
            yield from _moved(_Said(ring, open_ended=False).cuts(match[0]), match.start())


def _thinned(
    text: bytes, places: list[Cut], inner: dict[int, list[Cut]], dropped: set[int]
) -> Iterator[Cut]:
    """The cuts within the elements of an array, and those that take whole elements with
    their commas.
    """
    if dropped and len(dropped) == len(places):
        yield 1, len(text) - 1
        return
    kept = False
    for at, (start, end) in enumerate(places):
        if at not in dropped:
            kept = True
            yield from _moved(inner.get(at, []), start)
        elif kept:
            yield places[at - 1][1], end
        else:
            yield start, places[at + 1][0]


def _moved(cuts: Iterable[Cut], by: int) -> Iterator[Cut]:
    return ((start + by, end + by) for start, end in cuts)


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BEFORE_MEMBER = re.compile(rb"[\s,{]*+" + _STRING.pattern + rb"\s*+:\s*+", re.DOTALL)
_BEFORE_ELEMENT = re.compile(rb"[\s,]*+")


def _members(text: bytes) -> Iterator[tuple[str, int, int]]:
    """Each member's key, and where its value begins and ends. Raises MalformedJson."""
    at = max(0, text.find(b"{"))
    for key, raw in members(text):
        before = _BEFORE_MEMBER.match(text, at)
        assert before is not None
        at = before.end() + len(raw)
        yield key, before.end(), at


def _elements(text: bytes) -> Iterator[Cut]:
    """Where each element of an array begins and ends. Raises MalformedJson."""
    at = text.find(b"[") + 1
    for raw in elements(text):
        before = _BEFORE_ELEMENT.match(text, at)
        assert before is not None
        at = before.end() + len(raw)
        yield before.end(), at


# -- blocks in JSON strings ------------------------------------------------------------------------


def _as_far(steps: Iterable[bytes], then: bytes = b"") -> bytes:
    """The pattern of these steps one after the other, and `then`, as far as they come."""
    pattern = then
    for step in reversed(list(steps)):
        pattern = b"(?:" + step + pattern + b")?"
    return pattern


# Encoders may escape `<`, `>` and `/`; what stands in a JSON string within a JSON string is
# escaped once more.
_ESCAPE = rb"\\{1,4}"
_LT, _GT, _SLASH = (
    rb"(?:<|%bu003[cC])" % _ESCAPE,
    rb"(?:>|%bu003[eE])" % _ESCAPE,
    rb"(?:%b)?/" % _ESCAPE,
)
_LF, _CRLF = rb"%bn" % _ESCAPE, rb"%br%bn" % (_ESCAPE, _ESCAPE)
_NEWLINE = rb"(?:%b|%b)" % (_LF, _CRLF)
_DETAILS = b"".join(
    [b"details", _GT, _LT, b"summary", _GT, b"Thinking", _LT, _SLASH, b"summary", _GT]
)
_HEAD = re.compile(
    rb"(?P<lead>%b|%b)?%b(?:%b|think%b)%b!\Z" % (2 * _LF, 2 * _CRLF, _LT, _DETAILS, _GT, _LT)
)
_LONGEST_HEAD = 256
_MARK = re.compile(_NAME + rb"(?P<kind>[:+.])(?P<token>[0-9a-f]{%d})--" % (2 * (_RANDOM + _MAC)))
_REST = _as_far([_GT, _NEWLINE, _NEWLINE])
_DETAILS_END, _THINK_END = (
    _as_far([b"e", b"t", b"a", b"i", b"l", b"s"], _REST),
    _as_far([b"h", b"i", b"n", b"k"], _REST),
)
_TAIL = re.compile(_as_far([_GT, _LT, _SLASH], b"(?:d%b|t%b)?" % (_DETAILS_END, _THINK_END)))
_BEGUN = re.compile(_NAME + rb"(?P<kind>[:+])?[0-9a-f]*-?\Z")
"""An opening mark that the end of the text has cut short, beyond the point where it could
be anybody else's.
"""


class _Said:
    """One text in one or more JSON strings; `open_ended`: a block without an end goes on to
    the end of the text.

    It ends at the next block, too: clients join messages.
    """

    def __init__(self, ring: _Keyring, *, open_ended: bool = True) -> None:
        self._ring = ring
        self._open_ended = open_ended
        self._open = b""
        """The token of a block that is still open where the last string ended."""

    def cuts(self, literal: bytes) -> list[Cut]:
        """What to cut from the next string, quotes included."""
        at, end = 1, len(literal) - 1
        begins, ends = self._marks(literal, end)
        found: list[Cut] = []
        for place, (start, token) in enumerate(begins):
            closed = _first_after(ends.get(token, []), start)
            following = begins[place + 1][0] if place + 1 < len(begins) else end
            if start < at or not (closed or self._open_ended):
                continue  # it stands within another, or has no end
            self._open = b"" if closed or following < end else token
            at = closed or following
            found.append((start, at))
        if self._open_ended and not self._open and (begun := _BEGUN.search(literal, at, end)):
            start = _begin(literal, begun)
            found += [(start, end)] if start else []
        return found

    def _marks(
        self, literal: bytes, end: int
    ) -> tuple[list[tuple[int, bytes]], dict[bytes, list[Cut]]]:
        """Where blocks of ours begin, with their tokens, and by token where some end: the
        mark, and what follows it.
        """
        begins: list[tuple[int, bytes]] = [(1, self._open)] if self._open else []
        ends: dict[bytes, list[Cut]] = {}
        for mark in _MARK.finditer(literal, 1, end):
            if not self._ring.made(mark["token"]):
                continue
            if mark["kind"] == b".":
                tail = _TAIL.match(literal, mark.end(), end)
                ends.setdefault(mark["token"], []).append(
                    (mark.start(), tail.end() if tail else mark.end())
                )
            elif start := _begin(literal, mark):
                begins.append((start, mark["token"]))
        return begins, ends


def _first_after(ends: list[Cut], start: int) -> int:
    """Where the first of them that begins after `start` ends, or 0."""
    at = bisect_left(ends, (start, 0))
    return ends[at][1] if at < len(ends) else 0


def _begin(literal: bytes, mark: re.Match[bytes]) -> int:
    """Where the block begins that an opening mark stands in, or 0: it stands in none.

    With the block's lead, if it has one; an escape's backslash belongs to it, those before
    that don't.
    """
    head = _HEAD.search(literal, max(1, mark.start() - _LONGEST_HEAD), mark.start())
    if head is None:
        return 0
    first = last = head.end("lead") if head["lead"] and mark["kind"] != b"+" else head.start()
    while literal[last : last + 1] == b"\\":
        last += 1
    while last > first and literal[first - 1 : first] == b"\\":
        first -= 1
    return last - min(last - first, 2 - (last - first) % 2)
