import json
import re
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from shared.store.engine import Engine
from tests.manage_api.web.visits import write
from tests.manage_api.world import ManualClock, People, Person, bearer

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
DAY_MS = 86_400_000
TODAY = "2027-01-15"
"""Of the clock."""


@pytest.fixture
def admin(people: People, root: Person) -> dict[str, str]:
    """The headers of an admin."""
    return bearer(people.key(root, "admin"))


@pytest.fixture
def used(store: Engine, ada: Person, people: People, clock: ManualClock) -> None:
    """Ada used 300 tokens of two models today and yesterday, lin 4000 of one 40 days ago."""
    now = clock.now_ms()
    write(store, ada, now, model="small", upstream="main", prompt_tokens=90, completion_tokens=10)
    write(
        store,
        ada,
        now - DAY_MS,
        model="large",
        upstream="spare",
        prompt_tokens=150,
        completion_tokens=50,
    )
    write(
        store,
        people.add("lin"),
        now - 40 * DAY_MS,
        model="large",
        upstream="main",
        prompt_tokens=4_000,
    )


def chart(page: str) -> dict[str, Any]:
    """The series of the page's chart that are not empty, by name: their values that are not 0."""
    found = re.search(r'<script type="application/json" id="usage-values">(.*?)</script>', page)
    assert found
    return {
        each["name"]: [value for value in each["values"] if value]
        for each in json.loads(found[1])["series"]
    }


def rows(page: str) -> list[str]:
    """The names of the groups."""
    return re.findall(r'<th scope="row" class="name three"><a [^>]*><bdi>(.*?)</bdi>', page)


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize(
    ("query", "groups", "series"),
    [
        ({}, [TODAY, "2027-01-14"], {"Prompt": [150, 90], "Answer": [50, 10]}),
        ({"by": "model"}, ["large", "small"], {"large": [200], "small": [100]}),
        ({"by": "user"}, ["ada"], {"ada": [200, 100]}),
        (
            {"by": "upstream", "from": "2026-11-01"},
            ["main", "spare"],
            {"main": [4_000, 100], "spare": [200]},
        ),
        ({"by": "key"}, ["without a virtual key"], {"without a virtual key": [200, 100]}),
        ({"by": "user", "from": "2026-11-01", "to": "2026-12-31"}, ["lin"], {"lin": [4_000]}),
        ({"by": "model", "user": "ADA", "upstream": "spare"}, ["large"], {"large": [200]}),
    ],
    ids=["by day", "by model", "by user", "from a day", "by key", "to a day", "filtered"],
)
async def test_usage_is_summed_and_drawn(
    client: AsyncTestClient,
    admin: dict[str, str],
    query: dict[str, str],
    groups: list[str],
    series: dict[str, Any],
) -> None:
    page = (await client.get("/admin/usage", params=query, headers=admin)).text

    assert rows(page) == groups
    assert chart(page) == series


async def test_beyond_seven_groups_the_chart_shows_the_rest_as_one(
    client: AsyncTestClient, admin: dict[str, str], store: Engine, ada: Person, clock: ManualClock
) -> None:
    for number in range(10):
        write(
            store,
            ada,
            clock.now_ms(),
            model=f"model-{number}",
            upstream="up",
            prompt_tokens=100 + number,
        )

    page = (await client.get("/admin/usage?by=model", headers=admin)).text

    assert len(rows(page)) == 10
    assert chart(page)["All others"] == [100 + 101 + 102]


