from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from shared.model import Limits
from shared.store.accounts import find_user, set_disabled
from shared.store.engine import Engine
from tests.manage_api.world import PASSWORD, ManualClock, People, Person, bearer, fields

USERS = "/api/admin/users"
GRACE = {"username": "grace", "password": "a long password"}
LIMITS = {
    "models": ["deepseek-*"],
    "quota_tokens": 1000,
    "quota_cost_micros": 2000,
    "period": "month",
    "rpm": 3,
    "tpm": 4,
    "concurrency": 5,
}
EVERY_ROUTE = [
    *(("GET", USERS), ("POST", USERS)),
    *((method, f"{USERS}/1") for method in ("GET", "PATCH", "DELETE")),
    *(("POST", f"{USERS}/1/{verb}") for verb in ("quota", "reset-password")),
]


async def me(client: AsyncTestClient, credential: str) -> int:
    return (await client.get("/api/me", headers=bearer(credential))).status_code


async def test_an_admin_makes_an_account_whose_key_and_password_work(
    client: AsyncTestClient, admin_session: str
) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(admin_session))

    assert answer.status_code == 201
    made = answer.json()
    assert (made["username"], made["role"]) == ("grace", "user")
    assert (await client.get("/api/me", headers=bearer(made["api_key"]))).json()["id"] == made["id"]
    assert (await client.post("/api/login", json=GRACE)).status_code == 200


async def test_the_answer_has_no_secret_but_the_key(
    client: AsyncTestClient, admin_session: str
) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(admin_session))

    assert answer.json().keys() == LIMITS.keys() | {
        *(
            "id",
            "username",
            "role",
            "disabled",
            "must_change_password",
            "created_at",
            "api_key",
            "password",
        ),
        *("used_tokens", "used_cost_micros", "resets_at"),
    }
    assert answer.json()["password"] is None


async def test_another_admin_can_be_made(client: AsyncTestClient, admin_session: str) -> None:
    answer = await client.post(USERS, json=GRACE | {"role": "admin"}, headers=bearer(admin_session))

    assert answer.json()["role"] == "admin"


async def test_a_name_is_taken_once(
    client: AsyncTestClient, admin_session: str, ada: Person
) -> None:
    answer = await client.post(
        USERS, json=GRACE | {"username": "Ada"}, headers=bearer(admin_session)
    )

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
        ({"password": "password"}, "password"),
        ({"role": "owner"}, "role"),
        ({"quota_tokens": -1}, "quota_tokens"),
        ({"rpm": 0}, "rpm"),
        ({"period": "year"}, "period"),
    ],
    ids=str,
)
async def test_a_field_that_cannot_be_taken_is_named(
    client: AsyncTestClient, admin_session: str, wrong: dict[str, str], field: str
) -> None:
    answer = await client.post(USERS, json=GRACE | wrong, headers=bearer(admin_session))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_an_admin_key_administers(
    client: AsyncTestClient, root: Person, people: People
) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(people.key(root, "admin")))

    assert answer.status_code == 201


async def test_an_inference_key_of_an_admin_does_not(client: AsyncTestClient, root: Person) -> None:
    answer = await client.post(USERS, json=GRACE, headers=bearer(root.key))

    assert answer.status_code == 403
    assert "scope admin" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
