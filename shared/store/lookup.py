"""The one way in which a request reads the store before it goes out: it states all that it
wants to know by then, and one call answers.

On SQLite that is one short read after the other. Across a network what is remembered of a
conversation comes by one statement.
"""

from collections.abc import Mapping, Sequence

import msgspec

from shared.model import Period, User, VirtualKey
from shared.pricing import Price
from shared.store.answers import StoredAnswer, find_answer, find_answers_before
from shared.store.engine import Engine
from shared.store.ledger import Balance, balance_of
from shared.store.prices import find_price
from shared.store.ratios import Ratio, read_ratio
from shared.store.recall import (
    Remembered,
    find_sent,
    find_together,
    find_tokens,
    find_turns,
)
from shared.store.sessions import token_caller
from shared.store.virtual_keys import find_key

__all__ = (
    "AnswerWanted",
    "BalanceWanted",
    "Found",
    "PriceWanted",
    "SessionWanted",
    "Wanted",
    "look_up",
)


class PriceWanted(msgspec.Struct, frozen=True, kw_only=True):
    """As for `find_price`."""

    upstream: str
    host: str
    model: str
    day: int


class AnswerWanted(msgspec.Struct, frozen=True, kw_only=True):
    """As for `find_answer`, or for `find_answers_before`."""

    principal: str
    id: str
    since_ms: int
    most: int = 1
    """With those that it goes on from."""

    most_bytes: int = 0


class SessionWanted(msgspec.Struct, frozen=True, kw_only=True):
    """As for `token_caller`."""

    token: str
    secret: str | bytes
    now_ms: int


class BalanceWanted(msgspec.Struct, frozen=True, kw_only=True):
    """As for `balance_of`."""

    subject: str
    period: Period
    now_ms: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked up; nothing of what is left out."""

    key: str = ""
    """The digest of a virtual key."""

    session: SessionWanted | None = None
    balances: Sequence[BalanceWanted] = ()
    turns: Mapping[bytes, Sequence[str]] = {}
    """Tokens of remembered turns, by namespace."""

    keys: Sequence[bytes] = ()
    """Keys that remembered turns may be findable under."""

    most: int = 0
    """Turns for each of the keys."""

    sent: Sequence[bytes] = ()
    """Keys of what was sent for turns that were not found."""

    answers: Sequence[AnswerWanted] = ()
    price: PriceWanted | None = None
    ratio: str = ""
    """The model whose bytes per token are wanted."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows of it."""

    key: tuple[VirtualKey, User] | None
    session: tuple[User, VirtualKey | None] | None
    balances: list[Balance]
    """In the order in which they were wanted."""

    turns: Mapping[bytes, dict[str, tuple[bytes, int]]]
    """By namespace and token: body and when it was last used (epoch ms)."""

    tokens: dict[bytes, list[str]]
    """For each key that was wanted."""

    sent: dict[bytes, tuple[str, int]]
    answers: dict[str, StoredAnswer]
    """By id."""

    price: Price | None
    ratio: Ratio


def look_up(engine: Engine, wanted: Wanted) -> Found:
    """Read all that is wanted. Raises StoreError."""
    key, session, price, ratio = None, None, None, Ratio()
    if wanted.key:
        key = find_key(engine, wanted.key)
    if shown := wanted.session:
        session = token_caller(engine, shown.token, shown.secret, now_ms=shown.now_ms)
    if ask := wanted.price:
        price = find_price(
            engine, upstream=ask.upstream, host=ask.host, model=ask.model, day=ask.day
        )
    if wanted.ratio:
        ratio = read_ratio(engine, wanted.ratio)
    remembered = _remembered(engine, wanted)
    answers = [found for answer in wanted.answers for found in _answers(engine, answer)]
    return Found(
        key=key,
        session=session,
        balances=[
            balance_of(engine, balance.subject, balance.period, balance.now_ms)
            for balance in wanted.balances
        ],
        turns=remembered.turns,
        tokens=remembered.tokens,
        sent=remembered.sent,
        answers={answer.id: answer for answer in answers},
        price=price,
        ratio=ratio,
    )


def _remembered(engine: Engine, wanted: Wanted) -> Remembered:
    if engine.remote:
        return find_together(
            engine, turns=wanted.turns, keys=wanted.keys, limit=wanted.most, sent=wanted.sent
        )
    return Remembered(
        turns={
            namespace: find_turns(engine, namespace, tokens)
            for namespace, tokens in wanted.turns.items()
        },
        tokens=find_tokens(engine, wanted.keys, wanted.most) if wanted.keys else {},
        sent=find_sent(engine, wanted.sent) if wanted.sent else {},
    )


def _answers(engine: Engine, wanted: AnswerWanted) -> list[StoredAnswer]:
    if wanted.most == 1:
        found = find_answer(engine, wanted.principal, wanted.id, since_ms=wanted.since_ms)
        return [found] if found is not None else []
    return find_answers_before(
        engine,
        wanted.principal,
        wanted.id,
        since_ms=wanted.since_ms,
        most=wanted.most,
        most_bytes=wanted.most_bytes,
    )
