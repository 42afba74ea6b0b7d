from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from shared.model import Limits
from shared.store.accounts import set_disabled
from shared.store.engine import Engine
from shared.store.virtual_keys import list_keys, revoke_key
from tests.manage_api.world import ManualClock, People, Person, bearer, fields

OWN, ALL = "/api/keys", "/api/admin/keys"
NOW = 1_800_000_000_000
EVERYTHING = {
    "name": "laptop",
    "expires_at": NOW + 1000,
    "models": ["deepseek-*"],
    "quota_tokens": 1000,
    "quota_cost_micros": 2000,
    "period": "month",
    "rpm": 3,
    "tpm": 4,
    "concurrency": 5,
}


async def me(client: AsyncTestClient, credential: str) -> int:
    return (await client.get("/api/me", headers=bearer(credential))).status_code


async def made(client: AsyncTestClient, credential: str, path: str = OWN, **body: Any) -> Any:
    answer = await client.post(path, json=body, headers=bearer(credential))
    assert answer.status_code == 201
    return answer.json()


async def listed(client: AsyncTestClient, credential: str, path: str = OWN, **query: Any) -> Any:
    answer = await client.get(path, params=query, headers=bearer(credential))
    assert answer.status_code == 200
    return answer.json()


async def test_a_key_that_was_made_works_and_is_shown_this_once(
    client: AsyncTestClient, session: str
) -> None:
    key = await made(client, session, **EVERYTHING)

    assert EVERYTHING.items() <= key.items()
    assert await me(client, key["api_key"]) == 200
    assert key["api_key"] not in str(await listed(client, session))


async def test_a_key_has_no_limits_unless_they_are_given(
    client: AsyncTestClient, session: str
) -> None:
    key = await made(client, session)

    assert (key["name"], key["scope"], key["state"], key["models"], key["period"]) == (
        *("key", "inference", "usable"),
        *([], "lifetime"),
    )
    assert {
        key[name] for name in ("quota_tokens", "quota_cost_micros", "rpm", "tpm", "concurrency")
    } == {None}


async def test_the_list_tells_keys_by_their_last_characters_and_their_state(
    client: AsyncTestClient,
    ada: Person,
    session: str,
    people: People,
    store: Engine,
    clock: ManualClock,
) -> None:
    keys = [ada.key, people.key(ada, expires_at=NOW + 1), people.key(ada)]
    revoke_key(store, 3, NOW)
    people.spend(ada, 9, 2, key_id=1)
    clock.seconds += 1

    items = (await listed(client, session))["items"]

    assert [item["key"] for item in items] == [f"…{key[-4:]}" for key in keys]
    assert [item["state"] for item in items] == ["usable", "expired", "revoked"]
    assert [(item["used_tokens"], item["used_cost_micros"]) for item in items] == [
        (9, 2),
        (0, 0),
        (0, 0),
    ]


async def test_the_list_is_read_page_by_page(
    client: AsyncTestClient, ada: Person, session: str, people: People, root: Person
) -> None:
    for _ in range(2):
        people.key(ada)
    first = await listed(client, session, limit=2)
    second = await listed(client, session, limit=2, cursor=first["next"])

    assert [len(page["items"]) for page in (first, second)] == [2, 1]
    assert {item["username"] for page in (first, second) for item in page["items"]} == {"ada"}
    assert second["next"] is None


async def test_only_what_is_sent_of_a_key_is_changed(client: AsyncTestClient, session: str) -> None:
    key = await made(client, session, **EVERYTHING)

    answer = await client.patch(
        f"{OWN}/{key['id']}",
        json={"name": "desk", "rpm": None, "expires_at": None},
        headers=bearer(session),
    )

    assert answer.status_code == 200
    changed = answer.json()
    assert changed == {name: key[name] for name in changed} | {
        "name": "desk",
        "rpm": None,
        "expires_at": None,
    }


async def test_a_key_that_has_expired_can_be_renamed(
    client: AsyncTestClient, session: str, clock: ManualClock
) -> None:
    key = await made(client, session, **EVERYTHING)
    clock.seconds += 2

    answer = await client.patch(f"{OWN}/{key['id']}", json={"name": "old"}, headers=bearer(session))

    assert (answer.json()["name"], answer.json()["state"]) == ("old", "expired")


