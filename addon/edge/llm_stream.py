"""The upstream's half of an LLM call: attempts at one candidate after the other until the
client has its answer.

Here is what a call can do; `llm_phases` says what it does when.
"""

from collections.abc import Callable, Generator, Mapping
from enum import Enum, auto
from functools import partial
from typing import Any

import msgspec
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpLayer
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted as Connected

from addon.admission.problems import gateway_failed
from addon.edge.attempt import Attempt
from addon.edge.coming import Coming
from addon.edge.convert import (
    head_of,
    problem_of,
    request_for,
    response_of,
)
from addon.edge.fast_lane import fast_lane
from addon.edge.plan import LlmCall
from addon.edge.stream import GatewayStream, waits
from addon.edge.upstream_pool import Opening, OpenUpstreamHook, UpstreamPool
from addon.edge.upstream_socket import Destination
from addon.edge.waiting import WaitForStoreHook
from addon.exchange.answer import StreamedAnswer
from addon.exchange.verdict import Reply, UpstreamCall, Verdict
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import error_body

__all__ = (
    "Act",
    "LlmStream",
    "Phase",
    "Step",
    "Table",
    "decide",
    "give_back",
    "go_on_deciding",
    "send",
    "work",
)

KEEP_ALIVE_SECONDS = 10
"""Silence after which the client gets a comment: proxies and libraries give up at 30 s or more."""

RESERVE_SECONDS = 2
"""How long a request waits for the database; then only callers without a quota go on."""

FIRST_RETRY_SECONDS = 0.0005
RESERVE_RETRY_SECONDS = 0.01
"""When it tries again: soon at first, as a batch of the writer is committed within a
millisecond; then more rarely, as a database that stays locked must not cost every request.
"""

PROGRESS_SECONDS = 2
"""How often the books are told what has come of a stream: so much of it a kill may lose."""

HELD_RETRY_SECONDS = 0.1
"""The same for an end that is held back. It only looks, and a while longer is not noticed
after a long one: a quarter of what it has waited, at most this.
"""


class Phase(Enum):
    """How far a call has come."""

    READING = auto()
    """The client's body is coming."""

    OPENING = auto()
    """The body is there and is taken in, slice by slice."""

    RESERVING = auto()
    """The database is busy: what the call may use is to be reserved at the next wake-up."""

    CONNECTING = auto()
    """A connection is being made; mitmproxy holds back every event until it is known how
    that went.
    """

    AWAITING_HEAD = auto()
    COLLECTING = auto()
    """A refusal or an answer that is not streamed is coming."""

    STREAMING = auto()
    HOLDING = auto()
    """A turn that has just ended is not in the database yet: what is said from there on is
    held back, while the upstream goes on.
    """

    ENDING = auto()
    """The answer is there to its end, which is held back for the same reason."""

    DECIDING = auto()
    """What becomes of an attempt that ended is worked out, slice by slice: the next candidate
    may need a body of its own.
    """

    ABORTING = auto()
    """The attempt failed while its answer was coming. The next one follows when the
    connection's end has been reported, lest that be taken for its own.
    """

    RETRYING = auto()
    """The next attempt follows at the wake-up."""

    ANSWERED = auto()
    BROKEN = auto()
    """The client left."""

    __hash__ = object.__hash__  # Enum's own is Python, and each event looks a phase up


type Act = Callable[[LlmStream, Any], CommandGenerator[None]]


class Step(msgspec.Struct, frozen=True):
    """What is done with an event, and the phases in which that may end."""

    act: Act
    leads_to: frozenset[Phase] = frozenset()


type Then = Callable[[LlmStream, Verdict], CommandGenerator[None]]
"""What is done when it is known what becomes of an attempt."""

type Table = Mapping[Phase, Mapping[type[events.Event], Step]]


class Pause(commands.RequestWakeup):
    """Lets others go on. What comes for the stream waits until then: mitmproxy holds back the
    events of a layer whose command blocks.
    """

    blocking = True

    def __init__(self) -> None:
        super().__init__(0)


class Held(msgspec.Struct):
    """What the client gets when the turns whose end it tells are stored."""

    since: float
    """Seconds on the monotonic clock."""

    out: bytes = b""
    """Events of a stream."""

    reply: Reply | None = None
    """The answer, if it is not streamed."""


