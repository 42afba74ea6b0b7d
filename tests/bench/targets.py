"""What is measured: the upstream itself, bare mitmproxy before it, and the gateway before it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from tests.support.gateway import Gateway, free_port, listener, upstream_environment

__all__ = ("Target", "bare_mitmdump", "gateway")

STREAMING = """
def responseheaders(flow):
    flow.response.stream = True
"""


class Target(msgspec.Struct, frozen=True):
    """Something that answers chat requests on a port."""

    name: str
    port: int
    key: str
    process: psutil.Process | None
    """None for the upstream, which runs in the bench itself."""

    def cpu_seconds(self) -> float:
        if not self.process:
            return 0.0
        spent = self.process.cpu_times()
        return float(spent.user + spent.system)

    def rss_mib(self) -> float:
        return float(self.process.memory_info().rss) / 2**20 if self.process else 0.0


@contextlib.contextmanager
def bare_mitmdump(directory: Path, upstream_port: int) -> Iterator[Target]:
    """mitmdump in reverse mode with nothing but a script that lets answers stream."""
    port = free_port()
    script = directory / "streaming.py"
    script.write_text(STREAMING, "utf-8")
    mode = f"reverse:http://127.0.0.1:{upstream_port}@127.0.0.1:{port}"
    options = [
        "--set",
        f"confdir={directory}/mitm",
        "--set",
        "flow_detail=0",
        "--set",
        "termlog_verbosity=error",
    ]
    command: list[str | Path] = [
        Path(sys.executable).with_name("mitmdump"),
        "--mode",
        mode,
        "-s",
        script,
        *options,
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield Target("bare", port, "sk-good", _await_listener(process, port))
        finally:
            process.kill()


@contextlib.contextmanager
def gateway(directory: Path, upstream_port: int) -> Iterator[Target]:
    """The gateway as a user starts it, with one upstream."""
    with Gateway(directory, upstream_environment(f"http://127.0.0.1:{upstream_port}")) as running:
        yield Target("gateway", running.port, running.new_user("bench"), running.data_plane())


def _await_listener(process: "subprocess.Popen[bytes]", port: int) -> psutil.Process:
    for _ in range(200):
        with contextlib.suppress(StopIteration):
            return listener(port, [psutil.Process(process.pid)])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise RuntimeError("mitmdump did not start")
