"""Blocks of reasoning in an answer's content, and their removal when a client replays it. Pure.

A block is `<details>` or `<think>` around the text, with a mark of ours after its first tag and
one before its last. Marks are HTML comments: clients replay them like any other text, and they
stand within the collapsed part, so that nobody sees them even where a renderer shows comments.
They are plain ASCII, which neither normalisation nor a filter of invisible characters changes.
Each bears a token with a MAC: no other text can pass for a block, be it a user's own `<details>`
or this very file.

Blocks are cut out of the JSON text itself, with any encoder's spelling.
"""

import hashlib
import hmac
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from addon.formats.wire.pieces import Cut as CutBody
from addon.formats.wire.splice import MalformedJson, elements, members, value

__all__ = ("Block", "Style", "has_marks", "new_token", "stripped")

type Style = Literal["details", "think"]
type Cut = tuple[int, int]
"""Begin and end of a piece to leave out."""

_NAME = b"--thinkback"
"""The part of a mark that no encoder escapes."""

_ANY_MARK = re.compile(re.escape(_NAME))

_MOST_MARKS = 5_000
"""Marks that a body may hold: no conversation has so many, and each costs a closer look."""

_RANDOM, _MAC = 6, 6
"""Bytes of a token's random name and of its MAC: enough for one conversation's blocks."""

_LEAD = "\n\n"
"""The paragraph between a block and the text before or after it."""

_TAGS = {
    "details": ("<details><summary>Thinking</summary>", "</details>"),
    "think": ("<think>", "</think>"),
}
"""First and last tag of each style."""


class Block(msgspec.Struct, frozen=True):
    """One block; it is its opening, any number of texts, and its closing."""

    style: Style
    token: str
    led: bool = False
    """Whether text of the same answer stands before it."""

    @property
    def opening(self) -> str:
        # The mark's sign tells whether the lead belongs to the block.
        if self.led:
            return f"{_LEAD}{self._head('+')}"
        return self._head(":")

    @property
    def closing(self) -> str:
        return f"\n\n<!--thinkback.{self.token}-->{_TAGS[self.style][1]}{_LEAD}"

    def text(self, reasoning: str) -> str:
        """The reasoning for the block, without working tags and within its quotation."""
        return reasoning.replace("<", "<\N{ZERO WIDTH SPACE}").replace("\n", f"\n{self._quote}")

    def _head(self, kind: str) -> str:
        return f"{_TAGS[self.style][0]}<!--thinkback{kind}{self.token}-->\n\n{self._quote}"

    @property
    def _quote(self) -> str:
        # In Markdown a code fence that is left open ends with its quotation.
        if self.style == "details":
            return "> "
        return ""


def new_token(random: bytes, key: bytes) -> str:
    """The token of a new block, from at least 6 random bytes."""
    name = random[:_RANDOM].hex()
    return name + _mac(name, key)


def _mac(name: str, key: bytes) -> str:
    return hashlib.blake2b(name.encode(), key=key, digest_size=_MAC, person=b"mirror").hexdigest()


def stripped(body: bytes, key: bytes) -> bytes:
    """A request's body, of any format, without the blocks of this key; the same object without
    any.

    A block without an end goes on to the end of the assistant's message; elsewhere it stays. A
    text part of an assistant's content that is nothing but a block goes as a whole, and so does
    such a message among Responses items.
    """
    if not 0 < body.count(_NAME) <= _MOST_MARKS:
        return body
    try:
        cuts = list(_in_body(body, _Keyring(key)))
    except MalformedJson:
        return body  # whoever reads it will say so
    if not cuts:
        return body
    return _without(body, cuts)


def has_marks(body: CutBody) -> bool:
    """Whether there may be blocks in a request's body."""
    return body.holds(_ANY_MARK, _is_marked)


def _is_marked(text: bytes) -> bool:
    return _NAME in text


def _without(text: bytes, cuts: list[Cut]) -> bytes:
    kept, at = [], 0
    for start, end in cuts:
        kept.append(text[at:start])
        at = end
    return b"".join([*kept, text[at:]])