async def test_a_revoked_key_is_refused_at_once_and_stays_listed(
    client: AsyncTestClient, session: str
) -> None:
    key = await made(client, session)

    answers = [await client.delete(f"{OWN}/{key['id']}", headers=bearer(session)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert await me(client, key["api_key"]) == 401
    assert (await listed(client, session))["items"][-1]["state"] == "revoked"


async def test_a_revoked_key_stays_as_it_is(client: AsyncTestClient, session: str) -> None:
    key = await made(client, session)
    await client.delete(f"{OWN}/{key['id']}", headers=bearer(session))

    answer = await client.patch(
        f"{OWN}/{key['id']}", json={"name": "desk"}, headers=bearer(session)
    )

    assert answer.status_code == 409
    assert "revoked" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\x1b[2Jb"}, "name"),
        ({"expires_at": NOW}, "expires_at"),
        ({"expires_at": NOW // 1000}, "expires_at"),
        ({"expires_at": 2**53}, "expires_at"),
        ({"models": [""]}, "models"),
        ({"models": ["x" * 257]}, "models"),
        ({"models": ["x"] * 257}, "models"),
        ({"models": None}, "models"),
        ({"quota_tokens": -1}, "quota_tokens"),
        ({"quota_cost_micros": 2**53}, "quota_cost_micros"),
        ({"period": "week"}, "period"),
        ({"rpm": 0}, "rpm"),
        ({"tpm": 1.5}, "tpm"),
        ({"concurrency": "many"}, "concurrency"),
    ],
    ids=str,
)
@pytest.mark.parametrize("change", [False, True], ids=["made", "changed"])
async def test_a_field_of_a_key_that_cannot_be_taken_is_named(
    client: AsyncTestClient, session: str, wrong: dict[str, Any], field: str, change: bool
) -> None:
    method, path = ("PATCH", f"{OWN}/1") if change else ("POST", OWN)

    answer = await client.request(method, path, json=wrong, headers=bearer(session))

    assert answer.status_code == 400
    assert [name.partition("[")[0].partition(".")[0] for name in fields(answer)] == [field]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b'{"nmae": "x"}', b'{"name": "\xff"}', b"[" * 100_000],
    ids=["none", "list", "null", "cut", "unknown field", "not UTF-8", "nested"],
)
async def test_a_body_that_is_no_key_is_refused(
    client: AsyncTestClient, session: str, body: bytes
) -> None:
    answers = [
        await client.request(method, path, content=body, headers=bearer(session))
        for method, path in (("POST", OWN), ("PATCH", f"{OWN}/1"))
    ]

    assert [answer.status_code for answer in answers] == [400, 400]


async def test_the_keys_of_another_user_are_not_there(
    client: AsyncTestClient, session: str, people: People
) -> None:
    grace = people.add("grace")

    answers = [
        await client.request(method, f"{OWN}/2", json=body, headers=bearer(session))
        for method, body in (("PATCH", {"name": "mine"}), ("DELETE", None))
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert await me(client, grace.key) == 200


@pytest.mark.parametrize("key_id", ["0", "-1", "99", str(2**53), str(2**63), "9" * 30, "x"])
@pytest.mark.parametrize("path", [OWN, ALL])
async def test_an_id_that_no_key_has_is_not_found(
    client: AsyncTestClient, admin_session: str, path: str, key_id: str
) -> None:
    answers = [
        await client.request(method, f"{path}/{key_id}", json={}, headers=bearer(admin_session))
        for method in ("PATCH", "DELETE")
    ]

    assert {answer.status_code for answer in answers} <= {400, 404}


async def test_a_key_for_inference_sees_keys_but_makes_changes_and_revokes_none(
    client: AsyncTestClient, ada: Person, store: Engine
) -> None:
    requests = (
        ("POST", OWN, {}),
        ("PATCH", f"{OWN}/1", {"quota_tokens": None}),
        ("DELETE", f"{OWN}/1", None),
    )

    answers = [
        await client.request(method, path, json=body, headers=bearer(ada.key))
        for method, path, body in requests
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert len((await listed(client, ada.key))["items"]) == 1
    assert [key.revoked_at for key in list_keys(store)] == [None]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", OWN), ("POST", OWN), ("PATCH", f"{OWN}/1"), ("DELETE", f"{OWN}/1")),
        *(("GET", ALL), ("PATCH", f"{ALL}/1"), ("DELETE", f"{ALL}/1")),
        *(("GET", "/api/admin/users/1/keys"), ("POST", "/api/admin/users/1/keys")),
    ],
)
async def test_anybody_unknown_or_disabled_is_refused(
    client: AsyncTestClient, ada: Person, session: str, store: Engine, method: str, path: str
) -> None:
    set_disabled(store, ada.user.id, True)
    shown = ({}, bearer(session), bearer(ada.key))

    answers = [await client.request(method, path, json={}, headers=each) for each in shown]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_a_key_with_the_scope_admin_is_for_admins_only(
    client: AsyncTestClient, ada: Person, session: str, admin_session: str
) -> None:
    body = {"scope": "admin"}
    own = await client.post(OWN, json=body, headers=bearer(session))
    given = await client.post(
        f"/api/admin/users/{ada.user.id}/keys", json=body, headers=bearer(admin_session)
    )
    key = await made(client, admin_session, **body)

    assert [fields(answer).keys() for answer in (own, given)] == [{"scope"}, {"scope"}]
    assert (await client.get(ALL, headers=bearer(key["api_key"]))).status_code == 200


async def test_an_admin_makes_and_sees_keys_of_a_user(
    client: AsyncTestClient, ada: Person, admin_session: str
) -> None:
    path = f"/api/admin/users/{ada.user.id}/keys"

    key = await made(client, admin_session, path, **EVERYTHING)

    assert (EVERYTHING | {"username": "ada", "user_id": ada.user.id}).items() <= key.items()
    assert await me(client, key["api_key"]) == 200
    assert [item["username"] for item in (await listed(client, admin_session, path))["items"]] == [
        "ada",
        "ada",
    ]


@pytest.mark.parametrize("user_id", ["99", str(2**63)])
async def test_keys_of_an_account_that_is_not_there_are_not_found(
    client: AsyncTestClient, admin_session: str, user_id: str
) -> None:
    answers = [
        await client.request(
            method, f"/api/admin/users/{user_id}/keys", json={}, headers=bearer(admin_session)
        )
        for method in ("GET", "POST")
    ]

    assert {answer.status_code for answer in answers} <= {400, 404}


async def test_an_admin_finds_keys_by_owner_name_and_last_characters(
    client: AsyncTestClient, ada: Person, root: Person, admin_session: str
) -> None:
    for text in ("ADA", ada.key[-4:]):
        found = await listed(client, admin_session, ALL, q=text)
        assert [item["username"] for item in found["items"]] == ["ada"]
    assert len((await listed(client, admin_session, ALL))["items"]) == 2
    assert (await listed(client, admin_session, ALL, q="%"))["items"] == []


async def test_an_admin_changes_and_revokes_the_key_of_a_user(
    client: AsyncTestClient, ada: Person, admin_session: str
) -> None:
    changed = await client.patch(
        f"{ALL}/1", json={"quota_tokens": 5}, headers=bearer(admin_session)
    )
    revoked = await client.delete(f"{ALL}/1", headers=bearer(admin_session))

    assert (changed.json()["username"], changed.json()["quota_tokens"]) == ("ada", 5)
    assert (revoked.status_code, await me(client, ada.key)) == (204, 401)


async def test_a_user_does_not_reach_the_keys_of_others(
    client: AsyncTestClient, root: Person, session: str
) -> None:
    paths = [
        ("GET", ALL),
        ("PATCH", f"{ALL}/1"),
        ("DELETE", f"{ALL}/1"),
        ("GET", "/api/admin/users/1/keys"),
    ]

    answers = [
        await client.request(method, path, json={}, headers=bearer(session))
        for method, path in paths
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert await me(client, root.key) == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"q": "x" * 2000}, "q"),
    ],
    ids=str,
)
async def test_a_query_that_cannot_be_answered_names_the_parameter(
    client: AsyncTestClient, admin_session: str, query: dict[str, Any], field: str
) -> None:
    answer = await client.get(ALL, params=query, headers=bearer(admin_session))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_a_key_counts_what_it_used_in_its_own_period(
    client: AsyncTestClient, ada: Person, session: str, people: People, clock: ManualClock
) -> None:
    people.key(ada, limits=Limits(period="day"))
    people.spend(ada, 9, key_id=2)
    today = (await listed(client, session))["items"][1]
    clock.seconds += 86_400
    tomorrow = (await listed(client, ada.key))["items"][1]

    assert (today["used_tokens"], tomorrow["used_tokens"]) == (9, 0)
    assert tomorrow["resets_at"] - today["resets_at"] == 86_400_000
