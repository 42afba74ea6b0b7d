from typing import Any

import bcrypt
import pytest
from litestar.testing import AsyncTestClient

from shared.security.passwords import hash_password, needs_rehash
from shared.store.accounts import find_user_by_name, replace_hash, set_disabled, set_password
from shared.store.engine import Engine
from tests.manage_api.world import PASSWORD, ManualClock, Person, bearer, cookie, fields

GRACE = {"username": "grace", "password": "a long password"}


async def me(client: AsyncTestClient, headers: dict[str, str]) -> int:
    return (await client.get("/api/me", headers=headers)).status_code


async def test_a_name_and_a_password_give_a_session_token(
    client: AsyncTestClient, ada: Person
) -> None:
    answer = await client.post("/api/login", json=ada.credentials)

    assert answer.status_code == 200
    me = await client.get("/api/me", headers=bearer(answer.json()["token"]))
    assert me.json()["username"] == "ada"


async def test_the_name_is_taken_in_any_case(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.post("/api/login", json=ada.credentials | {"username": "ADA"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong"},
        {"username": "nobody"},
        {"password": ""},
        {"password": "x" * 100},
        {"username": "ad\ta"},
    ],
    ids=["password", "name", "empty", "longer than bcrypt reads", "no name"],
)
async def test_whatever_is_wrong_the_answer_is_the_same(
    client: AsyncTestClient, ada: Person, wrong: dict[str, str]
) -> None:
    answer = await client.post("/api/login", json=ada.credentials | wrong)

    assert answer.status_code == 401
    assert (
        answer.json()["detail"] == "The username or password is wrong, or the account is disabled."
    )


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


async def guess(client: AsyncTestClient, name: str, address: str, times: int = 1) -> int:
    """The status of the last of some wrong passwords from an address."""
    body = {"username": name, "password": ""}
    headers = {"X-Forwarded-For": address}
    answers = [await client.post("/api/login", json=body, headers=headers) for _ in range(times)]
    return answers[-1].status_code


async def test_guessing_one_account_from_one_address_is_stopped(
    client: AsyncTestClient, ada: Person
) -> None:
    stranger = {"X-Forwarded-For": "203.0.113.99"}
    assert await guess(client, "ada", "203.0.113.99", times=10) == 401

    answer = await client.post("/api/login", json=ada.credentials, headers=stranger)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 90


async def test_whoever_guesses_at_an_account_does_not_lock_its_owner_out(
    client: AsyncTestClient, ada: Person, clock: ManualClock
) -> None:
    for number in range(100):
        await guess(client, "ada", f"203.0.113.{number}", times=10)
    began = clock.monotonic()

    answer = await client.post(
        "/api/login", json=ada.credentials, headers={"X-Forwarded-For": "198.51.100.7"}
    )

    assert answer.status_code == 200
    assert clock.monotonic() - began <= 4


async def test_guesses_at_one_account_from_many_addresses_slow_each_other_down(
    client: AsyncTestClient, ada: Person, clock: ManualClock
) -> None:
    for number in range(30):
        await guess(client, "ada", f"203.0.113.{number}")
    began = clock.monotonic()

    for number in range(30, 40):
        await guess(client, "ada", f"203.0.113.{number}")

    assert 30 < clock.monotonic() - began <= 40


async def test_an_account_that_is_not_there_is_slowed_down_as_well(
    client: AsyncTestClient, clock: ManualClock
) -> None:
    for number in range(30):
        await guess(client, "nobody", f"203.0.113.{number}")
    began = clock.monotonic()

    await guess(client, "nobody", "198.51.100.7")

    assert clock.monotonic() - began == 4


async def test_the_addresses_of_one_ipv6_network_count_as_one(
    client: AsyncTestClient, ada: Person
) -> None:
    answers = [await guess(client, "ada", f"2001:db8:1:2::{number:x}") for number in range(1, 12)]

    assert answers == [401] * 10 + [429]
    assert await guess(client, "ada", "2001:db8:1:3::1") == 401


async def test_guessing_from_one_address_is_stopped_whatever_the_account(
    client: AsyncTestClient, ada: Person
) -> None:
    stranger = {"X-Forwarded-For": "203.0.113.1"}
    for number in range(30):
        await client.post(
            "/api/login", json={"username": f"u{number}", "password": ""}, headers=stranger
        )

    refused = await client.post("/api/login", json=ada.credentials, headers=stranger)
    other = await client.post(
        "/api/login", json=ada.credentials, headers={"X-Forwarded-For": "203.0.113.2"}
    )

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


async def test_a_hash_of_another_cost_is_replaced_when_its_password_is_entered(
    client: AsyncTestClient, ada: Person, session: str, store: Engine, password_hash: str
) -> None:
    cheap = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    replace_hash(store, ada.user.id, old=password_hash, new=cheap)

    answers = [await client.post("/api/login", json=ada.credentials) for _ in range(2)]

    found = find_user_by_name(store, "ada")
    assert found
    assert not needs_rehash(found[1])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert await me(client, bearer(session)) == 200


@pytest.mark.parametrize("password", ["changeme", "Password", "ADA"])
async def test_who_signs_in_with_a_well_known_password_may_do_nothing_but_change_it(
    client: AsyncTestClient, ada: Person, store: Engine, password: str
) -> None:
    set_password(store, ada.user.id, hash_password(password), must_change_password=False)

    token = (
        await client.post("/api/login", json={"username": "ada", "password": password})
    ).json()["token"]

    refused = await client.get("/api/keys", headers=bearer(token))
    assert (refused.status_code, await me(client, bearer(token))) == (403, 200)
    assert "Change the password first" in refused.json()["detail"]
    change = {"current_password": password, "new_password": "a long password"}
    changed = await client.post("/api/change-password", json=change, headers=bearer(token))
    assert (
        await client.get("/api/keys", headers=bearer(changed.json()["token"]))
    ).status_code == 200


async def test_who_tries_a_well_known_password_in_vain_changes_nothing(
    client: AsyncTestClient, ada: Person, session: str
) -> None:
    await client.post("/api/login", json={"username": "ada", "password": "changeme"})

    assert (await client.get("/api/keys", headers=bearer(session))).status_code == 200


async def test_scripts_and_other_sites_cannot_use_the_cookie(
    client: AsyncTestClient, ada: Person
) -> None:
    answer = await client.post("/api/login", json=ada.credentials)

    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert value == f"thinkback={answer.json()['token']}"
    assert sorted(attributes) == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict"]


async def test_over_https_the_cookie_is_for_https_and_this_host_alone(
    client: AsyncTestClient, ada: Person
) -> None:
    answer = await client.post(
        "/api/login", json=ada.credentials, headers={"X-Forwarded-Proto": "https"}
    )

    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert value == f"__Host-thinkback={answer.json()['token']}"
    assert sorted(attributes) == [
        "HttpOnly",
        "Max-Age=43200",
        "Path=/",
        "SameSite=strict",
        "Secure",
    ]


async def test_a_refused_sign_in_sets_no_cookie(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.post("/api/login", json=ada.credentials | {"password": "wrong"})

    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "show", [cookie, lambda answer: bearer(answer.json()["token"])], ids=["cookie", "bearer"]
)
async def test_signing_out_ends_this_session_and_takes_the_cookie_away(
    client: AsyncTestClient, ada: Person, session: str, show: Any
) -> None:
    shown = show(await client.post("/api/login", json=ada.credentials))

    answer = await client.post("/api/logout", headers=shown)

    assert answer.status_code == 204
    assert answer.headers["set-cookie"].startswith(('thinkback="";', "thinkback=;"))
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await me(client, shown), await me(client, bearer(session))) == (401, 200)


