"""Responses requests for Responses upstreams: what must change is spliced in, all else
keeps its bytes.

Members: https://platform.openai.com/docs/api-reference/responses/create.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.request import Request, refuse_duplicates, refused
from addon.formats.neutral.turn import Edit, Message, Part, Reasoning, edited, message_of
from addon.formats.responses.items import items_of
from addon.formats.responses.request import ENCRYPTED, Past, items_before, referred, request_of
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.tolerant.history import messages_and_sources
from addon.formats.tolerant.items import item_parts
from addon.formats.wire.lenient import objects, record, strings, text
from addon.formats.wire.splice import (
    MalformedJson,
    Members,
    array_text,
    changed,
    elements,
    members,
    object_text,
    replaced,
    scalar_text,
    utf8_text,
    value,
    with_members,
)

__all__ = ("PatchableRequest", "PatchedBody", "Target", "decode")

_FOREIGN_PARTS = frozenset(
    (
        "document",
        "image",
        "image_url",
        "redacted_thinking",
        "text",
        "thinking",
        "tool_result",
        "tool_use",
    )
)
"""Content parts of Chat Completions and Messages, which Responses upstreams refuse."""

_PICTURES = {"input_file": "file", "input_image": "image"}
"""Kinds of content parts that not every upstream takes, and what they are called."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The upstream that a request is for, and what that one must get."""

    model: str
    """Its own name of the model."""

    abilities: Abilities
    edits: Mapping[int, Edit] = {}
    """By the indexes of `PatchableRequest.request.messages`."""

    unusable: frozenset[str] = frozenset()
    """State that stays here: another account made it, or the upstream has refused it."""

    effort: str = ""
    """How hard to think, whatever the client says; empty: as it says."""

    override: Mapping[str, Any] = {}
    """Members that win over all others, like those that switch thinking off for once."""


class PatchedBody(msgspec.Struct, frozen=True):
    """A body for an upstream."""

    body: bytes
    notes: tuple[str, ...]
    """What the upstream does not get, in words."""


class _Item:
    """One item of the conversation: its text and its value."""

    def __init__(self, raw: bytes, found: Any) -> None:
        self.raw = raw
        self.value = found
        self.found = record(found)
        self.thought: Reasoning | None = None
        """What it says was thought, its copy opened; None: nothing that can be used, or
        another kind of item.
        """

        self.is_thought = self.found.get("type") == "reasoning"
        self.is_copy = self.is_thought and bool(text(self.found.get("encrypted_content")))


