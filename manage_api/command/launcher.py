"""Starts both programs from one configuration and keeps them running."""

import asyncio
import importlib.util
import os
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

import argon2
import httpx
import msgspec

from manage_api.addresses import local_url, why_taken
from manage_api.command import report
from manage_api.command.child import Program, Say
from manage_api.command.daemon import Daemon
from manage_api.command.handover import SIGNALS, Handover, command, left_to, run_anew
from manage_api.command.supervise import Supervisor
from manage_api.command.tunnel import Tunnel, open_tunnel, with_tunnel_file
from manage_api.command.tunnel_client import TunnelClient
from manage_api.domains.system.risks import refusal, unresolved
from shared.clock import SystemClock
from shared.config.load import load
from shared.config.mitm import MitmSettings, find_mitm, load_safe_mitm
from shared.config.overrides import Overrides
from shared.config.passed import Passed, passing
from shared.config.schema import Snapshot
from shared.errors import StoreError, ThinkbackError
from shared.security.secrets import load_secret
from shared.store import data_directory, open_engine
from shared.store.accounts import admins_to_change_password
from shared.store.bootstrap import FirstAccount, ensure_admin, ensure_key
from shared.store.engine import Engine
from shared.store.overrides import read_overrides
from shared.store.upstream_models import listed_models

