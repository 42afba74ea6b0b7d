"""The books of one node: exchanges are opened before they are sent, and settled once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from math import inf

import msgspec

from addon.admission import problems
from addon.admission.limits import Refusal, has_limits
from addon.admission.quota import Demand, Grant, Subject, demand_of, grant, spent, subjects_of
from addon.formats.neutral.problem import Problem, RequestError
from addon.ledger import limiter
from addon.ledger.limiter import Limiter, Ticket
from addon.ledger.presence import Presence
from addon.ledger.rates import Rates
from addon.ledger.ratios import Ratios
from addon.ledger.retention import Retention
from addon.recall.commits import Commit, Commits
from addon.routing.candidates import Candidate
from shared.clock import Clock
from shared.config.schema import Snapshot
from shared.errors import Busy, StoreError
from shared.model import Principal
from shared.periods import day_of
from shared.pricing import Price
from shared.store.engine import Engine, Statement, Transaction, Work
from shared.store.ledger import (
    Entry,
    Opening,
    balance_in,
    exchange_name,
    open_exchange,
    settle,
)
from shared.store.lookup import BalanceWanted, Found, PriceWanted, Wanted, look_up
from shared.store.nodes import UNKNOWN, Process
from shared.store.ratios import Ratio

__all__ = ("Meter", "Opened")

_log = logging.getLogger("thinkback.books")

_TELL_SECONDS = 60
"""How often the log says that requests go on unwritten: a failing disk takes some writes."""


class Opened(msgspec.Struct):
    """An exchange in the books."""

    entry: Entry
    """What is known of it at its beginning."""

    subjects: tuple[Subject, ...]
    demand: Demand
    ticket: Ticket
    prices: Mapping[tuple[str, str], Price | None] = {}
    """By upstream and model, where not all that may answer take what the demand says."""

    granted: Grant | None = None
    """What is reserved for a caller with a quota."""

    reserved: bool = False
    """Whether it may be sent."""

    settled: bool = False

    def affords(self, candidate: Candidate) -> bool:
        """Whether what is reserved is enough for an answer at a candidate's price."""
        return self.granted is None or self._price(candidate) in self.granted.lengths

    def longest(self, candidate: Candidate) -> int | None:
        """The most tokens that each choice of a candidate's answer may have; None: no quota
        limits it further than the request does. Raises RequestError when it is too dear.
        """
        if not self.affords(candidate):
            raise RequestError(problems.too_dear(candidate.model))
        if self.granted is None:
            return None
        return self.granted.lengths[self._price(candidate)]

    def _price(self, candidate: Candidate) -> Price | None:
        return self.prices.get((candidate.upstream.name, candidate.model), self.demand.price)


