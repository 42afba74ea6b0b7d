"""The phases of an LLM call as a table, in the manner of h11's `_state.py`.

For each phase and each event `TABLE` says which step takes the event and to which phases
that may lead, or that the event is ignored or refused. Nothing else decides what an event
means.
"""

import logging
from collections.abc import Mapping

from mitmproxy.connection import Server
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted as Connected
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)

from addon.admission.problems import damaged, gateway_stopped, too_large
from addon.edge.convert import connect_words, failure, header_map
from addon.edge.http1 import Tick
from addon.edge.llm_stream import (
    Act,
    LlmStream,
    Pause,
    Phase,
    Step,
    Table,
    decide,
    give_back,
    go_on_deciding,
    send,
    work,
)
from addon.edge.stream import CutOff, behind
from addon.exchange.verdict import Reply, UpstreamCall, Verdict
from addon.formats.neutral.deltas import StreamError
from addon.formats.wire.inflate import TooLarge, Unreadable
from addon.formats.wire.sse import KEEP_ALIVE

__all__ = ("EVENTS", "IGNORED", "REFUSED", "TABLE")

LINGER_SECONDS = 1
"""What an upstream gets to close its answer after it has announced the end."""

MOST_BEHIND = 64
"""Reads of 64 KiB that may wait while the one before is passed on. Only one that was compressed
takes so long: that many are more text than any model writes.
"""

_TOO_FAST = StreamError(
    "The upstream's compressed answer grows beyond all measure.", code="upstream_malformed"
)
_log = logging.getLogger("thinkback.stream")


# -- the request -----------------------------------------------------------------------------------


def _read_body(call: LlmStream, event: RequestData) -> CommandGenerator[None]:
    coming, most = call.client.coming, call.plan.max_body
    try:
        room = coming.add(event.data, most)
    except TooLarge:
        yield from call.tell(call.plan.intake.reply(too_large(most)))
    except Unreadable:
        yield from call.tell(call.plan.intake.reply(damaged(call.plan.coding)))
    else:
        if coming.size > most:
            yield from call.tell(call.plan.intake.reply(too_large(most)))
        elif not room:
            yield from _make_way(call)


def _make_way(call: LlmStream) -> CommandGenerator[None]:
    """End a call whose body has no room."""
    yield from call.tell(call.plan.intake.reply(call.client.coming.problem))


def _watch_reading(call: LlmStream, event: Tick) -> CommandGenerator[None]:
    if call.client.coming.lost:
        yield from _make_way(call)


def _open(call: LlmStream, event: RequestEndOfMessage) -> CommandGenerator[None]:
    call.opened_at = call.clock.monotonic()
    if call.client.coming.lost:
        yield from _make_way(call)
    elif (yield from call.client.complete()):
        yield from _begin_opening(call, call.client.flow.request.raw_content or b"")
    else:
        call.end()


def _begin_opening(call: LlmStream, body: bytes) -> CommandGenerator[None]:
    call.client.coming.begin(lambda: call.plan.intake.open(body))
    yield from _take_in(call)


def _go_on_opening(call: LlmStream, event: events.Wakeup) -> CommandGenerator[None]:
    yield from _take_in(call)


def _take_in(call: LlmStream) -> CommandGenerator[None]:
    """Work for a slice; then let others go on, or go on with what the body has come to."""
    call.enter(Phase.OPENING)
    if not (yield from work(call, Phase.OPENING)):
        return
    opened = _opened(call)
    call.client.planner.note_opened(call.client.flow, call.plan)
    if isinstance(opened, Reply):
        yield from call.tell(opened)
    else:
        call.exchange = opened
        yield from call.reserve()


def _opened(call: LlmStream) -> UpstreamCall | Reply:
    try:
        opened: UpstreamCall | Reply = call.client.coming.result()
    except Exception as error:
        return call.plan.intake.reply(failure(error, _log, "a body could not be taken in"))
    return opened


def _reserve(call: LlmStream, event: events.Wakeup) -> CommandGenerator[None]:
    yield from call.reserve()


# -- attempts --------------------------------------------------------------------------------------


def _connect(call: LlmStream, event: events.Wakeup) -> CommandGenerator[None]:
    yield from call.connect()


def _send(call: LlmStream, event: Connected) -> CommandGenerator[None]:
    connection, error = event.reply
    if (yield from call.client.check_killed(True)):
        give_back(call)
        call.end()
    elif isinstance(connection, Server):
        call.attempt.sent_at = call.attempt.heard_at = call.clock.monotonic()
        call.enter(Phase.AWAITING_HEAD)
        yield from send(call, connection)
    else:
        why = connect_words(error or "")
        yield from decide(call, lambda: call.exchange.unreachable(why), _try_next)


