"""Answers of any upstream in the words of the Messages API: whole, and as its stream of events.

Events: https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from itertools import count
from typing import Any

from addon.formats.messages.output import Block, CallBlock, ForeignBlock, TextBlock, ThoughtBlock
from addon.formats.messages.usage import usage_object
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamError,
    TextDelta,
    UsageReport,
)
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.neutral.protocols import Head, Mint, OneField, Seal, deltas_of
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.wire import sse
from addon.formats.wire.splice import scalar_text

__all__ = ("PING", "MessagesWriter", "encode")

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
"""Says that the stream is alive."""

_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_REASONS = {"content_filter": "refusal", "length": "max_tokens", "pause_turn": "pause_turn"}


class MessagesWriter:
    """Writes one client's stream of events; a message has one choice, the first."""

    def __init__(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> None:
        thinking = request.thinking
        self._head = head
        self._mint = mint
        self._seal = seal
        self._shown = thinking.switch not in ("", "disabled")
        self._omitted = thinking.display == "omitted"
        self._begun = False
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
        self._usage = Usage()
        self._finish = Finish("")

    def write(self, deltas: list[Delta]) -> bytes:
        """The events that say the deltas."""
        out: list[bytes] = []
        for delta in deltas:
            if isinstance(delta, UsageReport):
                self._usage = delta.usage
            self._begin(out)
            if not isinstance(delta, UsageReport | StreamError) and delta.choice == 0:
                self._take(delta, out)
        self._begin(out)
        return b"".join(out)

    def end(self) -> bytes:
        """The end of a stream whose turn is whole."""
        out: list[bytes] = []
        self._begin(out)
        self._end_all(out)
        why = {
            "stop_reason": self._stop_reason,
            "stop_sequence": self._finish.stop_sequence or None,
        }
        told = {"type": "message_delta", "delta": why, "usage": usage_object(self._usage)}
        return b"".join([*out, sse.event(scalar_text(told), "message_delta"), _END])

    def fail(self, problem: Problem) -> bytes:
        """The end of a stream that failed."""
        return sse.event(error_body("messages", problem), "error")

    def message(self) -> bytes:
        """The message as far as it has come."""
        blocks = [block for each in self._blocks if (block := each.whole()) is not None]
        return scalar_text(self._message(blocks, self._stop_reason))

    def _message(self, blocks: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
        return {
            "id": f"msg_{self._head.id}",
            "type": "message",
            "role": "assistant",
            "model": self._head.model,
            "content": blocks,
            "stop_reason": stop_reason,
            "stop_sequence": self._finish.stop_sequence or None,
            "usage": usage_object(self._usage),
        }

    def _begin(self, out: list[bytes]) -> None:
        if not self._begun:
            self._begun = True
            told = {"type": "message_start", "message": self._message([], None)}
            out.append(sse.event(scalar_text(told), "message_start"))

    @property
    def _stop_reason(self) -> str:
        if found := _REASONS.get(self._finish.reason):
            return found
        if self._calls:
            return "tool_use"
        return "stop_sequence" if self._finish.stop_sequence else "end_turn"

    def _take(self, delta: Delta, out: list[bytes]) -> None:
        match delta:
            case TextDelta() | RefusalDelta():
                # A refusal stands apart: its parts have negative numbers, as in an accumulator.
                part = delta.part if isinstance(delta, TextDelta) else ~delta.part
                self._text(part).add(delta.text)
            case CallDelta():
                self._call(delta)
            case ReasoningDelta() if self._shown:
                if self._one_field.takes(delta) and (delta.text or delta.part == self._thoughts):
                    self._add_thought(delta)
            case OpaqueDelta() if self._shown:
                self._thought(delta.part).opaque = delta
            case ForeignItem(wire_format="messages"):
                self._blocks.append(ForeignBlock(self._numbers, delta.item))
            case Finish():
                self._finish = delta
                self._end_all(out)
        self._tell(out)

    def _text(self, part: int) -> Block:
        """The last block, or a new one."""
        if self._blocks and isinstance(last := self._blocks[-1], TextBlock) and last.part == part:
            return last
        self._blocks.append(block := TextBlock(part, self._numbers))
        return block

    def _thought(self, part: int) -> ThoughtBlock:
        """The last block, or a new one."""
        if (
            self._blocks
            and isinstance(last := self._blocks[-1], ThoughtBlock)
            and last.part == part
        ):
            return last
        self._thoughts = max(self._thoughts, part + 1)
        self._blocks.append(
            block := ThoughtBlock(part, self._numbers, omitted=self._omitted, seal=self._seal)
        )
        return block

    def _add_thought(self, delta: ReasoningDelta) -> None:
        block = self._thought(delta.part)
        block.field = delta.field
        block.add(delta.text)

    def _call(self, delta: CallDelta) -> None:
        block = self._calls.get(delta.index)
        if block is None:
            block = self._calls[delta.index] = CallBlock(
                delta.index, self._numbers, custom=delta.custom
            )
            self._blocks.append(block)
        if delta.name and not block.name:
            block.id, block.name = self._mint(0, delta.index, delta.id), delta.name
        block.add(delta.arguments)

    def _tell(self, out: list[bytes]) -> None:
        """Say all that is not held behind a block that is not over."""
        while self._live < len(self._blocks):
            block = self._blocks[self._live]
            block.tell(out)
            if self._live == len(self._blocks) - 1 or not block.over:
                return
            block.end(out)
            self._live += 1

    def _end_all(self, out: list[bytes]) -> None:
        for block in self._blocks[self._live :]:
            if isinstance(block, CallBlock) and not block.name:
                block.id = self._mint(0, block.part, "")
            block.tell(out)
            block.end(out)
        self._live = len(self._blocks)


def encode(
    turn: Turn, usage: Usage | None, request: Request, head: Head, *, mint: Mint, seal: Seal
) -> bytes:
    """A whole answer."""
    writer = MessagesWriter(request, head, mint=mint, seal=seal)
    writer.write([*deltas_of(turn), *([UsageReport(usage)] if usage else [])])
    writer.end()
    return writer.message()