# -- where blocks stand in a body ------------------------------------------------------------------


class _Keyring:
    """Tells the tokens of one key from others."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._verdicts: dict[bytes, bool] = {}

    def made(self, token: bytes) -> bool:
        """Whether the token is of this key."""
        if token not in self._verdicts:
            name, mac = token[: 2 * _RANDOM].decode(), token[2 * _RANDOM :].decode()
            self._verdicts[token] = hmac.compare_digest(mac, _mac(name, self._key))
        return self._verdicts[token]


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
    """`items`: an assistant's message without any content left goes as a whole."""
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
    """The cuts in a message, and whether nothing is left of its content."""
    if not text.startswith(b"{"):
        return list(_in_any(text, ring)), False
    cuts: list[Cut] = []
    bare, parts = False, list(_members(text))
    assistant = any(
        name == "role" and value(text[start:end]) == "assistant" for name, start, end in parts
    )
    for name, start, end in parts:
        if assistant and name == "content":
            inner, bare = _in_content(text[start:end], ring)
        else:
            inner = list(_in_any(text[start:end], ring))
        cuts += _moved(inner, start)
    return cuts, bare


def _in_content(text: bytes, ring: _Keyring) -> tuple[list[Cut], bool]:
    """The same for the content of an assistant's message, whose texts are one text."""
    reading = _Text(ring)
    if text.startswith(b'"'):
        cuts = reading.cuts(text)
        return cuts, bool(cuts) and _without(text, cuts) == b'""'
    if not text.startswith(b"["):
        return [], False
    inner: dict[int, list[Cut]] = {}
    empty: set[int] = set()
    places = list(_elements(text))
    for at, (start, end) in enumerate(places):
        place = _text_of(text[start:end])
        if place is None:
            continue
        literal = text[start + place[0] : start + place[1]]
        cuts = reading.cuts(literal)
        if cuts:
            inner[at] = list(_moved(cuts, place[0]))
            if _without(literal, cuts) == b'""':
                empty.add(at)
    return list(_thinned(text, places, inner, empty)), bool(empty) and len(empty) == len(places)


def _text_of(part: bytes) -> Cut | None:
    """Begin and end of the text in a content part."""
    if part.startswith(b'"'):
        return 0, len(part)
    if not part.startswith(b"{"):
        return None
    for name, start, end in _members(part):
        if name == "text" and part[start : start + 1] == b'"':
            return start, end
    return None


def _in_any(text: bytes, ring: _Keyring) -> Iterator[Cut]:
    """The whole blocks in any JSON text, each within one of its strings."""
    if _NAME not in text:
        return
    for match in _STRING.finditer(text):
        if _NAME in match[0]:
            yield from _moved(_Text(ring, open_ended=False).cuts(match[0]), match.start())


def _thinned(
    text: bytes, places: list[Cut], inner: dict[int, list[Cut]], dropped: set[int]
) -> Iterator[Cut]:
    """The cuts within an array's elements, and the cuts of whole elements with their commas."""
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
    """Each member's key, and begin and end of its value. Raises MalformedJson."""
    at = max(0, text.find(b"{"))
    for key, raw in members(text):
        before = _BEFORE_MEMBER.match(text, at)
        assert before is not None  # the members have been read from this very text
        at = before.end() + len(raw)
        yield key, before.end(), at


def _elements(text: bytes) -> Iterator[Cut]:
    """Begin and end of each element of an array. Raises MalformedJson."""
    at = text.find(b"[") + 1
    for raw in elements(text):
        before = _BEFORE_ELEMENT.match(text, at)
        assert before is not None  # the pattern matches an empty text too
        at = before.end() + len(raw)
        yield before.end(), at


# -- blocks in JSON strings ------------------------------------------------------------------------


def _as_far(steps: Iterable[bytes], then: bytes = b"") -> bytes:
    """The pattern of any beginning of these steps in a row and `then`."""
    pattern = then
    for step in reversed(list(steps)):
        pattern = b"(?:" + step + pattern + b")?"
    return pattern


