from typing import Any

import pytest
from litestar.testing import AsyncTestClient, RequestFactory

from manage_api.web.connect import Connection, connection_for
from shared.config.schema import ModelRewrite, Server, Snapshot, Upstream
from tests.manage_api.web.visits import signed_in
from tests.manage_api.world import Person

UPSTREAM = Upstream(
    name="u",
    base_url="https://u.example.com",
    models=("deepseek-v4-pro", "glm-5"),
    model_rewrites=(ModelRewrite(from_="gpt-5", to="glm-5"),),
)


def connection(public_url: str = "", allowed: tuple[str, ...] = (), **fields: Any) -> Connection:
    snapshot = Snapshot(server=Server(public_url=public_url), upstreams=(UPSTREAM,), **fields)
    return connection_for(RequestFactory().get("/"), snapshot, allowed)


@pytest.mark.parametrize(
    ("public_url", "public", "encrypted"),
    [
        ("", False, False),
        ("https://think.example.com", True, True),
        ("http://think.example.com/", True, False),
        ("https://10.0.0.5", False, True),
    ],
)
def test_it_is_known_whom_an_address_serves(public_url: str, public: bool, encrypted: bool) -> None:
    found = connection(public_url)

    assert (found.public, found.encrypted) == (public, encrypted)
    assert found.base_url == f"{found.origin}/v1"
    assert not found.origin.endswith("/")


def test_models_are_those_that_are_known_and_allowed() -> None:
    assert connection().models == ("deepseek-v4-pro", "glm-5", "gpt-5")
    assert connection(allowed=("g*",)).models == ("glm-5", "gpt-5")


async def test_programs_whose_format_is_not_served_are_not_offered(client: AsyncTestClient, ada: Person) -> None:
    page = (await client.get("/dashboard", headers=await signed_in(client, ada))).text

    assert "Override OpenAI Base URL" in page
    assert "ANTHROPIC_BASE_URL" not in page
    assert "wire_api" not in page
