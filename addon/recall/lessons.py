"""Policies for what upstreams refuse, as their refusals have taught them.

A lesson is about a class of requests at one endpoint, and is learnt of everybody. It fades: a
day after it was confirmed a request tries what is milder.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, assert_never, get_args

import msgspec
from msgspec.structs import replace

from addon.recall.restore import Policy
from shared.clock import Clock
from shared.profiles import Profile, Step
from shared.store.engine import Engine, Pending, Statement
from shared.store.lessons import (
    Kind,
    Lesson,
    Scope,
    forget_lesson,
    keep_lesson,
    read_lessons,
    unread_lessons,
)
from shared.store.versions import changed

__all__ = ("Change", "Endpoint", "Lessons", "steps_down", "taught")

type Endpoint = tuple[str, str]
"""An upstream's name, and a model's name there."""

_SCOPES: tuple[Scope, ...] = get_args(Scope.__value__)
_CONFIRMED_MS = 86_400_000
"""How long a lesson holds until what is milder is tried: each day costs one refused attempt at
most, and what a provider has changed is noticed within a day.
"""


class Change(msgspec.Struct, frozen=True):
    """What an accepted request has shown of a lesson."""

    old: Lesson | None
    """None: nothing was known."""

    new: Lesson | None
    """None: the old one no longer holds."""


class Lessons:
    """What the endpoints have taught, kept across restarts and followed as others change it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._lessons: dict[Endpoint, dict[str, Lesson]] = {}
        """By endpoint and key."""

        self._put_off: dict[str, int] = {}
        """Lessons, by key, of which nothing milder is tried before a time (epoch ms)."""

        self._unwritten: list[Statement] = []
        self._pending: Pending | None = None
        self._version: int | None = None
        self._convert_old_rows()
        self.refresh()

    def refresh(self) -> None:
        """Take over what others have changed; cheap enough for every second."""
        version = self._engine.versions().get("learned", 0)
        if self._write() and version != self._version:
            found: defaultdict[Endpoint, dict[str, Lesson]] = defaultdict(dict)
            for lesson in read_lessons(self._engine):
                found[lesson.upstream, lesson.model][lesson.key] = lesson
            self._lessons, self._version = dict(found), version

    def policy(
        self, endpoint: Endpoint, profile: Profile, change: Change = Change(None, None)
    ) -> Policy:
        """The policy there, or what it would be after the change; a lesson of another profile
        doesn't count.
        """
        policy = Policy(profile.missing[0])
        for lesson in self._of(endpoint, profile):
            known: Lesson | None = lesson
            if lesson == change.old:
                known = change.new
            if known is not None:
                policy = taught(policy, known)
        return policy

    def trials(self, endpoint: Endpoint, profile: Profile, now: int) -> Iterator[Change]:
        """What a request shows that goes well with less than was learnt, where that is to be
        tried; of each lesson the mildest change first.
        """
        for lesson in list(self._of(endpoint, profile)):
            due = max(lesson.learned_at + _CONFIRMED_MS, self._put_off.get(lesson.key, 0))
            if due <= now:
                for less in _less_than(lesson, profile):
                    yield Change(lesson, less)

    def put_off(self, lesson: Lesson, until: int) -> None:
        """Try nothing milder before then (epoch ms)."""
        self._put_off[lesson.key] = until

    def change(self, change: Change) -> None:
        """Use what was shown from now on, unless the old lesson was forgotten meanwhile."""
        old, new = change.old, change.new
        if old is not None and self._all(old).pop(old.key, None) is None:
            return
        for lesson in filter(None, (old, new)):
            self._put_off.pop(lesson.key, None)
        if new is not None:
            self._all(new)[new.key] = new
            self._unwritten.append(keep_lesson(new))
        elif old is not None:
            self._unwritten.append(forget_lesson(old.key, until=old.learned_at))
        self._write()

    def _of(self, endpoint: Endpoint, profile: Profile) -> Iterator[Lesson]:
        for lesson in self._lessons.get(endpoint, {}).values():
            if lesson.profile == profile.name:
                yield lesson

    def _all(self, lesson: Lesson) -> dict[str, Lesson]:
        """All lessons of the lesson's endpoint."""
        return self._lessons.setdefault((lesson.upstream, lesson.model), {})

    def _write(self) -> bool:
        """Write what could not be written before; whether nothing is left."""
        if self._unwritten and (self._pending is None or self._pending.over):
            self._pending = None
            change = [*self._unwritten, changed("learned")]
            if self._engine.remote:  # it is written beside the loop
                self._pending = self._engine.write_first(change)
            elif not self._engine.try_write(change, overtake=True):
                return False
            self._unwritten = []
        return not self._unwritten and (self._pending is None or self._pending.over)

    def _convert_old_rows(self) -> None:
        """Keep what rows of earlier versions say of their endpoint in rows of this one's."""
        for endpoint, value, learned_at in unread_lessons(self._engine):
            lessons = _lessons_in(endpoint, value, learned_at)
            if lessons is not None:
                self._unwritten += [*map(keep_lesson, lessons), forget_lesson(endpoint)]
        self._write()


