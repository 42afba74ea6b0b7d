"""Finds the remembered turn of each assistant message of a replayed conversation. Pure; reads
a `Lookup`.

A minted id names the turn of its message, and no other rule applies then. For the others, all
turns that may be meant are looked up first, and each rule must leave no doubt among them: one
turn fits, or all that fit have the same reasoning. What several turns left open stays open until
something is known of each of them that tells them apart. The rules in their order:

id         one of the message's tool-call ids is ours, or of the messages it was split from; or they
           are the upstream's own, of a turn that another gateway remembered
anchor     text or calls, and what stood before: the last id of ours, else the conversation so far
stop       the turn at this place began with this text
result     the same calls had the same results, in a client that replaces ids
words      question and answer, where there is enough of both
text       a long text that only one remembered turn has
chain      the turn after followed this one when it was made, or it fills the gap between two turns
neighbour  several turns fit, and one of them followed the turn before
again      an earlier request went out with this choice, which the rules no longer make
"""

from collections.abc import Callable, Collection, Sequence

from addon.formats.neutral.turn import Message
from addon.formats.wire.pace import lots_of
from addon.recall.carried import copied
from addon.recall.evidence import (
    ENOUGH,
    HALF,
    Candidate,
    Likeness,
    Position,
    Results,
    only,
    weigh,
)
from addon.recall.memory import Record
from addon.recall.prefixes import prefixes
from addon.recall.reasons import explain
from addon.recall.resolution import Resolution
from addon.recall.search import Lookup, Search
from addon.recall.turn_keys import LONG_TEXT, Keys, Place, is_unique, results_after

__all__ = ("AGAIN", "SURE", "resolve")

_ALIKE = 0.6
"""Share of its words that an altered text must keep to be the turn in a gap."""

SURE = ("id", "neighbour", "chain")
"""Rules that find a turn when it is first replayed, or never."""

_SOME_RESULT = 16
"""Characters of results below which they say no more than `OK`."""

AGAIN = "again"
"""The rule of a choice that is no longer made, but stays as it was."""


def resolve(
    namespace: bytes,
    messages: Sequence[Message],
    places: list[Place],
    lookup: Lookup,
    conversation: str = "",
) -> None:
    """Fill `rule` and `record`, or `why` and `needed`, of each place anew.

    `conversation` keeps the choices of one conversation from others with the same messages.
    """
    if not places:
        return
    found = Resolution(messages, places, Search(namespace, messages, lookup))
    found.read_ids()
    _by_id(found)
    found.look()
    _by_place(found, "anchor", _stood_there)
    _by_place(found, "stop", _was_stopped)
    _by_results(found)
    _by_words(found)
    _by_place(found, "text", _is_long)
    _by_chain(found)
    _by_neighbour(found)
    explain(found)
    _choose_again(found, Keys(namespace), lookup, conversation)


def _by_id(found: Resolution) -> None:
    for order, place in enumerate(lots_of(found.places)):
        tokens = {minted.token for minted in place.minted.values()}
        if len(tokens) != 1:
            continue
        record = found.search.turn(tokens.pop())
        if record is not None:
            found.take(order, "id", record)
    for order, record in found.search.given({at: found.places[at] for at in found.open()}).items():
        found.take(order, "id", record)
    for order in found.open():
        _join(found, order, order + 1)
        _join(found, order, order - 1)


def _join(found: Resolution, order: int, beside: int) -> None:
    """Take a text for the turn of the calls beside it, which a client split from it."""
    text, record = found.places[order], found.at(beside)
    if record is None or text.message.calls or not text.text:
        return
    calls = found.places[beside]
    are_parts = abs(calls.at - text.at) == 1 and calls.minted and not calls.text
    if are_parts and text.text == found.search.text(record):
        found.take(order, "id", record)


type _Judgement = Callable[[Resolution, int, Candidate], bool]


def _by_place(found: Resolution, rule: str, is_enough: _Judgement) -> None:
    """Give each open place the turn that alone fits it best, if that is enough."""
    fits: dict[int, Candidate] = {}
    for order in found.open():
        candidate = only(found.best(order))
        if candidate is not None and is_enough(found, order, candidate):
            fits[order] = candidate
    found.settle(rule, fits)


def _stood_there(found: Resolution, order: int, candidate: Candidate) -> bool:
    """Whether the turn with this text or these calls stood at this place."""
    if candidate.results is Results.OTHER:
        return False  # its calls came back with other results
    return candidate.likeness >= Likeness.PART and candidate.is_placed


def _was_stopped(found: Resolution, order: int, candidate: Candidate) -> bool:
    """Whether the turn at this very place begins with the text."""
    if candidate.likeness > Likeness.BEGINNING:
        return False
    if any(one.likeness is Likeness.WHOLE for one in found.all(order)):
        return False  # it equals another turn in full
    is_first = candidate.position == Position.WORDS and candidate.is_placed
    return is_first or candidate.position == Position.SAME


