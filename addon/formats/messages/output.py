"""The blocks of an answer, and the events with which each begins, grows and ends.

One block is open at a time. What a chat upstream says in between is held: a block begins
when those before it are over.
"""

from collections.abc import Iterator
from typing import Any

from addon.formats.messages.blocks import input_of, is_object
from addon.formats.neutral.adapt import INPUT
from addon.formats.neutral.deltas import OpaqueDelta
from addon.formats.neutral.protocols import Seal
from addon.formats.neutral.turn import Reasoning
from addon.formats.wire.splice import scalar_text

__all__ = ("Block", "CallBlock", "ForeignBlock", "TextBlock", "ThoughtBlock")

type Sent = list[bytes]
"""Raw events."""


class Block:
    """A block; `index` is negative until it has begun."""

    def __init__(self, part: int, numbers: Iterator[int]) -> None:
        self.part = part
        self.index = -1
        self._numbers = numbers
        self._pieces: list[str] = []
        self._told = 0
        """Pieces that have been sent."""

        self._head = b""

    @property
    def over(self) -> bool:
        """Whether it may end, now that something else has been said."""
        return True

    def add(self, piece: str) -> None:
        """More of it."""
        if piece:
            self._pieces.append(piece)

    def tell(self, out: Sent) -> None:
        """Say what can be said so far."""

    def end(self, out: Sent) -> None:
        """Say that it is whole."""

    def whole(self) -> dict[str, Any] | None:
        """The block as a whole; None for one that is not shown."""

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

    def _delta(self, kind: bytes, member: bytes, said: str) -> bytes:
        return b'%b%b","%b":%b}}\n\n' % (self._head, kind, member, scalar_text(said))

    def _tell_pieces(self, kind: bytes, member: bytes, out: Sent) -> None:
        out += [self._delta(kind, member, piece) for piece in self._pieces[self._told :]]
        self._told = len(self._pieces)

    def _stop(self, out: Sent) -> None:
        if self.index >= 0:
            out.append(
                b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
                % self.index,
            )


class TextBlock(Block):
    """What the model says."""

    def tell(self, out: Sent) -> None:
        if self._pieces and self.index < 0:
            self._begin({"type": "text", "text": ""}, out)
        self._tell_pieces(b"text_delta", b"text", out)

    def end(self, out: Sent) -> None:
        self._stop(out)

    def whole(self) -> dict[str, Any] | None:
        return {"type": "text", "text": self.text} if self._pieces else None


class ThoughtBlock(Block):
    """A piece of reasoning, its state as the signature; redacted when its maker says so."""

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
        if self.index < 0 and (block := self.whole()):
            self._begin(block | ({} if self._redacted else {"signature": ""}), out)
        if self._state and not self._redacted:
            out.append(self._delta(b"signature_delta", b"signature", self._state))
        self._stop(out)

    def whole(self) -> dict[str, Any] | None:
        if self._redacted:
            return {"type": "redacted_thinking", "data": self._state} if self._state else None
        return {
            "type": "thinking",
            "thinking": "" if self._omitted else self.text,
            "signature": self._state,
        }

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
    """A tool call; it begins when its name is known. Arguments that are no object are held
    and wrapped into one.
    """

    def __init__(self, part: int, numbers: Iterator[int], *, custom: bool) -> None:
        super().__init__(part, numbers)
        self.id = ""
        self.name = ""
        self._custom = custom
        self._wrapped: bool | None = True if custom else None
        """Whether the arguments are no object; None: nothing of them has come."""

        self._judged = (0, False)
        """Pieces that were there when it was last looked whether they are whole, and
        whether they were.
        """

    @property
    def over(self) -> bool:
        if self._judged[0] != len(self._pieces):
            self._judged = len(self._pieces), self._wrapped is False and is_object(self.text)
        return bool(self.name) and self._judged[1]

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
        given = {INPUT: self.text} if self._custom else input_of(self.text)
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": given}


class ForeignBlock(Block):
    """A block that is passed on as it came."""

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
