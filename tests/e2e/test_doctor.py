"""The doctor and a real gateway: nothing is found in a sound one, and through a badly set-up
proxy in front what that does.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from manage_api.domains.doctor.conversations import check_cursor
from manage_api.domains.doctor.door import open_door
from manage_api.domains.doctor.findings import Finding
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.doctor.live import check_live
from manage_api.domains.doctor.outside import (
    check_certificate,
    check_name,
    check_outside,
    check_plain_http,
)
from manage_api.domains.doctor.streaming import check_streaming
from shared.clock import SystemClock
from shared.config.load import load
from shared.doctor import STAND_IN
from shared.security.secrets import load_secret
from shared.store import open_engine
from tests.support.admin import Admin
from tests.support.gateway import Gateway, Served, upstream_table
from tests.support.meddling import Meddle, Meddler, Page, Passed
from tests.support.provider import Refusal, StrictProvider
from tests.support.tls import TlsFront

PARTS = {
    "outside": check_outside,
    "streaming": check_streaming,
    "cursor": check_cursor,
    "live": check_live,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[StrictProvider]]:
    directory = tmp_path_factory.mktemp("gateway")
    with (
        StrictProvider(refused={"sk-poor": Refusal(402, "No credit.")}) as provider,
        Gateway(
            directory,
            {"CONFIG_PATH": str(directory / "config.toml")},
            config=upstream_table("main", provider.base_url, api_keys=["sk-poor", "sk-good"]),
        ) as gateway,
    ):
        yield Served(gateway, provider)


@contextmanager
def installed(gateway: Gateway, **fields: Any) -> Iterator[Installation]:
    """What the doctor is given to look at."""
    with closing(open_engine(gateway.environment["DATABASE_URL"])) as store:
        yield Installation(
            snapshot=load(gateway.environment),
            store=store,
            secret=load_secret(gateway.directory),
            clock=SystemClock(),
            version="1.0",
            **fields,
        )


def look(part: str, gateway: Gateway, origin: str, **fields: Any) -> dict[str, Finding]:
    """What a part of the doctor finds at an origin."""

    async def run() -> dict[str, Finding]:
        with installed(gateway, **fields) as installation:
            async with open_door(origin, installation.connect_to) as door:
                return {each.check: each async for each in PARTS[part](installation, door)}

    return asyncio.run(run())


@pytest.mark.parametrize("part", ["outside", "streaming", "cursor"])
def test_nothing_is_found_where_nothing_is_wrong(served: Served[StrictProvider], part: str) -> None:
    found = look(part, served.gateway, served.gateway.origin, connect_to="127.0.0.1")

    assert {name: each for name, each in found.items() if each.verdict != "ok"} == {}
    assert len(found) == {"outside": 4, "streaming": 2, "cursor": 6}[part]


def without_key(passed: Passed) -> None:
    passed.headers.pop("Authorization", None)


def with_another_key(passed: Passed) -> None:
    passed.headers["Authorization"] = "Bearer sk-of-another-gateway"


def only_small(passed: Passed) -> Page | None:
    return Page(413) if len(passed.body) > 1_000_000 else None


def no_options(passed: Passed) -> Page | None:
    return Page(405) if passed.method == "OPTIONS" else None


def no_tools(passed: Passed) -> Page | None:
    """A firewall that takes the name of a tool for an attack."""
    return Page(403) if b'"Shell"' in passed.body else None


def only_v1(passed: Passed) -> Page | None:
    return None if passed.path.startswith("/v1/") else Page(404)


def another_memory(passed: Passed) -> None:
    """What summarises a conversation on its way."""
    if b'"role":"assistant"' not in passed.body:
        return
    body = json.loads(passed.body)
    for message in body["messages"]:
        if message["role"] in ("assistant", "tool"):
            message["role"] = "assistant"
            message["content"] = "I have read a file."
            message.pop("tool_calls", None)
    passed.body = json.dumps(body).encode()
    passed.headers["Content-Length"] = str(len(passed.body))


def always(page: Page) -> Meddle:
    return lambda _: page


@pytest.mark.parametrize(
    ("part", "meddle", "check", "verdict", "remedy"),
    [
        ("outside", always(Page(502)), "reachable", "fault", "LISTEN_ADDR"),
        ("outside", always(Page(200)), "reachable", "fault", "lead to the gateway"),
        ("outside", always(Page(403)), "reachable", "fault", "sign-in"),
        (
            "outside",
            always(Page(302, b"", {"Location": "https://login.example.com"})),
            "reachable",
            "fault",
            "PUBLIC_URL",
        ),
        ("outside", without_key, "key", "fault", "Authorization"),
        ("outside", with_another_key, "key", "fault", "this gateway"),
        ("outside", no_options, "CORS", "fault", "OPTIONS"),
        ("outside", only_small, "body size", "fault", "client_max_body_size"),
        ("cursor", no_tools, "Cursor Agent", "fault", "Verify passes all the same"),
        ("cursor", another_memory, "Cursor Agent", "fault", "page Requests"),
        ("cursor", only_v1, "Cursor Azure path", "fault", "all paths"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_what_a_proxy_in_front_does_wrong_is_found(
    served: Served[StrictProvider], part: str, meddle: Meddle, check: str, verdict: str, remedy: str
) -> None:
    with Meddler(served.gateway.port, meddle) as proxy:
        found = look(part, served.gateway, proxy.origin, connect_to="127.0.0.1")

    assert found[check].verdict == verdict
    assert remedy in found[check].remedy


def test_a_proxy_that_buffers_is_found(served: Served[StrictProvider]) -> None:
    with Meddler(served.gateway.port, buffers=True) as proxy:
        found = look("streaming", served.gateway, proxy.origin)

    assert found["streaming by POST"].verdict == "fault"
    assert found["streaming by GET"].verdict == "warning"
    assert all("proxy_buffering off" in each.remedy for each in found.values())


def test_a_name_that_leads_nowhere_or_into_a_private_network_is_found(
    served: Served[StrictProvider],
) -> None:
    async def names(origin: str) -> Finding:
        with installed(served.gateway) as installation:
            return await check_name(installation, origin)

    nowhere = asyncio.run(names("https://no-such-host.invalid"))
    private = asyncio.run(names(served.gateway.origin))

    assert (nowhere.check, nowhere.verdict) == (private.check, private.verdict) == ("name", "fault")
    assert "DNS record" in nowhere.remedy
    assert "public address" in private.remedy


@pytest.mark.parametrize(("status", "verdict"), [(200, "warning"), (301, "ok"), (403, "ok")])
def test_a_port_that_answers_without_tls_is_found(status: int, verdict: str) -> None:
    finding = check_plain_http("think.example.com", status)

    assert (finding.check, finding.verdict) == ("http://", verdict)
    assert ("Redirect http to https" in finding.remedy) == (verdict != "ok")


def test_a_certificate_that_nobody_trusts_and_a_port_without_tls_are_found(
    served: Served[StrictProvider], tmp_path: Path
) -> None:
    with TlsFront(tmp_path, served.gateway.port) as front:
        untrusted = look("outside", served.gateway, front.base_url)
    plain = look("outside", served.gateway, f"https://localhost:{served.gateway.port}")

    assert "from an authority that everybody trusts" in untrusted["TLS"].remedy
    assert "serve https" in plain["TLS"].remedy


@pytest.mark.parametrize(
    ("days", "left", "verdict"),
    [(90, 29, "ok"), (90, 9, "warning"), (6, 2, "ok"), (6, 1, "warning"), (365, 11, "ok")],
)
def test_a_certificate_that_should_have_been_renewed_is_found(
    days: int, left: int, verdict: str
) -> None:
    end = datetime(2026, 11, 30, tzinfo=UTC)

    finding = check_certificate(end - timedelta(days=days), end, end - timedelta(days=left))

    assert (finding.check, finding.verdict) == ("TLS", verdict)
    assert ("Renew" in finding.remedy) == (verdict != "ok")


def test_the_doctor_s_requests_are_in_nobody_s_account(served: Served[StrictProvider]) -> None:
    look("cursor", served.gateway, served.gateway.origin)

    with closing(open_engine(served.gateway.environment["DATABASE_URL"])) as store:
        rows = store.read("SELECT DISTINCT user_id, upstream FROM ledger")
    assert rows == [(None, STAND_IN)]
    assert not served.upstream.requests


def test_each_key_is_asked_for_an_answer_and_a_conversation_led_with_one_that_gives_it(
    served: Served[StrictProvider],
) -> None:
    async def run() -> list[Finding]:
        async with open_door(served.gateway.origin) as door:
            with installed(served.gateway) as installation:
                return [each async for each in check_live(installation, door)]

    poor, good, talk = asyncio.run(run())

    assert (poor.check, poor.verdict) == ("live main", "fault")
    assert "No credit." in poor.seen
    assert "credit" in poor.remedy
    assert (good.check, good.verdict) == ("live main", "ok")
    assert talk.check == "Cursor live"
    assert "turn 1: id" in talk.seen
    assert not served.upstream.rejections


def test_the_page_health_has_the_doctor_s_findings(served: Served[StrictProvider]) -> None:
    admin = Admin(served.gateway)

    page = admin.page("/admin/health?doctor=true")

    for check in ("upstream main", "streaming by GET", "Cursor Plan", "Cursor Azure path"):
        row = page.partition(f'<th scope="row" dir="auto">{check}</th>')[2].partition("</tr>")[0]
        assert row, f"{check} is not on the page"
    assert page.count("turn 2: restored") == 3