class PatchableRequest:
    """A Responses body, cut once, and the neutral request that it is."""

    def __init__(self, body: bytes, parts: Members, past: Past | None, unseal: Unseal) -> None:
        """Raises MalformedJson and RequestError; parameters as for `decode`."""
        self._body = body
        self._parts = parts
        found = {key: value(raw) for key, raw in parts if key != "input"}
        before = items_before(found, past)
        self._given = _given_items(dict(parts).get("input", b"[]"))
        """The texts of the items of the body's own input."""

        own = [_own_item(raw, past) for raw in self._given]
        self._items = [*(_Item(scalar_text(item), item) for item in before), *own]
        values = [item.value for item in self._items]
        messages, sources = messages_and_sources(values, joined=True, foreign="responses")
        request = request_of(
            found, messages, None if past is None else objects([item.value for item in own])
        )
        instructions: list[list[int]] = [[] for _ in request.messages[len(sources) :]]
        self._sources = instructions + sources
        """For each neutral message the positions of its items; the instructions have none."""

        opened = _opening(unseal)
        for item in self._items:
            item.thought = _thought(item, opened)
        messages = [_opened(message, opened) for message in request.messages]
        self.request: Request = replace(request, messages=messages)
        self.is_native = _is_native(found, values)
        """Whether it holds nothing in the shape of another format, which only translating
        makes readable.
        """

    def body(self, target: Target) -> PatchedBody:
        """The body for an upstream: the client's own bytes wherever nothing must change.
        Raises RequestError.
        """
        given, request = dict(self._parts), self.request
        encrypted = target.abilities.encrypted_reasoning
        changes = {
            "store": b"false",
            **_include(given.get("include", b"null"), encrypted=encrypted),
        }
        if target.model != request.model:
            changes["model"] = scalar_text(target.model)
        if request.previous_response_id:
            changes["previous_response_id"] = b""
        if target.effort:
            changes["reasoning"] = _with_effort(given.get("reasoning", b"null"), target.effort)
        notes: list[str] = []
        texts = self._input(target, notes)
        if texts != self._given:
            changes["input"] = array_text(texts)
        changes |= {name: scalar_text(wanted) for name, wanted in target.override.items()}
        parts = replaced(self._parts, changes)
        return PatchedBody(object_text(parts) if parts != self._parts else self._body, tuple(notes))

    def _input(self, target: Target, notes: list[str]) -> list[bytes]:
        """The texts of the items that the upstream gets."""
        ids = {ours: theirs for edit in target.edits.values() for ours, theirs in edit.ids.items()}
        texts = [_texts(item, ids, target.unusable) for item in self._items]
        ahead: list[list[bytes]] = [[] for _ in range(len(texts) + 1)]
        for index, edit in target.edits.items():
            if edit.dropped:
                for at in self._sources[index]:
                    texts[at] = []
            elif edit.parts is not None or edit.reasoning is not None:
                self._restore(index, edit, target.unusable, texts, ahead)
        if (target.abilities.images, target.abilities.files) != ("take", "take"):
            texts = [
                [_fitted(raw, at, target.abilities, notes) for raw in own]
                for at, own in enumerate(texts)
            ]
        return [raw for new, own in zip(ahead, [*texts, []], strict=True) for raw in (*new, *own)]

    def _restore(
        self,
        index: int,
        edit: Edit,
        unusable: frozenset[str],
        texts: list[list[bytes]],
        ahead: list[list[bytes]],
    ) -> None:
        """Put the reasoning that the edit wants `ahead` of the items of its turn, and take
        other reasoning out.

        A thought that the client sent stays where it stands.
        """
        positions = self._sources[index]
        if not positions:
            return
        wanted = edited(self.request.messages[index], edit).parts
        thoughts = [at for at in positions if self._items[at].is_thought]
        places = self._places(wanted, thoughts)
        owners = [at for at in positions for _ in range(_others(self._items[at]))]
        following = positions[-1] + 1
        for part, place in reversed(list(zip(wanted, places, strict=True))):
            if place is not None:
                following = place
            elif isinstance(part, Reasoning):
                ahead[following][:0] = _written(part, unusable)
            elif owners:
                following = owners.pop()
        # Results of tools that only Responses has don't part turns here: the other turn's
        # state must not be lost.
        keeps = any(isinstance(part, Reasoning) and part.opaque for part in wanted)
        for at in set(thoughts).difference(place for place in places if place is not None):
            thought = self._items[at].thought
            if not (keeps and thought and thought.opaque):
                texts[at] = []

    def _places(self, wanted: tuple[Part, ...], thoughts: list[int]) -> list[int | None]:
        """For each wanted part the position of the client's item that is the same thought."""
        free = list(thoughts)
        places: list[int | None] = []
        for part in wanted:
            place = next((at for at in free if _is_same(part, self._items[at].thought)), None)
            places.append(place)
            if place is not None:
                free.remove(place)
        return places


def decode(
    body: bytes, *, past: Past | None, unseal: Unseal, parts: Members | None = None
) -> PatchableRequest:
    """Read a Responses request; `parts` are its members when they have been cut and checked
    before.

    `past`: what the caller may go on from; None: nothing is stored. `unseal` opens the
    copies of reasoning that the client carries, each once and in their order. Raises
    RequestError.
    """
    try:
        if parts is None:
            utf8_text(body)
            refuse_duplicates(parts := members(body))
        return PatchableRequest(body, parts, past, unseal)
    except MalformedJson as error:
        raise refused("invalid_json", f"The request is refused: {error}.") from error


