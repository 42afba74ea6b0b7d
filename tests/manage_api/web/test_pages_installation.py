import re
from typing import Any

import pytest
from litestar.testing import AsyncTestClient
from msgspec.structs import replace

from manage_api.web.pages_installation import span
from shared.config.layers import SETTINGS
from shared.config.overrides import EDITABLE
from shared.store.engine import Engine
from shared.store.nodes import Process, beat
from shared.store.upstream_models import Listing, keep_listing
from shared.store.versions import change_topic
from tests.manage_api.web.visits import text_of, turned_away
from tests.manage_api.world import ManualClock, bearer, remember


async def change(client: AsyncTestClient, session: str, **settings: Any) -> None:
    answer = await client.put("/api/admin/settings", json=settings, headers=bearer(session))
    assert answer.status_code == 200, answer.text


def part(text: str, name: str) -> str:
    """The row of a setting."""
    return text.partition(f"<code>{name}</code>")[2].partition("</li>")[0]


def fact(text: str, name: str) -> str:
    """What the page says of it."""
    return text.partition(f"<dt>{name}</dt><dd>")[2].partition("</dd>")[0]


@pytest.mark.parametrize("path", ["/admin/settings", "/admin/health"])
async def test_strangers_are_sent_to_sign_in_and_users_turned_away(
    client: AsyncTestClient, session: str, path: str
) -> None:
    assert await turned_away(client, session, path)


async def test_every_setting_is_explained(client: AsyncTestClient, admin_session: str) -> None:
    text = await text_of(client, admin_session, "/admin/settings")

    assert [name for name in SETTINGS if '-about"></p>' in part(text, name)] == []


@pytest.mark.parametrize("environ", [{"LOG_LEVEL": "warning"}], indirect=True)
@pytest.mark.parametrize("toml", ["[ledger]\nmax_age_days = 7\n"], indirect=True)
async def test_every_source_is_told(client: AsyncTestClient, admin_session: str) -> None:
    await change(client, admin_session, **{"audit.mode": "full"})

    text = await text_of(client, admin_session, "/admin/settings")

    assert "set by <code>LOG_LEVEL</code>" in part(text, "logging.level")
    assert "set in" in part(text, "ledger.max_age_days")
    assert "set here" in part(text, "audit.mode")
    assert "set it in the file" in part(text, "server.ui")


async def test_what_can_be_changed_has_a_field(client: AsyncTestClient, admin_session: str) -> None:
    text = await text_of(client, admin_session, "/admin/settings")

    assert {name for name in SETTINGS if f'name="{name}"' in text} == set(EDITABLE)


async def test_an_effort_is_chosen_from_a_list(client: AsyncTestClient, admin_session: str) -> None:
    await change(client, admin_session, **{"tiers.big_effort": "high"})

    row = part(await text_of(client, admin_session, "/admin/settings"), "tiers.big_effort")

    assert '<option value="">not set</option>' in row
    assert '<option value="high" selected>high</option>' in row


async def test_values_are_text(client: AsyncTestClient, admin_session: str) -> None:
    await change(client, admin_session, **{"registration.invite_codes": ['</textarea><script>"x']})

    text = await text_of(client, admin_session, "/admin/settings")

    assert "&lt;/textarea&gt;&lt;script&gt;" in text


@pytest.mark.parametrize(
    "toml",
    ['[[upstreams]]\nname = "plain"\nbase_url = "http://api.example.com"\napi_keys = ["k"]'],
    indirect=True,
)
async def test_health_tells_what_is_less_safe_than_it_could_be(
    client: AsyncTestClient, admin_session: str
) -> None:
    text = await text_of(client, admin_session, "/admin/health")

    assert "The keys of upstream plain" in text


