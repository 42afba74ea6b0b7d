import json
import re

import msgspec
import pytest
from litestar.testing import AsyncTestClient

from shared.store.engine import Engine
from tests.manage_api.web.visits import write
from tests.manage_api.world import ManualClock, People, Person, bearer

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
USUAL = {
    "conversation": "c",
    "model": "m",
    "upstream": "main",
    "upstream_model": "m",
    "status": 200,
}


@pytest.fixture
def admin(people: People, root: Person) -> dict[str, str]:
    """The headers of an admin."""
    return bearer(people.key(root, "admin"))


def details(*outcomes: str, **told: object) -> str:
    return msgspec.json.encode(
        {"tries": [{"outcome": outcome} for outcome in outcomes], **told}
    ).decode()


def listed(page: str) -> list[str]:
    """The conversations that are listed."""
    return re.findall(r'<a href="/conversations/(\w+)">', page)


async def test_the_list_shows_the_part_from_the_cache(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    write(store, ada, clock.now_ms(), **USUAL, prompt_tokens=300, cached_tokens=150)
    write(store, ada, clock.now_ms(), **USUAL, prompt_tokens=100, cached_tokens=50)

    page = (await client.get("/conversations", headers=bearer(ada.key))).text

    assert listed(page) == ["c"]
    assert '<progress max="400" value="200"' in page
    assert '<span class="cached-share">50 %</span>' in page


async def test_nobody_sees_the_conversations_of_others_but_admins(
    client: AsyncTestClient,
    store: Engine,
    people: People,
    ada: Person,
    admin: dict[str, str],
    clock: ManualClock,
) -> None:
    write(store, ada, clock.now_ms(), **USUAL)
    callers = (bearer(ada.key), bearer(people.add("mallory").key), admin)

    answers = [await client.get("/conversations/c", headers=headers) for headers in callers]
    lists = [(await client.get("/conversations", headers=headers)).text for headers in callers]

    assert [answer.status_code for answer in answers] == [200, 404, 200]
    assert [listed(page) for page in lists] == [["c"], [], []]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["second", "first"]),
        ({"user": "ADA"}, ["first"]),
        ({"model": "n"}, ["second"]),
        ({"upstream": "spare"}, ["second"]),
        ({"user": "ada", "model": "n"}, []),
        ({"user": "nobody"}, []),
    ],
    ids=["all", "user", "model", "upstream", "both", "stranger"],
)
async def test_an_admin_looks_for_conversations(
    client: AsyncTestClient,
    store: Engine,
    people: People,
    ada: Person,
    admin: dict[str, str],
    clock: ManualClock,
    query: dict[str, str],
    found: list[str],
) -> None:
    write(store, ada, clock.now_ms(), **USUAL | {"conversation": "first"})
    other = {"conversation": "second", "model": "n", "upstream": "spare"}
    write(store, people.add("lin"), clock.now_ms(), **USUAL | other)

    assert (
        listed((await client.get("/admin/conversations", params=query, headers=admin)).text)
        == found
    )


async def test_requests_are_in_their_order_and_a_drop_is_marked_with_its_reason(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    kept = details("200", policy="deepseek-v4: empty")
    write(
        store,
        ada,
        clock.now_ms(),
        **USUAL,
        prompt_tokens=100,
        cached_tokens=90,
        missing=1,
        details=kept,
    )
    changed = details("400", "200", policy="deepseek-v4: off")
    write(
        store,
        ada,
        clock.now_ms(),
        **USUAL,
        prompt_tokens=200,
        cached_tokens=2,
        missing=1,
        details=changed,
    )

    page = (await client.get("/conversations/c", headers=bearer(ada.key))).text

    assert re.findall(r'data-drawer="/requests/(\d+)"', page) == ["1", "2"]
    assert page.count('class="dropped"') == 1
    assert (
        "a different policy for turns that are not found: deepseek-v4: off after deepseek-v4: empty"
        in page
    )
    assert "<bdi>400</bdi> → <bdi>200</bdi>" in page


async def test_the_chart_splits_each_prompt(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    for prompt, cached in ((100, 0), (150, 120)):
        write(store, ada, clock.now_ms(), **USUAL, prompt_tokens=prompt, cached_tokens=cached)

    page = (await client.get("/conversations/c", headers=bearer(ada.key))).text
    found = re.search(r'<script type="application/json" id="prompts-values">(.*?)</script>', page)

    assert found
    assert [each["values"] for each in json.loads(found[1])["series"]] == [[0, 120], [100, 30]]


async def test_the_first_request_of_a_page_is_compared_with_the_one_before_it(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    write(store, ada, clock.now_ms(), **USUAL, prompt_tokens=100, cached_tokens=90)
    for _ in range(100):
        write(store, ada, clock.now_ms(), **USUAL, prompt_tokens=200, cached_tokens=2)
    headers = bearer(ada.key)

    page = (await client.get("/conversations/c", headers=headers)).text
    earlier = re.search(r'href="/conversations/c\?(cursor=[^"]*)">Earlier', page)

    assert page.count("data-drawer") == 100
    assert page.index('class="dropped"') < page.index('data-drawer="/requests/2"')
    assert earlier
    assert (
        "/requests/1" in (await client.get(f"/conversations/c?{earlier[1]}", headers=headers)).text
    )


async def test_what_others_wrote_is_escaped(
    client: AsyncTestClient, store: Engine, ada: Person, admin: dict[str, str], clock: ManualClock
) -> None:
    fields = dict.fromkeys(("model", "upstream", "upstream_model", "user_agent"), HOSTILE)
    told = details(HOSTILE, notes=[HOSTILE], policy=HOSTILE)
    write(store, ada, clock.now_ms(), **USUAL | fields, prompt_tokens=100, cached_tokens=90)
    write(store, ada, clock.now_ms(), **USUAL | fields, prompt_tokens=200, missing=1, details=told)
    paths = ("/conversations/c", "/conversations", "/admin/conversations", "/requests/2")

    pages = [(await client.get(path, headers=admin)).text for path in paths]

    assert not [page for page in pages if "<script>alert" in page or "<img src=x" in page]
    assert pages[0].count("&lt;script&gt;alert(1)") >= 3


async def test_what_was_left_out_of_a_request_is_told(
    client: AsyncTestClient, store: Engine, ada: Person, clock: ManualClock
) -> None:
    note = "the image in message 3 was left out: the upstream takes none"
    write(store, ada, clock.now_ms(), **USUAL, details=details("200", notes=[note]))

    page = (await client.get("/requests/1", headers=bearer(ada.key))).text

    assert note in page
    assert 'href="/conversations/c"' in page
