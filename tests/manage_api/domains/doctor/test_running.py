"""Faults of the two programs, planted one by one."""

from contextlib import ExitStack

import pytest

from manage_api.domains.doctor.findings import Finding
from manage_api.domains.doctor.running import check_running
from shared.config.schema import Server
from shared.store.engine import Engine
from shared.store.nodes import beat
from tests.manage_api.domains.doctor.conftest import Install
from tests.manage_api.world import ManualClock
from tests.support.gateway import free_port
from tests.support.meddling import Meddler, Page

READY = Page(200, b'{"status":"ready","upstreams":0}')
HEALTHY = Page(200, b'{"status":"ok"}')


async def look(
    install: Install, gateway: Page | None = READY, sidecar: Page | None = HEALTHY
) -> dict[str, Finding]:
    """What is found of programs that answer so; None: of one that does not run."""
    with ExitStack() as stack:
        ports = [
            stack.enter_context(Meddler(0, lambda _, page=page: page)).port if page else free_port()
            for page in (gateway, sidecar)
        ]
        server = Server(listen_addr=f"127.0.0.1:{ports[0]}", admin_addr=f"127.0.0.1:{ports[1]}")
        return {each.check: each async for each in check_running(install(server=server))}


async def test_programs_that_run_are_told_so(install: Install) -> None:
    found = await look(install)

    assert {name: each.verdict for name, each in found.items()} == {
        "gateway": "ok",
        "sidecar": "ok",
    }


@pytest.mark.parametrize("name", ["gateway", "sidecar"])
async def test_one_that_does_not_run_is_found(install: Install, name: str) -> None:
    found = await look(install, **{name: None})

    assert found[name].verdict == "fault"
    assert "thinkback up" in found[name].remedy


async def test_another_program_in_its_place_is_found(install: Install) -> None:
    found = await look(install, gateway=Page(200))

    assert found["gateway"].verdict == "fault"
    assert "LISTEN_ADDR" in found["gateway"].remedy


async def test_a_gateway_that_can_t_serve_is_found(install: Install) -> None:
    found = await look(install, gateway=Page(503, b'{"status":"the database does not answer"}'))

    assert found["gateway"].verdict == "fault"
    assert "the database does not answer" in found["gateway"].seen


async def test_a_gateway_of_another_configuration_is_found(install: Install) -> None:
    found = await look(install, gateway=Page(200, b'{"status":"ready","upstreams":3}'))

    assert found["configuration"].verdict == "warning"
    assert "in the directory of the gateway" in found["configuration"].remedy
    assert ".env" in found["configuration"].remedy


async def test_a_gateway_of_another_version_is_found(
    install: Install, store: Engine, clock: ManualClock
) -> None:
    now = clock.now_ms()
    store.transact(lambda work: work.run(*beat("n", "0.9", now, now)), alone=())

    found = await look(install)

    assert found["version"].verdict == "warning"
    assert "thinkback restart" in found["version"].remedy
