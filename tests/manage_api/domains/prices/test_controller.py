from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from shared.pricing import Price, list_price, list_prices_day
from shared.store.engine import Engine
from shared.store.prices import find_price
from tests.manage_api.world import Person, bearer, fields

PRICES = "/api/admin/prices"
PRICE = {
    "upstream": "",
    "model": "m",
    "from_day": 2026_11_20,
    "input_micros": 10,
    "output_micros": 20,
}
WHOLE = PRICE | {"cached_micros": 5}

UPSTREAMS = """
[[upstreams]]
name = "main"
base_url = "https://api.deepseek.com"
models = ["deepseek-v4-flash", "fast"]
model_rewrites = [{ from = "fast", to = "deepseek-v4-pro" }]

[[upstreams]]
name = "any"
base_url = "https://api.z.ai/api/paas/v4"

[[upstreams]]
name = "reseller"
base_url = "https://api.example.com/v1"
"""
configured = pytest.mark.parametrize("toml", [UPSTREAMS], indirect=True, ids=["upstreams"])


async def set_price(client: AsyncTestClient, session: str, **changes: Any) -> Any:
    answer = await client.post(PRICES, json=WHOLE | changes, headers=bearer(session))
    assert answer.status_code == 201
    return answer.json()


async def listed(client: AsyncTestClient, session: str, **query: Any) -> Any:
    answer = await client.get(PRICES, params=query, headers=bearer(session))
    assert answer.status_code == 200
    return answer.json()


async def test_a_price_that_was_set_holds(
    client: AsyncTestClient, admin: str, store: Engine
) -> None:
    made = await set_price(client, admin)

    assert made == WHOLE | {"source": "own", "id": made["id"]}
    assert find_price(store, upstream="main", host="", model="m", day=2026_11_20) == Price(
        10, 20, 5
    )
    assert await listed(client, admin) == {"items": [made], "next": None}


async def test_cached_tokens_need_no_price_of_their_own(
    client: AsyncTestClient, admin: str, store: Engine
) -> None:
    answer = await client.post(PRICES, json=PRICE, headers=bearer(admin))

    assert answer.json()["cached_micros"] is None
    assert find_price(store, upstream="main", host="", model="m", day=2026_11_20) == Price(
        10, 20, None
    )


@configured
async def test_a_price_can_be_for_one_upstream(
    client: AsyncTestClient, admin: str, store: Engine
) -> None:
    await set_price(client, admin, upstream="main")

    assert find_price(store, upstream="main", host="", model="m", day=2026_11_20)
    assert find_price(store, upstream="any", host="", model="m", day=2026_11_20) is None


@configured
async def test_published_prices_of_what_the_upstreams_serve_are_listed(
    client: AsyncTestClient, admin: str
) -> None:
    await set_price(client, admin)

    first, *published = (await listed(client, admin))["items"]

    assert first["source"] == "own"
    assert {(price["source"], price["id"], price["from_day"]) for price in published} == {
        ("list", None, list_prices_day())
    }
    assert {(price["upstream"], price["model"]) for price in published} == {
        *(("main", "deepseek-v4-flash"), ("main", "deepseek-v4-pro")),
        *(("any", "glm-5.1"), ("any", "glm-5.2")),
    }
    [pro] = [price for price in published if price["model"] == "deepseek-v4-pro"]
    assert pro["input_micros"] == list_price("api.deepseek.com", "deepseek-v4-pro").input_micros


@configured
async def test_prices_are_paged_and_the_published_ones_come_last(
    client: AsyncTestClient, admin: str
) -> None:
    for model in "abc":
        await set_price(client, admin, model=model)

    first = await listed(client, admin, limit=2)
    second = await listed(client, admin, limit=2, cursor=first["next"])

    assert [price["model"] for price in first["items"]] == ["a", "b"]
    assert [price["source"] for price in second["items"]] == ["own", "list", "list", "list", "list"]
    assert second["next"] is None


