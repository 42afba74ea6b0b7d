"""Faults of upstreams and their keys, planted one by one."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from manage_api.domains.doctor.findings import Finding
from manage_api.domains.doctor.upstreams import check_upstreams
from shared.clock import SystemClock
from shared.config.schema import Upstream
from tests.manage_api.domains.doctor.conftest import Install
from tests.support.gateway import free_port
from tests.support.meddling import Meddler, Page
from tests.support.provider import Refusal, StrictProvider

REFUSED = {f"sk-{status}": Refusal(status) for status in (402, 403, 404, 429, 500)}


@pytest.fixture(scope="module")
def provider() -> Iterator[StrictProvider]:
    with StrictProvider(refused=REFUSED) as running:
        yield running


async def look(install: Install, **fields: Any) -> list[Finding]:
    upstream = Upstream(**({"name": "main", "api_keys": ("sk-good",)} | fields))
    # The stand-ins' own clock is this machine's.
    installation = replace(install(upstreams=(upstream,)), clock=SystemClock())
    return [finding async for finding in check_upstreams(installation)]


async def test_a_sound_upstream_is_told_so(install: Install, provider: StrictProvider) -> None:
    [finding] = await look(install, base_url=provider.base_url, models=("deepseek-v4-pro",))

    assert (finding.check, finding.verdict) == ("upstream main", "ok")
    assert "1 of 1 keys work" in finding.seen
    assert re.search(r"lists (1 model|\d+ models)\.", finding.seen)


@pytest.mark.parametrize(
    ("key", "verdict", "remedy"),
    [
        ("sk-wrong", "fault", "Replace the key"),
        ("sk-402", "fault", "Top up"),
        ("sk-403", "fault", "Allow the key"),
        ("sk-404", "warning", "base_url"),
        ("sk-429", "warning", "add another key"),
        ("sk-500", "fault", "status page"),
    ],
)
async def test_a_key_that_does_not_work_is_found(
    install: Install, provider: StrictProvider, key: str, verdict: str, remedy: str
) -> None:
    found = await look(install, base_url=provider.base_url, api_keys=("sk-good", key))
    [finding] = [each for each in found if each.verdict != "ok"]

    assert (finding.check, finding.verdict) == ("upstream main", verdict)
    assert remedy in finding.remedy
    assert key not in finding.seen


async def test_a_host_or_port_that_nobody_has_is_found(install: Install) -> None:
    for base_url in (f"http://127.0.0.1:{free_port()}", "http://no-such-host.invalid"):
        [finding] = await look(install, base_url=base_url)
        assert (finding.check, finding.verdict) == ("upstream main", "fault")
        assert "base_url" in finding.remedy


async def test_a_base_url_that_leads_to_a_web_page_is_found(install: Install) -> None:
    with Meddler(free_port(), lambda _: Page(200)) as site:
        [finding] = await look(install, base_url=site.origin)

    assert finding.verdict == "fault"
    assert "web page" in finding.seen
    assert "base_url" in finding.remedy


async def test_a_model_that_the_upstream_does_not_list_is_found(
    install: Install, provider: StrictProvider
) -> None:
    _, finding = await look(install, base_url=provider.base_url, models=("deepseek-v44-pro",))

    assert (finding.check, finding.verdict) == ("upstream main", "warning")
    assert "deepseek-v44-pro" in finding.seen
    assert "deepseek-v4-pro" in finding.remedy


async def test_the_clock_is_compared_with_an_upstream_s(install: Install) -> None:
    late = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
    models = b'{"data":[{"id":"m"}]}'
    with Meddler(free_port(), lambda _: Page(200, models, late)) as site:
        found = await look(install, base_url=site.origin)

    [clock] = [each for each in found if each.check == "clock"]
    assert clock.verdict == "fault"
