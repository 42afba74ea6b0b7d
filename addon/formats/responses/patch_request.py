"""Responses requests for Responses upstreams: changes are spliced in, all else keeps its bytes.

Members: https://platform.openai.com/docs/api-reference/responses/create.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from addon.formats.neutral.adapt import Abilities, PatchedBody, Target, left_out
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.request import Request, refuse_duplicates, refused
from addon.formats.neutral.turn import Edit, Part, Reasoning, edited, message_of, opened_message
from addon.formats.responses.items import items_of
from addon.formats.responses.request import (
    ENCRYPTED,
    LEAST_LIMIT,
    Past,
    items_before,
    referred,
    request_of,
)
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.tolerant.history import messages_and_sources
from addon.formats.tolerant.items import item_parts
from addon.formats.tolerant.malformed import refuse_malformed, refuse_malformed_one
from addon.formats.wire.lenient import as_dict, as_str, dicts_in, strings_in
from addon.formats.wire.pace import between_breaths, breathe
from addon.formats.wire.pieces import Cut, Piece
from addon.formats.wire.splice import (
    MalformedJson,
    Members,
    Stretch,
    array_elements,
    array_pieces,
    array_text,
    changed,
    elements,
    members,
    object_in_pieces,
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

_FOREIGN_MEMBERS = frozenset(("function_call", "tool_calls", *REASONING_FIELDS))
"""Members of Chat Completions' messages alone."""

_PICTURES = {"input_file": "file", "input_image": "image"}
"""Kinds of content parts that not every upstream takes, and what a remark calls them."""


class _Item:
    """One item of the conversation: its text and its value."""

    def __init__(self, piece: Piece, decoded: Any) -> None:
        self.piece = piece
        self.raw = piece.raw
        self.value = decoded
        self.found = as_dict(decoded)
        self.thought: Reasoning | None = None
        """Its reasoning, a sealed copy opened; None: nothing usable, or another kind of item."""

        self.is_thought = self.found.get("type") == "reasoning"
        self.is_copy = self.is_thought and bool(as_str(self.found.get("encrypted_content")))


class PatchableRequest:
    """A Responses body, cut once, with its neutral request."""

    def __init__(
        self, body: bytes, parts: Members, past: Past | None, unseal: Unseal, cut: Cut | None
    ) -> None:
        """Raises MalformedJson and RequestError; parameters as for `decode`."""
        self._body = body
        self._parts = parts
        """The members; the input stands in `_given`, and its text is the span."""

        self._span: Stretch = dict(parts).get("input", b"")
        if cut is not None and cut.name == "input":
            self._span = cut.span
        found = {key: value(raw) for key, raw in parts if key != "input"}
        before = items_before(found, past)
        pieces = _given_items(parts, cut)
        self._given = [piece.raw for piece in pieces]
        """The texts of the items of the body's own input."""

        given = [piece.fact(value) for piece in pieces]
        if not all(piece.fact(_is_well_formed) for piece in pieces):
            refuse_malformed(given, "input")
        own = [_own_item(piece, item, past) for piece, item in zip(pieces, given, strict=True)]
        self._items = [*(_Item(Piece(scalar_text(item)), item) for item in before), *own]
        values = [item.value for item in self._items]
        messages, sources = messages_and_sources(values, joined=True, foreign="responses")
        own_items = None
        if past is not None:
            own_items = dicts_in([item.value for item in own])
        request = request_of(found, values, messages, own_items)
        instructions: list[list[int]] = [[] for _ in request.messages[len(sources) :]]
        self._sources = instructions + sources
        """For each neutral message the positions of its items; the instructions have none."""

        unseal_once = _opening(unseal)
        for item in self._items:
            item.thought = _thought(item, unseal_once)
        messages = [opened_message(message, unseal_once) for message in request.messages]
        self.request: Request = replace(request, messages=messages)
        self.is_native = _is_native(found, values)
        """Whether nothing in it has the shape of another format, which has to be translated."""

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
        changes |= _tools(given.get("tools", b""), target.abilities)
        limit = request.max_tokens
        if limit is not None and 0 < limit < LEAST_LIMIT:
            changes["max_output_tokens"] = scalar_text(LEAST_LIMIT)
        if target.effort:
            changes["reasoning"] = _with_effort(given.get("reasoning", b"null"), target.effort)
        notes: list[str] = []
        texts = self._input(target, notes)
        changes |= {name: scalar_text(wanted) for name, wanted in target.override.items()}
        span: list[Stretch] = [self._span]
        if texts != self._given:
            span = array_pieces(texts)
            if "input" not in given:
                changes["input"] = b"[]"
        parts = replaced(self._parts, changes)
        body = self._body
        if parts != self._parts or texts != self._given:
            body = object_in_pieces(parts, "input", span)
        return PatchedBody(body, tuple(notes))

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
        """Put the edit's reasoning `ahead` of the items of its turn, and take other reasoning
        out; the client's own copy of it stays in its place.
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
        # What a client decides of the provider's tools doesn't part turns here: the other
        # turn's state must not be lost.
        has_state = any(isinstance(part, Reasoning) and part.opaque for part in wanted)
        for at in set(thoughts).difference(places):
            thought = self._items[at].thought
            if not (has_state and thought and thought.opaque):
                texts[at] = []

    def _places(self, wanted: tuple[Part, ...], thoughts: list[int]) -> list[int | None]:
        """For each wanted part the position of the client's item with the same thought."""
        free = list(thoughts)
        places: list[int | None] = []
        for part in wanted:
            place = next((at for at in free if _is_same(part, self._items[at].thought)), None)
            places.append(place)
            if place is not None:
                free.remove(place)
        return places