# Encoders may escape `<`, `>` and `/`; a JSON string within a JSON string is escaped once more.
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
"""Bytes before a mark in which its head is searched for: more than any spelling of it takes."""

_MARK = re.compile(_NAME + rb"(?P<kind>[:+.])(?P<token>[0-9a-f]{%d})--" % (2 * (_RANDOM + _MAC)))
_REST = _as_far([_GT, _NEWLINE, _NEWLINE])
_DETAILS_END, _THINK_END = (
    _as_far([b"e", b"t", b"a", b"i", b"l", b"s"], _REST),
    _as_far([b"h", b"i", b"n", b"k"], _REST),
)
_TAIL = re.compile(_as_far([_GT, _LT, _SLASH], b"(?:d%b|t%b)?" % (_DETAILS_END, _THINK_END)))
_BEGUN = re.compile(_NAME + rb"(?P<kind>[:+])?[0-9a-f]*-?\Z")
"""An opening mark that the end of the text has cut short; its name is whole, so that it is ours."""


class _Text:
    """One text in one or more JSON strings.

    `open_ended`: a block without an end goes on to the next block, since clients join messages,
    or to the end of the text.
    """

    def __init__(self, ring: _Keyring, *, open_ended: bool = True) -> None:
        self._ring = ring
        self._open_ended = open_ended
        self._open = b""
        """The token of a block that is still open where the last string ended."""

    def cuts(self, literal: bytes) -> list[Cut]:
        """The cuts in the next string, quotes included."""
        at, end = 1, len(literal) - 1
        begins, ends = self._marks(literal, end)
        followers = [start for start, _ in begins[1:]] + [end]
        cuts: list[Cut] = []
        for (start, token), following in zip(begins, followers, strict=False):
            closed = _first_after(ends.get(token, []), start)
            if start < at or not (closed or self._open_ended):
                continue  # it stands within another, or has no end
            self._open = b""
            if not closed and following == end:
                self._open = token
            at = closed or following
            cuts.append((start, at))
        if self._open_ended and not self._open:
            cuts += _cut_short(literal, at, end)
        return cuts

    def _marks(
        self, literal: bytes, end: int
    ) -> tuple[list[tuple[int, bytes]], dict[bytes, list[Cut]]]:
        """The begins of our blocks with their tokens, and by token the closing marks with
        their tails.
        """
        begins: list[tuple[int, bytes]] = []
        if self._open:
            begins.append((1, self._open))
        ends: dict[bytes, list[Cut]] = {}
        for mark in _MARK.finditer(literal, 1, end):
            token = mark["token"]
            if not self._ring.made(token):
                continue
            if mark["kind"] == b".":
                stop = mark.end()
                tail = _TAIL.match(literal, stop, end)
                if tail is not None:
                    stop = tail.end()
                ends.setdefault(token, []).append((mark.start(), stop))
            elif start := _begin(literal, mark):
                begins.append((start, token))
        return begins, ends


def _cut_short(literal: bytes, at: int, end: int) -> list[Cut]:
    """The cut of a block whose opening mark the end of the text has cut short."""
    mark = _BEGUN.search(literal, at, end)
    if mark is None:
        return []
    start = _begin(literal, mark)
    if not start:
        return []
    return [(start, end)]


def _first_after(ends: list[Cut], start: int) -> int:
    """The end of the first one that begins after `start`, or 0."""
    at = bisect_left(ends, (start, 0))
    if at == len(ends):
        return 0
    return ends[at][1]


def _begin(literal: bytes, mark: re.Match[bytes]) -> int:
    """The begin of an opening mark's block, with its lead; 0 for a mark without a block.

    An escape's backslash belongs to the block, any backslashes before it don't.
    """
    head = _HEAD.search(literal, max(1, mark.start() - _LONGEST_HEAD), mark.start())
    if head is None:
        return 0
    first = head.start()
    if head["lead"] and mark["kind"] != b"+":
        first = head.end("lead")
    last = first
    while literal[last : last + 1] == b"\\":
        last += 1
    while last > first and literal[first - 1 : first] == b"\\":
        first -= 1
    return last - min(last - first, 2 - (last - first) % 2)
