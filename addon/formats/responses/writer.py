"""Answers of any upstream in the words of the Responses API: whole, and as its stream of events.

Events: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from typing import Any

from addon.formats.neutral.deltas import Delta, Finish, StreamError, UsageReport, Words, words_of
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, Mint, Seal, deltas_of
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.responses.error_body import error_object
from addon.formats.responses.output import Output, Sent
from addon.formats.responses.request import ENCRYPTED, text_of, tool_choice_of, tools_given
from addon.formats.responses.usage import usage_object
from addon.formats.wire.run import Run, Shape, written
from addon.formats.wire.splice import scalar_text

__all__ = ("ResponsesWriter", "encode")

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Reasons of `incomplete_details` for reasons of `Finish`."""


class ResponsesWriter:
    """Writes one client's stream of events; a response has one choice, the first."""

    def __init__(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> None:
        self._id = f"resp_{head.id}"
        self._keep = head.keep_for(request)
        carries_state = ENCRYPTED in request.include
        used_seal = None
        if carries_state or self._keep is not None:
            used_seal = seal
        self._output = Output(
            head.id,
            tools=(*request.loaded, *request.tools),
            mint=mint,
            seal=used_seal,
            shows_thoughts=bool(request.thinking.summary),
            carries_state=carries_state,
        )
        self._echo = scalar_text(_echo(request, head))[1:]
        self._sequence = 0
        self._usage: Usage | None = None
        self._status = "in_progress"
        self._cut = ""
        """Why the answer is incomplete; empty: it is not."""

    def write(self, deltas: list[Delta]) -> bytes:
        """The events of the deltas."""
        start = self._start()
        out: Sent = []
        for delta in deltas:
            self._take(delta, out)
        return start + self._numbered(out)

    def run(self, shape: Shape, delta: Words, out: bytes) -> Run | None:
        """How more of the same is written, as of any writer."""
        sinks = self._output.sinks(delta)
        if sinks is None or delta.choice != 0:
            return None
        return written(shape, words_of(delta), out, sinks, self._spelled)

    def end(self) -> bytes:
        """The end of a stream whose turn is whole."""
        start = self._start()
        out: Sent = []
        self._output.end(self._last_status, out)  # what was said after the turn had finished
        items = self._numbered(out)
        self._status = self._last_status
        return start + items + self._end()

    def fail(self, problem: Problem) -> bytes:
        """The end of a stream that failed."""
        start = self._start()
        out: Sent = []
        self._output.end("incomplete", out)
        items = self._numbered(out)
        self._status = "failed"
        return start + items + self._end(error_object(problem))

    def response(self) -> bytes:
        """The response object as far as it has come."""
        return self._response(self._output.whole())

    def _response(self, output: list[dict[str, Any]], error: dict[str, Any] | None = None) -> bytes:
        state: dict[str, Any] = {
            "status": self._status,
            "error": error,
            "incomplete_details": None,
            "output": output,
            "usage": None,
        }
        if self._status == "incomplete":
            state["incomplete_details"] = {"reason": self._cut}
        if self._usage is not None:
            state["usage"] = usage_object(self._usage)
        return scalar_text(state)[:-1] + b"," + self._echo

    def _end(self, error: dict[str, Any] | None = None) -> bytes:
        """The last event, before which the response is stored."""
        if self._keep is not None:
            self._keep(self._id, self._response(self._output.stored(), error))
        return self._event(f"response.{self._status}", error)

    def _event(self, kind: str, error: dict[str, Any] | None = None) -> bytes:
        response = self._response(self._output.whole(), error)
        return self._numbered([(kind, b'"response":' + response)])

    def _start(self) -> bytes:
        """The first events; none once they are sent."""
        if self._sequence:
            return b""
        return self._event("response.created") + self._event("response.in_progress")

    def _numbered(self, events: Sent) -> bytes:
        """The raw events, each with its number."""
        raws: list[bytes] = []
        for name, members in events:
            kind = name.encode()
            raws.append(
                b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%d}\n\n'
                % (kind, kind, members, self._sequence)
            )
            self._sequence += 1
        return b"".join(raws)

    def _spelled(self, before: bytes, after: bytes, _: bytes, texts: list[str]) -> bytes:
        """Events with these texts; `after` ends with the number of the one they are like."""
        after = after[: after.rfind(b":")]
        raws: list[bytes] = []
        for text in texts:
            raws.append(b"%b%b%b:%d}\n\n" % (before, scalar_text(text), after, self._sequence))
            self._sequence += 1
        return b"".join(raws)

    def _take(self, delta: Delta, out: Sent) -> None:
        if isinstance(delta, UsageReport):
            self._usage = delta.usage
        elif isinstance(delta, StreamError) or delta.choice != 0:
            return
        elif isinstance(delta, Finish):
            self._cut = _CUT.get(delta.reason, "")
            self._output.end(self._last_status, out)
        else:
            self._output.take(delta, out)

    @property
    def _last_status(self) -> str:
        if self._cut:
            return "incomplete"
        return "completed"


def encode(
    turn: Turn, usage: Usage | None, request: Request, head: Head, *, mint: Mint, seal: Seal
) -> bytes:
    """A whole answer."""
    writer = ResponsesWriter(request, head, mint=mint, seal=seal)
    writer.write(list(deltas_of(turn)))
    if usage is not None:
        writer.write([UsageReport(usage)])
    writer.end()
    return writer.response()


def _echo(request: Request, head: Head) -> dict[str, Any]:
    """The members of a response that repeat its request."""
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
        "store": head.keep_for(request) is not None,
        "temperature": request.temperature,
        "text": {"format": {"type": "text"}} | text_of(request),
        "tool_choice": tool_choice_of(request) or "auto",
        "tools": tools_given(request),
        "top_p": request.top_p,
        "truncation": request.extra.get("truncation") or "disabled",
        "user": request.user or None,
    }
