"""The doctor: one check after the other."""

from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version

from manage_api.addresses import local_url
from manage_api.domains.doctor.configuration import (
    check_any_upstream,
    check_configuration,
    check_problems,
)
from manage_api.domains.doctor.conversations import check_cursor
from manage_api.domains.doctor.door import open_door
from manage_api.domains.doctor.findings import Finding, ok, worst
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.doctor.live import check_live
from manage_api.domains.doctor.machine import check_machine
from manage_api.domains.doctor.outside import check_outside
from manage_api.domains.doctor.prices import check_prices
from manage_api.domains.doctor.running import check_running
from manage_api.domains.doctor.streaming import check_streaming
from manage_api.domains.doctor.upstreams import check_upstreams
from manage_api.domains.system.risks import named_risks
from manage_api.sidecar import Sidecar
from shared.errors import Problem

__all__ = ("diagnose", "examine")

_NEEDED = ("TLS", "key", "reachable")
"""Without these, nothing more can be seen from outside."""


async def examine(
    installation: Installation, problems: Sequence[Problem]
) -> AsyncIterator[Finding]:
    """Report what is right and wrong, as soon as it is known; nothing is changed.

    `problems` are the settings that are not applied.
    """
    if not problems:
        path = installation.snapshot.config_path
        yield ok("configuration", f"{path} and the environment are understood.")
    for finding in (*check_problems(problems), *check_configuration(installation.snapshot)):
        yield finding
    machine = [finding async for finding in check_machine(installation)]
    for finding in machine:
        yield finding
    if any(finding.check == "database" and finding.verdict == "fault" for finding in machine):
        return  # all that follows reads it
    yield check_prices(installation)
    async for finding in check_upstreams(installation):
        yield finding
    running = [finding async for finding in check_running(installation)]
    for finding in (*running, *check_any_upstream(installation.snapshot, running)):
        yield finding
    if worst(running) != "fault":
        async for finding in _ask_as_clients_do(installation):
            yield finding


async def diagnose(sidecar: Sidecar) -> list[Finding]:
    """Examine the installation that the sidecar is part of.

    What the page *Health* says anyway is left out: settings that are not applied, and risks.
    """
    installation = Installation(
        snapshot=sidecar.snapshot,
        store=sidecar.store,
        secret=sidecar.secret,
        clock=sidecar.clock,
        version=version("thinkback"),
    )
    told = {name for name, _ in named_risks(installation.snapshot)}
    async with sidecar.long_work:
        return [finding async for finding in examine(installation, ()) if finding.check not in told]


async def _ask_as_clients_do(installation: Installation) -> AsyncIterator[Finding]:
    """Ask through the public address, or through the local one when there is none."""
    server = installation.snapshot.server
    origin = server.public_url.rstrip("/") or local_url(server.listen_addr)
    async with open_door(origin, installation.connect_to) as door:
        if server.public_url:
            seen = [finding async for finding in check_outside(installation, door)]
            for finding in seen:
                yield finding
            if any(finding.verdict == "fault" and finding.check in _NEEDED for finding in seen):
                return
        parts = [check_streaming, check_cursor]
        if installation.live:
            parts.append(check_live)
        for part in parts:
            async for finding in part(installation, door):
                yield finding
