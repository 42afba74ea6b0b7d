from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from shared.store.engine import Engine
from shared.store.key_rests import rest
from tests.manage_api.world import ManualClock, People, Person, bearer

CONFIG = """
[[upstreams]]
name = "mimo"
base_url = "https://api.xiaomimimo.com/v1"
api_keys = ["sk-first", "sk-second"]
models = ["mimo-v2"]
model_rewrites = [{ from = "gpt-5", to = "mimo-v2" }, { from_pattern = "^claude-(.*)$", to_template = "mimo-{1}" }]

[[upstreams]]
name = "lab"
base_url = "https://llm.example/v1"
"""

SPOKEN = """
[tiers]
big_model = "ds"
big_effort = "high"

[[upstreams]]
name = "lab"
base_url = "https://api.deepseek.com/anthropic"
api = "messages"
model_rewrites = [{ from = "ds", to = "deepseek-v4-pro" }, { from = "fast", to = "flash", effort = "none" }]
"""
CONFIGURED = pytest.mark.parametrize("toml", [CONFIG], indirect=True)


@pytest.fixture
def key(root: Person, people: People) -> str:
    return people.key(root, "admin")


async def routes(client: AsyncTestClient, key: str, model: str) -> Any:
    answer = await client.get("/api/admin/routes", params={"model": model}, headers=bearer(key))
    return answer.json()


@CONFIGURED
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-5", ("rewrite", 1, "mimo-v2")),
        ("claude-opus", ("rewrite", 2, "mimo-opus")),
        ("mimo-v2", ("model", None, "mimo-v2")),
    ],
)
async def test_the_rule_and_its_result_are_told(
    client: AsyncTestClient, key: str, model: str, expected: Any
) -> None:
    first = (await routes(client, key, model))["routes"][0]

    assert (first["upstream"], first["upstream_id"]) == ("mimo", "config:mimo")
    assert (first["by"], first["rule"], first["model"]) == expected


@CONFIGURED
async def test_the_other_upstreams_follow_in_their_order(client: AsyncTestClient, key: str) -> None:
    found = await routes(client, key, "gpt-5")

    assert [(route["upstream"], route["by"]) for route in found["routes"]] == [
        ("mimo", "rewrite"),
        ("lab", "every-model"),
    ]
    assert found["chosen"] == "mimo"


@CONFIGURED
async def test_the_profile_comes_with_its_reason(client: AsyncTestClient, key: str) -> None:
    found = await routes(client, key, "mimo-v2")

    assert [(route["profile"], route["profile_by"]) for route in found["routes"]] == [
        ("mimo", "host"),
        ("mimo", "model"),
    ]


@pytest.mark.parametrize("toml", [SPOKEN], indirect=True)
async def test_the_profile_is_that_of_what_an_upstream_speaks(
    client: AsyncTestClient, key: str
) -> None:
    [route] = (await routes(client, key, "m"))["routes"]

    assert (route["profile"], route["profile_by"]) == ("messages", "api")


@pytest.mark.parametrize("toml", [SPOKEN], indirect=True)
@pytest.mark.parametrize(
    ("model", "stand_in", "expected"),
    [
        ("claude-opus-4", "ds", ("rewrite", 1, "deepseek-v4-pro", "high")),
        ("claude-haiku-4", None, ("every-model", None, "claude-haiku-4", "")),
        ("fast", None, ("rewrite", 2, "flash", "none")),
        ("ds-low", None, ("rewrite", 1, "deepseek-v4-pro", "low")),
        ("m:max", None, ("every-model", None, "m", "max")),
    ],
)
async def test_what_stands_for_a_model_and_its_effort_are_told(
    client: AsyncTestClient, key: str, model: str, stand_in: str | None, expected: Any
) -> None:
    found = await routes(client, key, model)

    [route] = found["routes"]
    assert found["stand_in"] == stand_in
    assert (route["by"], route["rule"], route["model"], route["effort"]) == expected


@CONFIGURED
async def test_an_upstream_whose_keys_all_rest_is_not_asked_first(
    client: AsyncTestClient, key: str, store: Engine, clock: ManualClock
) -> None:
    until = clock.now_ms() + 60_000
    resting = [
        rest("mimo", each, until, "it was answered with 429") for each in ("sk-first", "sk-second")
    ]
    store.transact(lambda work: [work.run(*statement) for statement in resting], alone=())

    found = await routes(client, key, "gpt-5")

    assert found["routes"][0]["resting"] == 2
    assert found["chosen"] == "lab"


@pytest.mark.parametrize("toml", [CONFIG.rpartition("[[upstreams]]")[0]], indirect=True)
async def test_a_model_that_nobody_serves_has_no_route(client: AsyncTestClient, key: str) -> None:
    found = await routes(client, key, "gpt-6")

    assert found == {"model": "gpt-6", "stand_in": None, "routes": [], "chosen": None}
