import re
from typing import Any

import pytest
from litestar.testing import AsyncTestClient
from msgspec.structs import replace

from shared.model import Limits
from shared.security.keys import digest
from shared.store.accounts import set_password, update_user
from shared.store.engine import Engine
from shared.store.virtual_keys import find_key, list_keys, revoke_key
from tests.manage_api.world import PASSWORD, ManualClock, People, Person, bearer, cookie, fields

CHANGE = {"current_password": PASSWORD, "new_password": "a better password"}
MIDNIGHT = 1_800_057_600_000
"""Of the day after the clock's (UTC)."""


async def me(client: AsyncTestClient, credential: str) -> Any:
    return (await client.get("/api/me", headers=bearer(credential))).json()


async def status(client: AsyncTestClient, credential: str) -> int:
    return (await client.get("/api/me", headers=bearer(credential))).status_code


async def regenerated(client: AsyncTestClient, credential: str) -> str:
    answer = await client.post("/api/regenerate-key", headers=bearer(credential))
    assert answer.status_code == 200
    assert answer.json().keys() == {"api_key"}
    return str(answer.json()["api_key"])


async def test_me_is_who_the_session_is_for_with_what_it_may_use(
    client: AsyncTestClient, ada: Person, session: str
) -> None:
    assert await me(client, session) == {
        "id": ada.user.id,
        "username": "ada",
        "role": "user",
        "disabled": False,
        "must_change_password": False,
        "created_at": ada.user.created_at,
        "models": [],
        **dict.fromkeys(
            ("quota_tokens", "quota_cost_micros", "rpm", "tpm", "concurrency", "resets_at", "key")
        ),
        "period": "lifetime",
        **dict.fromkeys(
            ("used_tokens", "used_cost_micros", "reserved_tokens", "reserved_cost_micros"), 0
        ),
        "auth": "session",
        "mirror": "",
    }


async def test_how_reasoning_is_shown_is_ones_own_choice(
    client: AsyncTestClient, ada: Person, session: str
) -> None:
    changed = await client.patch("/api/me", json={"mirror": "details"}, headers=bearer(session))

    assert (changed.status_code, changed.json()["mirror"]) == (200, "details")
    assert (await me(client, ada.key))["mirror"] == "details"


@pytest.mark.parametrize(
    "body", [{"mirror": "upside down"}, {}, {"role": "admin", "mirror": "off"}]
)
async def test_nothing_else_about_oneself_can_be_changed(
    client: AsyncTestClient, session: str, body: dict[str, str]
) -> None:
    assert (await client.patch("/api/me", json=body, headers=bearer(session))).status_code == 400
    assert ((await me(client, session))["mirror"], (await me(client, session))["role"]) == (
        "",
        "user",
    )


async def test_me_says_what_was_used_and_when_it_begins_anew(
    client: AsyncTestClient, people: People, clock: ManualClock
) -> None:
    grace = people.add(
        "grace", models=("deepseek-*",), limits=Limits(quota_tokens=100, period="day", rpm=3)
    )
    people.spend(grace, 60, 7)

    found = await me(client, grace.key)

    assert {
        "models": ["deepseek-*"],
        "quota_tokens": 100,
        "period": "day",
        "rpm": 3,
    }.items() <= found.items()
    assert (found["used_tokens"], found["used_cost_micros"], found["resets_at"]) == (
        60,
        7,
        MIDNIGHT,
    )
    clock.seconds = MIDNIGHT / 1000
    assert (await me(client, grace.key))["used_tokens"] == 0


async def test_me_with_a_virtual_key_shows_the_key_with_its_own_limits(
    client: AsyncTestClient, ada: Person, people: People
) -> None:
    key = people.key(ada, limits=Limits(quota_tokens=50), models=("a",))
    people.spend(ada, 20, key_id=2)
    people.spend(ada, 5)

    found = await me(client, key)

    assert (found["auth"], found["username"], found["used_tokens"]) == ("key", "ada", 25)
    shown = found["key"]
    assert (shown["key"], shown["quota_tokens"], shown["used_tokens"]) == (f"…{key[-4:]}", 50, 20)
    assert key not in str(found)


async def test_changing_the_password_ends_the_old_sessions_and_opens_one(
    client: AsyncTestClient, session: str
) -> None:
    answer = await client.post("/api/change-password", json=CHANGE, headers=bearer(session))

    assert await status(client, session) == 401
    assert await status(client, answer.json()["token"]) == 200
    assert (await client.get("/api/me", headers=cookie(answer))).status_code == 200


async def test_only_the_new_password_is_good_after_the_change(
    client: AsyncTestClient, ada: Person, session: str
) -> None:
    await client.post("/api/change-password", json=CHANGE, headers=bearer(session))

    old = await client.post("/api/login", json=ada.credentials)
    new = await client.post(
        "/api/login", json=ada.credentials | {"password": CHANGE["new_password"]}
    )

    assert (old.status_code, new.status_code) == (401, 200)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"current_password": "wrong"}, "current_password"),
        ({"new_password": "short"}, "new_password"),
        ({"new_password": "ä" * 40}, "new_password"),
        ({"new_password": "12345678"}, "new_password"),
        ({"new_password": 5}, "new_password"),
    ],
    ids=["wrong current", "too short", "longer than bcrypt reads", "a first guess", "no text"],
)
async def test_a_password_that_cannot_be_taken_is_named(
    client: AsyncTestClient, session: str, wrong: dict[str, Any], field: str
) -> None:
    answer = await client.post("/api/change-password", json=CHANGE | wrong, headers=bearer(session))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_guessing_the_current_password_is_stopped(
    client: AsyncTestClient, session: str
) -> None:
    wrong = CHANGE | {"current_password": ""}
    for _ in range(10):
        await client.post("/api/change-password", json=wrong, headers=bearer(session))

    answer = await client.post("/api/change-password", json=CHANGE, headers=bearer(session))

    assert answer.status_code == 429


