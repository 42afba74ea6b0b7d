"""Chat Completions with the reasoning shown in the content, for clients that show it nowhere else.

What the upstream said goes out as it is, and is what is remembered: blocks are chunks of
their own, and no deltas.
"""

from collections.abc import Callable
from functools import partial

from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    OpaqueDelta,
    ReasoningDelta,
    StreamError,
    TextDelta,
    UsageReport,
)
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import OneField, Relay
from addon.formats.neutral.turn import Turn
from addon.formats.wire import sse
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    changed,
    elements,
    members,
    object_text,
    scalar_text,
    value,
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
        """What our chunks begin with, up to their choice."""

    def beside(self, deltas: list[Delta], out: bytes) -> bytes:
        """The client's events `out`, which say the deltas, with the chunks that show the
        reasoning in them.
        """
        said: dict[int, str] = {}
        steps = [
            delta
            for delta in deltas
            if not isinstance(delta, OpaqueDelta | UsageReport | StreamError)
        ]
        for delta in steps:
            said[delta.choice] = said.get(delta.choice, "") + self._choice(delta.choice).shown(
                delta
            )
        if not any(said.values()):
            return out
        self._head = self._head or _head_of(out)
        chunks = b"".join(self._chunk(choice, text) for choice, text in said.items() if text)
        # An answer's first chunk tells its role: reasoning is shown after what says it, but
        # ends before all else.
        return (
            out + chunks
            if all(isinstance(delta, ReasoningDelta) for delta in steps)
            else chunks + out
        )

    def closed(self) -> bytes:
        """The chunks that end what is still open, for the end of a stream."""
        ends = {number: choice.closed() for number, choice in self._choices.items()}
        return b"".join(self._chunk(number, text) for number, text in ends.items() if text)

    def whole(self, body: bytes, turns: dict[int, Turn]) -> bytes:
        """The whole answer `body`, whose choices are these turns, with the reasoning before
        the content.
        """
        texts = [turn.reasoning.text if turn.reasoning else "" for turn in turns.values()]

        def led(choices: bytes) -> bytes:
            both = zip(elements(choices), texts, strict=True)
            return array_text(
                [self._led(choice, text) if text else choice for choice, text in both]
            )

        return changed(body, ("choices",), led)

    def _led(self, choice: bytes, text: str) -> bytes:
        block = self._block(led=False)
        shown = block.opening + block.text(text) + block.closing
        return changed(choice, ("message",), partial(_with_text, text=shown))

    def _block(self, *, led: bool) -> Block:
        return Block(self._style, self._token(), led)

    def _choice(self, number: int) -> "_Choice":
        return self._choices.get(number) or self._choices.setdefault(number, _Choice(self._block))

    def _chunk(self, choice: int, text: str) -> bytes:
        said = b'{"index":%d,"delta":{"content":%b},"finish_reason":null}]}' % (
            choice,
            scalar_text(text),
        )
        return sse.event(self._head + said)


class _Choice:
    def __init__(self, block: Callable[..., Block]) -> None:
        self._new_block = block
        self._block: Block | None = None
        self._one_field = OneField()
        self._part = 0
        self._speaks = False
        self._calls = False
        """Whether text, or a call, has begun: clients expect no content after calls."""

    def shown(self, delta: Delta) -> str:
        """What stands in the content for the delta, before what it says itself."""
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
        return block.closing if block else ""

    def _thought(self, delta: ReasoningDelta) -> str:
        if not self._one_field.takes(delta) or not delta.text or self._calls:
            return ""
        opening, apart = "", "\n\n" if delta.part != self._part else ""
        if self._block is None:
            self._block = self._new_block(led=self._speaks)
            opening, apart = self._block.opening, ""
        self._part = delta.part
        return opening + self._block.text(apart + delta.text)


def style_for(user: User | None, upstream: Upstream) -> Style | None:
    """How the user is shown what the upstream thinks; None: not at all."""
    wanted = user.mirror if user and user.mirror else upstream.mirror
    return None if wanted == "off" else wanted


class Mirroring:
    """A relay to a client of Chat Completions that shows it the reasoning, too."""

    def __init__(self, relay: Relay, mirror: Mirror) -> None:
        self._relay = relay
        self._mirror = mirror

    @property
    def done(self) -> bool:
        return self._relay.done

    @property
    def keep_alive(self) -> bytes:
        return self._relay.keep_alive

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        deltas, out = self._relay.feed(raw)
        if deltas:
            out = self._mirror.beside(deltas, out)
        return deltas, self._mirror.closed() + out if self.done else out

    def end(self) -> bytes:
        return self._mirror.closed() + self._relay.end()

    def fail(self, problem: Problem) -> bytes:
        return self._mirror.closed() + self._relay.fail(problem)


def _head_of(out: bytes) -> bytes:
    """The beginning of a chunk like those in `out`: everything but what it says."""
    events = sse.Events().feed(out)
    try:
        parts = members((sse.data_of(events[-1]) if events else None) or b"{}")
    except MalformedJson:
        parts = []
    kept = [part for part in parts if part[0] not in ("choices", "usage")]
    return object_text([*kept, ("choices", b"[]")])[:-2]


def _with_text(message: bytes, text: str) -> bytes:
    """The message with the text before its content."""
    parts = members(message)
    content = value(dict(parts).get("content", b"null"))
    if isinstance(content, list):
        said = scalar_text([{"type": "text", "text": text}, *content])
    else:
        said = scalar_text(text + content if isinstance(content, str) else text)
    if all(key != "content" for key, _ in parts):
        return object_text([*parts, ("content", said)])
    return object_text([(key, said if key == "content" else raw) for key, raw in parts])