def _try_next(call: LlmStream, verdict: Verdict) -> CommandGenerator[None]:
    """Go on after a connection that failed: at once, unless others went on meanwhile."""
    at_once = call.phase is Phase.CONNECTING
    yield from call.conclude(verdict, Phase.CONNECTING if at_once else Phase.RETRYING)


def _read_head(call: LlmStream, event: ResponseHeaders) -> CommandGenerator[None]:
    attempt = call.attempt
    attempt.heard_at = call.clock.monotonic()
    attempt.status = event.response.status_code
    attempt.headers = header_map(event.response.headers)
    error = attempt.head_fault()
    if error is not None:
        yield from call.fail(error)
    elif not (call.exchange.streams and attempt.is_stream):
        attempt.collect()
        call.enter(Phase.COLLECTING)
    else:
        yield from _stream(call)


def _stream(call: LlmStream) -> CommandGenerator[None]:
    try:
        call.answer = call.exchange.stream(call.attempt.headers)
    except Unreadable as unreadable:
        yield from call.fail(StreamError(f"{unreadable}.", code="upstream_malformed"))
    else:
        call.enter(Phase.STREAMING)


def _end_abort(
    call: LlmStream, event: ResponseEndOfMessage | ResponseProtocolError
) -> CommandGenerator[None]:
    yield from call.retry()


def _lose_before_head(call: LlmStream, event: ResponseProtocolError) -> CommandGenerator[None]:
    if not call.attempt.is_stale:
        yield from _lose(call, event)
        return
    call.client.upstream = None
    yield from call.retry()


def _lose(call: LlmStream, event: ResponseProtocolError) -> CommandGenerator[None]:
    call.client.upstream = None
    yield from decide(call, lambda: call.exchange.unreachable("it closed the connection"))


def _go_on_deciding(call: LlmStream, event: events.Wakeup) -> CommandGenerator[None]:
    yield from go_on_deciding(call)


def _note_close(
    call: LlmStream, event: ResponseEndOfMessage | ResponseProtocolError
) -> CommandGenerator[None]:
    call.attempt.closes = False
    yield from ()


# -- answers ---------------------------------------------------------------------------------------


def _collect(call: LlmStream, event: ResponseData) -> CommandGenerator[None]:
    call.attempt.heard_at = call.clock.monotonic()
    error = call.attempt.add(event.data)
    if error is not None:
        yield from call.fail(error)
    elif call.exchange.streams and call.attempt.begins_stream(event.data):
        yield from _stream(call)
        yield from _pass_on(call, event.data)


def _judge(call: LlmStream, event: ResponseEndOfMessage) -> CommandGenerator[None]:
    call.client.upstream = None
    attempt = call.attempt
    judge = call.exchange.whole if attempt.succeeded else call.exchange.refused
    answer = attempt.status, attempt.headers, bytes(attempt.body)
    yield from decide(call, lambda: judge(*answer), _answer)


def _answer(call: LlmStream, verdict: Verdict) -> CommandGenerator[None]:
    """Tell the client when its turns are stored, or go on to the next attempt."""
    if isinstance(verdict, Reply):
        call.settle(verdict.status)
    if isinstance(verdict, Reply) and not call.exchange.storing.over:
        yield from call.hold(Phase.ENDING, reply=verdict)
    else:
        yield from call.conclude(verdict, Phase.RETRYING)


def _relay(call: LlmStream, event: ResponseData) -> CommandGenerator[None]:
    call.attempt.heard_at = call.clock.monotonic()
    return _pass_on(call, event.data)


def _pass_on(call: LlmStream, received: bytes) -> CommandGenerator[None]:
    """Pass on what has come of a stream, and let others go on between its pieces."""
    pieces = call.answer.pieces(received)
    yield from call.deliver(next(pieces, b""))
    for out in pieces:
        yield Pause()
        if call.phase not in (Phase.STREAMING, Phase.HOLDING):
            return
        if behind(call.client) > MOST_BEHIND:
            yield from call.fail(_TOO_FAST)
            return
        yield from call.deliver(out)


def _end_stream(
    call: LlmStream, event: ResponseEndOfMessage | ResponseProtocolError
) -> CommandGenerator[None]:
    call.client.upstream = None
    out = call.answer.end()
    if call.answer.error is None:
        call.settle()
    yield from call.deliver(out)
    if call.answer.error is None:
        yield from call.finish()