class LlmStream:
    """One LLM call: its phase, and what its steps have in common."""

    exchange: UpstreamCall
    """There from RESERVING on."""

    attempt: Attempt
    """There from CONNECTING on."""

    answer: StreamedAnswer
    """There while STREAMING, and as long as its end is held back."""

    held: Held
    """There while HOLDING and ENDING."""

    def __init__(self, client: GatewayStream, call: LlmCall, table: Table) -> None:
        self.client = client
        self.plan = call
        self.clock = client.planner.clock
        self.opened_at = client.planner.clock.monotonic()
        self.delivered = False
        """Whether the client has more of an answer than comments: that candidate answers."""

        client.coming = Coming(client.planner, call.owner, call.coding)
        self.phase = Phase.READING
        self._table = table
        self._leads_to: frozenset[Phase] = frozenset()

    def take(self, event: events.Event) -> CommandGenerator[None]:
        """Take an event as the table says."""
        step = self._table[self.phase][type(event)]
        self._leads_to = step.leads_to
        return step.act(self, event)

    def enter(self, phase: Phase) -> None:
        if phase not in self._leads_to:
            raise RuntimeError(f"{self.phase.name} does not lead to {phase.name} here")
        if phase not in (Phase.READING, Phase.OPENING, Phase.DECIDING):
            self.client.coming.leave()
        self.phase = phase

    def reserve(self) -> CommandGenerator[None]:
        """Reserve what the request may use, then connect."""
        self.enter(Phase.RESERVING)
        waited = self.clock.monotonic() - self.opened_at
        if not self.exchange.reserved:
            refusal = self.exchange.reserve(give_up=waited >= RESERVE_SECONDS)
            if refusal is not None:
                yield from self.tell(refusal)
                return
        if self.exchange.reserved:
            yield from self.connect()
        else:
            pause = min(RESERVE_RETRY_SECONDS, FIRST_RETRY_SECONDS + waited)
            yield commands.RequestWakeup(pause)

    def connect(self) -> CommandGenerator[None]:
        """Connect to the current candidate, and as long as that fails to the next ones."""
        self.enter(Phase.CONNECTING)
        while self.phase is Phase.CONNECTING:
            outgoing = self.exchange.outgoing
            wanted = GetHttpConnection((outgoing.host, outgoing.port), outgoing.tls, None, "tcp")
            pool = self.client.planner.pool
            if pool is None:
                self.attempt = Attempt(outgoing, reused=_is_open(self.client, wanted))
                reply = yield wanted
            else:
                self.attempt = Attempt(outgoing, reused=False)
                reply = yield from _take_from(pool, self.attempt)
            yield from self.take(Connected(wanted, reply))

    def deliver(self, out: bytes) -> CommandGenerator[None]:
        """Pass events on; the first that are more than comments settle which candidate answers."""
        answer = self.answer
        if out:
            if answer.started and not self.delivered:
                self.delivered = True
                self.exchange.accepted()
            if answer.done:
                self.settle()
            yield from self.say(out)
        if answer.error is not None:
            yield from self.fail(answer.error)

    def say(self, out: bytes) -> CommandGenerator[None]:
        """Send events of the answer, or hold them back with all that follows while a turn
        whose end they may tell is not stored.
        """
        if self.phase is Phase.HOLDING:
            self.held.out += out
        elif self.exchange.storing.over:
            yield from self.client.say(out, self.attempt.headers)
        else:
            yield from self.hold(Phase.HOLDING, out=out)

    def hold(
        self, phase: Phase, *, out: bytes = b"", reply: Reply | None = None
    ) -> CommandGenerator[None]:
        """Hold this back until the turns are stored."""
        self.enter(phase)
        self.held = Held(self.clock.monotonic(), out, reply)
        yield from self.hold_on()

    def hold_on(self) -> CommandGenerator[None]:
        """Look again later whether the turns are stored."""
        waited = self.clock.monotonic() - self.held.since
        pause = min(HELD_RETRY_SECONDS, FIRST_RETRY_SECONDS + waited / 4)
        yield commands.RequestWakeup(pause)

    def fail(self, error: StreamError) -> CommandGenerator[None]:
        """End an attempt that failed while the upstream was answering."""
        problem = self.exchange.stream_problem(error)
        if self.delivered:
            self.answer.stop()
            self.answer.error = self.answer.error or error
            yield from self.client.abort()
            self.settle()
            yield from self.say(self.exchange.failed_end(problem))
            yield from self.finish()
            return
        body = error_body(self.exchange.candidate.upstream.api, problem)
        told = {"content-type": "application/json"}
        self.attempt.closes = isinstance(self.client.upstream, Server)
        yield from self.client.abort()
        yield from decide(self, lambda: self.exchange.refused(error.status, told, body))

    def conclude(self, verdict: Verdict, again: Phase) -> CommandGenerator[None]:
        """Go on to the next attempt by way of `again`, or tell the client why there is none."""
        if isinstance(verdict, Reply):
            yield from self.tell(verdict)
        elif again is Phase.RETRYING:
            yield from self.retry()
        else:
            self.enter(again)

    def retry(self) -> CommandGenerator[None]:
        """Attempt again as soon as the upstream's connection has come to rest."""
        self.enter(Phase.RETRYING)
        # Sending from inside the event that ends a response would reach a connection that
        # is not ready for it.
        yield commands.RequestWakeup(0)

    def tell(self, reply: Reply) -> CommandGenerator[None]:
        """Answer with a reply, at the end of a stream if one has begun."""
        if not self.client.begun:
            yield from self.client.answer(response_of(reply))
        else:
            end = reply.body
            if reply.status != 200:
                end = self.exchange.failed_end(problem_of(reply))
            yield from self.client.say(end)
            yield from self.client.finish()
        self.end()

    def finish(self) -> CommandGenerator[None]:
        """End the streamed answer, after what is held back of it."""
        if self.phase is Phase.HOLDING:
            self.enter(Phase.ENDING)
        else:
            yield from self.client.finish()
            self.end()

    def failed_end(self) -> bytes:
        return self.exchange.failed_end(gateway_failed())

    def end(self) -> None:
        """Note how the client's half came to its end."""
        self.enter(Phase.BROKEN if self.client.broken else Phase.ANSWERED)

    def late(self, now: float) -> StreamError | None:
        """The error of the deadline that has passed."""
        timeouts = self.exchange.candidate.upstream.timeouts
        return self.attempt.lateness(now, self.opened_at, timeouts)

    def note_progress(self, now: float) -> None:
        """Tell the books now and then what has come of a stream."""
        attempt = self.attempt
        if attempt.heard_at > attempt.noted_at <= now - PROGRESS_SECONDS:
            attempt.noted_at = now
            self.client.planner.note_progress(self.client.flow)

    def settle(self, status: int = 200) -> None:
        """Close the books, before the client can see the end."""
        self.client.planner.settle(self.client.flow, status)

    def is_silent(self, now: float) -> bool:
        """Whether the client is to be told that its stream is alive."""
        return self.exchange.streams and now - self.client.sent_at >= KEEP_ALIVE_SECONDS


