"""Starts: many at once (F16), with a broken configuration (F18), and insecure ones (F20)."""

import logging
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from shared.config.load import load
from shared.config.watch import Watch
from shared.errors import ConfigError
from shared.store.migrations import migrate, step_names
from shared.store.sqlite import connect
from tests.harden.figure import Figure, at_scale
from tests.shared.processes import run_together, start
from tests.shared.store.earlier import restore
from tests.support.gateway import free_port

__all__ = ("figures",)

ROOT = Path(__file__).parents[2]
THINKBACK = Path(sys.executable).with_name("thinkback")
OPEN = "import sys; from shared.store import open_engine; begin(); open_engine(sys.argv[1]).close()"
EXAMPLE = (ROOT / "config.example.toml").read_text("utf-8")
SETTINGS = "\n".join(
    line
    for line in re.sub(r"(?m)^#(?=[\[a-z])", "", EXAMPLE).splitlines()
    if not line.startswith(("small_", "big_", "profile ", "#"))
)
"""The example with its settings in force, but those that are empty by default."""


DAMAGE = '\0\x7f"[='
VALUES = (
    *("-1", "9e99", "nan", "[]", '""', "true", '"0.0.0.0:0"', "[[]]", "{}", "1979-05-27", "7"),
    *("99999999999999999999", r'"x\u0000"', "'''", '["a", 1]', '"http://"', r'"\\"'),
)
"""What somebody might write where something else belongs."""


def figures() -> Iterable[Figure]:
    yield _at_once()
    yield _killed_while_migrating()
    yield _mutated()
    yield _insecure()


def _at_once() -> Figure:
    processes, rounds = at_scale((4, 1), (20, 5), (20, 20))
    faults = 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "data", "adapter.db")
            try:
                run_together(processes, OPEN, f"sqlite:{path}")
            except AssertionError:
                faults += 1
            faults += _steps(path) != step_names()
    scale = f"{processes} programs that start at once, {rounds} times"
    return Figure("F16", scale, f"{faults} faults", "0", not faults)


def _killed_while_migrating() -> Figure:
    kills = at_scale(2, 20, 50)
    faults, chance = 0, random.Random(16)
    code = "import sys; from shared.store import open_engine; open_engine(sys.argv[1]).close()"
    for _ in range(kills):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "adapter.db")
            restore(step_names()[0], path)
            with start(code, f"sqlite:{path}") as process:
                time.sleep(chance.uniform(0, 0.4))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            migrate(path)
            faults += _steps(path) != step_names()
    scale = f"SIGKILL while a database is migrated, {kills} times"
    return Figure(
        "F16", scale, f"{faults} that did not complete at the next start", "0", not faults
    )


def _steps(path: Path) -> list[str]:
    with closing(connect(path)) as connection:
        rows = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
        sound = connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    return [name for (name,) in rows] if sound else []


