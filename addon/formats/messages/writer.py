"""Answers of any upstream in the words of the Messages API: whole, and as its stream of events.

Events: https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from typing import Any

from addon.formats.messages.output import Blocks
from addon.formats.messages.usage import usage_object
from addon.formats.neutral.deltas import Delta, Finish, StreamError, UsageReport, Words, words_of
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.neutral.protocols import Head, Mint, Seal, deltas_of
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.wire import sse
from addon.formats.wire.run import Run, Shape, written
from addon.formats.wire.splice import scalar_text

__all__ = ("PING", "MessagesWriter", "encode")

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
"""The API's own keep-alive."""

_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_REASONS = {"content_filter": "refusal", "length": "max_tokens", "pause_turn": "pause_turn"}
"""Stop reasons for reasons of `Finish`; others depend on what the turn holds."""


class MessagesWriter:
    """Writes one client's stream of events; a message has one choice, the first."""

    def __init__(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> None:
        self._head = head
        self._blocks = Blocks(request.thinking, mint=mint, seal=seal)
        self._begun = False
        self._usage = Usage(prompt_tokens=head.prompt_tokens)
        self._finish = Finish("")

    def write(self, deltas: list[Delta]) -> bytes:
        """The events of the deltas."""
        out: list[bytes] = []
        for delta in deltas:
            if isinstance(delta, UsageReport):
                # Before the message begins, since its first event has the prompt's count.
                self._usage = delta.usage
            self._begin(out)
            if isinstance(delta, UsageReport | StreamError) or delta.choice != 0:
                continue
            if isinstance(delta, Finish):
                self._finish = delta
            self._blocks.take(delta, out)
        self._begin(out)
        return b"".join(out)

    def run(self, shape: Shape, delta: Words, out: bytes) -> Run | None:
        """How more of the same is written, as of any writer."""
        sinks = self._blocks.sinks(delta)
        if sinks is None or delta.choice != 0:
            return None
        return written(shape, words_of(delta), out, sinks)

    def end(self) -> bytes:
        """The end of a stream whose turn is whole."""
        out: list[bytes] = []
        self._begin(out)
        self._blocks.end(out)
        delta = {
            "stop_reason": self._stop_reason,
            "stop_sequence": self._finish.stop_sequence or None,
        }
        last = {"type": "message_delta", "delta": delta, "usage": usage_object(self._usage)}
        return b"".join([*out, sse.event(scalar_text(last), "message_delta"), _END])

    def fail(self, problem: Problem) -> bytes:
        """The end of a stream that failed."""
        return sse.event(error_body("messages", problem), "error")

    def message(self) -> bytes:
        """The message as far as it has come."""
        return scalar_text(self._message(self._blocks.whole(), self._stop_reason))

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
            start = {"type": "message_start", "message": self._message([], None)}
            out.append(sse.event(scalar_text(start), "message_start"))

    @property
    def _stop_reason(self) -> str:
        reason = _REASONS.get(self._finish.reason)
        if reason is not None:
            return reason
        if self._blocks.has_calls:
            return "tool_use"
        if self._finish.stop_sequence:
            return "stop_sequence"
        return "end_turn"


def encode(
    turn: Turn, usage: Usage | None, request: Request, head: Head, *, mint: Mint, seal: Seal
) -> bytes:
    """A whole answer."""
    writer = MessagesWriter(request, head, mint=mint, seal=seal)
    writer.write(list(deltas_of(turn)))
    if usage is not None:
        writer.write([UsageReport(usage)])
    writer.end()
    return writer.message()
