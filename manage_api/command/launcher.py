"""Starts both programs from one configuration and keeps them running."""

import asyncio
import importlib.util
import resource
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

import argon2
import msgspec

from manage_api.addresses import local_url, why_taken
from manage_api.command import report
from manage_api.command.daemon import Daemon
from manage_api.command.supervise import Program, Say, supervise
from manage_api.domains.system.risks import refusal, unresolved
from shared.clock import SystemClock
from shared.config.load import load
from shared.config.mitm import MitmSettings, find_mitm, load_safe_mitm
from shared.config.passed import Passed, passing
from shared.config.schema import Snapshot
from shared.errors import ThinkbackError
from shared.security.secrets import load_secret
from shared.store import data_directory, open_engine
from shared.store.accounts import admins_to_change_password
from shared.store.bootstrap import FirstAccount, ensure_admin
from shared.store.engine import Engine
from shared.store.overrides import read_overrides

__all__ = ("LaunchError", "Prepared", "prepare", "refuse_unsafe", "run")

_BIND_TRIES = 20
_BIND_DELAY = 0.1
"""Together two seconds, for a gateway that was just killed to let go of its address."""


class LaunchError(ThinkbackError):
    """The programs can't be started; the message says why."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What the programs need in order to start."""

    snapshot: Snapshot
    mitm: MitmSettings
    first_account: FirstAccount | None
    """Set when this start created the account `admin`: its secrets are known only here."""


def prepare(environ: Mapping[str, str], *, web: bool) -> Prepared:
    """Read the configuration, check the addresses, create database and first account.

    Raises ConfigError, LaunchError or StoreError. A faulty configuration changes nothing.
    """
    snapshot = load(environ)
    mitm = load_safe_mitm(find_mitm(), web=web)
    refuse_unsafe(snapshot)
    _await_free(snapshot.server.listen_addr, "set LISTEN_ADDR to another address")
    _await_free(snapshot.server.admin_addr, "set ADMIN_LISTEN_ADDR to another address")
    if web:
        _await_free(_mitmweb_address(mitm), "set web_port in mitm.toml to another port")
    with closing(open_engine(snapshot.database_url)) as engine:
        account = ensure_admin(engine, password=snapshot.admin_password, now=SystemClock().now_ms())
        snapshot = load(
            environ, read_overrides(engine, load_secret(data_directory(snapshot.database_url)))
        )
        if snapshot.server.is_exposed:
            _refuse_well_known_passwords(engine)
    return Prepared(snapshot=snapshot, mitm=mitm, first_account=account)


def refuse_unsafe(snapshot: Snapshot) -> None:
    """Raise LaunchError for a configuration that nobody can run safely."""
    if reason := refusal(snapshot):
        raise LaunchError(reason)


async def run(
    prepared: Prepared,
    environ: Mapping[str, str],
    *,
    web: bool,
    daemon: Daemon | None = None,
    say: Say,
) -> int:
    """Run both programs until SIGINT, SIGTERM or SIGHUP; return an exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _raise_file_limit()
    with passing(environ) as passed:
        programs, mitmweb_url = _programs(prepared, passed, web=web)
        ready = report.ready(prepared.snapshot, version("thinkback"), mitmweb_url)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_tell_unresolved(prepared.snapshot, say))]
            if daemon:
                tasks.append(group.create_task(daemon.keep_log_small()))
            code = await supervise(
                programs, stop=stop, when_ready=lambda: say(ready), say=say, clock=SystemClock()
            )
            for task in tasks:
                task.cancel()
    return code


async def _tell_unresolved(snapshot: Snapshot, say: Say) -> None:
    """Say which upstreams' names can't be resolved, while the programs start."""
    for sentence in await asyncio.to_thread(unresolved, snapshot.upstreams):
        say(sentence)


def _programs(prepared: Prepared, passed: Passed, *, web: bool) -> tuple[list[Program], str]:
    """Return both programs, and the URL of mitmweb when it is one of them."""
    snapshot, mitm = prepared.snapshot, prepared.mitm
    confdir = data_directory(snapshot.database_url) / "mitmproxy"
    token = _make_confdir(confdir, with_token=web and not mitm.web.get("web_password"))
    inherited = {**passed.environ, "PYTHONUNBUFFERED": "1"}
    inherited.pop("ADMIN_PASSWORD", None)
    sidecar = Program(
        name="sidecar",
        command=(sys.executable, "-m", "manage_api"),
        environ=inherited,
        passed_files=(passed.file,),
        url=local_url(snapshot.server.admin_addr),
    )
    mitmproxy = Path(sys.executable).with_name("mitmweb" if web else "mitmdump")
    arguments = mitm.arguments(snapshot.server.listen_addr, web=web, confdir=confdir)
    data_plane = Program(
        name="data plane",
        command=(str(mitmproxy), *arguments, "-s", str(_addon_script())),
        environ=inherited,
        passed_files=(passed.file,),
        url=local_url(snapshot.server.listen_addr),
    )
    if not web:
        return [sidecar, data_plane], ""
    mitmweb_url = f"{local_url(_mitmweb_address(mitm))}/"
    if token:
        mitmweb_url += f"?token={token}"
    return [sidecar, data_plane], mitmweb_url


def _addon_script() -> Path:
    """Find the script without importing it.

    mitmproxy runs it as a script; an import here would be a second state.
    """
    spec = importlib.util.find_spec("addon")
    assert spec, "the packages are installed together"
    assert spec.origin
    return Path(spec.origin).with_name("main.py")


def _mitmweb_address(mitm: MitmSettings) -> str:
    host, port = mitm.web.get("web_host", "127.0.0.1"), mitm.web.get("web_port", 8081)
    if ":" in str(host):
        return f"[{host}]:{port}"
    return f"{host}:{port}"


def _make_confdir(confdir: Path, *, with_token: bool) -> str:
    """Create mitmproxy's folder; return mitmweb's token, empty without one.

    The token goes into a file there, as other users could read it in the command line.
    """
    confdir.mkdir(mode=0o700, parents=True, exist_ok=True)
    confdir.chmod(0o700)
    options = confdir / "config.yaml"
    options.unlink(missing_ok=True)
    if not with_token:
        return ""
    token = secrets.token_urlsafe(16)
    options.write_text(f"web_password: '{argon2.PasswordHasher().hash(token)}'\n")
    return token


def _await_free(address: str, remedy: str) -> None:
    """Wait until the address is free: a gateway that was just killed holds it for a moment."""
    for _ in range(_BIND_TRIES):
        if not (reason := why_taken(address)):
            return
        time.sleep(_BIND_DELAY)
    raise LaunchError(
        f"Can't listen on {address} ({reason}): stop the program that uses it, or {remedy}."
    )


def _refuse_well_known_passwords(engine: Engine) -> None:
    """Refuse to start an exposed gateway whose admin's password anybody would guess."""
    if names := admins_to_change_password(engine):
        raise LaunchError(
            f"The admin “{names[0]}” has a well-known password, and other machines can reach "
            f"the gateway: set a new one with `thinkback user passwd {names[0]}`, then restart."
        )


def _raise_file_limit() -> None:
    """Raise the limit of open files: each stream needs two, and 1024 is the usual limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS reports a hard limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
