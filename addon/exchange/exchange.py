"""One request that is open: what is asked of one upstream after the other until the client
has its answer, without a socket.

`outgoing` is the attempt to make. One that fails goes to `unreachable` or `refused`, one
that succeeds to `stream` or `whole`.
"""

from collections.abc import Mapping
from functools import partial

from msgspec.structs import replace

from addon.admission import problems
from addon.exchange.answer import StreamedAnswer
from addon.exchange.arrival import Arrival
from addon.exchange.current_attempt import CurrentAttempt, Prepared
from addon.exchange.estimate import prompt_tokens
from addon.exchange.refusal import FailedAttempts, Refusal, stream_problem
from addon.exchange.upstream_bodies import quirks_of
from addon.exchange.upstream_request import Outgoing, labelled_json, outgoing_to, returned
from addon.exchange.verdict import Reply, Verdict
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem, RequestError, error_body
from addon.formats.neutral.turn import Turn
from addon.formats.wire.inflate import Inflate, Unreadable
from addon.formats.wire.sse import BOM, holds_events
from addon.formats.wire.utf8 import as_utf8
from addon.ledger.meter import Opened
from addon.ledger.outcome import Outcome
from addon.mirror.blocks import new_token
from addon.mirror.stream import Mirror, style_for
from addon.routing.candidates import Candidate
from addon.translation.pair import Answered, ClientRequest, Whole

__all__ = ("Exchange",)


