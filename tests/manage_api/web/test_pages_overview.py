import pytest
from litestar.testing import AsyncTestClient

from shared.store.engine import Engine
from tests.manage_api.books import Books
from tests.manage_api.web.visits import write
from tests.manage_api.world import ManualClock, People, Person, bearer

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
TWO_UPSTREAMS = """
[[upstreams]]
name = "main"
base_url = "https://main.example.com"

[[upstreams]]
name = "spare"
base_url = "https://spare.example.com"
"""


@pytest.fixture
def admin(people: People, root: Person) -> dict[str, str]:
    """The headers of an admin."""
    return bearer(people.key(root, "admin"))


@pytest.fixture
def books(store: Engine, clock: ManualClock) -> Books:
    return Books(store, clock)


async def test_the_feed_shows_what_runs_before_what_has_ended(
    client: AsyncTestClient, admin: dict[str, str], ada: Person, books: Books
) -> None:
    books.settle(ada, exchange="over", model="ended-model")
    books.open(ada, exchange="now", model="running-model", error_class="lost")

    page = (await client.get("/admin/overview/feed", headers=admin)).text

    assert page.index("running-model") < page.index("ended-model")
    assert 'data-drawer="/admin/overview/running/now"' in page
    assert 'data-drawer="/requests/1"' in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"user": "ADA"}, {"ada-ended", "ada-runs"}),
        ({"user": "nobody"}, set()),
        ({"model": "lin-ended"}, {"lin-ended"}),
        ({"upstream": "spare"}, {"lin-ended", "lin-runs"}),
        ({"status": "error"}, {"lin-ended"}),
        ({"user": "ada", "status": "error"}, set()),
        (
            {"user": "", "model": "", "upstream": "", "status": ""},
            {"ada-ended", "ada-runs", "lin-ended", "lin-runs"},
        ),
    ],
    ids=["user", "unknown user", "model", "upstream", "errors", "together", "all"],
)
async def test_the_feed_shows_what_its_filters_say(
    client: AsyncTestClient,
    admin: dict[str, str],
    ada: Person,
    people: People,
    books: Books,
    query: dict[str, str],
    shown: set[str],
) -> None:
    lin = people.add("lin")
    for person, upstream, error in ((ada, "main", ""), (lin, "spare", "upstream_cut")):
        name = person.user.username
        books.settle(person, model=f"{name}-ended", upstream=upstream, error_class=error)
        books.open(person, model=f"{name}-runs", upstream=upstream)

    page = (await client.get("/admin/overview/feed", params=query, headers=admin)).text

    names = {"ada-ended", "ada-runs", "lin-ended", "lin-runs"}
    assert {name for name in names if f"<bdi>{name}</bdi>" in page} == shown


async def test_the_feed_is_bounded(
    client: AsyncTestClient, admin: dict[str, str], ada: Person, books: Books
) -> None:
    for _ in range(40):
        books.settle(ada)
        books.open(ada)

    page = (await client.get("/admin/overview/feed", headers=admin)).text

    assert page.count("<tr id=") == 50


async def test_the_live_feed_has_the_same_filters_as_the_table(
    client: AsyncTestClient, admin: dict[str, str], ada: Person
) -> None:
    page = (await client.get("/admin?user=ada&model=m%26n&status=error", headers=admin)).text

    assert f'data-live="/api/admin/requests/live?user_id={ada.user.id}&amp;model=m%26n"' in page
    assert 'hx-get="/admin/overview/feed?user=ada&amp;model=m%26n&amp;status=error"' in page


@pytest.mark.parametrize("toml", [TWO_UPSTREAMS], indirect=True)
async def test_each_upstream_has_its_health(
    client: AsyncTestClient, admin: dict[str, str], ada: Person, books: Books
) -> None:
    tries = '{"tries": [{"upstream": "main", "outcome": "429"}, {"upstream": "main", "outcome": "200"}]}'
    books.settle(ada, details=tries, first_byte_ms=1234, restored=3, missing=1)
    books.settle(ada, upstream="", error_class="model_not_found", status=400)

    page = (await client.get("/admin/overview/lately", headers=admin)).text

    assert 'aria-label="The last 2 attempts: 1 failed"' in page
    assert page.count('class="tick tick-bad" title="429"') == 1
    assert "1.23 s" in page
    assert "75 %" in page
    assert (
        page.index(">main<")
        < page.index(">spare<")
        < page.index("Refused before reaching an upstream")
    )


async def test_how_programs_send_ids_back_is_told(
    client: AsyncTestClient, admin: dict[str, str], ada: Person, books: Books
) -> None:
    turns = '{"turns": [{"rule": "id"}, {"rule": "id"}, {"rule": "anchor"}, {"rule": "missing", "why": "too old"}]}'
    books.settle(ada, details=turns, user_agent="Cursor/1.0 (x)", restored=3, missing=1)

    page = (await client.get("/admin/overview/lately", headers=admin)).text

    assert (
        '<bdi>Cursor/1.0</bdi></th><td class="num">50 %</td><td class="num">25 %</td><td class="num">25 %</td>'
        in page
    )
    assert "too old" in page


async def test_a_request_that_runs_is_shown_without_the_trouble_it_would_have_if_its_node_died(
    client: AsyncTestClient, admin: dict[str, str], ada: Person, books: Books
) -> None:
    books.open(ada, exchange="now", error_class="lost")

    shown = await client.get("/admin/overview/running/now", headers=admin)
    over = await client.get("/admin/overview/running/other", headers=admin)

    assert "running" in shown.text
    assert "was killed" not in shown.text
    assert (over.status_code, "has ended: open it" in over.text) == (404, True)


async def test_what_others_wrote_is_escaped(
    client: AsyncTestClient, admin: dict[str, str], ada: Person, store: Engine, clock: ManualClock
) -> None:
    part = HOSTILE[:25]
    details = f'{{"tries": [{{"upstream": "main", "outcome": "{part}"}}], "turns": [{{"rule": "missing", "why": "{part}"}}]}}'
    fields = dict.fromkeys(
        ("model", "upstream", "upstream_model", "error_class", "user_agent"), HOSTILE
    )
    write(store, ada, clock.now_ms(), details=details, missing=1, **fields)

    page = (await client.get("/admin", params={"model": HOSTILE}, headers=admin)).text

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;alert(1)") > 5


@pytest.mark.parametrize(
    "path",
    ["/admin", "/admin/overview/feed", "/admin/overview/lately", "/admin/overview/running/now"],
)
async def test_only_admins_see_them(client: AsyncTestClient, ada: Person, path: str) -> None:
    stranger = await client.get(path, follow_redirects=False)
    user = await client.get(path, headers=bearer(ada.key))

    assert (stranger.status_code, stranger.headers["location"]) == (303, f"/?next={path}")
    assert user.status_code == 403
