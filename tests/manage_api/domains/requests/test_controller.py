from typing import Any

import msgspec
import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.books import Books
from tests.manage_api.world import ManualClock, People, Person, bearer, fields

MINE, EVERYBODYS, OVERVIEW = "/api/my-requests", "/api/admin/requests", "/api/admin/overview"
TRIES = [
    {"upstream": "main", "key": "…abcd", "model": "m", "outcome": "500"},
    {"upstream": "spare", "key": "", "model": "n", "outcome": "200"},
]
TURNS = [
    {"turn": 1, "at": 1, "rule": "id", "why": ""},
    {"turn": 2, "at": 3, "rule": "missing", "why": "no remembered turn fits"},
]
NOTES = ["the image in message 3 was left out: the upstream takes none"]
TOLD = {
    "tries": TRIES,
    "turns": TURNS,
    "rules": {"id": 1, "missing": 1},
    "notes": NOTES,
    "policy": "deepseek: empty",
}
DETAILS = msgspec.json.encode(TOLD).decode()


async def answered(client: AsyncTestClient, path: str, credential: str, **query: Any) -> Any:
    answer = await client.get(path, params=query, headers=bearer(credential))
    assert answer.status_code == 200
    return answer.json()


async def exchanges(client: AsyncTestClient, path: str, credential: str, **query: Any) -> list[str]:
    return [
        each["exchange"] for each in (await answered(client, path, credential, **query))["items"]
    ]


async def test_my_requests_tell_how_each_turn_was_resolved(
    client: AsyncTestClient, ada: Person, books: Books
) -> None:
    entry = books.settle(
        ada, details=DETAILS, restored=1, missing=1, streamed=True, first_byte_ms=350
    )

    [mine] = (await answered(client, MINE, ada.key))["items"]

    told = msgspec.structs.asdict(entry) | {"id": 1, "upstream_key": "…wxyz"} | TOLD
    del told["details"]
    assert mine == told


async def test_no_more_than_four_characters_of_an_upstreams_key_are_told(
    client: AsyncTestClient, ada: Person, books: Books
) -> None:
    details = msgspec.json.encode({"tries": [{"key": "sk-a-whole-key-1234"}]}).decode()
    books.settle(ada, upstream_key="sk-another-whole-key-5678", details=details)

    [mine] = (await answered(client, MINE, ada.key))["items"]

    assert (mine["upstream_key"], mine["tries"][0]["key"]) == ("…5678", "…1234")


async def test_my_requests_are_mine_alone(
    client: AsyncTestClient, ada: Person, people: People, books: Books
) -> None:
    bob = people.add("bob")
    books.settle(ada, exchange="ada 1", key_id=7)
    books.settle(bob, exchange="bob")
    books.settle(exchange="nobody")
    books.settle(ada, exchange="ada 2")

    assert await exchanges(client, MINE, ada.key) == ["ada 2", "ada 1"]
    assert await exchanges(client, MINE, ada.key, user_id=bob.user.id) == ["ada 2", "ada 1"]
    assert await exchanges(client, MINE, bob.key) == ["bob"]


async def test_a_session_sees_the_same(
    client: AsyncTestClient, session: str, ada: Person, books: Books
) -> None:
    books.settle(ada, exchange="ada")

    assert await exchanges(client, MINE, session) == ["ada"]


async def test_an_admin_sees_everybodys_requests(
    client: AsyncTestClient, ada: Person, admin: str, books: Books
) -> None:
    books.settle(ada, exchange="ada")
    books.settle(exchange="nobody")

    assert await exchanges(client, EVERYBODYS, admin) == ["nobody", "ada"]
    assert await exchanges(client, EVERYBODYS, admin, user_id=ada.user.id) == ["ada"]
    assert await exchanges(client, EVERYBODYS, admin, user_id=0) == ["nobody"]


@pytest.mark.parametrize("path", [MINE, EVERYBODYS])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"key_id": 5}, ["key"]),
        ({"model": "n"}, ["model"]),
        ({"upstream": "spare"}, ["upstream"]),
        ({"status": "error"}, ["error"]),
        ({"status": "ok"}, ["upstream", "model", "key"]),
        ({"error_class": "upstream_cut"}, ["error"]),
        ({"error_class": "", "model": "", "upstream": ""}, ["error", "upstream", "model", "key"]),
        ({"status": "ok", "model": "m", "upstream": "main"}, ["key"]),
    ],
    ids=["key", "model", "upstream", "error", "ok", "class", "empty", "together"],
)
async def test_requests_are_sifted(
    client: AsyncTestClient,
    root: Person,
    admin: str,
    books: Books,
    path: str,
    query: dict[str, Any],
    found: list[str],
) -> None:
    books.settle(root, exchange="key", key_id=5)
    books.settle(root, exchange="model", model="n")
    books.settle(root, exchange="upstream", upstream="spare")
    books.settle(root, exchange="error", error_class="upstream_cut")

    assert await exchanges(client, path, admin, **query) == found


