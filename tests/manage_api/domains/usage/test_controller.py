import csv
import io
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from shared.model import Limits
from tests.manage_api.books import Books
from tests.manage_api.world import ManualClock, People, Person, bearer, fields

MINE, DAILY, EVERYBODYS = "/api/my-usage", "/api/my-stats/daily", "/api/admin/usage"
DAY = 86_400
MIDNIGHT = 1_800_057_600_000
"""After the clock's day, 2027-01-15."""


async def answered(client: AsyncTestClient, path: str, credential: str, **query: Any) -> Any:
    answer = await client.get(path, params=query, headers=bearer(credential))
    assert answer.status_code == 200
    return answer.json()


# -- one's own -------------------------------------------------------------------------------------


async def test_my_usage_is_of_today_this_month_and_ever(
    client: AsyncTestClient, ada: Person, books: Books, clock: ManualClock
) -> None:
    for days_ago in (0, 1, 20):
        books.settle(ada, at=clock.now_ms() - days_ago * DAY * 1000)

    mine = await answered(client, MINE, ada.key)

    assert [mine[part]["requests"] for part in ("today", "month", "lifetime")] == [1, 2, 3]
    assert [mine[part]["tokens"] for part in ("today", "month", "lifetime")] == [120, 240, 360]
    assert [mine[part]["cost_micros"] for part in ("today", "month", "lifetime")] == [50, 100, 150]


async def test_my_usage_tells_what_it_is_made_of(
    client: AsyncTestClient, ada: Person, books: Books
) -> None:
    books.settle(ada, reasoning_tokens=5, cached_tokens=60, restored=3, missing=1)
    books.settle(ada, error_class="upstream_cut", estimated=True, cost_micros=None)

    today = (await answered(client, MINE, ada.key))["today"]

    tokens = {
        "prompt_tokens": 200,
        "completion_tokens": 40,
        "reasoning_tokens": 5,
        "cached_tokens": 60,
    }
    marks = {"failures": 1, "estimated": 1, "unpriced": 1, "restored": 3, "missing": 1}
    assert (
        today
        == {"requests": 2, "tokens": 240, "cost_micros": 50, "cached_share": 0.3} | tokens | marks
    )


async def test_my_usage_is_nobody_elses(
    client: AsyncTestClient, ada: Person, people: People, books: Books
) -> None:
    books.settle(people.add("bob"))
    books.settle()

    assert (await answered(client, MINE, ada.key))["lifetime"]["requests"] == 0


async def test_a_quota_says_what_is_left(
    client: AsyncTestClient, people: People, books: Books
) -> None:
    limits = Limits(quota_tokens=1000, quota_cost_micros=60, period="day")
    ada = people.add("ada", limits=limits)
    books.settle(ada)
    books.open(ada, tokens=200, cost=20)

    quota = (await answered(client, MINE, ada.key))["quota"]

    tokens = {"quota_tokens": 1000, "used_tokens": 120, "reserved_tokens": 200, "left_tokens": 680}
    cost = {
        "quota_cost_micros": 60,
        "used_cost_micros": 50,
        "reserved_cost_micros": 20,
        "left_cost_micros": 0,
    }
    assert quota == {"period": "day", "resets_at": MIDNIGHT} | tokens | cost


async def test_without_a_quota_there_is_no_limit(
    client: AsyncTestClient, ada: Person, books: Books
) -> None:
    books.settle(ada)

    quota = (await answered(client, MINE, ada.key))["quota"]

    limits = ("quota_tokens", "left_tokens", "quota_cost_micros", "left_cost_micros", "resets_at")
    assert {quota[name] for name in limits} == {None}
    assert (quota["used_tokens"], quota["period"]) == (120, "lifetime")


async def test_a_key_is_told_its_own_quota_too(
    client: AsyncTestClient, ada: Person, people: People, books: Books
) -> None:
    key = people.key(ada, limits=Limits(quota_tokens=150))
    mine = await answered(client, "/api/keys", key)
    [number] = [each["id"] for each in mine["items"] if each["quota_tokens"] == 150]
    books.settle(ada, key_id=number)
    books.settle(ada)

    usage = await answered(client, MINE, key)

    assert (usage["key_quota"]["used_tokens"], usage["key_quota"]["left_tokens"]) == (120, 30)
    assert (usage["quota"]["used_tokens"], usage["lifetime"]["tokens"]) == (240, 240)


