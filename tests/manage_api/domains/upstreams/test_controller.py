import json
from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response
from litestar.testing import AsyncTestClient

from shared.security.secrets import load_secret
from shared.store.engine import Engine
from shared.store.key_rests import rest
from shared.store.overrides import read_overrides
from tests.manage_api.strangers import strangers
from tests.manage_api.world import ManualClock, People, Person, bearer, fields
from tests.support.rawhttp import RawServer, Received, Reply, json_reply

UPSTREAMS = "/api/admin/upstreams"
MIMO = {
    "name": "mimo",
    "base_url": "https://1.1.1.1/v1",
    "api_keys": ["sk-first-key-1111", "sk-second-key-2222"],
    "models": ["mimo-v2"],
    "model_rewrites": [
        {"from": "gpt-5", "to": "mimo-v2"},
        {"from_pattern": "^g(.*)$", "to_template": "m{1}"},
    ],
    "headers": {"X-Team": "blue", "X-Api-Key": "hidden-value-3333"},
    "timeouts": {"idle": 5},
}
PRIVATE = "[server]\nallow_private_upstreams = true\n"
IN_THE_FILE = (
    '[[upstreams]]\nname = "deep seek"\nbase_url = "https://a.b"\napi_key = "sk-of-the-file-4444"\n'
)
FORWARDED = {"X-Forwarded-For": "203.0.113.5"}
ROUTES = [
    ("GET", ""),
    ("POST", ""),
    ("POST", "/test"),
    ("GET", "/1"),
    ("PUT", "/1"),
    ("DELETE", "/1"),
    ("POST", "/1/test"),
    ("POST", "/1/move"),
]
ROUTE_IDS = [f"{method} {path}" for method, path in ROUTES]


class Admin:
    """Calls the routes as an admin on the gateway's own machine, or one who comes `forwarded`."""

    def __init__(self, client: AsyncTestClient, key: str) -> None:
        self._client = client
        self._key = key
        self.forwarded: dict[str, str] = {}

    async def __call__(self, method: str, path: str = "", body: Any = None) -> Response:
        return await self._client.request(
            method, UPSTREAMS + path, json=body, headers=bearer(self._key) | self.forwarded
        )

    async def names(self) -> list[str]:
        return [item["name"] for item in (await self("GET")).json()["items"]]


@pytest.fixture
def admin(client: AsyncTestClient, root: Person, people: People) -> Admin:
    return Admin(client, people.key(root, "admin"))


@pytest.fixture
def provider() -> Iterator[str]:
    """Where an upstream answers that has one model."""

    async def answer(_: Received) -> Reply:
        return json_reply(b'{"data": [{"id": "only"}]}')

    server = RawServer(answer)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


async def test_an_upstream_is_made_and_shown_with_its_secrets_masked(admin: Admin) -> None:
    made = await admin("POST", body=MIMO)

    assert made.status_code == 201
    assert made.json() == {
        **MIMO,
        "id": 1,
        "provisioned": False,
        "active": True,
        "problem": "",
        "endpoint": "https://1.1.1.1/v1/chat/completions",
        "api_keys": ["…1111", "…2222"],
        "keys": [
            {"key": key, "resting_until": None, "resting_why": ""} for key in ("…1111", "…2222")
        ],
        "api": "chat",
        "api_version": "",
        "auth": "",
        "images": "take",
        "hosted_tools": "drop",
        "mirror": "off",
        "compact_signal": False,
        "path": "",
        "profile": "",
        "headers": {"X-Team": "blue", "X-Api-Key": "…3333"},
        "timeouts": {"connect": 10, "first_byte": 300, "idle": 5, "total": 0},
    }
    assert (await admin("GET", "/1")).json() == made.json()
    assert (await admin("GET")).json() == {"items": [made.json()], "next": None}


async def test_no_answer_and_no_file_has_a_secret_in_it(
    admin: Admin, store: Engine, environ: dict[str, str]
) -> None:
    answers = [
        await admin("POST", body=MIMO),
        await admin("GET"),
        await admin("PUT", "/1", MIMO | {"api_keys": ["a b"]}),
    ]

    shown = "".join(answer.text for answer in answers) + repr(store.read("SELECT * FROM upstreams"))
    assert not [secret for secret in ("first-key", "second-key", "hidden-value") if secret in shown]


async def test_another_program_gets_the_whole_upstream(
    admin: Admin, store: Engine, tmp_path: Any
) -> None:
    await admin("POST", body=MIMO)

    [upstream] = read_overrides(store, load_secret(tmp_path / "data")).upstreams

    assert upstream.api_keys == ("sk-first-key-1111", "sk-second-key-2222")
    assert upstream.headers["X-Api-Key"] == "hidden-value-3333"


