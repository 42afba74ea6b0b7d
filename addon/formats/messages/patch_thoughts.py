"""The reasoning of a replayed Messages turn, put among the blocks that the client sent.

Thinking blocks go before what they stood before when the model made them, and back to it
unaltered
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks).
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from addon.formats.messages.patch_blocks import Fitting, Swap
from addon.formats.neutral.turn import Edit, Part, Reasoning
from addon.formats.wire.splice import members, scalar_text, value, with_members

__all__ = ("Thought", "state_swaps", "with_thoughts")

_STATES = {"redacted_thinking": "data", "signature": "signature"}
"""Where state stands that came under these names."""

type _Placed = tuple[int, Reasoning]
"""A piece of reasoning, and how many other parts of the turn stand before it."""


class Thought(msgspec.Struct, frozen=True):
    """A block of a turn, as far as its reasoning goes."""

    raw: bytes
    came: Reasoning | None
    """What the client has sent for reasoning; None when the block is none."""

    reasoning: Reasoning | None
    """What that holds, its copy opened; None for nothing that can be used."""

    others: int
    """How many other parts the block is."""


def with_thoughts(
    parts: Iterable[Part], edit: Edit | None, blocks: list[Thought], fitting: Fitting
) -> Iterator[tuple[int | None, bytes]]:
    """The blocks with the reasoning that the upstream is to get.

    Each comes with its place in `blocks`, or None when it is reasoning. `parts` is what the
    client's turn says, copies opened.
    """
    wanted = _wanted(parts, edit, fitting)
    held = [
        (at, block.reasoning, block.raw)
        for at, block in _before(blocks)
        if block.reasoning is not None
    ]
    if [(at, _key(piece)) for at, piece, _ in held] == [(at, _key(piece)) for at, piece in wanted]:
        return _in_place(blocks, [piece for _, piece in wanted], fitting)
    raws = {_key(piece): raw for _, piece, raw in held}
    texts = [(at, _text(piece, raws.pop(_key(piece), b""), fitting)) for at, piece in wanted]
    return _laid_out(blocks, texts)


def state_swaps(
    parts: Iterable[Part], edit: Edit | None, blocks: list[Thought], fitting: Fitting
) -> list[Swap] | None:
    """The states that the upstream gets for the client's copies, where nothing else of the
    reasoning changes; or None.

    Parameters as for `with_thoughts`.
    """
    wanted = _wanted(parts, edit, fitting)
    held = [(at, block.came) for at, block in _before(blocks) if block.came is not None]
    if len(held) != len(wanted):
        return None
    swaps: list[Swap] = []
    for (at, came), (place, piece) in zip(held, wanted, strict=True):
        if (
            at != place
            or replace(came, opaque=piece.opaque, field=piece.field, id=piece.id) != piece
        ):
            return None
        if came.opaque != piece.opaque:
            swaps.append((_STATES[piece.carrier], came.opaque, piece.opaque))
    return swaps


def _wanted(parts: Iterable[Part], edit: Edit | None, fitting: Fitting) -> list[_Placed]:
    """The reasoning that the upstream is to get, and where."""
    placed = [(at, _usable(piece, fitting)) for at, piece in _placed(_edited(parts, edit))]
    return [(at, piece) for at, piece in placed if piece is not None]


def _in_place(
    blocks: list[Thought], wanted: list[Reasoning], fitting: Fitting
) -> Iterator[tuple[int | None, bytes]]:
    """The client sent all of it, each piece where it belongs."""
    pieces = iter(wanted)
    for at, block in enumerate(blocks):
        if block.came is None:
            yield at, block.raw
        elif block.reasoning is not None:
            yield None, _text(next(pieces), block.raw, fitting)


def _laid_out(
    blocks: list[Thought], texts: list[tuple[int, bytes]]
) -> Iterator[tuple[int | None, bytes]]:
    waiting = list(reversed(texts))
    for at, (seen, block) in enumerate(_before(blocks)):
        while waiting and waiting[-1][0] <= seen:
            yield None, waiting.pop()[1]
        if block.came is None:
            yield at, block.raw
    for _, raw in reversed(waiting):
        yield None, raw


def _before(blocks: list[Thought]) -> Iterator[tuple[int, Thought]]:
    """Each block, and how many other parts stand before it."""
    seen = 0
    for block in blocks:
        yield seen, block
        seen += block.others


def _edited(parts: Iterable[Part], edit: Edit | None) -> list[Part]:
    """What the turn is to say."""
    if edit is not None and edit.parts is not None:
        return list(edit.parts)
    if edit is None or edit.reasoning is None:
        return list(parts)
    others = [part for part in parts if not isinstance(part, Reasoning)]
    return [*(Reasoning(said, field) for field, said in edit.reasoning.items()), *others]


def _placed(parts: list[Part]) -> Iterator[_Placed]:
    seen = 0
    for part in parts:
        if isinstance(part, Reasoning):
            yield seen, part
        else:
            seen += 1


def _usable(piece: Reasoning, fitting: Fitting) -> Reasoning | None:
    """The piece as the upstream takes it; None when it takes nothing of it.

    State goes to its maker. Text alone goes where thinking needs no signature: to DeepSeek
    and Kimi, not to Claude.
    """
    if piece.opaque and piece.opaque not in fitting.unusable and piece.carrier in _STATES:
        return piece
    if piece.carrier == "redacted_thinking" or not (
        fitting.abilities.unsigned_thinking and piece.quoted
    ):
        return None
    return replace(piece, opaque="", carrier="", id="")


def _key(piece: Reasoning) -> tuple[bool, str]:
    """What tells a piece from others of its turn."""
    return piece.carrier == "redacted_thinking", piece.opaque or piece.text


def _text(piece: Reasoning, raw: bytes, fitting: Fitting) -> bytes:
    """The block of a piece: the client's own, `raw`, with what has to change, or a new one."""
    wanted = _members(piece)
    held = {name: value(text) for name, text in members(raw or b"{}")}
    if held.get("type") != wanted["type"]:
        return scalar_text(wanted)
    changes = {
        name: scalar_text(said) for name, said in wanted.items() if (held.get(name) or "") != said
    }
    if held.get("signature") and "signature" not in wanted:
        changes["signature"] = b""
    if fitting.strict:
        changes["cache_control"] = b""  # Claude refuses marks on thinking
    return with_members(raw, changes)


def _members(piece: Reasoning) -> dict[str, str]:
    if piece.carrier == "redacted_thinking":
        return {"type": "redacted_thinking", "data": piece.opaque}
    wanted = {"type": "thinking", "thinking": piece.text}
    if piece.opaque:
        wanted["signature"] = piece.opaque
    return wanted
