"""F2: kills of all processes under load lose nothing that a client was told."""

import asyncio
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from shared.store import open_engine
from shared.store.engine import Engine
from tests.harden.figure import Figure, at_scale
from tests.support.counting import Count, CountingProvider, Seen, ask
from tests.support.gateway import Gateway, eventually, upstream_environment

__all__ = ("figures",)

KILLS = at_scale(2, 40, 200)
CLIENTS = 8
LEASE_SECONDS = 60
"""After so long a node that lives has settled what dead ones left open."""


class Load:
    """Clients that keep asking, each time for a model of its own: the ledger has its name."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self._gateway = gateway
        self._key = key
        self._changed = asyncio.Condition()
        self.up = asyncio.Event()
        self.over = False
        self.seen: dict[str, Seen] = {}
        """By model."""

    async def ask_on(self, who: int) -> None:
        rng, asked = Random(who), 0
        while not self.over:
            await self.up.wait()
            asked, model = asked + 1, f"m{who}.{asked}"
            name = f"{rng.choice(['whole', 'whole', 'plain', 'uncounted'])} {who}.{asked}"
            answer = await ask(self._gateway.port, self._key, name, model=model)
            async with self._changed:
                self.seen[model] = answer
                self._changed.notify_all()

    async def more(self, count: int) -> None:
        """Return when so many more answers were seen."""
        wanted = len(self.seen) + count
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.seen) >= wanted)


async def _kill_again_and_again(gateway: Gateway, key: str) -> dict[str, Seen]:
    load, rng = Load(gateway, key), Random(2)
    async with asyncio.TaskGroup() as group:
        for who in range(CLIENTS):
            group.create_task(load.ask_on(who))
        for _ in range(KILLS):
            load.up.set()
            await load.more(rng.randrange(1, 60))
            await asyncio.sleep(rng.random() / 100)  # anywhere between two answers
            load.up.clear()
            await asyncio.to_thread(gateway.restart)
        load.over = True
        load.up.set()
    return load.seen


def _rows(books: Engine) -> dict[str, list[Count]]:
    rows = books.read("SELECT model, prompt_tokens, completion_tokens FROM ledger")
    found: dict[str, list[Count]] = {}
    for model, prompt, completion in rows:
        found.setdefault(model, []).append(Count(prompt, completion))
    return found


def _sums_agree(books: Engine) -> bool:
    [(of_rows,)] = books.read("SELECT SUM(prompt_tokens + completion_tokens) FROM ledger")
    [(of_days,)] = books.read("SELECT SUM(prompt_tokens + completion_tokens) FROM usage_daily")
    [(balance,)] = books.read(
        "SELECT tokens FROM spending WHERE period = 'lifetime' AND subject LIKE 'user:%'"
    )
    return bool(of_rows == of_days == balance)


def _figures(books: Engine, seen: dict[str, Seen], provider: CountingProvider) -> Iterable[Figure]:
    settled = eventually(
        lambda: books.read("SELECT count(*) FROM open_exchanges") == [(0,)], LEASE_SECONDS
    )
    rows = _rows(books)
    read = {model: answer.name for model, answer in seen.items() if answer.whole}
    told = {model: provider.books[name] for model, name in read.items() if provider.books[name]}
    lost = [model for model in read if model not in rows]
    twice = [model for model, found in rows.items() if len(found) > 1]
    other = [model for model, count in told.items() if model in rows and rows[model] != [count]]
    intact = books.read("PRAGMA integrity_check") == [("ok",)]
    held = "none" if settled else "some"
    agree = "agree" if _sums_agree(books) and intact else "differ"
    yield Figure(
        "F2",
        f"SIGKILL of all processes {KILLS} times under load, {len(read):,} answers read to their end",
        f"{len(lost)} not in the ledger, {len(twice)} twice, {len(other)} with other tokens; "
        f"sums {agree}; reservations left: {held}",
        "0, 0, 0; agree; none",
        not (lost or twice or other) and settled and agree == "agree",
    )


def figures() -> Iterable[Figure]:
    with (
        TemporaryDirectory() as folder,
        CountingProvider() as provider,
        Gateway(Path(folder), upstream_environment(provider.base_url)) as gateway,
    ):
        seen = asyncio.run(_kill_again_and_again(gateway, gateway.new_user("ada")))
        with closing(open_engine(f"sqlite:{folder}/adapter.db")) as books:
            yield from _figures(books, seen, provider)
