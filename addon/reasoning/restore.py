"""Put remembered reasoning back into a replayed conversation: never invented, and why each miss was a miss."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from addon.formats.turn import Edit, Message, Part, Reasoning
from addon.reasoning.places import Keys, Place
from addon.reasoning.recall import Record
from addon.reasoning.resolve import SURE
from shared.profiles import Profile, Step

__all__ = ("Diagnosis", "Policy", "Restoration", "Sent", "restore")


class Sent(Protocol):
    """What was sent before for turns that were not found, and when (epoch ms)."""

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]: ...


class Policy(msgspec.Struct, frozen=True):
    """What is done for turns whose reasoning is not known."""

    step: Step
    everywhere: bool = False
    """The upstream has shown that it wants more than its profile's scope."""

    repairing: bool = False
    """The upstream has just refused: what was sent before no longer binds."""


class Diagnosis(msgspec.Struct, frozen=True):
    """How one assistant message was resolved."""

    at: int
    rule: str
    """A rule of `resolve`, `known-empty`, `client` (the client sent reasoning itself) or `missing`."""

    why: str = ""


class Restoration(msgspec.Struct):
    """What to do with one request."""

    edits: dict[int, Edit]
    diagnoses: list[Diagnosis]
    thinking_off: bool
    sent: dict[bytes, str]
    """What is sent now for turns that were not found, to be sent again: `empty`, `omit`, or `restored` at last."""

    rejected: Diagnosis | None
    """Set when policy refuses the request because of this turn."""

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(diagnosis.rule for diagnosis in self.diagnoses))


def restore(
    *,
    messages: Sequence[Message],
    places: Sequence[Place],
    profile: Profile,
    policy: Policy,
    has_tools: bool,
    namespace: bytes,
    memory: Sent,
    origin: str = "",
) -> Restoration:
    """Decide what each message must carry for the profile, at an upstream's account; `places` are resolved."""
    thinking_off = policy.repairing and policy.step == "off"
    result = Restoration(edits={}, diagnoses=[], thinking_off=thinking_off, sent={}, rejected=None)
    last_user = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1)
    of = Keys(namespace)
    keys = {place.at: of.sent(place) for place in places if place.rule not in SURE}
    sent = {} if policy.repairing else memory.sent(keys.values())
    fields = (place.record.field for place in places if place.record and place.record.reasoning is not None)
    worker = _Restorer(profile, policy, has_tools, last_user, next(fields, ""), keys, sent, origin, result)
    for place in places:
        worker.take(place)
    _map_ids(messages, places, result.edits)
    return result


class _Restorer:
    def __init__(
        self,
        profile: Profile,
        policy: Policy,
        has_tools: bool,
        last_user: int,
        field: str,
        keys: Mapping[int, bytes],
        sent: Mapping[bytes, tuple[str, int]],
        origin: str,
        result: Restoration,
    ) -> None:
        self._profile = profile
        self._policy = policy
        self._has_tools = has_tools
        self._last_user = last_user
        self._field = field
        self._keys = keys
        self._sent = sent
        self._origin = origin
        self._result = result

    def take(self, place: Place) -> None:
        before, since = self._before(place)
        if before in ("omit", "empty") and place.record is not None and since >= place.record.made_at:
            place.rule, place.record = "", None
            place.why = "found too late: what was sent before is sent again"
        if self._profile.send == "none" or (self._profile.send == "current" and place.at < self._last_user):
            self._set(place, {})
            self._say(place, place.rule or "missing", place.why)
        elif place.record is not None:
            self._put_back(place, place.record)
        elif place.message.reasoning or place.message.thinks:
            self._say(place, "client")
        else:
            self._miss(place)

    def _put_back(self, place: Place, record: Record) -> None:
        if record.thoughts and record.origin == self._origin and place.message.parts:
            self._result.edits[place.at] = Edit(parts=_with_thoughts(place.message, record))
            self._say(place, place.rule)
        elif record.thoughts and record.reasoning is None:
            self._say(place, "missing", "its state belongs to another account of the upstream")
        elif record.reasoning is None:
            self._say(place, "known-empty")
            if self._profile.none == "empty" or (self._profile.none == "like-others" and self._field):
                self._set(place, self._empty())
            elif self._policy.everywhere:
                self._fill(place, self._policy.step)
        else:
            self._set(place, dict.fromkeys(self._profile.writes or (record.field,), record.reasoning))
            self._say(place, place.rule if record.reasoning else "known-empty")
        if self._policy.repairing and place.at in self._keys:
            self._result.sent[self._keys[place.at]] = "restored"

    def _miss(self, place: Place) -> None:
        self._say(place, "missing", place.why)
        before, _ = self._before(place)
        step = before if before == "empty" else self._policy.step if self._demanded(place) else "omit"
        self._fill(place, step)
        # A request without thinking carries nothing for the turn.
        now = "empty" if step == "empty" else "omit"
        if now != before:
            self._result.sent[self._keys[place.at]] = now

    def _before(self, place: Place) -> tuple[str, int]:
        """What was sent for the turn when it was not found, and when."""
        return self._sent.get(self._keys.get(place.at, b""), ("", 0))

    def _fill(self, place: Place, step: str) -> None:
        if step == "empty":
            self._set(place, self._empty())
        elif step == "off":
            self._result.thinking_off = True
        elif step == "reject":
            self._result.rejected = self._result.rejected or Diagnosis(place.at, "missing", place.why)

    def _demanded(self, place: Place) -> bool:
        scope = self._profile.scope
        return (
            self._policy.everywhere
            or (scope == "tools" and self._has_tools)
            or (scope == "calls" and bool(place.message.calls))
            or (scope == "current" and place.at > self._last_user)
        )

    def _empty(self) -> dict[str, str]:
        return dict.fromkeys(self._profile.writes or (self._field or "reasoning_content",), "")

    def _set(self, place: Place, fields: dict[str, str]) -> None:
        if fields or place.message.reasoning:
            self._result.edits[place.at] = Edit(fields)

    def _say(self, place: Place, rule: str, why: str = "") -> None:
        self._result.diagnoses.append(Diagnosis(place.at, rule, why))


def _with_thoughts(message: Message, record: Record) -> tuple[Part, ...]:
    """The message as the client holds it, with the turn's own reasoning where it stood."""
    others = [part for part in message.parts if not isinstance(part, Reasoning)]
    parts: list[Part] = []
    for at, part in enumerate(others):
        parts += [thought.reasoning for thought in record.thoughts if thought.at == at]
        parts.append(part)
    return (*parts, *(thought.reasoning for thought in record.thoughts if thought.at >= len(others)))


def _map_ids(messages: Sequence[Message], places: Sequence[Place], edits: dict[int, Edit]) -> None:
    """Give the upstream its own tool-call ids back, in the calls and in their results."""
    own = {ours: theirs for place in places for ours, theirs in _own_ids(place)}
    for at, message in enumerate(messages):
        ids = [call.id for call in message.calls] if message.role == "assistant" else [message.result_of]
        if mapped := {call_id: own[call_id] for call_id in ids if call_id in own}:
            edits.setdefault(at, Edit()).ids = mapped


def _own_ids(place: Place) -> Iterator[tuple[str, str]]:
    """Ids of ours with the upstream's; none when the turn is unknown or its own ids don't tell its calls apart."""
    ids = place.record.ids if place.record else ()
    if len(set(ids)) == len(ids):
        for call_id, ours in place.minted.items():
            if ours.index < len(ids) and ids[ours.index]:
                yield call_id, ids[ours.index]
