"""Streamed Messages answers for Messages clients: each event passes as it came, but for
what is spliced into it.

The model in `message_start`, the ids of tool calls in `content_block_start`, and the state
of reasoning: the `data` of a redacted block and the `signature_delta`, of which a client
gets one, however many pieces the upstream sends.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from addon.formats.messages.patch_response import for_client, renamed
from addon.formats.messages.reader import MessagesReader
from addon.formats.messages.writer import PING
from addon.formats.neutral.deltas import (
    UNREADABLE,
    CallDelta,
    Delta,
    ReasoningDelta,
    StreamError,
    TextDelta,
    Words,
)
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.neutral.protocols import Mint, Seal
from addon.formats.neutral.turn import Reasoning
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_int, as_str
from addon.formats.wire.run import Run
from addon.formats.wire.splice import MalformedJson, changed, scalar_text, value

__all__ = ("PatchStream",)

_END = sse.event(b'{"type":"message_stop"}', "message_stop")


class _Signature(msgspec.Struct):
    """A signature of which more may come: its first event, and its pieces."""

    raw: bytes
    data: bytes
    index: int | None
    pieces: list[str]


class PatchStream:
    """Passes one upstream's stream on to the client that asked for it."""

    def __init__(self, *, model: str, mint: Mint, seal: Seal) -> None:
        self._model = model
        self._mint = mint
        self._seal = seal
        self._reader = MessagesReader()
        self._begun = False
        self._texts: dict[int, list[str]] = {}
        """What was thought, by the part of the turn."""

        self._parts: dict[int | None, int] = {}
        """The part of the turn that the thinking block at an index is."""

        self._held: _Signature | None = None
        self.done = False

    @property
    def keep_alive(self) -> bytes:
        """What tells the client between two events that the answer goes on."""
        if self._begun:
            return PING
        return sse.KEEP_ALIVE

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        """The deltas of one raw event and the bytes for the client: none for an error,
        which is a StreamError.
        """
        deltas = self._reader.read(raw)
        if any(isinstance(delta, StreamError) for delta in deltas):
            return deltas, b""
        try:
            out = self._told(raw, deltas)
        except MalformedJson:
            return [UNREADABLE], b""  # what the reader has skipped
        self._begun = self._begun or bool(deltas)
        self.done = self._reader.done
        return deltas, out

    def run(self, raw: bytes, delta: Words, out: bytes) -> Run | None:
        """How more of the same is passed on, as of any relay."""
        shape = self._reader.shape(raw, delta)
        if shape is None:
            return None
        sinks = [self._texts[delta.part]] if isinstance(delta, ReasoningDelta) else []
        return Run(shape, sinks)

    def end(self) -> bytes:
        """The end of an answer whose upstream did not announce it."""
        return self._released() + _END

    def fail(self, problem: Problem) -> bytes:
        """The end of an answer that failed."""
        return sse.event(error_body("messages", problem), "error")

    def _told(self, raw: bytes, deltas: list[Delta]) -> bytes:
        if self._only_adds(deltas):
            return self._released() + raw
        return self._patched(raw, deltas)

    def _only_adds(self, deltas: list[Delta]) -> bool:
        """Whether an event adds to a block that has begun, as nearly all do; it needs no
        closer look then.
        """
        if len(deltas) != 1:
            return False
        match deltas[0]:
            case TextDelta():
                return True
            case ReasoningDelta(text=said, part=part) if part in self._texts:
                self._texts[part].append(said)
                return True
            case CallDelta(id="", name="", arguments=said):
                return said != ""
        return False

    def _patched(self, raw: bytes, deltas: list[Delta]) -> bytes:
        data = sse.said_by(raw)
        event = as_dict(value(data or b"null"))
        at = as_int(event.get("index"))
        self._note_thoughts(deltas, at)
        match event.get("type"):
            case "content_block_delta" if (added := as_dict(event.get("delta"))).get(
                "type"
            ) == "signature_delta":
                return self._signed(raw, data, at, as_str(added.get("signature")))
            case "content_block_start":
                return self._released() + self._begun_block(raw, data, deltas)
            case "message_start":
                return _spliced(
                    raw, data, ("message", "model"), partial(renamed, model=self._model)
                )
            case "content_block_delta" | "content_block_stop" | "message_delta" | "message_stop":
                return self._released() + raw
        return raw  # pings and unknown events may come between the pieces of a signature

    def _note_thoughts(self, deltas: list[Delta], at: int | None) -> None:
        for delta in deltas:
            if isinstance(delta, ReasoningDelta):
                self._texts.setdefault(delta.part, []).append(delta.text)
                self._parts[at] = delta.part

    def _begun_block(self, raw: bytes, data: bytes, deltas: list[Delta]) -> bytes:
        numbers = (delta.index for delta in reversed(deltas) if isinstance(delta, CallDelta))
        change = partial(for_client, numbers=numbers, mint=self._mint, seal=self._seal)
        return _spliced(raw, data, ("content_block",), change)

    def _signed(self, raw: bytes, data: bytes, index: int | None, piece: str) -> bytes:
        """Hold a piece of a signature; the one before it is whole when it is another block's."""
        held = self._held
        if held is not None and held.index == index:
            held.pieces.append(piece)
            return b""
        before = self._released()
        self._held = _Signature(raw, data, index, [piece])
        return before

    def _released(self) -> bytes:
        """The event of the signature that is held, with the client's copy; nothing when it
        can't be put into words.
        """
        held, self._held = self._held, None
        if held is None:
            return b""
        state = "".join(held.pieces)
        if not state:
            return held.raw
        said = "".join(self._texts.get(self._parts.get(held.index, -1), ()))
        copy = self._seal(Reasoning(said, "thinking", state, "signature"))
        if not copy:
            return b""
        return _spliced(held.raw, held.data, ("delta", "signature"), lambda _: scalar_text(copy))


def _spliced(
    raw: bytes, data: bytes, path: tuple[str, ...], change: Callable[[bytes], bytes]
) -> bytes:
    """The event with the value at `path` of its data put through `change`."""
    patched = changed(data, path, change)
    if patched == data:
        return raw
    return sse.with_data(raw, data, patched)
