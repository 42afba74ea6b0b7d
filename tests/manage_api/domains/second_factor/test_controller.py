from typing import Any

import pyotp
import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.web.visits import text_of
from tests.manage_api.world import PASSWORD, ManualClock, Person, bearer, fields

OWN = {"current_password": PASSWORD}
BEGIN, CONFIRM, REMOVE = (
    "/api/second-factor",
    "/api/second-factor/confirm",
    "/api/second-factor/remove",
)


def code_at(secret: str, clock: ManualClock, steps: int = 0) -> str:
    """What an authenticator app shows."""
    return pyotp.TOTP(secret).at(int(clock.seconds) + 30 * steps)


async def sign_in(client: AsyncTestClient, person: Person, **more: str) -> Any:
    return await client.post("/api/login", json=person.credentials | more)


@pytest.fixture
async def secret(client: AsyncTestClient, admin_session: str) -> str:
    """That of root's app, to be confirmed."""
    answer = await client.post(BEGIN, json=OWN, headers=bearer(admin_session))
    assert answer.status_code == 201
    return str(answer.json()["secret"])


@pytest.fixture
async def codes(
    client: AsyncTestClient, admin_session: str, secret: str, clock: ManualClock
) -> list[str]:
    """Root's recovery codes; the app's codes are asked for."""
    body = {"code": code_at(secret, clock)}
    answer = await client.post(CONFIRM, json=body, headers=bearer(admin_session))
    clock.seconds += 60
    found: list[str] = answer.json()["recovery_codes"]
    return found


async def test_until_it_is_confirmed_the_password_is_enough(
    client: AsyncTestClient, root: Person, secret: str
) -> None:
    assert (await sign_in(client, root)).status_code == 200


async def test_a_wrong_code_confirms_nothing(
    client: AsyncTestClient, root: Person, admin_session: str, secret: str
) -> None:
    answer = await client.post(CONFIRM, json={"code": "000"}, headers=bearer(admin_session))

    assert fields(answer).keys() == {"code"}
    assert (await sign_in(client, root)).status_code == 200


async def test_signing_in_takes_password_and_code(
    client: AsyncTestClient, root: Person, secret: str, codes: list[str], clock: ManualClock
) -> None:
    without = await sign_in(client, root)
    wrong = await sign_in(client, root, code="000000")
    right = await sign_in(client, root, code=code_at(secret, clock))

    assert (without.status_code, wrong.status_code, right.status_code) == (400, 400, 200)
    assert fields(without).keys() == fields(wrong).keys() == {"code"}


async def test_without_the_password_nobody_hears_of_a_code(
    client: AsyncTestClient, root: Person, codes: list[str]
) -> None:
    answer = await sign_in(client, root, password="wrong", code="000000")

    assert (answer.status_code, "fields" in answer.json()) == (401, False)


@pytest.mark.parametrize("steps", [-1, 0, 1])
async def test_a_clock_that_is_a_step_off_is_no_matter_and_a_code_works_once(
    client: AsyncTestClient,
    root: Person,
    secret: str,
    codes: list[str],
    clock: ManualClock,
    steps: int,
) -> None:
    code = code_at(secret, clock, steps)

    answers = [await sign_in(client, root, code=code) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 400]


async def test_a_code_of_two_steps_ago_is_refused(
    client: AsyncTestClient, root: Person, secret: str, codes: list[str], clock: ManualClock
) -> None:
    answer = await sign_in(client, root, code=code_at(secret, clock, -2))

    assert answer.status_code == 400


async def test_each_recovery_code_works_once_however_it_is_typed(
    client: AsyncTestClient, root: Person, codes: list[str]
) -> None:
    typed = [codes[0], codes[0], codes[1].upper().replace("-", " ")]

    answers = [await sign_in(client, root, code=code) for code in typed]

    assert len(set(codes)) == 10
    assert [answer.status_code for answer in answers] == [200, 400, 200]


async def test_guessing_codes_is_slow(
    client: AsyncTestClient, root: Person, secret: str, codes: list[str], clock: ManualClock
) -> None:
    for _ in range(5):
        await sign_in(client, root, code="000000")

    refused = await sign_in(client, root, code=code_at(secret, clock))
    clock.seconds += 60
    later = await sign_in(client, root, code=code_at(secret, clock))

    assert (refused.status_code, later.status_code) == (429, 200)


async def test_one_that_is_on_is_not_replaced(
    client: AsyncTestClient, admin_session: str, codes: list[str]
) -> None:
    again = await client.post(BEGIN, json=OWN, headers=bearer(admin_session))
    confirmed = await client.post(CONFIRM, json={"code": "1"}, headers=bearer(admin_session))

    assert (again.status_code, confirmed.status_code) == (409, 409)


@pytest.mark.parametrize("path", [BEGIN, REMOVE])
async def test_a_session_that_was_left_open_changes_nothing(
    client: AsyncTestClient, admin_session: str, path: str
) -> None:
    answer = await client.post(
        path, json={"current_password": "wrong"}, headers=bearer(admin_session)
    )

    assert fields(answer).keys() == {"current_password"}


async def test_who_removes_it_signs_in_with_the_password_alone(
    client: AsyncTestClient, root: Person, admin_session: str, codes: list[str]
) -> None:
    answer = await client.post(REMOVE, json=OWN, headers=bearer(admin_session))

    assert (answer.status_code, (await sign_in(client, root)).status_code) == (204, 200)


async def test_an_admin_removes_anothers(
    client: AsyncTestClient, root: Person, admin_session: str, codes: list[str]
) -> None:
    path = f"/api/admin/users/{root.user.id}/second-factor"

    answers = [await client.delete(path, headers=bearer(admin_session)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]
    assert (await sign_in(client, root)).status_code == 200


async def test_the_account_page_leads_through_it(
    client: AsyncTestClient, root: Person, admin_session: str, clock: ManualClock
) -> None:
    pages = [await text_of(client, admin_session, "/account")]
    begun = await client.post(BEGIN, json=OWN, headers=bearer(admin_session))
    secret = begun.json()["secret"]
    pages.append(await text_of(client, admin_session, "/account"))
    with_key = await text_of(client, root.key, "/account")
    body = {"code": code_at(secret, clock)}
    await client.post(CONFIRM, json=body, headers=bearer(admin_session))
    pages.append(await text_of(client, admin_session, "/account"))

    assert [secret in page for page in pages] == [False, True, False]
    assert ["<svg width=" in page for page in pages] == [False, True, False]
    assert "10 recovery codes are left" in pages[2]
    assert secret not in with_key
