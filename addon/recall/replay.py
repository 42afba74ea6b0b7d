"""One request's dealings with recall: its turns are looked up and restored, its answer is
remembered.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec.structs import replace

from addon.formats.chat.carriers import CARRIERS, is_bound
from addon.formats.neutral.turn import SUMMARY, Message, Reasoning, Turn
from addon.formats.wire.pace import lots_of
from addon.recall.carried import carries, contradicts
from addon.recall.commits import Commit
from addon.recall.gathered import Gathered
from addon.recall.identity import digest, mint, new_token, normal_text
from addon.recall.memory import LOT, Recall, Record, Thought
from addon.recall.resolve import AGAIN, resolve
from addon.recall.restore import Policy, Restoration, restore
from addon.recall.turn_keys import Keys, Place, places_of
from addon.recall.words import brief
from shared.clock import Clock
from shared.profiles import Profile
from shared.store.lookup import Found, Wanted

__all__ = ("Replay",)

_MOST_BYTES = 32 * 1024 * 1024
"""Of remembered turns for one request, unless it is said: several times what a model reads."""

_NOTHING = Wanted()

ROOT = 8
"""Characters of a token that tell the few conversations apart in which a turn may stand."""


class Replay:
    """The replayed messages of one principal, and the turn that answers them."""

    def __init__(
        self,
        *,
        recall: Recall,
        clock: Clock,
        id_key: bytes,
        random: Callable[[int], bytes],
        principal_id: str,
        messages: Sequence[Message],
        has_tools: bool,
        conversation: str = "",
    ) -> None:
        self._recall = recall
        self._clock = clock
        self._id_key = id_key
        self._principal_id = principal_id
        self._messages = messages
        self._has_tools = has_tools
        self._conversation = conversation
        self._namespace = b""
        self._places, self._answer = places_of(messages, id_key)
        self._tokens = _Tokens(random)
        self._lookup: Recall | Gathered = recall

    def wanted(self, profile: Profile) -> Wanted:
        """The turns that the messages name and memory does not hold, for an upstream of this
        profile; from across a network all that may be needed.
        """
        if self._recall.is_far:
            return self._gather(self._namespace_of(profile)).wanted
        named = [ours.token for place in lots_of(self._places) for ours in place.minted.values()]
        absent = self._recall.absent(named)
        if not absent:
            return _NOTHING
        return Wanted(turns={self._namespace_of(profile): absent[:LOT]})

    def take(self, found: Found) -> None:
        """Take up what was looked up of it."""
        if isinstance(self._lookup, Gathered):
            self._lookup.take(found)
            return
        for namespace in found.turns:
            self._recall.take(namespace, found)

    def origin(self, profile: Profile, copied: Mapping[str, str]) -> str:
        """The account whose state the latest turn holds that holds any, for an upstream of
        this profile; empty when none does.

        `copied` are the accounts of the state in the client's own copies.
        """
        self._resolve(profile)
        for place in lots_of(self._places[::-1]):
            if origin := _origin_of(place, copied):
                return origin
        return ""

    def restore(
        self,
        profile: Profile,
        policy: Policy,
        origin: str = "",
        *,
        most_bytes: int = _MOST_BYTES,
        joins: bool = False,
        foreign: frozenset[Reasoning] = frozenset(),
        families: Collection[str] = (),
    ) -> Restoration:
        """What the messages must carry for an upstream of this profile; the answer belongs
        to its family then.

        `origin` is the upstream's account: state that another one made is left out. `most_bytes`,
        `joins` and `foreign` as for `restore`; `families` are all that there are.
        """
        namespace = self._resolve(profile)
        return restore(
            messages=self._messages,
            places=self._places,
            profile=profile,
            policy=policy,
            has_tools=self._has_tools,
            namespace=namespace,
            memory=self._lookup,
            most_bytes=most_bytes,
            origin=origin,
            joins=joins,
            foreign=foreign,
            others=self._made_by(families),
        )

    def keys_of(self, messages: Collection[int]) -> dict[bytes, int]:
        """The keys of the turns that stand at these places among the messages."""
        keys, wanted = Keys(self._namespace), frozenset(messages)
        return {keys.sent(place): place.at for place in self._places if place.at in wanted}

    def accepted(self, restoration: Restoration) -> None:
        """The upstream took the request: what it was sent binds later requests."""
        self._recall.keep_sent(restoration.sent | self._choices())
        self._recall.disown(self._records(restoration.unbound), wholly=False)
        self._recall.disown(self._records(restoration.disowned), wholly=True)
        if self._places:
            self._learn_ids(self._places[-1])

    def mint(self, choice: int, index: int, _: str) -> str:
        """The id the client gets for a tool call of the answer."""
        return mint(self._tokens[choice], index, self._id_key)

    def remember(
        self, turns: dict[int, Turn], *, complete: bool, durable: bool, origin: str = ""
    ) -> list[Commit | None]:
        """Keep the answer's turns, whole or as far as they came; `durable`, and what their end
        has to wait for, as for `Recall.keep`.

        `origin` is the account of the upstream that made them.
        """
        keys, anchor = Keys(self._namespace), self._answer.anchor
        asked = self._answer.asked
        commits: list[Commit | None] = []
        for choice, turn in turns.items():
            thoughts = _thoughts(turn)
            quoted = turn.reasoning if turn.reasoning and turn.reasoning.field != SUMMARY else None
            record = Record(
                token=self._tokens[choice],
                reasoning=quoted.text if quoted else None,
                field=quoted.field if quoted else "",
                text=turn.text,
                ids=tuple(call.id for call in turn.calls),
                names=tuple(call.name for call in turn.calls),
                parent=self._parent(),
                after=anchor.after,
                since=anchor.since,
                words=asked.words.brief,
                lines=asked.words.lines,
                context=brief(asked.context),
                root=self._root() or self._tokens[choice][:ROOT],
                made_at=self._clock.now_ms(),
                complete=complete,
                thoughts=thoughts,
                origin=origin if any(is_bound(thought.reasoning) for thought in thoughts) else "",
            )
            found_by = keys.of_turn(turn, anchor, complete=complete)
            commits.append(self._recall.keep(self._namespace, record, found_by, durable=durable))
        return commits

    def _resolve(self, profile: Profile) -> bytes:
        namespace = self._namespace_of(profile)
        if namespace != self._namespace:
            self._namespace = namespace
            lookup = self._lookup_in(namespace)
            resolve(namespace, self._messages, self._places, lookup, self._conversation)
            _prefer_copies(self._places)
        return namespace

    def _lookup_in(self, namespace: bytes) -> Recall | Gathered:
        lookup = self._lookup
        if isinstance(lookup, Gathered) and lookup.namespace == namespace:
            return lookup
        if self._recall.is_far:
            lookup = self._gather(namespace)
            lookup.take(self._recall.look_up(lookup.wanted))
        return lookup

    def _gather(self, namespace: bytes) -> Gathered:
        gathered = self._lookup = Gathered(
            self._recall, namespace, self._messages, self._places, self._conversation
        )
        return gathered

    def _records(self, tokens: Collection[str]) -> list[Record]:
        """These of the turns that were found."""
        if not tokens:
            return []
        found = (place.record for place in self._places if place.record is not None)
        return list({one.token: one for one in found if one.token in tokens}.values())

    def _made_by(self, families: Collection[str]) -> frozenset[int]:
        """The messages whose ids say that a model of another family has made them, of those
        that bring reasoning of an unknown maker.
        """
        tokens = {
            place.at: {minted.token for minted in place.minted.values()}
            for place in lots_of(self._places)
            if place.record is None and (place.message.thinks or place.message.reasoning)
        }
        named = set[str]().union(*tokens.values())
        if not named:
            return frozenset()
        others = {digest(self._principal_id, family) for family in families}
        made = self._recall.made_in(others - {self._namespace}, named)
        return frozenset(at for at, names in tokens.items() if names & made)

    def _namespace_of(self, profile: Profile) -> bytes:
        return digest(self._principal_id, profile.family)

    def _learn_ids(self, place: Place) -> None:
        """A client keeps our ids or it does not: the turn's calls are known by them, or by
        their results.
        """
        if place.record is None or place.rule == AGAIN:
            return
        token, keys = place.record.token, Keys(self._namespace)
        if place.minted:
            # From now on the same calls under other ids are another model's.
            self._recall.drop_keys(token, keys.of_calls(place))
        elif place.rule != "id" and token and (results := keys.of_results(place, self._messages)):
            self._recall.drop_keys(token, map(keys.call, place.marks))
            self._recall.add_keys(token, results)

    def _choices(self) -> dict[bytes, str]:
        """The turns that were chosen without ids, or missed, for the requests that go on from
        here.
        """
        return {
            place.choice: place.token if place.record is not None else ""
            for place in lots_of(self._places)
            if place.choice and not place.is_kept and not (place.is_missed and place.record is None)
        }

    def _parent(self) -> str | None:
        if not self._places:
            return ""
        last = self._places[-1]
        if last.record is None or last.rule == AGAIN:
            return None
        return last.record.token or None

    def _root(self) -> str:
        """What the latest turn that was found has as its conversation's first one."""
        found = (place.record for place in reversed(self._places) if place.rule != AGAIN)
        return next((record.root for record in found if record and record.root), "")


