"""Put remembered reasoning back into a replayed conversation: never invented, and why each
miss was a miss.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from addon.formats.chat.carriers import CARRIERS, THINK, THINKING_CHUNK
from addon.formats.neutral.turn import Edit, Message, Part, Reasoning
from addon.recall.memory import Record
from addon.recall.message_edit import Parcel, emptied, packed, written
from addon.recall.resolve import SURE
from addon.recall.turn_keys import Keys, Place
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

    bare: Literal["", "now", "always"] = ""
    """No reasoning is sent: the upstream has just refused what it got, or knows nothing of
    the kind.
    """

    pictures: bool = True
    in_a_row: bool = True
    keep: bool = True
    """What else the upstream has shown to take, or not: pictures, two messages of the user
    in a row, the members that its profile keeps.
    """


class Diagnosis(msgspec.Struct, frozen=True):
    """How one assistant message was resolved."""

    at: int
    rule: str
    """A rule of `resolve`, `known-empty`, `client` (the client sent reasoning itself) or
    `missing`.
    """

    why: str = ""


class Restoration(msgspec.Struct):
    """What to do with one request."""

    edits: dict[int, Edit]
    diagnoses: list[Diagnosis]
    thinking_off: bool
    sent: dict[bytes, str]
    """What is sent now for turns that were not found, to be sent again.

    `empty`, `omit`, `bare` (without what the client sent), or `restored` at last.
    """

    rejected: Diagnosis | None
    """Set when policy refuses the request because of this turn."""

    disowned: set[str] = msgspec.field(default_factory=set)
    """Turns whose state the upstream has refused: it is not sent again."""

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
    """Decide what each message must carry for the profile, at an upstream's account;
    `places` are resolved.
    """
    thinking_off = policy.repairing and policy.step == "off"
    result = Restoration(edits={}, diagnoses=[], thinking_off=thinking_off, sent={}, rejected=None)
    last_user = max(
        (at for at, message in enumerate(messages) if message.role == "user"), default=-1
    )
    of = Keys(namespace)
    keys = {place.at: of.sent(place) for place in places if place.rule not in SURE}
    sent = {} if policy.repairing else memory.sent(keys.values())
    fields = (
        place.record.field
        for place in places
        if place.record and place.record.reasoning is not None
    )
    worker = _Restorer(
        profile, policy, has_tools, last_user, next(fields, ""), keys, sent, origin, result
    )
    for place in places:
        worker.take(place)
    _map_ids(messages, places, result.edits)
    if worker.lost_at is not None:
        _trim(messages, worker.lost_at, result.edits)
    return result


_ANOTHER = "its state belongs to another account of the upstream"
_REFUSED = "the upstream refuses what was thought"
_IN_CONTENT = {THINK, THINKING_CHUNK}


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
        self._details: set[tuple[str, str]] = set()
        """Identities of the details that are sent."""

        self.lost_at: int | None = None
        """The last message whose turn is not known, when the conversation is to begin after it."""

    def take(self, place: Place) -> None:
        before, since = self._before(place)
        refused = place.record is not None and place.record.disowned
        if self._policy.bare or before == "bare" or refused:
            self._strip(place)
            return
        if (
            before in ("omit", "empty")
            and place.record is not None
            and since >= place.record.made_at
        ):
            place.rule, place.record = "", None
            place.why = "found too late: what was sent before is sent again"
        if self._profile.send == "none" or (
            self._profile.send == "current" and place.at < self._last_user
        ):
            self._set(place, {})
            self._say(place, place.rule or "missing", place.why)
        elif place.record is not None:
            self._put_back(place, place.record)
        elif place.message.thinks or (place.message.reasoning and not self._profile.stand_in):
            self._keep_copy(place)
        else:
            self._miss(place)

    def _keep_copy(self, place: Place) -> None:
        """Leave what the client sent, under a name that the upstream knows."""
        writes = self._profile.writes
        copies = [text for _, text in place.message.reasoning if text]
        if not writes or {field for field, _ in place.message.reasoning} & set(writes):
            self._say(place, "client")
        elif copies:
            self._set(place, dict.fromkeys(writes, copies[0]))
            self._say(place, "client")
        else:
            self._miss(place)

    def _put_back(self, place: Place, record: Record) -> None:
        if any(thought.reasoning.carrier in CARRIERS for thought in record.thoughts):
            self._unpack(place, record)
        elif record.thoughts and record.origin == self._origin and place.message.parts:
            self._result.edits[place.at] = Edit(parts=_with_thoughts(place.message, record))
            self._say(place, place.rule)
        elif record.thoughts and record.reasoning is None:
            self._say(place, "missing", _ANOTHER)
        elif record.reasoning is None:
            self._say(place, "known-empty")
            if self._profile.none == "empty" or (
                self._profile.none == "like-others" and self._field
            ):
                self._set(place, self._empty())
            elif self._policy.everywhere and self._policy.step == "empty":
                self._fill(place, "empty")
        else:
            self._set(
                place, dict.fromkeys(self._profile.writes or (record.field,), record.reasoning)
            )
            self._say(place, place.rule if record.reasoning else "known-empty")
        if self._policy.repairing and place.at in self._keys:
            self._result.sent[self._keys[place.at]] = "restored"

    def _unpack(self, place: Place, record: Record) -> None:
        parcel = packed(place, record, self._profile.writes, self._origin, self._details)
        if parcel.lost:
            self._say(place, "missing", _ANOTHER)
        else:
            self._say(place, place.rule)
        if self._profile.stand_in and place.message.calls and not parcel.annexes:
            parcel.annexes = {
                0: self._profile.stand_in
            }  # upstreams that sign calls look at a message's first
        self._result.edits[place.at] = written(place, parcel, record)

    def _strip(self, place: Place) -> None:
        """Send nothing of what was thought, not even what the client has sent."""
        self._say(place, "missing", _REFUSED)
        record, edit = place.record, emptied(place.message)
        if edit is not None:
            self._result.edits[place.at] = edit
        if self._policy.bare == "always":
            return
        if edit is not None and place.at in self._keys:
            self._result.sent[self._keys[place.at]] = "bare"
        if self._policy.bare and record is not None and record.thoughts:
            self._result.disowned.add(record.token)
        had_state = edit is not None or (
            record is not None and (record.disowned or record.thoughts)
        )
        if self._demanded(place) or (had_state and self._profile.stand_in):
            self._fill(place, self._policy.step)

    def _miss(self, place: Place) -> None:
        self._say(place, "missing", place.why)
        before, _ = self._before(place)
        step = (
            before if before == "empty" else self._policy.step if self._demanded(place) else "omit"
        )
        self._fill(place, step)
        # A request without thinking carries nothing for the turn.
        now = "empty" if step == "empty" else "omit"
        if now != before:
            self._result.sent[self._keys[place.at]] = now

    def _before(self, place: Place) -> tuple[str, int]:
        """What was sent for the turn when it was not found, and when."""
        return self._sent.get(self._keys.get(place.at, b""), ("", 0))

    def _fill(self, place: Place, step: str) -> None:
        if step == "empty" and self._profile.stand_in:
            if place.message.calls:
                self._result.edits[place.at] = written(
                    place, Parcel(annexes={0: self._profile.stand_in}), None
                )
        elif step == "empty":
            self._set(place, self._empty())
        elif step == "trim":
            self.lost_at = place.at
        elif step == "off":
            self._result.thinking_off = True
        elif step == "reject":
            self._result.rejected = self._result.rejected or Diagnosis(
                place.at, "missing", place.why
            )

    def _demanded(self, place: Place) -> bool:
        scope = self._profile.scope
        return (
            self._policy.everywhere
            or (scope == "tools" and self._has_tools)
            or (scope == "calls" and bool(place.message.calls))
            or (scope == "current" and place.at > self._last_user)
        )

    def _empty(self) -> dict[str, str]:
        return dict.fromkeys(
            self._profile.writes or (self._field or "reasoning_content",), self._profile.fill
        )

    def _set(self, place: Place, fields: dict[str, str]) -> None:
        if fields.keys() & _IN_CONTENT or place.message.carried:
            self._result.edits[place.at] = written(place, Parcel(fields=fields), place.record)
        elif fields or place.message.reasoning:
            self._result.edits[place.at] = Edit(fields)

    def _say(self, place: Place, rule: str, why: str = "") -> None:
        self._result.diagnoses.append(Diagnosis(place.at, rule, why))


def _with_thoughts(message: Message, record: Record) -> tuple[Part, ...]:
    """The message as the client holds it, with the turn's own reasoning where it stood."""
    others = [part for part in message.parts if not isinstance(part, Reasoning)]
    before: defaultdict[int, list[Part]] = defaultdict(list)
    for thought in record.thoughts:
        before[min(thought.at, len(others))].append(thought.reasoning)
    parts: list[Part] = []
    for at, part in enumerate(others):
        parts += [*before.pop(at, ()), part]
    return (*parts, *before[len(others)])


