"""Chat Completions with the reasoning shown in the content, for clients that show it nowhere else.

Blocks are chunks of their own beside the upstream's answer, and no deltas: recall remembers the
answer alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    OpaqueDelta,
    ReasoningDelta,
    StreamError,
    TextDelta,
    UsageReport,
    Words,
)
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import OneField, Relay
from addon.formats.neutral.turn import Reasoning, Turn
from addon.formats.wire import sse
from addon.formats.wire.run import Run
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    changed,
    elements,
    members,
    object_text,
    scalar_text,
    value,
    with_members,
)
from addon.mirror.blocks import Block, Style
from shared.config.schema import Upstream
from shared.model import User

__all__ = ("Mirror", "Mirroring", "style_for")


class Mirror:
    """Shows the reasoning of one answer; `token` gives each block its own."""

    def __init__(self, style: Style, token: Callable[[], str]) -> None:
        self._style = style
        self._token = token
        self._choices: dict[int, _Choice] = {}
        self._head = b""
        """The beginning of our chunks, up to their choice."""

    def beside(self, deltas: list[Delta], out: bytes) -> bytes:
        """The client's events `out` of these deltas, with the chunks that show the reasoning."""
        shown: dict[int, str] = {}
        only_reasoning = True
        for delta in deltas:
            if isinstance(delta, OpaqueDelta | UsageReport | StreamError):
                continue
            text = self._choice(delta.choice).shown(delta)
            shown[delta.choice] = shown.get(delta.choice, "") + text
            only_reasoning = only_reasoning and isinstance(delta, ReasoningDelta)
        if not any(shown.values()):
            return out
        self._head = self._head or _head_of(out)
        chunks = b"".join(self._chunk(choice, text) for choice, text in shown.items() if text)
        # An answer's first chunk tells its role: reasoning is shown after its own event, but
        # ends before any other.
        if only_reasoning:
            return out + chunks
        return chunks + out

    def closed(self) -> bytes:
        """The chunks that end all open blocks, for the end of a stream."""
        ends = {number: choice.closed() for number, choice in self._choices.items()}
        return b"".join(self._chunk(number, text) for number, text in ends.items() if text)

    def whole(self, body: bytes, turns: dict[int, Turn]) -> bytes:
        """The whole answer `body` of these turns, with the reasoning before the content."""
        thoughts = [turn.reasoning for turn in turns.values()]

        def with_thoughts(choices: bytes) -> bytes:
            pairs = zip(elements(choices), thoughts, strict=True)
            return array_text([self._with_thought(choice, thought) for choice, thought in pairs])

        return changed(body, ("choices",), with_thoughts)

    def _with_thought(self, choice: bytes, thought: Reasoning | None) -> bytes:
        if thought is None or not thought.text:
            return choice
        block = self._block(led=False)
        shown = block.opening + block.text(thought.text) + block.closing
        return changed(choice, ("message",), partial(_with_text, text=shown))

    def _block(self, *, led: bool) -> Block:
        return Block(self._style, self._token(), led)

    def _choice(self, number: int) -> "_Choice":
        return self._choices.get(number) or self._choices.setdefault(number, _Choice(self._block))

    def _chunk(self, choice: int, text: str) -> bytes:
        content = scalar_text(text)
        rest = b'{"index":%d,"delta":{"content":%b},"finish_reason":null}]}' % (choice, content)
        return sse.event(self._head + rest)


class _Choice:
    def __init__(self, block: Callable[..., Block]) -> None:
        self._new_block = block
        self._block: Block | None = None
        self._one_field = OneField()
        self._part = 0
        self._speaks = False
        """Whether text has begun."""

        self._calls = False
        """Whether a call has begun: clients expect no content after calls."""

    def shown(self, delta: Delta) -> str:
        """The content to insert for the delta, before its own."""
        if isinstance(delta, ReasoningDelta):
            return self._thought(delta)
        if isinstance(delta, TextDelta) and not delta.text:
            return ""
        self._speaks = self._speaks or isinstance(delta, TextDelta)
        self._calls = self._calls or isinstance(delta, CallDelta)
        return self.closed()

    def closed(self) -> str:
        """The end of the block, if one is open."""
        block, self._block = self._block, None
        if block is None:
            return ""
        return block.closing

    def _thought(self, delta: ReasoningDelta) -> str:
        if not self._one_field.takes(delta) or not delta.text or self._calls:
            return ""
        is_new_part, self._part = delta.part != self._part, delta.part
        if self._block is None:
            self._block = self._new_block(led=self._speaks)
            return self._block.opening + self._block.text(delta.text)
        if is_new_part:
            return self._block.text(f"\n\n{delta.text}")
        return self._block.text(delta.text)


def style_for(user: User | None, upstream: Upstream) -> Style | None:
    """The style in which the user sees the upstream's reasoning; None: not at all."""
    wanted = upstream.mirror
    if user is not None and user.mirror:
        wanted = user.mirror
    if wanted == "off":
        return None
    return wanted


class Mirroring:
    """A relay to a client of Chat Completions that shows it the reasoning, too."""

    def __init__(self, relay: Relay, mirror: Mirror) -> None:
        self._relay = relay
        self._mirror = mirror
        self._bare = b""
        """The last event for the client, without what is shown beside it."""

    @property
    def done(self) -> bool:
        return self._relay.done

    @property
    def keep_alive(self) -> bytes:
        return self._relay.keep_alive

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        deltas, out = self._relay.feed(raw)
        self._bare = out
        if deltas:
            out = self._mirror.beside(deltas, out)
        if self.done:
            out = self._mirror.closed() + out
        return deltas, out

    def run(self, raw: bytes, delta: Words, out: bytes) -> Run | None:
        if out != self._bare:
            return None  # what is shown beside it depends on its text
        return self._relay.run(raw, delta, out)

    def end(self) -> bytes:
        return self._mirror.closed() + self._relay.end()

    def fail(self, problem: Problem) -> bytes:
        return self._mirror.closed() + self._relay.fail(problem)


def _head_of(out: bytes) -> bytes:
    """The beginning of a chunk like the last one in `out`, up to its first choice."""
    data: bytes | None = None
    for raw in sse.Events().feed(out)[-1:]:
        data = sse.data_of(raw)
    try:
        parts = members(data or b"{}")
    except MalformedJson:
        parts = []
    head = [part for part in parts if part[0] not in ("choices", "usage")]
    return object_text([*head, ("choices", b"[]")])[:-2]


def _with_text(message: bytes, text: str) -> bytes:
    """The message with the text before its content."""
    content: Any = value(dict(members(message)).get("content", b"null"))
    match content:
        case list():
            content = [{"type": "text", "text": text}, *content]
        case str():
            content = text + content
        case _:
            content = text
    return with_members(message, {"content": scalar_text(content)})