class Meter:
    """Opens exchanges, reserving what callers with a quota may use, and settles them into
    the ledger.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        node: str,
        version: str,
        process: Process = UNKNOWN,
    ) -> None:
        """Makes the node known, at the first reservation if that can't be written now; blocks."""
        self._engine = engine
        self._clock = clock
        self._presence = Presence(engine, clock, node=node, version=version, process=process)
        self._ratios = Ratios(engine, clock)
        self._retention = Retention(engine, clock, node=node)
        self._limiter = Limiter(engine, self._presence.join, node)
        self._commits = Commits(engine, clock, _log)
        self._told_at = -inf
        """When the log last said that exchanges go on without having been written."""

        self._rates = Rates(engine, clock)
        self.describe = self._presence.describe
        self.look_up = self._rates.look_up
        """Looks up what a request wants to know of the store before it goes out."""

    def price(self, upstream: str, host: str, model: str, at: int) -> Price | None:
        """What a model costs at an upstream on the day of that time (epoch ms), or did a second
        ago.
        """
        wanted = PriceWanted(upstream=upstream, host=host, model=model, day=day_of(at))
        return self._rates.price(wanted)

    def ratio(self, model: str) -> Ratio:
        """How many bytes of the model's prompts and answers made how many tokens."""
        return self._ratios.known(model, self._rates.ratio(model))

    def count(self, principal: Principal) -> None:
        """Count a request that is answered at once. Raises RequestError when there were too
        many.
        """
        if refused := self._limiter.count(principal):
            raise RequestError(_too_many(refused))

    def admit(self, principal: Principal) -> Ticket:
        """Let a request begin, before its body is read. Raises RequestError when a limit does not.

        The ticket has to be given back, however the request ends. While another write is under
        way it is handed out all the same: `begin` and `reserve` look again.
        """
        ticket = self._limiter.new(principal)
        try:
            self.begin(ticket)
        except BaseException:
            self.give_back(ticket)  # nobody else knows of it
            raise
        return ticket

    def begin(self, ticket: Ticket, *, give_up: bool = False) -> None:
        """Let a request begin that has not: while another write is under way nothing changes.
        Raises RequestError when a limit does not let it, or when it is given up.
        """
        try:
            refused = self._limiter.begin(ticket)
        except StoreError as error:
            if give_up:
                raise RequestError(_not_now(error)) from error
        else:
            _raise_if(refused, ticket)

    def give_back(self, ticket: Ticket) -> None:
        """The request has ended; nothing happens when settling has given the ticket back."""
        if statements := limiter.end(ticket, 0, self._engine.now_ms()):
            self._commits.write(statements, alone=ticket.names)

    def refuse_spent(self, principal: Principal) -> None:
        """Raise RequestError when the caller's quota or budget is used up, whatever a request
        may use of it.
        """
        subjects = [subject for subject in subjects_of(principal) if subject.has_quota]
        if not subjects:
            return
        now = self._engine.now_ms()
        wanted = [
            BalanceWanted(subject=subject.name, period=subject.limits.period, now_ms=now)
            for subject in subjects
        ]
        balances = look_up(self._engine, Wanted(balances=wanted)).balances
        if problem := spent(zip(subjects, balances, strict=True), now):
            raise RequestError(problem)

    def open(
        self,
        principal: Principal,
        entry: Entry,
        ticket: Ticket,
        known: Found,
        *,
        size: int,
        max_tokens: int | None,
        choices: int = 1,
        least: int = 1,
        candidates: Sequence[Candidate] = (),
    ) -> Opened:
        """Enter an admitted exchange whose first candidate gets a body of `size` bytes; price and
        ratio of its model are `known`, the rest is as for `demand_of`.

        What is opened has to be settled, and may be sent once `reserve` has reserved what it may
        use.
        """
        self._rates.have(candidates, entry.at)
        subjects, prices = subjects_of(principal), {}
        if any(subject.limits.quota_cost_micros is not None for subject in subjects):
            prices = _prices(self, candidates, entry.at)
        demand = demand_of(
            size,
            max_tokens,
            self._ratios.known(entry.upstream_model, known.ratio),
            entry.upstream_model,
            known.price,
            choices=choices,
            least=least,
            other_prices=tuple({*prices.values()} - {known.price}),
        )
        guess = msgspec.structs.replace(
            entry,
            prompt_tokens=demand.prompt_tokens,
            cost_micros=demand.cost(0) if known.price else None,
            attempts=1,
        )
        return Opened(guess, subjects, demand, ticket, prices)

    def reserve(self, opened: Opened, *, give_up: bool = False) -> None:
        """Enter the exchange into the books, with what it may use, so that it may be sent.

        While another write is under way nothing changes; with `give_up`, or when the
        database can't be written at all, a caller without quotas and limits goes on unwritten.
        Raises RequestError when the exchange may not go on.
        """
        self._presence.runs(opened.entry.exchange)
        try:
            refused = self._engine.transact(
                self._reservation(opened), alone=_names(opened), wait=False
            )
        except StoreError as error:
            waited = give_up or self._engine.remote  # where others write it has waited already
            if waited or not isinstance(error, Busy):
                self._go_on_unwritten(opened, _not_now(error))
            return
        self._presence.is_known = True
        _raise_if(refused, opened.ticket)
        _note_entered(opened)

    def settle(self, entry: Entry, opened: Opened | None, learned: Ratio | None) -> Commit | None:
        """Write the exchange into the ledger before all that is queued; None when that is done."""
        changes: list[Statement | Work[object]] = [*settle(entry)]
        if opened is not None:
            used = entry.prompt_tokens + entry.completion_tokens
            changes += limiter.end(opened.ticket, used, self._engine.now_ms())
        if learned is not None:
            self._ratios.learn(entry.upstream_model, learned)
        commit = self._commits.write(
            changes, alone=(exchange_name(entry.exchange),), rank=entry.user_id or 0
        )
        if opened is not None:
            self._presence.ends(entry.exchange, commit)
            opened.settled = True
        return commit

    def settle_untold(self, opened: Opened) -> None:
        """Settle an exchange of which nobody can say what it came to, from its opening; one
        that is settled stays as it is.
        """
        if opened.settled:
            return
        lasted = max(0, self._clock.now_ms() - opened.entry.at)
        entry = msgspec.structs.replace(
            opened.entry,
            status=500,
            error_class="gateway_error",
            estimated=opened.reserved,
            duration_ms=lasted,
        )
        if not opened.reserved:
            entry = msgspec.structs.replace(entry, prompt_tokens=0, cost_micros=None)
        self.settle(entry, opened, None)

    def each_second(self) -> None:
        """Show that the node lives, settle what dead ones left open, and write what was learnt."""
        self._rates.each_second()
        self._presence.each_second()
        self._ratios.each_second()

    def forget_old(self, settings: Snapshot) -> None:
        """Let a lot of old rows go, if that is this node's task; to be repeated each second."""
        self._retention.each_second(settings)

    def flush(self) -> None:
        """Have all written that waits for more of its kind; the engine writes it."""
        self._ratios.flush()

    def _go_on_unwritten(self, opened: Opened, problem: Problem) -> None:
        """Queue the opening, unless a quota or limit depends on it: then the problem is raised."""
        if any(subject.has_quota or has_limits(subject) for subject in opened.subjects):
            raise RequestError(problem)
        now = self._clock.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            _log.error(
                "The database can't be written: requests of callers without a "
                "quota go on, and are entered when it can."
            )
        # Written after the exchange's settlement it changes nothing, so the two need no order.
        tokens = opened.demand.prompt_tokens + opened.demand.completion_tokens
        held = Grant(tokens, opened.demand.cost(opened.demand.completion_tokens))
        self._engine.write_later(
            [open_exchange(self._opening(opened, held))], alone=_names(opened)[:1]
        )
        opened.reserved = True

    def _reservation(self, opened: Opened) -> Callable[[Transaction], Problem | Refusal | None]:
        now, ticket, tokens = self._engine.now_ms(), opened.ticket, opened.demand.prompt_tokens

        def work(transaction: Transaction) -> Problem | Refusal | None:
            self._presence.join(transaction)
            if refused := limiter.check(transaction, ticket, tokens, now):
                return refused
            balances = [
                (subject, balance_in(transaction, subject.name, subject.limits.period, now))
                for subject in opened.subjects
                if subject.has_quota
            ]
            granted = grant(opened.demand, balances, now)
            if isinstance(granted, Problem):
                return granted
            limiter.enter(transaction, ticket, tokens, now)
            transaction.run(*open_exchange(self._opening(opened, granted)))
            opened.granted = granted
            return None

        return work

    def _opening(self, opened: Opened, granted: Grant) -> Opening:
        return Opening(
            node=self._presence.node,
            entry=opened.entry,
            reserved_tokens=granted.tokens,
            reserved_cost_micros=granted.cost_micros,
        )


