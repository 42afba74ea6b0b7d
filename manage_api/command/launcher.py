"""Starts both programs from one configuration and keeps them running."""

import importlib.util
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import argon2
import msgspec

from manage_api.addresses import local_url, why_taken
from manage_api.command import report
from manage_api.command.child import MOST_SILENT
from manage_api.command.daemon import Daemon
from manage_api.command.handover import Handover
from manage_api.command.resident import Host, Plan, Task
from manage_api.command.tunnel import with_tunnel_file
from manage_api.command.tunnel_client import TunnelClient
from manage_api.command.workers import wanted as workers_wanted
from manage_api.domains.system.risks import refusal
from shared.clock import SystemClock
from shared.config.load import load
from shared.config.mitm import MitmSettings, find_mitm, load_safe_mitm
from shared.config.overrides import Overrides
from shared.config.passed import Passed, passing
from shared.config.schema import Snapshot
from shared.errors import ThinkbackError
from shared.store import data_directory, open_engine
from shared.store.accounts import admins_to_change_password
from shared.store.bootstrap import FirstAccount, ensure_admin, ensure_key
from shared.store.engine import Engine
from shared.store.installation import installation_secret
from shared.store.overrides import read_overrides
from shared.store.upstream_models import listed_models

__all__ = (
    "LaunchError",
    "Prepared",
    "launch",
    "prepare",
    "refuse_unsafe",
    "refuse_well_known_passwords",
)

_OURS = ("--set", "server=false")
"""mitmproxy does not listen: the addon does, on the sockets that are handed to it."""

_REPORT_SECONDS = 30
"""The sidecar reads the database on its loop: a report over many years takes seconds."""

_ANSWER_SECONDS = 2
"""For a program on this machine that may be anything."""

_BIND_TRIES = 20
_BIND_DELAY = 0.1
"""Together two seconds, for a gateway that was just killed to let go of its address."""


class LaunchError(ThinkbackError):
    """The programs can't be started; the message says why."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What the programs need in order to start."""

    snapshot: Snapshot
    overrides: Overrides
    """What the snapshot has from the database."""

    mitm: MitmSettings
    client: TunnelClient | None
    """What opens a tunnel, if one is wanted."""

    listed: Mapping[str, Sequence[str]]
    """What the upstreams listed as their models before, by upstream."""

    first_account: FirstAccount | None
    """Set when this start created the account `admin`: its secrets are known only here."""


def prepare(
    environ: Mapping[str, str],
    *,
    web: bool,
    held: Collection[str] = (),
    client: TunnelClient | None = None,
) -> Prepared:
    """Read the configuration, check the addresses, create database and first account.

    Addresses that are `held` are our own; a `client` will expose the gateway by a tunnel.
    Raises ConfigError, LaunchError or StoreError. A faulty configuration changes nothing.
    """
    snapshot = load(environ)
    mitm = load_safe_mitm(find_mitm(), web=web)
    refuse_unsafe(snapshot)
    wanted = {
        snapshot.server.listen_addr: "set LISTEN_ADDR to another address",
        snapshot.server.admin_addr: "set ADMIN_LISTEN_ADDR to another address",
    }
    if web:
        wanted[_mitmweb_address(mitm)] = "set web_port in mitm.toml to another port"
    for address, remedy in wanted.items():
        if address not in held:
            _await_free(address, remedy, snapshot)
    with closing(open_engine(snapshot.database_url)) as engine:
        now = SystemClock().now_ms()
        account = ensure_admin(engine, password=snapshot.admin_password, now=now)
        if snapshot.auth_token:
            ensure_key(engine, snapshot.auth_token, now=now)
        database_url = snapshot.database_url
        overrides = read_overrides(engine, installation_secret(engine, database_url))
        snapshot = load(with_tunnel_file(environ, database_url), overrides)
        if client or snapshot.server.is_exposed:
            refuse_well_known_passwords(engine)
        listed = listed_models(engine, snapshot.upstreams)
    return Prepared(
        snapshot=snapshot,
        overrides=overrides,
        mitm=mitm,
        client=client,
        listed=listed,
        first_account=account,
    )


def refuse_unsafe(snapshot: Snapshot) -> None:
    """Raise LaunchError for a configuration that nobody can run safely."""
    if reason := refusal(snapshot):
        raise LaunchError(reason)


def launch(
    prepared: Prepared,
    environ: Mapping[str, str],
    *,
    web: bool,
    handover: Handover,
    daemon: Daemon | None = None,
) -> NoReturn:
    """Open the sockets and become the process that keeps both programs running.

    `daemon` is what this is the background process of.
    """
    database_url = prepared.snapshot.database_url
    environ = with_tunnel_file(environ, database_url)
    _raise_file_limit()
    with passing(environ) as passed, tempfile.TemporaryFile() as file:
        tasks, mitmweb_url = _tasks(prepared, handover, web=web)
        _plan(prepared, environ, passed, handover, tasks, mitmweb_url, daemon).leave_to(
            file.fileno()
        )


