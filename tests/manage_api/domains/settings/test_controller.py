import json
from typing import Any

import pytest
from httpx import Response
from litestar.testing import AsyncTestClient

from shared.config.layers import SETTINGS
from shared.config.overrides import EDITABLE
from shared.store.engine import Engine
from shared.store.settings import change_settings, setting_rows
from tests.manage_api.strangers import strangers
from tests.manage_api.world import People, Person, bearer, fields

PATH = "/api/admin/settings"
NEW = {
    "server.public_url": "https://llm.example.com",
    "logging.level": "debug",
    "logging.body_max_chars": 0,
    "logging.message_max_chars": 10,
    "recall.max_age_days": 7,
    "recall.max_mib": 5,
    "registration.allowed": False,
    "registration.quota_tokens": 1000,
    "registration.invite_codes": ["one", "två"],
    "tiers.small_model": "glm-5-air",
    "tiers.small_effort": "none",
    "tiers.big_model": "glm-5",
    "tiers.big_effort": "max",
    "ledger.max_age_days": 30,
    "audit.mode": "off",
    "audit.max_age_days": 1,
    "audit.max_mib": 2,
    "responses.max_age_days": 0,
    "responses.max_mib": 3,
}


class Admin:
    """Calls the routes as an admin."""

    def __init__(self, client: AsyncTestClient, key: str) -> None:
        self._client = client
        self._key = key

    async def change(self, body: Any) -> Response:
        return await self._client.put(PATH, json=body, headers=bearer(self._key))

    async def settings(self) -> dict[str, dict[str, Any]]:
        answer = await self._client.get(PATH, headers=bearer(self._key))
        assert (answer.status_code, answer.json()["next"]) == (200, None)
        return {item["name"]: item for item in answer.json()["items"]}


@pytest.fixture
def admin(client: AsyncTestClient, root: Person, people: People) -> Admin:
    return Admin(client, people.key(root, "admin"))


async def test_every_setting_is_shown_with_its_default(admin: Admin) -> None:
    shown = await admin.settings()

    assert list(shown) == list(SETTINGS)
    assert shown["audit.mode"] == {
        "name": "audit.mode",
        "about": EDITABLE["audit.mode"],
        "value": "last",
        "default": "last",
        "choices": ["full", "last", "off"],
        "source": "default",
        "set_by": "",
        "editable": True,
        "problem": "",
    }


async def test_what_concerns_safety_is_shown_and_not_editable(admin: Admin) -> None:
    shown = await admin.settings()

    assert {name for name, setting in shown.items() if setting["editable"]} == EDITABLE.keys()
    assert shown["server.trusted_proxies"]["value"] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("environ", [{"MODELS_REFRESH_SECONDS": ""}], indirect=True)
async def test_every_editable_setting_is_changed_and_put_back(admin: Admin, store: Engine) -> None:
    assert NEW.keys() == EDITABLE.keys()

    changed = {item["name"]: item for item in (await admin.change(NEW)).json()["items"]}

    assert {name: changed[name]["value"] for name in NEW} == NEW
    assert {changed[name]["source"] for name in NEW} == {"database"}
    assert (await admin.change(dict.fromkeys(NEW))).status_code == 200
    assert {setting["source"] for setting in (await admin.settings()).values()} == {"default"}
    assert setting_rows(store) == []


