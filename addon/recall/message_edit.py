"""What one replayed message carries of its turn's reasoning, and how that is written into
it; pure.

Neutral messages take it as parts. Chat messages that stay text take it as members: the
reasoning of one turn may stand in strings of its own, in `reasoning_details`, in the
content, or beside the calls.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from addon.formats.chat import carriers
from addon.formats.chat.carriers import ANNEX, DETAILS, THINK, THINKING_CHUNK
from addon.formats.chat.details import identity_of, is_secret, is_sendable
from addon.formats.chat.tags import CLOSE, OPEN
from addon.formats.neutral.turn import Edit, Message, Part, Reasoning, Text
from addon.formats.tolerant.content import thinking_chunk
from addon.formats.wire.lenient import record as dict_of
from addon.formats.wire.splice import scalar_text, value
from addon.recall.identity import normal_text
from addon.recall.memory import Record
from addon.recall.turn_keys import Place

__all__ = ("Parcel", "emptied", "packed", "written")


class Parcel(msgspec.Struct, kw_only=True):
    """The reasoning of one message."""

    fields: dict[str, str] = {}
    """Plain strings by name; `<think>` and `content[].thinking` stand in the content."""

    details: list[Any] | None = None
    head: str = ""
    """What stands before the visible text, tags included."""

    chunks: list[Any] = []
    annexes: dict[int, str] = {}
    """JSON of `extra_content` by the call's position in the message."""

    lost: bool = False
    """Whether state was left out that only another account may send."""


def packed(
    place: Place, record: Record, writes: tuple[str, ...], origin: str, known: set[tuple[str, str]]
) -> Parcel:
    """What an upstream's account gets back of a turn: under the names it `writes`, or as it
    came where it names none.

    `known` are the identities of details in the messages before; those sent here are added.
    """
    parcel = Parcel()
    own = record.origin == origin
    positions = _positions(place, record)
    for thought in record.thoughts:
        if not writes or thought.reasoning.carrier in (*writes, ANNEX):
            _pack(parcel, thought.reasoning, positions, own, known)
    as_it_came = parcel.head or parcel.chunks or parcel.details
    if record.reasoning is not None and not as_it_came and not (parcel.lost and not writes):
        parcel.fields = dict.fromkeys(writes or (record.field,), record.reasoning)
    return parcel


def _pack(
    parcel: Parcel,
    state: Reasoning,
    positions: Mapping[int, int],
    own: bool,
    known: set[tuple[str, str]],
) -> None:
    match state.carrier:
        case carriers.DETAILS:
            given = value(state.opaque.encode())
            parcel.details = list(
                _fresh([item for item in given if own or not is_secret(dict_of(item))], known)
            )
            parcel.lost = bool(given) and not parcel.details
        case carriers.THINK:
            parcel.head = state.opaque
        case carriers.THINKING_CHUNK:
            parcel.chunks = value(state.opaque.encode())
        case carriers.ANNEX:
            at = positions.get(int(state.id))
            parcel.lost = parcel.lost or not own
            if at is not None and own:
                parcel.annexes[at] = state.opaque


def _fresh(items: Iterable[Any], known: set[tuple[str, str]]) -> Iterator[Any]:
    """The items that may be sent; one that has an id stands in a request once."""
    for item in filter(is_sendable, items):
        name = identity_of(item)
        if name is None or name not in known:
            yield item
        if name is not None:
            known.add(name)


def _positions(place: Place, record: Record) -> dict[int, int]:
    """Where each of the turn's calls, by its number, stands in the message; not those that
    are in doubt.
    """
    calls = place.message.calls
    if not place.minted:
        return (
            {at: at for at in range(len(calls))}
            if tuple(call.name for call in calls) == record.names
            else {}
        )
    found: dict[int, int] = {}
    for at, call in enumerate(calls):
        if ours := place.minted.get(call.id):
            found.setdefault(ours.index, at)
    return found


def written(place: Place, parcel: Parcel, record: Record | None) -> Edit:
    """The edit that makes the message carry the parcel and nothing else."""
    said = _said(place, record)
    if place.message.parts:
        return Edit(parts=tuple(_parts(place.message, parcel, said)))
    fields = dict(parcel.fields)
    members: dict[str, bytes] = {}
    if parcel.details is not None or place.message.carried:
        members[DETAILS] = b"" if parcel.details is None else scalar_text(parcel.details)
    if (content := _content(parcel, fields, said)) is not None:
        members["content"] = scalar_text(content)
    return Edit(fields, members=members, annexes=_annexes(place.message, parcel.annexes))


def emptied(message: Message) -> Edit | None:
    """The edit that takes all reasoning out of the message; None when it has none."""
    if not message.reasoning and not message.thinks:
        return None
    if message.parts:
        return Edit(parts=tuple(part for part in message.parts if not isinstance(part, Reasoning)))
    members = {DETAILS: b""} if message.carried else {}
    return Edit({}, members=members, annexes=_annexes(message, {}))


def _annexes(message: Message, annexes: dict[int, str]) -> dict[str, bytes]:
    """By the ids of the calls; those that the client has sent itself are taken out."""
    if not annexes and not message.carried:
        return {}
    return {call.id: annexes.get(at, "").encode() for at, call in enumerate(message.calls)}


def _said(place: Place, record: Record | None) -> str:
    """The visible text as the upstream wrote it, where the client only changed its blanks
    or dropped it with calls.
    """
    if record is None or (
        normal_text(record.text) != place.text and (place.text or not place.message.calls)
    ):
        return place.message.text
    return record.text


def _content(parcel: Parcel, fields: dict[str, str], said: str) -> str | list[Any] | None:
    """The content that holds the reasoning; None when none stands in it."""
    thought, chunk = fields.pop(THINK, None), fields.pop(THINKING_CHUNK, "")
    head = parcel.head or ("" if thought is None else OPEN + thought + CLOSE)
    chunks = parcel.chunks or ([thinking_chunk(chunk)] if chunk else [])
    if chunks:
        return [*chunks, *([{"type": "text", "text": said}] if said else [])]
    return head + said if head else None


def _parts(message: Message, parcel: Parcel, said: str) -> Iterator[Part]:
    """The parts of a neutral message, reasoning first, as its text goes with what stands
    before it.
    """
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
    if said:
        yield Text(said)
    yield from (part for part in rest if not isinstance(part, Text))
