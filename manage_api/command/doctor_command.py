"""`thinkback doctor`."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import click
import msgspec
from pysqlite3 import dbapi2

from manage_api.command.tunnel import with_tunnel_file
from manage_api.domains.doctor.findings import Finding, Verdict, fault, warning, worst
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.doctor.machine import damaged
from manage_api.domains.system.risks import refusal
from shared.clock import SystemClock
from shared.config.load import load
from shared.config.mitm import find_mitm, load_safe_mitm
from shared.config.watch import Watch
from shared.errors import ConfigError, StoreError
from shared.security.secrets import FILE_NAME, SecretError, read_secret
from shared.store import data_directory, is_postgres, open_engine
from shared.store.installation import installation_secret
from shared.store.overrides import read_overrides
from shared.store.sqlite import database_path

__all__ = ("doctor",)

_COLORS: dict[Verdict, str] = {"ok": "green", "warning": "yellow", "fault": "red"}
_WIDTH = 24
"""The longest names have about that many characters."""

_KEY_FILE_REMEDY = (
    "Run chmod 600 on it, as the account that runs Thinkback, or restore it with the last backup "
    "(thinkback restore)."
)
_DATABASE_REMEDY = (
    "Install the version that made it, set DATABASE_URL to the right file, or restore a backup "
    "(thinkback restore)."
)

_SERVER_REMEDY = "See that the server runs, and that DATABASE_URL names it and a user of it."


@click.command()
@click.option("--live", is_flag=True, help="Also ask upstreams for answers: costs a few tokens.")
@click.option(
    "--connect-to",
    default="",
    metavar="ADDRESS",
    help="Reach the public name at this address, where it leads nowhere from here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_context
def doctor(ctx: click.Context, live: bool, connect_to: str, as_json: bool) -> None:
    """Look for what is wrong, from the configuration to Cursor, and say what to do.

    Exit code 1 if something does not work.
    """
    found: list[Finding] = []

    def show(finding: Finding) -> None:
        found.append(finding)
        click.echo(msgspec.json.encode(finding) if as_json else _line(finding))

    asyncio.run(_look(show, live=live, connect_to=connect_to))
    if not as_json:
        click.echo(_summary(found))
    ctx.exit(int(worst(found) == "fault"))


async def _look(show: Callable[[Finding], None], *, live: bool, connect_to: str) -> None:
    async for finding in _findings(live=live, connect_to=connect_to):
        show(finding)


async def _findings(*, live: bool, connect_to: str) -> AsyncIterator[Finding]:
    try:
        snapshot = load(os.environ)
        load_safe_mitm(find_mitm(), web=True)
    except ConfigError as error:
        for problem in error.problems:
            yield fault("configuration", f"{problem}.", "Correct it: nothing starts until then.")
        return
    if reason := refusal(snapshot):
        seen, _, remedy = reason.partition(". Set ")
        yield fault("configuration", f"{seen}.", f"Set {remedy}")
    url = snapshot.database_url
    if not is_postgres(url) and (finding := _unfit(url)):
        yield finding
        return
    try:
        store = open_engine(url)
    except StoreError as error:
        remedy = _SERVER_REMEDY if is_postgres(url) else _DATABASE_REMEDY
        yield fault("database", str(error), remedy)
        return
    with closing(store):
        try:
            secret = installation_secret(store, url)
        except SecretError as error:
            yield fault("secret", str(error), "Set it where DATABASE_URL is set.")
            return
        watch = Watch(with_tunnel_file(os.environ, url))
        try:
            watch.override(read_overrides(store, secret))
        except dbapi2.Error as error:
            yield damaged(str(error))
            return
        installation = Installation(
            snapshot=watch.snapshot,
            store=store,
            secret=secret,
            clock=SystemClock(),
            version=version("thinkback"),
            live=live,
            connect_to=connect_to,
        )
        # Other commands need not wait for an HTTP client to be loaded.
        from manage_api.domains.doctor.service import examine

        async for finding in examine(installation, watch.problems):
            yield finding


def _unfit(url: str) -> Finding | None:
    """Why a database file is not to be opened, as that would make or change it."""
    try:
        path = database_path(url)
        if path.exists():
            read_secret(data_directory(url) / FILE_NAME)
    except (SecretError, StoreError) as error:
        return fault("files", str(error), _KEY_FILE_REMEDY)
    if not path.exists():
        return warning(
            "database",
            f"There is no database {path} yet.",
            "Start Thinkback, which makes it, or set DATABASE_URL or DATA_DIR to where it is.",
        )
    if not _is_current(path):
        return warning(
            "database",
            "The database is of an earlier version of Thinkback.",
            "Restart Thinkback, which brings it up to date, then run the doctor again.",
        )
    return None


def _is_current(path: Path) -> bool:
    """Whether the database may be opened without being changed."""
    # Other commands need not wait for what applies steps to be loaded.
    from shared.store.migrations import is_current

    try:
        return is_current(path)
    except (dbapi2.Error, StoreError):
        return True  # opening it says why that can't be done


def _line(finding: Finding) -> str:
    verdict = click.style(f"{finding.verdict:<8}", fg=_COLORS[finding.verdict])
    line = f"{verdict} {finding.check:<{_WIDTH}} {finding.seen}"
    if finding.remedy:
        line += f"\n{'':<8} {'':<{_WIDTH}} → {finding.remedy}"
    return line


def _summary(found: list[Finding]) -> str:
    counts = [(sum(each.verdict == verdict for each in found), verdict) for verdict in _COLORS]
    return "\n" + ", ".join(f"{count} {verdict}" for count, verdict in counts)
