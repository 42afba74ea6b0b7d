"""A PostgreSQL cluster of the tests' own: one for each test process, made when a test asks for it.

It takes no connections but by its socket, and nothing of it survives the tests: it never flushes.
"""

import atexit
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from shared.store.postgres_opening import open_postgres

__all__ = ("binaries", "empty_database", "make_database", "wipe")

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_wal_size": "1GB",
    "autovacuum": "off",
}
_WIPE = """
    SELECT string_agg('DELETE FROM ' || quote_ident(tablename), '; ')
    FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'thinkback_steps'
"""
_RENUMBER = """
    SELECT setval(quote_ident(sequencename)::regclass, 1, false)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL
"""


def binaries() -> Path:
    """Where PostgreSQL's programs are; fails, in words, where they are not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not homes:
        raise RuntimeError(
            "The tests need PostgreSQL's programs (initdb, postgres): install the package "
            "postgresql, as .ci/run does."
        )
    return homes[-1].parent


@cache
def empty_database() -> str:
    """The URL of a migrated database without rows; what a test leaves in it, `wipe` takes out."""
    url = make_database("thinkback")
    open_postgres(url).close()
    return url


def make_database(name: str) -> str:
    """Make a database without tables; its URL."""
    folder = _cluster()
    with psycopg.connect(_url(folder, "postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return _url(folder, name)


def wipe(url: str) -> None:
    """Take all rows out, and let numbers begin anew: rows of few tables are deleted sooner than
    all tables are truncated.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        [(statements,)] = connection.execute(_WIPE)
        connection.execute(f"SET session_replication_role = replica; {statements}")
        connection.execute(_RENUMBER)


def _url(folder: Path, name: str) -> str:
    return f"postgresql:///{name}?host={folder}&user=thinkback"


@cache
def _cluster() -> Path:
    """Make and start the cluster; the folder of its socket."""
    folder = Path(mkdtemp(prefix="thinkback-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "nobody"
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    cluster = folder / "cluster"
    _run(
        ["initdb", "-D", cluster, "-U", "thinkback", "-A", "trust", "-N", "--locale=C.UTF-8"],
        user=user,
    )
    settings = [f"-c {name}={value}" for name, value in _SETTINGS.items()]
    options = " ".join([f"-c unix_socket_directories={folder}", *settings])
    log = folder / "log"
    _run(["pg_ctl", "start", "-w", "-D", cluster, "-l", log, "-o", options], user=user)
    atexit.register(_run, ["pg_ctl", "stop", "-m", "immediate", "-D", cluster], user=user)
    return folder


def _run(command: Sequence[str | Path], *, user: str | None) -> None:
    program, *arguments = command
    subprocess.run(
        [binaries() / program, *arguments],
        user=user,
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