def decode(
    body: bytes,
    *,
    past: Past | None,
    unseal: Unseal,
    parts: Members | None = None,
    cut: Cut | None = None,
) -> PatchableRequest:
    """Read a Responses request; `parts` are its members, if intake has cut and checked them, and
    `cut` is the body in pieces.

    `past`: the caller's stored answers; None: nothing is stored. `unseal` opens the client's
    copies of reasoning, each once and in their order. Raises RequestError.
    """
    try:
        if parts is None:
            utf8_text(body)
            refuse_duplicates(parts := members(body))
        return PatchableRequest(body, parts, past, unseal, cut)
    except MalformedJson as error:
        raise refused("invalid_json", f"The request is refused: {error}.") from error


# -- reading ---------------------------------------------------------------------------------------


def _given_items(parts: Members, cut: Cut | None) -> list[Piece]:
    """The items in an `input`; a text alone is the user's message."""
    if cut is not None and cut.name == "input":
        return cut.pieces
    given = dict(parts).get("input", b"[]")
    if given.startswith(b'"'):
        return [Piece(b'{"role":"user","content":%b}' % given)]
    if not given.startswith(b"["):
        raise refused(
            "invalid_input",
            "The request's 'input' is neither a text nor an array of items.",
            "input",
        )
    return [Piece(raw) for raw in between_breaths(elements(given))]


def _is_well_formed(item: bytes) -> bool:
    try:
        refuse_malformed_one(value(item), "")
    except RequestError:
        return False
    return True


def _own_item(piece: Piece, item: dict[str, Any], past: Past | None) -> _Item:
    """The item, or the stored one that it refers to."""
    breathe()
    stored = referred(item, past)
    if stored is item:
        return _Item(piece, item)
    return _Item(Piece(scalar_text(stored)), stored)


def _opening(unseal: Unseal) -> Unseal:
    """An `unseal` that opens each copy once."""
    opened: dict[str, Reasoning | None] = {}

    def unseal_once(copy: Reasoning) -> Reasoning | None:
        if copy.opaque not in opened:
            opened[copy.opaque] = unseal(copy)
        return opened[copy.opaque]

    return unseal_once


def _thought(item: _Item, unseal: Unseal) -> Reasoning | None:
    """The reasoning of the item, a sealed copy opened; None for another kind of item."""
    if not item.is_thought:
        return None
    [thought] = item_parts(item.found)
    assert isinstance(thought, Reasoning)
    if item.is_copy:
        return unseal(thought)
    return thought


def _others(item: _Item) -> int:
    """The number of parts, without reasoning, that the item adds to its turn."""
    if item.is_thought:
        return 0
    return item.piece.fact(_parts_in)


def _parts_in(item: bytes) -> int:
    messages, _ = messages_and_sources([value(item)], joined=True, foreign="responses")
    return sum(not isinstance(part, Reasoning) for message in messages for part in message.parts)


def _is_native(found: dict[str, Any], items: list[Any]) -> bool:
    tools = [*dicts_in(found.get("tools")), as_dict(found.get("tool_choice"))]
    nested = any(name in tool for tool in tools for name in ("function", "custom", "input_schema"))
    return not nested and not any(_is_foreign(item) for item in dicts_in(items))


def _is_foreign(item: dict[str, Any]) -> bool:
    """Whether it is a message of Chat Completions or of Messages."""
    if item.get("type", "message") != "message":
        return False
    if item.get("role") in ("tool", "function") or not _FOREIGN_MEMBERS.isdisjoint(item):
        return True
    return any(as_str(part.get("type")) in _FOREIGN_PARTS for part in dicts_in(item.get("content")))


# -- writing ---------------------------------------------------------------------------------------


def _tools(given: bytes, abilities: Abilities) -> dict[str, bytes]:
    """The tools, each name once, with schemas that the upstream takes; `{}` if they are so."""
    raws = array_elements(given)
    names: set[str] = set()
    kept: list[bytes] = []
    for raw in raws:
        name = as_str(as_dict(value(raw)).get("name"))
        if not name or name not in names:
            kept.append(changed(raw, ("parameters",), partial(_schema, abilities=abilities)))
        names.add(name)
    if kept == raws:
        return {}
    return {"tools": array_text(kept)}


def _schema(given: bytes, abilities: Abilities) -> bytes:
    found = value(given)
    if not isinstance(found, dict) or (wanted := abilities.schema(found)) == found:
        return given
    return scalar_text(wanted)


