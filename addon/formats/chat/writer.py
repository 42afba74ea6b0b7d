"""Answers of any upstream in the words of Chat Completions: whole, and as a stream of chunks.

Shapes: https://platform.openai.com/docs/api-reference/chat/object and …/chat-streaming. A call
of a custom tool becomes a function's call with the raw text as its arguments, as Cursor reads it.
"""

from typing import Any

from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    UsageReport,
    Words,
    words_of,
)
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.neutral.protocols import Head, Mint, OneField
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Refusal, ToolCall, Turn, Usage
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.wire import sse
from addon.formats.wire.run import Run, Shape, written
from addon.formats.wire.splice import scalar_text

__all__ = ("DONE", "ChatWriter", "encode", "usage_object")

DONE = b"data: [DONE]\n\n"

_REASONS = ("stop", "length", "tool_calls", "content_filter")
"""Finish reasons that clients know."""


class ChatWriter:
    """Writes one client's stream of chunks."""

    def __init__(self, head: Head, *, show_usage: bool, mint: Mint) -> None:
        self._head = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":['
            % (
                scalar_text(f"chatcmpl-{head.id}"),
                head.created,
                scalar_text(head.model),
            )
        )
        self._show_usage = show_usage
        self._mint = mint
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None

    def write(self, deltas: list[Delta]) -> bytes:
        """The chunks of the deltas."""
        return b"".join(map(self._chunks, deltas))

    def run(self, shape: Shape, delta: Words, out: bytes) -> Run | None:
        """How more of the same is written, as of any writer."""
        if isinstance(delta, CallDelta) and self._choice(delta.choice).begins:
            return None  # the first step of a call says more
        return written(shape, words_of(delta), out, [])

    def end(self) -> bytes:
        """The usage, if the client asked for it, and the end."""
        if self._usage is None or not self._show_usage:
            return DONE
        return self._head + b'],"usage":' + scalar_text(usage_object(self._usage)) + b"}\n\n" + DONE

    def fail(self, problem: Problem) -> bytes:
        """An error event and the end."""
        return sse.event(error_body("chat", problem)) + DONE

    def _chunks(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta():
                return self._chunk(delta.choice, b'{"content":%b}' % scalar_text(delta.text))
            case ReasoningDelta():
                member = self._choice(delta.choice).reasoning(delta)
                if member is not None:
                    return self._chunk(delta.choice, b'{"%b":%b}' % member)
            case CallDelta():
                return self._chunk(delta.choice, self._choice(delta.choice).call(delta, self._mint))
            case RefusalDelta():
                return self._chunk(delta.choice, b'{"refusal":%b}' % scalar_text(delta.text))
            case Finish():
                reason = self._choice(delta.choice).finish(delta.reason)
                return self._chunk(delta.choice, b"{}", scalar_text(reason))
            case UsageReport():
                self._usage = delta.usage
        return b""

    def _choice(self, number: int) -> "_Choice":
        return self._choices.get(number) or self._choices.setdefault(number, _Choice(number))

    def _chunk(self, number: int, delta: bytes, finish: bytes = b"null") -> bytes:
        choice = self._choice(number)
        chunk = b'%b{"index":%d,"delta":%b,"finish_reason":%b}]}\n\n' % (
            self._head,
            number,
            delta,
            finish,
        )
        if choice.has_begun:
            return chunk
        choice.has_begun = True
        return self._chunk(number, b'{"role":"assistant","content":""}') + chunk


class _Choice:
    def __init__(self, number: int) -> None:
        self.has_begun = False
        self.begins = False
        """Whether the last step of a call was its first."""

        self._number = number
        self._calls: set[int] = set()
        self._one_field = OneField()
        self._part: int | None = None
        """The latest part of the reasoning."""

        self._has_thought = False
        """Whether any text of the reasoning has been sent."""

    def reasoning(self, delta: ReasoningDelta) -> tuple[bytes, bytes] | None:
        """Field and text to show; each part of the reasoning after the first is a paragraph."""
        if not self._one_field.takes(delta) or not (delta.text or self._part is None):
            return None
        text = delta.text
        if self._has_thought and delta.part != self._part:
            text = f"\n\n{text}"
        self._part, self._has_thought = delta.part, self._has_thought or bool(delta.text)
        return _field(delta.field).encode(), scalar_text(text)

    def call(self, delta: CallDelta, mint: Mint) -> bytes:
        """The step of a call; its id and type stand in the first one."""
        function = b'{"arguments":%b}' % scalar_text(delta.arguments)
        if delta.name:
            function = b'{"name":%b,%b' % (scalar_text(delta.name), function[1:])
        head = b""
        self.begins = delta.index not in self._calls
        if self.begins:
            self._calls.add(delta.index)
            call_id = mint(self._number, delta.index, delta.id)
            head = b'"id":%b,"type":"function",' % scalar_text(call_id)
        return b'{"tool_calls":[{"index":%d,%b"function":%b}]}' % (delta.index, head, function)

    def finish(self, reason: str) -> str:
        """The reason in a word that clients know."""
        return _reason(reason, calls=bool(self._calls))


def _field(name: str) -> str:
    """The field for clients: the upstream's, if clients know it."""
    if name in REASONING_FIELDS:
        return name
    return REASONING_FIELDS[0]


def _reason(reason: str, *, calls: bool) -> str:
    # Clients run the calls of a turn only if it ends for them.
    if calls and reason not in ("length", "content_filter"):
        return "tool_calls"
    if reason in _REASONS:
        return reason
    return "stop"


def encode(
    turns: dict[int, Turn], usage: Usage | None, request: Request, head: Head, *, mint: Mint
) -> bytes:
    """A whole answer."""
    # A custom tool that was declared as documented gets its calls back as documented.
    custom = {tool.name for tool in request.tools if tool.custom and tool.nested}
    body: dict[str, Any] = {
        "id": f"chatcmpl-{head.id}",
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [_whole(number, turn, custom, mint) for number, turn in turns.items()],
    }
    if usage is not None:
        body["usage"] = usage_object(usage)
    return scalar_text(body)


def _whole(number: int, turn: Turn, custom: set[str], mint: Mint) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if refusals := [part.text for part in turn.ordered if isinstance(part, Refusal)]:
        message["refusal"] = "".join(refusals)
    if turn.reasoning is not None:
        message[_field(turn.reasoning.field)] = turn.reasoning.text
    if turn.calls:
        message["tool_calls"] = [
            _call(call, mint(number, at, call.id), as_custom=call.custom and call.name in custom)
            for at, call in enumerate(turn.calls)
        ]
    elif not turn.text and message["refusal"] is None:
        message["content"] = ""
    finish = _reason(turn.finish_reason, calls=bool(turn.calls))
    return {"index": number, "message": message, "logprobs": None, "finish_reason": finish}


def _call(call: ToolCall, call_id: str, *, as_custom: bool) -> dict[str, Any]:
    if as_custom:
        return {
            "id": call_id,
            "type": "custom",
            "custom": {"name": call.name, "input": call.arguments},
        }
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """The `usage` object of a count."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
