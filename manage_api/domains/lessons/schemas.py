"""The bodies of the routes over lessons."""

from typing import Self

import msgspec

from shared.security.keys import digest
from shared.store.lessons import Kind, Lesson, Scope

__all__ = ("LessonView",)

_ID_DIGITS = 16
"""64 bits: there are a few lessons per model."""


class LessonView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an upstream taught of a model by rejecting it."""

    id: str
    upstream: str
    model: str
    """Its name at the upstream."""

    kind: Kind
    """`empty`: turns without known reasoning get an empty one. `bare`: no reasoning is sent.
    `pictures`: pictures are left out. `alternate`: messages of the user in a row are joined.
    `keep`: members that the profile adds are left out. `without`: a member of the request is.
    `limit`: limits of the answer are lowered to what the model has. `efforts`: other efforts
    become the nearest of these. `ending`: the user asks to go on with an answer that was begun.
    `forced`: thinking is off where a tool is forced. `results`: calls and results are put right.
    """

    scope: Scope
    """The turns that `empty` is about. Empty: those of the profile; `calls`: unknown turns with
    tool calls; `foreign`: all unknown turns; `all`: also turns that had no reasoning.
    """

    member: str
    """The member that `without` is about, the tokens of `limit`, the words of `efforts`."""

    words: str
    """What the upstream said, shortened; empty: not recorded."""

    learned_at: int
    """When it was learned or last confirmed, epoch milliseconds."""

    @classmethod
    def of(cls, lesson: Lesson) -> Self:
        return cls(
            id=digest(lesson.key)[:_ID_DIGITS],
            upstream=lesson.upstream,
            model=lesson.model,
            kind=lesson.kind,
            scope=lesson.scope,
            member=lesson.member,
            words=lesson.words,
            learned_at=lesson.learned_at,
        )