@pytest.mark.parametrize(
    "toml", ['[[upstreams]]\nname = "<b>"\nbase_url = "https://api.example.com"\n'], indirect=True
)
async def test_health_tells_how_upstreams_answer(
    client: AsyncTestClient, admin_session: str, store: Engine, clock: ManualClock
) -> None:
    listing = Listing(
        upstream="<b>",
        endpoint="https://api.example.com/v1/chat/completions",
        asked_at=clock.now_ms() - 120_000,
        listed_at=None,
        fault="The upstream rejects this key (401).",
        status=401,
    )
    unasked = await text_of(client, admin_session, "/admin/health")
    store.transact(lambda work: work.run(*keep_listing(listing)), alone=())
    failing = await text_of(client, admin_session, "/admin/health")
    store.transact(lambda work: work.run(*keep_listing(replace(listing, status=404))), alone=())
    without_list = await text_of(client, admin_session, "/admin/health")

    assert "upstreams-title" not in unasked
    assert "1 of 1 fail" in failing
    assert "<bdi>&lt;b&gt;</bdi>" in failing
    assert "The upstream rejects this key (401)." in failing
    assert "2 minutes ago" in failing
    assert "all answer" in without_list


async def test_health_tells_versions_and_both_programs_by_name(
    client: AsyncTestClient, admin_session: str, store: Engine
) -> None:
    none_yet = await text_of(client, admin_session, "/admin/health")
    alone, one = beat("<b>node", "0.1", 1, 2), Process("host", 1, "worker 2")
    store.transact(lambda work: work.run(*alone), alone=())
    store.transact(lambda work: work.run(*beat("shares", "0.1", 1, 2, one)), alone=())

    text = await text_of(client, admin_session, "/admin/health")

    assert "Start it with <code>thinkback up</code>" in none_yet
    assert re.findall(r'<th scope="row">(\w+)</th>', text) == ["gateway", "web"]
    assert '<th scope="row">gateway, <span class="nowrap">worker 2</span></th>' in text
    assert "mitmproxy" in text
    assert "&lt;b&gt;node" in text
    assert "none is running, so requests are not answered" in text


@pytest.mark.parametrize("toml", ["[recall]\nmax_mib = 1\n"], indirect=True)
async def test_health_tells_how_many_days_of_reasoning_are_remembered(
    client: AsyncTestClient, admin_session: str, store: Engine, clock: ManualClock
) -> None:
    empty = await text_of(client, admin_session, "/admin/health")
    now = clock.now_ms()
    remember(store, [now, now - 4 * 86_400_000])

    text = await text_of(client, admin_session, "/admin/health")

    assert fact(empty, "Space") == "0 <small>KiB</small> of 1.0 <small>MiB</small> (0 %)"
    assert (fact(empty, "Reaches back"), fact(empty, "Room for")) == (
        "–",
        "known after the first day",
    )
    assert fact(text, "Turns") == "2"
    assert fact(text, "Space").endswith("<small>KiB</small> of 1.0 <small>MiB</small> (19 %)")
    assert (fact(text, "Reaches back"), fact(text, "Room for")) == ("4 days", "20 days")


async def test_the_database_is_read_as_a_whole_on_demand(
    client: AsyncTestClient, admin_session: str
) -> None:
    assert "is not damaged" not in await text_of(client, admin_session, "/admin/health")
    assert "is not damaged" in await text_of(client, admin_session, "/admin/health", check="true")


async def test_what_can_t_be_used_is_told(
    client: AsyncTestClient, admin_session: str, store: Engine
) -> None:
    stored = "INSERT INTO settings (name, value, updated_at) VALUES ('audit.mode', '\"<i>\"', 1)"
    change_topic(store, "configuration", lambda work: work.run(stored))

    text = await text_of(client, admin_session, "/admin/health")

    assert "1 not applied" in text
    assert '<code dir="auto">audit.mode</code>' in text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 minute"),
        (7_200_000, "2 hours"),
        (86_400_000, "1 day"),
        (90 * 86_400_000, "90 days"),
    ],
)
def test_spans_are_told_in_the_largest_unit(ms: int, text: str) -> None:
    assert span(ms) == text


@pytest.mark.parametrize("environ", [{"LISTEN_ADDR": "127.0.0.1:9"}], indirect=True)
async def test_the_doctor_s_findings_are_a_table_with_remedies(
    client: AsyncTestClient, admin_session: str
) -> None:
    before = await text_of(client, admin_session, "/admin/health")
    text = await text_of(client, admin_session, "/admin/health", doctor="true")

    assert "Run the doctor" in before
    assert "No upstream is configured" not in before
    assert "No upstream is configured" in text
    assert "Nothing answers at http://127.0.0.1:9/readyz" in text
    assert "Start it: thinkback up" in text
    assert "to correct" in text
