"""Clients whose upstream speaks another format: what they say is decoded, adapted and encoded;
so is what comes back.
"""

from functools import partial

from msgspec.structs import replace

from addon.formats import translate
from addon.formats.messages.request import query_of
from addon.formats.neutral.adapt import Raising, lowered, raised
from addon.formats.neutral.deltas import Delta, Finish, StreamError, UsageReport, Words
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Reader, Relay, Writer, deltas_of
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Reasoning, Turn, Usage
from addon.formats.wire import sse
from addon.formats.wire.run import Run
from addon.formats.wire.surrogates import without_lone_surrogates
from addon.mirror.stream import Mirror, Mirroring
from addon.translation.abilities import abilities_of, fit
from addon.translation.call_ids import with_fitting_ids
from addon.translation.effort import tuned, with_effort
from addon.translation.pair import Answered, ClientRequest, Encoded, Identity, Wanted, Whole

__all__ = ("AcrossFormats", "Translating")


class AcrossFormats:
    """Any client over any upstream."""

    def __init__(self, request: ClientRequest, neutral: Request, identity: Identity) -> None:
        self.request = request
        self._neutral = neutral
        self._identity = identity
        self._client = translate.CLIENTS[request.wire_format]

    def body_for(self, wanted: Wanted) -> Encoded:
        wanted = with_fitting_ids(wanted, self.request.messages)
        abilities = abilities_of(wanted)
        restored = translate.restored(self._neutral, wanted.edits)
        request = translate.opened(restored, partial(_usable, wanted.unusable))
        if wanted.effort:
            request = replace(request, thinking=with_effort(request.thinking, wanted.effort))
        fitting = lowered(request, abilities)
        upstream = translate.UPSTREAMS[wanted.upstream.api]
        body = upstream.encode(fitting.request, wanted.model, abilities)
        body = tuned(body, request, wanted)
        if wanted.counts and wanted.upstream.api == "messages":
            body = query_of(body)
        body = without_lone_surrogates(body)
        return fit(
            Encoded(body, fitting.custom, fitting.notes, fitting.names), wanted, self.request
        )

    def relay(self, answered: Answered) -> Relay:
        upstream = translate.UPSTREAMS[answered.upstream].with_quirks(answered.quirks)
        relay = Translating(
            upstream.reader(),
            Raising(answered.custom, answered.names),
            self._writer(answered.prompt_tokens),
            self._client.ping,
        )
        if answered.mirror:
            return Mirroring(relay, answered.mirror)
        return relay

    def whole(self, answered: Answered, body: bytes) -> Whole | None:
        upstream = translate.UPSTREAMS[answered.upstream].with_quirks(answered.quirks)
        answer = upstream.read_whole(body)
        if answer is None:
            return None
        turns = {
            choice: raised(turn, answered.custom, answered.names)
            for choice, turn in answer.turns.items()
        }
        client_body = partial(self._client_body, turns, answer.usage, answered.mirror)
        return Whole(turns, answer.usage, answer.error, client_body)

    def failed_end(self, problem: Problem) -> bytes:
        return self._writer().fail(problem)

    def _writer(self, prompt_tokens: int = 0) -> Writer:
        identity = self._identity
        head = replace(identity.head, prompt_tokens=prompt_tokens)
        return self._client.writer(self._neutral, head, identity.mint, identity.seal)

    def _client_body(
        self, turns: dict[int, Turn], usage: Usage | None, mirror: Mirror | None
    ) -> bytes:
        if self.request.stream:
            return self._client_stream(turns, usage, mirror)
        identity = self._identity
        body = self._client.whole(
            turns, usage, self._neutral, identity.head, identity.mint, identity.seal
        )
        if mirror:
            return mirror.whole(body, turns)
        return body

    def _client_stream(
        self, turns: dict[int, Turn], usage: Usage | None, mirror: Mirror | None
    ) -> bytes:
        """A whole answer for a client that asked for a stream."""
        writer = self._writer()
        # The usage comes first: what begins a stream of Messages has the prompt's count.
        deltas: list[Delta] = [UsageReport(usage)] if usage else []
        for choice, turn in turns.items():
            deltas += deltas_of(turn, choice)
        if not mirror:
            return writer.write(deltas) + writer.end()
        events = b"".join(mirror.beside([delta], writer.write([delta])) for delta in deltas)
        return events + mirror.closed() + writer.end()


def _usable(unusable: frozenset[str], reasoning: Reasoning) -> Reasoning | None:
    """The piece without state that the upstream can't use; None when nothing is left of it."""
    if reasoning.opaque not in unusable:
        return reasoning
    if reasoning.quoted:
        return replace(reasoning, opaque="", carrier="", id="")
    return None


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

    def run(self, raw: bytes, delta: Words, out: bytes) -> Run | None:
        shape = self._reader.shape(raw, delta)
        if shape is None:
            return None
        return self._writer.run(shape, delta, out)

    @property
    def keep_alive(self) -> bytes:
        return self._ping if self._begun else sse.KEEP_ALIVE

    def end(self) -> bytes:
        return self._writer.end()

    def fail(self, problem: Problem) -> bytes:
        return self._writer.fail(problem)
