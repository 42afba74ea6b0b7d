"""The books agree with the provider's own, whatever clients, upstreams and kills do; quotas
are never oversold.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.ledger import ENTRY_COLUMNS, Entry, entry_from
from tests.support.counting import Count, CountingProvider, Seen, ask, ask_all
from tests.support.gateway import Gateway, eventually, upstream_environment

STREAMS = 64
KILLS = int(os.environ.get("THINKBACK_KILLS", "3"))
"""`kill -9` so many times; 50 before a release."""

SIZE = 240
"""Bytes of a body: 60 tokens, which the provider also counts, so that guesses and counts agree."""

COUNT = Count(prompt=60, completion=40)


ENDED = {
    "whole a": (200, ""),
    "plain b": (200, ""),
    "uncounted c": (200, ""),
    "cut d": (200, "upstream_cut"),
    "left e": (0, "client_left"),
}
"""Requests, with the status and the error that are told of them."""


@pytest.fixture(scope="module")
def provider() -> Iterator[CountingProvider]:
    with CountingProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: CountingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("counted")
    with Gateway(
        directory, upstream_environment(provider.base_url) | {"LOG_LEVEL": "warning"}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def asked(gateway: Gateway) -> list[str]:
    """What a user asked, the most of it in streams at once."""
    asked, key = [*names(Random(7), 3 * STREAMS), *ENDED], gateway.new_user("ada")
    for start in range(0, len(asked), STREAMS):
        ask_all(gateway.port, key, asked[start : start + STREAMS])
    return asked


@pytest.fixture
def books(gateway: Gateway) -> Iterator[Engine]:
    """The gateway's database, as another program sees it."""
    with closing(open_engine(f"sqlite:{gateway.directory}/adapter.db")) as engine:
        yield engine


def entries(books: Engine) -> dict[str, Entry]:
    """The ledger by the requests' names, which the audit knows."""
    rows = books.read(f"SELECT {ENTRY_COLUMNS} FROM ledger")
    names = dict(books.read("SELECT exchange, text FROM audit"))
    return {names.get(entry.exchange, entry.exchange): entry for entry in map(entry_from, rows)}


def rows(books: Engine, table: str) -> int:
    return int(books.read(f"SELECT count(*) FROM {table}")[0][0])


def settled(books: Engine, count: int, audited: int | None = None) -> bool:
    """Whether so many requests get into the books, and as many into the audit unless it says
    otherwise: of those that are refused by their head nobody has read what they ask.
    """
    least = {"ledger": count, "audit": count if audited is None else audited}
    return eventually(lambda: all(rows(books, table) >= least[table] for table in least), 15)


def names(rng: Random, count: int) -> list[str]:
    return [
        f"{rng.choice(['whole', 'plain', 'uncounted', 'cut', 'left'])} {number}"
        for number in range(count)
    ]


# -- the books -------------------------------------------------------------------------------------


def test_64_streams_at_once_are_in_the_ledger_once_each_as_the_provider_counted_them(
    asked: list[str], provider: CountingProvider, books: Engine
) -> None:
    assert settled(books, len(asked))
    found = entries(books)
    assert len(found) == rows(books, "ledger") == len(provider.books) == len(asked)
    told = {name: count for name, count in provider.books.items() if count is not None}
    assert {name: found[name].error_class for name in told if found[name].error_class} == {}
    assert {
        name: Count(found[name].prompt_tokens, found[name].completion_tokens) for name in told
    } == told
    assert {
        name for name, entry in found.items() if entry.estimated
    } == provider.books.keys() - told.keys()


def test_how_an_exchange_ended_is_told(asked: list[str], books: Engine) -> None:
    assert settled(books, len(asked))
    found = {name: (entry.status, entry.error_class) for name, entry in entries(books).items()}
    assert {name: found[name] for name in ENDED} == ENDED


