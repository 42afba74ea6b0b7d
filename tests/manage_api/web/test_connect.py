import html
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


TIERS = '[tiers]\nbig_model = "glm-5"\nsmall_model = "glm-5-air"\n'


async def dashboard(client: AsyncTestClient, person: Person) -> str:
    return html.unescape(
        (await client.get("/dashboard", headers=await signed_in(client, person))).text
    )


@pytest.mark.parametrize("environ", [{"PUBLIC_URL": "https://think.example.com"}], indirect=True)
@pytest.mark.parametrize(
    "line",
    [
        "Override OpenAI Base URL",
        "ANTHROPIC_BASE_URL=https://think.example.com\n",
        'base_url = "https://think.example.com/v1"\n',
        'wire_api = "responses"',
        "curl https://think.example.com/v1/chat/completions",
    ],
    ids=["Cursor", "Claude Code", "Codex's address", "Codex's format", "curl"],
)
async def test_every_program_is_told_what_it_needs(
    client: AsyncTestClient, ada: Person, line: str
) -> None:
    assert line in await dashboard(client, ada)


@pytest.mark.parametrize("toml", [TIERS], indirect=True)
async def test_what_stands_for_claude_s_models_is_told(
    client: AsyncTestClient, ada: Person
) -> None:
    page = await dashboard(client, ada)

    assert (
        '<code dir="auto">glm-5</code> here, its small ones (haiku) <code dir="auto">glm-5-air</code>'
        in page
    )
    assert "claude --model" not in page


async def test_only_an_admin_is_led_to_where_it_is_chosen(
    client: AsyncTestClient, ada: Person, root: Person
) -> None:
    pages = [await dashboard(client, person) for person in (ada, root)]

    assert ['href="/admin/settings#tiers"' in page for page in pages] == [False, True]
    assert ["claude --model MODEL" in page for page in pages] == [True, True]