async def test_a_session_has_no_key_quota(client: AsyncTestClient, session: str) -> None:
    assert (await answered(client, MINE, session))["key_quota"] is None


async def test_my_days_are_told_by_model_and_without_gaps(
    client: AsyncTestClient, ada: Person, people: People, books: Books, clock: ManualClock
) -> None:
    now = clock.now_ms()
    books.settle(ada, model="b")
    books.settle(ada, model="a")
    books.settle(ada, model="a", at=now - 2 * DAY * 1000)
    books.settle(ada, model="a", at=now - 3 * DAY * 1000)
    books.settle(people.add("bob"))

    days = (await answered(client, DAILY, ada.key, days=3))["days"]

    assert [(day["day"], day["requests"], day["tokens"]) for day in days] == [
        (2027_01_13, 1, 120),
        (2027_01_14, 0, 0),
        (2027_01_15, 2, 240),
    ]
    assert [[(model["model"], model["tokens"]) for model in day["models"]] for day in days] == [
        [("a", 120)],
        [],
        [("a", 120), ("b", 120)],
    ]


@pytest.mark.parametrize(("query", "count"), [({}, 30), ({"days": 1}, 1), ({"days": 366}, 366)])
async def test_so_many_days_are_told(
    client: AsyncTestClient, ada: Person, query: dict[str, int], count: int
) -> None:
    days = (await answered(client, DAILY, ada.key, **query))["days"]

    assert len({day["day"] for day in days}) == count
    assert [day["day"] for day in days] == sorted(day["day"] for day in days)


@pytest.mark.parametrize("days", [0, -1, 367, 2**63, "many", "1.5", ""])
async def test_other_numbers_of_days_are_refused(
    client: AsyncTestClient, ada: Person, days: Any
) -> None:
    answer = await client.get(DAILY, params={"days": days}, headers=bearer(ada.key))

    assert answer.status_code == 400
    assert fields(answer).keys() == {"days"}


# -- everybody's -----------------------------------------------------------------------------------


@pytest.fixture
def used(ada: Person, books: Books, clock: ManualClock) -> Person:
    """Ada used two models at two upstreams on two days, and somebody an upstream's own key."""
    books.settle(ada, key_id=1)
    books.settle(ada, key_id=1, model="n", upstream="spare", at=clock.now_ms() - DAY * 1000)
    books.settle()
    return ada


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("user", [(0, "", 1), (1, "ada", 2)]),
        ("key", [(0, "", 1), (1, "ada: first …{suffix}", 2)]),
        ("model", [("m", "", 2), ("n", "", 1)]),
        ("upstream", [("main", "", 2), ("spare", "", 1)]),
        ("day", [(2027_01_15, "", 2), (2027_01_14, "", 1)]),
    ],
)
async def test_everybodys_usage_is_grouped(
    client: AsyncTestClient, used: Person, admin: str, by: str, groups: list[tuple[Any, str, int]]
) -> None:
    page = await answered(client, EVERYBODYS, admin, by=by)

    found = [(each["group"], each["name"], each["requests"]) for each in page["items"]]
    assert found == [
        (group, name.format(suffix=used.key[-4:]), requests) for group, name, requests in groups
    ]
    assert page["items"][0]["tokens"] == 120 * groups[0][2]
    assert page["next"] is None


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ({}, 3),
        ({"user_id": 1}, 2),
        ({"user_id": 0}, 1),
        ({"key_id": 1}, 2),
        ({"model": "n"}, 1),
        ({"upstream": "main"}, 2),
        ({"from": "2027-01-15"}, 2),
        ({"to": "2027-01-14"}, 1),
        ({"from": "2027-01-14", "to": "2027-01-14", "user_id": 1, "model": "n"}, 1),
        ({"model": "", "upstream": "", "from": "", "to": ""}, 3),
    ],
    ids=["all", "user", "nobody", "key", "model", "upstream", "from", "to", "together", "empty"],
)
@pytest.mark.parametrize("by", ["day", "user"])
async def test_everybodys_usage_can_be_narrowed(
    client: AsyncTestClient, used: Person, admin: str, by: str, query: dict[str, Any], requests: int
) -> None:
    page = await answered(client, EVERYBODYS, admin, by=by, **query)

    assert sum(each["requests"] for each in page["items"]) == requests