def _include(given: bytes, *, encrypted: bool) -> dict[str, bytes]:
    """The change to `include`, so that it asks for encrypted reasoning, or does not; `{}` if
    it does so already.
    """
    if (ENCRYPTED in strings_in(value(given))) == encrypted:
        return {}
    listed = array_elements(given)
    if encrypted:
        return {"include": array_text([*listed, scalar_text(ENCRYPTED)])}
    return {"include": array_text([raw for raw in listed if value(raw) != ENCRYPTED])}


def _with_effort(given: bytes, effort: str) -> bytes:
    member = scalar_text(effort)
    if not given.startswith(b"{"):
        return object_text([("effort", member)])
    return with_members(given, {"effort": member})


def _texts(item: _Item, ids: Mapping[str, str], unusable: frozenset[str]) -> list[bytes]:
    """The item for an upstream: one text, or none for unusable reasoning."""
    breathe()
    changes: dict[str, bytes] = {}
    if item.is_thought:
        thought = item.thought and _usable(item.thought, unusable)
        if thought is None or _is_empty(item, thought):
            return []
        changes |= _reasoning_changes(item.found, thought)
    name = "id"
    if as_str(item.found.get("call_id")):
        name = "call_id"
    call_id = as_str(item.found.get(name))
    if call_id in ids:
        changes[name] = scalar_text(ids[call_id])
    if not changes:
        return [item.raw]
    return [item.piece.patched(changes, partial(with_members, item.raw, changes))]


def _is_empty(item: _Item, thought: Reasoning) -> bool:
    """Whether nothing of the item's reasoning is left for the upstream."""
    if thought.text or _has_state(thought):
        return False
    return not item.found.get("content") and not item.found.get("summary")


def _usable(reasoning: Reasoning, unusable: frozenset[str]) -> Reasoning | None:
    """The reasoning without unusable state; None if nothing is left of it."""
    if reasoning.opaque not in unusable:
        return reasoning
    if not reasoning.quoted:
        return None
    return replace(reasoning, opaque="", carrier="", id="")


def _has_state(reasoning: Reasoning) -> bool:
    """Whether it has state of a Responses upstream."""
    return reasoning.carrier == "encrypted_content"


def _reasoning_changes(found: dict[str, Any], opened: Reasoning) -> dict[str, bytes]:
    """The changes that turn the client's item into the reasoning of its copy."""
    [shown] = item_parts(found)
    assert isinstance(shown, Reasoning)
    changes: dict[str, bytes] = {}
    has_state = _has_state(opened)
    if as_str(found.get("encrypted_content")):
        changes["encrypted_content"] = b""
        if has_state:
            changes["encrypted_content"] = scalar_text(opened.opaque)
    if has_state and "id" in found:
        changes["id"] = _json_or_none(opened.id)
    if not has_state and not opened.quoted:
        # An upstream looks up by its id an item without state and text, and stores nothing here.
        changes["id"] = b""
    if opened.quoted and (shown.text, shown.quoted) != (opened.text, True):
        changes["content"] = scalar_text([{"type": "reasoning_text", "text": opened.text}])
        if shown.text == opened.text:
            # The text was shown in the summary, to a client that reads no content.
            changes["summary"] = b"[]"
    return changes


def _json_or_none(member: str) -> bytes:
    """The JSON text of a member; no text for an empty one, so that it is left out."""
    if not member:
        return b""
    return scalar_text(member)


def _written(reasoning: Reasoning, unusable: frozenset[str]) -> Iterator[bytes]:
    """The item of reasoning that the client did not send; none for empty reasoning."""
    usable = _usable(reasoning, unusable)
    if usable is not None:
        yield from map(scalar_text, items_of([message_of("assistant", [usable])]))


def _is_same(part: Part, thought: Reasoning | None) -> bool:
    """Whether the client's thought is this one, by its state or else by its text."""
    if thought is None or not isinstance(part, Reasoning):
        return False
    if part.opaque or thought.opaque:
        return part.opaque == thought.opaque
    return (part.text, part.quoted) == (thought.text, thought.quoted)


def _fitted(item: bytes, at: int, abilities: Abilities, notes: list[str]) -> bytes:
    """The item with noted remarks in the place of parts that the upstream does not take. Raises
    RequestError.
    """
    breathe()
    found = as_dict(value(item))
    for name in ("content", "output"):
        if any(as_str(part.get("type")) in _PICTURES for part in dicts_in(found.get(name))):
            fit = partial(_fitted_parts, at=at, abilities=abilities, notes=notes)
            item = changed(item, (name,), fit)
    return item


def _fitted_parts(parts: bytes, at: int, abilities: Abilities, notes: list[str]) -> bytes:
    return array_text([_fitted_part(part, at, abilities, notes) for part in elements(parts)])


def _fitted_part(part: bytes, at: int, abilities: Abilities, notes: list[str]) -> bytes:
    what = _PICTURES.get(as_str(as_dict(value(part)).get("type")), "")
    taking = {"image": abilities.images, "file": abilities.files}.get(what, "take")
    if taking == "take":
        return part
    remark, note = left_out(what, taking, place=f"item {at}", param=f"input[{at}]")
    notes.append(note)
    return scalar_text({"type": "input_text", "text": remark})
