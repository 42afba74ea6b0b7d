import re

import msgspec
import pytest
from litestar.testing import AsyncTestClient

from shared.model import Limits
from shared.store.engine import Engine
from tests.manage_api.web.visits import write
from tests.manage_api.world import ManualClock, People, Person, bearer

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
DAY_MS = 86_400_000


async def test_the_dashboard_counts_the_days_that_are_shown(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    for ago, tokens in ((0, 100), (6, 200), (29, 4_000), (89, 50_000)):
        write(store, ada, clock.now_ms() - ago * DAY_MS, model="m", prompt_tokens=tokens)
    headers = bearer(ada.key)

    shown = {
        days: (await client.get(f"/dashboard?days={days}", headers=headers)).text
        for days in (7, 30, 90)
    }

    assert [shown[days].count('<td class="num">') for days in (7, 30, 90)] == [7, 30, 90]
    assert [('<td class="num">50,000</td>' in shown[days]) for days in (7, 30, 90)] == [
        False,
        False,
        True,
    ]


async def test_beyond_seven_models_the_rest_is_one(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
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

    page = (await client.get("/dashboard?days=1", headers=bearer(ada.key))).text

    assert "3 others" in page
    assert '<td class="num">303</td>' in page


async def test_why_turns_were_not_found_is_told(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    note = '{"turns": [{"at": 2, "rule": "missing", "why": "the ids are not the gateway\'s"}]}'
    write(store, ada, clock.now_ms(), missing=1, restored=3, details=note)

    page = (await client.get("/dashboard", headers=bearer(ada.key))).text

    assert "75 %" in page
    assert "1 × <bdi>the ids are not the gateway&#39;s</bdi>" in page


async def test_each_turn_is_shown_with_its_rule_or_what_was_needed(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    turns = [
        {"turn": 1, "at": 1, "rule": "id"},
        {"turn": 2, "at": 4, "rule": "missing", "why": "a <b>longer</b> text was needed"},
    ]
    told = {"turns": turns, "rules": {"id": 1, "missing": 1}, "policy": "glm: off"}
    details = msgspec.json.encode(told).decode()
    write(store, ada, clock.now_ms(), restored=1, missing=1, details=details)

    page = (await client.get("/requests/1", headers=bearer(ada.key))).text

    assert re.search(r"Turn 1<.*?restored<.*?found by its tool-call id", page, re.DOTALL)
    needed = "a &lt;b&gt;longer&lt;/b&gt; text was needed"
    assert re.search(rf"Turn 2<.*?not found<.*?{needed}", page, re.DOTALL)
    assert "1 × found by" not in page


async def test_many_turns_are_summed_up_by_rule(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    turns = [{"turn": 300, "at": 600, "rule": "anchor"}]
    told = {"turns": turns, "rules": {"id": 299, "anchor": 1}}
    details = msgspec.json.encode(told).decode()
    write(store, ada, clock.now_ms(), restored=300, details=details)

    page = (await client.get("/requests/1", headers=bearer(ada.key))).text

    assert "300 earlier answers" in page
    assert "299 × found by its tool-call id" in page
    assert "Turn 300<" in page


async def test_what_others_wrote_is_escaped(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    write(
        store,
        ada,
        clock.now_ms(),
        model=HOSTILE,
        upstream=HOSTILE,
        error_class=HOSTILE,
        prompt_tokens=5,
    )
    headers = bearer(ada.key)

    pages = [
        (await client.get(path, headers=headers)).text for path in ("/dashboard", "/requests/1")
    ]

    assert not [page for page in pages if "<script>alert" in page or "<img src=x" in page]
    assert all("&lt;script&gt;alert(1)" in page for page in pages)


async def test_a_request_is_for_its_user_and_admins(
    client: AsyncTestClient,
    store: Engine,
    people: People,
    ada: Person,
    root: Person,
    clock: ManualClock,
) -> None:
    write(store, ada, clock.now_ms(), model="m")
    callers = (ada, root, people.add("mallory"))

    answers = [await client.get("/requests/1", headers=bearer(person.key)) for person in callers]

    assert [answer.status_code for answer in answers] == [200, 200, 404]


async def test_a_key_of_somebody_else_can_not_be_edited(
    client: AsyncTestClient, people: People, ada: Person, root: Person
) -> None:
    headers = bearer(ada.key)
    pages = [await client.get(f"/dashboard/keys/{number}", headers=headers) for number in (1, 2, 3)]

    assert sorted(page.status_code for page in pages) == [200, 404, 404]


@pytest.mark.parametrize(
    ("quota", "words"),
    [(None, "No token limit"), (0, "No tokens granted yet"), (1_000, "600 left")],
    ids=["none", "nothing", "some"],
)
async def test_tokens_are_shown_against_the_quota(
    client: AsyncTestClient, people: People, quota: int | None, words: str
) -> None:
    person = people.add("lin", limits=Limits(quota_tokens=quota))
    people.spend(person, 400)

    page = (await client.get("/dashboard", headers=bearer(person.key))).text

    assert words in page


async def test_older_requests_are_on_the_next_page(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    for number in range(25):
        write(store, ada, clock.now_ms(), model=f"model-{number}", error_class="lost")
    headers = bearer(ada.key)

    first = (await client.get("/dashboard?status=error", headers=headers)).text
    link = first.partition(">Older<")[0].rpartition('href="')[2].partition("#")[0]
    older = (await client.get(link.replace("&amp;", "&"), headers=headers)).text

    assert "model-24:" not in older
    assert 'data-drawer="/requests/1"' in older
    assert 'data-drawer="/requests/1"' not in first
