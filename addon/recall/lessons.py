"""What each endpoint has taught about turns whose reasoning is not known."""

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
        stored = table.find_learned(engine)
        self._learned = {
            name: lesson for name, text in stored.items() if (lesson := _understood(text))
        }

    def policy(self, endpoint: str, profile: Profile) -> Policy:
        """How to treat unknown turns there; a lesson learnt under another profile no longer
        counts.
        """
        lesson = self._learned.get(endpoint)
        return (
            lesson.policy
            if lesson and lesson.profile == profile.name
            else Policy(profile.missing[0])
        )

    def learn(self, endpoint: str, profile: Profile, policy: Policy) -> None:
        """Use the policy there from now on."""
        lesson = _Lesson(profile.name, replace(policy, repairing=False, bare=_lasting(policy)))
        self._learned[endpoint] = lesson
        text = msgspec.json.encode(lesson).decode()
        self._engine.write_later([table.keep_learned(endpoint, text, self._clock.now_ms())])


def _lasting(policy: Policy) -> Literal["", "always"]:
    return "always" if policy.bare == "always" else ""


def _understood(text: str) -> _Lesson | None:
    """The lesson, or None for one that another version learnt."""
    try:
        return msgspec.json.decode(text, type=_Lesson)
    except msgspec.DecodeError:
        return None


def steps_down(profile: Profile, policy: Policy) -> list[Policy]:
    """The policies to try after the endpoint refused `policy`, mildest first."""
    ladder = (
        profile.missing[profile.missing.index(policy.step) :]
        if policy.step in profile.missing
        else profile.missing
    )
    if policy.everywhere:
        ladder = ladder[1:]
    return [
        replace(policy, step=step, everywhere=True, repairing=True, bare="")
        for step in ladder
        if step != "omit"
    ]
