"""Policies for turns without known reasoning, as each endpoint's refusals have taught them."""

from typing import Literal

import msgspec
from msgspec.structs import replace

from addon.recall.restore import Policy
from shared.clock import Clock
from shared.profiles import Profile
from shared.store import recall as table
from shared.store.engine import Engine

__all__ = ("Lessons", "steps_down")


class _Lesson(msgspec.Struct, frozen=True):
    profile: str
    policy: Policy


class Lessons:
    """Policies per endpoint (upstream and model), kept across restarts."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._lessons: dict[str, _Lesson] = {}
        for endpoint, text in table.find_learned(engine).items():
            lesson = _read_lesson(text)
            if lesson is not None:
                self._lessons[endpoint] = lesson

    def policy(self, endpoint: str, profile: Profile) -> Policy:
        """The policy for unknown turns there; a lesson of another profile doesn't count."""
        lesson = self._lessons.get(endpoint)
        if lesson is None or lesson.profile != profile.name:
            return Policy(profile.missing[0])
        return lesson.policy

    def learn(self, endpoint: str, profile: Profile, policy: Policy) -> None:
        """Use the policy there from now on."""
        bare: Literal["", "always"] = ""
        if policy.bare == "always":
            bare = "always"
        lesson = _Lesson(profile.name, replace(policy, repairing=False, bare=bare))
        self._lessons[endpoint] = lesson
        text = msgspec.json.encode(lesson).decode()
        self._engine.write_later([table.keep_learned(endpoint, text, self._clock.now_ms())])


def _read_lesson(text: str) -> _Lesson | None:
    """The lesson; None for one that another version wrote."""
    try:
        return msgspec.json.decode(text, type=_Lesson)
    except msgspec.DecodeError:
        return None


def steps_down(profile: Profile, policy: Policy) -> list[Policy]:
    """The policies to try after the endpoint refused `policy`, mildest first."""
    ladder = profile.missing
    if policy.step in ladder:
        ladder = ladder[ladder.index(policy.step) :]
    if policy.everywhere:
        ladder = ladder[1:]
    return [
        replace(policy, step=step, everywhere=True, repairing=True, bare="")
        for step in ladder
        if step != "omit"
    ]
