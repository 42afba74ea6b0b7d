"""A request's body with its conversation in pieces, and what was learnt of pieces that came before.

Clients replay a conversation in the same bytes with each request. A piece that was met before is
known by its bytes: they are compared, and nothing is read again. What is remembered of a piece is
a pure function of them, so that it makes no difference who sent it first.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import batched, islice
from typing import Any

import msgspec

from addon.formats.wire.pace import breathe, breathe_for, lots_of
from addon.formats.wire.splice import MalformedJson, Members, elements, members, utf8_text
from addon.formats.wire.weight import SEPARATORS, count_outside_strings

__all__ = ("Begun", "Cut", "Piece", "Pieces", "Run")

_BEGIN = re.compile(rb'"(messages|input)"[ \t\n\r]*:[ \t\n\r]*\[')
_MOST_BEGINS = 4
"""Places that are looked at for the conversation's begin: others may have its name within."""

_LONGEST_HEAD = 256 * 1024
"""Bytes in which it is looked for: instructions and tools may stand before it."""

_MOST_COMMAS = 20_000
"""Commas before it: as many members are taken apart in a few milliseconds."""

_WINDOW = 160
"""First bytes of a piece by which it is looked for: most differ before that, by an id if by
nothing else.
"""

_WEIGHT, _TEXTS = 3_300, 2
"""Bytes that a piece takes beside its text and what is read of it, and how often it holds most of
that: what it is patched to refers to it.
"""

_RUN_WEIGHT = 100
"""Bytes that a run takes for each of its pieces, which others may have too."""

_STRIDE = 64
"""Known pieces between two breaths: each takes half a microsecond."""

_FIRST = 4
"""Pieces by which a conversation is known: the first words of the user are among them."""


class Piece:
    """One message or item: the JSON text of an object."""

    __slots__ = ("_facts", "_patched", "commas", "raw", "separators")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.commas = raw.count(b",")
        self.separators = self.commas + raw.count(b"[") + raw.count(b"{")
        """Commas and opening brackets, those in strings included."""

        self._facts: dict[Callable[[bytes], Any], Any] = {}
        self._patched: tuple[Any, Any] | None = None

    def fact[T](self, learn: Callable[[bytes], T]) -> T:
        """What a pure function makes of its text, found out once."""
        try:
            found: T = self._facts[learn]
        except KeyError:
            breathe()
            found = self._facts[learn] = learn(self.raw)
        return found

    def patched[T](self, how: object, patch: Callable[..., T], *of: Any) -> T:
        """Its text for an upstream, as the last time when it is patched in the same way. `how` is
        all that the patch depends on; nobody changes it afterwards. The patch is made of `of`.
        """
        known = self._patched
        if known is None or (known[0] is not how and known[0] != how):
            known = self._patched = how, patch(*of)
        text: T = known[1]
        return text


class Run:
    """Pieces one after the other, and what was learnt of each."""

    __slots__ = ("_learnt", "pieces")

    def __init__(self, pieces: list[Piece], like: "Run | None" = None, count: int = 0) -> None:
        """So many of the pieces are those that another run begins with; a few keep nothing."""
        self.pieces = pieces
        self._learnt: dict[Any, list[Any]] = {}
        if like is not None:
            self._learnt = {what: all_[:count] for what, all_ in like._learnt.items()}

    def all[T](self, learn: Callable[[bytes], T]) -> list[T]:
        """What a pure function makes of the text of each; nobody changes the list."""
        if len(self.pieces) <= _FIRST:
            return [piece.fact(learn) for piece in self.pieces]
        found: list[T] = self._learnt.setdefault(learn, [])
        if len(found) < len(self.pieces):
            found += [piece.fact(learn) for piece in lots_of(self.pieces[len(found) :])]
        return found

    def each[S, T](self, learn: Callable[[bytes], S], of: Callable[[S], T]) -> list[T]:
        """The same for what another pure function makes of that."""
        if len(self.pieces) <= _FIRST:
            return list(map(of, self.all(learn)))
        found: list[T] = self._learnt.setdefault((learn, of), [])
        if len(found) < len(self.pieces):
            found += map(of, self.all(learn)[len(found) :])
        return found