async def test_a_price_is_replaced(client: AsyncTestClient, admin: str) -> None:
    made = await set_price(client, admin)
    body = {"model": "n", "from_day": 2026_12_01, "input_micros": 1, "output_micros": 2}

    answer = await client.put(f"{PRICES}/{made['id']}", json=body, headers=bearer(admin))

    changed = body | {"source": "own", "id": made["id"], "upstream": "", "cached_micros": None}
    assert (answer.status_code, answer.json()) == (200, changed)
    assert (await listed(client, admin))["items"] == [changed]


async def test_a_price_is_removed(client: AsyncTestClient, admin: str) -> None:
    made = await set_price(client, admin)

    answer = await client.delete(f"{PRICES}/{made['id']}", headers=bearer(admin))

    assert answer.status_code == 204
    assert (await listed(client, admin))["items"] == []


async def test_there_is_one_price_a_day(client: AsyncTestClient, admin: str) -> None:
    await set_price(client, admin)
    other = await set_price(client, admin, from_day=2026_11_21)

    again = await client.post(PRICES, json=WHOLE, headers=bearer(admin))
    moved = await client.put(f"{PRICES}/{other['id']}", json=WHOLE, headers=bearer(admin))

    assert [again.status_code, moved.status_code] == [409, 409]
    assert "has a price from 20261120 on" in again.json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("number", "status"), [(7, 404), (2**53, 400), (2**63, 400), (10**30, 400), (0, 400)]
)
async def test_a_price_that_is_not_there_is_said_to_be_missing(
    client: AsyncTestClient, admin: str, method: str, number: int, status: int
) -> None:
    body = WHOLE if method == "PUT" else None

    answer = await client.request(method, f"{PRICES}/{number}", json=body, headers=bearer(admin))

    assert answer.status_code == status
    if status == 400:
        assert fields(answer).keys() == {"price_id"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": "x" * 257}, "model"),
        ({"upstream": "nowhere"}, "upstream"),
        ({"from_day": 2026_02_30}, "from_day"),
        ({"from_day": 7}, "from_day"),
        ({"from_day": "2026-11-20"}, "from_day"),
        ({"from_day": 10**30}, "from_day"),
        ({"input_micros": -1}, "input_micros"),
        ({"output_micros": 10**12 + 1}, "output_micros"),
        ({"cached_micros": 0.5}, "cached_micros"),
        ({"input_micros": None}, "input_micros"),
    ],
    ids=[
        *(
            "no model",
            "long model",
            "no such upstream",
            "no such day",
            "small day",
            "day as text",
            "huge day",
        ),
        *("negative", "absurd", "fraction", "null"),
    ],
)
async def test_a_field_that_cannot_be_taken_is_named(
    client: AsyncTestClient, admin: str, method: str, wrong: dict[str, Any], field: str
) -> None:
    made = await set_price(client, admin)
    path = PRICES if method == "POST" else f"{PRICES}/{made['id']}"

    answer = await client.request(method, path, json=WHOLE | wrong, headers=bearer(admin))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


@pytest.mark.parametrize(
    ("query", "field"),
    [({"cursor": "junk!"}, "cursor"), ({"limit": 0}, "limit"), ({"limit": 201}, "limit")],
    ids=["cursor", "no items", "many items"],
)
async def test_a_query_that_cannot_be_answered_is_named(
    client: AsyncTestClient, admin: str, query: dict[str, Any], field: str
) -> None:
    answer = await client.get(PRICES, params=query, headers=bearer(admin))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_prices_are_for_admins(client: AsyncTestClient, ada: Person, root: Person) -> None:
    for credential in (ada.key, root.key):
        for method, path in (
            ("GET", PRICES),
            ("POST", PRICES),
            ("PUT", f"{PRICES}/1"),
            ("DELETE", f"{PRICES}/1"),
        ):
            answer = await client.request(method, path, headers=bearer(credential))
            assert (method, answer.status_code) == (method, 403)