def test_sums_and_balances_are_those_of_the_rows_and_nothing_stays_reserved(
    asked: list[str], books: Engine
) -> None:
    assert settled(books, len(asked))
    sums = "SUM(prompt_tokens), SUM(completion_tokens), SUM(restored), COUNT(*)"
    [of_rows] = books.read(f"SELECT {sums} FROM ledger")
    [of_days] = books.read(f"SELECT {sums.replace('COUNT(*)', 'SUM(requests)')} FROM usage_daily")
    assert of_days == of_rows
    spent = books.read("SELECT subject, tokens FROM spending WHERE period = 'day' ORDER BY subject")
    assert [tokens for _, tokens in spent] == [of_rows[0] + of_rows[1]] * 2
    assert rows(books, "open_exchanges") == 0


# -- kill -9 ---------------------------------------------------------------------------------------


class Load:
    """Eight clients that keep asking; what they saw is counted, so that a test can wait for
    so much of it.
    """

    def __init__(self, gateway: Gateway, key: str) -> None:
        self._gateway = gateway
        self._key = key
        self._changed = asyncio.Condition()
        self.up = asyncio.Event()
        self.over = False
        self.seen: list[Seen] = []

    async def ask_on(self, who: int) -> None:
        """One client: asks again and again while the gateway is up."""
        rng, asked = Random(who), 0
        while not self.over:
            await self.up.wait()
            fate = rng.choice(["whole", "whole", "plain", "uncounted"])
            answer = await ask(self._gateway.port, self._key, f"{fate} {who}.{asked}")
            asked += 1
            async with self._changed:
                self.seen.append(answer)
                self._changed.notify_all()

    async def more(self, count: int) -> None:
        """Return when so many more answers were seen."""
        wanted = len(self.seen) + count
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.seen) >= wanted)


