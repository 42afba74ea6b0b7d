"""The user's words, compared although a client wraps them, or no longer does; pure.

aider adds its rules to the last message and leaves them out of the next request, others add
`<system-reminder>` blocks, or put files in front: what was said is whole lines of what is
replayed, or the other way round.
"""

import base64
import re
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from addon.formats.wire.pace import LONG, between_breaths
from addon.recall.identity import digest, query_of

__all__ = ("Words", "brief")

_ENDS = 4
"""Lines at each end that are compared: enough to tell texts apart, few enough to keep."""

_BRIEF, _BRIEF_LINE = 6, 3
"""Bytes of a digest that tell apart the few turns that are compared with one another."""

_MARK = 4
"""Characters of a line's mark: the base64 of its bytes."""

_TAG = re.compile(r"<(/?)(?=[a-z_-]{1,64}>)([a-z]+(?:[-_][a-z]+)+)>")
"""A tag of a client's own; those of HTML have neither hyphen nor underscore."""

_LONGEST_TAG = 128
_MOST_TAGS = 10_000
"""Tags in the words of a message: a client puts some dozen around what was typed."""


class Words:
    """What the user said in one message."""

    def __init__(self, text: str) -> None:
        self.text = query_of(text)

    @cached_property
    def digest(self) -> bytes:
        """Digest of all of the words."""
        return digest(self.text)

    @cached_property
    def brief(self) -> str:
        """Eight characters that stand for all of the words."""
        return brief(self.digest)

    @cached_property
    def core(self) -> bytes:
        """Digest of the words without what a client adds as blocks."""
        bare = _bare(self.text)
        return self.digest if bare == self.text else digest(bare.strip())

    @property
    def first(self) -> str:
        """The first line."""
        return next(iter(self._ends), "")

    @property
    def lines(self) -> str:
        """The marks of the lines: of all, or of the first and the last ones, by which `common`
        compares.
        """
        return "".join(self._marks)

    def common(self, lines: str) -> int:
        """How many characters these words and others have in common, of which only `lines` is
        known: 0 unless one are whole lines at the beginning or the end of the other.
        """
        mine, theirs = self._marks, [lines[at : at + _MARK] for at in range(0, len(lines), _MARK)]
        # With more lines than are kept on both sides, the same end must do.
        count = min(len(mine), len(theirs), _ENDS)
        if count == 0:
            return 0
        if mine[:count] == theirs[:count]:
            return sum(map(len, self._ends[:count]))
        if mine[-count:] == theirs[-count:]:
            return sum(map(len, self._ends[-count:]))
        return 0

    @cached_property
    def _ends(self) -> list[str]:
        """The lines without blank ones and without blocks of the client's own; of more than are
        compared the first and the last ones.
        """
        first: list[str] = []
        last: deque[str] = deque(maxlen=_ENDS)
        for piece in between_breaths(_pieces(_bare(self.text))):
            lines = [line for one in piece.split("\n") if (line := one.strip())]
            first += lines[: _ENDS + 1 - len(first)]
            last += lines
        if len(first) <= _ENDS:
            return first
        return [*first[:_ENDS], *last]

    @cached_property
    def _marks(self) -> list[str]:
        return [_encoded(digest(line)[:_BRIEF_LINE]) for line in self._ends]


def brief(of: bytes) -> str:
    """Eight characters of a digest."""
    return _encoded(of[:_BRIEF])


def _encoded(some: bytes) -> str:
    return base64.urlsafe_b64encode(some).decode()


def _bare(text: str) -> str:
    """The text without the blocks that a client puts around what was typed, unless nothing else
    is there.
    """
    if "</" not in text:
        return text
    tags = list(islice(_tags(text), _MOST_TAGS + 1))
    if len(tags) > _MOST_TAGS:
        return text
    kept, start = [], 0
    for opened, closed in _blocks(tags):
        kept.append(text[start:opened])
        start = closed
    rest = "\n".join([*kept, text[start:]])
    return rest if rest.strip() else text


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of whole lines."""
    start = 0
    while (cut := text.find("\n", start + LONG)) >= 0:
        yield text[start:cut]
        start = cut
    yield text[start:]


def _tags(text: str) -> Iterator[re.Match[str]]:
    for start in between_breaths(range(0, len(text), LONG)):
        for tag in _TAG.finditer(text, start, start + LONG + _LONGEST_TAG):
            if tag.start() < start + LONG:
                yield tag


def _blocks(tags: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Where each block begins and ends, none within another."""
    # A tag that nothing closes must not make the rest be searched for its end, each anew.
    last = {tag[2]: tag.start() for tag in tags if tag[1]}
    name, opened = "", 0
    for tag in tags:
        if name and tag[1] and tag[2] == name:
            yield opened, tag.end()
            name = ""
        elif not name and not tag[1] and last.get(tag[2], -1) > tag.start():
            name, opened = tag[2], tag.start()
