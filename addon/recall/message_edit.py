"""The reasoning that one replayed message carries, and the edit that writes it; pure.

Neutral messages take it as parts, chat messages that stay text as members: the reasoning of one
turn may stand in strings of its own, in `reasoning_details`, in the content, or beside the calls.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from addon.formats.chat import carriers
from addon.formats.chat.carriers import ANNEX, DETAILS, THINK, THINKING_CHUNK, is_bound
from addon.formats.chat.details import identity_of, is_secret, is_sendable
from addon.formats.chat.tags import CLOSE, OPEN
from addon.formats.neutral.turn import Edit, Message, Part, Reasoning, Text
from addon.formats.tolerant.content import thinking_chunk
from addon.formats.wire.lenient import as_dict as dict_of
from addon.formats.wire.pace import lots_of
from addon.formats.wire.splice import scalar_text, value
from addon.recall.identity import MintedId, normal_text
from addon.recall.memory import Record
from addon.recall.split_turns import WHOLE, Share
from addon.recall.turn_keys import Place

__all__ = (
    "IN_CONTENT",
    "Parcel",
    "Quoted",
    "emptied",
    "has_words",
    "is_packed",
    "map_ids",
    "packed",
    "quoted",
    "trimmed",
    "unbound",
    "written",
)


IN_CONTENT = frozenset((THINK, THINKING_CHUNK))
"""Fields of reasoning that stand in the content."""


class Parcel(msgspec.Struct, kw_only=True):
    """The reasoning of one message."""

    fields: dict[str, str] = {}
    """Plain strings by name; `<think>` and `content[].thinking` stand in the content."""

    details: list[Any] | None = None
    head: str = ""
    """The content before the visible text, tags included."""

    chunks: list[Any] = []
    annexes: dict[int, str] = {}
    """JSON of `extra_content` by the call's position in the message."""

    lost: bool = False
    """Whether it lacks state that only another account may send."""

    elsewhere: bool = False
    """Whether its state stands in another message of the turn."""


def is_packed(record: Record) -> bool:
    """Whether the turn has state of a chat upstream, which goes back where it stood."""
    return any(thought.reasoning.carrier in carriers.CARRIERS for thought in record.thoughts)


def packed(
    place: Place,
    record: Record,
    writes: tuple[str, ...],
    known: set[tuple[str, str]],
    *,
    own: bool,
    share: Share = WHOLE,
) -> Parcel:
    """The reasoning of a turn for an upstream, under the names it `writes`, or as it came if
    it names none; its state too where the upstream's account is its `own`.

    `known` are the identities of details in the messages before; this message's are added.
    State of a split turn stands in the first of its messages alone.
    """
    parcel = Parcel()
    positions = _positions(place, record)
    for thought in record.thoughts:
        if not writes or thought.reasoning.carrier in (*writes, ANNEX):
            _pack(parcel, thought.reasoning, positions, own, known, share)
    has_state = parcel.head or parcel.chunks or parcel.details or parcel.elsewhere
    if record.reasoning is not None and not has_state and not (parcel.lost and not writes):
        parcel.fields = dict.fromkeys(writes or (record.field,), record.reasoning)
    return parcel


def _pack(
    parcel: Parcel,
    state: Reasoning,
    positions: Mapping[int, int],
    own: bool,
    known: set[tuple[str, str]],
    share: Share,
) -> None:
    match state.carrier:
        case carriers.DETAILS:
            _pack_details(parcel, value(state.opaque.encode()), own, known, share)
        case carriers.THINK:
            parcel.head = state.opaque
        case carriers.THINKING_CHUNK:
            parcel.chunks = value(state.opaque.encode())
        case carriers.ANNEX:
            at = positions.get(int(state.id))
            parcel.lost = parcel.lost or not own
            if at is not None and own:
                parcel.annexes[at] = state.opaque


def _pack_details(
    parcel: Parcel, items: list[Any], own: bool, known: set[tuple[str, str]], share: Share
) -> None:
    usable = items
    if not (own and share.is_first):
        usable = _plain(items)
    parcel.elsewhere = own and usable != items
    details = list(_fresh(usable, known))
    if details or not parcel.elsewhere:
        parcel.details = details
    parcel.lost = bool(items) and not (details or parcel.elsewhere)


def _fresh(items: Iterable[Any], known: set[tuple[str, str]]) -> Iterator[Any]:
    """The sendable items; one with an identity stands in a request once."""
    for item in filter(is_sendable, items):
        name = identity_of(item)
        if name is None or name not in known:
            yield item
        if name is not None:
            known.add(name)