async def test_neither_a_user_nor_a_key_for_inference_administers(
    client: AsyncTestClient, root: Person, session: str, ada: Person, method: str, path: str
) -> None:
    shown = (session, ada.key, root.key)

    answers = [await client.request(method, path, json={}, headers=bearer(each)) for each in shown]

    assert [answer.status_code for answer in answers] == [403, 403, 403]


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
async def test_who_is_unknown_or_disabled_does_not(
    client: AsyncTestClient, people: People, store: Engine, method: str, path: str
) -> None:
    people.add("another", "admin")
    gone = people.add("gone", "admin")
    token = (await client.post("/api/login", json=gone.credentials)).json()["token"]
    key = people.key(gone, "admin")
    set_disabled(store, gone.user.id, True)

    answers = [
        await client.request(method, path, json={}, headers=each)
        for each in ({}, bearer(token), bearer(key))
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_an_account_is_made_with_limits(client: AsyncTestClient, admin_session: str) -> None:
    answer = await client.post(USERS, json=GRACE | LIMITS, headers=bearer(admin_session))

    assert LIMITS.items() <= answer.json().items()
    shown = await client.get(f"{USERS}/{answer.json()['id']}", headers=bearer(admin_session))
    assert LIMITS.items() <= shown.json().items()


async def test_without_a_password_one_is_made_and_told_once(
    client: AsyncTestClient, admin_session: str
) -> None:
    answer = await client.post(USERS, json={"username": "grace"}, headers=bearer(admin_session))

    password = answer.json()["password"]
    signed_in = await client.post("/api/login", json={"username": "grace", "password": password})
    assert signed_in.status_code == 200
    shown = await client.get(f"{USERS}/{answer.json()['id']}", headers=bearer(admin_session))
    assert "password" not in shown.json()


async def test_the_list_shows_everybody_and_what_they_used_in_their_period(
    client: AsyncTestClient, ada: Person, root: Person, people: People, clock: ManualClock
) -> None:
    admin = bearer(people.key(root, "admin"))
    grace = people.add("grace", limits=Limits(period="day"))
    for person in (ada, grace):
        people.spend(person, 9, 2)

    [_, _, today] = (await client.get(USERS, headers=admin)).json()["items"]
    clock.seconds += 86_400
    items = (await client.get(USERS, headers=admin)).json()["items"]

    assert (today["username"], today["used_tokens"], today["used_cost_micros"]) == ("grace", 9, 2)
    assert {item["username"]: item["used_tokens"] for item in items} == {
        "ada": 9,
        "root": 0,
        "grace": 0,
    }


@pytest.mark.parametrize(
    ("text", "found"), [("GRA", ["grace"]), ("_", ["a_b"]), ("%", []), ("李", ["李雷"])], ids=repr
)
async def test_accounts_are_found_by_a_part_of_the_name(
    client: AsyncTestClient, admin_session: str, people: People, text: str, found: list[str]
) -> None:
    for name in ("grace", "a_b", "李雷"):
        people.add(name)

    answer = await client.get(USERS, params={"q": text}, headers=bearer(admin_session))

    assert [item["username"] for item in answer.json()["items"]] == found


async def test_a_search_text_that_is_no_text_finds_nothing(
    client: AsyncTestClient, admin_session: str
) -> None:
    answer = await client.get(f"{USERS}?q=%ED%A0%80%FF", headers=bearer(admin_session))

    assert (answer.status_code, answer.json()["items"]) == (200, [])


async def test_the_list_is_read_page_by_page(
    client: AsyncTestClient, admin_session: str, people: People
) -> None:
    for name in ("a", "b"):
        people.add(name)
    names, cursor = [], ""
    while cursor is not None:
        page = await client.get(
            USERS, params={"limit": 2, "cursor": cursor}, headers=bearer(admin_session)
        )
        names.append([item["username"] for item in page.json()["items"]])
        cursor = page.json()["next"]

    assert names == [["root", "a"], ["b"]]


async def test_what_is_sent_is_changed_and_the_rest_stays(
    client: AsyncTestClient, admin_session: str, people: People, ada: Person
) -> None:
    changes = {"models": ["a", "b*"], "rpm": 3, "tpm": None, "concurrency": 2}

    answer = await client.patch(
        f"{USERS}/{ada.user.id}", json=changes, headers=bearer(admin_session)
    )

    assert answer.status_code == 200
    assert (
        changes | {"role": "user", "disabled": False, "quota_tokens": None}
    ).items() <= answer.json().items()


@pytest.mark.parametrize("changes", [{"disabled": True}, {"role": "admin"}], ids=str)
async def test_disabling_and_another_role_end_the_sessions_at_once(
    client: AsyncTestClient, admin_session: str, ada: Person, session: str, changes: dict[str, Any]
) -> None:
    before = await me(client, session)
    await client.patch(f"{USERS}/{ada.user.id}", json=changes, headers=bearer(admin_session))

    assert (before, await me(client, session)) == (200, 401)


async def test_other_limits_let_the_sessions_go_on(
    client: AsyncTestClient, admin_session: str, ada: Person, session: str
) -> None:
    await client.patch(
        f"{USERS}/{ada.user.id}", json={"rpm": 5, "disabled": False}, headers=bearer(admin_session)
    )

    assert await me(client, session) == 200


@pytest.mark.parametrize(
    ("method", "body"),
    [("PATCH", {"role": "user"}), ("PATCH", {"disabled": True}), ("DELETE", None)],
    ids=str,
)
async def test_the_last_admin_stays(
    client: AsyncTestClient, admin_session: str, root: Person, store: Engine, method: str, body: Any
) -> None:
    answer = await client.request(
        method, f"{USERS}/{root.user.id}", json=body, headers=bearer(admin_session)
    )

    assert answer.status_code == 409
    assert "the only admin" in answer.json()["detail"]
    assert find_user(store, root.user.id) == root.user


async def test_an_admin_can_step_down_when_there_is_another(
    client: AsyncTestClient, admin_session: str, root: Person, people: People
) -> None:
    people.add("another", "admin")

    answer = await client.patch(
        f"{USERS}/{root.user.id}", json={"role": "user"}, headers=bearer(admin_session)
    )

    assert (answer.status_code, answer.json()["role"], await me(client, admin_session)) == (
        200,
        "user",
        401,
    )


async def test_a_quota_is_set_and_taken_away(
    client: AsyncTestClient, admin_session: str, ada: Person
) -> None:
    path, admin = f"{USERS}/{ada.user.id}/quota", bearer(admin_session)
    quota = {"quota_tokens": 1000, "quota_cost_micros": 0, "period": "month"}

    first = await client.post(path, json=quota, headers=admin)
    second = await client.post(path, json={"quota_tokens": None}, headers=admin)

    assert (first.status_code, {name: first.json()[name] for name in quota}) == (200, quota)
    assert {name: second.json()[name] for name in quota} == quota | {"quota_tokens": None}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"quota_tokens": -1}, "quota_tokens"),
        ({"quota_cost_micros": 2**60}, "quota_cost_micros"),
        ({"rpm": 1}, "rpm"),
    ],
    ids=str,
)
async def test_a_quota_that_cannot_be_is_refused(
    client: AsyncTestClient, admin_session: str, ada: Person, wrong: dict[str, Any], field: str
) -> None:
    answer = await client.post(
        f"{USERS}/{ada.user.id}/quota", json=wrong, headers=bearer(admin_session)
    )

    assert answer.status_code == 400
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("body", [None, {}, {"password": None}], ids=["no body", "nothing", "null"])
async def test_a_reset_makes_a_password_and_ends_the_sessions(
    client: AsyncTestClient, admin_session: str, ada: Person, session: str, body: Any
) -> None:
    answer = await client.post(
        f"{USERS}/{ada.user.id}/reset-password", json=body, headers=bearer(admin_session)
    )

    password = answer.json()["password"]
    old, new = [
        await client.post("/api/login", json={"username": "ada", "password": each})
        for each in (PASSWORD, password)
    ]
    assert (answer.status_code, old.status_code, new.status_code) == (200, 401, 200)
    assert (await me(client, session), await me(client, ada.key)) == (401, 200)