def _is_long(found: Resolution, order: int, candidate: Candidate) -> bool:
    """Whether the text alone identifies the turn."""
    place = found.places[order]
    if place.message.calls or len(place.text) < LONG_TEXT:
        return False
    return candidate.likeness >= Likeness.PART and found.may_be_of(candidate.record, order)


def _by_results(found: Resolution) -> None:
    """Tell turns apart by the results of their calls, if those of all of them are known."""
    last = len(found.places) - 1
    # Once it is known which turn is new, the others are not that one.
    for orders in ([last], range(last)):
        fits: dict[int, Candidate] = {}
        for order in set(found.open()).intersection(orders):
            candidate = _with_results(found, order)
            if candidate is not None:
                fits[order] = candidate
        found.settle("result", dict(sorted(fits.items())))


def _with_results(found: Resolution, order: int) -> Candidate | None:
    place, fitting = found.places[order], found.best(order)
    if not place.message.calls or not fitting:
        return None
    are_placed = all(one.is_placed for one in fitting)
    if not are_placed:
        fitting = found.all(order)
    equal = [one for one in fitting if one.results is Results.EQUAL]
    unknown = [one for one in fitting if one.results is Results.UNKNOWN]
    if equal and not unknown:
        candidate = only(equal)
        if are_placed or (candidate and _tell_results(found, place, candidate)):
            return candidate
        return None
    # Calls that come back for the first time are not those that came back with other results.
    if not equal and are_placed and order == len(found.places) - 1:
        return only(unknown)
    return None


def _tell_results(found: Resolution, place: Place, candidate: Candidate) -> bool:
    """Whether words, calls and results are enough where nothing else is the same."""
    size = sum(map(len, results_after(found.messages, place.at).values()))
    return size >= _SOME_RESULT and candidate.weight + size >= HALF


def _by_words(found: Resolution) -> None:
    """Find turns by question and answer; turns that followed one another count together."""
    fits: dict[int, Candidate] = {}
    for order in found.open():
        candidate = only(found.best(order))
        if candidate is not None and _may_be_by_words(found, order, candidate):
            fits[order] = candidate
    enough: dict[int, Candidate] = {}
    for run in _runs(fits):
        if _identify(found, run, fits):
            enough |= {order: fits[order] for order in run}
    found.settle("words", enough)


def _may_be_by_words(found: Resolution, order: int, candidate: Candidate) -> bool:
    # Calls are much alike, and their results tell more.
    if found.places[order].message.calls or found.is_common(order):
        return False
    if candidate.position != Position.WORDS or candidate.likeness < Likeness.WHOLE:
        return False
    return found.may_be_of(candidate.record, order)


def _runs(fits: dict[int, Candidate]) -> list[list[int]]:
    """The places in runs of turns that followed one another when they were made."""
    runs: list[list[int]] = []
    for order, candidate in fits.items():
        before = fits.get(order - 1)
        if before and before.record.token and candidate.record.parent == before.record.token:
            runs[-1].append(order)
        else:
            runs.append([order])
    return runs


def _identify(found: Resolution, run: list[int], fits: dict[int, Candidate]) -> bool:
    """Whether questions and answers are enough to identify the turns of a run."""
    said: dict[tuple[bytes, ...], int] = {}
    for order in run:
        place = found.places[order]
        said[place.asked.words.digest, *place.marks] = fits[order].weight
    is_known = len(run) > 1 or found.is_related(fits[run[0]].record)
    return sum(said.values()) >= (HALF if is_known else ENOUGH)


def _by_chain(found: Resolution) -> None:
    sure = {order for order in range(len(found.places)) if _is_sure(found, order)}
    for order in reversed(found.open()):
        place, before, record = found.places[order], found.at(order - 1), found.parent(order + 1)
        if record is None or found.is_elsewhere(record, order):
            continue
        is_between = before is not None and record.parent == before.token
        if not _is_same(found, record, place) and not (
            is_between and _is_alike(found, record, place)
        ):
            continue
        if order + 1 not in sure and len(found.best(order)) > 1:
            continue  # a twin of the turn after may have followed any of them
        if not _is_outdone(found, record, order):
            found.take(order, "chain", record)
            if order + 1 in sure:
                sure.add(order)


def _is_sure(found: Resolution, order: int) -> bool:
    """Whether the turn of a place is known by an id, or by so much that it has no twin."""
    place = found.places[order]
    if place.rule == "id":
        return True
    weights = [one.weight for one in found.all(order) if one.token == place.token]
    return place.rule in ("anchor", "stop", "text") and max(weights, default=0) >= ENOUGH


def _by_neighbour(found: Resolution) -> None:
    for order in found.open():
        before = found.at(order - 1)
        if before is None or not before.token:
            continue
        # Of a turn that followed an unknown one it is not known that it followed another.
        following = [one for one in found.best(order) if one.record.parent in (before.token, None)]
        candidate = only(following)
        if candidate is None or candidate.position == Position.ELSEWHERE:
            continue
        if candidate.record.parent == before.token:
            found.take(order, "neighbour", candidate.record)