def _cut_stream(call: LlmStream, event: ResponseProtocolError) -> CommandGenerator[None]:
    if call.delivered:
        return _end_stream(call, event)
    return _lose(call, event)


# -- turns that are not stored yet -----------------------------------------------------------------


def _go_on(call: LlmStream, event: events.Wakeup) -> CommandGenerator[None]:
    if call.exchange.storing.over:
        call.enter(Phase.STREAMING)
        yield from call.say(call.held.out)
    else:
        yield from call.hold_on()


def _end_held(call: LlmStream, event: events.Wakeup) -> CommandGenerator[None]:
    if not call.exchange.storing.over:
        yield from call.hold_on()
    elif call.held.reply is not None:
        yield from call.tell(call.held.reply)
    else:
        yield from call.client.say(call.held.out, call.attempt.headers)
        yield from call.finish()


# -- time and trouble ------------------------------------------------------------------------------


def _watch_for_head(call: LlmStream, event: Tick) -> CommandGenerator[None]:
    now = call.clock.monotonic()
    error = call.late(now)
    if error is not None:
        yield from call.fail(error)
    elif call.is_silent(now):
        yield from call.client.say(KEEP_ALIVE)


def _watch_body(call: LlmStream, event: Tick) -> CommandGenerator[None]:
    error = call.late(call.clock.monotonic())
    if error is not None:
        yield from call.fail(error)


def _watch_stream(call: LlmStream, event: Tick) -> CommandGenerator[None]:
    now = call.clock.monotonic()
    if call.answer.done:
        if now - call.attempt.heard_at >= LINGER_SECONDS:
            yield from call.client.abort()
            yield from call.finish()
        return
    error = call.late(now)
    if error is not None:
        yield from call.fail(error)
        return
    call.note_progress(now)
    if call.is_silent(now):
        yield from call.client.say(call.answer.keep_alive, call.attempt.headers)


def _leave(call: LlmStream, event: RequestProtocolError) -> CommandGenerator[None]:
    call.enter(Phase.BROKEN)
    yield from call.client.leave(event.message)


def _leave_stream(call: LlmStream, event: RequestProtocolError) -> CommandGenerator[None]:
    call.answer.stop()
    yield from _leave(call, event)


def _cut_off(call: LlmStream, event: CutOff) -> CommandGenerator[None]:
    yield from call.client.abort()
    problem = gateway_stopped()
    reply = call.plan.intake.reply(problem)
    if call.client.begun:
        yield from call.client.say(call.exchange.failed_end(problem))
        yield from call.client.finish()
        call.end()
    else:
        yield from call.tell(reply)


def _cut_off_stream(call: LlmStream, event: CutOff) -> CommandGenerator[None]:
    if call.answer.done:
        yield from call.client.abort()
        yield from call.finish()
    else:
        call.answer.stop()
        yield from _cut_off(call, event)


def _ignore(call: LlmStream, event: events.Event) -> CommandGenerator[None]:
    yield from ()


def _refuse(call: LlmStream, event: events.Event) -> CommandGenerator[None]:
    raise RuntimeError(f"{type(event).__name__} while {call.phase.name}")


# -- what happens when -----------------------------------------------------------------------------

EVENTS = (
    RequestHeaders,
    RequestData,
    RequestTrailers,
    RequestEndOfMessage,
    RequestProtocolError,
    Connected,
    ResponseHeaders,
    ResponseData,
    ResponseTrailers,
    ResponseEndOfMessage,
    ResponseProtocolError,
    events.Wakeup,
    Tick,
    CutOff,
)
"""All that a call may be given."""

IGNORED = Step(_ignore)
"""What may come and means nothing any more, or nothing here."""

REFUSED = Step(_refuse)
"""What can't come unless we or mitmproxy err: the connection ends with an error."""


def _step(act: Act, *phases: Phase) -> Step:
    return Step(act, frozenset(phases))


