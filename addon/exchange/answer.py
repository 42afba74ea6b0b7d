"""One upstream's answer on its way to the client: patched, accumulated beside, remembered
before its end is seen.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import (
    CUT,
    CallDelta,
    Delta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    StreamError,
    TextDelta,
    UsageReport,
    Words,
    words_of,
)
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Relay, deltas_of
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.tolerant.error_words import no_answer
from addon.formats.wire import sse
from addon.formats.wire.inflate import Inflate, Unreadable
from addon.formats.wire.run import Run
from addon.formats.wire.splice import MalformedJson, value
from addon.formats.wire.utf8 import as_utf8
from addon.translation.pair import Whole

__all__ = ("Remember", "StreamedAnswer")


PIECE_EVENTS = 500
"""Some milliseconds of work."""

MOST_AT_ONCE = 2_000
"""More events than any provider's have come in 64 KiB, which is what is read at a time."""

PATIENCE = 8
"""How often in a row a run is looked for in vain: each time costs as much as reading an event."""


class Remember(Protocol):
    """Called with each choice's turn before the client can see what it covers."""

    def __call__(self, turns: dict[int, Turn], *, complete: bool, durable: bool) -> None: ...


class StreamedAnswer:
    """Takes an upstream's bytes in any cut and gives whole events for the client.

    `error` is set when the upstream reports one or sends what can't be read; nothing more
    is taken then.
    """

    def __init__(
        self,
        relay: Relay,
        *,
        remember: Remember,
        whole: Callable[[bytes], Whole | None] = lambda body: None,
        content_encoding: str = "",
    ) -> None:
        """`whole` reads an answer that is no stream, as in `Pair`. Raises Unreadable for a
        Content-Encoding we don't read.
        """
        self._events = sse.Events()
        self._inflate = Inflate(content_encoding)
        self._relay = relay
        self._accumulator = Accumulator()
        self._remember = remember
        self._whole = whole
        self._run: Run | None = None
        """How events are passed on that say more of what the last one said."""

        self._patience = PATIENCE
        """How often a run is still looked for."""

        self._is_bare = self._inflate.is_identity
        """Whether what comes is the upstream's events themselves."""

        self.error: StreamError | None = None
        self.started = False
        """Whether anything but comments has come."""

    @property
    def done(self) -> bool:
        """Whether the stream has announced its end."""
        return self._relay.done

    @property
    def keep_alive(self) -> bytes:
        """What tells the client between two events that the answer goes on."""
        return self._relay.keep_alive

    @property
    def finished(self) -> bool:
        """Whether the model has finished its turn, in every choice."""
        return self._accumulator.finished

    @property
    def usage(self) -> Usage | None:
        return self._accumulator.usage

    @property
    def turns(self) -> dict[int, Turn]:
        return self._accumulator.turns()

    def feed(self, chunk: bytes) -> bytes:
        """The events for the client that `chunk` completes."""
        return b"".join(self.pieces(chunk))

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """The same piece by piece: a compressed chunk may grow to a hundred thousand events."""
        if self._is_bare and self._events.is_between:
            out = self._as_run(chunk)
            if out is not None:  # nearly always
                return iter((out,))
        return self._pieces(chunk)

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        for slice_ in self._inflate.slices(chunk):
            events = self._taken(slice_)
            size = PIECE_EVENTS if len(events) > MOST_AT_ONCE else MOST_AT_ONCE
            for at in range(0, len(events), size):
                yield self._passed(events[at : at + size])

    def _passed(self, events: list[bytes]) -> bytes:
        if self._run is not None and len(events) > 1:
            out = self._as_run(b"".join(events))
            if out is not None:
                return out
        return b"".join(map(self._event, events))

    def _as_run(self, events: bytes) -> bytes | None:
        """The same for events that go on with the run; None if there is none, or they don't."""
        if self._run is None or self.error is not None:
            return None
        out = self._run.take(events)
        if out is not None:
            self._patience = PATIENCE
        return out

    def _taken(self, received: bytes) -> list[bytes]:
        """The upstream's events that these bytes complete; none, and `error`, if they can't be
        read.
        """
        if self.error or self.done:
            return []
        try:
            return self._events.feed(self._inflate.feed(received))
        except (Unreadable, sse.EventTooLarge) as error:
            self.error = StreamError(f"{error}.", code="upstream_malformed")
            return []

    def end(self) -> bytes:
        """The upstream closed its answer: what a well-formed stream still lacks, or nothing
        and `error`.
        """
        if self.error or self.done:
            return b""
        out, rest = b"", as_utf8(self._events.rest()).removeprefix(sse.BOM)
        if rest.strip() and not self._events.has_events:
            return self._whole_answer(rest)
        if _is_whole(rest):  # some servers close without the last blank line
            out = self._event(rest + b"\n\n")
        if not self.finished and not self.error:
            self.error = CUT
        if self.done or self.error:
            return out
        return out + self._relay.end()

    def fail(self, problem: Problem) -> bytes:
        """The end of a stream that failed after it began: the format's error event, then
        the usual end.
        """
        return self._relay.fail(problem)

    def stop(self) -> None:
        """The answer ends here, unfinished: keep what the client may have seen."""
        if not self.finished:
            self._remember(self._unfinished, complete=False, durable=True)

    def _whole_answer(self, body: bytes) -> bytes:
        """The events of an answer that is JSON though it is labelled a stream."""
        whole = self._whole(body)
        if whole is None or whole.error:
            self.error = no_answer(body) if whole is None else whole.error
            return b""
        self.started = True
        for choice, turn in whole.turns.items():
            for delta in deltas_of(turn, choice):
                self._accumulator.add(delta)
        if whole.usage:
            self._accumulator.add(UsageReport(whole.usage))
        self._remember(whole.turns, complete=True, durable=True)
        return whole.body()

    def _event(self, raw: bytes) -> bytes:
        more = self._as_run(raw)
        if more is not None:
            return more
        if self.error or self.done:
            return b""
        self._run = None
        raw = as_utf8(raw).removeprefix(sse.BOM)
        if raw.startswith(b"{"):  # some servers fail in the middle without an event
            raw = sse.event(raw.strip())
        deltas, out = self._relay.feed(raw)
        for delta in deltas:
            self._accumulator.add(delta)
        self.started = self.started or bool(deltas)
        match deltas:
            case [
                TextDelta() | ReasoningDelta() | RefusalDelta() | CallDelta(name="") as delta
            ] if not self.done:  # nearly always
                self._look_for_run(raw, delta, out)
            case _:
                self._note(deltas)
        return out

    def _note(self, deltas: list[Delta]) -> None:
        """Take up what ends the answer, and remember what the client is about to know."""
        for delta in deltas:
            if isinstance(delta, StreamError):
                self.error = delta
        if whole := {delta.choice for delta in deltas if isinstance(delta, Finish)}:
            turns = self.turns
            self._remember({choice: turns[choice] for choice in whole}, complete=True, durable=True)
        elif self.done:
            self.stop()
        elif any(isinstance(delta, CallDelta) and delta.name for delta in deltas):
            # The client knows an id of ours from here on, and may come back with it at any time.
            self._remember(self._unfinished, complete=False, durable=False)

    def _look_for_run(self, raw: bytes, delta: Words, out: bytes) -> None:
        if not self._patience or not words_of(delta):
            return
        self._patience -= 1
        self._run = self._relay.run(raw, delta, out)
        if self._run is not None:
            self._run.sinks.append(self._accumulator.pieces(delta))

    @property
    def _unfinished(self) -> dict[int, Turn]:
        return {choice: turn for choice, turn in self.turns.items() if not turn.finish_reason}


def _is_whole(rest: bytes) -> bool:
    """Whether the last bytes of a stream are an event that lacks nothing but its blank line."""
    data = sse.data_of(rest) or rest
    try:
        return data.strip() == b"[DONE]" or isinstance(value(data), dict)
    except MalformedJson:
        return False
