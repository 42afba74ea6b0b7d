"""Runs: events one after the other that say more of the same, and differ in one text alone.

Most of a stream is such runs, and once one event has been read, those after it need not be: in
a JSON text the literal of one string can stand for another's, and the value is the same but for
that string.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import msgspec

from addon.formats.wire.splice import scalar_text

__all__ = ("PROBE", "Run", "Shape", "patched", "shape_of", "written")

PROBE = "\N{INVERTED INTERROBANG}"
"""A text that shows where a reader finds an event's text; another one says no more than that."""

_TEXT = msgspec.json.Decoder(str)
_TEXTS = msgspec.json.Decoder(list[str])
"""Both refuse control characters within strings, and what is no UTF-8."""

_VARYING = re.compile(
    rb'"sequence_number" ?: ?(?P<number>\d{1,15})(?![\d.eE])'
    rb'|"(?:obfuscation|p)" ?: ?"(?P<padding>[0-9A-Za-z]+)"'
)
"""Members that differ in all events: their number, and padding that hides the lengths of texts
(https://platform.openai.com/docs/api-reference/responses/create, `include_obfuscation`; others
name it `p`).
"""

_OTHER = {"number": b"1%b", "padding": b"%b0", "text": scalar_text(PROBE)[1:-1] + b"%.0b"}
"""What a probe has in each kind of gap, by what stands there."""

type _Gap = tuple[int, int, str]
"""Begin and end of what differs in the next event, and its kind: `text`, `number`, `padding`."""

type Spelled = Callable[[bytes, bytes, bytes, list[str]], bytes]
"""(what stands before a text, and after it, events, their texts) -> bytes for the client"""

type Told = Callable[[bytes, list[str]], bytes]
"""(events, what each of them says) -> their bytes for the client"""


class Shape:
    """The bytes of an event around its gaps."""

    def __init__(self, raw: bytes, gaps: list[_Gap]) -> None:
        """`gaps` in their order: one text, at most one number, and padding."""
        self.probe = _probe(raw, gaps)
        """An event of this shape that says PROBE."""

        self._start, self._end = gaps[0][0], gaps[-1][1] - len(raw)
        self._before, self._after = raw[: self._start], raw[self._end :]
        self._joint = self._after + self._before
        self._gaps: _Gaps | None = None
        """None: the text is the only one."""

        if len(gaps) > 1:
            self._gaps = _Gaps(raw, gaps)
        self._inners: list[bytes] = []
        """What stood between `before` and `after` in each of the last events, if they were many."""

    @property
    def number(self) -> int:
        """The number of the last event; negative if they have none."""
        if self._gaps is None:
            return -1
        return self._gaps.number

    def texts(self, events: bytes) -> list[str] | None:
        """What each of these whole events says; None unless all are of this shape, their numbers
        go on and they say something.
        """
        if not (events.startswith(self._before) and events.endswith(self._after)):
            return None
        try:
            if self._gaps is not None:
                texts = self._texts_among(self._gaps, events)
            elif events.find(self._joint) < 0:
                texts = [_TEXT.decode(events[self._start - 1 : self._end + 1])]
            else:
                self._inners = events[self._start : self._end].split(self._joint)
                texts = _each(self._inners)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if "" in texts:
            return None
        return texts

    def inner(self, raw: bytes) -> bytes:
        """An event's bytes from its first gap to its last one, with the byte before and after."""
        return raw[self._start - 1 : self._end + 1]

    def respelled(self, before: bytes, after: bytes, events: bytes, texts: list[str]) -> bytes:
        """The events, which say these texts, with other bytes before the first and after the
        last gap of each.
        """
        if len(texts) == 1:
            return b"".join((before, events[self._start : self._end], after))
        return b"".join((before, (after + before).join(self._inners), after))

    def _texts_among(self, gaps: "_Gaps", events: bytes) -> list[str]:
        """The texts of events; one is empty if it has another shape."""
        number, texts = gaps.number, []
        self._inners = []
        for event in events.split(self._after)[:-1]:
            number += gaps.step
            inner = event[self._start :]
            self._inners.append(inner)
            if event.startswith(self._before):
                texts.append(gaps.text(inner, number))
            else:
                texts.append("")
        if "" not in texts:
            gaps.number = number
        return texts


