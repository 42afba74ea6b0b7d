"""Answers of any upstream in the words of the Responses API: whole, and as its stream of events.

Events: https://platform.openai.com/docs/api-reference/responses-streaming. Every item is
added, filled and done; calls may be open beside each other, texts and reasoning are done
before the next item begins.
"""

from functools import partial
from typing import Any

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
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, Mint, OneField, Seal, deltas_of
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import ToolCall, Turn, Usage
from addon.formats.responses.error_body import error_object
from addon.formats.responses.output import (
    CallItem,
    ForeignOutput,
    Item,
    MessageItem,
    Sent,
    ThoughtItem,
)
from addon.formats.responses.request import text_of, tool_choice_of, tools_given
from addon.formats.responses.usage import usage_object
from addon.formats.wire.splice import scalar_text

__all__ = ("ResponsesWriter", "encode")

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesWriter:
    """Writes one client's stream of events; a response has one choice, the first."""

    def __init__(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> None:
        self._name = head.id
        self._mint = mint
        self._keep = (
            partial(head.keep, request) if head.keep and request.own_items is not None else None
        )
        self._carried = "reasoning.encrypted_content" in request.include
        self._seal: Seal | None = seal if self._carried or self._keep else None
        self._shown = bool(request.thinking.summary)
        self._echo = scalar_text(_echoed(request, head))[1:]
        self._sequence = 0
        self._items: list[Item] = []
        self._open: MessageItem | ThoughtItem | None = None
        self._calls: dict[int, CallItem] = {}
        self._thoughts = 0
        """The first part of the reasoning that has not begun: some servers name the field
        in every event.
        """

        self._one_field = OneField()
        self._usage: Usage | None = None
        self._status = "in_progress"
        self._cut = ""

    def write(self, deltas: list[Delta]) -> bytes:
        """The events that say the deltas."""
        begun = self._begun()
        out: Sent = []
        for delta in deltas:
            self._step(delta, out)
        return begun + self._sent(out)

    def end(self) -> bytes:
        """The end of a stream whose turn is whole."""
        begun = self._begun()
        self._status = "incomplete" if self._cut else "completed"
        return begun + self._ended()

    def fail(self, problem: Problem) -> bytes:
        """The end of a stream that failed."""
        begun = self._begun()
        out: Sent = []
        self._end_all("incomplete", out)
        ended = self._sent(out)
        self._status = "failed"
        return begun + ended + self._ended(error_object(problem))

    def response(self, error: dict[str, Any] | None = None, *, kept: bool = False) -> bytes:
        """The response object as far as it has come, as it is told or as it is `kept`."""
        cut = {"reason": self._cut} if self._status == "incomplete" else None
        found = {
            "status": self._status,
            "error": error,
            "incomplete_details": cut,
            "output": [_kept(item) if kept else item.whole() for item in self._items if item.done],
            "usage": usage_object(self._usage) if self._usage else None,
        }
        return scalar_text(found)[:-1] + b"," + self._echo

    def _ended(self, error: dict[str, Any] | None = None) -> bytes:
        """The last event; what is to be stored is stored before it is seen."""
        if self._keep is not None:
            self._keep(f"resp_{self._name}", self.response(error, kept=True))
        return self._told(f"response.{self._status}", error)

    def _told(self, kind: str, error: dict[str, Any] | None = None) -> bytes:
        return self._sent([(kind, b'"response":' + self.response(error))])

    def _begun(self) -> bytes:
        if self._sequence:
            return b""
        return self._told("response.created") + self._told("response.in_progress")

    def _sent(self, events: Sent) -> bytes:
        """The raw events, each with its number."""
        first = self._sequence
        self._sequence += len(events)
        return b"".join(
            [
                b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%d}\n\n'
                % (kind := name.encode(), kind, members, number)
                for number, (name, members) in enumerate(events, first)
            ]
        )

    def _step(self, delta: Delta, out: Sent) -> None:
        if isinstance(delta, UsageReport):
            self._usage = delta.usage
        elif not isinstance(delta, StreamError) and delta.choice == 0:
            self._take(delta, out)

    def _take(self, delta: Delta, out: Sent) -> None:
        match delta:
            case TextDelta():
                self._message(delta.part, out).add_text(delta.text, out)
            case CallDelta():
                self._call(delta, out)
            case ReasoningDelta():
                if self._one_field.takes(delta) and (delta.text or delta.part == self._thoughts):
                    self._thought(delta.part, out).add(delta.text, delta.field, out)
            case OpaqueDelta():
                self._thought(delta.part, out).opaque = delta
            case RefusalDelta():
                self._message(delta.part, out).add_refusal(delta.text, out)
            case ForeignItem(wire_format="responses"):
                self._end_open(out)
                self._begin(item := ForeignOutput(len(self._items), delta.item), out)
                item.end("completed", out)
            case Finish():
                self._cut = _CUT.get(delta.reason, "")
                self._end_all("incomplete" if self._cut else "completed", out)

    def _message(self, part: int, out: Sent) -> MessageItem:
        """The open message, or a new one."""
        if isinstance(self._open, MessageItem) and self._open.part == part:
            return self._open
        self._end_open(out)
        self._open = item = MessageItem(len(self._items), self._next_name, part)
        self._begin(item, out)
        return item

    def _thought(self, part: int, out: Sent) -> ThoughtItem:
        """The open piece of reasoning, or a new one."""
        if isinstance(self._open, ThoughtItem) and self._open.part == part:
            return self._open
        self._end_open(out)
        name, self._thoughts = self._next_name, max(self._thoughts, part + 1)
        self._open = item = ThoughtItem(
            len(self._items), name, part, shown=self._shown, carried=self._carried, seal=self._seal
        )
        self._begin(item, out)
        return item

    def _call(self, delta: CallDelta, out: Sent) -> None:
        call = self._calls.get(delta.index) or self._calls.setdefault(
            delta.index, CallItem(custom=delta.custom)
        )
        if not call.begun and delta.name:
            self._begin_call(call, delta, out)
        call.add(delta.arguments, out)

    def _begin_call(self, call: CallItem, delta: CallDelta, out: Sent) -> None:
        self._end_open(out)
        call_id = self._mint(0, delta.index, delta.id)
        call.named(len(self._items), self._next_name, ToolCall(call_id, delta.name, ""))
        self._begin(call, out)

    def _begin(self, item: Item, out: Sent) -> None:
        self._items.append(item)
        item.begin(out)

    def _end_open(self, out: Sent) -> None:
        if self._open is not None:
            self._open.end("completed", out)
        self._open = None

    def _end_all(self, status: str, out: Sent) -> None:
        for index, call in self._calls.items():
            if not call.begun:
                self._begin_call(call, CallDelta(index), out)
        for item in self._items:
            if not item.done:
                item.end(status, out)
        self._open = None

    @property
    def _next_name(self) -> str:
        return f"{self._name}{len(self._items)}"


