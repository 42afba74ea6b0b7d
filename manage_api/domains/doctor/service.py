"""The doctor: one check after the other."""

from collections.abc import AsyncIterator, Sequence

from manage_api.domains.doctor.configuration import check_configuration, check_problems
from manage_api.domains.doctor.findings import Finding, ok
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.doctor.machine import check_machine
from manage_api.domains.doctor.prices import check_prices
from manage_api.domains.doctor.running import check_running
from manage_api.domains.doctor.upstreams import check_upstreams
from shared.errors import Problem

__all__ = ("examine",)


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
    async for finding in check_running(installation):
        yield finding
