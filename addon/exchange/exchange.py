"""One request from its headers to settlement, without a socket: decoded, routed, restored,
answered.

`open` takes the body; `outgoing` is the attempt to make. One that fails goes to
`unreachable` or `refused`, which say what the client is told, or nothing when `outgoing`
now is the next attempt. One that succeeds goes to `stream` or `whole`.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec

from addon.admission import problems
from addon.admission.limits import Ticket
from addon.admission.quota import may_use
from addon.exchange.answer import StreamedAnswer
from addon.exchange.compaction import hears_usage, signal
from addon.exchange.conversation_id import conversation_of
from addon.exchange.stored_answers import StoredAnswers
from addon.exchange.upstream_bodies import Made, Making, quirks_of
from addon.exchange.upstream_request import Outgoing, inflated, outgoing_to, returned, without_keys
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem, RequestError, error_body
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.turn import Reasoning, Turn, Usage
from addon.formats.paths import Endpoint
from addon.formats.tolerant.error_body import full_text, message_of
from addon.formats.tolerant.length import refuse_long
from addon.formats.wire.inflate import Inflate, Unreadable
from addon.ledger.meter import Meter, Opened
from addon.ledger.outcome import Outcome
from addon.mirror.blocks import new_token, stripped
from addon.mirror.stream import Mirror, style_for
from addon.recall.lessons import Lessons
from addon.recall.memory import Recall
from addon.recall.replay import Replay
from addon.recall.restore import Restoration
from addon.recall.sealed import Copies
from addon.routing.attempts import Tried
from addon.routing.candidates import Candidate, candidates
from addon.routing.complaints import is_context_overflow
from addon.routing.failover import CONNECT_REST, classify_status
from addon.routing.keyring import Keyring
from addon.translation.pair import Answered, ClientRequest, Identity, Pair
from addon.translation.read import ClientSide, read
from shared.clock import Clock
from shared.config.schema import Snapshot
from shared.model import Principal
from shared.routes import known_models, routes
from shared.security.keys import mask, suffix
from shared.store.ledger import Entry

__all__ = ("Exchange", "Reply", "Services")


class Services(msgspec.Struct, frozen=True):
    """What every exchange works with."""

    recall: Recall
    lessons: Lessons
    keyring: Keyring
    meter: Meter
    answers: StoredAnswers
    clock: Clock
    id_key: bytes
    """Authenticates minted tool-call ids."""

    seal_key: bytes
    """Seals the reasoning that clients carry."""

    random: Callable[[int], bytes]


class Reply(msgspec.Struct, frozen=True):
    """A whole answer for the client."""

    status: int
    headers: dict[str, str]
    body: bytes


class Exchange:
    """The life of one request."""

    def __init__(
        self,
        services: Services,
        snapshot: Snapshot,
        principal: Principal,
        endpoint: Endpoint,
        headers: Mapping[str, str],
    ) -> None:
        self._services = services
        self._snapshot = snapshot
        self._endpoint = endpoint
        self._headers = headers
        self._remaining: list[Candidate] = []
        self._made: Made | None = None
        self._making: Making | None = None
        self._conversation: Replay | None = None
        self._conversation_id = ""
        self._pair: Pair | None = None
        self._copies = Copies(services.seal_key, principal.id)
        self._answer: StreamedAnswer | None = None
        self._usage: Usage | None = None
        self._ticket: Ticket | None = None
        self._turns: dict[int, Turn] = {}
        self._began = services.clock.monotonic()
        self._began_at = services.clock.now_ms()
        self.first_byte: float | None = None
        """Seconds until the upstream's answer began."""

        self.id = services.random(12).hex()
        self.principal = principal
        self.request: ClientRequest | None = None
        self.opened: Opened | None = None
        """How it stands in the books; None when it was refused before."""

        self.error_class = ""
        """Why the client got no answer, in a word; empty when it got one."""

        self.tried: list[Tried] = []

    kept = True
    """Whether it goes into the books."""

    def open(self, body: bytes) -> Reply | None:
        """Decode, route, reserve and restore; `outgoing` is ready then. Raises RequestError.

        A reply stands in for what no upstream has to be asked.
        """
        self._ticket = self._services.meter.admit(self.principal)
        self._read(body, entered=True)
        return None

    def close(self) -> None:
        """Give back what the request holds of its caller's limits, however it has ended."""
        if self._ticket is not None:
            self._services.meter.give_back(self._ticket)

    def _read(self, body: bytes, *, entered: bool = False) -> None:
        """Make the first attempt ready; `entered`: in the books."""
        most = self._snapshot.server.max_messages
        refuse_long(body, most)
        body = stripped(body, self._services.id_key)
        past = self._services.answers.past(self.principal.id, most)
        side = read(self._endpoint, body, self._copies.open, past)
        self.request = request = side.request
        if not may_use(self.principal, request.model):
            raise RequestError(problems.not_allowed(request.model))
        self._remaining = self._candidates(request.model)
        side = side.for_upstreams([one.upstream for one in self._remaining])
        self.request = request = side.request
        self._conversation_id = conversation_of(self.principal.id, self._headers, request)
        if entered:
            self._enter(request, self._remaining[0], len(body))
        self._converse(side)
        self._advance()

    def _enter(self, request: ClientRequest, first: Candidate, size: int) -> None:
        """Open the exchange in the books."""
        assert self._ticket is not None
        self.opened = self._services.meter.open(
            self.principal,
            self.entry(first),
            self._ticket,
            host=first.upstream.host,
            size=size,
            max_tokens=request.max_tokens,
        )
        self._services.meter.reserve(self.opened)

    def _converse(self, side: ClientSide) -> None:
        """Find the replayed turns, and an account that has the state of the latest one."""
        self._conversation = Replay(
            recall=self._services.recall,
            clock=self._services.clock,
            id_key=self._services.id_key,
            random=self._services.random,
            principal_id=self.principal.id,
            messages=side.request.messages,
            has_tools=side.request.has_tools,
        )
        keep = partial(self._services.answers.keep, self.principal.id)
        head = Head(self.id, self._began_at // 1000, side.request.model, keep)
        self._pair = pair = side.pair(Identity(head, self._talk.mint, self._seal))
        services = self._services
        self._making = Making(
            pair,
            self._talk,
            snapshot=self._snapshot,
            lessons=services.lessons,
            recall=services.recall,
            copies=self._copies,
            counts=not self.kept,
        )
        self._remaining = self._making.ordered(self._remaining)

    @property
    def reserved(self) -> bool:
        """Whether the request may be sent: a caller's quota allows it."""
        return self.opened is not None and self.opened.reserved

    def reserve(self, *, give_up: bool) -> Reply | None:
        """Try again to reserve what the request may use; the reply when that is refused, or
        given up.
        """
        assert self.opened is not None
        try:
            self._services.meter.reserve(self.opened, give_up=give_up)
        except RequestError as error:
            return self.reply(error.problem)
        return None

    def entry(self, candidate: Candidate | None = None) -> Entry:
        """What the ledger is told of who asks for what, and of the candidate that would
        answer or answered.
        """
        user, key, request = self.principal.user, self.principal.key, self.request
        tried = candidate or (self.candidate if self.tried else None)
        return Entry(
            exchange=self.id,
            at=self._began_at,
            user_id=user.id if user else None,
            username=user.username if user else "",
            key_id=key.id if key else None,
            key_suffix=self.principal.key_suffix,
            format=self._endpoint.wire_format,
            model=request.model if request else "",
            upstream=tried.upstream.name if tried else "",
            upstream_key=suffix(tried.key) if tried else "",
            upstream_model=tried.model if tried else "",
            streamed=self.streams,
            attempts=len(self.tried),
            conversation=self._conversation_id,
        )

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream."""
        return self.request is not None and self.request.stream

    @property
    def candidate(self) -> Candidate:
        """What is being tried."""
        return self.tried[-1].candidate

    def outcome(self) -> Outcome:
        """What the exchange has come to."""
        made, answer = self._made, self._answer
        working = self.tried and self.tried[-1].outcome in ("", "200") and self.reserved
        trouble = ""
        if answer and answer.error:
            trouble = answer.error.code or "upstream_error"
        return Outcome(
            entry=self.entry(),
            error_class=self.error_class,
            trouble=trouble,
            usage=answer.usage if answer else self._usage,
            turns=answer.turns if answer else self._turns,
            restoration=self._restoration,
            tries=tuple(self.tried),
            sent_bytes=self.made_bytes if working else 0,
            first_byte=self.first_byte,
            policy=f"{made.profile.name}: {made.policy.step}" if made else "",
            notes=made.encoded.notes if made else (),
            messages=self.request.messages if self.request else None,
        )

    @property
    def _restoration(self) -> Restoration | None:
        return self._made.restoration if self._made else None

    @property
    def made_bytes(self) -> int:
        """Bytes of the body that is being tried."""
        return len(self._made.encoded.body) if self._made else 0

    @property
    def outgoing(self) -> Outgoing:
        """The attempt to make now."""
        assert self._made is not None
        return outgoing_to(self.candidate, self._headers, self._made.encoded.body)

    def summary(self) -> Iterator[str]:
        """One line per message: what it holds and how its turn was found; for debugging."""
        if self.request is None:
            return
        found = {one.at: one for one in self._restoration.diagnoses} if self._restoration else {}
        for at, message in enumerate(self.request.messages):
            calls = ",".join(call.name for call in message.calls)
            turn = f" turn={found[at].rule} {found[at].why}" if at in found else ""
            yield (
                f"[{at}] "
                f"{message.role}{' calls=' + calls if calls else ''}{turn.rstrip()}: {message.text}"
            )

    def unreachable(self, why: str) -> Reply | None:
        """The upstream could not be reached or broke off before its answer began."""
        self.tried[-1].outcome = f"({why})"
        self._rest(CONNECT_REST, why)
        if self._next():
            return None
        return self.reply(problems.unreachable(self.candidate.upstream.name, why))

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """The upstream answered with an error."""
        self.tried[-1].outcome = str(status)
        body = inflated(headers, body)
        if self._repair(body):
            return None
        if signalled := self._signal(body):
            return signalled
        failure = classify_status(status, headers, now_epoch=self._services.clock.now_ms() / 1000)
        if failure is not None:
            self._rest(failure.rest, f"it was answered with {status}")
            if self._next():
                return None
        if status in (401, 403) and self.principal.upstream is None:
            return self.reply(self._keys_refused(status, message_of(body)))
        self.error_class = f"upstream_{status}"
        body = self._without_keys(body)
        if _error_shape(self.candidate.upstream.api) != _error_shape(self._endpoint.wire_format):
            return self.reply(problems.told_by_upstream(status, message_of(body)))
        return Reply(self._status(status, "upstream_error"), returned(headers), body)

    def stream(self, headers: Mapping[str, str]) -> StreamedAnswer:
        """The upstream begins to stream. Raises Unreadable."""
        relay = self._said.relay(self._answered)
        self._answer = StreamedAnswer(
            relay, remember=self._remember, content_encoding=headers.get("content-encoding", "")
        )
        return self._answer

    def accepted(self) -> None:
        """The upstream took the request: its key works, what it was sent binds, a repair is
        a lesson.
        """
        assert self._made is not None
        self.tried[-1].outcome = "200"
        self.first_byte = self._services.clock.monotonic() - self._began
        if self._services.keyring.worked(self.candidate.upstream, self.candidate.key):
            self._services.meter.key_works(self.candidate.upstream.name, self.candidate.key)
        self._bodies.accepted(self._made)

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """The upstream's whole answer, not streamed; None as for `refused`."""
        assert self.request is not None
        try:
            body = Inflate(headers.get("content-encoding", "")).feed(body)
        except Unreadable as error:
            return self.reply(problems.malformed(str(error)))
        answer = self._said.whole(self._answered, body)
        if answer is None:
            return self.reply(problems.malformed("the upstream's answer is not a JSON object"))
        if answer.error is not None:
            return self.refused(answer.error.status, headers, body)
        self._usage, self._turns = answer.usage, answer.turns
        self.accepted()
        self._remember(answer.turns, complete=True, durable=True)
        if self.request.stream:  # the upstream does not stream; its client reads nothing else
            return Reply(status, {"content-type": "text/event-stream"}, answer.body())
        return Reply(status, returned(headers), answer.body())

    def reply(self, problem: Problem) -> Reply:
        """What the client is told of a problem, in its format."""
        self.error_class = problem.code
        headers = {"content-type": "application/json"}
        if problem.retry_after:
            headers["retry-after"] = problem.retry_after
        if problem.code == "insufficient_quota":
            headers["x-should-retry"] = "false"  # OpenAI's and Anthropic's libraries heed it
        status = self._status(problem.status, problem.code)
        return Reply(status, headers, error_body(self._endpoint.wire_format, problem))

    def stream_problem(self, error: StreamError) -> Problem:
        """How a failure of a running stream is told."""
        message = self._without_keys(error.message.encode(errors="replace")).decode()
        return Problem(
            status=error.status,
            message=message,
            code=error.code or "upstream_error",
            type="upstream_error",
        )

    def failed_end(self, problem: Problem) -> bytes:
        """The end of a running stream that failed, in the client's format."""
        return self._answer.fail(problem) if self._answer else self._said.failed_end(problem)

    @property
    def _said(self) -> Pair:
        assert self._pair is not None
        return self._pair

    @property
    def _answered(self) -> Answered:
        assert self._made is not None
        return Answered(
            upstream=self.candidate.upstream.api,
            custom=self._made.encoded.custom,
            quirks=quirks_of(self._made.profile),
            mirror=self._mirror,
        )

    @property
    def _bodies(self) -> Making:
        assert self._making is not None
        return self._making

    @property
    def _talk(self) -> Replay:
        assert self._conversation is not None
        return self._conversation

    @property
    def _mirror(self) -> Mirror | None:
        services, request = self._services, self.request
        shows = (
            self._endpoint.wire_format == "chat" and request is not None and not request.structured
        )
        style = style_for(self.principal.user, self.candidate.upstream) if shows else None
        return (
            Mirror(style, lambda: new_token(services.random(16), services.id_key))
            if style
            else None
        )

    def _signal(self, body: bytes) -> Reply | None:
        """What makes Cursor summarise a conversation that is too long, where that is wanted."""
        assert self.request is not None
        wanted = self.candidate.upstream.compact_signal and hears_usage(self.request)
        if not wanted or not is_context_overflow(full_text(body)):
            return None
        self.error_class = "context_overflow"
        return Reply(200, *signal(self.request, self.id, self._began_at // 1000))

    def _candidates(self, model: str) -> list[Candidate]:
        upstreams = self._snapshot.upstreams
        if not upstreams:
            raise RequestError(problems.no_upstream())
        found = candidates(
            routes(upstreams, model, self._snapshot.tiers),
            self._services.keyring,
            self.principal,
            self._services.clock.monotonic(),
        )
        if not found:
            raise RequestError(problems.unknown_model(model, known_models(upstreams)))
        return list(found)

    def _advance(self) -> None:
        """Make the next candidate the current one; its body is made anew only when it
        differs from the last one's.
        """
        candidate = self._remaining.pop(0)
        self.tried.append(Tried(candidate))
        self._answer = None
        self._made = self._bodies.make(candidate, self._made)

    def _next(self) -> bool:
        """Move on to the next candidate; False when there is none that would take the request."""
        while self._remaining:
            try:
                self._advance()
            except RequestError:
                # Its profile rejects what is not known; what the upstream before it said is told.
                self.tried.pop()
                continue
            return True
        return False

    def _seal(self, reasoning: Reasoning) -> str:
        assert self._made is not None
        return self._copies.seal(reasoning, self._made.origin)

    def _remember(self, turns: dict[int, Turn], *, complete: bool, durable: bool) -> None:
        assert self._made is not None
        self._talk.remember(turns, complete=complete, durable=durable, origin=self._made.origin)

    def _repair(self, body: bytes) -> bool:
        """Try the same candidate once more when what it says of the request can be mended."""
        assert self._made is not None
        made = self._bodies.mended(self.candidate, self._made, full_text(body))
        if made is None:
            return False
        self._made, self._answer = made, None
        self.tried.append(Tried(self.candidate))
        return True

    def _rest(self, seconds: float, why: str) -> None:
        until = self._services.clock.monotonic() + seconds
        self._services.keyring.failed(self.candidate.upstream, self.candidate.key, until)
        self._services.meter.key_rests(
            self.candidate.upstream.name, self.candidate.key, seconds, why
        )

    def _status(self, status: int, code: str) -> int:
        return problems.status_for(status, code, self._headers.get("user-agent", ""))

    def _keys_refused(self, status: int, message: str) -> Problem:
        name = self.candidate.upstream.name
        keys = (one.candidate.key for one in self.tried if one.candidate.upstream.name == name)
        tried = ", ".join(dict.fromkeys(map(mask, keys)))
        message = self._without_keys(message.encode(errors="replace")).decode()
        return problems.keys_refused(name, tried, status, message)

    def _without_keys(self, body: bytes) -> bytes:
        return without_keys(body, (one.candidate for one in self.tried))


def _error_shape(wire_format: str) -> str:
    """Chat Completions and Responses tell errors in the same shape."""
    return "chat" if wire_format == "responses" else wire_format
