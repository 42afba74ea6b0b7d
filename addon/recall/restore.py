"""Put remembered reasoning back into a replayed conversation, and say why each miss was one.

Nothing is invented for a turn that is not found.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from addon.formats.chat.carriers import is_bound
from addon.formats.neutral.member_rules import MemberRules
from addon.formats.neutral.turn import Edit, Message, Part, Reasoning
from addon.formats.wire.pace import lots_of
from addon.recall.earlier import Earlier, Sent, forget, forget_if_late
from addon.recall.memory import Record
from addon.recall.message_edit import (
    IN_CONTENT,
    Parcel,
    emptied,
    has_words,
    is_packed,
    map_ids,
    packed,
    quoted,
    trimmed,
    unbound,
    written,
)
from addon.recall.reasons import Diagnosis
from addon.recall.resolve import SURE
from addon.recall.split_turns import WHOLE, Share, shares_of, with_thoughts
from addon.recall.turn_keys import Place
from shared.profiles import Profile, Step
from shared.store.lessons import Scope

__all__ = ("Diagnosis", "Policy", "Restoration", "restore")

_MOST_NAMED = 8
"""Messages that a note names: more would say no more."""


class Policy(msgspec.Struct, frozen=True):
    """The treatment of turns without known reasoning."""

    step: Step
    scope: Scope = ""
    """What the upstream has shown that it wants."""

    turns: Mapping[int, Step] = {}
    """The messages for which this conversation has come to a step of its own."""

    repairing: bool = False
    """The upstream has just refused: earlier requests no longer bind this one."""

    bare: Literal["", "state", "now", "always"] = ""
    """Send less: no state that is bound to an account (`state`) or no reasoning at all (`now`),
    which the upstream has just refused; or no reasoning, for which it has no word (`always`).
    """

    pictures: bool = True
    """The upstream takes pictures."""

    allows_consecutive_user_messages: bool = True
    """The upstream takes consecutive messages of the user."""

    keep: bool = True
    """The upstream takes the members that its profile keeps."""

    members: MemberRules = MemberRules()
    """What else the upstream has shown of a request's members."""


class Restoration(msgspec.Struct):
    """The changes to one request."""

    edits: dict[int, Edit]
    diagnoses: list[Diagnosis]
    thinking_off: bool
    sent: dict[bytes, str]
    """What this request sends where nothing is known, as in `Earlier`: later ones send the same."""

    rejected: Diagnosis | None
    """The turn because of which policy refuses the request, if any."""

    given_up: dict[int, Step] = msgspec.field(default_factory=dict)
    """The messages for which the whole request has to change, by `off`, `trim` or `reject`."""

    begins_at: int = 0
    """The user's message that a shortened conversation begins at."""

    disowned: set[str] = msgspec.field(default_factory=set)
    """Turns whose reasoning the upstream has refused: no request sends it again."""

    unbound: set[str] = msgspec.field(default_factory=set)
    """Turns whose state the upstream has refused: no request sends that again."""

    restored_bytes: int = 0
    """Bytes of the turns that were put back; beyond `most_bytes` the rest was not looked at."""

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(diagnosis.rule for diagnosis in self.diagnoses))

    @property
    def step(self) -> Literal["", "off", "trim"]:
        """How the whole request was changed, if it was."""
        if self.thinking_off:
            return "off"
        return "trim" if self.begins_at else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """How the whole request was changed, in words."""
        why = "the upstream found that reasoning is missing"
        if self.given_up:
            turns = ", ".join(map(str, list(self.given_up)[:_MOST_NAMED]))
            why = f"the reasoning of message {turns} is not known, and the upstream wants it"
        match self.step:
            case "off":
                return (f"thinking was switched off: {why}",)
            case "trim":
                return (f"all before message {self.begins_at} was left out: {why}",)
        return ()