async def test_an_effort_is_one_of_few(admin: Admin) -> None:
    shown = (await admin.settings())["tiers.big_effort"]

    assert shown["choices"] == ["", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
    assert (await admin.change({"tiers.big_effort": "utmost"})).status_code == 400


async def test_what_is_not_sent_stays(admin: Admin) -> None:
    await admin.change({"audit.mode": "off"})
    await admin.change({"audit.max_mib": 5})
    await admin.change({})

    assert (await admin.settings())["audit.mode"]["value"] == "off"


async def test_a_change_acts_at_once(admin: Admin, client: AsyncTestClient) -> None:
    await admin.change(
        {
            "registration.allowed": False,
            "registration.invite_codes": ["x"],
            "server.public_url": "https://a.b",
        }
    )

    config = (await client.get("/api/config")).json()
    assert (config["allow_registration"], config["invite_needed"], config["public_url"]) == (
        False,
        True,
        "https://a.b",
    )


async def test_the_default_of_registration_is_what_using_it_would_bring(admin: Admin) -> None:
    local = (await admin.settings())["registration.allowed"]
    await admin.change({"server.public_url": "https://a.b"})
    exposed = (await admin.settings())["registration.allowed"]

    assert (local["value"], local["default"], local["source"]) == (True, True, "default")
    assert (exposed["value"], exposed["default"], exposed["source"]) == (False, False, "default")


@pytest.mark.parametrize("environ", [{"LOG_LEVEL": "error"}], indirect=True, ids=["environment"])
@pytest.mark.parametrize("toml", ['[audit]\nmode = "full"\n'], indirect=True, ids=["file"])
async def test_what_file_and_environment_set_stays_theirs(
    admin: Admin, environ: dict[str, str]
) -> None:
    refused = [
        await admin.change({"audit.max_mib": 5, "audit.mode": "off"}),
        await admin.change({"logging.level": "debug"}),
    ]

    assert [answer.status_code for answer in refused] == [409, 409]
    assert (
        refused[0].json()["detail"]
        == f"audit.mode is set by {environ['CONFIG_PATH']}: change it there."
    )
    shown = await admin.settings()
    assert (shown["logging.level"]["value"], shown["logging.level"]["set_by"]) == (
        "error",
        "LOG_LEVEL",
    )
    assert (shown["audit.mode"]["editable"], shown["audit.mode"]["source"]) == (False, "file")
    assert shown["audit.max_mib"]["source"] == "default"


@pytest.mark.parametrize("toml", ['[audit]\nmode = "full"\n'], indirect=True, ids=["file"])
async def test_what_was_stored_below_the_file_can_be_forgotten(admin: Admin, store: Engine) -> None:
    change_settings(store, {"audit.mode": "off"}, 1)

    assert (await admin.change({"audit.mode": None})).status_code == 200
    assert setting_rows(store) == []


async def test_a_stored_value_that_cannot_be_used_says_so(admin: Admin, store: Engine) -> None:
    change_settings(store, {"audit.mode": "most"}, 1)

    shown = (await admin.settings())["audit.mode"]

    assert (shown["value"], shown["source"]) == ("last", "default")
    assert shown["problem"] == "must be one of full, last, off"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("no.such", 1),
        ("no.such", None),
        ("upstreams", []),
        ("server.ui", "local"),
        ("server.allow_private_upstreams", True),
        ("server.trusted_proxies", ["0.0.0.0/0"]),
        ("server.listen_addr", None),
        ("server.public_url", "javascript:alert(1)"),
        ("server.public_url", "https://llm.example.com/v1"),
        ("logging.level", "loud"),
        ("logging.body_max_chars", -1),
        ("logging.body_max_chars", 2**70),
        ("logging.body_max_chars", 1.5),
        ("recall.max_mib", "5"),
        ("recall.max_mib", True),
        ("recall.max_mib", [5]),
        ("recall.max_age_days", 0),
        ("registration.allowed", 1),
        ("registration.invite_codes", "one"),
        ("registration.invite_codes", [""]),
        ("registration.invite_codes", [1]),
        ("audit.mode", {"a": 1}),
    ],
    ids=lambda value: json.dumps(value)[:32],
)
async def test_a_value_that_cannot_be_taken_is_named_and_changes_nothing(
    admin: Admin, store: Engine, name: str, value: Any
) -> None:
    answer = await admin.change({"audit.max_mib": 5, name: value})

    assert answer.status_code == 400
    assert "audit.max_mib" not in fields(answer)
    assert setting_rows(store) == []


@pytest.mark.parametrize(
    "body", [None, [], "audit.mode", 5], ids=["none", "list", "text", "number"]
)
async def test_what_is_no_mapping_is_refused(admin: Admin, body: Any) -> None:
    assert (await admin.change(body)).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_only_an_admin_may(
    client: AsyncTestClient, people: People, store: Engine, method: str
) -> None:
    for name, (headers, status) in strangers(people, store).items():
        answer = await client.request(method, PATH, json={"audit.mode": "off"}, headers=headers)
        assert (name, answer.status_code) == (name, status)