def _is_outdone(found: Resolution, record: Record, order: int) -> bool:
    """Whether other turns fit the place as well, and this one is not among them."""
    others = found.best(order)
    if not others or record.token in {one.token for one in others}:
        return False
    text = found.search.text(record)
    mine = weigh(record, found.places[order], text=text, has_words=False, results=Results.UNKNOWN)
    return mine is None or mine.position <= others[0].position


def _is_same(found: Resolution, record: Record, place: Place) -> bool:
    """Whether the turn has the place's text and calls."""
    names = tuple(call.name for call in place.message.calls)
    return record.names == names and found.search.text(record) == place.text


def _is_alike(found: Resolution, record: Record, place: Place) -> bool:
    """Whether an altered message may be the turn that stands between its neighbours."""
    if record.names or place.message.calls:
        names = {call.name for call in place.message.calls}
        return bool(names) and names <= set(record.names)
    mine, theirs = set(place.text.split()), set(found.search.text(record).split())
    return len(mine & theirs) >= _ALIKE * max(len(mine), len(theirs), 1)


def _choose_again(found: Resolution, keys: Keys, lookup: Lookup, conversation: str) -> None:
    """Let what an earlier request chose without an id stay chosen, and what it missed stay missed,
    as long as all that was said up to it is the same to the letter: otherwise turns that are made
    later would change it.
    """
    weak = [
        order
        for order, place in enumerate(lots_of(found.places))
        if place.rule != "id" and not place.minted
    ]
    chosen = [order for order in weak if found.at(order) is not None]
    # Where only one turn may be meant, no other was chosen before.
    doubtful = [order for order in weak if found.at(order) is None or len(found.all(order)) > 1]
    latest = chosen[-2:]
    orders = {*doubtful, *latest, *_late(found, chosen, keys, lookup)}
    _name_choices(found, orders, keys, conversation)
    _hold_choices(found, orders, lookup)
    if any(found.places[order].is_missed for order in latest):
        # What was missed there may have been missed before it, too.
        orders = {*chosen} - orders
        _name_choices(found, orders, keys, conversation)
        _hold_choices(found, orders, lookup)
    # The latest turn is new; if the one before is, too, then nothing was chosen for this prefix.
    elif chosen[:-1] and not found.places[chosen[-2]].is_kept:
        _name_choices(found, chosen, keys, conversation)


def _late(found: Resolution, chosen: Sequence[int], keys: Keys, lookup: Lookup) -> list[int]:
    """Places whose turn was made after one that stands later, or that an earlier request sent
    nothing for.
    """
    late, first = [], 0
    names = {order: keys.sent(found.places[order]) for order in chosen}
    sent = lookup.sent(names.values())
    for order in reversed(chosen):
        place = found.places[order]
        made_at = place.record.made_at if place.record else 0
        if (first and made_at > first) or names[order] in sent:
            late.append(order)
        first = min(first or made_at, made_at)
    return late


def _hold_choices(found: Resolution, orders: Collection[int], lookup: Lookup) -> None:
    """Let these places have what was chosen for them before."""
    sent = lookup.sent([found.places[order].choice for order in orders])
    found.search.read(token for token, _ in sent.values() if token)
    for order in orders:
        place = found.places[order]
        token, _ = sent.get(place.choice, (None, 0))
        if token is None or _may_be_new(found, order, token):
            continue
        record = found.search.turn(token)
        if record is not None:
            _keep(place, record)
        elif not token and place.at + 1 < len(found.messages):
            # A message that nothing follows is no turn of a conversation that went on.
            place.is_missed = True


def _name_choices(
    found: Resolution, orders: Collection[int], keys: Keys, conversation: str
) -> None:
    """Fill `choice` of these places."""
    places = {found.places[order].at: found.places[order] for order in orders}
    for at, prefix in prefixes(found.messages, places):
        places[at].choice = keys.choice(conversation, [*prefix, *copied(found.messages[at])])


def _keep(place: Place, record: Record) -> None:
    place.is_kept = True
    if place.record is None or _differ(place.record, record):
        place.rule, place.record, place.why, place.needed = AGAIN, record, "", ""
    place.token = record.token


def _may_be_new(found: Resolution, order: int, token: str) -> bool:
    """Whether another turn than the chosen one may be coming back for the first time here: where
    ids are numbers, its conversation may be the same to the letter.
    """
    place, before = found.places[order], found.places[order - 1] if order else None
    if not place.message.calls or all(map(is_unique, place.message.calls)):
        return False
    if before is not None and before.at + 1 == place.at:
        return False  # no model answers what a model has said
    new = [one for one in found.all(order) if one.results is Results.UNKNOWN and one.is_placed]
    return any(one.token != token and _may_follow(one.record, found, order) for one in new)


def _may_follow(record: Record, found: Resolution, order: int) -> bool:
    """Whether the turn may have followed that of the place before, as far as is known."""
    if order == 0:
        return record.parent == ""
    before = found.at(order - 1)
    if record.parent is None or before is None or not before.token:
        return record.parent != ""
    return record.parent == before.token


def _differ(one: Record, other: Record) -> bool:
    mine, theirs = ((record.reasoning, record.field, record.thoughts) for record in (one, other))
    return mine != theirs
