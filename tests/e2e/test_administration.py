"""What an admin changes acts in the running data plane within two seconds, without a restart."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin import Admin
from tests.support.client import Raw, post
from tests.support.gateway import Gateway, eventually, free_port, upstream_table
from tests.support.provider import StrictProvider
from tests.support.turns import Json

CHAT = "/v1/chat/completions"
SECONDS = 2
PRIVATE = "[server]\nallow_private_upstreams = true\n"


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with StrictProvider() as provider:
        config = PRIVATE + upstream_table(
            "first", provider.base_url, models=["deepseek-v4-pro", "glm-5"]
        )
        with Gateway(
            tmp_path_factory.mktemp("managed"), {"LOG_LEVEL": "warning"}, config=config
        ) as gateway:
            yield gateway


@pytest.fixture(scope="module")
def admin(managed: Gateway) -> Admin:
    return Admin(managed)


@pytest.fixture
def user(admin: Admin, request: pytest.FixtureRequest) -> Json:
    """A fresh account with its `api_key`."""
    name = request.node.name[:60]
    return admin.add_user(name)


def asked(admin: Admin, key: str, model: str = "deepseek-v4-pro", **headers: str) -> Raw:
    body = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    ).encode()
    return post(admin.gateway.origin, CHAT, body, key=key, **headers)


def soon(admin: Admin, key: str, status: int) -> bool:
    """Whether the data plane answers so within two seconds."""
    return eventually(lambda: asked(admin, key).status == status, SECONDS)


def message_of(answer: Raw) -> str:
    return str(json.loads(answer.body)["error"]["message"])


def test_a_quota_stops_a_user_and_a_higher_one_lets_go_on(admin: Admin, user: Json) -> None:
    quota = f"/api/admin/users/{user['id']}/quota"
    assert asked(admin, user["api_key"]).status == 200
    admin.send("POST", quota, {"quota_tokens": 1, "quota_cost_micros": None, "period": "day"})
    assert soon(admin, user["api_key"], 429)
    assert "1 of 1 tokens are used today" in message_of(asked(admin, user["api_key"]))
    admin.send("POST", quota, {"quota_tokens": None, "quota_cost_micros": None, "period": "day"})
    assert soon(admin, user["api_key"], 200)


def test_cursor_shows_its_user_why_the_quota_stops_it(admin: Admin, user: Json) -> None:
    body = {"quota_tokens": 0, "quota_cost_micros": None, "period": "lifetime"}
    admin.send("POST", f"/api/admin/users/{user['id']}/quota", body)
    assert soon(admin, user["api_key"], 429)
    answer = asked(admin, user["api_key"], **{"user-agent": "Cursor/1.0"})
    assert answer.status == 400
    assert (
        message_of(answer)
        == "There is no token quota for your account yet: ask the administrator for one."
    )


def test_a_disabled_user_is_refused_and_an_enabled_one_served(admin: Admin, user: Json) -> None:
    account = f"/api/admin/users/{user['id']}"
    admin.send("PATCH", account, {"disabled": True})
    assert soon(admin, user["api_key"], 401)
    admin.send("PATCH", account, {"disabled": False})
    assert soon(admin, user["api_key"], 200)


def test_a_revoked_key_is_refused(admin: Admin, user: Json) -> None:
    made = admin.send("POST", f"/api/admin/users/{user['id']}/keys", {"name": "laptop"})
    assert soon(admin, made["api_key"], 200)
    admin.send("DELETE", f"/api/admin/keys/{made['id']}")
    assert soon(admin, made["api_key"], 401)
    assert asked(admin, user["api_key"]).status == 200


def test_a_keys_limits_and_models_hold(admin: Admin, user: Json) -> None:
    keys = f"/api/admin/users/{user['id']}/keys"
    picky = admin.send("POST", keys, {"name": "picky", "models": ["deepseek-*"]})
    assert asked(admin, picky["api_key"], model="glm-5").status == 403
    made = admin.send("POST", keys, {"name": "ci", "models": ["deepseek-*"], "rpm": 1})
    assert asked(admin, made["api_key"]).status == 200
    refused = asked(admin, made["api_key"])
    assert (refused.status, int(refused.headers["retry-after"]) in range(50, 61)) == (429, True)


def test_a_new_upstream_serves_and_a_deleted_one_does_not(admin: Admin, user: Json) -> None:
    with StrictProvider(keys=("sk-new",)) as added:
        body = {
            "name": "added",
            "base_url": added.base_url,
            "api_keys": ["sk-new"],
            "models": ["only-there"],
        }
        body |= {"model_rewrites": [{"from": "new-name", "to": "only-there"}]}
        made = admin.send("POST", "/api/admin/upstreams", body)
        key = user["api_key"]
        assert eventually(lambda: served_by(admin, key, added), SECONDS)
        admin.send("DELETE", f"/api/admin/upstreams/{made['id']}")
        added.reset()
        assert eventually(lambda: not served_by(admin, key, added), SECONDS)


def served_by(admin: Admin, key: str, provider: StrictProvider) -> bool:
    before = len(provider.requests)
    asked(admin, key, model="new-name")
    return len(provider.requests) > before


def test_an_upstream_in_a_private_network_is_not_reached_unless_that_is_allowed(
    tmp_path: Path,
) -> None:
    with Gateway(tmp_path, config=PRIVATE) as gateway:
        admin = Admin(gateway)
        key = admin.add_user("ada")["api_key"]
        nothing = f"https://127.0.0.1:{free_port()}"
        admin.send(
            "POST",
            "/api/admin/upstreams",
            {"name": "inside", "base_url": nothing, "api_keys": ["sk-good"]},
        )
        assert eventually(lambda: "connection refused" in message_of(asked(admin, key)), SECONDS)
        (tmp_path / "config.toml").write_text("[server]\n")
        assert eventually(
            lambda: "its address is private" in message_of(asked(admin, key)), SECONDS
        )


def test_what_was_asked_is_found_in_the_audit(admin: Admin, user: Json) -> None:
    body = json.dumps(
        {"model": "glm-5", "messages": [{"role": "user", "content": "请修复这个错误"}]}
    ).encode()
    post(admin.gateway.origin, CHAT, body, key=user["api_key"])
    search = f"/api/admin/audit?q=%E9%94%99%E8%AF%AF&user_id={user['id']}"

    assert eventually(lambda: len(admin.send("GET", search)["items"]) == 1, 5)
    assert admin.send("GET", search)["items"][0]["text"] == "请修复这个错误"
