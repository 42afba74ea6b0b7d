"""What is measured: the gateway, bare mitmproxy, and what else stands before an upstream."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from shared.config.mitm import find_mitm
from tests.bench.upstream import Upstream
from tests.support.gateway import Gateway, eventually, free_port, upstream_environment

__all__ = ("BARE", "DIRECT", "OURS", "PLAIN_PATH", "SBIN", "Target", "running")

BARE, OURS, PLAIN_PATH, DIRECT = "bare mitmdump", "Thinkback", "plain path", "direct"
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
"""Debian has nginx where only root's PATH looks."""

KEY = "sk-good"
START_SECONDS = 60
"""LiteLLM needs a third of it."""

STREAMING = """
def responseheaders(flow):
    flow.response.stream = True
"""

NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr; events {{ worker_connections 2048; }}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {scheme}://up; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off; client_body_buffer_size 32m; proxy_ssl_verify off;
        }}
    }}
}}
"""

LITELLM = """
model_list:
  - model_name: deepseek-v4-pro
    litellm_params: {{ model: openai/deepseek-v4-pro, api_base: "{base_url}/v1", api_key: {key} }}
litellm_settings: {{ ssl_verify: false, telemetry: false }}
general_settings: {{ master_key: {key} }}
"""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Something that answers chat requests on a port."""

    name: str
    port: int
    key: str = KEY
    serving: psutil.Process | None = None
    """The process whose CPU time is measured; None for the upstream itself."""

    processes: list[psutil.Process] = []
    """All whose memory counts."""

    authority: str = ""
    """Whom clients trust where the port speaks TLS."""

    def cpu_seconds(self) -> float:
        if not self.serving:
            return 0.0
        # By the nanosecond; elsewhere than on Linux by the hundredth of a second.
        threads = Path(f"/proc/{self.serving.pid}/task").glob("*/schedstat")
        if nanoseconds := sum(int(file.read_text().split()[0]) for file in threads):
            return nanoseconds / 1e9
        return float(sum(self.serving.cpu_times()[:2]))

    def memory_mib(self) -> float:
        """The resident set size of all processes: what they share counts for each of them."""
        return sum(float(each.memory_info().rss) for each in self.processes) / 2**20


type _Opener = Callable[[Path, Upstream, bool], AbstractContextManager[Target]]


@contextlib.contextmanager
def running(
    names: list[str], directory: Path, upstream: Upstream, *, tls: bool
) -> Iterator[list[Target]]:
    """The targets of these names, before the upstream's plain port or the one with TLS."""
    with contextlib.ExitStack() as stack:
        targets = []
        for name in names:
            place = directory / f"{name}{' tls' if tls else ''}".replace(" ", "-")
            place.mkdir()
            targets.append(stack.enter_context(OPENERS[name](place, upstream, tls)))
        yield targets


@contextlib.contextmanager
def _direct(directory: Path, upstream: Upstream, tls: bool) -> Iterator[Target]:
    authority = str(upstream.authority) if tls else ""
    yield Target(name=DIRECT, port=upstream.port(tls=tls), authority=authority)


def _bare(directory: Path, upstream: Upstream, tls: bool) -> AbstractContextManager[Target]:
    """mitmdump in reverse mode with nothing but a script that lets answers stream."""
    port, script = free_port(), directory / "streaming.py"
    script.write_text(STREAMING, "utf-8")
    options = [f"confdir={directory}/mitm", "flow_detail=0", "termlog_verbosity=error"]
    mode = f"reverse:{upstream.base_url(tls=tls)}@127.0.0.1:{port}"
    command = [str(Path(sys.executable).with_name("mitmdump")), "--mode", mode, "-s", str(script)]
    for option in [*options, "ssl_insecure=true"]:
        command += ["--set", option]
    return _program(BARE, command, directory, port)


def _nginx(directory: Path, upstream: Upstream, tls: bool) -> AbstractContextManager[Target]:
    port, scheme = free_port(), "https" if tls else "http"
    configuration = NGINX.format(port=port, upstream=upstream.port(tls=tls), scheme=scheme)
    (directory / "nginx.conf").write_text(configuration)
    nginx = shutil.which("nginx", path=SBIN) or "nginx"
    command = [nginx, "-e", "stderr", "-p", str(directory), "-c", "nginx.conf"]
    return _program("nginx", command, directory, port)


def _litellm(directory: Path, upstream: Upstream, tls: bool) -> AbstractContextManager[Target]:
    port = free_port()
    configuration = LITELLM.format(base_url=upstream.base_url(tls=tls), key=KEY)
    (directory / "litellm.yaml").write_text(configuration)
    place = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    command = [f"{os.environ['BENCH_LITELLM']}/bin/litellm", "--config", "litellm.yaml", *place]
    # It would fetch its prices from the network.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    return _program("LiteLLM", command, directory, port, environment)


@contextlib.contextmanager
def _program(
    name: str,
    command: list[str],
    directory: Path,
    port: int,
    environment: Mapping[str, str] = {},
) -> Iterator[Target]:
    """One program of one process, until it listens at the port."""
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    known = psutil.Process(process.pid)
    try:
        if not eventually(lambda: _listens(known, port), START_SECONDS):
            raise RuntimeError(f"{name} did not start: {(directory / 'log').read_text()[-2000:]}")
        yield Target(name=name, port=port, serving=known, processes=[known])
    finally:
        process.kill()
        process.wait()


def _listens(process: psutil.Process, port: int) -> bool:
    return any(each.laddr.port == port for each in process.net_connections("tcp"))


@contextlib.contextmanager
def _gateway(
    directory: Path, upstream: Upstream, tls: bool, *, plain_path: bool = False
) -> Iterator[Target]:
    """The gateway as a user starts it, with one upstream."""
    trusting = f'[options]\nssl_verify_upstream_trusted_ca = "{upstream.authority}"\n'
    text = find_mitm().read_text("utf-8").replace("[options]\n", trusting)
    (directory / "mitm.toml").write_text(text, "utf-8")
    environment = upstream_environment(upstream.base_url(tls=tls), KEY)
    if plain_path:
        environment["THINKBACK_PLAIN_PATH"] = "1"
    with Gateway(directory, environment) as gateway:
        yield Target(
            name=PLAIN_PATH if plain_path else OURS,
            port=gateway.port,
            key=gateway.new_user("bench"),
            serving=gateway.data_plane(),
            processes=gateway.processes(),
        )


@contextlib.contextmanager
def _plain_path(directory: Path, upstream: Upstream, tls: bool) -> Iterator[Target]:
    with _gateway(directory, upstream, tls, plain_path=True) as target:
        yield target


OPENERS: dict[str, _Opener] = {
    BARE: _bare,
    OURS: _gateway,
    PLAIN_PATH: _plain_path,
    DIRECT: _direct,
    "nginx": _nginx,
    "LiteLLM": _litellm,
}
