"""F17: a database that can't be written stops no caller without a quota, gives nobody with one
anything for free, and loses no usage.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from shared.store import open_engine
from shared.store.engine import Engine
from tests.e2e.test_unwritable import FILLER, full_disk, limit, message, post, rows
from tests.harden.faulty_disk import FaultyDisk, has_compiler
from tests.harden.figure import Figure, at_scale
from tests.support.counting import Count, CountingProvider, Seen, ask
from tests.support.database import without_override
from tests.support.gateway import THINKBACK, Gateway, eventually, free_port, upstream_environment

__all__ = ("figures",)

ROUNDS = at_scale(1, 5, 50)
REQUESTS = 4
"""In each round, of each of the two callers."""

RECOVERY_SECONDS = 5

PER_CENT = 5
FAULTY_REQUESTS, AT_ONCE = at_scale(64, 1600, 20_000), 16
START_SECONDS = 15


def figures() -> Iterable[Figure]:
    yield _full()
    yield _started()
    if has_compiler():
        yield _faulty()


def _full() -> Figure:
    refused, served, lost, late = 0, 0, 0, 0.0
    with (
        TemporaryDirectory() as folder,
        CountingProvider() as provider,
        Gateway(Path(folder), upstream_environment(provider.base_url)) as gateway,
        closing(open_engine(f"sqlite:{folder}/adapter.db")) as books,
    ):
        free, limited = gateway.new_user("ada"), gateway.new_user("bob")
        limit(books, "bob")
        started = gateway.data_plane().pid
        for at in range(ROUNDS):
            _fill(books, at)
            with full_disk(gateway):
                served += sum(_status(gateway, free) == 200 for _ in range(REQUESTS))
                refused += sum(_status(gateway, limited) == 503 for _ in range(REQUESTS))
            began = time.monotonic()
            eventually(partial(_are_entered, books, (at + 1) * 2 * REQUESTS), 15)
            late = max(late, time.monotonic() - began)
        lost = 2 * ROUNDS * REQUESTS - rows(books, "ledger") + rows(books, "open_exchanges")
        ended = int(gateway.data_plane().pid != started) + gateway.log.count("Traceback")
    asked = ROUNDS * REQUESTS
    return Figure(
        "F17",
        f"a full disk {ROUNDS} times, {asked} requests without and {asked} with a quota meanwhile",
        f"{served} served, {refused} refused; {lost:+} rows lost; all entered {late:.1f} s after "
        f"there is room; {ended} restarts and tracebacks",
        f"{asked}, {asked}, 0, ≤ {RECOVERY_SECONDS} s, 0",
        served == refused == asked and not (lost or ended) and late <= RECOVERY_SECONDS,
    )


def _fill(books: Engine, at: int) -> None:
    """What is written next is far behind in the database's log."""
    sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, :value, 0)"
    row = {"endpoint": f"filler {at}", "value": FILLER}
    books.transact(lambda work: work.run(sql, row), alone=())


def _are_entered(books: Engine, count: int) -> bool:
    return rows(books, "ledger") >= count


def _status(gateway: Gateway, key: str) -> int:
    return post(gateway, key, "/v1/chat/completions", messages=message("plain"))[0]


