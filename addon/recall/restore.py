"""Put remembered reasoning back into a replayed conversation, and say why each miss was one.

Nothing is invented for a turn that is not found.
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
    """What earlier requests sent for turns not found, and when (epoch ms)."""

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]: ...


class Policy(msgspec.Struct, frozen=True):
    """The treatment of turns without known reasoning."""

    step: Step
    everywhere: bool = False
    """The upstream has shown that it wants more than its profile's scope."""

    repairing: bool = False
    """The upstream has just refused: earlier requests no longer bind this one."""

    bare: Literal["", "now", "always"] = ""
    """Send no reasoning: the upstream has just refused it (`now`), or has no word for it
    (`always`).
    """

    pictures: bool = True
    """The upstream takes pictures."""

    allows_consecutive_user_messages: bool = True
    """The upstream takes consecutive messages of the user."""

    keep: bool = True
    """The upstream takes the members that its profile keeps."""


class Diagnosis(msgspec.Struct, frozen=True):
    """How one assistant message was resolved."""

    at: int
    rule: str
    """A rule of `resolve`, `known-empty`, `client` (the client sent reasoning itself) or
    `missing`.
    """

    why: str = ""


class Restoration(msgspec.Struct):
    """The changes to one request."""

    edits: dict[int, Edit]
    diagnoses: list[Diagnosis]
    thinking_off: bool
    sent: dict[bytes, str]
    """What this request sends for turns not found, so that later ones send the same.

    `empty`, `omit`, `bare` (without the client's reasoning), or `restored` at last; `filled`
    for a turn that was found, and that the upstream had given no reasoning. After `empty` and
    `filled` stands the field, where the profile names none.
    """

    rejected: Diagnosis | None
    """The turn because of which policy refuses the request, if any."""

    disowned: set[str] = msgspec.field(default_factory=set)
    """Turns whose state the upstream has refused: no request sends it again."""

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
    """Decide what each message carries for the profile, at an upstream's account; `places` are
    resolved.
    """
    thinking_off = policy.repairing and policy.step == "off"
    result = Restoration(edits={}, diagnoses=[], thinking_off=thinking_off, sent={}, rejected=None)
    users = (at for at, message in enumerate(messages) if message.role == "user")
    last_user = max(users, default=-1)
    of = Keys(namespace)
    keys = {place.at: of.sent(place) for place in places if _may_vary(place)}
    sent: dict[bytes, tuple[str, int]] = {}
    if not policy.repairing:
        sent = memory.sent(keys.values())
    records = [place.record for place in places if place.record is not None]
    fields = (record.field for record in records if record.reasoning is not None)
    restorer = _Restorer(
        profile, policy, has_tools, last_user, next(fields, ""), keys, sent, origin, result
    )
    for place in places:
        restorer.take(place)
    _map_ids(messages, places, result.edits)
    if restorer.lost_at is not None:
        _trim(messages, restorer.lost_at, result.edits)
    return result


_ANOTHER = "its state belongs to another account of the upstream"
_REFUSED = "the upstream refuses what was thought"

