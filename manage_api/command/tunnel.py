"""Keeps the program running that opens a tunnel, and tells its public URL.

It is not ours and has no lifeline: all it tells is what it prints.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from typing import Any

import msgspec

from manage_api.addresses import is_healthy
from manage_api.command import report
from manage_api.command.child import Say, child_of, ending, reap
from manage_api.command.handover import KeptTunnel
from manage_api.command.tunnel_client import TunnelClient
from shared.clock import Clock, SystemClock
from shared.config.overrides import Overrides
from shared.config.passed import SECRETS
from shared.config.schema import Snapshot
from shared.config.tunnel import TUNNEL_FILE, Announcement
from shared.config.watch import Watch
from shared.errors import StoreError
from shared.store import data_directory, open_engine
from shared.store.installation import installation_secret
from shared.store.overrides import read_overrides
from shared.store.upstream_models import listed_models

__all__ = ("Tunnel", "describing", "open_tunnel", "reopen_tunnel", "with_tunnel_file")

_FIRST_DELAY = 1.0
"""Seconds before the first restart; each further one waits twice as long."""

_MAX_DELAY = 60.0
"""Services refuse those who ask for new tunnels too often (trycloudflare.com by 429)."""

_STEADY_SECONDS = 30.0
"""A client that ran for so long starts over with the shortest delay."""

_QUIET_SECONDS = 20.0
"""After that without a URL, what it has printed is shown: it may ask to be allowed."""

_PROBES = 60
_PROBE_SECONDS = 5.0
_PROBE_DELAY = 1.0
"""A new host name takes some seconds to be known; nobody waits for longer than minutes."""

_SHOWN_LINES = 8
_SHOWN_CHARS = 500


class Tunnel:
    """A tunnel that is opened again whenever its client dies, after up to a minute."""

    def __init__(
        self,
        client: TunnelClient,
        announcement: Announcement,
        environ: Mapping[str, str],
        *,
        describe: Callable[[], str],
        say: Say,
        clock: Clock,
        patience: float = 5.0,
        kept: KeptTunnel | None = None,
    ) -> None:
        """`describe` returns what to enter where, once the URL is told. `patience` is the
        seconds from SIGTERM to SIGKILL: answers have ended by then. `kept` is the client that
        an earlier life of this process has left.
        """
        self._client = client
        self._announcement = announcement
        hidden = {*SECRETS, "ADMIN_PASSWORD"}
        self._environ = {name: text for name, text in environ.items() if name not in hidden}
        self._describe = describe
        self._say = say
        self._clock = clock
        self._patience = patience
        self._kept = kept
        self._printed: deque[str] = deque(maxlen=_SHOWN_LINES)

    @property
    def kept(self) -> KeptTunnel | None:
        """The client that runs now, to be left to a later life of this process."""
        if self._kept:
            self._kept.lock = self._announcement.lock
        return self._kept

    async def keep(self) -> None:
        """Keep it open until cancelled; then end the client and withdraw the URL."""
        failures = 0
        try:
            while True:
                started = self._clock.monotonic()
                how = await self._run_once()
                if self._clock.monotonic() - started > _STEADY_SECONDS:
                    failures = 0
                delay = min(_MAX_DELAY, _FIRST_DELAY * 2 ** min(failures, 10))
                failures += 1
                self._say(
                    f"The tunnel ({self._client.program}) ended ({how}); opening it again in "
                    f"{delay:g} s.{self._shown()}"
                )
                await asyncio.sleep(delay)
        finally:
            self._announcement.close()

    async def _run_once(self) -> str:
        """Run the client until it ends; return how it did."""
        if not self._kept:
            self._printed.clear()
            try:
                self._kept = _spawn(self._client.command, self._environ)
            except OSError as error:
                return error.strerror or str(error)
        kept, code = self._kept, None
        try:
            async with asyncio.TaskGroup() as group:
                await self._read(kept, group)
            code = await reap(kept.pid)
        finally:
            self._kept = None
            if code is None:
                await _end(kept.pid, self._patience)
        return ending(code)

    async def _read(self, kept: KeptTunnel, group: asyncio.TaskGroup) -> None:
        """Read what the client prints until it ends, and tell each new URL."""
        telling = group.create_task(self._tell(kept, self._client.url))
        async for line in _lines(kept.output):
            self._printed.append(line)
            url = self._client.url_in(line)
            if url and url != kept.url:
                telling.cancel()
                telling = group.create_task(self._tell(kept, url))
        telling.cancel()

    async def _tell(self, kept: KeptTunnel, url: str) -> None:
        """Tell a new URL, and say how to use it once it answers; without one, say so."""
        if not url:
            await asyncio.sleep(_QUIET_SECONDS)
            if not kept.url:
                self._say(f"{self._client.program} has not told an address yet.{self._shown()}")
            return
        if url == kept.url:
            return
        kept.url = url
        self._announcement.tell(url)
        if await _answers(url):
            self._say(self._describe())
        else:
            self._say(
                f"{url} does not answer from here yet. What {self._client.program} says:"
                f"{self._shown()}\n{self._describe()}"
            )

    def _shown(self) -> str:
        """What the client printed last, each line indented."""
        return "".join(f"\n  {line[:_SHOWN_CHARS]}" for line in self._printed if line)


def with_tunnel_file(environ: Mapping[str, str], database_url: str) -> dict[str, str]:
    """Add where the URL of a tunnel is told, in the data directory."""
    return {**environ, TUNNEL_FILE: str(data_directory(database_url) / "tunnel")}


def open_tunnel(
    client: TunnelClient,
    environ: Mapping[str, str],
    overrides: Overrides,
    *,
    say: Say,
    kept: KeptTunnel | None = None,
) -> Tunnel:
    """Return a tunnel that is the gateway's only one; ThinkbackError if another is open.

    `environ` has the file of `with_tunnel_file`, `kept` is what an earlier life of this
    process has left.
    """
    announcement = Announcement(environ[TUNNEL_FILE], kept.lock if kept else None)
    describe, clock = describing(client, environ, overrides), SystemClock()
    return Tunnel(client, announcement, environ, describe=describe, say=say, clock=clock, kept=kept)


def reopen_tunnel(
    client: Mapping[str, Any],
    environ: Mapping[str, str],
    database_url: str,
    *,
    say: Say,
    kept: KeptTunnel | None,
) -> Tunnel:
    """Return the same where all that is known of the client are its members."""
    with closing(open_engine(database_url)) as engine:
        overrides = read_overrides(engine, installation_secret(engine, database_url))
    wanted = msgspec.convert(client, TunnelClient)
    return open_tunnel(wanted, environ, overrides, say=say, kept=kept)


def describing(
    client: TunnelClient, environ: Mapping[str, str], overrides: Overrides
) -> Callable[[], str]:
    """Return what tells what to enter where, by the configuration and the URL of the moment."""
    watch = Watch(environ)
    watch.override(overrides)

    def describe() -> str:
        watch.poll()
        settings = watch.snapshot
        return report.tunnel(settings, client.program, client.note, _listed(settings))

    return describe


def _listed(settings: Snapshot) -> dict[str, tuple[str, ...]]:
    """Return what upstreams list as their models; nothing while the database can't be read."""
    with contextlib.suppress(StoreError), closing(open_engine(settings.database_url)) as engine:
        return listed_models(engine, settings.upstreams)
    return {}


def _spawn(command: tuple[str, ...], environ: Mapping[str, str]) -> KeptTunnel:
    """Start the client. Raises OSError when it can't be run."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            preexec_fn=child_of(os.getpid()),
        )
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    process.returncode = 0  # it is waited for by its number, as one of an earlier life is
    return KeptTunnel(process.pid, reading)


async def _lines(output: int) -> AsyncIterator[str]:
    """Read what is printed, to the end: a client whose output nobody takes would stop."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb")
    )
    try:
        while not reader.at_eof():
            with contextlib.suppress(ValueError):  # a line of more than 64 KiB, which is dropped
                yield (await reader.readline()).decode(errors="replace").rstrip()
    finally:
        transport.close()


async def _answers(url: str) -> bool:
    """Whether the gateway answers through the URL, asked for some minutes at most."""
    for _ in range(_PROBES):
        if await is_healthy(url, _PROBE_SECONDS):
            return True
        await asyncio.sleep(_PROBE_DELAY)
    return False


async def _end(pid: int, patience: float) -> None:
    """End a client that has not been waited for, so that the number is still its own."""
    os.kill(pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(patience):
            await reap(pid)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        await reap(pid)