def _positions(place: Place, record: Record) -> dict[int, int]:
    """The position in the message of each of the turn's calls, by its number; calls in doubt
    have none.
    """
    calls = place.message.calls
    told_apart = place.minted and len({call.id for call in calls}) == len(calls)
    if not told_apart and tuple(call.name for call in calls) == record.names:
        return {at: at for at in range(len(calls))}
    positions: dict[int, int] = {}
    for at, call in enumerate(calls):
        minted = place.minted.get(call.id)
        if minted is not None:
            positions.setdefault(minted.index, at)
    return positions


def written(place: Place, parcel: Parcel, record: Record | None, share: Share = WHOLE) -> Edit:
    """The edit that makes the message carry the parcel and no other reasoning."""
    visible = _visible_text(place, record, share)
    if place.message.parts:
        return Edit(parts=tuple(_parts(place.message, parcel, visible)))
    fields = dict(parcel.fields)
    members: dict[str, bytes] = {}
    if parcel.details is not None:
        members[DETAILS] = scalar_text(parcel.details)
    elif place.message.carried:
        members[DETAILS] = b""
    content = _content(parcel, fields, visible)
    if content is not None:
        members["content"] = scalar_text(content)
    return Edit(fields, members=members, annexes=_annexes(place.message, parcel.annexes))


def emptied(message: Message) -> Edit | None:
    """The edit that takes all reasoning out of the message; None for a message without any."""
    if not message.reasoning and not message.thinks:
        return None
    if message.parts:
        return Edit(parts=tuple(part for part in message.parts if not isinstance(part, Reasoning)))
    edit = Edit({}, annexes=_annexes(message, {}))
    if message.carried:
        edit.members = {DETAILS: b""}
    return edit


def unbound(message: Message) -> Edit | None:
    """The edit that takes the state out of the message that only its account may send, and
    leaves the words; None for a message without such state.
    """
    if message.parts:
        parts = tuple(part for one in message.parts for part in _words(one))
        if parts == message.parts:
            return None
        return Edit(parts=parts)
    plain = _plain(message.details)
    if len(plain) == len(message.details) and not message.annexes:
        return None
    edit = Edit(annexes=_annexes(message, {}), members={DETAILS: b""})
    if plain:
        edit.members = {DETAILS: scalar_text(plain)}
    return edit


def has_words(message: Message, edit: Edit) -> bool:
    """Whether reasoning is left in the message after the edit of `unbound`."""
    if edit.parts is not None:
        return any(isinstance(part, Reasoning) for part in edit.parts)
    return bool(edit.members.get(DETAILS)) or any(text for _, text in message.reasoning)


def _words(part: Part) -> Iterator[Part]:
    """The part without bound state, if anything is left of it."""
    if not isinstance(part, Reasoning) or not is_bound(part):
        yield part
    elif part.carrier == DETAILS and (plain := _plain(value(part.opaque.encode()))):
        yield replace(part, opaque=scalar_text(plain).decode())
    elif part.quoted:
        yield replace(part, opaque="", carrier="", id="")


def _plain(details: Iterable[Any]) -> list[Any]:
    """The items that any account may send."""
    return [item for item in details if not is_secret(dict_of(item))]


def _annexes(message: Message, annexes: dict[int, str]) -> dict[int, bytes]:
    """The annexes of all calls; an empty one removes the client's own."""
    if not annexes and not message.carried:
        return {}
    return {at: annexes.get(at, "").encode() for at in range(len(message.calls))}


def _visible_text(place: Place, record: Record | None, share: Share) -> str:
    """The upstream's own text, unless the client changed more of it than blanks, or has it in
    another message.
    """
    if record is None:
        return place.message.text
    if normal_text(record.text) == place.text:
        return record.text
    # Many clients drop the text of a turn with calls.
    if place.message.calls and not place.text and share.is_whole:
        return record.text
    return place.message.text


def _content(parcel: Parcel, fields: dict[str, str], visible: str) -> str | list[Any] | None:
    """The content with the reasoning in it; None for reasoning that stands elsewhere.

    It takes the fields that stand in the content out of `fields`.
    """
    thought, chunk = fields.pop(THINK, None), fields.pop(THINKING_CHUNK, "")
    chunks = list(parcel.chunks)
    if chunk and not chunks:
        chunks.append(thinking_chunk(chunk))
    if chunks:
        if visible:
            chunks.append({"type": "text", "text": visible})
        return chunks
    if parcel.head:
        return parcel.head + visible
    if thought is not None:
        return OPEN + thought + CLOSE + visible
    return None