async def test_a_reset_takes_a_given_password_and_does_not_repeat_it(
    client: AsyncTestClient, admin_session: str, ada: Person
) -> None:
    body = {"password": "a given password"}

    answer = await client.post(
        f"{USERS}/{ada.user.id}/reset-password", json=body, headers=bearer(admin_session)
    )

    assert answer.json() == {"password": None}
    assert (await client.post("/api/login", json=body | {"username": "ada"})).status_code == 200


@pytest.mark.parametrize("password", ["", "short", "x" * 73, "12345678"], ids=len)
async def test_a_reset_refuses_a_bad_password_in_words(
    client: AsyncTestClient, admin_session: str, ada: Person, password: str
) -> None:
    answer = await client.post(
        f"{USERS}/{ada.user.id}/reset-password",
        json={"password": password},
        headers=bearer(admin_session),
    )

    assert answer.status_code == 400
    assert fields(answer).keys() == {"password"}
    assert (await client.post("/api/login", json=ada.credentials)).status_code == 200


async def test_a_deleted_account_is_gone_with_its_keys_and_sessions(
    client: AsyncTestClient, admin_session: str, ada: Person, session: str
) -> None:
    answers = [
        await client.delete(f"{USERS}/{ada.user.id}", headers=bearer(admin_session))
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [204, 404]
    assert (await me(client, session), await me(client, ada.key)) == (401, 401)
    assert (await client.post("/api/login", json=ada.credentials)).status_code == 401


@pytest.mark.parametrize("user_id", ["0", "-1", "99", str(2**63), "9" * 30, "x"])
@pytest.mark.parametrize(
    ("method", "end"),
    [(method, path.removeprefix(f"{USERS}/1")) for method, path in EVERY_ROUTE[2:]],
)
async def test_an_id_that_no_account_has_is_not_found(
    client: AsyncTestClient, admin_session: str, method: str, end: str, user_id: str
) -> None:
    answer = await client.request(
        method, f"{USERS}/{user_id}{end}", json={}, headers=bearer(admin_session)
    )

    assert answer.status_code in (400, 404)


async def test_all_accounts_come_as_csv(
    client: AsyncTestClient, people: People, admin_session: str
) -> None:
    for number in range(250):
        people.add(f"user-{number}", limits=Limits(quota_tokens=number))

    answer = await client.get(f"{USERS}/export?q=user-", headers=bearer(admin_session))

    lines = answer.text.splitlines()
    assert answer.headers["content-disposition"] == 'attachment; filename="users.csv"'
    assert lines[0].startswith(
        "id,username,role,disabled,must_change_password,created_at,quota_tokens,"
    )
    assert [line.split(",")[1] for line in lines[1:]] == [f"user-{number}" for number in range(250)]
    assert lines[250].split(",")[6] == "249"


async def test_a_name_like_a_formula_is_text_for_spreadsheets(
    client: AsyncTestClient, people: People, admin_session: str
) -> None:
    people.add("=1+1")

    answer = await client.get(f"{USERS}/export?q==", headers=bearer(admin_session))

    assert answer.text.splitlines()[1].split(",")[1] == "'=1+1"
