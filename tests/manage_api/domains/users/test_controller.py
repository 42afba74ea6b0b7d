import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.world import People, Person, bearer, fields

USERS = "/api/admin/users"
GRACE = {"username": "grace", "password": "a long password"}


async def test_an_admin_makes_an_account_whose_key_and_password_work(
    client: AsyncTestClient, admin_session: str
) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(admin_session))

    assert answer.status_code == 201
    made = answer.json()
    assert (made["username"], made["role"]) == ("grace", "user")
    assert (await client.get("/api/me", headers=bearer(made["api_key"]))).json()["id"] == made["id"]
    assert (await client.post("/api/login", json=GRACE)).status_code == 200


async def test_the_answer_has_no_secret_but_the_key(client: AsyncTestClient, admin_session: str) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(admin_session))

    assert answer.json().keys() == {
        *("id", "username", "role", "disabled", "must_change_password", "created_at", "api_key")
    }


async def test_another_admin_can_be_made(client: AsyncTestClient, admin_session: str) -> None:
    answer = await client.post(USERS, json=GRACE | {"role": "admin"}, headers=bearer(admin_session))

    assert answer.json()["role"] == "admin"


async def test_a_name_is_taken_once(client: AsyncTestClient, admin_session: str, ada: Person) -> None:
    answer = await client.post(USERS, json=GRACE | {"username": "Ada"}, headers=bearer(admin_session))

    assert answer.status_code == 409
    assert "Ada" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": " grace"}, "username"),
        ({"username": "x" * 65}, "username"),
        ({"password": ""}, "password"),
        ({"password": "x" * 73}, "password"),
        ({"role": "owner"}, "role"),
    ],
    ids=["no name", "blank in front", "long name", "no password", "longer than bcrypt reads", "no such role"],
)
async def test_a_field_that_cannot_be_taken_is_named(
    client: AsyncTestClient, admin_session: str, wrong: dict[str, str], field: str
) -> None:
    answer = await client.post(USERS, json=GRACE | wrong, headers=bearer(admin_session))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_an_admin_key_administers(client: AsyncTestClient, root: Person, people: People) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(people.key(root, "admin")))

    assert answer.status_code == 201


async def test_an_inference_key_of_an_admin_does_not(client: AsyncTestClient, root: Person) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(root.key))

    assert answer.status_code == 403
    assert "scope admin" in answer.json()["detail"]


async def test_a_user_does_not_even_with_an_admin_key(
    client: AsyncTestClient, ada: Person, session: str, people: People
) -> None:
    credentials = (session, ada.key, people.key(ada, "admin"))

    answers = [await client.post(USERS, json=GRACE, headers=bearer(each)) for each in credentials]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
