import html
from typing import Any

import pytest
from litestar.testing import AsyncTestClient, RequestFactory

from manage_api.web.connect import Connection, connection_for
from shared.config.schema import ModelRewrite, Server, Snapshot, Upstream
from shared.store.engine import Engine
from shared.store.upstream_models import Listing, keep_listing
from tests.manage_api.web.visits import signed_in
from tests.manage_api.world import People, Person

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


def test_models_that_upstreams_list_are_known_as_well() -> None:
    upstream = Upstream(name="open", base_url="https://open.example")
    request, snapshot = RequestFactory().get("/"), Snapshot(upstreams=(UPSTREAM, upstream))
    listed = {"open": ("glm-6", "other"), "u": ("never",)}

    assert connection_for(request, snapshot, (), listed).models == (
        *("deepseek-v4-pro", "glm-5", "gpt-5"),
        *("glm-6", "other"),
    )
    assert connection_for(request, snapshot, ("*-6",), listed).models == ("glm-6",)


OPEN = '[[upstreams]]\nname = "open"\nbase_url = "https://open.example"\n'


@pytest.mark.parametrize("toml", [OPEN], indirect=True)
async def test_what_an_upstream_lists_is_in_the_instructions_and_offered_for_keys(
    client: AsyncTestClient, people: People, store: Engine
) -> None:
    listing = Listing(
        upstream="open",
        endpoint="https://open.example/v1/chat/completions",
        asked_at=1,
        listed_at=1,
        models=("glm-6", "other"),
    )
    store.transact(lambda work: work.run(*keep_listing(listing)), alone=())
    page = await dashboard(client, people.add("grace", models=("glm*",)))

    assert "claude --model glm-6" in page
    assert 'model = "glm-6"' in page
    assert '"model": "glm-6"' in page
    assert "<option>glm-6</option>" in page
    assert "other" not in page.split('id="connect-title"')[1].split("API keys")[0]
    assert "<option>other</option>" not in page


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