def restore(
    *,
    messages: Sequence[Message],
    places: Sequence[Place],
    profile: Profile,
    policy: Policy,
    has_tools: bool,
    namespace: bytes,
    memory: Sent,
    most_bytes: int,
    origin: str = "",
    joins: bool = False,
    foreign: frozenset[Reasoning] = frozenset(),
    others: frozenset[int] = frozenset(),
) -> Restoration:
    """Decide what each message carries for the profile, at an upstream's account; `places` are
    resolved.

    A request gets no more than `most_bytes` of remembered turns: one that names a turn again and
    again is small itself. `joins`: the upstream takes assistant messages side by side for one
    turn. `foreign`: what the client's copies hold of other families' models; `others`: messages
    that these have made.
    """
    thinking_off = policy.repairing and policy.step == "off"
    result = Restoration(edits={}, diagnoses=[], thinking_off=thinking_off, sent={}, rejected=None)
    users = (at for at, message in enumerate(messages) if message.role == "user")
    request = _Request(
        profile=profile,
        policy=policy,
        has_tools=has_tools,
        last_user=max(users, default=-1),
        origin=origin,
        joins=joins,
        foreign=foreign,
        others=others,
        shares=shares_of(places),
    )
    earlier = Earlier(places, namespace, None if policy.repairing else memory)
    result.sent = earlier.now
    restorer = _Restorer(request, earlier, result)
    for place in lots_of(places):
        if result.restored_bytes <= most_bytes:
            restorer.take(place)
    map_ids(messages, places, result.edits)
    if restorer.lost_at is not None:
        result.begins_at, dropped = trimmed(messages, restorer.lost_at)
        result.edits |= dropped
    return result


_ANOTHER = "its state belongs to another account of the upstream"
_REFUSED = "the upstream refuses what was thought"
_OTHERS = "what the client carries was thought by another provider family's model"


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all messages of a request."""

    profile: Profile
    policy: Policy
    has_tools: bool
    last_user: int
    origin: str
    joins: bool
    foreign: frozenset[Reasoning]
    others: frozenset[int]
    shares: Mapping[int, Share]

    @property
    def quotes(self) -> bool:
        """Whether the words of all turns that were found go out."""
        is_plain = not self.policy.repairing and self.policy.bare not in ("now", "always")
        return is_plain and self.profile.send == "all" and not self.joins

    def wants(self, place: Place) -> bool:
        """Whether the upstream wants reasoning for this message at all."""
        match self.profile.send:
            case "none":
                return False
            case "current":
                return place.at >= self.last_user
        return True

    def demands(self, place: Place) -> bool:
        """Whether the upstream refuses the message without reasoning."""
        scope = self.profile.scope
        return (
            self.policy.scope in ("foreign", "all")
            or (scope == "tools" and self.has_tools)
            or ("calls" in (scope, self.policy.scope) and bool(place.message.calls))
            or (scope == "current" and place.at > self.last_user)
        )

    def share(self, place: Place) -> Share:
        return self.shares.get(place.at, WHOLE)

    def continues(self, place: Place) -> bool:
        """Whether the upstream takes the message for the rest of the turn before it."""
        return self.joins and not self.share(place).is_first

    def is_foreign(self, part: Part) -> bool:
        """Whether another family's model has thought it."""
        return isinstance(part, Reasoning) and part in self.foreign

    def owns(self, record: Record) -> bool:
        """Whether the upstream's account made the turn's state, and has not refused it."""
        refused = record.disowned or self.policy.bare == "state"
        return record.origin == self.origin and not refused


