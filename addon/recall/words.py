"""The user's words, compared although a client wraps them, or no longer does; pure.

aider adds its rules to the last message and leaves them out of the next request, others add
`<system-reminder>` blocks, or put files in front: what was said is whole lines of what is
replayed, or the other way round.
"""

import base64
import re
from collections.abc import Iterator
from functools import cached_property

from addon.recall.identity import digest, query_of

__all__ = ("Words", "brief")

_ENDS = 4
"""Lines at each end that are compared: enough to tell texts apart, few enough to keep."""

_BRIEF, _BRIEF_LINE = 6, 3
"""Bytes of a digest that tell apart the few turns that are compared with one another."""

_MARK = 4
"""Characters of a line's mark: the base64 of its bytes."""

_TAG = re.compile(r"<(/?)([a-z]+(?:[-_][a-z]+)+)>")
"""A tag of a client's own; those of HTML have neither hyphen nor underscore."""


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
        return next(iter(self._lines), "")

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
            return sum(map(len, self._lines[:count]))
        if mine[-count:] == theirs[-count:]:
            return sum(map(len, self._lines[-count:]))
        return 0

    @cached_property
    def _lines(self) -> list[str]:
        """The lines without blank ones and without blocks of the client's own."""
        return [line for one in _bare(self.text).split("\n") if (line := one.strip())]

    @cached_property
    def _marks(self) -> list[str]:
        ends = self._lines
        if len(ends) > _ENDS:
            ends = [*ends[:_ENDS], *ends[-_ENDS:]]
        return [_encoded(digest(line)[:_BRIEF_LINE]) for line in ends]


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
    kept, start = [], 0
    for opened, closed in _blocks(text):
        kept.append(text[start:opened])
        start = closed
    rest = "\n".join([*kept, text[start:]])
    return rest if rest.strip() else text


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Where each block begins and ends, none within another."""
    tags = list(_TAG.finditer(text))
    # A tag that nothing closes must not make the rest be searched for its end, each anew.
    last = {tag[2]: tag.start() for tag in tags if tag[1]}
    name, opened = "", 0
    for tag in tags:
        if name and tag[1] and tag[2] == name:
            yield opened, tag.end()
            name = ""
        elif not name and not tag[1] and last.get(tag[2], -1) > tag.start():
            name, opened = tag[2], tag.start()
