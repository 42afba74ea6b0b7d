import pytest
from litestar.testing import AsyncTestClient

from shared.store.accounts import set_disabled
from shared.store.engine import Engine
from tests.manage_api.world import PASSWORD, ManualClock, Person, bearer, fields


async def test_a_name_and_a_password_give_a_session_token(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.post("/api/login", json=ada.credentials)

    assert answer.status_code == 200
    me = await client.get("/api/me", headers=bearer(answer.json()["token"]))
    assert me.json()["username"] == "ada"


async def test_the_name_is_taken_in_any_case(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.post("/api/login", json=ada.credentials | {"username": "ADA"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"username": "nobody"}, {"password": ""}, {"password": "x" * 100}, {"username": "ad\ta"}],
    ids=["password", "name", "empty", "longer than bcrypt reads", "no name"],
)
async def test_whatever_is_wrong_the_answer_is_the_same(
    client: AsyncTestClient, ada: Person, wrong: dict[str, str]
) -> None:
    answer = await client.post("/api/login", json=ada.credentials | wrong)

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The user name or the password is wrong, or the account is disabled."


async def test_a_disabled_account_is_refused_like_a_wrong_password(
    client: AsyncTestClient, ada: Person, root: Person, store: Engine
) -> None:
    wrong = await client.post("/api/login", json=ada.credentials | {"password": "wrong"})
    set_disabled(store, ada.user.id, True)

    disabled = await client.post("/api/login", json=ada.credentials)

    assert (disabled.status_code, disabled.json()) == (wrong.status_code, wrong.json())


async def test_a_body_of_the_wrong_shape_names_the_field(client: AsyncTestClient) -> None:
    answer = await client.post("/api/login", json={"username": "ada", "password": 5})

    assert answer.status_code == 400
    assert "password" in fields(answer)


async def test_guessing_one_account_is_stopped_wherever_it_comes_from(client: AsyncTestClient, ada: Person) -> None:
    guess = ada.credentials | {"password": ""}
    for number in range(10):
        await client.post("/api/login", json=guess, headers={"X-Forwarded-For": f"203.0.113.{number}"})

    answer = await client.post("/api/login", json=ada.credentials, headers={"X-Forwarded-For": "203.0.113.99"})

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 90


async def test_guessing_from_one_address_is_stopped_whatever_the_account(client: AsyncTestClient, ada: Person) -> None:
    stranger = {"X-Forwarded-For": "203.0.113.1"}
    for number in range(30):
        await client.post("/api/login", json={"username": f"u{number}", "password": ""}, headers=stranger)

    refused = await client.post("/api/login", json=ada.credentials, headers=stranger)
    other = await client.post("/api/login", json=ada.credentials, headers={"X-Forwarded-For": "203.0.113.2"})

    assert (refused.status_code, other.status_code) == (429, 200)


async def test_an_account_can_be_tried_again_after_the_wait(
    client: AsyncTestClient, ada: Person, clock: ManualClock
) -> None:
    for _ in range(10):
        await client.post("/api/login", json=ada.credentials | {"password": ""})
    clock.seconds += 90

    answer = await client.post("/api/login", json=ada.credentials)

    assert answer.status_code == 200


async def test_signing_in_rightly_is_never_throttled(client: AsyncTestClient, ada: Person) -> None:
    answers = [await client.post("/api/login", json=ada.credentials) for _ in range(11)]

    assert {answer.status_code for answer in answers} == {200}
    assert PASSWORD not in answers[0].text
