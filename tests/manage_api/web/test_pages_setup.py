import re

import pytest
from litestar.testing import AsyncTestClient

from shared.store.engine import Engine
from tests.manage_api.web.visits import signed_in, write
from tests.manage_api.world import ManualClock, Person

UPSTREAM = {"UPSTREAM_BASE_URL": "https://api.example.com"}
PUBLIC = {"PUBLIC_URL": "https://think.example.com"}


def title(page: str) -> str:
    found = re.search(r'id="step-title">([^<]+)<', page)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, "Add an upstream"),
        (UPSTREAM, "Where clients reach the gateway"),
        (UPSTREAM | PUBLIC, "Send the first request"),
    ],
    ids=["nothing", "an upstream", "an address"],
    indirect=["environ"],
)
async def test_the_first_step_that_is_not_done_is_shown(
    client: AsyncTestClient, root: Person, shown: str
) -> None:
    headers = await signed_in(client, root)

    assert title((await client.get("/setup", headers=headers)).text) == shown
    assert (
        title((await client.get("/setup?step=password", headers=headers)).text)
        == "Choose a password"
    )


@pytest.mark.parametrize("environ", [PUBLIC], indirect=True)
async def test_an_address_from_the_environment_is_changed_there(
    client: AsyncTestClient, root: Person
) -> None:
    page = (await client.get("/setup?step=address", headers=await signed_in(client, root))).text

    assert "PUBLIC_URL" in page
    assert 'name="server.public_url"' not in page


async def test_a_request_that_failed_is_told_and_the_next_one_awaited(
    client: AsyncTestClient, store: Engine, root: Person, clock: ManualClock
) -> None:
    headers = await signed_in(client, root)
    waiting = (await client.get("/setup/first-request", headers=headers)).text
    write(store, root, clock.now_ms(), error_class="model_not_found")
    failed = (await client.get("/setup/first-request", headers=headers)).text
    write(store, root, clock.now_ms(), model="m", user_agent="Cursor/1.0")
    arrived = (await client.get("/setup/first-request", headers=headers)).text

    assert "Waiting for the first request" in waiting
    assert "No upstream serves a model with this name" in failed
    assert "Cursor asked for <bdi>m</bdi>" in arrived
    assert [("hx-trigger" in page) for page in (waiting, failed, arrived)] == [True, True, False]