class _Tokens(dict[int, str]):
    """The names of the answer's turns, by choice."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random

    def __missing__(self, choice: int) -> str:
        self[choice] = new_token(self._random(16))
        return self[choice]


def _prefer_copies(places: Sequence[Place]) -> None:
    """Let what the client carries itself win over turns that were not found by an id of ours."""
    before: Place | None = None
    for place in lots_of(places):
        record = place.record
        if record is not None and place.rule != "id":
            copy = place.message
            if before is not None and not carries(copy) and _may_be_split(before, place, record):
                copy = before.message
            if contradicts(copy, record):
                place.rule, place.record = "", None
                place.why = "the client carries other reasoning than the turn that was found"
        before = place


def _may_be_split(before: Place, place: Place, record: Record) -> bool:
    """Whether two messages may be the turn's text and its calls."""
    if before.at + 1 != place.at or before.message.calls or not place.message.calls:
        return False
    is_text = bool(before.text) and normal_text(record.text).startswith(before.text)
    return is_text and (before.record is None or bool(before.record.names))


def _origin_of(place: Place, copied: Mapping[str, str]) -> str:
    """The account whose state goes out with the turn, or empty."""
    if place.record is not None and not place.is_missed:
        return place.record.origin
    states = (part.opaque for part in place.message.parts if isinstance(part, Reasoning))
    return next((copied[state] for state in states if copied.get(state)), "")


def _thoughts(turn: Turn) -> tuple[Thought, ...]:
    """The turn's reasoning with state, and how many other parts stand before each piece."""
    found: list[Thought] = []
    others = 0
    for part in turn.ordered:
        if not isinstance(part, Reasoning):
            others += 1
        elif part.opaque:
            # What chat upstreams get back says the text itself.
            found.append(
                Thought(others, replace(part, text="") if part.carrier in CARRIERS else part)
            )
    return tuple(found)