async def test_an_upstream_is_replaced_and_masked_keys_stay(
    admin: Admin, store: Engine, tmp_path: Any
) -> None:
    await admin("POST", body=MIMO)

    changed = await admin(
        "PUT",
        "/1",
        {"name": "mimo", "base_url": "https://1.1.1.1", "api_keys": ["…2222", "sk-new"]},
    )

    assert changed.status_code == 200
    assert (changed.json()["id"], changed.json()["models"]) == (1, [])
    [upstream] = read_overrides(store, load_secret(tmp_path / "data")).upstreams
    assert upstream.api_keys == ("sk-second-key-2222", "sk-new")


async def test_masked_keys_are_not_sent_to_another_host(admin: Admin) -> None:
    await admin("POST", body=MIMO)

    answer = await admin(
        "PUT", "/1", MIMO | {"base_url": "https://8.8.8.8", "api_keys": ["…1111"], "headers": {}}
    )

    assert answer.status_code == 400
    assert fields(answer) == {
        "api_keys[0]": ("This stands for no key or several keys at this address: enter it in full.")
    }


async def test_an_upstream_is_removed(admin: Admin) -> None:
    await admin("POST", body=MIMO)

    assert (await admin("DELETE", "/1")).status_code == 204
    assert (await admin("GET", "/1")).status_code == 404
    assert await admin.names() == []


async def test_upstreams_are_moved(admin: Admin) -> None:
    for name in "abc":
        await admin("POST", body={"name": name, "base_url": "https://1.1.1.1"})

    moved = await admin("POST", "/3/move", {"position": 1})

    assert [item["name"] for item in moved.json()["items"]] == ["c", "a", "b"]
    assert await admin.names() == ["c", "a", "b"]


async def test_a_name_is_taken_once(admin: Admin) -> None:
    await admin("POST", body=MIMO)
    await admin("POST", body=MIMO | {"name": "b"})

    answers = [
        await admin("POST", body=MIMO | {"name": "MIMO"}),
        await admin("PUT", "/2", MIMO | {"name": "Mimo"}),
    ]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert "already an upstream “MIMO”" in answers[0].json()["detail"]


@pytest.mark.parametrize("toml", [IN_THE_FILE], indirect=True, ids=["file"])
async def test_provisioned_upstreams_are_shown_and_left_alone(admin: Admin) -> None:
    [shown] = (await admin("GET")).json()["items"]
    path = "/config:deep%2520seek"

    assert (shown["id"], shown["provisioned"], shown["api_keys"]) == (
        "config:deep%20seek",
        True,
        ["…4444"],
    )
    assert (await admin("GET", path)).json() == shown
    refused = [
        await admin("PUT", path, MIMO),
        await admin("DELETE", path),
        await admin("POST", path + "/move", {"position": 1}),
    ]
    assert [answer.status_code for answer in refused] == [409, 409, 409]
    assert "change it there" in refused[0].json()["detail"]


async def test_a_resting_key_is_shown_with_the_reason(
    admin: Admin, store: Engine, clock: ManualClock
) -> None:
    await admin("POST", body=MIMO)
    until = clock.now_ms() + 1000
    store.transact(
        lambda work: work.run(
            *rest("mimo", "sk-second-key-2222", until, "The upstream answered 429.")
        ),
        alone=(),
    )

    keys = (await admin("GET", "/1")).json()["keys"]

    assert keys[0]["resting_until"] is None
    assert keys[1] == {
        "key": "…2222",
        "resting_until": until,
        "resting_why": "The upstream answered 429.",
    }


async def test_what_cannot_be_opened_is_shown_and_can_be_replaced(
    admin: Admin, store: Engine
) -> None:
    await admin("POST", body=MIMO)
    store.transact(lambda work: work.run("UPDATE upstreams SET sealed = x'00'"), alone=())

    shown = (await admin("GET", "/1")).json()

    assert not shown["active"]
    assert "can't be opened" in shown["problem"]
    assert (await admin("POST", "/1/test")).status_code == 409
    assert (await admin("PUT", "/1", MIMO)).json()["active"]


@pytest.mark.parametrize("toml", [PRIVATE], indirect=True, ids=["private"])
async def test_an_upstream_is_tested_before_and_after_it_is_stored(
    admin: Admin, provider: str
) -> None:
    body = {"name": "local", "base_url": provider, "api_keys": ["sk-some-key-1111"]}

    before = await admin("POST", "/test", body)
    await admin("POST", body=body)
    after = await admin("POST", "/1/test")

    assert (before.status_code, before.json()["works"], before.json()["models"]) == (
        200,
        True,
        ["only"],
    )
    assert after.json() == before.json()


@pytest.mark.parametrize("toml", [PRIVATE], indirect=True, ids=["private"])
async def test_what_a_test_finds_of_a_stored_upstream_is_kept(
    admin: Admin, provider: str, client: AsyncTestClient, store: Engine
) -> None:
    await admin("POST", body={"name": "local", "base_url": provider})
    await admin("POST", "/1/test")

    shown = await admin("GET", "/../health")

    [state] = shown.json()["upstreams"]
    assert (state["name"], state["works"], state["models"]) == ("local", True, 1)