class Exchange:
    """The life of one request from its opening to its outcome."""

    def __init__(self, arrival: Arrival, opened: Opened, prepared: Prepared) -> None:
        self._arrival = arrival
        self._pair = prepared.pair
        self._replay = prepared.replay
        self._current = prepared.current
        self._conversation_id = prepared.conversation_id
        self._failed = FailedAttempts(arrival, prepared.pair.request, prepared.current)
        self.opened = opened
        """How it stands in the books."""

        self._answer: StreamedAnswer | None = None
        self._whole: Whole | None = None
        self._first_byte: float | None = None
        """Seconds until the upstream's answer began."""

        self._error_class = ""
        """Why the client got no answer, in a word; empty when it got one."""

        self.storing = prepared.storing
        """What the end of the answer waits for."""

    @property
    def reserved(self) -> bool:
        """Whether it may be sent: the caller's quota allows it."""
        return self.opened.reserved

    def reserve(self, *, give_up: bool) -> Reply | None:
        """Try again to reserve what it may use; the reply when that is refused, or given up."""
        try:
            self._arrival.services.meter.reserve(self.opened, give_up=give_up)
            if self.reserved:
                self._current.renew()
        except RequestError as error:
            self.opened.reserved = False
            return self._reply(error.problem)
        return None

    @property
    def candidate(self) -> Candidate:
        """What is being tried."""
        return self._current.candidate

    @property
    def outgoing(self) -> Outgoing:
        """The attempt to make now."""
        body = self._current.body.encoded.body
        return outgoing_to(self.candidate, self._arrival.headers, body)

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream."""
        return self._pair.request.stream

    def unreachable(self, why: str) -> Verdict:
        """The upstream could not be reached or broke off before its answer began."""
        return self._concluded(self._failed.unreachable(why))

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """The upstream answered with an error."""
        return self._concluded(self._failed.refused(Refusal(status, headers, body)))

    def stream(self, headers: Mapping[str, str]) -> StreamedAnswer:
        """The upstream begins to stream. Raises Unreadable."""
        answered = self._answered
        self._answer = StreamedAnswer(
            self._pair.relay(answered),
            remember=self._remember,
            whole=partial(self._pair.whole, answered),
            content_encoding=headers.get("content-encoding", ""),
        )
        return self._answer

    def accepted(self) -> None:
        """The upstream took the request: its key works, what it was sent binds, a repair is
        a lesson.
        """
        services = self._arrival.services
        self._first_byte = services.clock.monotonic() - self._arrival.began
        if self._current.accepted():
            services.rests.end(self.candidate.upstream.name, self.candidate.key)

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """The upstream's whole answer, not streamed."""
        try:
            body = Inflate(headers.get("content-encoding", "")).feed(body)
        except Unreadable as error:
            return self._reply(problems.malformed(str(error)))
        body = as_utf8(body).removeprefix(BOM)
        whole = self._pair.whole(self._answered, body)
        if whole is None:
            return self._reply(problems.malformed("the upstream's answer is not a JSON object"))
        if whole.error is not None:
            if holds_events(body):
                body = error_body(self.candidate.upstream.api, self.stream_problem(whole.error))
            return self.refused(whole.error.status, headers, body)
        self._whole = whole
        self.accepted()
        self._remember(whole.turns, complete=True, durable=True)
        if self.streams:  # the upstream does not stream; its client reads nothing else
            return Reply(status, {"content-type": "text/event-stream"}, whole.body())
        return Reply(status, labelled_json(returned(headers)), whole.body())

    def stream_problem(self, error: StreamError) -> Problem:
        """How a failure of a running stream is told."""
        return stream_problem(error, self._current.attempts.tried)

    def failed_end(self, problem: Problem) -> bytes:
        """The end of a running stream that failed, in the client's format."""
        if self._answer is not None:
            return self._answer.fail(problem)
        return self._pair.failed_end(problem)

    def outcome(self) -> Outcome:
        """What the exchange has come to."""
        body, tried, request = self._current.body, self._current.attempts.tried, self._pair.request
        outcome = Outcome(
            entry=self._arrival.entry(request, self._conversation_id, tried),
            error_class=self._error_class,
            restoration=body.restoration,
            tries=tried,
            sent_bytes=self._sent_bytes,
            first_byte=self._first_byte,
            policy=f"{body.profile.name}: {body.restoration.step or body.policy.step}",
            notes=(*body.restoration.notes, *body.encoded.notes),
            messages=request.messages,
        )
        answer, whole = self._answer, self._whole
        if answer is not None:
            trouble = ""
            if answer.error is not None:
                trouble = answer.error.code or "upstream_error"
            return replace(outcome, usage=answer.usage, turns=answer.turns, trouble=trouble)
        if whole is not None:
            return replace(outcome, usage=whole.usage, turns=whole.turns)
        return outcome

    @property
    def _sent_bytes(self) -> int:
        if not self.reserved or self._current.attempts.tried[-1].outcome not in ("", "200"):
            return 0
        return len(self._current.body.encoded.body)

    @property
    def _answered(self) -> Answered:
        return Answered(
            upstream=self.candidate.upstream.api,
            custom=self._current.body.encoded.custom,
            names=self._current.body.encoded.names,
            quirks=quirks_of(self._current.body.profile),
            mirror=self._mirror(),
            prompt_tokens=_prompt_tokens(self._arrival, self._pair.request, self._current),
        )

    def _mirror(self) -> Mirror | None:
        """What shows a client of Chat Completions the reasoning in the content, if anything."""
        services, request = self._arrival.services, self._pair.request
        if self._arrival.endpoint.wire_format != "chat" or request.structured:
            return None
        style = style_for(self._arrival.principal.user, self.candidate.upstream)
        if not style:
            return None
        return Mirror(style, lambda: new_token(services.random(16), services.id_key))

    def _remember(self, turns: dict[int, Turn], *, complete: bool, durable: bool) -> None:
        origin = self._current.body.origin
        self.storing.add(
            *self._replay.remember(turns, complete=complete, durable=durable, origin=origin)
        )

    def _concluded(self, verdict: Verdict) -> Verdict:
        """The verdict, and what it means for the outcome."""
        if isinstance(verdict, Reply):
            self._error_class = verdict.error_class
        else:
            self._answer = None
        return verdict

    def _reply(self, problem: Problem) -> Reply:
        reply = self._arrival.reply(problem)
        self._error_class = reply.error_class
        return reply


def _prompt_tokens(arrival: Arrival, request: ClientRequest, current: CurrentAttempt) -> int:
    """What the first event of a stream of Messages says of the prompt; 0 for other clients."""
    if request.wire_format != "messages" or not request.stream:
        return 0
    ratio = arrival.services.meter.ratio(current.candidate.model)
    return prompt_tokens(request.messages, current.body.encoded.body, ratio)
