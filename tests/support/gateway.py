"""The real gateway, started as a user would start it, on free ports and in a directory of
its own.
"""

import atexit
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import IO, NamedTuple, Self

import psutil  # type: ignore[import-untyped]
import tomlkit

from manage_api.domains.users.service import open_account
from shared.clock import SystemClock
from shared.security.passwords import hash_password
from shared.store import open_engine
from tests.support.database import place_database

__all__ = (
    "ADMIN_PASSWORD",
    "THINKBACK",
    "Gateway",
    "Served",
    "eventually",
    "free_port",
    "listener",
    "upstream_environment",
    "upstream_table",
)

THINKBACK = Path(sys.executable).with_name("thinkback")
ADDON = Path(__file__).parents[2] / "addon" / "main.py"
ADMIN_PASSWORD = "correct horse battery staple"
START_SECONDS = 60
SAYS_SO = " is running.\n"
"""How the launcher says that both programs work; either may be the first to."""

STOP_SECONDS = 60

_running: set["Gateway"] = set()
_given: set[int] = set()
"""Ports."""


@atexit.register
def _kill_all() -> None:
    for gateway in list(_running):
        gateway.kill()


@cache
def _hashed(password: str) -> str:
    """Hashed once in each test process: it takes a fifth of a second of CPU."""
    return hash_password(password)


def _measured() -> dict[str, str]:
    """What has a program measure which branches it takes, where the tests are measured."""
    return {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_PROCESS")}


def _path() -> dict[str, str]:
    """By whose connections upstreams are asked, where the tests are run for that."""
    return {name: text for name, text in os.environ.items() if name == "THINKBACK_PLAIN_PATH"}


def _serves(process: psutil.Process) -> bool:
    """Whether clients are served by it, if it has not ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()[-1:] == [str(ADDON)]
    return False


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now, that the kernel gives to nobody who
    asks for any, and that this process has not been given before.
    """
    while True:
        port = SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it holds within that time, asked again and again: at first often, as most need next
    to no time, and at last long, as the machine may be busy.
    """
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not (held := holds()) and time.monotonic() < deadline:
        threading.Event().wait(pause)
        pause = min(2 * pause, 0.05)
    return held


def listener(port: int, processes: Iterable[psutil.Process]) -> psutil.Process:
    """The one of the processes that listens on the port."""
    return next(
        p
        for p in processes
        if any(c.laddr.port == port for c in p.net_connections("tcp") if not c.raddr)
    )


def upstream_environment(base_url: str, key: str = "sk-good") -> dict[str, str]:
    """The environment that configures one upstream."""
    return {"UPSTREAM_BASE_URL": base_url, "UPSTREAM_API_KEY": key}


def upstream_table(name: str, base_url: str, **members: object) -> str:
    """The `[[upstreams]]` of a `config.toml`; it has the key `sk-good` unless the members say otherwise."""
    return tomlkit.dumps(
        {"upstreams": [{"name": name, "base_url": base_url, "api_keys": ["sk-good"]} | members]}
    )


class Gateway:
    """`thinkback up` with its working directory, environment and log; use as a context manager.

    `environment` is added to a bare one, `arguments` to the command; `config` becomes
    `config.toml` in the directory. The database and ports stay the same over restarts. The
    first account is there already, as making it takes a start a quarter of a second of CPU, unless
    this is the gateway's `first` start or the environment says where or who that is.
    `program` is another installation's `thinkback`.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        *,
        config: str = "",
        arguments: tuple[str, ...] = (),
        program: Path = THINKBACK,
        first: bool = False,
    ) -> None:
        self.directory = directory
        self._program = program
        self._arguments = arguments
        self.port = free_port()
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starts_before = 0
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "LISTEN_ADDR": f"127.0.0.1:{self.port}",
            "ADMIN_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
            "DATABASE_URL": f"sqlite:{directory}/adapter.db?mode=rwc",
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "LOG_COLOR": "never",
            # Upstreams of tests count what is asked of them.
            "MODELS_REFRESH_SECONDS": "0",
            **_measured(),
            **_path(),
            **(environment or {}),
        }
        if config:
            (directory / "config.toml").write_text(config, "utf-8")
        if not first and not {"DATABASE_URL", "ADMIN_PASSWORD"} & (environment or {}).keys():
            place_database(directory / "adapter.db", ADMIN_PASSWORD)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a user enters into a client."""
        return f"{self.origin}/v1"

    @property
    def log(self) -> str:
        """Everything both programs wrote, over all starts."""
        return (self.directory / "gateway.log").read_text("utf-8", "replace")

    def processes(self) -> list[psutil.Process]:
        """The launcher and everything it started."""
        if not self._process or self._process.poll() is not None:
            return []
        launcher = psutil.Process(self._process.pid)
        return [launcher, *launcher.children(recursive=True)]

    def data_plane(self) -> psutil.Process:
        """The process that serves clients, the latest while an earlier one still leaves."""
        return max(self.data_planes(), key=psutil.Process.create_time)

    def data_planes(self) -> list[psutil.Process]:
        """All that serve clients, or end what they are answering."""
        return [one for one in self.processes() if _serves(one)]

    def start(self) -> None:
        """Start and return when both programs work; raises RuntimeError with the log when they
        do not within a minute.
        """
        self._log = (self.directory / "gateway.log").open("ab")
        self._starts_before = self.log.count(SAYS_SO)
        self._process = subprocess.Popen(
            [self._program, "up", *self._arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(self)
        self._await_ready(self._process)

    def kill(self) -> None:
        """`kill -9` for every process of the gateway; idempotent."""
        if not self._process:
            return
        stragglers = self.processes()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in stragglers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap()

    def stop(self) -> int:
        """Ctrl-C: interrupt the process group and return the launcher's exit status."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def restart(self) -> None:
        """Kill without warning and start again on what is on disk."""
        self.kill()
        self.start()

    def new_user(self, name: str) -> str:
        """Make an account beside the programs, as the command-line tool does; its virtual key."""
        with contextlib.closing(open_engine(self.environment["DATABASE_URL"])) as engine:
            return open_account(
                engine,
                username=name,
                password_hash=_hashed(f"{name} has a long password"),
                role="user",
                now=SystemClock().now_ms(),
            )[1]

    def thinkback(self, *arguments: str) -> str:
        """Run a command of the tool in the gateway's environment; what it printed."""
        done = subprocess.run(
            [self._program, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"thinkback {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(START_SECONDS * 20):
            if self._is_ready():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
                break
        log = self.log
        self.kill()
        raise RuntimeError(f"the gateway was not ready within {START_SECONDS} s; its log:\n{log}")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            works = connection.getresponse().status == 200
            return works and self.log.count(SAYS_SO) > self._starts_before
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _reap(self) -> None:
        assert self._process
        assert self._log
        self._process.wait(STOP_SECONDS)
        self._log.close()
        self._process = None
        _running.discard(self)


class Served[Upstream](NamedTuple):
    """A gateway and its one upstream."""

    gateway: Gateway
    upstream: Upstream
