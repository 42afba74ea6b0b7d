"""Several sidecars over one database: what one counts or ends, the others know."""

from collections.abc import AsyncIterator
from http.cookiejar import DefaultCookiePolicy
from itertools import cycle
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from manage_api.app import create_app
from shared.config.watch import Watch
from shared.store.engine import Engine
from tests.manage_api.world import FromPeer, ManualClock, People, Person, bearer

type Client = AsyncTestClient[FromPeer]

OPEN = '[registration]\nallowed = true\ninvite_codes = ["green"]'


@pytest.fixture
async def other(environ: dict[str, str], clock: ManualClock) -> AsyncIterator[Client]:
    """Another sidecar, as `client` reaches the first one."""
    app = create_app(Watch(environ), clock=clock)
    async with AsyncTestClient(
        FromPeer(app, "127.0.0.1"), base_url="http://127.0.0.1:8787"
    ) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
        yield client


async def statuses(clients: tuple[Client, ...], path: str, body: Any, times: int) -> list[int]:
    """What is answered to the same, asked of one client after the other."""
    turns = cycle(clients)
    return [(await next(turns).post(path, json=body)).status_code for _ in range(times)]


async def test_fault_22_guesses_at_one_account_count_in_all_sidecars(
    client: Client, other: Client, ada: Person, clock: ManualClock
) -> None:
    wrong = ada.credentials | {"password": ""}
    assert await statuses((client, other), "/api/login", wrong, 12) == [401] * 10 + [429] * 2
    refused = await other.post("/api/login", json=ada.credentials)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "90")
    clock.seconds += 90
    assert await statuses((other, client), "/api/login", ada.credentials, 2) == [200, 200]


async def test_fault_22_guesses_at_many_accounts_count_in_all_sidecars(
    client: Client, other: Client, ada: Person
) -> None:
    for number, one in zip(range(30), cycle((client, other)), strict=False):
        await one.post("/api/login", json={"username": f"u{number}", "password": ""})
    assert await statuses((client, other), "/api/login", ada.credentials, 2) == [429, 429]


@pytest.mark.parametrize("toml", [OPEN], indirect=True)
async def test_fault_22_registrations_count_in_all_sidecars(client: Client, other: Client) -> None:
    asked = {"username": "grace", "password": "correct horse battery"}
    assert await statuses((client, other), "/api/register", asked, 31) == [400] * 30 + [429]


async def test_fault_22_codes_count_in_all_sidecars(
    client: Client, other: Client, ada: Person, session: str
) -> None:
    own = {"current_password": ada.credentials["password"]}
    await client.post("/api/second-factor", json=own, headers=bearer(session))
    seen = [
        await one.post("/api/second-factor/confirm", json={"code": "0"}, headers=bearer(session))
        for one in (client, other, client, other, client, other, client)
    ]
    assert [answer.status_code for answer in seen] == [400] * 5 + [429] * 2


async def test_only_failures_are_written_and_no_name_that_was_typed(
    client: Client, ada: Person, store: Engine
) -> None:
    await client.post("/api/login", json=ada.credentials)
    assert store.read("SELECT * FROM rates") == []
    await client.post("/api/login", json={"username": "my password", "password": ""})
    rows = store.read("SELECT subject FROM rates")
    assert len(rows) == 3
    assert "my password" not in str(rows)
    assert max(len(subject) for (subject,) in rows) < 80


async def test_a_session_that_is_ended_at_one_sidecar_is_at_the_other(
    client: Client, other: Client, ada: Person, people: People
) -> None:
    token = (await client.post("/api/login", json=ada.credentials)).json()["token"]
    assert (await other.get("/api/me", headers=bearer(token))).status_code == 200
    await client.post("/api/logout", headers=bearer(token))
    assert (await other.get("/api/me", headers=bearer(token))).status_code == 401