async def test_signing_out_over_https_takes_the_cookie_of_https_away(
    client: AsyncTestClient,
) -> None:
    answer = await client.post("/api/logout", headers={"X-Forwarded-Proto": "https"})

    assert answer.headers["set-cookie"].startswith("__Host-thinkback=")
    assert "Secure" in answer.headers["set-cookie"]


async def test_bearer_and_cookie_are_both_signed_out(
    client: AsyncTestClient, ada: Person, session: str
) -> None:
    signed_in = cookie(await client.post("/api/login", json=ada.credentials))

    await client.post("/api/logout", headers=signed_in | bearer(session))

    assert (await me(client, signed_in), await me(client, bearer(session))) == (401, 401)


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer nonsense"}, {"Cookie": "thinkback=nonsense"}]
)
async def test_who_is_not_signed_in_may_sign_out(
    client: AsyncTestClient, header: dict[str, str]
) -> None:
    answers = [await client.post("/api/logout", headers=header) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]


async def test_signing_out_with_a_key_does_nothing_to_the_key(
    client: AsyncTestClient, ada: Person
) -> None:
    answer = await client.post("/api/logout", headers=bearer(ada.key))

    assert (answer.status_code, await me(client, bearer(ada.key))) == (204, 200)


async def test_another_sites_page_may_not_sign_out(client: AsyncTestClient, ada: Person) -> None:
    shown = cookie(await client.post("/api/login", json=ada.credentials))

    answer = await client.post("/api/logout", headers=shown | {"Sec-Fetch-Site": "cross-site"})

    assert (answer.status_code, await me(client, shown)) == (403, 200)


async def test_who_registers_has_an_account_a_key_and_a_session(client: AsyncTestClient) -> None:
    answer = await client.post("/api/register", json=GRACE)

    made = answer.json()
    assert answer.status_code == 201
    assert (made["username"], made["role"], made["quota_tokens"], made["period"]) == (
        "grace",
        "user",
        0,
        "lifetime",
    )
    shown = [bearer(made["api_key"]), bearer(made["token"]), cookie(answer)]
    assert [await me(client, each) for each in shown] == [200, 200, 200]
    assert (await client.post("/api/login", json=GRACE)).status_code == 200