_IN_CONTENT = {THINK, THINKING_CHUNK}
"""Fields of reasoning that stand in the content."""


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
        self._field_before = ""
        """The first field of reasoning that is known of a turn before the one that is taken."""

        self._details: set[tuple[str, str]] = set()
        """Identities of the details in the request so far."""

        self.lost_at: int | None = None
        """The last message with an unknown turn, if the conversation is to begin after it."""

    def take(self, place: Place) -> None:
        before, since = self._before(place)
        refused = place.record is not None and place.record.disowned
        if self._policy.bare or before == "bare" or refused:
            self._strip(place)
            return
        if before in ("omit", "empty"):
            _forget_if_late(place, since)
        self._carry(place)
        if place.record is not None and place.record.reasoning is not None:
            self._field_before = self._field_before or place.record.field

    def _carry(self, place: Place) -> None:
        """Send what is known of the turn, or what is to be sent where nothing is."""
        if not self._wants(place):
            self._set(place, {})
            self._say(place, place.rule or "missing", place.why)
        elif place.record is not None:
            self._put_back(place, place.record)
        elif place.message.thinks or (place.message.reasoning and not self._profile.stand_in):
            self._keep_copy(place)
        else:
            self._miss(place)

    def _wants(self, place: Place) -> bool:
        """Whether the upstream wants reasoning for this message at all."""
        match self._profile.send:
            case "none":
                return False
            case "current":
                return place.at >= self._last_user
        return True

    def _keep_copy(self, place: Place) -> None:
        """Leave the client's own reasoning, under a name that the upstream knows."""
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
            self._put_none(place)
        else:
            fields = self._profile.writes or (record.field,)
            self._set(place, dict.fromkeys(fields, record.reasoning))
            rule = place.rule
            if not record.reasoning:
                rule = "known-empty"
            self._say(place, rule)
        if self._policy.repairing and place.at in self._keys:
            self._result.sent.setdefault(self._keys[place.at], "restored")

    def _put_none(self, place: Place) -> None:
        """Write that the upstream gave no reasoning, where its profile wants that written.

        Turns that come later don't count: what was sent for this one is sent again.
        """
        if self._before(place)[0] == "filled":
            self._fill(place, "empty")
        elif self._profile.none == "empty":
            self._set(place, self._empty(place))
        elif self._profile.none == "like-others" and self._field_before:
            self._set(place, {self._field_before: self._profile.fill})
        elif self._policy.everywhere and self._policy.step == "empty":
            self._fill(place, "empty")
            self._result.sent[self._keys[place.at]] = self._with_field("filled", place)

    def _unpack(self, place: Place, record: Record) -> None:
        parcel = packed(place, record, self._profile.writes, self._origin, self._details)
        if parcel.lost:
            self._say(place, "missing", _ANOTHER)
        else:
            self._say(place, place.rule)
        if self._profile.stand_in and place.message.calls and not parcel.annexes:
            # Upstreams that sign calls look at a message's first.
            parcel.annexes = {0: self._profile.stand_in}
        self._result.edits[place.at] = written(place, parcel, record)

    def _strip(self, place: Place) -> None:
        """Send no reasoning, not even the client's own."""
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
        had_state = edit is not None
        if record is not None and (record.disowned or record.thoughts):
            had_state = True
        if self._demanded(place) or (had_state and self._profile.stand_in):
            self._fill(place, self._policy.step)

    def _miss(self, place: Place) -> None:
        self._say(place, "missing", place.why)
        before, _ = self._before(place)
        step: str = "omit"
        if before == "empty":
            step = "empty"
        elif self._demanded(place):
            step = self._policy.step
        self._fill(place, step)
        # Of the other steps none leaves anything in the turn's own message.
        now = "omit"
        if step == "empty":
            now = "empty"
        if now != before:
            self._result.sent[self._keys[place.at]] = self._with_field(now, place)

    def _before(self, place: Place) -> tuple[str, int]:
        """What an earlier request sent for the turn, without the field, and when."""
        sent, since = self._sent.get(self._keys.get(place.at, b""), ("", 0))
        return sent.partition(" ")[0], since

    def _with_field(self, sent: str, place: Place) -> str:
        """What is sent for the turn, and the field where another request could choose another."""
        if sent == "omit" or self._profile.writes:
            return sent
        return f"{sent} {next(iter(self._empty(place)))}"

    def _fill(self, place: Place, step: str) -> None:
        match step:
            case "empty" if self._profile.stand_in:
                if place.message.calls:
                    parcel = Parcel(annexes={0: self._profile.stand_in})
                    self._result.edits[place.at] = written(place, parcel, None)
            case "empty":
                self._set(place, self._empty(place))
            case "trim":
                self.lost_at = place.at
            case "off":
                self._result.thinking_off = True
            case "reject" if self._result.rejected is None:
                self._result.rejected = Diagnosis(place.at, "missing", place.why)

    def _demanded(self, place: Place) -> bool:
        scope = self._profile.scope
        return (
            self._policy.everywhere
            or (scope == "tools" and self._has_tools)
            or (scope == "calls" and bool(place.message.calls))
            or (scope == "current" and place.at > self._last_user)
        )

    def _empty(self, place: Place) -> dict[str, str]:
        """The empty reasoning, under the name that it was sent under before, if it was."""
        sent, _ = self._sent.get(self._keys.get(place.at, b""), ("", 0))
        field = sent.partition(" ")[2] or self._field or "reasoning_content"
        return dict.fromkeys(self._profile.writes or (field,), self._profile.fill)

    def _set(self, place: Place, fields: dict[str, str]) -> None:
        if fields.keys() & _IN_CONTENT or place.message.carried:
            self._result.edits[place.at] = written(place, Parcel(fields=fields), place.record)
        elif fields or place.message.reasoning:
            self._result.edits[place.at] = Edit(fields)

    def _say(self, place: Place, rule: str, why: str = "") -> None:
        self._result.diagnoses.append(Diagnosis(place.at, rule, why))


