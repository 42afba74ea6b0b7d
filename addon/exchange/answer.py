"""One upstream's answer on its way to the client: patched, accumulated beside, remembered
before its end is seen.
"""

from typing import Protocol

from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import CUT, CallDelta, Finish, StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Relay
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.wire import sse
from addon.formats.wire.inflate import Inflate, Unreadable
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("Remember", "StreamedAnswer")


class Remember(Protocol):
    """Called with each choice's turn before the client can see what it covers."""

    def __call__(self, turns: dict[int, Turn], *, complete: bool, durable: bool) -> None: ...


class StreamedAnswer:
    """Takes an upstream's bytes in any cut and gives whole events for the client.

    `error` is set when the upstream reports one or sends what can't be read; nothing more
    is taken then.
    """

    def __init__(self, relay: Relay, *, remember: Remember, content_encoding: str = "") -> None:
        """Raises Unreadable for a Content-Encoding we don't read."""
        self._events = sse.Events()
        self._inflate = Inflate(content_encoding)
        self._relay = relay
        self._accumulator = Accumulator()
        self._remember = remember
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
        if self.error or self.done:
            return b""
        try:
            events = self._events.feed(self._inflate.feed(chunk))
        except (Unreadable, sse.EventTooLarge) as error:
            self.error = StreamError(f"{error}.", code="upstream_malformed")
            return b""
        return b"".join(map(self._event, events))

    def end(self) -> bytes:
        """The upstream closed its answer: what a well-formed stream still lacks, or nothing
        and `error`.
        """
        if self.error or self.done:
            return b""
        out, rest = b"", self._events.rest()
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

    def _event(self, raw: bytes) -> bytes:
        if self.error or self.done:
            return b""
        deltas, out = self._relay.feed(raw)
        for delta in deltas:
            self._accumulator.add(delta)
            if isinstance(delta, StreamError):
                self.error = delta
        self.started = self.started or bool(deltas)
        if whole := {delta.choice for delta in deltas if isinstance(delta, Finish)}:
            turns = self.turns
            self._remember({choice: turns[choice] for choice in whole}, complete=True, durable=True)
        elif self.done:
            self.stop()
        elif any(isinstance(delta, CallDelta) and delta.name for delta in deltas):
            # The client knows an id of ours from here on, and may come back with it at any time.
            self._remember(self._unfinished, complete=False, durable=False)
        return out

    @property
    def _unfinished(self) -> dict[int, Turn]:
        return {choice: turn for choice, turn in self.turns.items() if not turn.finish_reason}


def _is_whole(rest: bytes) -> bool:
    """Whether the last bytes of a stream are an event that lacks nothing but its blank line."""
    data = sse.data_of(rest) or b""
    try:
        return data.strip() == b"[DONE]" or isinstance(value(data), dict)
    except MalformedJson:
        return False