# -- reading ---------------------------------------------------------------------------------------


def _given_items(given: bytes) -> list[bytes]:
    """The texts of the items in an `input`; a text alone is what the user says."""
    if given.startswith(b'"'):
        return [b'{"role":"user","content":%b}' % given]
    if not given.startswith(b"["):
        raise refused(
            "invalid_input",
            "The request's 'input' is neither a text nor an array of items.",
            "input",
        )
    return elements(given)


def _own_item(raw: bytes, past: Past | None) -> _Item:
    """The item, or the one it refers to."""
    item = value(raw)
    found = referred(item, past) if isinstance(item, dict) else item
    return _Item(raw if found is item else scalar_text(found), found)


def _opening(unseal: Unseal) -> Unseal:
    """The same, but that each copy is opened once."""
    held: dict[str, Reasoning | None] = {}

    def opened(copy: Reasoning) -> Reasoning | None:
        if copy.opaque not in held:
            held[copy.opaque] = unseal(copy)
        return held[copy.opaque]

    return opened


def _thought(item: _Item, unseal: Unseal) -> Reasoning | None:
    parts = item_parts(item.found) if item.is_thought else []
    thought = parts[0] if parts and isinstance(parts[0], Reasoning) else None
    return unseal(thought) if thought and item.is_copy else thought


def _opened(message: Message, unseal: Unseal) -> Message:
    """The message with what its copies of reasoning hold."""
    if not any(isinstance(part, Reasoning) and part.opaque for part in message.parts):
        return message
    found = [
        unseal(part) if isinstance(part, Reasoning) and part.opaque else part
        for part in message.parts
    ]
    return message_of(message.role, [part for part in found if part is not None])


def _others(item: _Item) -> int:
    """How many parts but reasoning the item adds to its turn."""
    if item.is_thought:
        return 0
    messages, _ = messages_and_sources([item.value], joined=True, foreign="responses")
    return sum(not isinstance(part, Reasoning) for message in messages for part in message.parts)


def _is_native(found: dict[str, Any], items: list[Any]) -> bool:
    tools = [*objects(found.get("tools")), record(found.get("tool_choice"))]
    nested = any(name in tool for tool in tools for name in ("function", "custom", "input_schema"))
    return not nested and not any(_is_foreign(item) for item in objects(items))


def _is_foreign(item: dict[str, Any]) -> bool:
    """Whether it is a message of Chat Completions or of Messages."""
    if item.get("type", "message") != "message":
        return False
    shape = (
        item.get("role") in ("tool", "function") or "tool_calls" in item or "function_call" in item
    )
    thinks = any(field in item for field in REASONING_FIELDS)
    return (
        shape
        or thinks
        or any(part.get("type") in _FOREIGN_PARTS for part in objects(item.get("content")))
    )


# -- writing ---------------------------------------------------------------------------------------


def _include(given: bytes, *, encrypted: bool) -> dict[str, bytes]:
    """The change that makes an `include` member ask for encrypted reasoning, or not; empty
    when it does as wanted.
    """
    if (ENCRYPTED in strings(value(given))) == encrypted:
        return {}
    listed = elements(given) if given.startswith(b"[") else []
    if encrypted:
        return {"include": array_text([*listed, scalar_text(ENCRYPTED)])}
    return {"include": array_text([raw for raw in listed if value(raw) != ENCRYPTED])}


def _with_effort(given: bytes, effort: str) -> bytes:
    named = {"effort": scalar_text(effort)}
    return (
        with_members(given, named) if given.startswith(b"{") else object_text(list(named.items()))
    )