class _Gaps:
    """The gaps of a shape that has several."""

    def __init__(self, raw: bytes, gaps: list[_Gap]) -> None:
        self._between = [raw[end:start] for (_, end, _), (start, _, _) in pairwise(gaps)]
        self._paddings = [at for at, (_, _, kind) in enumerate(gaps) if kind == "padding"]
        self._text_at = self._number_at = 0
        self.number, self.step = -1, 0
        """The last event's number, and by how much it grows."""

        for at, (start, end, kind) in enumerate(gaps):
            if kind == "text":
                self._text_at = at
            elif kind == "number":
                self._number_at, self.number, self.step = at, int(raw[start:end]), 1

    def text(self, inner: bytes, number: int) -> str:
        """The text of an event that has this number; empty if it is none of the shape."""
        found: list[bytes] = []
        for fixed in self._between:
            gap, _, inner = inner.partition(fixed)
            found.append(gap)
        found.append(inner)
        for at in self._paddings:
            if not found[at].isalnum():
                return ""
        if self.step and found[self._number_at] != b"%d" % number:
            return ""
        return _TEXT.decode(b'"%b"' % found[self._text_at])


class Run(msgspec.Struct):
    """How more of the same is passed on."""

    shape: Shape
    sinks: list[list[str]]
    """What the texts are added to."""

    told: Told | None = None
    """None: the client gets the events as they came."""

    def take(self, events: bytes) -> bytes | None:
        """The bytes for the client of these whole events; None if one of them must be read."""
        texts = self.shape.texts(events)
        if texts is None:
            return None
        for sink in self.sinks:
            sink += texts
        if self.told is None:
            return events
        return self.told(events, texts)


def shape_of(raw: bytes, text: str) -> Shape | None:
    """The shape of an event that says this text; None if the text can't be told from the rest.

    It is right only if the shape's probe says PROBE where the event says the text, and all else
    alike: whoever reads the event knows.
    """
    start, end = _found(raw, text)
    if start == end or not raw.endswith(b"\n"):  # after a CR, a LF may still come
        return None
    gaps = [(start, end, "text")]
    gaps += map(_gap, _VARYING.finditer(raw))
    gaps.sort()
    if any(end > start for (_, end, _), (start, _, _) in pairwise(gaps)):
        return None
    if sum(kind == "number" for _, _, kind in gaps) > 1:
        return None
    return Shape(raw, gaps)


def patched(shape: Shape, raw: bytes, out: bytes) -> Run | None:
    """The run of events like `raw`, of which the client gets what it got of that, `out`, with their
    own texts in it; None if those can't be told from the rest of it.
    """
    if out == raw:
        return Run(shape, [])
    inner = shape.inner(raw)
    if out.count(inner) != 1:
        return None
    before, _, after = out.partition(inner)
    return Run(shape, [], partial(shape.respelled, before + inner[:1], inner[-1:] + after))


def spelled(before: bytes, after: bytes, _: bytes, texts: list[str]) -> bytes:
    """Events that have these texts between such bytes."""
    return b"".join([b"%b%b%b" % (before, scalar_text(text), after) for text in texts])


def written(
    shape: Shape, text: str, out: bytes, sinks: list[list[str]], told: Spelled = spelled
) -> Run | None:
    """The run of events of which the client gets the last event in `out`, which says `text`, with
    their own texts in it; nothing, if that is what it got. None if the text can't be told from
    the rest of that event.
    """
    if not out:
        return Run(shape, sinks, _silent)
    _, _, last = out.removesuffix(b"\n\n").rpartition(b"\n\n")
    before, found, after = last.partition(scalar_text(text))
    if not found or scalar_text(text) in after:
        return None
    return Run(shape, sinks, partial(told, before, after + b"\n\n"))


def _silent(events: bytes, texts: list[str]) -> bytes:
    return b""


def _each(literals: list[bytes]) -> list[str]:
    """The texts of these literals, which lack their quotes; one is empty if one is none."""
    # Strings hold no line feed, so that none of them goes beyond its own literal.
    texts = _TEXTS.decode(b'["%b"]' % b'"\n,"'.join(literals))
    if len(texts) != len(literals):
        return [""]
    return texts


def _found(raw: bytes, text: str) -> tuple[int, int]:
    """Begin and end of the text; the same if it is nowhere, or more than once."""
    if text == PROBE:
        return 0, 0
    for literal in (scalar_text(text), json.dumps(text).encode()):
        if raw.count(literal) == 1:
            start = raw.find(literal) + 1
            return start, start + len(literal) - 2
    return 0, 0


def _gap(found: re.Match[bytes]) -> _Gap:
    kind = found.lastgroup or ""
    return found.start(kind), found.end(kind), kind


def _probe(raw: bytes, gaps: list[_Gap]) -> bytes:
    pieces, at = [], 0
    for start, end, kind in gaps:
        pieces += [raw[at:start], _OTHER[kind] % raw[start:end]]
        at = end
    return b"".join([*pieces, raw[at:]])