def _mutated() -> Figure:
    """At the start every mutation is refused with its key's name or taken; at a reload the old
    configuration stays.
    """
    count, chance = at_scale(100, 500, 5000), random.Random(18)
    faults = refused = 0
    logging.getLogger("thinkback.config").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.toml")
        path.write_text(SETTINGS, "utf-8")
        load({"CONFIG_PATH": str(path)})
        for _ in range(count):
            path.write_text("[server]\nmax_body_mib = 7\n", "utf-8")
            environ = {"CONFIG_PATH": str(path)}
            watch = Watch(environ)
            path.write_bytes(_mutation(chance))
            try:
                load(environ)
            except ConfigError as error:
                refused += 1
                faults += not all(problem.key and problem.message for problem in error.problems)
                os.utime(path, ns=(refused, refused))
                watch.poll()
                faults += watch.snapshot.server.max_body_mib != 7
            except Exception:
                faults += 1
    scale = f"{count:,} mutated config.toml, {refused:,} refused"
    measured = f"{faults} without a key's name, or with another effect"
    return Figure("F18", scale, measured, "0", not faults and refused > count // 4)


def _mutation(chance: random.Random) -> bytes:
    """The settings, with a few of them misspelt, of another value, or damaged."""
    lines = SETTINGS.splitlines()
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        key, equals, value = lines[at].partition(" = ")
        match chance.randrange(4):
            case 0:
                key = key[:-1] + chance.choice("xyz_ ")
            case 1 | 2:
                value = chance.choice(VALUES)
            case _:
                value = value[: chance.randrange(len(value) + 1)] + chance.choice(DAMAGE)
        lines[at] = f"{key}{equals}{value}"
    return "\n".join(lines).encode()


def _insecure() -> Figure:
    """Each must end at once, with code 1 or 2, and say what to change."""
    cases = list(_insecure_starts())
    passed = [name for name, environ, mitm in cases if not _is_refused(environ, mitm)]
    scale = f"{len(cases)} insecure starts"
    measured = f"{len(cases) - len(passed)} refused{', not: ' if passed else ''}{', '.join(passed)}"
    return Figure("F20", scale, measured, "all", not passed)


def _insecure_starts() -> Iterator[tuple[str, dict[str, str], str]]:
    """Name, environment, and the lines that replace those of `mitm.toml`."""
    here = f"127.0.0.1:{free_port()}"
    public = {"LISTEN_ADDR": f"0.0.0.0:{free_port()}"}
    yield "the sidecar is public", {"ADMIN_LISTEN_ADDR": f"0.0.0.0:{free_port()}"}, ""
    yield "one address for both", {"LISTEN_ADDR": here, "ADMIN_LISTEN_ADDR": here}, ""
    yield "a short JWT_SECRET", {"JWT_SECRET": "short"}, ""
    for password in at_scale(("admin",), ("admin", "password", "123456", "changeme")):
        yield f"{password} on a public listener", public | {"ADMIN_PASSWORD": password}, ""
    yield "everybody is a trusted proxy", {"TRUST": "0.0.0.0/0"}, ""
    yield "an upstream's Host", {"HEADER": "Host"}, ""
    for line in at_scale(
        ("http2 = true",),
        (
            "http2 = true",
            "websocket = true",
            "rawtcp = true",
            "validate_inbound_headers = false",
            "ssl_insecure = true",
            'connection_strategy = "eager"',
            "keep_host_header = false",
            "onboarding = true",
            "flow_detail = 3",
            "store_streamed_bodies = true",
            'termlog_verbosity = "debug"',
            'hardump = "/tmp/x.har"',
            'save_stream_file = "/tmp/x"',
            'proxyauth = "any"',
            'modify_headers = ["/~q/X/y"]',
            'server_replay = ["/tmp/x"]',
        ),
    ):
        yield f"mitmproxy's {line}", {}, line


def _is_refused(environ: dict[str, str], line: str) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "config.toml").write_text(_config(environ), "utf-8")
        if line:
            name = line.partition(" ")[0]
            kept = [
                each
                for each in (ROOT / "mitm.toml").read_text("utf-8").splitlines()
                if not each.startswith(f"{name} ")
            ]
            kept.insert(kept.index("[options]") + 1, line)
            Path(directory, "mitm.toml").write_text("\n".join(kept), "utf-8")
        bare = {
            "PATH": os.environ["PATH"],
            "LISTEN_ADDR": f"127.0.0.1:{free_port()}",
            "ADMIN_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
        }
        try:
            done = subprocess.run(
                [THINKBACK, "up"],
                cwd=directory,
                env=bare | environ,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode in (1, 2) and bool(done.stderr) and "Traceback" not in done.stderr


def _config(environ: dict[str, str]) -> str:
    text = ""
    if network := environ.pop("TRUST", ""):
        text += f'[server]\ntrusted_proxies = ["{network}"]\n'
    if header := environ.pop("HEADER", ""):
        text += (
            f'[[upstreams]]\nname = "a"\nbase_url = "https://a.b"\nheaders = {{{header} = "x"}}\n'
        )
    return text