async def test_a_key_for_inference_does_not_change_the_password(
    client: AsyncTestClient, ada: Person
) -> None:
    answer = await client.post("/api/change-password", json=CHANGE, headers=bearer(ada.key))

    assert answer.status_code == 403
    assert (await client.post("/api/login", json=ada.credentials)).status_code == 200


async def test_with_a_well_known_password_only_changing_it_is_allowed(
    client: AsyncTestClient, root: Person, store: Engine, password_hash: str
) -> None:
    set_password(store, root.user.id, password_hash, must_change_password=True)
    token = (await client.post("/api/login", json=root.credentials)).json()["token"]

    for path in ("/api/admin/users", "/api/keys", "/api/regenerate-key"):
        refused = await client.post(path, json={}, headers=bearer(token))
        assert (refused.status_code, "password" in refused.json()["detail"]) == (403, True)
    changed = await client.post("/api/change-password", json=CHANGE, headers=bearer(token))

    assert changed.status_code == 200
    assert not (await me(client, changed.json()["token"]))["must_change_password"]


async def test_a_key_that_regenerates_itself_is_another_and_the_old_one_ends(
    client: AsyncTestClient, ada: Person
) -> None:
    new = await regenerated(client, ada.key)

    assert re.fullmatch(r"sk-[0-9A-Za-z]{43}", new)
    assert (await status(client, ada.key), await status(client, new)) == (401, 200)


async def test_a_key_that_regenerates_itself_keeps_its_limits_and_what_it_used(
    client: AsyncTestClient, ada: Person, people: People, store: Engine, clock: ManualClock
) -> None:
    limited = people.key(
        ada, limits=Limits(quota_tokens=50), models=("a",), expires_at=clock.now_ms() + 1000
    )
    people.spend(ada, 50, key_id=2)
    before = (await me(client, limited))["key"]

    new = await regenerated(client, limited)

    assert (await me(client, new))["key"] == before | {"key": f"…{new[-4:]}"}
    assert before["used_tokens"] == 50
    assert len(list_keys(store)) == 2


async def test_a_session_regenerates_the_oldest_key_that_can_be_used(
    client: AsyncTestClient, ada: Person, session: str, people: People, store: Engine
) -> None:
    oldest, newest = people.key(ada), people.key(ada)
    revoke_key(store, 1, 0)

    await regenerated(client, session)

    assert (await status(client, oldest), await status(client, newest)) == (401, 200)


async def test_a_session_without_a_usable_key_gets_a_new_one(
    client: AsyncTestClient, ada: Person, session: str, store: Engine
) -> None:
    revoke_key(store, 1, 0)

    new = await regenerated(client, session)

    found = find_key(store, digest(new))
    assert found
    assert (found[0].id, found[0].scope, found[1].username) == (2, "inference", "ada")


async def test_an_admins_key_regenerates_itself_and_administers_on(
    client: AsyncTestClient, root: Person, people: People
) -> None:
    new = await regenerated(client, people.key(root, "admin"))

    assert (await client.get("/api/admin/users", headers=bearer(new))).status_code == 200
    assert await status(client, root.key) == 200


@pytest.mark.parametrize("path", ["/api/change-password", "/api/regenerate-key"])
async def test_who_is_not_known_or_disabled_is_refused(
    client: AsyncTestClient, ada: Person, session: str, store: Engine, path: str
) -> None:
    update_user(store, ada.user.id, lambda user: replace(user, disabled=True))

    answers = [
        await client.post(path, json=CHANGE, headers=each)
        for each in ({}, bearer(session), bearer(ada.key))
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def call_token(client: AsyncTestClient, credential: str, **body: Any) -> Any:
    answer = await client.post("/api/call-token", json=body, headers=bearer(credential))
    return answer.json() | {"status": answer.status_code}


async def test_a_call_token_is_good_for_nothing_here_and_ends_with_its_session(
    client: AsyncTestClient, session: str, store: Engine, clock: ManualClock
) -> None:
    made = await call_token(client, session)

    assert (made["status"], made["expires_at"]) == (201, clock.now_ms() + 600_000)
    assert await status(client, made["token"]) == 401
    await client.post("/api/logout", headers=bearer(made["token"]))
    assert await status(client, session) == 200


async def test_a_call_token_is_made_for_ones_own_keys_only(
    client: AsyncTestClient, ada: Person, root: Person, session: str, people: People
) -> None:
    people.key(ada)
    made = [await call_token(client, session, key_id=key_id) for key_id in (1, 2, 3, 99)]

    assert [each["status"] for each in made] == [201, 400, 201, 400]
    assert made[1]["fields"] == {"key_id": "You have no such key."}


async def test_an_inference_key_makes_no_call_token(client: AsyncTestClient, ada: Person) -> None:
    assert (await call_token(client, ada.key))["status"] == 403