async def kill_again_and_again(
    gateway: Gateway, key: str, books: Engine, kills: int
) -> tuple[list[Seen], list[int]]:
    """What the clients saw, and how many settled rows were missing after each kill."""
    load, rng, missing = Load(gateway, key), Random(1), []
    async with asyncio.TaskGroup() as group:
        for who in range(8):
            group.create_task(load.ask_on(who))
        for _ in range(kills):
            load.up.set()
            await load.more(rng.randrange(1, 100))
            process = await asyncio.to_thread(gateway.data_plane)
            before = {exchange for (exchange,) in books.read("SELECT exchange FROM ledger")}
            load.up.clear()
            process.kill()
            await asyncio.to_thread(gateway.restart)  # its supervisor would wait longer and longer
            after = {exchange for (exchange,) in books.read("SELECT exchange FROM ledger")}
            missing.append(len(before - after))
        load.over = True
        load.up.set()
    return load.seen, missing


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway to kill, with books of its own."""
    with (
        CountingProvider() as provider,
        Gateway(
            tmp_path, upstream_environment(provider.base_url) | {"LOG_LEVEL": "warning"}
        ) as running,
    ):
        yield running


def test_killing_the_data_plane_loses_no_settled_row(mortal: Gateway) -> None:
    key = mortal.new_user("ada")
    with closing(open_engine(f"sqlite:{mortal.directory}/adapter.db")) as books:
        kill_and_compare(mortal, key, books)


def kill_and_compare(gateway: Gateway, key: str, books: Engine) -> None:
    seen, missing = asyncio.run(kill_again_and_again(gateway, key, books, KILLS))
    answered = [answer.name for answer in seen if answer.whole]
    assert len(answered) > KILLS
    assert missing == [0] * KILLS
    assert books.read("PRAGMA integrity_check") == [("ok",)]
    # Whoever got the whole answer is in the books: settled, or open for the node that died with it.
    known = rows(books, "ledger") + rows(books, "open_exchanges")
    assert len(answered) <= known <= len(seen)
    if KILLS >= 50:
        assert eventually(lambda: rows(books, "open_exchanges") == 0, 60)
        assert len(answered) <= rows(books, "ledger") <= len(seen)


# -- quotas ----------------------------------------------------------------------------------------


def give_quota(books: Engine, name: str, tokens: int) -> None:
    sql = "UPDATE users SET quota_tokens = :tokens WHERE username = :name"
    books.transact(lambda work: work.run(sql, {"tokens": tokens, "name": name}), alone=())


def spent(books: Engine, name: str) -> int:
    sql = """
        SELECT s.tokens FROM spending s JOIN users u ON s.subject = 'user:' || u.id
        WHERE u.username = :name AND s.period = 'lifetime'
    """
    return int(books.read(sql, {"name": name})[0][0])


@pytest.fixture(scope="module")
def filling() -> Iterator[CountingProvider]:
    """An upstream that answers with as many tokens as it may."""
    with CountingProvider(COUNT, fills=True) as provider:
        yield provider


@pytest.fixture(scope="module")
def selling(
    filling: CountingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("selling")
    with Gateway(folder, upstream_environment(filling.base_url)) as running:
        yield running


@pytest.fixture
def sales(selling: Gateway) -> Iterator[Engine]:
    with closing(open_engine(f"sqlite:{selling.directory}/adapter.db")) as engine:
        yield engine


def test_of_100_requests_at_once_10_pass_a_quota_for_10(
    selling: Gateway, filling: CountingProvider, sales: Engine
) -> None:
    key = selling.new_user("ada")
    give_quota(sales, "ada", 10 * (COUNT.prompt + COUNT.completion))
    asked = [f"whole ada {n}" for n in range(100)]
    seen = ask_all(selling.port, key, asked, size=SIZE, max_tokens=40)
    refused = [answer for answer in seen if answer.status != 200]
    assert (len(refused), len(filling.books.keys() & asked)) == (90, 10)
    messages = [json.loads(answer.body)["error"] for answer in refused]
    assert {message["code"] for message in messages} == {"insufficient_quota"}
    assert all("of 1,000 tokens are used" in message["message"] for message in messages)
    assert settled(sales, 100, audited=10)
    assert spent(sales, "ada") == 1000


def test_answers_as_long_as_they_may_be_overdraw_no_quota(selling: Gateway, sales: Engine) -> None:
    """In three rounds the last tokens are spent: each round is for a model that nothing is known
    of, so that the tokens of prompts are guessed as they are counted.
    """
    key, quota = selling.new_user("bob"), 50_000
    give_quota(sales, "bob", quota)
    rounds = [asyncio.run(fill(selling, key, f"m{n}")) for n in range(3)]
    assert rounds[0] >= 4
    assert eventually(lambda: not rows(sales, "open_exchanges"), 30)
    assert quota - 2 * (COUNT.prompt + 4096) <= spent(sales, "bob") <= quota
    told = sales.read("SELECT details FROM ledger WHERE upstream_model = 'm0' AND status = 200")
    assert any("the quota has no room for it" in details for (details,) in told)


async def fill(gateway: Gateway, key: str, model: str) -> int:
    """Answers to many requests at once, some of which may be long."""
    asking = (
        ask(gateway.port, key, f"whole {model} {n}", model=model, size=SIZE, max_tokens=most)
        for n in range(4)
        for most in (64_000, 9000, 4096, None)
    )
    return sum(answer.whole for answer in await asyncio.gather(*asking))


def test_two_data_planes_over_one_database_sell_a_quota_once(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with CountingProvider(COUNT) as provider:
        database = {"DATABASE_URL": f"sqlite:{tmp_path}/adapter.db"}
        environment = upstream_environment(provider.base_url) | database
        with (
            Gateway(tmp_path / "one", environment) as one,
            Gateway(tmp_path / "two", environment) as two,
        ):
            key = one.new_user("ada")
            with closing(open_engine(f"sqlite:{tmp_path}/adapter.db")) as books:
                give_quota(books, "ada", 1000)
                seen = asyncio.run(both(one, two, key))
                assert sorted(answer.status for answer in seen) == [200] * 10 + [429] * 70
                assert settled(books, 80, audited=10)
                assert spent(books, "ada") == 1000


async def both(one: Gateway, two: Gateway, key: str) -> list[Seen]:
    ports = [one.port, two.port] * 40
    asked = (ask(port, key, f"whole {n}", size=SIZE, max_tokens=40) for n, port in enumerate(ports))
    return await asyncio.gather(*asked)
