"""How a request comes in: its headers first, then its body, from which all is made that an
upstream is asked with.
"""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from addon.admission import problems
from addon.admission.quota import may_use
from addon.exchange.arrival import Arrival
from addon.exchange.conversation_id import conversation_of
from addon.exchange.count_tokens import CountTokens
from addon.exchange.current_attempt import CurrentAttempt, Prepared
from addon.exchange.exchange import Exchange
from addon.exchange.services import Services
from addon.exchange.upstream_bodies import UpstreamBodies
from addon.exchange.verdict import Reply, UpstreamCall
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.protocols import Head, Keep
from addon.formats.neutral.request import Request, malformed
from addon.formats.paths import Endpoint
from addon.formats.responses.request import LEAST_LIMIT
from addon.formats.tolerant.length import cut_unless_long
from addon.formats.wire.pace import breathe
from addon.formats.wire.pieces import Cut
from addon.formats.wire.splice import MalformedJson
from addon.ledger.limiter import Ticket
from addon.ledger.meter import Opened
from addon.ledger.outcome import Outcome
from addon.mirror.blocks import has_marks, stripped
from addon.recall.commits import Commit, Storing
from addon.recall.replay import Replay
from addon.recall.sealed import Copies
from addon.routing.attempts import Attempts, Tried
from addon.routing.candidates import Candidate, candidates
from addon.translation.pair import ClientRequest, Identity
from addon.translation.read import ClientSide, read
from shared.config.schema import Snapshot
from shared.model import Principal
from shared.periods import day_of
from shared.routes import known_models, routes
from shared.store.lookup import Found, PriceWanted

__all__ = ("Intake",)


class _Understood(msgspec.Struct, frozen=True):
    """What a body asks for, and who could answer."""

    side: ClientSide
    candidates: list[Candidate]
    copies: Copies
    replay: Replay
    size: int
    """Bytes of the body."""