@pytest.mark.parametrize("path", [MINE, EVERYBODYS])
@pytest.mark.parametrize("query", [{}, {"model": "m"}], ids=["all", "sifted"])
async def test_requests_are_paged(
    client: AsyncTestClient,
    root: Person,
    admin: str,
    books: Books,
    path: str,
    query: dict[str, Any],
) -> None:
    for number in range(5):
        books.settle(root, exchange=str(number))

    first = await answered(client, path, admin, limit=3, **query)
    second = await answered(client, path, admin, limit=3, cursor=first["next"], **query)

    assert [each["exchange"] for each in first["items"] + second["items"]] == list("43210")
    assert second["next"] is None


@pytest.mark.parametrize("path", [MINE, EVERYBODYS])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "junk!"}, "cursor"),
        ({"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"key_id": 2**63}, "key_id"),
        ({"status": "200"}, "status"),
        ({"model": "x" * 1025}, "model"),
    ],
    ids=["cursor", "absurd cursor", "no items", "many items", "huge key", "status", "model"],
)
async def test_a_query_that_cannot_be_answered_is_named(
    client: AsyncTestClient, admin: str, path: str, query: dict[str, Any], field: str
) -> None:
    answer = await client.get(path, params=query, headers=bearer(admin))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_the_overview_tells_how_upstreams_do(
    client: AsyncTestClient, ada: Person, admin: str, books: Books, clock: ManualClock
) -> None:
    books.settle(ada, first_byte_ms=100, restored=3, missing=1, details=DETAILS)
    books.settle(ada, first_byte_ms=300, error_class="upstream_500")
    books.settle(ada, upstream="spare")
    books.settle(ada, at=clock.now_ms() - 3_600_001)
    books.open(ada)

    overview = await answered(client, OVERVIEW, admin)

    main, spare = overview["upstreams"]
    counts = {
        "upstream": "main",
        "requests": 2,
        "failures": 1,
        "error_rate": 0.5,
        "restored": 3,
        "missing": 1,
    }
    waits = {"first_byte_p50_ms": 100, "first_byte_p95_ms": 300}
    assert main == counts | waits | {
        "restore_rate": 0.75,
        "reasons": {"no remembered turn fits": 1},
    }
    assert (spare["restore_rate"], spare["first_byte_p50_ms"], spare["error_rate"]) == (
        None,
        None,
        0,
    )
    assert (overview["minutes"], overview["running"]) == (60, 1)


async def test_the_overview_looks_back_as_far_as_it_is_told(
    client: AsyncTestClient, ada: Person, admin: str, books: Books, clock: ManualClock
) -> None:
    for minutes_ago in (0, 4, 6):
        books.settle(ada, at=clock.now_ms() - minutes_ago * 60_000)

    [main] = (await answered(client, OVERVIEW, admin, minutes=5))["upstreams"]

    assert main["requests"] == 2


async def test_an_idle_gateway_has_an_overview(client: AsyncTestClient, admin: str) -> None:
    assert await answered(client, OVERVIEW, admin) == {"minutes": 60, "running": 0, "upstreams": []}


@pytest.mark.parametrize("minutes", [0, -5, 1441, 2**63, "all"])
async def test_the_overview_looks_back_a_day_at_most(
    client: AsyncTestClient, admin: str, minutes: Any
) -> None:
    answer = await client.get(OVERVIEW, params={"minutes": minutes}, headers=bearer(admin))

    assert answer.status_code == 400
    assert fields(answer).keys() == {"minutes"}


@pytest.mark.parametrize("path", [EVERYBODYS, f"{EVERYBODYS}/live", OVERVIEW])
async def test_what_everybody_does_is_for_admins(
    client: AsyncTestClient, ada: Person, root: Person, path: str
) -> None:
    for credential in (ada.key, root.key):
        answer = await client.get(path, headers=bearer(credential))
        assert answer.status_code == 403