class _Lane:
    """A call as the fast lane sees it."""

    def __init__(self, call: LlmStream) -> None:
        self.take = call.take
        self._client = call.client
        self.stream_id = call.client.stream_id

    @property
    def waits(self) -> bool:
        return waits(self._client)


def _take_from(
    pool: UpstreamPool, attempt: Attempt
) -> Generator[commands.Command, Any, tuple[Server, None] | tuple[None, str]]:
    """Find the attempt a connection that is idle, or make one; the reply is what mitmproxy says
    of its own.
    """
    outgoing = attempt.request
    destination = Destination(outgoing.host, outgoing.port, outgoing.tls)
    attempt.socket = pool.take(destination)
    if attempt.socket is None:
        opening = Opening(destination)
        yield OpenUpstreamHook(opening)
        attempt.socket = opening.made
        if attempt.socket is None:
            return None, opening.error
    return attempt.socket.server, None


def send(call: LlmStream, connection: Server) -> CommandGenerator[None]:
    """Send the attempt's request; nothing when the client has left meanwhile, which is about to
    be told.
    """
    client, request, socket = call.client, call.attempt.request, call.attempt.socket
    if socket is None:
        yield from client.send(request_for(request), connection)
    elif client.context.client.connected:
        client.flow.server_conn, client.upstream = connection, socket
        socket.send(
            head_of(request), request.body, fast_lane(_Lane(call), client.context.client.id, socket)
        )
    else:
        give_back(call)


def give_back(call: LlmStream) -> None:
    """Keep a connection on which nothing has been sent, if it is ours."""
    socket, pool = call.attempt.socket, call.client.planner.pool
    if socket is not None and pool is not None:
        pool.keep(socket)


def _conclude(call: LlmStream, verdict: Verdict) -> CommandGenerator[None]:
    again = Phase.ABORTING if call.attempt.closes else Phase.RETRYING
    yield from call.conclude(verdict, again)


def decide(
    call: LlmStream, judge: Callable[[], Verdict], then: Then = _conclude
) -> CommandGenerator[None]:
    """Work out what becomes of an attempt that ended, and `then` go on as it says."""
    call.client.coming.begin(lambda: partial(then, call, judge()))
    yield from go_on_deciding(call)


def go_on_deciding(call: LlmStream) -> CommandGenerator[None]:
    """Work on it for a slice."""
    if not (yield from work(call, Phase.DECIDING)):
        return
    coming = call.client.coming
    try:
        go_on = coming.result()
    finally:
        coming.leave()
    yield from go_on()


def work(call: LlmStream, phase: Phase) -> CommandGenerator[bool]:
    """Work for a slice, and wait for the database when the work does; whether it is done. If not
    it goes on in this phase, as others have gone on.
    """
    coming = call.client.coming
    while not coming.go_on():
        if (awaited := coming.awaited) is None:
            call.enter(phase)
            yield commands.RequestWakeup(0)
            return False
        yield WaitForStoreHook(awaited)
    return True


def _is_open(client: GatewayStream, wanted: GetHttpConnection) -> bool:
    """Whether a connection of an earlier request will be used."""
    layers = client.context.layers
    parent = layers[layers.index(client) - 1]
    return isinstance(parent, HttpLayer) and any(
        wanted.connection_spec_matches(connection) and connection.connected
        for connection in parent.connections
    )