class Intake:
    """A request from its headers on; once its body has come it is an upstream's call."""

    def __init__(
        self,
        services: Services,
        snapshot: Snapshot,
        principal: Principal,
        endpoint: Endpoint,
        headers: Mapping[str, str],
    ) -> None:
        self._arrival = Arrival(
            services=services,
            snapshot=snapshot,
            principal=principal,
            endpoint=endpoint,
            headers=headers,
            id=services.random(12).hex(),
            at=services.clock.now_ms(),
            began=services.clock.monotonic(),
        )
        self._ticket: Ticket | None = None
        self._attempts = Attempts((), services.keyring)
        self._conversation_id = ""
        self._error_class = ""
        self.request: ClientRequest | None = None
        """None as long as it was not understood."""

        self.opened: Opened | None = None
        """How it stands in the books; None when it is in none."""

        self.call: UpstreamCall | None = None
        """None when no upstream is asked."""

    @property
    def id(self) -> str:
        """The exchange's name in the books."""
        return self._arrival.id

    @property
    def kept(self) -> bool:
        """Whether it goes into the books."""
        return self._arrival.endpoint.kind not in ("count_tokens", "input_tokens")

    def admit(self) -> Reply | None:
        """Let the request in by its head, before its body is read; the reply when a limit of
        its caller does not, or a quota or budget is spent.
        """
        try:
            self._admit()
        except RequestError as error:
            return self.reply(error.problem)
        return None

    def open(self, body: bytes) -> UpstreamCall | Reply:
        """Read the body, without its Content-Encoding, and make what asks an upstream for it;
        the reply when none is to be asked.
        """
        try:
            return self._open(body)
        except RequestError as error:
            return self.reply(error.problem)
        except MalformedJson as error:  # within a member, which is read when somebody asks for it
            return self.reply(malformed(error).problem)

    def reply(self, problem: Problem) -> Reply:
        """What the client is told of a problem, in its format."""
        reply = self._arrival.reply(problem)
        self._error_class = reply.error_class
        return reply

    def outcome(self) -> Outcome:
        """What the request has come to."""
        if self.call is not None:
            outcome = self.call.outcome()
            return replace(outcome, error_class=self._error_class or outcome.error_class)
        return Outcome(
            entry=self._arrival.entry(self.request, self._conversation_id, self._attempts.tried),
            error_class=self._error_class,
            tries=self._attempts.tried,
            messages=self.request.messages if self.request else None,
        )

    def wait_for(self, commit: Commit | None) -> None:
        """Let the end of the answer wait for this too; None has been made."""
        if self.call is not None:
            self.call.storing.add(commit)

    def close(self) -> None:
        """Give back what the request holds of its caller's limits, however it has ended, close
        it in the books unless that is done, and let go of all that was made of it.
        """
        self.call = self.request = None
        meter = self._arrival.services.meter
        try:
            if self.opened is not None:
                meter.settle_untold(self.opened)
        finally:
            if self._ticket is not None:
                meter.give_back(self._ticket)

    def _admit(self) -> Ticket:
        meter, principal = self._arrival.services.meter, self._arrival.principal
        if self._ticket is None:
            self._ticket = meter.admit(principal)
            meter.refuse_spent(principal)
        else:
            meter.begin(self._ticket)
        return self._ticket

    def _open(self, body: bytes) -> UpstreamCall | Reply:
        arrival, meter = self._arrival, self._arrival.services.meter
        ticket = self._admit()
        understood = self._understand(body)
        found = self._look_up(understood)
        if not self.kept:
            count = self.call = CountTokens(arrival, ticket, self._prepare(understood))
            return count.estimate_unless_counted() or count
        opened = self.opened = self._enter(understood, found, ticket)
        meter.reserve(opened)
        self.call = Exchange(arrival, opened, self._prepare(understood))
        return self.call

    def _understand(self, body: bytes) -> _Understood:
        arrival, services = self._arrival, self._arrival.services
        most = arrival.snapshot.server.max_messages
        body, cut = _taken_apart(body, most, services)
        breathe()
        copies = Copies(services.seal_key, arrival.principal.id, services.retired_seal_keys)
        past = services.answers.past(arrival.principal.id, most)
        side = read(arrival.endpoint, body, copies.open, past, cut)
        self.request = side.request
        found = _candidates(arrival, side.request.model)
        side = side.for_upstreams([candidate.upstream for candidate in found])
        self.request = request = side.request
        self._conversation_id = conversation_of(arrival.principal.id, arrival.headers, request)
        replay = Replay(
            recall=services.recall,
            clock=services.clock,
            id_key=services.id_key,
            random=services.random,
            principal_id=arrival.principal.id,
            messages=request.messages,
            has_tools=request.has_tools,
            conversation=self._conversation_id,
        )
        return _Understood(side, found, copies, replay, len(body))

    def _look_up(self, understood: _Understood) -> Found:
        """Ask the store for all that is known to be needed of it: what the first candidate
        costs, and the turns that the messages name. Look-alikes are looked up once it is
        known which turns have no name.
        """
        arrival, first = self._arrival, understood.candidates[0]
        profile = arrival.snapshot.profile_of(first.upstream, first.model)
        price = PriceWanted(
            upstream=first.upstream.name,
            host=first.upstream.host,
            model=first.model,
            day=day_of(arrival.at),
        )
        wanted = understood.replay.wanted(profile)
        found = arrival.services.look_up(replace(wanted, price=price, ratio=first.model))
        understood.replay.take(found)
        return found

    def _enter(self, understood: _Understood, found: Found, ticket: Ticket) -> Opened:
        """Open the exchange in the books, as if its first candidate were to answer."""
        arrival, first = self._arrival, understood.candidates[0]
        request = understood.side.request
        entry = arrival.entry(request, self._conversation_id, (Tried(first),))
        return arrival.services.meter.open(
            arrival.principal,
            entry,
            ticket,
            found,
            size=understood.size,
            max_tokens=request.max_tokens,
            choices=request.choices,
            least=_least_limit(understood.candidates),
            candidates=understood.candidates,
        )

    def _longest(self, candidate: Candidate) -> int | None:
        """The most tokens that a candidate's answer may have. Raises RequestError."""
        if self.opened is None:
            return None
        return self.opened.longest(candidate)

    def _prepare(self, understood: _Understood) -> Prepared:
        """Find the replayed turns, and make the first attempt: at an account that has the
        state of the latest turn, if there is one.
        """
        arrival, services, request = self._arrival, self._arrival.services, understood.side.request
        replay, storing = understood.replay, Storing()
        keep = _keep_for(arrival, storing)
        head = Head(arrival.id, arrival.at // 1000, request.model, keep)
        pair = understood.side.pair(Identity(head, replay.mint, understood.copies.seal))
        bodies = UpstreamBodies(
            pair,
            replay,
            snapshot=arrival.snapshot,
            lessons=services.lessons,
            recall=services.recall,
            copies=understood.copies,
            at=arrival.at,
            counts=not self.kept,
            longest=self._longest,
        )
        ordered = bodies.ordered(understood.candidates)
        if self.opened is not None:
            ordered = list(filter(self.opened.affords, ordered))
        self._attempts = Attempts(ordered, services.keyring)
        return Prepared(
            pair=pair,
            replay=replay,
            current=CurrentAttempt(self._attempts, bodies),
            conversation_id=self._conversation_id,
            storing=storing,
        )


def _taken_apart(body: bytes, most: int, services: Services) -> tuple[bytes, Cut | None]:
    """The body without the reasoning that was shown, and in pieces, if it can be cut so. Raises
    RequestError for more than `most` messages.
    """
    cut = cut_unless_long(body, most, services.pieces)
    breathe()
    if cut is not None and not has_marks(cut):
        return body, cut
    bare = stripped(body, services.id_key)
    if bare is not body and cut is not None:
        cut = services.pieces.cut(services.pieces.begin(bare))
    return bare, cut


def _keep_for(arrival: Arrival, storing: Storing) -> Keep:
    """What stores answers for the caller; the end of each waits for that."""

    def keep(request: Request, answer_id: str, response: bytes) -> None:
        answers = arrival.services.answers
        storing.add(answers.keep(arrival.principal.id, request, answer_id, response))

    return keep


def _least_limit(candidates: list[Candidate]) -> int:
    """The lowest limit of an answer's tokens that all of them take."""
    if any(one.upstream.api == "responses" for one in candidates):
        return LEAST_LIMIT
    return 1


def _candidates(arrival: Arrival, model: str) -> list[Candidate]:
    """What could answer, in the order in which it is tried. Raises RequestError."""
    if not may_use(arrival.principal, model):
        raise RequestError(problems.not_allowed(model))
    snapshot, services = arrival.snapshot, arrival.services
    if not snapshot.upstreams:
        raise RequestError(problems.no_upstream())
    found = candidates(
        routes(snapshot.upstreams, model, snapshot.tiers),
        services.keyring,
        arrival.principal,
        services.clock.monotonic(),
    )
    if not found:
        raise RequestError(problems.unknown_model(model, known_models(snapshot.upstreams)))
    return list(found)
