"""How one upstream's stream becomes that of a client of another format: written anew."""

from addon.formats.neutral.adapt import Raising
from addon.formats.neutral.deltas import Delta, Finish, StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Reader, Writer
from addon.formats.wire import sse

__all__ = ("Translating",)


class Translating:
    """Relays a stream by what it says."""

    def __init__(self, reader: Reader, raising: Raising, writer: Writer, ping: bytes) -> None:
        self._reader = reader
        self._raising = raising
        self._writer = writer
        self._ping = ping
        self._begun = False
        self._whole = False
        self.done = False

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        if sse.data_of(raw) is None:
            return [], raw if raw.startswith(b":") else b""
        deltas = self._raising.read(self._reader.read(raw))
        said: list[Delta] = [delta for delta in deltas if not isinstance(delta, StreamError)]
        failed = len(said) != len(deltas)
        self._whole = self._whole or any(isinstance(delta, Finish) for delta in said)
        # What begins an answer must not be said of one that fails at once: another upstream
        # may still answer.
        out = self._writer.write(said) if said else b""
        self._begun = self._begun or bool(out)
        if self._reader.done and self._whole and not failed:
            self.done = True
            out += self._writer.end()
        return deltas, out

    @property
    def keep_alive(self) -> bytes:
        return self._ping if self._begun else sse.KEEP_ALIVE

    def end(self) -> bytes:
        return self._writer.end()

    def fail(self, problem: Problem) -> bytes:
        return self._writer.fail(problem)