def _may_vary(place: Place) -> bool:
    """Whether another request could find otherwise, or send something else for a turn of which
    there is nothing to send.
    """
    record = place.record
    is_empty = record is not None and record.reasoning is None and not record.thoughts
    return place.rule not in SURE or is_empty


def _forget_if_late(place: Place, since: int) -> None:
    """Drop a turn that was remembered only after a request had gone out without it."""
    if place.record is None or place.rule in SURE:
        return
    if since >= place.record.made_at:
        place.rule, place.record = "", None
        place.why = "found too late: what was sent before is sent again"


def _with_thoughts(message: Message, record: Record) -> tuple[Part, ...]:
    """The client's message with the turn's own reasoning in its old places."""
    others = [part for part in message.parts if not isinstance(part, Reasoning)]
    before: defaultdict[int, list[Part]] = defaultdict(list)
    for thought in record.thoughts:
        before[min(thought.at, len(others))].append(thought.reasoning)
    parts: list[Part] = []
    for at, part in enumerate(others):
        parts += [*before.pop(at, ()), part]
    return (*parts, *before[len(others)])


def _trim(messages: Sequence[Message], lost_at: int, edits: dict[int, Edit]) -> None:
    """Let the conversation begin at the user's first words after the lost turn, and keep the
    system's words.

    A lost turn without later words of the user stays: its calls and their results go together.
    """
    users = (at for at in range(lost_at, len(messages)) if messages[at].role == "user")
    start = next(users, None)
    if start is not None:
        edits |= {at: Edit(dropped=True) for at in range(start) if messages[at].role != "system"}


def _map_ids(messages: Sequence[Message], places: Sequence[Place], edits: dict[int, Edit]) -> None:
    """Give the upstream its own tool-call ids back, in the calls and in their results."""
    own = {minted: theirs for place in places for minted, theirs in _own_ids(place)}
    for at, message in enumerate(messages):
        ids = [message.result_of]
        if message.role == "assistant":
            ids = [call.id for call in message.calls]
        mapped = {call_id: own[call_id] for call_id in ids if call_id in own}
        if mapped:
            edits.setdefault(at, Edit()).ids = mapped


def _own_ids(place: Place) -> Iterator[tuple[str, str]]:
    """Minted ids with the upstream's own; none for an unknown turn or ambiguous own ids."""
    if place.record is None:
        return
    ids = place.record.ids
    if len(set(ids)) != len(ids):
        return
    for call_id, minted in place.minted.items():
        if minted.index < len(ids) and ids[minted.index]:
            yield call_id, ids[minted.index]
