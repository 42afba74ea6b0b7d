"""Who may do what (F12), and what guessing tells and takes (F14)."""

import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from litestar.testing import AsyncTestClient

from manage_api.app import create_app
from shared.config.watch import Watch
from shared.security.keys import digest, mint_key
from shared.security.passwords import hash_password
from shared.store import open_engine
from shared.store.virtual_keys import find_key
from tests.harden.figure import Figure, at_scale
from tests.manage_api.rules import RULES
from tests.manage_api.world import PASSWORD, FromPeer, ManualClock, People

__all__ = ("figures",)

ROOT = Path(__file__).parents[2]
GUESSES = 10


def figures() -> Iterable[Figure]:
    yield _matrix()
    yield from asyncio.run(_sign_in())
    yield _keys()


def _matrix() -> Figure:
    """tests/manage_api/test_authorisation.py calls each route as everybody."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/manage_api/test_authorisation.py",
            *at_scale(["-k", "every_route or exempt"], [], []),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    passed = int((re.search(r"(\d+) passed", done.stdout) or ["", "0"])[1])
    scale = f"{len(RULES)} routes as 16 kinds of callers"
    measured = f"{passed} checks passed, exit code {done.returncode}"
    return Figure("F12", scale, measured, "all pass", done.returncode == 0 and passed > 0)


async def _sign_in() -> list[Figure]:
    times = at_scale(5, 60, 200)
    with tempfile.TemporaryDirectory() as directory:
        environ = {
            "DATABASE_URL": f"sqlite:{directory}/adapter.db",
            "CONFIG_PATH": f"{directory}/config.toml",
        }
        Path(directory, "config.toml").touch()  # noqa: ASYNC240 - nothing runs beside it
        clock = ManualClock()
        app = create_app(Watch(environ), clock=clock)
        client = AsyncTestClient(FromPeer(app, "127.0.0.1"), base_url="http://127.0.0.1:8787")
        async with client:
            store = app.state.sidecar.store
            People(store, hash_password(PASSWORD), clock).add("ada")
            return [await _gap(client, clock, times), await _lock(client)]


async def _gap(client: AsyncTestClient[Any], clock: ManualClock, times: int) -> Figure:
    """Wrong passwords of an account and of none, in turns: noise hits both alike."""

    async def attempt(name: str) -> None:
        clock.seconds += 1000  # no attempt is refused or slowed down
        answer = await client.post("/api/login", json={"username": name, "password": "wrong"})
        assert answer.status_code == 401

    known, unknown = await _in_turns(times, lambda: attempt("ada"), lambda: attempt("nobody"))
    gap = abs(statistics.median(known) - statistics.median(unknown)) * 1000
    scale = f"{times} wrong passwords each of an account and of none"
    return Figure("F14", scale, f"{gap:.2f} ms between the medians", "≤ 2 ms", gap <= 2)


async def _in_turns(times: int, *works: Callable[[], Awaitable[None]]) -> list[list[float]]:
    """Seconds of thread CPU and waiting of each, `times` times."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for kept, work in zip(seconds, works, strict=True):
            # bcrypt runs in a thread: the process's CPU counts it, and no other program's.
            began = time.process_time()
            await work()
            kept.append(time.process_time() - began)
    return seconds


async def _lock(client: AsyncTestClient[Any]) -> Figure:
    """Ten guesses from one address stop it; the owner gets in from another."""
    statuses = [
        (
            await client.post(
                "/api/login",
                json={"username": "ada", "password": ""},
                headers={"X-Forwarded-For": "203.0.113.9"},
            )
        ).status_code
        for _ in range(GUESSES + 5)
    ]
    owner = await client.post(
        "/api/login",
        json={"username": "ada", "password": PASSWORD},
        headers={"X-Forwarded-For": "198.51.100.1"},
    )
    ok = statuses == [401] * GUESSES + [429] * 5 and owner.status_code == 200
    measured = f"{statuses.count(401)} let try, then 429; the owner elsewhere: {owner.status_code}"
    scale = f"{GUESSES + 5} guesses at one account from one address"
    return Figure("F14", scale, measured, f"{GUESSES}, and 200", ok)


def _keys() -> Figure:
    """A key that begins like a real one takes as long to refuse as any other."""
    times = at_scale(200, 5000, 20_000)
    seconds: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as directory:
        database = f"sqlite:{directory}/adapter.db"
        with closing(open_engine(database)) as store:
            ada = People(store, "h", ManualClock()).add("ada")
            for _ in range(times):
                for kept, key in zip(
                    seconds, (ada.key[:20] + mint_key()[20:], mint_key()), strict=True
                ):
                    began = time.perf_counter()
                    assert find_key(store, digest(key)) is None
                    kept.append(time.perf_counter() - began)
    gap = abs(statistics.median(seconds[0]) - statistics.median(seconds[1])) * 1000
    scale = f"{times:,} look-ups each of a key with a valid beginning and of a random one"
    return Figure("F14", scale, f"{gap:.4f} ms between the medians", "≤ 0.2 ms", gap <= 0.2)