__all__ = (
    "LaunchError",
    "Prepared",
    "prepare",
    "refuse_unsafe",
    "refuse_well_known_passwords",
    "run",
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
        overrides = read_overrides(engine, load_secret(data_directory(database_url)))
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


async def run(
    prepared: Prepared,
    environ: Mapping[str, str],
    *,
    web: bool,
    handover: Handover,
    daemon: Daemon | None = None,
    say: Say,
) -> int:
    """Run both programs until SIGINT or SIGTERM; return an exit code.

    The first of them lets running answers end, the second cuts them. SIGHUP has the programs
    read their configuration again; SIGUSR2 runs all anew, with the code and the configuration
    that are there by then. A tunnel is open until all answers have ended.
    """
    if daemon:
        say = _said_and_noted(say, daemon)
    environ = with_tunnel_file(environ, prepared.snapshot.database_url)
    tunnel = _tunnel(prepared, environ, handover, say)
    _raise_file_limit()
    with passing(environ) as passed:
        programs, mitmweb_url = _programs(prepared, passed, handover, web=web)
        supervisor = Supervisor(
            programs, say=say, clock=SystemClock(), predecessors=handover.processes
        )
        ready = report.ready(
            prepared.snapshot,
            version("thinkback"),
            mitmweb_url,
            tunnelled=tunnel is not None,
            listed=prepared.listed,
        )
        async with asyncio.TaskGroup() as group:
            restart = _Restart(supervisor, prepared, environ, say, tunnel)
            _answer_signals(supervisor, lambda: group.create_task(restart()), say)
            tending = [group.create_task(_tell_unresolved(prepared.snapshot, say))]
            if tunnel:
                tending.append(group.create_task(tunnel.keep()))
            if daemon:
                restart.lock = daemon.lock
                works = (daemon.keep_log_small(), daemon.beat())
                tending += [group.create_task(work) for work in works]
            code = await supervisor.run(when_ready=lambda: say(ready))
            for task in tending:
                task.cancel()
    _checkpoint(prepared.snapshot.database_url)
    return code


def _tunnel(
    prepared: Prepared, environ: Mapping[str, str], handover: Handover, say: Say
) -> Tunnel | None:
    if not prepared.client:
        return None
    return open_tunnel(prepared.client, environ, prepared.overrides, say=say, kept=handover.tunnel)


async def _tell_unresolved(snapshot: Snapshot, say: Say) -> None:
    """Say which upstreams' names can't be resolved, while the programs start.

    The sidecar says it, and more, where it asks upstreams for their models.
    """
    if snapshot.models.refresh_seconds:
        return
    for sentence in await asyncio.to_thread(unresolved, snapshot.upstreams):
        say(sentence)


def _answer_signals(supervisor: Supervisor, restart: Callable[[], object], say: Say) -> None:
    terminal = _has_terminal()

    def leave() -> None:
        if supervisor.leaving:
            say("Cutting the answers that still run.")
        else:
            say("Stopping the data plane and the sidecar.")
        supervisor.leave()

    def hang_up() -> None:
        # A terminal that closes sends the same as an operator who wants a reload.
        if terminal and not _has_terminal():
            leave()
        supervisor.reload()

    answers = (leave, leave, hang_up, restart)
    for number, answer in zip(SIGNALS, answers, strict=True):
        asyncio.get_running_loop().add_signal_handler(number, answer)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # an earlier life has blocked them


def _said_and_noted(say: Say, daemon: Daemon) -> Say:
    def both(text: str) -> None:
        say(text)
        daemon.note(text)

    return both


class _Restart:
    """Runs the launcher anew, when what is installed and configured now can be used."""

    def __init__(
        self,
        supervisor: Supervisor,
        prepared: Prepared,
        environ: Mapping[str, str],
        say: Say,
        tunnel: Tunnel | None,
    ) -> None:
        self.lock: int | None = None
        """The descriptor that holds the lock of the background process."""

        self._supervisor = supervisor
        self._prepared = prepared
        self._environ = environ
        self._say = say
        self._tunnel = tunnel
        self._under_way = asyncio.Lock()

    async def __call__(self) -> None:
        """Restart, unless that is under way."""
        if not self._under_way.locked():
            async with self._under_way:
                await self._restart()

    async def _restart(self) -> None:
        server = self._prepared.snapshot.server
        names = {"data plane": server.listen_addr, "sidecar": server.admin_addr}
        sockets = self._supervisor.sockets()
        handover = Handover(
            sockets={names[name]: [each.fileno() for each in sockets[name]] for name in names},
            lock=self.lock,
        )
        rehearsal = await asyncio.create_subprocess_exec(
            *command(*sys.argv[1:], "--rehearse"),
            env=left_to(handover, self._environ),
            stdin=asyncio.subprocess.DEVNULL,
        )
        if await rehearsal.wait():
            self._say(f"{report.NOT_RESTARTED} it could not start. The lines above say why.")
            return
        if self._supervisor.leaving:
            return  # it was stopped meanwhile
        handover.processes = self._supervisor.known()
        handover.tunnel = self._tunnel.kept if self._tunnel else None
        run_anew(handover, self._environ)


def _programs(
    prepared: Prepared, passed: Passed, handover: Handover, *, web: bool
) -> tuple[list[Program], str]:
    """Return both programs, and the URL of mitmweb when it is one of them."""
    snapshot, mitm = prepared.snapshot, prepared.mitm
    confdir = data_directory(snapshot.database_url) / "mitmproxy"
    token = _make_confdir(confdir, with_token=web and not mitm.web.get("web_password"))
    inherited = {**passed.environ, "PYTHONUNBUFFERED": "1"}
    for name in ("ADMIN_PASSWORD", "ANTHROPIC_AUTH_TOKEN"):
        inherited.pop(name, None)
    sidecar = Program(
        name="sidecar",
        command=(sys.executable, "-m", "manage_api"),
        environ=inherited,
        passed_files=(passed.file,),
        sockets=_open_sockets(handover, snapshot.server.admin_addr),
        most_silent=_REPORT_SECONDS,
    )
    mitmproxy = Path(sys.executable).with_name("mitmweb" if web else "mitmdump")
    arguments = mitm.arguments(snapshot.server.listen_addr, web=web, confdir=confdir)
    data_plane = Program(
        name="data plane",
        command=(str(mitmproxy), *arguments, *_OURS, "-s", str(_addon_script())),
        environ=inherited,
        passed_files=(passed.file,),
        sockets=_open_sockets(handover, snapshot.server.listen_addr),
    )
    handover.close()
    if not web:
        return [sidecar, data_plane], ""
    mitmweb_url = f"{local_url(_mitmweb_address(mitm))}/"
    if token:
        mitmweb_url += f"?token={token}"
    return [sidecar, data_plane], mitmweb_url


def _open_sockets(handover: Handover, address: str) -> tuple[socket.socket, ...]:
    try:
        return handover.open_sockets(address)
    except OSError as error:
        raise LaunchError(f"Can't listen on {address} ({error.strerror}).") from error


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


def _has_terminal() -> bool:
    """Whether a terminal controls this process, and is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _checkpoint(database_url: str) -> None:
    """Move the write-ahead log into the database, as closing the last connection does: a copy
    of the one file is then a copy of all.
    """
    with suppress(StoreError):  # it can't be opened now: the log stays beside it
        open_engine(database_url).close()


def _raise_file_limit() -> None:
    """Raise the limit of open files: each stream needs two, and 1024 is the usual limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS reports a hard limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