def _trim(messages: Sequence[Message], lost_at: int, edits: dict[int, Edit]) -> None:
    """Let the conversation begin at the user's first words after the lost turn, the
    system's words kept.

    A lost turn that nobody spoke after stays: its calls and their results go together.
    """
    begins = next((at for at in range(lost_at, len(messages)) if messages[at].role == "user"), None)
    if begins is not None:
        edits |= {at: Edit(dropped=True) for at in range(begins) if messages[at].role != "system"}


def _map_ids(messages: Sequence[Message], places: Sequence[Place], edits: dict[int, Edit]) -> None:
    """Give the upstream its own tool-call ids back, in the calls and in their results."""
    own = {ours: theirs for place in places for ours, theirs in _own_ids(place)}
    for at, message in enumerate(messages):
        ids = (
            [call.id for call in message.calls]
            if message.role == "assistant"
            else [message.result_of]
        )
        if mapped := {call_id: own[call_id] for call_id in ids if call_id in own}:
            edits.setdefault(at, Edit()).ids = mapped


def _own_ids(place: Place) -> Iterator[tuple[str, str]]:
    """Ids of ours with the upstream's; none when the turn is unknown or its own ids don't
    tell its calls apart.
    """
    ids = place.record.ids if place.record else ()
    if len(set(ids)) == len(ids):
        for call_id, ours in place.minted.items():
            if ours.index < len(ids) and ids[ours.index]:
                yield call_id, ids[ours.index]
