"""One message of a Messages body: its text, what it says, and that text changed where
something has to change.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from addon.formats.messages.blocks import valid_id
from addon.formats.messages.patch_blocks import (
    ID_MEMBERS,
    PICTURES,
    Fitting,
    Swap,
    is_blank,
    raw_blocks,
    swapped,
)
from addon.formats.messages.patch_thoughts import Thought, state_swaps, with_thoughts
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.turn import Message, Part, Reasoning, message_of
from addon.formats.tolerant.history import messages_of
from addon.formats.tolerant.malformed import refuse_malformed_one
from addon.formats.tolerant.parts import parts_of
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.pieces import Piece
from addon.formats.wire.splice import array_text, value, with_members
from addon.formats.wire.surrogates import without_lone_surrogates

__all__ = ("KnownMessage", "RawMessage", "known_message", "read_message")

_FORMAT = "messages"
_THOUGHTS = ("thinking", "redacted_thinking")
_OTHERS_MEMBERS = frozenset(
    ("function_call", "reasoning", "reasoning_content", "reasoning_text", "refusal", "tool_calls"),
)
_OTHERS_BLOCKS = frozenset(
    ("file", "image_url", "input_file", "input_image", "input_text", "output_text", "refusal"),
)
"""What messages and blocks have in other formats only: a body with these has to be translated."""


class _Block(msgspec.Struct, frozen=True):
    kind: str
    owner: int
    """The neutral message that it belongs to, of those that its message is."""

    blank: bool
    """It is a text of blanks only."""

    call_id: str = ""
    """The tool call that it is, or answers."""

    came: Reasoning | None = None
    """The reasoning of an assistant's block, as it came."""

    parts: tuple[Part, ...] = ()
    """What an assistant's block says; of one that can't be used nothing, once copies of reasoning
    are opened.
    """


class KnownMessage(msgspec.Struct, frozen=True):
    """What is known of a message by its text."""

    role: str
    messages: tuple[Message, ...]
    """The neutral ones that it is: the results of tools are messages of their own."""

    blocks: tuple[_Block, ...]
    """Those of an array; a string is one block of text."""

    odd: bool
    """Whether it holds anything that may have to change without an edit."""

    thinks: bool
    """Whether it holds reasoning."""

    sealed: bool
    """Whether that includes copies, which have yet to be opened."""


class RawMessage(msgspec.Struct):
    """A message as its text, and where it stands among the neutral ones."""

    piece: Piece
    role: str
    first: int
    """Index of the first neutral message that it is."""

    messages: tuple[Message, ...]
    blocks: tuple[_Block, ...]
    odd: bool
    thinks: bool
    """As in `KnownMessage`; copies of reasoning are opened."""

    @property
    def raw(self) -> bytes:
        return self.piece.raw

    def fitted(self, fitting: Fitting) -> bytes | None:
        """Its text for the upstream, which refuses lone surrogates; None when it must not go out.
        Raises RequestError.
        """
        indices = range(self.first, self.first + len(self.messages))
        if not (self.odd or self.thinks) and fitting.edits.keys().isdisjoint(indices):
            return self.piece.fact(without_lone_surrogates)
        if self.odd or fitting.unusable:
            return self._patched(fitting)
        edits = [fitting.edits.get(at) for at in indices]
        opened = self.thinks and self.messages
        how = (edits, opened, fitting.strict, fitting.abilities)
        return self.piece.patched(how, partial(self._patched, fitting))

    def _patched(self, fitting: Fitting) -> bytes | None:
        raw = self._changed(fitting)
        if raw is None:
            return None
        return without_lone_surrogates(raw)

    def _changed(self, fitting: Fitting) -> bytes | None:
        breathe()
        if not self.odd and (swaps := self._swaps(fitting)) is not None:
            raw = swapped(self.raw, swaps)
            if raw is not None:
                return raw
        given = raw_blocks(self.raw)
        kept = list(self._texts(given, fitting))
        if kept == given:
            return self.raw
        if not kept:
            return None
        return with_members(self.raw, {"content": array_text(kept)})

    def _swaps(self, fitting: Fitting) -> list[Swap] | None:
        """The strings in which the message changes, as nearly all do that change; None: it
        changes otherwise.
        """
        if any(fitting.drops(self.first + block.owner) for block in self.blocks):
            return None
        pairs = [
            (block, fitting.own_id(block.call_id, self.first + block.owner))
            for block in self.blocks
        ]
        swaps = [
            (ID_MEMBERS[block.kind], block.call_id, own)
            for block, own in pairs
            if own != block.call_id
        ]
        if self.role != "assistant":
            return swaps
        edit = fitting.edits.get(self.first)
        read = [_thought(block, b"") for block in self.blocks]
        states = state_swaps(self.messages[0].parts, edit, read, fitting)
        if states is None:
            return None
        return [*swaps, *states]

    def _texts(self, given: list[bytes], fitting: Fitting) -> Iterator[bytes]:
        edit = fitting.edits.get(self.first)
        pairs = list(zip(self.blocks, given, strict=True))
        if self.role != "assistant":
            yield from self._others(pairs, fitting)
        elif not fitting.drops(self.first):
            read = [_thought(block, raw) for block, raw in pairs]
            for at, raw in with_thoughts(self.messages[0].parts, edit, read, fitting):
                if at is None:
                    yield raw
                else:
                    yield from self._others([(self.blocks[at], raw)], fitting)

    def _others(self, pairs: list[tuple[_Block, bytes]], fitting: Fitting) -> Iterator[bytes]:
        """The blocks that are no reasoning."""
        if fitting.strict and self.role == "user":
            # Results come first:
            # https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls
            pairs = sorted(pairs, key=lambda pair: pair[0].kind != "tool_result")
        for block, raw in pairs:
            owner = self.first + block.owner
            if not (block.blank and fitting.strict) and not fitting.drops(owner):
                yield fitting.block(raw, block.kind, owner)