_P = Phase
_ENDS = (_P.ANSWERED, _P.BROKEN)
_OPENS = (_P.OPENING, _P.RESERVING, _P.CONNECTING, *_ENDS)
_RETRIES = (_P.DECIDING, _P.RETRYING, *_ENDS)
_FAILS = (_P.DECIDING, _P.ABORTING, *_ENDS)
_HOLDS = (_P.HOLDING, _P.ENDING)
# While a connection is made, too, mitmproxy reports these, but holds them back until then.
_ALWAYS = {
    RequestProtocolError: _step(_leave, _P.BROKEN),
    CutOff: _step(_cut_off, *_ENDS),
    Tick: IGNORED,
}
# What still comes of a body that was answered before its end.
_OF_THE_BODY = dict.fromkeys((RequestData, RequestTrailers, RequestEndOfMessage), IGNORED)
# What comes while the upstream streams, whether or not the client is given it at once.
_OF_A_STREAM = {
    RequestProtocolError: _step(_leave_stream, _P.BROKEN),
    ResponseData: _step(_relay, *_HOLDS, *_FAILS),
    ResponseTrailers: IGNORED,
    ResponseEndOfMessage: _step(_end_stream, *_HOLDS, *_RETRIES),
    ResponseProtocolError: _step(_cut_stream, *_HOLDS, *_RETRIES),
    Tick: _step(_watch_stream, *_HOLDS, *_FAILS),
}
# What mitmproxy had queued or read of a connection that is closed or done by now.
_OF_THE_LAST_ATTEMPT = dict.fromkeys(
    (ResponseHeaders, ResponseData, ResponseTrailers, ResponseEndOfMessage, ResponseProtocolError),
    IGNORED,
)
# What has an end already, which the client is about to get or has got.
_ENDED = {CutOff: IGNORED}
_OVER = _ALWAYS | _OF_THE_BODY | _OF_THE_LAST_ATTEMPT | _ENDED | {events.Wakeup: IGNORED}

_ROWS: Mapping[Phase, Mapping[type[events.Event], Step]] = {
    _P.READING: _ALWAYS
    | {
        RequestHeaders: IGNORED,  # it was planned by them
        RequestData: _step(_read_body, *_ENDS),
        RequestTrailers: IGNORED,
        RequestEndOfMessage: _step(_open, *_OPENS),
        Tick: _step(_watch_reading, *_ENDS),
    },
    _P.OPENING: _ALWAYS | {events.Wakeup: _step(_go_on_opening, *_OPENS)},
    _P.RESERVING: _ALWAYS | {events.Wakeup: _step(_reserve, _P.RESERVING, _P.CONNECTING, *_ENDS)},
    _P.CONNECTING: {
        Connected: _step(_send, _P.AWAITING_HEAD, _P.DECIDING, _P.CONNECTING, *_ENDS),
    },
    _P.AWAITING_HEAD: _ALWAYS
    | {
        ResponseHeaders: _step(_read_head, _P.COLLECTING, _P.STREAMING, *_FAILS),
        ResponseProtocolError: _step(_lose_before_head, *_RETRIES),
        Tick: _step(_watch_for_head, *_FAILS),
    },
    _P.COLLECTING: _ALWAYS
    | {
        ResponseData: _step(_collect, _P.STREAMING, *_HOLDS, *_FAILS),
        ResponseTrailers: IGNORED,
        ResponseEndOfMessage: _step(_judge, _P.ENDING, *_RETRIES),
        ResponseProtocolError: _step(_lose, *_RETRIES),
        Tick: _step(_watch_body, *_FAILS),
    },
    _P.STREAMING: _ALWAYS | _OF_A_STREAM | {CutOff: _step(_cut_off_stream, *_ENDS)},
    _P.HOLDING: _ALWAYS | _OF_A_STREAM | _ENDED | {events.Wakeup: _step(_go_on, _P.STREAMING)},
    _P.ENDING: _ALWAYS | _OF_THE_LAST_ATTEMPT | _ENDED | {events.Wakeup: _step(_end_held, *_ENDS)},
    _P.DECIDING: _ALWAYS
    | _OF_THE_LAST_ATTEMPT
    | {
        ResponseEndOfMessage: _step(_note_close),
        ResponseProtocolError: _step(_note_close),
        events.Wakeup: _step(_go_on_deciding, _P.ENDING, _P.ABORTING, *_RETRIES),
    },
    _P.ABORTING: _ALWAYS
    | _OF_THE_LAST_ATTEMPT
    | {
        ResponseEndOfMessage: _step(_end_abort, _P.RETRYING),
        ResponseProtocolError: _step(_end_abort, _P.RETRYING),
    },
    _P.RETRYING: _ALWAYS | _OF_THE_LAST_ATTEMPT | {events.Wakeup: _step(_connect, _P.CONNECTING)},
    _P.ANSWERED: _OVER,
    _P.BROKEN: _OVER,
}

TABLE: Table = {
    phase: {event: row.get(event, REFUSED) for event in EVENTS} for phase, row in _ROWS.items()
}
"""All pairs; what a row does not name is refused."""