def encode(
    turn: Turn, usage: Usage | None, request: Request, head: Head, *, mint: Mint, seal: Seal
) -> bytes:
    """A whole answer."""
    writer = ResponsesWriter(request, head, mint=mint, seal=seal)
    writer.write([*deltas_of(turn), *([UsageReport(usage)] if usage else [])])
    writer.end()
    return writer.response()


def _kept(item: Item) -> dict[str, Any]:
    return item.kept() if isinstance(item, ThoughtItem) else item.whole()


def _echoed(request: Request, head: Head) -> dict[str, Any]:
    """The members of a response that say what was asked."""
    thinking = request.thinking
    return {
        "id": f"resp_{head.id}",
        "object": "response",
        "created_at": head.created,
        "model": head.model,
        "background": False,
        "instructions": None,
        "max_output_tokens": request.max_tokens,
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id or None,
        "reasoning": {"effort": thinking.effort or None, "summary": thinking.summary or None},
        "store": head.keep is not None and request.own_items is not None,
        "temperature": request.temperature,
        "text": {"format": {"type": "text"}} | text_of(request),
        "tool_choice": tool_choice_of(request) or "auto",
        "tools": tools_given(request),
        "top_p": request.top_p,
        "truncation": request.extra.get("truncation") or "disabled",
        "user": request.user or None,
    }
