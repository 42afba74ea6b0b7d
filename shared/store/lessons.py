"""What upstreams have taught by what they refused: the verbs over the table `learned`.

One row is one lesson. A row that another version wrote in another shape is none.
"""

from collections.abc import Iterator
from typing import Literal, Self

import msgspec

from shared.store.engine import Engine, Statement

__all__ = (
    "Kind",
    "Lesson",
    "Scope",
    "forget_lesson",
    "keep_lesson",
    "read_lessons",
    "unread_lessons",
)

_EVER = 2**53

type Kind = Literal[
    "empty",
    "bare",
    "pictures",
    "alternate",
    "keep",
    "without",
    "limit",
    "efforts",
    "ending",
    "forced",
    "results",
]
"""What an upstream has shown of a model's requests.

`empty`: it wants empty reasoning where none is known. `bare`: it has no word for reasoning.
`pictures`: it takes none. `alternate`: it takes no two messages of the user in a row. `keep`:
it does not know the members that its profile keeps. `without`: it does not know a member of
the request. `limit`: its answers can't be longer. `efforts`: it takes no others.
`ending`: it goes on with no answer that the client has begun. `forced`: it lets no tool be
forced while it thinks. `results`: it wants a result for each call, and a call for each.
"""


type Scope = Literal["", "calls", "foreign", "all"]
"""The turns for which an upstream wants reasoning, each scope with those before it.

Empty: those of its profile's scope; `calls`: turns with calls; `foreign`: turns that are not
known; `all`: also turns that it gave no reasoning itself.
"""


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an upstream has taught of a model."""

    upstream: str
    model: str
    """The model's name there."""

    kind: Kind
    profile: str
    """The profile for which it was learnt: it means nothing to others."""

    scope: Scope = ""
    """The turns that an `empty` one is about."""

    member: str = ""
    """The member that a `without` one is about; the tokens of a `limit` one, the words of an
    `efforts` one.
    """

    words: str = ""
    """What the upstream said, shortened and without keys."""

    learned_at: int = 0
    """When it was learnt or last confirmed, epoch milliseconds."""

    @property
    def key(self) -> str:
        """Names what it is about: a later lesson about the same replaces it."""
        about = [self.kind, self.upstream, self.model]
        if self.kind == "without" and self.member:
            about.append(self.member)
        return "\n".join(filter(None, about))

    @classmethod
    def read(cls, key: str, value: str) -> Self | None:
        """The lesson in a row; None when it is in another shape."""
        try:
            lesson = msgspec.json.decode(value, type=cls)
        except msgspec.DecodeError:
            return None
        return lesson if lesson.key == key else None


def read_lessons(engine: Engine) -> list[Lesson]:
    """All lessons, by upstream and model."""
    found = (Lesson.read(key, value) for key, value, _ in _rows(engine))
    lessons = (lesson for lesson in found if lesson is not None)
    return sorted(lessons, key=lambda lesson: (lesson.upstream, lesson.model, lesson.kind))


def unread_lessons(engine: Engine) -> list[tuple[str, str, int]]:
    """The rows in another shape: key, value, and when they were written (epoch ms)."""
    return [row for row in _rows(engine) if Lesson.read(row[0], row[1]) is None]


def keep_lesson(lesson: Lesson) -> Statement:
    """Note a lesson, in place of an earlier one about the same; a later one stays."""
    sql = """
        INSERT INTO learned (endpoint, value, learned_at) VALUES (:key, :value, :at)
        ON CONFLICT (endpoint) DO UPDATE SET value = excluded.value,
            learned_at = excluded.learned_at
        WHERE excluded.learned_at >= learned.learned_at
    """
    value = msgspec.json.encode(lesson).decode()
    return sql, {"key": lesson.key, "value": value, "at": lesson.learned_at}


def forget_lesson(key: str, *, until: int = _EVER) -> Statement:
    """Delete the row with this key, unless it was learnt or confirmed later than `until` (epoch
    ms).
    """
    sql = "DELETE FROM learned WHERE endpoint = :key AND learned_at <= :until"
    return sql, {"key": key, "until": until}


def _rows(engine: Engine) -> Iterator[tuple[str, str, int]]:
    for row in engine.read("SELECT endpoint, value, learned_at FROM learned"):
        yield row[0], row[1], row[2]