def taught(policy: Policy, lesson: Lesson) -> Policy:
    """The policy with the lesson."""
    match lesson.kind:
        case "empty":
            return replace(policy, step="empty", scope=lesson.scope)
        case "bare":
            return replace(policy, bare="always")
        case "pictures":
            return replace(policy, pictures=False)
        case "alternate":
            return replace(policy, allows_consecutive_user_messages=False)
        case "keep":
            return replace(policy, keep=False)
        case "without":
            return _with(policy, without=policy.members.without | {lesson.member})
        case "limit":
            return _with(policy, most_tokens=int(lesson.member))
        case "efforts":
            return _with(policy, efforts=tuple(lesson.member.split()))
        case "ending":
            return _with(policy, ends_with_user=True)
        case "forced":
            return _with(policy, forces_thinking=False)
        case "results":
            return _with(policy, wants_results=True)
    assert_never(lesson.kind)


def _with(policy: Policy, **members: Any) -> Policy:
    return replace(policy, members=replace(policy.members, **members))


def steps_down(profile: Profile, policy: Policy) -> list[Policy]:
    """The policies to try after the endpoint refused `policy`, mildest first: for each step
    of the ladder as few turns as may do.
    """
    ladder = profile.missing
    if policy.step in ladder:
        ladder = ladder[ladder.index(policy.step) :]
    steps = [(step, scope) for step in ladder for scope in _scopes(profile, step)]
    refused = (policy.step, policy.scope)
    if refused in steps:
        # The same may do as a repair: what earlier requests have sent no longer binds.
        steps = steps[steps.index(refused) + int(policy.repairing) :]
    return [
        replace(policy, step=step, scope=scope, turns={}, repairing=True, bare="")
        for step, scope in steps
    ]


def _less_than(lesson: Lesson, profile: Profile) -> list[Lesson | None]:
    """What may hold instead of the lesson, the closest to it first."""
    if lesson.kind != "empty":
        return [None]
    scopes = _scopes(profile, "empty")
    if profile.missing[0] == "empty":
        scopes = _SCOPES[1:]  # the profile's own scope needs no lesson
    narrower = scopes[: scopes.index(lesson.scope)] if lesson.scope in scopes else ()
    return [*(replace(lesson, scope=scope) for scope in reversed(narrower)), None]


def _scopes(profile: Profile, step: Step) -> tuple[Scope, ...]:
    """The scopes in which a step may do, the narrowest first."""
    match step:
        case "omit":
            return ()
        case "off":
            # The whole request changes; all that matters is which turns it is for.
            return ("foreign", "all")
        case "reject":
            return ("foreign",)
    if profile.scope == "none":
        return _SCOPES[1:]
    return _SCOPES


class _OldPolicy(msgspec.Struct):
    """How versions before this one kept all lessons of an endpoint in one row."""

    step: str
    everywhere: bool = False
    bare: str = ""
    pictures: bool = True
    allows_consecutive_user_messages: bool = True
    keep: bool = True


class _OldRow(msgspec.Struct):
    profile: str
    policy: _OldPolicy


def _lessons_in(endpoint: str, value: str, learned_at: int) -> list[Lesson] | None:
    """The lessons in a row of an earlier version; None when it is none.

    Thinking switched off and shortened conversations were lessons then: those are left out.
    """
    try:
        row = msgspec.json.decode(value, type=_OldRow)
    except msgspec.DecodeError:
        return None
    upstream, _, model = endpoint.rpartition(" ")
    return [
        Lesson(
            upstream=upstream,
            model=model,
            kind=kind,
            profile=row.profile,
            scope=scope,
            learned_at=learned_at,
        )
        for kind, scope in _kinds_in(row.policy)
    ]


def _kinds_in(policy: _OldPolicy) -> Iterator[tuple[Kind, Scope]]:
    if policy.everywhere and policy.step == "empty":
        yield "empty", "all"
    if policy.bare == "always":
        yield "bare", ""
    if not policy.pictures:
        yield "pictures", ""
    if not policy.allows_consecutive_user_messages:
        yield "alternate", ""
    if not policy.keep:
        yield "keep", ""
