"""A database that can't be written: who has a quota reads why, everybody else is served,
and no usage is lost.
"""

import asyncio
import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.sqlite import connect
from tests.support.counting import CountingProvider, ask
from tests.support.gateway import Gateway, eventually, upstream_environment

FULL_AT = 100_000
"""Bytes that no file of the data plane can grow beyond: enough for its log."""

FILLER = "x" * 4 * FULL_AT


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with (
        CountingProvider() as provider,
        Gateway(tmp_path, upstream_environment(provider.base_url)) as running,
    ):
        yield running


@pytest.fixture
def books(gateway: Gateway) -> Iterator[Engine]:
    """The gateway's database, as another program sees it; what is written next is far
    behind in its log.
    """
    with closing(open_engine(f"sqlite:{gateway.directory}/adapter.db")) as engine:
        sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES ('filler', :value, 0)"
        engine.transact(lambda work: work.run(sql, {"value": FILLER}), alone=())
        yield engine


@contextmanager
def full_disk(gateway: Gateway) -> Iterator[None]:
    """The data plane's commits fail meanwhile, also those of one that is started anew."""
    limits = gateway.data_plane().rlimit(psutil.RLIMIT_FSIZE)
    bound_files(gateway, (FULL_AT, limits[1]))
    yield
    bound_files(gateway, limits)


def bound_files(gateway: Gateway, limits: tuple[int, int]) -> None:
    for process in (gateway.processes()[0], gateway.data_plane()):
        process.rlimit(psutil.RLIMIT_FSIZE, limits)


@contextmanager
def locked(gateway: Gateway) -> Iterator[None]:
    """Another program writes meanwhile."""
    with closing(connect(gateway.directory / "adapter.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


def limit(books: Engine, name: str, *, concurrency: int | None = 1) -> None:
    sql = "UPDATE users SET quota_tokens = 1000000, concurrency = :most WHERE username = :name"
    books.transact(lambda work: work.run(sql, {"name": name, "most": concurrency}), alone=())


def post(
    gateway: Gateway, key: str, path: str, agent: str = "curl/8", **body: Any
) -> tuple[int, str | None, Any]:
    """Status, `Retry-After` and JSON of the answer."""
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "user-agent": agent,
    }
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)) as connection:
        connection.request("POST", path, json.dumps({"model": "m", **body}), headers)
        response = connection.getresponse()
        return response.status, response.getheader("retry-after"), json.loads(response.read())


def message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def rows(books: Engine, table: str) -> int:
    return int(books.read(f"SELECT count(*) FROM {table}")[0][0])


def test_callers_without_a_quota_are_served_and_entered_later(
    gateway: Gateway, books: Engine
) -> None:
    key = gateway.new_user("ada")
    with full_disk(gateway):
        for number, key_ in enumerate((key, key, "sk-good")):
            for fate in ("whole", "plain"):
                assert asyncio.run(ask(gateway.port, key_, f"{fate} {number}")).whole
        status, _, first = post(gateway, key, "/v1/responses", input=message("plain r1"))
        assert (status, first["status"]) == (200, "completed")
        next_ = {"previous_response_id": first["id"], "input": message("plain r2")}
        assert post(gateway, key, "/v1/responses", **next_)[0] == 200
        assert rows(books, "ledger") == 0
    assert eventually(lambda: rows(books, "ledger") == 8, 30)
    assert rows(books, "open_exchanges") == 0
    assert gateway.log.count("callers without a quota go on") == 1
    assert "Traceback" not in gateway.log


def test_a_data_plane_that_starts_on_a_full_disk_serves_those_without_a_quota(
    gateway: Gateway, books: Engine
) -> None:
    free, limited = gateway.new_user("ada"), gateway.new_user("bob")
    limit(books, "bob")
    with full_disk(gateway):
        before = gateway.data_plane()
        before.kill()
        before.wait(30)
        assert post(gateway, free, "/v1/chat/completions", messages=message("plain 1"))[0] == 200
        assert post(gateway, limited, "/v1/chat/completions", messages=message("plain 2"))[0] == 503
        assert rows(books, "ledger") == 0
    assert eventually(lambda: rows(books, "ledger") == 2, 30)
    assert post(gateway, limited, "/v1/chat/completions", messages=message("plain 3"))[0] == 200
    assert "Traceback" not in gateway.log


def test_a_caller_with_a_quota_reads_that_usage_cant_be_recorded(
    gateway: Gateway, books: Engine
) -> None:
    key = gateway.new_user("bob")
    limit(books, "bob")
    with full_disk(gateway):
        # Twice each: the first must not hold the caller's only place.
        for _ in range(2):
            status, retry_after, said = post(
                gateway, key, "/v1/chat/completions", messages=message("plain 1")
            )
            assert (status, retry_after, said["error"]["code"]) == (503, "10", "usage_not_recorded")
            assert "can't record usage" in said["error"]["message"]
            asked = {"max_tokens": 9, "messages": message("plain 2")}
            status, _, said = post(gateway, key, "/v1/messages", **asked)
            assert (status, said["type"], said["error"]["type"]) == (503, "error", "api_error")
        asked = {"messages": message("plain 3")}
        assert post(gateway, key, "/v1/chat/completions", "Cursor/1.0", **asked)[0] == 400
    assert post(gateway, key, "/v1/chat/completions", messages=message("plain 4"))[0] == 200
    assert eventually(lambda: rows(books, "ledger") == 6, 30)
    assert rows(books, "open_exchanges") == 0
    assert "Traceback" not in gateway.log


def test_a_locked_database_holds_up_callers_without_a_quota_but_not_for_good(
    gateway: Gateway, books: Engine
) -> None:
    free, limited = gateway.new_user("ada"), gateway.new_user("bob")
    limit(books, "bob")
    with locked(gateway):
        assert post(gateway, free, "/v1/chat/completions", messages=message("plain 1"))[0] == 200
        status, _, said = post(
            gateway, limited, "/v1/chat/completions", messages=message("plain 2")
        )
        assert (status, said["error"]["code"]) == (503, "quota_unavailable")
        assert rows(books, "ledger") == 0
    assert eventually(lambda: rows(books, "ledger") == 2, 30)
    assert rows(books, "open_exchanges") == 0
