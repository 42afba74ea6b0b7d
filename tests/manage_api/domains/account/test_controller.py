import pytest
from litestar.testing import AsyncTestClient

from shared.store.accounts import set_password
from shared.store.engine import Engine
from tests.manage_api.world import PASSWORD, Person, bearer, fields

CHANGE = {"current_password": PASSWORD, "new_password": "a better password"}


async def test_me_is_who_the_token_is_for(client: AsyncTestClient, ada: Person, session: str) -> None:
    answer = await client.get("/api/me", headers=bearer(session))

    assert answer.json() == {
        "id": ada.user.id,
        "username": "ada",
        "role": "user",
        "disabled": False,
        "must_change_password": False,
        "created_at": ada.user.created_at,
    }


async def test_me_is_who_the_virtual_key_belongs_to(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.get("/api/me", headers=bearer(ada.key))

    assert answer.json()["username"] == "ada"


async def test_changing_the_password_ends_the_old_sessions_and_opens_one(client: AsyncTestClient, session: str) -> None:
    answer = await client.post("/api/change-password", json=CHANGE, headers=bearer(session))

    assert (await client.get("/api/me", headers=bearer(session))).status_code == 401
    assert (await client.get("/api/me", headers=bearer(answer.json()["token"]))).status_code == 200


async def test_only_the_new_password_is_good_after_the_change(
    client: AsyncTestClient, ada: Person, session: str
) -> None:
    await client.post("/api/change-password", json=CHANGE, headers=bearer(session))

    old = await client.post("/api/login", json=ada.credentials)
    new = await client.post("/api/login", json=ada.credentials | {"password": CHANGE["new_password"]})

    assert (old.status_code, new.status_code) == (401, 200)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"current_password": "wrong"}, "current_password"),
        ({"new_password": "short"}, "new_password"),
        ({"new_password": "ä" * 40}, "new_password"),
    ],
    ids=["wrong current", "too short", "longer than bcrypt reads"],
)
async def test_a_password_that_cannot_be_taken_is_named(
    client: AsyncTestClient, session: str, wrong: dict[str, str], field: str
) -> None:
    answer = await client.post("/api/change-password", json=CHANGE | wrong, headers=bearer(session))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_with_a_well_known_password_only_changing_it_is_allowed(
    client: AsyncTestClient, root: Person, store: Engine, password_hash: str
) -> None:
    set_password(store, root.user.id, password_hash, must_change_password=True)
    token = (await client.post("/api/login", json=root.credentials)).json()["token"]

    refused = await client.post("/api/admin/users", json={"username": "x", "password": "y"}, headers=bearer(token))
    me = await client.get("/api/me", headers=bearer(token))
    changed = await client.post("/api/change-password", json=CHANGE, headers=bearer(token))

    assert (refused.status_code, me.status_code, changed.status_code) == (403, 200, 200)
    assert "password" in refused.json()["detail"]
    assert not (await client.get("/api/me", headers=bearer(changed.json()["token"]))).json()["must_change_password"]
