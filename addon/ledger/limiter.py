"""What requests take of their callers' limits, in rows that all nodes see."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from addon.admission.limits import Refusal, has_limits, micros_for, refusal
from addon.admission.quota import Subject, subjects_of
from shared.errors import StoreError
from shared.model import Principal
from shared.store.engine import Engine, Statement, Transaction, Work
from shared.store.limits import charge, hand_back, hand_out, held_in, running_in

__all__ = ("Limiter", "Ticket", "begin", "check", "count", "end", "enter", "ticket_for")


class Ticket(msgspec.Struct):
    """What an admitted request holds until it is given back."""

    name: str
    node: str
    subjects: tuple[Subject, ...]
    """Those with limits."""

    begun: bool = False
    """Whether the rows say that it has begun: it counts as a request of this minute."""

    waits: bool = False
    """Whether it runs without being in the books, so that rows of its own count it."""

    tokens: int = 0
    """As many of each subject's minute as it holds."""

    returned: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Whom the transactions are about."""
        return tuple(subject.name for subject in self.subjects)


class Limiter:
    """Hands out tickets, in transactions of their own that never wait."""

    def __init__(self, engine: Engine, make_known: Work[None], node: str) -> None:
        """`make_known` is done first: what an unknown node holds counts for nothing."""
        self._engine = engine
        self._make_known = make_known
        self._node = node
        self._handed_out = 0

    def count(self, principal: Principal) -> Refusal | None:
        """Count a request that is answered at once; while that can't be done now it is let through,
        and counts all the same.
        """
        ticket = self.new(principal)
        if all(subject.limits.rpm is None for subject in ticket.subjects):
            return None
        try:
            return self._transact(ticket, count)
        except StoreError:
            self._engine.write_later(end(ticket, 0, self._engine.now_ms()), alone=ticket.names)
            return None

    def new(self, principal: Principal) -> Ticket:
        """The ticket of a request that has taken nothing yet."""
        self._handed_out += 1
        return ticket_for(subjects_of(principal), f"{self._node}-{self._handed_out}", self._node)

    def begin(self, ticket: Ticket) -> Refusal | None:
        """Let a request begin that has not, unless a limit does not. Raises StoreError."""
        if ticket.begun:
            return None
        ticket.waits = True  # its rows may be there even if nobody comes back to say so
        refused = self._transact(ticket, begin)
        ticket.begun = refused is None
        return refused

    def _transact(
        self, ticket: Ticket, take: Callable[[Transaction, Ticket, int], Refusal | None]
    ) -> Refusal | None:
        def work(transaction: Transaction) -> Refusal | None:
            self._make_known(transaction)
            return take(transaction, ticket, self._engine.now_ms())

        return self._engine.transact(work, alone=ticket.names, wait=False)


def ticket_for(subjects: Iterable[Subject], name: str, node: str) -> Ticket:
    """The ticket of a request that has taken nothing yet."""
    limited = tuple(filter(has_limits, subjects))
    return Ticket(name, node, limited, begun=not limited)


def count(transaction: Transaction, ticket: Ticket, now_ms: int) -> Refusal | None:
    """Count a request that is answered at once for all of its subjects, or refuse it."""
    for subject in ticket.subjects:
        held = held_in(transaction, subject.name, now_ms)
        if refused := refusal(subject, held, requests=1):
            return refused
    _run(transaction, _charges(ticket, 1, 0, now_ms))
    return None


def begin(transaction: Transaction, ticket: Ticket, now_ms: int) -> Refusal | None:
    """Let a request begin, for all of its subjects or none."""
    if refused := check(transaction, ticket, 0, now_ms):
        return refused
    _run(transaction, _charges(ticket, 1, 0, now_ms))
    for subject in _counted(ticket):
        transaction.run(*hand_out(ticket.name, subject.name, ticket.node))
    return None


def check(transaction: Transaction, ticket: Ticket, tokens: int, now_ms: int) -> Refusal | None:
    """Why a request may not use about so many tokens, or not begin if it has not begun."""
    for subject in ticket.subjects:
        held, running = held_in(transaction, subject.name, now_ms), None
        if not ticket.begun and subject.limits.concurrency is not None:
            running = running_in(transaction, subject.name, now_ms)
        requests = int(not ticket.begun)
        if refused := refusal(subject, held, requests=requests, tokens=tokens, running=running):
            return refused
    return None


def enter(transaction: Transaction, ticket: Ticket, tokens: int, now_ms: int) -> None:
    """Have a request that was checked use about so many tokens; from now on it counts as one that
    runs by its row in the books.
    """
    _run(transaction, _charges(ticket, int(not ticket.begun), tokens, now_ms))
    if ticket.waits and _counted(ticket):
        transaction.run(*hand_back(ticket.name))


def end(ticket: Ticket, tokens: int, now_ms: int) -> list[Statement]:
    """The request has ended and used so many tokens: what is to be written of that. A ticket that
    was given back before is worth nothing.
    """
    if ticket.returned or not ticket.subjects:
        return []
    ticket.returned = True
    # One that never got to the database counts for its minute all the same.
    requests = int(not ticket.begun)
    statements = list(_charges(ticket, requests, tokens - ticket.tokens, now_ms))
    if ticket.waits and _counted(ticket):
        statements.append(hand_back(ticket.name))
    return statements


def _counted(ticket: Ticket) -> list[Subject]:
    """Whose requests at once are counted."""
    return [subject for subject in ticket.subjects if subject.limits.concurrency is not None]


def _charges(ticket: Ticket, requests: int, tokens: int, now_ms: int) -> Iterator[Statement]:
    for subject in ticket.subjects:
        if requests and (micros := micros_for(requests, subject.limits.rpm)):
            yield charge(subject.name, "requests", micros, now_ms)
        if tokens and (micros := micros_for(tokens, subject.limits.tpm)):
            yield charge(subject.name, "tokens", micros, now_ms)


def _run(transaction: Transaction, statements: Iterator[Statement]) -> None:
    for sql, params in statements:
        transaction.run(sql, params)