def _plan(
    prepared: Prepared,
    environ: Mapping[str, str],
    passed: Passed,
    handover: Handover,
    tasks: list[Task],
    mitmweb_url: str,
    daemon: Daemon | None,
) -> Plan:
    snapshot, client = prepared.snapshot, prepared.client
    plan = Plan(
        arguments=sys.argv[1:],
        environ=dict(environ),
        program_environ=_inherited(passed),
        passed_file=passed.file,
        tasks=tasks,
        predecessors=handover.processes,
        database_url=snapshot.database_url,
        ready=report.ready(
            snapshot,
            version("thinkback"),
            mitmweb_url,
            tunnelled=client is not None,
            listed=prepared.listed,
        ),
        hosts=_to_resolve(snapshot),
        notice=snapshot.server.shutdown_delay_seconds,
    )
    if client:
        plan.tunnel, plan.kept = msgspec.to_builtins(client), handover.tunnel
    if daemon:
        plan.background, plan.lock = str(daemon.directory), daemon.lock
    return plan


def _to_resolve(snapshot: Snapshot) -> list[Host]:
    """The upstreams' names, unless the sidecar says more of them: it does where it asks
    upstreams for their models.
    """
    if snapshot.models.refresh_seconds:
        return []
    return [Host(each.name, each.host) for each in snapshot.upstreams]


def _inherited(passed: Passed) -> dict[str, str]:
    """The environment of both programs."""
    inherited = {**passed.environ, "PYTHONUNBUFFERED": "1"}
    for name in ("ADMIN_PASSWORD", "ANTHROPIC_AUTH_TOKEN"):
        inherited.pop(name, None)
    return inherited


def _tasks(prepared: Prepared, handover: Handover, *, web: bool) -> tuple[list[Task], str]:
    """Return both programs, and the URL of mitmweb when it is one of them."""
    server, mitm = prepared.snapshot.server, prepared.mitm
    confdir = data_directory(prepared.snapshot.database_url) / "mitmproxy"
    token = _make_confdir(confdir, with_token=web and not mitm.web.get("web_password"))
    sidecar = Task(
        name="sidecar",
        command=[sys.executable, "-m", "manage_api"],
        address=server.admin_addr,
        sockets=_open_sockets(handover, server.admin_addr),
        most_silent=_REPORT_SECONDS,
    )
    arguments = mitm.arguments(server.listen_addr, web=web, confdir=confdir)
    data_plane = Task(
        name="data plane",
        command=[*_mitmproxy(web=web), *arguments, *_OURS, "-s", str(_addon_script())],
        address=server.listen_addr,
        sockets=_open_sockets(handover, server.listen_addr),
        most_silent=MOST_SILENT,
        workers=workers_wanted(server, web=web),
    )
    handover.close()
    if web and workers_wanted(server, web=False) > 1:
        report.tell("mitmweb shows the traffic of one process: one data plane runs.")
    if not web:
        return [sidecar, data_plane], ""
    mitmweb_url = f"{local_url(_mitmweb_address(mitm))}/"
    if token:
        mitmweb_url += f"?token={token}"
    return [sidecar, data_plane], mitmweb_url


def _open_sockets(handover: Handover, address: str) -> list[int]:
    try:
        return [each.detach() for each in handover.open_sockets(address)]
    except OSError as error:
        raise LaunchError(f"Can't listen on {address} ({error.strerror}).") from error


def _mitmproxy(*, web: bool) -> tuple[str, ...]:
    """What runs mitmweb; or mitmdump, with no more of it than the gateway needs."""
    if web:
        return (str(Path(sys.executable).with_name("mitmweb")),)
    # -P: a folder `addon` in the current directory is not ours.
    return (sys.executable, "-P", "-m", "addon.edge")


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


def _await_free(address: str, remedy: str, snapshot: Snapshot) -> None:
    """Wait until the address is free: a gateway that was just killed holds it for a moment."""
    for _ in range(_BIND_TRIES):
        if not (reason := why_taken(address)):
            return
        time.sleep(_BIND_DELAY)
    if running := _who_runs(local_url(snapshot.server.admin_addr)):
        pid, url = running
        raise LaunchError(f"Thinkback runs here already, pid {pid}: {url}")
    raise LaunchError(
        f"Can't listen on {address} ({reason}): stop the program that uses it, or {remedy}."
    )


def _who_runs(url: str) -> tuple[int, str] | None:
    """Return pid and URL of the gateway whose sidecar listens at this URL; None: it is none, or
    was started on its own.
    """
    import httpx  # a start whose address is free need not wait for it to be loaded

    try:
        with httpx.Client(trust_env=False, timeout=_ANSWER_SECONDS) as client:
            answer = client.get(f"{url}/healthz").json()
        return int(answer["pid"]), str(answer["url"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


def refuse_well_known_passwords(engine: Engine) -> None:
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
