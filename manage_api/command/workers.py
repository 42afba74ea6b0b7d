"""How many data planes share the public port."""

import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from shared.config.rules import MOST_WORKERS
from shared.config.schema import Server
from shared.errors import ThinkbackError

__all__ = (
    "VARIABLE",
    "Running",
    "WorkersError",
    "cores",
    "running",
    "wanted",
    "workers_option",
    "workers_words",
)

VARIABLE = "WORKERS"
"""The environment variable of `[server] workers`, above which the option stands."""

_OPTION = "--workers"

_ANSWER_SECONDS = 2
"""As long as other programs have to show that they work."""


class Running(msgspec.Struct, frozen=True):
    """A data plane that shares the port with others, as the sidecar's `/healthz` tells of it."""

    name: str
    pid: int
    started_at: int
    """Epoch milliseconds."""

    @property
    def since(self) -> str:
        """When it started, in local time."""
        return f"{datetime.fromtimestamp(self.started_at / 1000, UTC).astimezone():%F %T}"


class _Health(msgspec.Struct, frozen=True):
    workers: list[Running] = []


class WorkersError(ThinkbackError):
    """So many can't run; the message says why."""


def _count(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is None or text == "auto" or (text.isdecimal() and 1 <= int(text) <= MOST_WORKERS):
        return text
    raise click.BadParameter(f"give auto or a number from 1 to {MOST_WORKERS}.")


def workers_option[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """Add `--workers` to a command."""
    option = click.option(
        _OPTION,
        metavar="N|auto",
        callback=_count,
        help="How many data planes share the port; auto: one for each core.",
    )
    return option(command)


def workers_words(workers: str | None) -> tuple[str, ...]:
    """Return the option as it is written in a command."""
    return () if workers is None else (f"{_OPTION}={workers}",)


def wanted(server: Server, *, web: bool) -> int:
    """How many data planes to run: one under mitmweb."""
    if web:
        return 1
    if server.workers == "auto":
        return cores()
    return server.workers


def running(url: str) -> list[Running]:
    """The data planes that share the port, as the sidecar at this URL says; none if it does not
    answer, or only one runs.
    """
    import httpx  # which few commands need

    try:
        with httpx.Client(trust_env=False, timeout=_ANSWER_SECONDS) as client:
            return msgspec.json.decode(client.get(f"{url}/healthz").content, type=_Health).workers
    except (httpx.HTTPError, msgspec.MsgspecError):
        return []


def cores(cgroup: Path = Path("/proc/self/cgroup"), mounted: str = "/sys/fs/cgroup") -> int:
    """How many cores this process may use: by its affinity (sched_getaffinity(2)), and where a
    container or a service has a quota, by that (`cpu.max` of its control group, version 2).
    """
    found = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        found = len(os.sched_getaffinity(0))
    try:
        # One line, `0::/path`, where version 2 is used alone.
        _, _, path = cgroup.read_text().splitlines()[-1].split(":", 2)
        quota, period = Path(f"{mounted}{path}/cpu.max").read_text().split()
        return max(1, min(found, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError, IndexError):  # there is none, or its quota is `max`
        return found
