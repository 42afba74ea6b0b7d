"""One block of a Messages body, changed where an upstream would refuse it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from addon.formats.messages.blocks import REGISTERED, valid_id
from addon.formats.neutral.adapt import Abilities, left_out
from addon.formats.neutral.turn import Edit
from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.splice import (
    array_elements,
    array_text,
    changed,
    members,
    scalar_text,
    value,
    with_members,
)

__all__ = (
    "ID_MEMBERS",
    "PICTURES",
    "Fitting",
    "Swap",
    "array_or_nothing",
    "as_blocks",
    "is_blank",
    "raw_blocks",
    "swapped",
    "without_blanks",
    "without_trailing_blanks",
)

ID_MEMBERS = {"tool_result": "tool_use_id", "tool_use": "id"}
"""Where a block names a tool call of the client's."""

PICTURES = {"document": "file", "image": "image"}
"""Blocks that some upstreams can't read, and what they are called."""


class Fitting(msgspec.Struct, kw_only=True):
    """Makes the messages of one request fit one upstream."""

    abilities: Abilities
    edits: Mapping[int, Edit]
    """By the indexes of the neutral messages."""

    unusable: frozenset[str]
    """State that stays here."""

    strict: bool
    """Whether the model is Claude, whose API refuses what others take."""

    notes: list[str] = []
    """What the upstream does not get, in words."""

    def block(self, raw: bytes, kind: str, owner: int) -> bytes:
        """A block of the neutral message `owner`, for the upstream. Raises RequestError."""
        if kind in ID_MEMBERS:
            raw = self._with_id(raw, ID_MEMBERS[kind], owner)
        if kind == "tool_result":
            return changed(raw, ("content",), lambda content: self._result(content, owner))
        return self._without_picture(raw, kind, owner)

    def drops(self, owner: int) -> bool:
        """Whether the neutral message must not go out."""
        edit = self.edits.get(owner)
        return edit is not None and edit.dropped

    def own_id(self, call_id: str, owner: int) -> str:
        """The upstream's id for a call that the neutral message `owner` names."""
        edit = self.edits.get(owner)
        if edit is not None:
            call_id = edit.ids.get(call_id, call_id)
        if self.strict:
            call_id = valid_id(call_id)
        return call_id

    def _with_id(self, raw: bytes, member: str, owner: int) -> bytes:
        given = as_str(value(dict(members(raw)).get(member, b"null")))
        wanted = self.own_id(given, owner)
        if wanted == given:
            return raw
        return with_members(raw, {member: scalar_text(wanted)})

    def _result(self, content: bytes, owner: int) -> bytes:
        """The content of a tool's result."""
        given = kept = array_elements(content)
        if self.strict:
            kept = [raw for raw in kept if not is_blank(as_dict(value(raw)))]
        kept = [self._without_picture(raw, _kind(raw), owner) for raw in kept]
        if kept == given:
            return content
        return array_text(kept)

    def _without_picture(self, raw: bytes, kind: str, owner: int) -> bytes:
        """The block, or a remark where the upstream can't read it."""
        taking = {"document": self.abilities.files, "image": self.abilities.images}.get(
            kind, "take"
        )
        if taking == "take" or (kind == "document" and _is_text(raw)):
            return self._labelled(raw, kind)
        place, param = f"message {owner}", f"messages[{owner}]"
        remark, note = left_out(PICTURES[kind], taking, place=place, param=param)
        self.notes.append(note)
        mark = dict(members(raw)).get("cache_control", b"")
        return with_members(scalar_text({"type": "text", "text": remark}), {"cache_control": mark})

    def _labelled(self, raw: bytes, kind: str) -> bytes:
        """The block; Claude knows JPEG pictures under their registered name alone."""
        if not self.strict or kind != "image":
            return raw
        return changed(raw, ("source", "media_type"), _registered)


type Swap = tuple[str, str, str]
"""A member of a block, the string that it is, and the one that it is to be."""


def swapped(raw: bytes, swaps: Iterable[Swap]) -> bytes | None:
    """The message with the strings swapped in place; None where that takes a closer look."""
    for member, old, new in swaps:
        text = scalar_text(old)
        head, _, tail = raw.partition(text)
        # Within a string its quotes would be escaped: it is a value, and this member's
        # unless there are several.
        if text in tail or not head.endswith(
            (b'"%b":' % member.encode(), b'"%b": ' % member.encode())
        ):
            return None
        raw = head + scalar_text(new) + tail
    return raw


def raw_blocks(message: bytes) -> list[bytes]:
    """The texts of a message's blocks."""
    return as_blocks(dict(members(message))["content"])


def as_blocks(content: bytes) -> list[bytes]:
    """The texts of a content's blocks; a string is one block of text, and an object is one
    block.
    """
    if content.startswith(b'"'):
        return [b'{"type":"text","text":' + content + b"}"]
    if content.startswith(b"{"):
        return [content]
    return array_elements(content)


def array_or_nothing(parts: list[bytes]) -> bytes:
    """The array with these elements; no text at all for none."""
    if not parts:
        return b""
    return array_text(parts)


def without_blanks(content: bytes) -> bytes:
    """A content without its texts of blanks only; empty when nothing is left."""
    given = as_blocks(content)
    kept = [raw for raw in given if not is_blank(as_dict(value(raw)))]
    if kept == given:
        return content
    return array_or_nothing(kept)


def without_trailing_blanks(message: bytes) -> bytes:
    """The message without blanks at its end: Anthropic refuses a beginning of its answer that ends
    with some.
    """
    *before, last = as_blocks(dict(members(message))["content"]) or [b"{}"]
    said = as_str(as_dict(value(last)).get("text"))
    if _kind(last) != "text" or said == said.rstrip():
        return message
    text = with_members(last, {"text": scalar_text(said.rstrip())})
    return with_members(message, {"content": array_text([*before, text])})


def is_blank(block: dict[str, Any]) -> bool:
    """Whether a block is a text of blanks only, which Anthropic refuses
    (github.com/anthropics/claude-code/issues/23440).
    """
    return block.get("type") == "text" and not as_str(block.get("text")).strip()


def _registered(media_type: bytes) -> bytes:
    registered = REGISTERED.get(as_str(value(media_type)))
    if registered is None:
        return media_type
    return scalar_text(registered)


def _kind(raw: bytes) -> str:
    return as_str(as_dict(value(raw)).get("type"))


def _is_text(document: bytes) -> bool:
    """Whether a document is text, which every upstream can read."""
    source = as_dict(as_dict(value(document)).get("source"))
    return source.get("type") in ("text", "content")