def _parts(message: Message, parcel: Parcel, visible: str) -> Iterator[Part]:
    """The parts of a neutral message, its reasoning first: chat has it before the text."""
    fields = dict(parcel.fields)
    if parcel.details is not None:
        yield Reasoning("", "", scalar_text(parcel.details).decode(), DETAILS)
    content = _content(parcel, fields, "")
    if isinstance(content, str):
        yield Reasoning("", THINK, content, THINK)
    elif content is not None:
        yield Reasoning("", THINKING_CHUNK, scalar_text(content).decode(), THINKING_CHUNK)
    for field, text in fields.items():
        yield Reasoning(text, field)
    for at, annex in parcel.annexes.items():
        yield Reasoning("", "", annex, ANNEX, str(at))
    rest = [part for part in message.parts if not isinstance(part, Reasoning)]
    if content is None:
        yield from rest
        return
    if visible:
        yield Text(visible)
    yield from (part for part in rest if not isinstance(part, Text))


class Quoted(msgspec.Struct, frozen=True):
    """The edit that puts the words of a turn back; requests share it."""

    edit: Edit
    size: int
    """Bytes of the turn."""


def quoted(place: Place, record: Record, writes: tuple[str, ...]) -> Quoted | None:
    """How a message gets the words of its turn, which are all its reasoning, under the names that
    an upstream `writes`, or as they came; None where they stand in the content.
    """
    return place.message.fact(_quoted, record, writes, place.minted)


def _quoted(
    message: Message, record: Record, writes: tuple[str, ...], minted: Mapping[str, MintedId]
) -> Quoted | None:
    fields = dict.fromkeys(writes or (record.field,), record.reasoning or "")
    if message.carried or not IN_CONTENT.isdisjoint(fields):
        return None
    return Quoted(Edit(fields, ids=_own_ids(minted, record.ids)), record.size)


def map_ids(messages: Sequence[Message], places: Sequence[Place], edits: dict[int, Edit]) -> None:
    """Give the upstream its own tool-call ids back, in the calls and in their results."""
    own: dict[str, str] = {}
    unknown: list[Place] = []
    for place in lots_of(places):
        if not place.minted:
            continue
        edit = edits.get(place.at)
        if edit is not None and edit.ids:
            own |= edit.ids  # as `quoted` made it
        elif place.record is None:
            unknown.append(place)
        elif ids := _own_ids(place.minted, place.record.ids):
            own |= ids
            _name_own(place.at, ids, edits)
    for place in unknown:  # its turns may be known where they stand by themselves
        if ids := {call_id: own[call_id] for call_id in place.minted if call_id in own}:
            _name_own(place.at, ids, edits)
    for at, message in enumerate(lots_of(messages)):
        call_id = message.result_of
        if call_id in own and message.role != "assistant":
            edits[at] = message.fact(_answered, own[call_id])


def _answered(message: Message, own: str) -> Edit:
    """The edit that makes the message answer the call with the upstream's own id."""
    return Edit(ids={message.result_of: own})


def _own_ids(minted: Mapping[str, MintedId], ids: tuple[str, ...]) -> dict[str, str]:
    """The upstream's own ids of a turn, by the minted ones; none where they are ambiguous."""
    count = len(ids)
    if count > 1 and len(set(ids)) != count:
        return {}
    known = ((call_id, one.index) for call_id, one in minted.items())
    return {call_id: ids[index] for call_id, index in known if index < count and ids[index]}


def _name_own(at: int, ids: dict[str, str], edits: dict[int, Edit]) -> None:
    """Let the message have these ids, by its edit or by one that is made."""
    edits[at] = replace(edits[at], ids=ids) if at in edits else Edit(ids=ids)


def trimmed(messages: Sequence[Message], lost_at: int) -> tuple[int, dict[int, Edit]]:
    """Let the conversation begin at the user's first words after the lost turn, and keep the
    system's words: where it begins, and the edits.

    A lost turn without later words of the user stays: its calls and their results go together.
    """
    users = (at for at in range(lost_at, len(messages)) if messages[at].role == "user")
    start = next(users, 0)
    dropped = (at for at in range(start) if messages[at].role != "system")
    return start, {at: Edit(dropped=True) for at in dropped}
