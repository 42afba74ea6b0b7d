import base64

import pytest
from litestar.testing import AsyncTestClient
from msgspec.structs import replace

from shared.log import CALLER_HEADER
from shared.security.keys import mint_key
from shared.security.tokens import issue_token
from shared.store.accounts import delete_user, find_user, set_disabled, update_user
from shared.store.engine import Engine
from shared.store.virtual_keys import list_keys, revoke_key
from tests.manage_api.world import ManualClock, People, Person, bearer, cookie

SECRET = "a secret of at least thirty-two bytes"


async def me(client: AsyncTestClient, credential: str) -> int:
    return (await client.get("/api/me", headers=bearer(credential))).status_code


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YWRhOng=",
        "Bearer nonsense",
        "Bearer a.b.c",
        f"Bearer {mint_key()}",
    ],
    ids=["none", "no credential", "blank", "basic", "nonsense", "not a token", "a key nobody has"],
)
async def test_what_is_no_credential_is_refused(
    client: AsyncTestClient, ada: Person, header: str
) -> None:
    answer = await client.get("/api/me", headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["detail"]


async def test_a_key_is_good_until_it_is_revoked(
    client: AsyncTestClient, ada: Person, store: Engine
) -> None:
    before = await me(client, ada.key)
    [key] = list_keys(store, user_id=ada.user.id)
    revoke_key(store, key.id, 0)

    assert (before, await me(client, ada.key)) == (200, 401)


async def test_a_key_is_good_until_it_expires(
    client: AsyncTestClient, ada: Person, clock: ManualClock, people: People
) -> None:
    key = people.key(ada, "inference", expires_at=clock.now_ms() + 1000)
    before = await me(client, key)
    clock.seconds += 1

    assert (before, await me(client, key)) == (200, 401)


async def test_a_disabled_account_is_shut_out_at_once_with_session_and_key(
    client: AsyncTestClient, ada: Person, root: Person, session: str, store: Engine
) -> None:
    before = await me(client, session), await me(client, ada.key)
    set_disabled(store, ada.user.id, True)

    assert before == (200, 200)
    assert (await me(client, session), await me(client, ada.key)) == (401, 401)


async def test_enabling_an_account_brings_its_key_back_but_not_its_session(
    client: AsyncTestClient, ada: Person, root: Person, session: str, store: Engine
) -> None:
    set_disabled(store, ada.user.id, True)
    set_disabled(store, ada.user.id, False)

    assert (await me(client, session), await me(client, ada.key)) == (401, 200)


async def test_a_session_ends_after_its_time(
    client: AsyncTestClient, session: str, clock: ManualClock
) -> None:
    clock.seconds += 43_200

    assert await me(client, session) == 401


async def test_a_token_signed_with_another_secret_is_refused(
    client: AsyncTestClient, ada: Person, clock: ManualClock
) -> None:
    forged = issue_token(ada.user, "another secret of thirty-two bytes", now=clock.now_ms() // 1000)

    assert await me(client, forged) == 401


async def test_a_token_without_a_signature_is_refused(
    client: AsyncTestClient, session: str
) -> None:
    _, payload, _ = session.split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")

    assert await me(client, f"{header}.{payload}.") == 401


@pytest.mark.parametrize("environ", [{"JWT_SECRET": SECRET}], indirect=True)
async def test_a_configured_secret_signs_the_tokens(
    client: AsyncTestClient, ada: Person, clock: ManualClock
) -> None:
    token = issue_token(ada.user, SECRET, now=clock.now_ms() // 1000)

    assert await me(client, token) == 200


@pytest.mark.parametrize("environ", [{"JWT_SECRET": SECRET}], indirect=True)
async def test_a_disabled_account_has_no_session_however_new_its_token(
    client: AsyncTestClient, ada: Person, root: Person, store: Engine, clock: ManualClock
) -> None:
    set_disabled(store, ada.user.id, True)
    disabled = find_user(store, ada.user.id)
    assert disabled

    token = issue_token(disabled, SECRET, now=clock.now_ms() // 1000)

    assert await me(client, token) == 401


async def test_a_deleted_account_is_shut_out_at_once_with_session_and_key(
    client: AsyncTestClient, ada: Person, session: str, store: Engine
) -> None:
    delete_user(store, ada.user.id)

    assert (await me(client, session), await me(client, ada.key)) == (401, 401)


async def test_a_key_with_the_scope_admin_is_good_only_while_its_owner_is_an_admin(
    client: AsyncTestClient, root: Person, people: People, store: Engine
) -> None:
    people.add("another", "admin")
    key = people.key(root, "admin")
    before = await me(client, key)
    update_user(store, root.user.id, lambda user: replace(user, role="user"))

    assert (before, await me(client, key), await me(client, root.key)) == (200, 401, 200)


async def test_the_cookie_signs_a_browser_in(client: AsyncTestClient, ada: Person) -> None:
    signed_in = await client.post("/api/login", json=ada.credentials)

    answer = await client.get("/api/me", headers=cookie(signed_in))

    assert (answer.status_code, answer.json()["username"]) == (200, "ada")


@pytest.mark.parametrize("header", ["Basic YWRhOng=", "Digest x"])
async def test_a_credential_for_a_proxy_in_front_leaves_the_cookie_to_speak(
    client: AsyncTestClient, ada: Person, header: str
) -> None:
    signed_in = await client.post("/api/login", json=ada.credentials)

    answer = await client.get("/api/me", headers=cookie(signed_in) | {"Authorization": header})

    assert answer.status_code == 200


async def test_a_bearer_wins_over_the_cookie(
    client: AsyncTestClient, ada: Person, root: Person
) -> None:
    signed_in = await client.post("/api/login", json=ada.credentials)

    answer = await client.get("/api/me", headers=cookie(signed_in) | bearer(root.key))

    assert answer.json()["username"] == "root"


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer nonsense", f"Bearer {mint_key()}"],
    ids=["no credential", "nonsense", "a key nobody has"],
)
async def test_with_a_bearer_that_is_no_good_the_cookie_is_ignored(
    client: AsyncTestClient, ada: Person, header: str
) -> None:
    signed_in = await client.post("/api/login", json=ada.credentials)

    answer = await client.get("/api/me", headers=cookie(signed_in) | {"Authorization": header})

    assert answer.status_code == 401


async def test_a_virtual_key_in_the_cookie_is_none(client: AsyncTestClient, ada: Person) -> None:
    answer = await client.get("/api/me", headers={"Cookie": f"thinkback={ada.key}"})

    assert answer.status_code == 401


async def test_over_https_only_the_cookie_that_plain_http_could_not_set_counts(
    client: AsyncTestClient, session: str
) -> None:
    https = {"X-Forwarded-Proto": "https"}

    planted = await client.get("/api/me", headers=https | {"Cookie": f"thinkback={session}"})
    own = await client.get("/api/me", headers=https | {"Cookie": f"__Host-thinkback={session}"})

    assert (planted.status_code, own.status_code) == (401, 200)


async def test_the_data_plane_is_told_who_called(
    client: AsyncTestClient, ada: Person, session: str
) -> None:
    for answer in (
        await client.get("/dashboard", headers={"Cookie": f"thinkback={session}"}),
        await client.get("/api/me", headers=bearer(ada.key)),
        await client.get("/api/admin/health", headers=bearer(ada.key)),
    ):
        assert answer.headers[CALLER_HEADER] == "ada"
    assert CALLER_HEADER not in (await client.get("/login")).headers
    assert CALLER_HEADER not in (await client.get("/api/me")).headers