def _thought(block: _Block, raw: bytes) -> Thought:
    held = [part for part in block.parts if isinstance(part, Reasoning)]
    return Thought(raw, block.came, next(iter(held), None), len(block.parts) - len(held))


# -- reading ---------------------------------------------------------------------------------------


def known_message(raw: bytes) -> KnownMessage | Problem | None:
    """What is known of a message; None for one that is written in another format, or what is
    wrong with it. Raises MalformedJson.
    """
    try:
        item = value(raw)
        refuse_malformed_one(item, "")
        return _known(item)
    except RequestError as error:
        return error.problem


def _known(item: dict[str, Any]) -> KnownMessage | None:
    if not _is_own(item):
        return None
    content = item["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if item["role"] == "assistant":
        blocks = [_turn_block(block) for block in content]
        messages = [message_of("assistant", [part for block in blocks for part in block.parts])]
    else:
        messages = messages_of([item], joined=False, foreign=_FORMAT)
        blocks = list(_owned(content))
    came = [block.came for block in blocks if block.came is not None]
    return KnownMessage(
        role=item["role"],
        messages=tuple(messages),
        blocks=tuple(blocks),
        odd=any(map(_is_odd, content)) or _has_late_results(blocks),
        thinks=bool(came),
        sealed=any(one.opaque for one in came),
    )


def read_message(piece: Piece, known: KnownMessage, first: int, unseal: Unseal) -> RawMessage:
    """The message that begins with the neutral one of this index, copies of reasoning opened."""
    messages, blocks = known.messages, known.blocks
    if known.sealed:
        blocks = tuple(_opened(block, unseal) for block in blocks)
        parts = (part for block in blocks for part in block.parts)
        messages = (message_of("assistant", parts),)
    return RawMessage(piece, known.role, first, messages, blocks, known.odd, known.thinks)


def _turn_block(block: dict[str, Any]) -> _Block:
    """A block of an assistant's message."""
    parts = tuple(parts_of([block], _FORMAT))
    came = next((part for part in parts if isinstance(part, Reasoning)), None)
    return _Block(block["type"], 0, is_blank(block), _call_id(block), came, parts)


def _opened(block: _Block, unseal: Unseal) -> _Block:
    """The block with what its copy of reasoning holds."""
    if block.came is None or not block.came.opaque:
        return block
    return replace(block, parts=tuple(filter(None, (unseal(block.came),))))


def _owned(content: list[dict[str, Any]]) -> Iterator[_Block]:
    """The blocks of a message that is no assistant's: each result is a neutral message, the
    others are the last.
    """
    results = sum(block["type"] == "tool_result" for block in content)
    owners = iter(range(results))
    for block in content:
        owner = results
        if block["type"] == "tool_result":
            owner = next(owners)
        yield _Block(block["type"], owner, is_blank(block), _call_id(block))


def _call_id(block: dict[str, Any]) -> str:
    return as_str(block.get(ID_MEMBERS.get(as_str(block.get("type")), "")))


def _is_own(item: Any) -> bool:
    """Whether a message is written as Messages has it."""
    if not isinstance(item, dict) or item.get("role") not in ("user", "assistant", "system"):
        return False
    if item.get("type", "message") != "message" or item.keys() & _OTHERS_MEMBERS:
        return False
    content = item.get("content")
    return isinstance(content, str) or (
        isinstance(content, list) and all(map(_is_own_block, content))
    )


def _is_own_block(block: Any) -> bool:
    kind = as_str(as_dict(block).get("type"))
    return kind != "" and kind not in _OTHERS_BLOCKS


def _is_odd(block: dict[str, Any]) -> bool:
    """Whether a block may have to change without an edit."""
    kind = as_str(block.get("type"))
    if kind in PICTURES or is_blank(block) or (kind in _THOUGHTS and "cache_control" in block):
        return True
    call_id = _call_id(block)
    if valid_id(call_id) != call_id:
        return True
    return kind == "tool_result" and any(map(_is_odd, dicts_in(block.get("content"))))


def _has_late_results(blocks: Sequence[_Block]) -> bool:
    kinds = [block.kind == "tool_result" for block in blocks]
    return kinds != sorted(kinds, reverse=True)