@pytest.mark.parametrize("toml", ["[registration]\nquota_tokens = 5000"], indirect=True)
async def test_who_registers_gets_the_configured_quota(client: AsyncTestClient) -> None:
    answer = await client.post("/api/register", json=GRACE)

    assert answer.json()["quota_tokens"] == 5000


@pytest.mark.parametrize(
    "toml",
    [
        "[registration]\nallowed = false",
        '[server]\nlisten_addr = "0.0.0.0:8787"',
        '[server]\npublic_url = "https://a.b"',
    ],
    indirect=True,
    ids=["said", "public listener", "public URL"],
)
async def test_nobody_registers_where_it_is_not_allowed(client: AsyncTestClient) -> None:
    answer = await client.post("/api/register", json=GRACE)

    assert answer.status_code == 403
    assert "ask an admin" in answer.json()["detail"]


FROM_AFAR = {
    "forwarded": {"X-Forwarded-For": "203.0.113.1"},
    "tunnel": {"Host": "think.example.com"},
    "named proxy": {"Via": "1.1 proxy"},
}


@pytest.mark.parametrize("headers", FROM_AFAR.values(), ids=FROM_AFAR)
async def test_where_nobody_opened_registration_it_is_for_this_machine_alone(
    client: AsyncTestClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/api/register", json=GRACE, headers=headers)

    told = (await client.get("/api/config", headers=headers)).json()
    assert (answer.status_code, told["allow_registration"]) == (403, False)
    assert (await client.get("/api/config")).json()["allow_registration"] is True


@pytest.mark.parametrize("toml", ["[registration]\nallowed = true"], indirect=True)
async def test_registration_that_was_opened_is_open_to_all(client: AsyncTestClient) -> None:
    answer = await client.post("/api/register", json=GRACE, headers=FROM_AFAR["tunnel"])

    assert answer.status_code == 201


@pytest.mark.parametrize("headers", FROM_AFAR.values(), ids=FROM_AFAR)
async def test_an_admins_well_known_password_works_on_this_machine_alone(
    client: AsyncTestClient, root: Person, store: Engine, headers: dict[str, str]
) -> None:
    set_password(store, root.user.id, hash_password("admin"), must_change_password=False)
    body = {"username": "root", "password": "admin"}

    afar = await client.post("/api/login", json=body, headers=headers)
    here = await client.post("/api/login", json=body)

    assert (afar.status_code, here.status_code) == (403, 200)
    assert "thinkback user passwd" in afar.json()["detail"]
    assert "set-cookie" not in afar.headers


@pytest.mark.parametrize(
    "toml", ['[registration]\ninvite_codes = ["green", "blue"]'], indirect=True
)
@pytest.mark.parametrize(
    ("code", "status"),
    [("green", 201), ("blue", 201), ("Green", 400), ("", 400)],
    ids=["one", "other", "case", "none"],
)
async def test_where_there_are_invite_codes_one_is_needed(
    client: AsyncTestClient, code: str, status: int
) -> None:
    answer = await client.post("/api/register", json=GRACE | {"invite_code": code})

    assert answer.status_code == status
    assert status == 201 or fields(answer).keys() == {"invite_code"}


async def test_a_name_is_registered_once(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.post("/api/register", json=GRACE | {"username": "ADA"})

    assert answer.status_code == 409
    assert "ADA" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "grace\u202e"}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 73}, "password"),
        ({"username": "Grace Hopper", "password": "grace hopper"}, "password"),
        ({"password": "password"}, "password"),
        ({"invite_code": None}, "invite_code"),
    ],
    ids=[
        "no name",
        "hidden character",
        "short",
        "longer than bcrypt reads",
        "the name",
        "a first guess",
        "no text",
    ],
)
async def test_a_field_that_cannot_be_registered_is_named(
    client: AsyncTestClient, wrong: dict[str, Any], field: str
) -> None:
    answer = await client.post("/api/register", json=GRACE | wrong)

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_nobody_registers_as_an_admin(client: AsyncTestClient) -> None:
    answer = await client.post("/api/register", json=GRACE | {"role": "admin"})

    assert answer.status_code == 400
    assert "role" in answer.json()["detail"]


@pytest.mark.parametrize(
    "toml", ['[registration]\nallowed = true\ninvite_codes = ["green", "blue"]'], indirect=True
)
async def test_one_address_can_register_so_many_accounts_only(client: AsyncTestClient) -> None:
    for _ in range(30):
        await client.post("/api/register", json=GRACE)

    refused = await client.post("/api/register", json=GRACE | {"invite_code": "green"})
    other = await client.post(
        "/api/register",
        json=GRACE | {"invite_code": "green"},
        headers={"X-Forwarded-For": "203.0.113.2"},
    )

    assert (refused.status_code, refused.headers["retry-after"], other.status_code) == (
        429,
        "30",
        201,
    )