def _faulty() -> Figure:
    with (
        TemporaryDirectory() as folder,
        FaultyDisk(Path(folder)) as disk,
        CountingProvider() as provider,
        Gateway(
            Path(folder), upstream_environment(provider.base_url) | disk.environment
        ) as gateway,
        closing(open_engine(f"sqlite:{folder}/adapter.db")) as books,
    ):
        keys = [gateway.new_user("ada"), gateway.new_user("bob")]
        limit(books, "bob", concurrency=None)
        started, seen = gateway.data_plane().pid, list[Seen]()
        with disk.failing(PER_CENT):
            for at in range(0, FAULTY_REQUESTS, AT_ONCE):
                seen += asyncio.run(_crowd(gateway, keys, at))
        began = time.monotonic()
        eventually(partial(_are_entered, books, len(seen)), 15)
        late = time.monotonic() - began
        eventually(lambda: rows(books, "audit") == len(seen), 15)
        wrong = _wrong(books, provider, seen)
        refused = {answer.status for answer in seen if not answer.whole}
        failed, ended = disk.count, gateway.log.count("Traceback")
        ended += int(gateway.data_plane().pid != started)
    return Figure(
        "F17",
        f"{PER_CENT} % of writes fail (EIO), {failed:,} in all, beside {len(seen):,} requests of "
        "callers with and without a quota",
        f"{wrong} rows missing or with other tokens than the upstream counted; all entered "
        f"{late:.1f} s after the last failure; {ended} restarts and tracebacks",
        f"0, ≤ {RECOVERY_SECONDS} s, 0",
        not (wrong or ended) and late <= RECOVERY_SECONDS and refused <= {503} and failed > 0,
    )


async def _crowd(gateway: Gateway, keys: list[str], start: int) -> list[Seen]:
    numbers = range(start, start + AT_ONCE)
    return await asyncio.gather(*(ask(gateway.port, keys[at % 2], f"whole {at}") for at in numbers))


def _wrong(books: Engine, provider: CountingProvider, seen: list[Seen]) -> int:
    """Requests that are not in the ledger, once, with the tokens that the upstream counted."""
    found = books.read(
        "SELECT a.text, l.prompt_tokens, l.completion_tokens FROM ledger l "
        "JOIN audit a ON a.exchange = l.exchange"
    )
    entered = {name: Count(prompt, completion) for name, prompt, completion in found}
    wrong = [
        each.name
        for each in seen
        if entered.get(each.name) != provider.books.get(each.name, Count(0, 0))
    ]
    return len(wrong) + rows(books, "open_exchanges") + abs(rows(books, "ledger") - len(seen))


def _started() -> Figure:
    """A database that can't be used: what `thinkback up` comes to, and what is there when it can
    be used again.
    """
    wrong = [name for name, spoil in SPOILT.items() if not _is_told_and_mended(spoil)]
    return Figure(
        "F17",
        f"starts on a database that is {', '.join(SPOILT)}",
        f"{len(wrong)} that don't end in {START_SECONDS} s with a sentence, or lose a row"
        f"{': ' if wrong else ''}{', '.join(wrong)}",
        "0",
        not wrong,
    )


def _garbage(path: Path) -> None:
    path.write_bytes(Random(17).randbytes(path.stat().st_size))


def _cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(Random(17).randbytes(100))


SPOILT: dict[str, Callable[[Path], None]] = {
    "garbage": _garbage,
    "cut off": _cut_off,
    "without its head": _head,
    "read-only": lambda path: path.chmod(0o400),
    "in a read-only folder": lambda path: path.parent.chmod(0o500),
}


def _is_told_and_mended(spoil: Callable[[Path], None]) -> bool:
    with TemporaryDirectory() as folder:
        path = Path(folder, "data", "adapter.db")
        with closing(open_engine(f"sqlite:{path}")) as engine:
            _fill(engine, 1)
        sound = path.read_bytes()
        spoil(path)
        told = _start(path)
        path.parent.chmod(0o700)
        path.chmod(0o600)
        path.write_bytes(sound)
        with closing(open_engine(f"sqlite:{path}")) as engine:
            return told and rows(engine, "learned") == 1


def _start(path: Path) -> bool:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(path.parent),
        "DATABASE_URL": f"sqlite:{path}",
        "LISTEN_ADDR": f"127.0.0.1:{free_port()}",
        "ADMIN_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
    }
    try:
        done = subprocess.run(
            [THINKBACK, "up"],
            cwd=path.parent.parent,
            env=environ,
            preexec_fn=without_override,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    said = (done.stdout + done.stderr).strip()
    return done.returncode == 1 and said.startswith("Can't open the database") and "\n" not in said
