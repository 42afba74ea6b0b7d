import pytest
from litestar.testing import AsyncTestClient

from manage_api.web.rendering import (
    cut,
    day,
    lasted,
    local_path,
    number,
    plain_dollars,
    share,
    short,
    usd,
    when,
)
from shared.store.accounts import set_password
from shared.store.engine import Engine
from tests.manage_api.web.visits import signed_in
from tests.manage_api.world import People, Person, bearer

PAGES = ("/dashboard", "/account", "/setup")


@pytest.mark.parametrize("path", [*PAGES, "/dashboard?days=7&status=error"])
async def test_strangers_are_sent_to_sign_in_and_back(client: AsyncTestClient, path: str) -> None:
    answer = await client.get(path, follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/?next=" + path.replace("?", "%3F").replace(
        "=", "%3D"
    ).replace("&", "%26")


async def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(client: AsyncTestClient) -> None:
    answer = await client.get("/dashboard/keys", headers={"HX-Request": "true"})

    assert (answer.status_code, answer.headers["hx-redirect"]) == (200, "/?next=/dashboard/keys")


async def test_a_user_is_told_that_a_page_is_for_admins(
    client: AsyncTestClient, ada: Person
) -> None:
    answer = await client.get("/setup", headers=await signed_in(client, ada))

    assert answer.status_code == 403
    assert "Only an admin may do this." in answer.text
    assert 'href="/dashboard"' in answer.text


@pytest.mark.parametrize(
    ("name", "role", "place"), [("boss", "admin", "/setup"), ("bob", "user", "/account")]
)
async def test_who_has_the_well_known_password_can_only_change_it(
    client: AsyncTestClient,
    people: People,
    store: Engine,
    password_hash: str,
    name: str,
    role: str,
    place: str,
) -> None:
    person = people.add(name, role)
    set_password(store, person.user.id, password_hash, must_change_password=True)
    headers = await signed_in(client, person)

    answer = await client.get("/dashboard", headers=headers, follow_redirects=False)
    page = await client.get(place, headers=headers)

    assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert "Anyone could guess the current" in page.text
    assert 'href="/dashboard"' not in page.text


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/nothing", "text/html,*/*", "text/html; charset=utf-8"),
        ("/nothing", "*/*", "application/problem+json"),
        ("/api/nothing", "text/html,*/*", "application/problem+json"),
    ],
    ids=["a browser", "a program", "the API"],
)
async def test_what_is_nowhere_is_told_as_it_was_asked_for(
    client: AsyncTestClient, path: str, accept: str, kind: str
) -> None:
    answer = await client.get(path, headers={"Accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (404, kind)


async def test_an_error_in_a_part_of_a_page_is_a_part(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.get("/requests/99", headers=bearer(ada.key) | {"HX-Request": "true"})

    assert answer.status_code == 404
    assert answer.text.startswith('<h2 id="drawer-title">')
    assert "There is no such request" in answer.text


@pytest.mark.parametrize("path", ["/", "/register", *PAGES])
async def test_pages_allow_nothing_but_their_own_files(
    client: AsyncTestClient, root: Person, path: str
) -> None:
    answer = await client.get(path, headers=await signed_in(client, root) if path in PAGES else {})

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text


async def test_an_error_of_ours_is_a_page_too(
    client: AsyncTestClient, store: Engine, ada: Person
) -> None:
    headers = bearer(ada.key)
    store.transact(lambda work: work.run("DROP TABLE usage_daily"), alone=())

    answer = await client.get("/dashboard", headers=headers)

    assert answer.status_code == 500
    assert "see the sidecar" in answer.text
    assert "usage_daily" not in answer.text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/admin/users?q=a", "/admin/users?q=a"),
        ("", "/dashboard"),
        ("//evil.example.com", "/dashboard"),
        ("/\\evil.example.com", "/dashboard"),
        ("https://evil.example.com/", "/dashboard"),
        ("javascript:alert(1)", "/dashboard"),
        ("/\t/evil.example.com", "/dashboard"),
        ("dashboard", "/dashboard"),
    ],
)
def test_only_paths_of_ours_are_gone_to(text: str, path: str) -> None:
    assert local_path(text) == path


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (number(1_234_567), "1,234,567"),
        (short(999), "999"),
        (short(12_345), "12.3k"),
        (short(4_290_000), "4.29M"),
        (short(60_000_000_000), "60B"),
        (usd(None), "unknown"),
        (usd(0), "$0.00"),
        (usd(50), "<$0.0001"),
        (usd(12_400), "$0.0124"),
        (usd(1_234_567_890), "$1,234.57"),
        (lasted(None), "–"),
        (lasted(850), "850 ms"),
        (lasted(1_670), "1.67 s"),
        (lasted(245_000), "4 min 5 s"),
        pytest.param(share(0, 0), "–", id="no share of nothing"),
        (share(9_999, 10_000), "99.9 %"),
        (share(5, 5), "100 %"),
        (day(20261120), "2026-11-20"),
        (cut("abcdef", 3), "abc…"),
        (cut("abc", 3), "abc"),
        (
            when(1_800_000_000_000),
            '<time datetime="2027-01-15T08:00:00.000+00:00" data-local>2027-01-15 08:00 UTC</time>',
        ),
    ],
)
def test_numbers_are_shown_as_people_read_them(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (435_000, "0.435"),
        (2_000_000, "2.00"),
        (3_625, "0.003625"),
        (0, "0.00"),
        (None, ""),
        (1_125_000, "1.1250"),
        (999_001_000, "999.0010"),
        (1_000_125_000, "1000.125"),
        (9_007_199_254_740_991, "9007199254.740991"),
    ],
)
def test_prices_are_told_to_the_last_digit(micros: int | None, text: str) -> None:
    assert plain_dollars(micros) == text