class Begun(msgspec.Struct):
    """A body whose begin is known."""

    text: bytes
    name: str
    """The member with the conversation: `messages`, or `input`."""

    start: int
    """Where its array begins."""

    before: Members
    """The members before it."""

    pieces: list[Piece]
    """Its first elements, which are known; a comma stands between any two."""

    at: int
    """Where that which is not known begins, after a comma if there is one."""

    is_open: bool = False
    """Whether that is after a comma, so that an element has to follow."""

    like: Run | None = None
    """What came before with so many of the same first pieces."""

    count: int = 0
    turned: int = 0
    """As often as `Pieces` had turned when it began."""

    @property
    def commas(self) -> int:
        """How many stand in the text, those in strings included."""
        known = sum([piece.commas for piece in self.pieces])
        return known + self._between + self._beside(b",")

    @property
    def separators(self) -> int:
        """The same for commas and opening brackets."""
        known = sum([piece.separators for piece in self.pieces])
        return known + self._between + sum(map(self._beside, SEPARATORS))

    def values(self, most: int) -> int:
        """As `count_values` counts them."""
        known = self._between + sum([piece.fact(_values_in) for piece in self.pieces])
        if known > most:
            return known
        known += count_outside_strings(self.text[: self.start + 1], most)
        return known + count_outside_strings(self.text[self.at :], most)

    @property
    def _between(self) -> int:
        """The commas after pieces that are known."""
        if not self.pieces:
            return 0
        return len(self.pieces) - 1 + self.is_open

    def _beside(self, sign: bytes) -> int:
        breathe_for(len(self.text) - self.at)
        return self.text.count(sign, 0, self.start + 1) + self.text.count(sign, self.at)


class Cut(msgspec.Struct, dict=True):
    """A body that is an object, with the elements of its conversation, which are objects."""

    text: bytes
    name: str
    """The member with the conversation: `messages`, or `input`."""

    start: int
    end: int
    """Where its array begins and ends."""

    run: Run
    before: Members
    after: Members
    """The other members, before and after it."""

    @property
    def pieces(self) -> list[Piece]:
        """The elements."""
        return self.run.pieces

    @cached_property
    def parts(self) -> Members:
        """All members of the body."""
        return [*self.before, (self.name, self.text[self.start : self.end]), *self.after]

    @property
    def span(self) -> memoryview:
        """The text of the conversation."""
        return memoryview(self.text)[self.start : self.end]

    @cached_property
    def outline(self) -> Members:
        """The same, but as if the conversation were empty."""
        return [*self.before, (self.name, b"[]"), *self.after]

    def holds(self, sign: re.Pattern[bytes], learn: Callable[[bytes], bool]) -> bool:
        """Whether something stands anywhere in the body that no two elements share; `learn` tells
        so of an element.
        """
        if any(self.run.all(learn)):
            return True
        return any(map(sign.search, (self.text[: self.start], self.text[self.end :])))


