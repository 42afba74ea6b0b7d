"""One message of a Messages body: its text, what it says, and that text changed where
something has to change.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

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
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.turn import Message, Part, Reasoning, message_of
from addon.formats.tolerant.history import messages_of
from addon.formats.tolerant.parts import parts_of
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import array_text, with_members

__all__ = ("RawMessage", "read_message")

_FORMAT = "messages"
_THOUGHTS = ("thinking", "redacted_thinking")
_OTHERS_MEMBERS = frozenset(
    ("function_call", "reasoning", "reasoning_content", "reasoning_text", "refusal", "tool_calls"),
)
_OTHERS_BLOCKS = frozenset(
    ("file", "image_url", "input_file", "input_image", "input_text", "output_text", "refusal"),
)
"""What messages and blocks have in other formats only: a body with these has to be translated."""


class _Block(msgspec.Struct):
    kind: str
    owner: int
    """The neutral message that it belongs to."""

    blank: bool
    """It is a text of blanks only."""

    call_id: str = ""
    """The tool call that it is, or answers."""

    came: Reasoning | None = None
    """The reasoning of an assistant's block, as it came."""

    parts: list[Part] = []
    """What an assistant's block says, copies of reasoning opened; one that can't be used
    says nothing.
    """


class RawMessage(msgspec.Struct):
    """A message as its text, and where it stands among the neutral ones."""

    raw: bytes
    role: str
    first: int
    """Index of the first neutral message that it is: the results of tools are messages of
    their own.
    """

    messages: list[Message]
    blocks: list[_Block]
    """Those of an array; a string is one block of text."""

    odd: bool
    """Whether it holds anything that may have to change without an edit."""

    def fitted(self, fitting: Fitting) -> bytes | None:
        """Its text for the upstream; None when it must not go out. Raises RequestError."""
        breathe()
        indices = range(self.first, self.first + len(self.messages))
        thinks = any(block.came is not None for block in self.blocks)
        if not (self.odd or thinks) and fitting.edits.keys().isdisjoint(indices):
            return self.raw
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
        if any(fitting.drops(block.owner) for block in self.blocks):
            return None
        pairs = [(block, fitting.own_id(block.call_id, block.owner)) for block in self.blocks]
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
            if not (block.blank and fitting.strict) and not fitting.drops(block.owner):
                yield fitting.block(raw, block.kind, block.owner)


def _thought(block: _Block, raw: bytes) -> Thought:
    held = [part for part in block.parts if isinstance(part, Reasoning)]
    return Thought(raw, block.came, next(iter(held), None), len(block.parts) - len(held))


# -- reading ---------------------------------------------------------------------------------------


def read_message(raw: bytes, item: Any, first: int, unseal: Unseal) -> RawMessage | None:
    """Read a message; `first` is the index of the first neutral message that it is.

    None for one that is written in another format. Raises RequestError.
    """
    breathe()
    if not _is_own(item):
        return None
    content = item["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if item["role"] == "assistant":
        blocks = [_turn_block(block, first, unseal) for block in content]
        messages = [message_of("assistant", [part for block in blocks for part in block.parts])]
    else:
        messages = messages_of([item], joined=False, foreign=_FORMAT)
        blocks = list(_owned(content, first))
    odd = any(map(_is_odd, content)) or _has_late_results(blocks)
    return RawMessage(raw, item["role"], first, messages, blocks, odd)


def _turn_block(block: dict[str, Any], owner: int, unseal: Unseal) -> _Block:
    """A block of an assistant's message, with what its copy of reasoning holds."""
    parts = parts_of([block], _FORMAT)
    came = next((part for part in parts if isinstance(part, Reasoning)), None)
    if came is not None and came.opaque:
        parts = [opened for opened in (unseal(came),) if opened is not None]
    return _Block(block["type"], owner, is_blank(block), _call_id(block), came, parts)


def _owned(content: list[dict[str, Any]], first: int) -> Iterator[_Block]:
    """The blocks of a message that is no assistant's: each result is a neutral message, the
    others are the last.
    """
    results = sum(block["type"] == "tool_result" for block in content)
    owners = iter(range(first, first + results))
    for block in content:
        owner = first + results
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


def _has_late_results(blocks: list[_Block]) -> bool:
    kinds = [block.kind == "tool_result" for block in blocks]
    return kinds != sorted(kinds, reverse=True)