@pytest.mark.usefixtures("used")
async def test_the_file_has_the_filters_of_the_page(
    client: AsyncTestClient, admin: dict[str, str], ada: Person
) -> None:
    page = (await client.get("/admin/usage?by=model&user=ada&upstream=main", headers=admin)).text
    link = re.search(r'href="(/api/admin/usage\?[^"]*)"', page)
    assert link

    lines = (await client.get(link[1].replace("&amp;", "&"), headers=admin)).text.splitlines()

    assert [line.split(",")[0] for line in lines] == ["group", "small"]


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize(
    ("by", "following"),
    [
        ("day", ["ada"]),
        ("user", ["large", "small"]),
        ("model", ["ada"]),
        ("upstream", ["large"]),
        ("key", ["large", "small"]),
    ],
)
async def test_a_group_leads_to_what_it_is_made_of(
    client: AsyncTestClient, admin: dict[str, str], by: str, following: list[str]
) -> None:
    page = (await client.get(f"/admin/usage?by={by}", headers=admin)).text
    link = re.search(r'<th scope="row" class="name three"><a href="([^"]*)"', page)
    assert link

    there = (await client.get("/admin/usage" + link[1].replace("&amp;", "&"), headers=admin)).text

    assert rows(there) == following


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"user": "nobody"}, "There is no account with this name"),
        ({"model": "none"}, "No usage"),
        ({"user_id": 999}, "the deleted account 999"),
        ({"user_id": 0}, "callers with an upstream’s own key"),
        ({"from": "0001-01-01", "to": "0001-01-02"}, "No usage"),
        ({"to": "0001-01-02"}, "No usage"),
        ({"from": "9999-12-31"}, "No usage"),
        ({"from": "1970-01-01"}, "No usage"),
    ],
)
async def test_nothing_is_told_in_words(
    client: AsyncTestClient, admin: dict[str, str], query: dict[str, Any], told: str
) -> None:
    answer = await client.get("/admin/usage", params=query, headers=admin)

    assert answer.status_code == 200
    assert told in answer.text


@pytest.mark.usefixtures("used")
async def test_of_very_many_days_the_last_year_is_drawn_and_all_is_summed(
    client: AsyncTestClient, admin: dict[str, str]
) -> None:
    page = (await client.get("/admin/usage?from=1970-01-01&by=user", headers=admin)).text

    assert page.count('<tr><th scope="row">2') == 366
    assert rows(page) == ["lin", "ada"]


async def test_a_day_that_is_none_is_refused_in_words(
    client: AsyncTestClient, admin: dict[str, str]
) -> None:
    answer = await client.get("/admin/usage?from=yesterday", headers=admin)

    assert answer.status_code == 400
    assert "Write the day like 2026-11-20." in answer.text


async def test_names_are_escaped(
    client: AsyncTestClient, admin: dict[str, str], store: Engine, ada: Person, clock: ManualClock
) -> None:
    write(store, ada, clock.now_ms(), model=HOSTILE, upstream=HOSTILE, prompt_tokens=5)

    page = (
        await client.get("/admin/usage", params={"by": "model", "model": HOSTILE}, headers=admin)
    ).text

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert list(chart(page)) == [HOSTILE]


async def test_only_admins_see_it(client: AsyncTestClient, ada: Person) -> None:
    stranger = await client.get("/admin/usage", follow_redirects=False)
    user = await client.get("/admin/usage", headers=bearer(ada.key))

    assert (stranger.status_code, stranger.headers["location"]) == (303, "/?next=/admin/usage")
    assert user.status_code == 403


@pytest.mark.usefixtures("used")
async def test_the_part_of_the_prompts_from_caches_is_drawn_by_day(
    client: AsyncTestClient, admin: dict[str, str], store: Engine, ada: Person, clock: ManualClock
) -> None:
    write(
        store,
        ada,
        clock.now_ms(),
        model="small",
        upstream="main",
        prompt_tokens=60,
        cached_tokens=50,
    )

    pages = [
        (await client.get(f"/admin/usage?by={by}", headers=admin)).text
        for by in ("day", "upstream")
    ]
    found = [re.search(r'id="cached-values">(.*?)</script>', page) for page in pages]
    drawn = [json.loads(one[1])["series"] for one in found if one]

    assert [(each["name"], each["values"][-3:]) for each in drawn[0]] == [
        ("All", [None, 0.0, 33.3])
    ]
    assert [(each["name"], each["values"][-2:]) for each in drawn[1]] == [
        ("spare", [0.0, None]),
        ("main", [None, 33.3]),
    ]