@pytest.mark.parametrize("by", ["user", "model", "upstream", "day", "key"])
async def test_everybodys_usage_is_paged(
    client: AsyncTestClient, used: Person, admin: str, by: str
) -> None:
    every = await answered(client, EVERYBODYS, admin, by=by)

    first = await answered(client, EVERYBODYS, admin, by=by, limit=1)
    second = await answered(client, EVERYBODYS, admin, by=by, limit=1, cursor=first["next"])

    assert first["items"] + second["items"] == every["items"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"format": "csv"}, {}),
        ({}, {"Accept": "text/csv"}),
        ({"format": "csv"}, {"Accept": "application/json"}),
    ],
    ids=["asked for", "accepted", "asked for and not accepted"],
)
async def test_everybodys_usage_is_exported(
    client: AsyncTestClient,
    used: Person,
    admin: str,
    query: dict[str, str],
    headers: dict[str, str],
) -> None:
    answer = await client.get(
        EVERYBODYS, params={"by": "user"} | query, headers=bearer(admin) | headers
    )

    nobody, ada = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (nobody["group"], ada["group"], ada["name"], ada["tokens"]) == ("0", "1", "ada", "240")
    assert answer.headers["content-disposition"] == 'attachment; filename="usage-by-user.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    "accept", ["*/*", "text/html,*/*;q=0.8", "application/json, text/csv;q=0.5"]
)
async def test_json_is_answered_unless_csv_is_wanted(
    client: AsyncTestClient, admin: str, accept: str
) -> None:
    answer = await client.get(EVERYBODYS, headers=bearer(admin) | {"Accept": accept})

    assert answer.json() == {"items": [], "next": None}


async def test_json_can_be_asked_for(client: AsyncTestClient, admin: str) -> None:
    answer = await client.get(
        EVERYBODYS, params={"format": "json"}, headers=bearer(admin) | {"Accept": "text/csv"}
    )

    assert answer.json() == {"items": [], "next": None}


async def test_an_export_has_every_group(
    client: AsyncTestClient, ada: Person, admin: str, books: Books
) -> None:
    for number in range(401):
        books.settle(ada, model=f"model {number:03}")

    answer = await client.get(
        EVERYBODYS, params={"by": "model", "format": "csv"}, headers=bearer(admin)
    )

    rows = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert [row["group"] for row in rows] == [f"model {number:03}" for number in range(401)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "colour"}, "by"),
        ({"from": "yesterday"}, "from"),
        ({"to": "x" * 100}, "to"),
        ({"from": "2026-11-21", "to": "2026-11-20"}, "from"),
        ({"user_id": 2**63}, "user_id"),
        ({"key_id": -1}, "key_id"),
        ({"model": "x" * 1025}, "model"),
        ({"format": "xml"}, "format"),
        ({"cursor": "junk!"}, "cursor"),
        ({"by": "user", "cursor": "Im0i"}, "cursor"),
        ({"by": "model", "cursor": "NQ"}, "cursor"),
        ({"limit": 0}, "limit"),
    ],
    ids=[
        *(
            "by",
            "from",
            "to",
            "order",
            "huge user",
            "negative key",
            "long model",
            "format",
            "cursor",
        ),
        *("cursor of names for numbers", "cursor of numbers for names", "limit"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_named(
    client: AsyncTestClient, admin: str, query: dict[str, Any], field: str
) -> None:
    answer = await client.get(EVERYBODYS, params=query, headers=bearer(admin))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_everybodys_usage_is_for_admins(
    client: AsyncTestClient, ada: Person, root: Person
) -> None:
    for credential in (ada.key, root.key):
        for query in ({}, {"user_id": 1}, {"format": "csv"}):
            answer = await client.get(EVERYBODYS, params=query, headers=bearer(credential))
            assert answer.status_code == 403


async def test_upstreams_tell_the_part_that_came_from_their_caches(
    client: AsyncTestClient, admin: str, books: Books
) -> None:
    books.settle(upstream="fresh")
    books.settle(upstream="kept", prompt_tokens=100, cached_tokens=75)
    books.settle(upstream="refused", prompt_tokens=0)

    groups = (await answered(client, EVERYBODYS, admin, by="upstream"))["items"]

    assert {one["group"]: one["cached_share"] for one in groups} == {
        "fresh": 0.0,
        "kept": 0.75,
        "refused": None,
    }
