"""F4: however many requests come at once, a quota that is nearly spent is sold once, and an
upstream that keeps to the limits that it is sent overdraws none.
"""

import asyncio
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from shared.store import open_engine
from shared.store.engine import Engine
from tests.harden.figure import Figure, at_scale
from tests.support.counting import Count, CountingProvider, ask
from tests.support.gateway import Gateway, upstream_environment

__all__ = ("figures",)

ROUNDS = at_scale(2, 100, 200)
AT_ONCE = 64
SIZE = 240
"""Bytes of a body: 60 tokens, which the provider also counts."""

COUNT = Count(prompt=60, completion=40)
EACH = COUNT.prompt + COUNT.completion

MOST_LEFT = 100_000
ASKED = (None, 1, COUNT.completion, 4096, 5000, 64_000)
"""Limits of answers; None: the request says nothing."""


async def _round(port: int, key: str, number: int) -> int:
    """How many of the requests got an answer."""
    # Of a model that has answered often the tokens of a prompt are guessed by its counts.
    names = (f"whole {number}.{which}" for which in range(AT_ONCE))
    asked = [
        ask(port, key, name, model=f"m{number}", size=SIZE, max_tokens=COUNT.completion)
        for name in names
    ]
    return sum(answer.whole for answer in await asyncio.gather(*asked))


def _limit(books: Engine, quota: int) -> None:
    sql = "UPDATE users SET quota_tokens = :quota WHERE username = 'ada'"
    books.transact(lambda work: work.run(sql, {"quota": quota}), alone=())


def _spent(books: Engine) -> int:
    rows = books.read(
        "SELECT tokens FROM spending WHERE period = 'lifetime' AND subject = 'user:2'"
    )
    return int(rows[0][0]) if rows else 0


def figures() -> Iterable[Figure]:
    yield _sold_once()
    yield _kept()


def _sold_once() -> Figure:
    rng, wrong, overshoot = Random(4), 0, 0
    with (
        TemporaryDirectory() as folder,
        CountingProvider(COUNT) as provider,
        Gateway(Path(folder), upstream_environment(provider.base_url)) as gateway,
        closing(open_engine(f"sqlite:{folder}/adapter.db")) as books,
    ):
        key = gateway.new_user("ada")
        for number in range(ROUNDS):
            fit, rest = rng.randrange(9), rng.randrange(EACH)
            quota = _spent(books) + fit * EACH + rest
            _limit(books, quota)
            wrong += asyncio.run(_round(gateway.port, key, number)) != fit
            overshoot += max(0, _spent(books) - quota)
    return Figure(
        "F4",
        f"{AT_ONCE} requests at once at a nearly spent quota, {ROUNDS} times",
        f"{wrong} rounds let more or fewer through than fit; {overshoot} tokens beyond the quota",
        "0; 0",
        wrong == overshoot == 0,
    )


def _kept() -> Figure:
    rng, overshoot, answers = Random(4), 0, 0
    with (
        TemporaryDirectory() as folder,
        CountingProvider(COUNT, fills=True) as provider,
        Gateway(Path(folder), upstream_environment(provider.base_url)) as gateway,
        closing(open_engine(f"sqlite:{folder}/adapter.db")) as books,
    ):
        key = gateway.new_user("ada")
        for number in range(ROUNDS):
            quota = _spent(books) + rng.randrange(MOST_LEFT)
            _limit(books, quota)
            asked = [rng.choice(ASKED) for _ in range(AT_ONCE)]
            answers += asyncio.run(_fill(gateway.port, key, number, asked))
            overshoot += max(0, _spent(books) - quota)
    return Figure(
        "F4",
        f"an upstream that answers with all that it may, to {AT_ONCE} requests at once for up to "
        f"{max(filter(None, ASKED)):,} tokens, {ROUNDS} times",
        f"{overshoot} tokens beyond the quota; {answers} answers",
        "0; one in each round",
        overshoot == 0 and answers >= ROUNDS,
    )


async def _fill(port: int, key: str, number: int, asked: list[int | None]) -> int:
    """How many of the requests, for so many tokens each, got an answer."""
    asking = [
        ask(port, key, f"whole {number}.{at}", model=f"m{number}", size=SIZE, max_tokens=most)
        for at, most in enumerate(asked)
    ]
    return sum(answer.whole for answer in await asyncio.gather(*asking))
