"""A gateway in this process, run by mitmdump as a user's is, and a thread that plays its client and
its upstream in turn: each sends when the gateway has nothing more to do, so that a replay takes the
same steps each time.
"""

import asyncio
import gc
import os
import select
import socket
import ssl
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any
from urllib.request import urlopen

from mitmproxy import ctx
from mitmproxy.tools.main import mitmdump

from addon.edge import plan
from manage_api.domains.users.service import open_account
from shared.clock import SystemClock
from shared.config.mitm import find_mitm, load_mitm
from shared.store import open_engine
from tests.support.database import place_database
from tests.support.gateway import ADDON, eventually, free_port, upstream_environment
from tests.support.tls import make_certificate

__all__ = ("Stage", "file_of", "on_stage", "with_gateway")

ROOT = f"{Path(__file__).parents[2]}/"

ROUNDS = 20
"""Of the loop, after which what was ready is done, and what followed from it."""

PIECE = 32 * 1024
"""Bytes of a long request that are sent at once: less than anybody reads at once."""

WAIT_SECONDS = 30


class Stage:
    """What the thread plays with; the gateway is ready."""

    def __init__(
        self, port: int, key: str, listener: socket.socket, context: ssl.SSLContext
    ) -> None:
        self.key = key
        self._address = ("127.0.0.1", port)
        self._listener = listener
        self._context = context
        self._upstreams: list[ssl.SSLSocket] = []
        self._by_code: defaultdict[CodeType, int] = defaultdict(int)
        self._gateway: Any = ctx.master.addons.get("gateway")
        # What the clock decides would be counted wherever it falls: the work of each second, and
        # where long work is cut.
        self._on_loop(ctx.master.addons.get("lifecycle")._ticking.cancel)
        plan.SLICE_SECONDS = WAIT_SECONDS

    # -- counting ----------------------------------------------------------------------------------

    def calls(self) -> Counter[str]:
        """Python calls of the gateway's thread so far, when all that was begun is done, by the file
        of what was called.
        """
        self._gateway._node.engine.flush()
        self.settle()
        by_file: Counter[str] = Counter()
        for code, count in list(self._by_code.items()):
            by_file[file_of(code.co_filename)] += count
        return by_file

    def blocks(self) -> int:
        """Blocks that are allocated in this process, without garbage."""
        self._gateway._node.engine.flush()
        self.settle()
        self._on_loop(gc.collect)
        return sys.getallocatedblocks()

    def count(self) -> None:
        """Begin to count calls."""
        self._on_loop(lambda: sys.setprofile(self._note))

    def settle(self) -> None:
        """Wait until the gateway has nothing more to do."""
        asyncio.run_coroutine_threadsafe(_some_rounds(), ctx.master.event_loop).result(WAIT_SECONDS)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            self._by_code[frame.f_code] += 1

    def _on_loop(self, work: Callable[[], object]) -> None:
        async def done() -> None:
            work()

        asyncio.run_coroutine_threadsafe(done(), ctx.master.event_loop).result(WAIT_SECONDS)

    # -- the client --------------------------------------------------------------------------------

    def connect(self) -> socket.socket:
        client = socket.create_connection(self._address, timeout=WAIT_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def send(self, client: socket.socket, message: bytes) -> None:
        """Send a request, piece by piece."""
        for at in range(0, len(message), PIECE):
            client.sendall(message[at : at + PIECE])
            self.settle()

    def receive(self, peer: socket.socket, until: bytes) -> bytes:
        """What comes until these bytes have come."""
        received = b""
        while until not in received:
            piece = peer.recv(65536)
            if not piece:
                raise RuntimeError(f"the connection ended after {received!r}")
            received += piece
        return received

    def receive_answer(self, client: socket.socket) -> bytes:
        """A whole answer that says how long it is."""
        received = self.receive(client, b"\r\n\r\n")
        while len(received) < _length(received):
            received += client.recv(65536)
        return received

    # -- the upstream ------------------------------------------------------------------------------

    def take(self) -> ssl.SSLSocket:
        """The connection on which a whole request has come."""
        while True:
            ready, _, _ = select.select([self._listener, *self._upstreams], [], [], WAIT_SECONDS)
            if not ready:
                raise RuntimeError("the upstream was not asked")
            if self._listener in ready:
                self._accept()
            for upstream in list(self._upstreams):
                if upstream in ready and self._has_asked(upstream):
                    return upstream

    def _accept(self) -> None:
        accepted, _ = self._listener.accept()
        accepted.settimeout(WAIT_SECONDS)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._upstreams.append(self._context.wrap_socket(accepted, server_side=True))

    def _has_asked(self, upstream: ssl.SSLSocket) -> bool:
        received = bytearray()
        wanted = 0
        while not wanted or len(received) < wanted:
            piece = _received(upstream)
            if not piece:
                self._upstreams.remove(upstream)
                upstream.close()
                return False
            received += piece
            wanted = wanted or _length(bytes(received))
        return True


def on_stage[T](play: Callable[[Stage], T]) -> T:
    """Run a gateway whose upstream speaks TLS in this thread, and the play in another; what the
    play came to.
    """
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        directory = Path(folder)
        authority = directory / "authority.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(make_certificate(directory, authority))
        base_url = f"https://localhost:{listener.getsockname()[1]}"

        def staged(port: int, key: str) -> T:
            return play(Stage(port, key, listener, context))

        return with_gateway(directory, base_url, authority, staged)


def with_gateway[T](
    directory: Path, base_url: str, authority: Path, play: Callable[[int, str], T]
) -> T:
    """Run a gateway with this upstream in this thread, which has to be the main one, and the play
    in another, with the gateway's port and a key; what the play came to.
    """
    port, key, outcome = free_port(), _prepare(directory, base_url), Queue[T | BaseException]()

    def played() -> None:
        try:
            if not eventually(lambda: _is_ready(port), WAIT_SECONDS):
                raise RuntimeError("the gateway was not ready")
            outcome.put(play(port, key))
        except BaseException as error:
            outcome.put(error)
        finally:
            ctx.master.event_loop.call_soon_threadsafe(ctx.master.shutdown)

    thread = threading.Thread(target=played)
    thread.start()
    mitmdump(_arguments(directory, port, authority))
    thread.join()
    result = outcome.get()
    if isinstance(result, BaseException):
        raise result
    return result


def _prepare(directory: Path, base_url: str) -> str:
    """Set the environment and make a user; its key."""
    url = f"sqlite:{directory}/adapter.db?mode=rwc"
    os.environ |= upstream_environment(base_url) | {
        "DATABASE_URL": url,
        "CONFIG_PATH": str(directory / "config.toml"),
        "LOG_COLOR": "never",
        "MODELS_REFRESH_SECONDS": "0",
    }
    (directory / "config.toml").touch()
    place_database(directory / "adapter.db")
    with closing(open_engine(url)) as engine:
        now = SystemClock().now_ms()
        return open_account(engine, username="a", password_hash="-", role="user", now=now)[1]


def _arguments(directory: Path, port: int, authority: Path) -> list[str]:
    settings = load_mitm(find_mitm())
    words = settings.arguments(f"127.0.0.1:{port}", web=False, confdir=directory / "mitmproxy")
    trusting = f"ssl_verify_upstream_trusted_ca={authority}"
    return [*words, "--set", trusting, "-s", str(ADDON)]


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=WAIT_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _received(upstream: ssl.SSLSocket) -> bytes:
    """What has come; nothing when the connection has ended, in whatever way."""
    try:
        return upstream.recv(65536)
    except OSError:
        return b""


async def _some_rounds() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


@cache
def file_of(path: str) -> str:
    """The file of a module below the folder that it is imported from."""
    for folder in ("/site-packages/", f"/python{sys.version_info[0]}.{sys.version_info[1]}/", ROOT):
        _, found, name = path.partition(folder)
        if found:
            return name
    return path


def _length(received: bytes) -> int:
    """Bytes of the request, or 0 where its head has not come."""
    head, found, _ = received.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if found and name.lower() == b"content-length":
            return len(head) + 4 + int(value)
    return 0