@pytest.mark.parametrize(
    "toml",
    ['[[upstreams]]\nname = "local"\nbase_url = "https://127.0.0.1:1"\n'],
    indirect=True,
    ids=["file"],
)
async def test_a_provisioned_upstream_may_be_tested_inside(admin: Admin) -> None:
    answer = await admin("POST", "/config:local/test")

    assert answer.json()["message"] == "The connection was refused: no server is listening there."


async def test_an_admin_of_this_machine_may_have_one_on_it(admin: Admin, provider: str) -> None:
    body = {"name": "own", "base_url": provider}

    assert (await admin("POST", "/test", body)).json()["works"]
    assert (await admin("POST", body=body)).json()["active"]
    assert (await admin("POST", "/1/test")).json()["works"]
    admin.forwarded = FORWARDED
    assert (await admin("PUT", "/1", body | {"models": ["a"]})).json()["active"]
    moved = await admin("PUT", "/1", body | {"base_url": "http://127.0.0.1:1"})
    assert fields(moved).keys() == {"base_url"}


@pytest.mark.parametrize("path", ["", "/test"], ids=["stored", "tested"])
async def test_without_permission_none_leads_inside(admin: Admin, provider: str, path: str) -> None:
    admin.forwarded = FORWARDED
    answers = [
        await admin("POST", path, {"name": "a", "base_url": url})
        for url in (provider, "https://localhost", "https://169.254.169.254")
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert all(fields(answer).keys() == {"base_url"} for answer in answers)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": None}, "name"),
        ({"base_url": "api.example.com"}, "base_url"),
        ({"base_url": "https://1.1.1.1/v1/chat/completions"}, "base_url"),
        ({"api_keys": "sk-1"}, "api_keys"),
        ({"api_keys": ["sk 1"]}, "api_keys[0]"),
        ({"api_keys": ["sk-1", "sk-1"]}, "api_keys[1]"),
        ({"api_keys": ["…1111"]}, "api_keys[0]"),
        ({"api_keys": ["k"] * 257}, "api_keys"),
        ({"models": [""]}, "models[0]"),
        ({"path": "chat"}, "path"),
        ({"profile": "deepseek"}, "profile"),
        ({"headers": {"a b": "c"}}, 'headers."a b"'),
        ({"headers": {"a": "b\nc"}}, "headers.a"),
        ({"timeouts": {"idle": -1}}, "timeouts.idle"),
        ({"timeouts": {"idle": 86401}}, "timeouts.idle"),
        ({"timeouts": {"idel": 1}}, "timeouts"),
        ({"model_rewrites": [{}]}, "model_rewrites[0]"),
        ({"model_rewrites": [{"from": "a", "to_template": "b"}]}, "model_rewrites[0]"),
        (
            {"model_rewrites": [{"from_pattern": "(", "to_template": "b"}]},
            "model_rewrites[0].from_pattern",
        ),
        (
            {"model_rewrites": [{"from_pattern": "a", "to_template": "{1}"}]},
            "model_rewrites[0].to_template",
        ),
    ],
    ids=lambda value: json.dumps(value)[:44] if isinstance(value, dict) else "",
)
async def test_a_field_that_cannot_be_taken_is_named(
    admin: Admin, wrong: dict[str, Any], field: str
) -> None:
    answer = await admin("POST", body=MIMO | wrong)

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"name": "a"}, MIMO | {"colour": "blue"}, MIMO | {"id": 1}],
    ids=["none", "a list", "empty", "no URL", "unknown field", "an id"],
)
async def test_what_is_no_upstream_is_refused(admin: Admin, body: Any) -> None:
    answer = await admin("POST", body=body)

    assert answer.status_code == 400
    assert await admin.names() == []


@pytest.mark.parametrize("position", [0, -1, 2**63, "first", None, 1.5])
async def test_a_place_that_is_none_is_refused(admin: Admin, position: Any) -> None:
    await admin("POST", body=MIMO)

    assert (await admin("POST", "/1/move", {"position": position})).status_code == 400


@pytest.mark.parametrize("upstream_id", ["2", "0", "-1", "x", "config:mimo", "9" * 40, "%00", "²"])
async def test_an_id_of_nothing_is_not_found(admin: Admin, upstream_id: str) -> None:
    await admin("POST", body=MIMO)
    calls = [("GET", "", None), ("PUT", "", MIMO), ("DELETE", "", None), ("POST", "/test", None)]
    calls += [("POST", "/move", {"position": 1})]

    answers = [await admin(method, f"/{upstream_id}{path}", body) for method, path, body in calls]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert await admin.names() == ["mimo"]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=ROUTE_IDS)
async def test_only_an_admin_may(
    client: AsyncTestClient, people: People, store: Engine, method: str, path: str
) -> None:
    for name, (headers, status) in strangers(people, store).items():
        answer = await client.request(method, UPSTREAMS + path, json=MIMO, headers=headers)
        assert (name, answer.status_code) == (name, status)
