"""The blocks of an answer, and the events with which each begins, grows and ends.

One block is open at a time. Chat upstreams mix them: a later block is held until the one
before it is over.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

from addon.formats.messages.blocks import input_of
from addon.formats.neutral.adapt import INPUT
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    Words,
)
from addon.formats.neutral.protocols import Mint, OneField, Seal
from addon.formats.neutral.request import Thinking
from addon.formats.neutral.turn import Reasoning
from addon.formats.wire.lenient import is_object_in
from addon.formats.wire.splice import scalar_text

__all__ = ("Block", "Blocks", "CallBlock", "ForeignBlock", "TextBlock", "ThoughtBlock")

type Sent = list[bytes]
"""Raw events."""


class Block:
    """A block; `index` is negative until it has begun."""

    def __init__(self, part: int, numbers: Iterator[int]) -> None:
        self.part = part
        self.index = -1
        self._numbers = numbers
        self._pieces: list[str] = []
        self._unsent = 0
        """How many of the pieces, the last ones, have not been sent."""

        self._head = b""

    @property
    def over(self) -> bool:
        """Whether it may end once another block follows."""
        return True

    def add(self, piece: str) -> None:
        """Take one more piece."""
        if piece:
            self._pieces.append(piece)
            self._unsent += 1

    @property
    def sink(self) -> list[str] | None:
        """What more pieces are added to if each is told by itself or none is; None if they may
        change what is told.
        """
        return self._pieces

    def tell(self, out: Sent) -> None:
        """Append the events that can be sent so far."""

    def end(self, out: Sent) -> None:
        """Append the events that end it."""

    def whole(self) -> dict[str, Any] | None:
        """The whole block; None for a hidden one."""

    @property
    def text(self) -> str:
        """All its pieces."""
        return "".join(self._pieces)

    def _begin(self, block: dict[str, Any], out: Sent) -> None:
        self.index = next(self._numbers)
        self._head = (
            b"event: content_block_delta\n"
            b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"' % self.index
        )
        out.append(
            b"event: content_block_start\n"
            b'data: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
            % (self.index, scalar_text(block))
        )

    def _delta(self, kind: bytes, member: bytes, piece: str) -> bytes:
        return b'%b%b","%b":%b}}\n\n' % (self._head, kind, member, scalar_text(piece))

    def _tell_pieces(self, kind: bytes, member: bytes, out: Sent) -> None:
        waiting = self._pieces[len(self._pieces) - self._unsent :]
        out += [self._delta(kind, member, piece) for piece in waiting]
        self._unsent = 0

    def _stop(self, out: Sent) -> None:
        if self.index >= 0:
            out.append(
                b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
                % self.index,
            )


class TextBlock(Block):
    """Visible text."""

    def tell(self, out: Sent) -> None:
        if self._pieces and self.index < 0:
            self._begin({"type": "text", "text": ""}, out)
        self._tell_pieces(b"text_delta", b"text", out)

    def end(self, out: Sent) -> None:
        self._stop(out)

    def whole(self) -> dict[str, Any] | None:
        if not self._pieces:
            return None
        return {"type": "text", "text": self.text}


class ThoughtBlock(Block):
    """A piece of reasoning with its state as the signature; redacted if it came so."""

    def __init__(self, part: int, numbers: Iterator[int], *, omitted: bool, seal: Seal) -> None:
        super().__init__(part, numbers)
        self.field = ""
        self.opaque: OpaqueDelta | None = None
        self._omitted = omitted
        self._seal = seal
        self._state = ""

    def tell(self, out: Sent) -> None:
        if self._pieces and self.index < 0:
            self._begin({"type": "thinking", "thinking": "", "signature": ""}, out)
        if not self._omitted:
            self._tell_pieces(b"thinking_delta", b"thinking", out)

    def end(self, out: Sent) -> None:
        self._state = self._seal(self._reasoning())
        if self.index < 0:
            self._begin_whole(out)
        if self._state and not self._redacted:
            out.append(self._delta(b"signature_delta", b"signature", self._state))
        self._stop(out)

    def whole(self) -> dict[str, Any] | None:
        if not self._redacted:
            return self._thinking(self._state)
        if not self._state:
            return None
        return {"type": "redacted_thinking", "data": self._state}

    def _begin_whole(self, out: Sent) -> None:
        """Begin a block without pieces; a signature follows in a delta of its own."""
        block = self.whole()
        if block is None:
            return
        if not self._redacted:
            block = self._thinking("")
        self._begin(block, out)

    def _thinking(self, signature: str) -> dict[str, Any]:
        visible = self.text
        if self._omitted:
            visible = ""
        return {"type": "thinking", "thinking": visible, "signature": signature}

    @property
    def _redacted(self) -> bool:
        return (
            self.opaque is not None
            and self.opaque.carrier == "redacted_thinking"
            and not self._pieces
        )

    def _reasoning(self) -> Reasoning:
        if self.opaque is None:
            return Reasoning(self.text, self.field)
        return Reasoning(
            self.text, self.field, self.opaque.opaque, self.opaque.carrier, self.opaque.id
        )


class CallBlock(Block):
    """A tool call, which begins once its name has come; arguments that are no object are held
    and wrapped into one.
    """

    def __init__(self, part: int, numbers: Iterator[int], *, custom: bool) -> None:
        super().__init__(part, numbers)
        self.id = ""
        self.name = ""
        self._custom = custom
        self._wrapped: bool | None = None
        """Whether the arguments are no object; None until they begin."""

        if custom:
            self._wrapped = True
        self._judged = (0, False)
        """The number of pieces at the last look at them, and whether they were whole then."""

    @property
    def over(self) -> bool:
        if self._judged[0] != len(self._pieces):
            whole = self._wrapped is False and is_object_in(self._pieces)
            self._judged = len(self._pieces), whole
        return bool(self.name) and self._judged[1]

    @property
    def sink(self) -> list[str] | None:
        if not self.name or self._wrapped is None:
            return None
        return self._pieces

    def tell(self, out: Sent) -> None:
        if not self.name:
            return
        if self.index < 0:
            self._begin({"type": "tool_use", "id": self.id, "name": self.name, "input": {}}, out)
        if self._wrapped is None and (begun := self.text.lstrip()):
            self._wrapped = begun[0] != "{"
        if self._wrapped is False:
            self._tell_pieces(b"input_json_delta", b"partial_json", out)

    def end(self, out: Sent) -> None:
        if self.index < 0:
            self._begin({"type": "tool_use", "id": self.id, "name": self.name, "input": {}}, out)
        if self._wrapped:
            wrapped = scalar_text({INPUT: self.text}).decode()
            out.append(self._delta(b"input_json_delta", b"partial_json", wrapped))
        self._stop(out)

    def whole(self) -> dict[str, Any] | None:
        arguments = input_of(self.text)
        if self._custom:
            arguments = {INPUT: self.text}
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": arguments}


class ForeignBlock(Block):
    """A block of Messages alone, passed on as it came."""

    def __init__(self, numbers: Iterator[int], item: dict[str, Any]) -> None:
        super().__init__(0, numbers)
        self._item = item

    def tell(self, out: Sent) -> None:
        if self.index < 0:
            self._begin(self._item, out)

    def end(self, out: Sent) -> None:
        self._stop(out)

    def whole(self) -> dict[str, Any] | None:
        return self._item


class Blocks:
    """The blocks of one answer, in their order."""

    def __init__(self, thinking: Thinking, *, mint: Mint, seal: Seal) -> None:
        self._mint = mint
        self._seal = seal
        self._shows_thinking = thinking.switch not in ("", "disabled")
        self._omitted = thinking.display == "omitted"
        self._numbers = count()
        self._blocks: list[Block] = []
        self._live = 0
        """Place of the first block that has not ended."""

        self._calls: dict[int, CallBlock] = {}
        self._thoughts = 0
        """The first part of the reasoning that has not begun: some servers name the field
        in every event.
        """

        self._one_field = OneField()

    @property
    def has_calls(self) -> bool:
        """Whether there is a tool call among them."""
        return bool(self._calls)

    def whole(self) -> list[dict[str, Any]]:
        """The blocks that are shown, each as a whole."""
        blocks = [block.whole() for block in self._blocks]
        return [block for block in blocks if block is not None]

    def take(self, delta: Delta, out: Sent) -> None:
        """Add one delta of the answer, and append the events that can be sent."""
        match delta:
            case TextDelta():
                self._text(delta.part).add(delta.text)
            case RefusalDelta():
                # A refusal stands apart: its parts have negative numbers, as in an accumulator.
                self._text(~delta.part).add(delta.text)
            case CallDelta():
                self._call(delta)
            case ReasoningDelta():
                if self._shows(delta) and (delta.text or delta.part == self._thoughts):
                    self._add_thought(delta)
            case OpaqueDelta() if self._shows_thinking:
                self._thought(delta.part).opaque = delta
            case ForeignItem(wire_format="messages"):
                self._blocks.append(ForeignBlock(self._numbers, delta.item))
            case Finish():
                self.end(out)
        self._tell(out)

    def sinks(self, delta: Words) -> list[list[str]] | None:
        """All that more of the delta, the one taken last, is added to; None if it may do more."""
        if isinstance(delta, ReasoningDelta) and not self._shows(delta):
            return []
        if self._live != len(self._blocks) - 1:
            return None
        last = self._blocks[-1]
        if isinstance(delta, CallDelta) and last is not self._calls[delta.index]:
            return None
        return None if last.sink is None else [last.sink]

    def end(self, out: Sent) -> None:
        """Append the events that end all blocks."""
        for block in self._blocks[self._live :]:
            if isinstance(block, CallBlock) and not block.name:
                block.id = self._mint(0, block.part, "")
            block.tell(out)
            block.end(out)
        self._live = len(self._blocks)

    def _tell(self, out: Sent) -> None:
        """Append all events that no open block holds back."""
        while self._live < len(self._blocks):
            block = self._blocks[self._live]
            block.tell(out)
            if self._live == len(self._blocks) - 1 or not block.over:
                return
            block.end(out)
            self._live += 1

    def _text(self, part: int) -> Block:
        """The last block if it is this text, else a new one."""
        if self._blocks:
            last = self._blocks[-1]
            if isinstance(last, TextBlock) and last.part == part:
                return last
        block = TextBlock(part, self._numbers)
        self._blocks.append(block)
        return block

    def _thought(self, part: int) -> ThoughtBlock:
        """The last block if it is this thought, else a new one."""
        if self._blocks:
            last = self._blocks[-1]
            if isinstance(last, ThoughtBlock) and last.part == part:
                return last
        self._thoughts = max(self._thoughts, part + 1)
        block = ThoughtBlock(part, self._numbers, omitted=self._omitted, seal=self._seal)
        self._blocks.append(block)
        return block

    def _shows(self, delta: ReasoningDelta) -> bool:
        return self._shows_thinking and self._one_field.takes(delta)

    def _add_thought(self, delta: ReasoningDelta) -> None:
        block = self._thought(delta.part)
        block.field = delta.field
        block.add(delta.text)

    def _call(self, delta: CallDelta) -> None:
        block = self._calls.get(delta.index)
        if block is None:
            block = CallBlock(delta.index, self._numbers, custom=delta.custom)
            self._calls[delta.index] = block
            self._blocks.append(block)
        if delta.name and not block.name:
            block.id, block.name = self._mint(0, delta.index, delta.id), delta.name
        block.add(delta.arguments)
