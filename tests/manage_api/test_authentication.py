import base64

import pytest
from litestar.testing import AsyncTestClient

from shared.security.keys import mint_key
from shared.security.tokens import issue_token
from shared.store.accounts import find_user, set_disabled
from shared.store.engine import Engine
from shared.store.virtual_keys import list_keys, revoke_key
from tests.manage_api.world import ManualClock, People, Person, bearer

SECRET = "a secret of at least thirty-two bytes"


async def me(client: AsyncTestClient, credential: str) -> int:
    return (await client.get("/api/me", headers=bearer(credential))).status_code


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YWRhOng=", "Bearer nonsense", "Bearer a.b.c", f"Bearer {mint_key()}"],
    ids=["none", "no credential", "blank", "basic", "nonsense", "not a token", "a key nobody has"],
)
async def test_what_is_no_credential_is_refused(client: AsyncTestClient, ada: Person, header: str) -> None:
    answer = await client.get("/api/me", headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["detail"]


async def test_a_key_is_good_until_it_is_revoked(client: AsyncTestClient, ada: Person, store: Engine) -> None:
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


async def test_a_session_ends_after_its_time(client: AsyncTestClient, session: str, clock: ManualClock) -> None:
    clock.seconds += 43_200

    assert await me(client, session) == 401


async def test_a_token_signed_with_another_secret_is_refused(
    client: AsyncTestClient, ada: Person, clock: ManualClock
) -> None:
    forged = issue_token(ada.user, "another secret of thirty-two bytes", now=clock.now_ms() // 1000)

    assert await me(client, forged) == 401


async def test_a_token_without_a_signature_is_refused(client: AsyncTestClient, session: str) -> None:
    _, payload, _ = session.split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")

    assert await me(client, f"{header}.{payload}.") == 401


@pytest.mark.parametrize("environ", [{"JWT_SECRET": SECRET}], indirect=True)
async def test_a_configured_secret_signs_the_tokens(client: AsyncTestClient, ada: Person, clock: ManualClock) -> None:
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