class _Restorer:
    def __init__(self, request: _Request, earlier: Earlier, result: Restoration) -> None:
        self._request = request
        self._profile = request.profile
        self._policy = request.policy
        self._earlier = earlier
        self._result = result
        self._quotes = request.quotes
        self._field_before = ""
        """The first field of reasoning that is known of a turn before the one that is taken."""

        self._known: set[tuple[str, str]] = set()
        """Identities of the details and items in the request so far."""

        self.lost_at: int | None = None
        """The last message with an unknown turn, if the conversation is to begin after it."""

    def take(self, place: Place) -> None:
        if self._quotes and self._is_quoted(place):
            return
        before, since = self._earlier.of(place)
        refused = before == "bare" or (place.record is not None and place.record.is_refused)
        if self._policy.bare in ("now", "always") or refused:
            self._strip(place)
            return
        if place.is_missed and not self._policy.repairing:
            forget(place)
        elif before in ("omit", "empty") and not place.is_kept:
            forget_if_late(place, since)
        self._carry(place)
        if place.record is not None and place.record.reasoning is not None:
            self._field_before = self._field_before or place.record.field

    def _is_quoted(self, place: Place) -> bool:
        """Put the words of a turn back that has nothing else, as most have; whether it is one."""
        record = place.record
        if record is None or record.thoughts or not record.reasoning or place.is_missed:
            return False
        if place.rule not in SURE and self._earlier.of(place)[0]:
            return False
        known = quoted(place, record, self._profile.writes)
        if known is None:
            return False
        result = self._result
        result.restored_bytes += known.size
        result.edits[place.at] = known.edit
        result.diagnoses.append(Diagnosis(place.at, place.rule))
        self._field_before = self._field_before or record.field
        return True

    def _carry(self, place: Place) -> None:
        """Send what is known of the turn, or what is to be sent where nothing is."""
        if not self._request.wants(place):
            self._set(place, {})
            self._say(place, place.rule or "missing", place.why)
        elif place.record is not None:
            self._put_back(place, place.record)
        elif place.at in self._request.others:
            self._result.edits[place.at] = emptied(place.message) or Edit()
            self._miss(place, _OTHERS)
        elif any(self._request.is_foreign(part) for part in place.message.parts):
            self._drop_foreign(place)
        elif place.message.thinks or (place.message.reasoning and not self._profile.stand_in):
            self._keep_copy(place)
        else:
            self._miss(place)

    def _drop_foreign(self, place: Place) -> None:
        """Leave nothing of what another family's model has thought."""
        parts = place.message.parts
        kept = tuple(part for part in parts if not self._request.is_foreign(part))
        self._result.edits[place.at] = Edit(parts=kept)
        if any(isinstance(part, Reasoning) for part in kept):
            self._say(place, "client", _OTHERS)
        else:
            self._miss(place, _OTHERS)

    def _keep_copy(self, place: Place) -> None:
        """Leave the client's own reasoning, under a name that the upstream knows."""
        before, _ = self._earlier.of(place)
        if self._policy.bare == "state" or before == "unbound":
            edit = unbound(place.message)
            if edit is not None:
                self._unbind(place, edit)
                return
        writes = self._profile.writes
        copies = [text for _, text in place.message.reasoning if text]
        if not writes or {field for field, _ in place.message.reasoning} & set(writes):
            self._say(place, "client")
        elif copies:
            self._set(place, dict.fromkeys(writes, copies[0]))
            self._say(place, "client")
        else:
            self._miss(place)

    def _unbind(self, place: Place, edit: Edit) -> None:
        """Leave what the upstream has not refused of the client's own reasoning."""
        self._result.edits[place.at] = edit
        self._earlier.note(place, "unbound", self._profile)
        if not has_words(place.message, edit):
            self._say(place, "missing", _REFUSED)
            if self._request.demands(place) or self._profile.stand_in:
                self._fill(place, self._policy.step)
        else:
            self._say(place, "client", _REFUSED)

    def _put_back(self, place: Place, record: Record) -> None:
        own = self._request.owns(record)
        self._result.restored_bytes += record.size
        if record.thoughts and is_packed(record):
            self._unpack(place, record)
        elif record.thoughts and own and place.message.parts:
            self._think(place, record)
        elif self._request.continues(place):
            # What stands in the message before is the whole turn's.
            self._set(place, {})
            self._say(place, place.rule)
        elif record.thoughts and record.reasoning is None:
            self._say(place, "missing", _ANOTHER)
        elif record.reasoning is None:
            self._say(place, "known-empty")
            self._put_none(place)
        else:
            self._quote(place, record, record.reasoning)
        if self._policy.repairing:
            self._earlier.note(place, "restored", self._profile)

    def _quote(self, place: Place, record: Record, reasoning: str) -> None:
        """Put the words back that the upstream gave, under the name that it gave or knows."""
        self._set(place, dict.fromkeys(self._profile.writes or (record.field,), reasoning))
        self._say(place, place.rule if reasoning else "known-empty")

    def _think(self, place: Place, record: Record) -> None:
        """Put the thoughts back between the parts of the message."""
        share = WHOLE
        if self._request.joins:
            share = self._request.share(place)
        parts = with_thoughts(place.message, record, share)
        self._result.edits[place.at] = Edit(parts=tuple(self._once(parts)))
        self._say(place, place.rule)

    def _once(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts without reasoning that stands in the request already, by its item's id:
        upstreams refuse an item's second copy.
        """
        for part in parts:
            name = ("", "")
            if isinstance(part, Reasoning) and part.id:
                name = (part.carrier, part.id)
            if name not in self._known:
                yield part
            if name[1]:
                self._known.add(name)

    def _put_none(self, place: Place) -> None:
        """Write that the upstream gave no reasoning, where its profile or the upstream wants that
        written.

        Turns that come later don't count: what was sent for this one is sent again.
        """
        step = self._policy.turns.get(place.at, "omit")
        if self._policy.scope == "all":
            step = self._policy.step
        if self._earlier.of(place)[0] == "filled":
            self._fill(place, "empty")
        elif self._profile.none == "empty":
            self._set(place, self._earlier.empty(place, self._profile))
        elif self._profile.none == "like-others" and self._field_before:
            self._set(place, {self._field_before: self._profile.fill})
        elif step == "empty":
            self._fill(place, "empty")
            self._earlier.note(place, "filled", self._profile)
        elif any(text.strip() for _, text in place.message.reasoning):
            self._set(place, {})  # the turn's own id says that it is not the turn's
        if step != "empty":
            self._fill(place, step)

    def _unpack(self, place: Place, record: Record) -> None:
        share, own = self._request.share(place), self._request.owns(record)
        parcel = packed(place, record, self._profile.writes, self._known, own=own, share=share)
        refused = record.origin == self._request.origin and not own
        if parcel.lost and refused:
            self._say(place, "missing", _REFUSED)
        elif parcel.lost:
            self._say(place, "missing", _ANOTHER)
        else:
            self._say(place, place.rule)
        if refused and any(is_bound(thought.reasoning) for thought in record.thoughts):
            self._result.unbound.add(record.token)
        if self._profile.stand_in and place.message.calls and not parcel.annexes:
            # Upstreams that sign calls look at a message's first.
            parcel.annexes = {0: self._profile.stand_in}
        self._result.edits[place.at] = written(place, parcel, record, share)

    def _strip(self, place: Place) -> None:
        """Send no reasoning, not even the client's own."""
        self._say(place, "missing", _REFUSED)
        record, edit = place.record, emptied(place.message)
        if edit is not None:
            self._result.edits[place.at] = edit
        if self._policy.bare == "always":
            return
        if edit is not None:
            self._earlier.note(place, "bare", self._profile)
        is_known = record is not None and (record.thoughts or record.reasoning)
        if self._policy.bare == "now" and record is not None and is_known:
            self._result.disowned.add(record.token)
        had_state = edit or (record is not None and (record.disowned or record.thoughts))
        if self._request.demands(place) or (had_state and self._profile.stand_in):
            self._fill(place, self._policy.step)

    def _miss(self, place: Place, why: str = "") -> None:
        self._say(place, "missing", why or place.why)
        before, _ = self._earlier.of(place)
        step = self._step_for(place, before)
        self._fill(place, step)
        # Of the other steps none leaves anything in the turn's own message.
        now = "omit"
        if step == "empty":
            now = "empty"
        if now != before:
            self._earlier.note(place, now, self._profile)

    def _step_for(self, place: Place, before: str) -> Step:
        """What is done for an unknown turn; `before`, what an earlier request sent for it."""
        if place.at in self._policy.turns:
            return self._policy.turns[place.at]
        if before == "empty":
            return "empty"
        if self._request.demands(place):
            return self._policy.step
        return "omit"

    def _fill(self, place: Place, step: Step) -> None:
        if step not in ("omit", "empty"):
            self._result.given_up[place.at] = step
        match step:
            case "empty" if self._profile.stand_in:
                if place.message.calls:
                    parcel = Parcel(annexes={0: self._profile.stand_in})
                    self._result.edits[place.at] = written(place, parcel, None)
            case "empty":
                self._set(place, self._earlier.empty(place, self._profile))
            case "trim":
                self.lost_at = place.at
            case "off":
                self._result.thinking_off = True
            case "reject" if self._result.rejected is None:
                self._result.rejected = Diagnosis(place.at, "missing", place.why)

    def _set(self, place: Place, fields: dict[str, str]) -> None:
        if not IN_CONTENT.isdisjoint(fields) or place.message.carried:
            parcel, share = Parcel(fields=fields), self._request.share(place)
            self._result.edits[place.at] = written(place, parcel, place.record, share)
        elif fields or place.message.reasoning:
            self._result.edits[place.at] = Edit(fields)

    def _say(self, place: Place, rule: str, why: str = "") -> None:
        needed = ""
        if rule == "missing" and why == place.why:
            needed = place.needed
        self._result.diagnoses.append(Diagnosis(place.at, rule, why, needed))