class Pieces:
    """The pieces that came last, as many as have room: those least recently met go first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        """Of both together."""

        self._recent: dict[int, Piece] = {}
        """By the hash of their first bytes, until the room is full: then they are the earlier."""

        self._earlier: dict[int, Piece] = {}
        self._recent_size = 0
        self._turned = 0
        self._runs: dict[tuple[int, ...], Run] = {}
        """The runs that came since the pieces have turned, by the identities of their first."""

    def begin(self, text: bytes) -> Begun | None:
        """Find the pieces that a body begins with; None: it can't be told where they begin."""
        for found in islice(_BEGIN.finditer(text, 0, _LONGEST_HEAD), _MOST_BEGINS):
            name, start = found[1].decode(), found.end() - 1
            before = _members_before(text[:start], name)
            if before is not None:
                begun = Begun(text, name, start, before, [], start + 1, turned=self._turned)
                self._go_on(begun)
                return begun
        return None

    def cut(self, begun: Begun | None) -> Cut | None:
        """Cut the rest of the body, and keep its pieces; None: it is not such a body, or nobody
        can read it.
        """
        if begun is None:
            return None
        text, at = begun.text, begun.at
        try:
            # Nothing within known pieces is looked at: they were checked when they came first.
            utf8_text(text[: begun.start])
            utf8_text(text[at:])
            breathe()
            # The array stands in an object again, under a name of its own.
            (_, array), *after = members(b'{"":[' + text[at:])
            breathe()
            raws = elements(array)
            breathe()
        except (MalformedJson, UnicodeDecodeError):
            return None
        if (begun.is_open and not raws) or not all(raw.startswith(b"{") for raw in raws):
            return None
        run = Run(begun.pieces + list(self._all(raws)), begun.like, begun.count)
        self._keep_run(run, begun.turned)
        end = at + len(array) - 1
        return Cut(text, begun.name, begun.start, end, run, begun.before, after)

    def _all(self, raws: Iterable[bytes]) -> Iterator[Piece]:
        for lot in batched(raws, _STRIDE):
            breathe()
            yield from map(self._piece, lot)

    def _go_on(self, begun: Begun) -> None:
        """Pass all pieces that are known."""
        text, at, pieces = begun.text, begun.at, begun.pieces
        while (piece := self._known(text, at)) is not None:
            after = at + len(piece.raw)
            begun.is_open = text.startswith(b",", after)
            if not begun.is_open:
                self._end(begun, piece, after)
                break
            pieces.append(piece)
            # Python's own encoder writes a blank.
            begun.at = after + 1 + text.startswith(b" ", after + 1)
            if len(pieces) == _FIRST:
                self._follow(begun)
            at = begun.at
            if not len(pieces) % _STRIDE:
                breathe()

    def _follow(self, begun: Begun) -> None:
        """Pass the pieces of a run that came before, but for its last one."""
        run = self._runs.get(_name_of(begun.pieces))
        if run is None:
            return
        text, at, count = begun.text, begun.at, _FIRST
        for piece in run.pieces[_FIRST:]:
            if not text.startswith(piece.raw, at):
                break
            after = at + len(piece.raw)
            if text.startswith(b",{", after):
                at = after + 1
            elif text.startswith(b", ", after):
                at = after + 2
            else:
                break
            count += 1
            if not count % _STRIDE:
                breathe()
        begun.at, begun.like, begun.count = at, run, count
        begun.pieces += run.pieces[_FIRST:count]

    def _end(self, begun: Begun, piece: Piece, after: int) -> None:
        """Pass the last piece, unless blanks stand after it, as nearly nobody writes them."""
        begun.is_open = not begun.text.startswith(b"]", after) and bool(begun.pieces)
        if begun.text.startswith(b"]", after):
            begun.pieces.append(piece)
            begun.at = after

    def _known(self, text: bytes, at: int) -> Piece | None:
        """The piece that stands there."""
        window = text[at : at + _WINDOW]
        piece = self._recent.get(hash(window))
        if piece is not None and text.startswith(piece.raw, at):
            return piece
        for begin in _beginnings(window):
            key = hash(begin)
            piece = self._recent.get(key) or self._earlier.get(key)
            if piece is not None and text.startswith(piece.raw, at):
                if self._recent.get(key) is not piece:
                    self._keep(key, piece)
                return piece
        return None

    def _piece(self, raw: bytes) -> Piece:
        """The piece of this text, which is kept from now on."""
        key = hash(raw[:_WINDOW])
        piece = self._recent.get(key)
        if piece is not None and piece.raw == raw:
            return piece
        piece = self._earlier.get(key)
        if piece is None or piece.raw != raw:
            breathe()
            piece = Piece(raw)
        self._keep(key, piece)
        return piece

    def _keep(self, key: int, piece: Piece) -> None:
        size = _WEIGHT + _TEXTS * len(piece.raw)
        if self._earlier.get(key) is piece:
            del self._earlier[key]
            self._size -= size
        self._recent[key] = piece
        self._size += size
        self._recent_size += size
        self._turn_if_full()

    def _keep_run(self, run: Run, turned: int) -> None:
        """Keep a run whose pieces have all been kept since the last turn: it keeps none longer."""
        if turned != self._turned or len(run.pieces) <= _FIRST:
            return
        name = _name_of(run.pieces)
        if (before := self._runs.get(name)) is not None:
            self._weigh_run(-len(before.pieces))
        self._runs[name] = run
        self._weigh_run(len(run.pieces))
        self._turn_if_full()

    def _weigh_run(self, count: int) -> None:
        self._size += _RUN_WEIGHT * count
        self._recent_size += _RUN_WEIGHT * count

    def _turn_if_full(self) -> None:
        if self._size > self._most:
            self._earlier, self._recent, self._runs = self._recent, {}, {}
            self._size, self._recent_size = self._recent_size, 0
            self._turned += 1


def _name_of(pieces: list[Piece]) -> tuple[int, ...]:
    return tuple(map(id, pieces[:_FIRST]))


def _values_in(raw: bytes) -> int:
    return count_outside_strings(raw, len(raw))


def _members_before(head: bytes, name: str) -> Members | None:
    """The members of an object that goes on with a value of this name; None: it is no such one."""
    if head.count(b",") > _MOST_COMMAS:
        return None
    try:
        *before, last = members(head + b"null}")
    except MalformedJson:
        return None
    if last != (name, b"null"):
        return None
    return before


def _beginnings(window: bytes) -> Iterator[bytes]:
    """The window, and all objects that may end within it, by which short pieces are known."""
    yield window
    at = window.find(b"},")
    while at >= 0:
        yield window[: at + 1]
        at = window.find(b"},", at + 1)
