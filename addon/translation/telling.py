"""How one client is told what upstreams answer, streamed and whole."""

from collections.abc import Callable

import msgspec

from addon.formats import translate
from addon.formats.chat import patch_response
from addon.formats.chat.carriers import Quirks
from addon.formats.chat.patch_stream import PatchStream
from addon.formats.neutral.adapt import Raising, raised
from addon.formats.neutral.deltas import Delta, StreamError, UsageReport
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, Mint, Relay, Seal, Writer, deltas_of
from addon.formats.neutral.request import WireFormat
from addon.formats.neutral.turn import Turn, Usage
from addon.mirror.stream import Mirror, Mirroring
from addon.translation.read import Asked
from addon.translation.relay import Translating

__all__ = ("Telling", "Whole")


class Whole(msgspec.Struct, frozen=True):
    """An upstream's whole answer, in the client's terms."""

    turns: dict[int, Turn]
    usage: Usage | None
    error: StreamError | None
    body: Callable[[], bytes]
    """What the client gets: a body, or a stream's events if it asked for a stream."""


class Telling:
    """Speaks the client's format.

    `custom` are the custom tools that an upstream knows as functions, `quirks` those of its
    chat answers; `mirror`, if any, shows a client of Chat Completions the reasoning in the
    content.
    """

    def __init__(self, asked: Asked, head: Head, mint: Mint, seal: Seal) -> None:
        self._asked = asked
        self._head = head
        self._mint = mint
        self._seal = seal

    def relay(
        self,
        upstream: WireFormat,
        custom: frozenset[str],
        quirks: Quirks = Quirks(),
        mirror: Mirror | None = None,
    ) -> Relay:
        """What passes an upstream's stream on."""
        patching = self._asked.plain is not None
        relay = self._patching(quirks) if patching else self._translating(upstream, custom, quirks)
        return Mirroring(relay, mirror) if mirror else relay

    def _translating(self, upstream: WireFormat, custom: frozenset[str], quirks: Quirks) -> Relay:
        ping = translate.CLIENTS[self._asked.client].ping
        reader = translate.UPSTREAMS[upstream].with_quirks(quirks).reader()
        return Translating(reader, Raising(custom), self._writer(), ping)

    def whole(
        self,
        upstream: WireFormat,
        custom: frozenset[str],
        body: bytes,
        quirks: Quirks = Quirks(),
        mirror: Mirror | None = None,
    ) -> Whole | None:
        """Read an upstream's whole answer; None for a body that is no answer."""
        if self._asked.plain is not None:
            return self._patched(body, quirks, mirror)
        found = translate.UPSTREAMS[upstream].with_quirks(quirks).whole(body)
        if found is None:
            return None
        turns = {choice: raised(turn, custom) for choice, turn in found.turns.items()}
        return Whole(
            turns, found.usage, found.error, lambda: self._said(turns, found.usage, mirror)
        )

    def failed_end(self, problem: Problem) -> bytes:
        """The end of a stream of which nothing but comments was sent."""
        relay = self._patching() if self._asked.plain is not None else self._writer()
        return relay.fail(problem)

    def _patching(self, quirks: Quirks = Quirks()) -> Relay:
        hide_usage = not self._asked.usage_asked
        return PatchStream(
            model=self._asked.model, hide_usage=hide_usage, mint=self._mint, quirks=quirks
        )

    def _writer(self) -> Writer:
        assert self._asked.neutral is not None
        return translate.CLIENTS[self._asked.client].writer(
            self._asked.neutral, self._head, self._mint, self._seal
        )

    def _patched(self, body: bytes, quirks: Quirks, mirror: Mirror | None) -> Whole | None:
        answer = patch_response.decode(body, quirks)
        if answer is None:
            return None

        def told() -> bytes:
            patched = answer.patched(model=self._asked.model, mint=self._mint)
            if mirror:
                patched = mirror.whole(patched, answer.turns)
            if not self._asked.stream:
                return patched
            return patch_response.as_stream(patched, hide_usage=not self._asked.usage_asked)

        return Whole(answer.turns, answer.usage, answer.error, told)

    def _said(self, turns: dict[int, Turn], usage: Usage | None, mirror: Mirror | None) -> bytes:
        assert self._asked.neutral is not None
        if not self._asked.stream:
            body = translate.CLIENTS[self._asked.client].whole(
                turns, usage, self._asked.neutral, self._head, self._mint, self._seal
            )
            return mirror.whole(body, turns) if mirror else body
        writer = self._writer()
        deltas: list[Delta] = [
            delta for choice, turn in turns.items() for delta in deltas_of(turn, choice)
        ]
        deltas += [UsageReport(usage)] if usage else []
        if not mirror:
            return writer.write(deltas) + writer.end()
        told = b"".join(mirror.beside([delta], writer.write([delta])) for delta in deltas)
        return told + mirror.closed() + writer.end()