def _texts(item: _Item, ids: Mapping[str, str], unusable: frozenset[str]) -> list[bytes]:
    """The item as an upstream gets it: one text, or none for reasoning that can't be used."""
    found = item.found
    changes: dict[str, bytes] = {}
    if item.is_thought:
        thought = _usable(item.thought, unusable) if item.thought else None
        if thought is None or not (
            thought.text or _has_state(thought) or found.get("content") or found.get("summary")
        ):
            return []
        changes |= _reasoning_changes(found, thought)
    name = "call_id" if text(found.get("call_id")) else "id"
    if (call_id := text(found.get(name))) in ids:
        changes[name] = scalar_text(ids[call_id])
    return [with_members(item.raw, changes) if changes else item.raw]


def _usable(reasoning: Reasoning, unusable: frozenset[str]) -> Reasoning | None:
    """The reasoning without state that the upstream can't use; None when nothing is left of it."""
    if reasoning.opaque not in unusable:
        return reasoning
    return replace(reasoning, opaque="", carrier="", id="") if reasoning.quoted else None


def _has_state(reasoning: Reasoning) -> bool:
    """Whether it brings state of a Responses upstream."""
    return reasoning.carrier == "encrypted_content"


def _reasoning_changes(found: dict[str, Any], opened: Reasoning) -> dict[str, bytes]:
    """What makes the client's item the reasoning that its copy holds."""
    [told] = item_parts(found)
    assert isinstance(told, Reasoning)
    has_state = _has_state(opened)
    changes: dict[str, bytes] = {}
    if text(found.get("encrypted_content")):
        changes["encrypted_content"] = scalar_text(opened.opaque) if has_state else b""
    if has_state and "id" in found:
        changes["id"] = scalar_text(opened.id) if opened.id else b""
    if not has_state and not opened.quoted:
        changes["id"] = (
            # An upstream looks up by its id what has neither state nor text, and keeps nothing here
            b""
        )
    if opened.quoted and (told.text, told.quoted) != (opened.text, True):
        changes["content"] = scalar_text([{"type": "reasoning_text", "text": opened.text}])
        if told.text == opened.text:
            changes["summary"] = b"[]"  # it was shown there, to a client that reads no content
    return changes


def _written(reasoning: Part, unusable: frozenset[str]) -> Iterator[bytes]:
    """The item of reasoning that the client did not send; none for reasoning that says nothing."""
    assert isinstance(reasoning, Reasoning)
    usable = _usable(reasoning, unusable)
    if usable is not None:
        yield from map(scalar_text, items_of([message_of("assistant", [usable])]))


def _is_same(part: Part, thought: Reasoning | None) -> bool:
    """Whether the client's thought is this one: by its state, else word for word."""
    if thought is None or not isinstance(part, Reasoning):
        return False
    if part.opaque or thought.opaque:
        return part.opaque == thought.opaque
    return (part.text, part.quoted) == (thought.text, thought.quoted)


def _fitted(item: bytes, at: int, abilities: Abilities, notes: list[str]) -> bytes:
    """The item with remarks in the place of what the upstream does not take; notes say so.
    Raises RequestError.
    """
    found = record(value(item))
    for name in ("content", "output"):
        if any(part.get("type") in _PICTURES for part in objects(found.get(name))):
            fit = partial(_fitted_parts, at=at, abilities=abilities, notes=notes)
            item = changed(item, (name,), fit)
    return item


def _fitted_parts(parts: bytes, at: int, abilities: Abilities, notes: list[str]) -> bytes:
    return array_text([_fitted_part(part, at, abilities, notes) for part in elements(parts)])


def _fitted_part(part: bytes, at: int, abilities: Abilities, notes: list[str]) -> bytes:
    what = _PICTURES.get(text(record(value(part)).get("type")), "")
    taking = {"image": abilities.images, "file": abilities.files}.get(what, "take")
    if taking == "take":
        return part
    if taking == "refuse":
        message = (
            f"This model can't read the {what} in item {at}: remove it, or choose a model that can."
        )
        raise refused("unsupported_content", message, f"input[{at}]")
    notes.append(f"the {what} in item {at} was left out: the upstream takes none")
    return scalar_text(
        {"type": "input_text", "text": f"[{what} left out: this model can't read it]"}
    )
