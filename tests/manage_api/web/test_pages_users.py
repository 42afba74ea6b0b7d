import pytest
from litestar.testing import AsyncTestClient

from shared.model import Limits
from shared.store.accounts import delete_user
from shared.store.engine import Engine
from tests.manage_api.world import ManualClock, People, Person, bearer

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture
def admin(people: People, root: Person) -> dict[str, str]:
    """The headers of an admin."""
    return bearer(people.key(root, "admin"))


async def test_what_was_used_is_shown_beside_the_quota(
    client: AsyncTestClient, admin: dict[str, str], people: People
) -> None:
    lin = people.add(
        "lin",
        limits=Limits(quota_tokens=1_000_000, quota_cost_micros=2_500_000, period="month", rpm=60),
    )
    people.spend(lin, 950_000, 1_000_000)

    page = (await client.get("/admin/users?q=lin", headers=admin)).text

    assert '950,000 <span class="text-secondary">of 1M a month</span>' in page
    assert '<progress class="nearly" max="1000000" value="950000"' in page
    assert '$1.00 <span class="text-secondary">of $2.50 a month</span>' in page
    assert "60 requests per minute" in page


async def test_users_are_searched_and_paged(
    client: AsyncTestClient, admin: dict[str, str], people: People
) -> None:
    for number in range(60):
        people.add(f"user-{number}")

    found = (await client.get("/admin/users?q=USER-5", headers=admin)).text
    first = (await client.get("/admin/users?q=user", headers=admin)).text

    assert found.count("<tr id=") == 11
    assert first.count("<tr id=") == 50
    following = first.partition('href="/admin/users?q=user&amp;cursor=')[2].partition('"')[0]
    rest = (await client.get(f"/admin/users?q=user&cursor={following}", headers=admin)).text
    assert rest.count("<tr id=") == 10
    assert "Next page" not in rest


async def test_the_quota_that_is_offered_for_change_is_exactly_the_one_there_is(
    client: AsyncTestClient, admin: dict[str, str], people: People
) -> None:
    lin = people.add(
        "lin", limits=Limits(quota_tokens=7, quota_cost_micros=1_234_567, period="day")
    )
    path = f"/admin/users/{lin.user.id}"

    forms = [(await client.get(f"{path}{more}", headers=admin)).text for more in ("", "/quota")]

    for form in forms:
        assert 'type="text" value="7"' in form
        assert 'value="1.234567"' in form
        assert '<option value="day" selected>' in form


async def test_a_users_drawer_has_the_keys_usable_ones_first(
    client: AsyncTestClient, admin: dict[str, str], people: People, ada: Person, clock: ManualClock
) -> None:
    people.key(ada, expires_at=clock.now_ms())
    people.key(ada)

    page = (await client.get(f"/admin/users/{ada.user.id}/keys", headers=admin)).text

    assert page.count("Revoke<span") == 2
    assert page.index("state-idle") > page.rindex("Revoke<span")


async def test_keys_of_everybody_are_searched(
    client: AsyncTestClient, admin: dict[str, str], people: People, ada: Person
) -> None:
    people.add("lin")

    page = (await client.get("/admin/keys?q=ada", headers=admin)).text

    assert page.count("<tr id=") == 1
    assert f"…{ada.key[-4:]}" in page
    assert 'href="/admin/users?q=ada"' in page


async def test_a_key_is_offered_for_change_with_its_owner(
    client: AsyncTestClient, admin: dict[str, str], ada: Person
) -> None:
    page = (await client.get("/admin/keys/1", headers=admin)).text

    assert 'data-api="PATCH /api/admin/keys/' in page
    assert "<bdi>" in page


@pytest.mark.parametrize(
    "path", ["/admin/users/{}", "/admin/users/{}/quota", "/admin/users/{}/keys", "/admin/keys/999"]
)
async def test_what_is_gone_is_told(
    client: AsyncTestClient, admin: dict[str, str], store: Engine, ada: Person, path: str
) -> None:
    delete_user(store, ada.user.id)

    answer = await client.get(path.format(ada.user.id), headers=admin)

    assert answer.status_code == 404
    assert "There is no such" in answer.text


@pytest.mark.parametrize(
    "path", ["/admin/users", "/admin/keys", "/admin/users/{}", "/admin/users/{}/keys/new"]
)
async def test_names_are_escaped(
    client: AsyncTestClient, admin: dict[str, str], people: People, path: str
) -> None:
    hostile = people.add(HOSTILE, models=(HOSTILE,))
    people.key(hostile, models=(HOSTILE,))

    answer = await client.get(path.format(hostile.user.id), params={"q": HOSTILE}, headers=admin)

    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/admin/users",
        "/admin/users/new",
        "/admin/users/1",
        "/admin/users/1/quota",
        "/admin/users/1/keys",
        "/admin/users/1/keys/new",
        "/admin/keys",
        "/admin/keys/1",
    ],
)
async def test_only_admins_see_them(client: AsyncTestClient, ada: Person, path: str) -> None:
    stranger = await client.get(path, follow_redirects=False)
    user = await client.get(path, headers=bearer(ada.key))

    assert (stranger.status_code, stranger.headers["location"]) == (303, f"/?next={path}")
    assert user.status_code == 403