def _names(opened: Opened) -> list[str]:
    """What the opening must be alone with: quotas and limits are counted for one request after
    the other.
    """
    subjects = (one.name for one in opened.subjects if one.has_quota or has_limits(one))
    return [exchange_name(opened.entry.exchange), *subjects]


def _prices(
    meter: Meter, candidates: Sequence[Candidate], at: int
) -> dict[tuple[str, str], Price | None]:
    """What each model of the candidates costs, by upstream and model."""
    asked = {(one.upstream.name, one.model): one.upstream for one in candidates}
    return {
        (name, model): meter.price(name, upstream.host, model, at)
        for (name, model), upstream in asked.items()
    }


def _note_entered(opened: Opened) -> None:
    """What has become of an exchange that is in the books."""
    ticket = opened.ticket
    ticket.begun, ticket.waits, ticket.tokens = True, False, opened.demand.prompt_tokens
    opened.reserved = True


def _not_now(error: StoreError) -> Problem:
    """What somebody is told whose quota or limits can't be looked at."""
    if isinstance(error, Busy):
        return problems.books_busy()
    return problems.books_unwritable()


def _raise_if(refused: Problem | Refusal | None, ticket: Ticket) -> None:
    """Raise RequestError for a limit, quota or budget that was met."""
    if isinstance(refused, Refusal):
        # A request that a limit does not let begin has taken nothing, and counts for nothing.
        ticket.returned = ticket.returned or not ticket.begun
        refused = _too_many(refused)
    if refused is not None:
        raise RequestError(refused)


def _too_many(refused: Refusal) -> Problem:
    return problems.too_many(refused.what, refused.subject.called, refused.retry_after)
