"""A proxy in front of a gateway that does what a badly set-up one does."""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import msgspec

__all__ = ("Meddler", "Page", "Passed")


class Page(msgspec.Struct, frozen=True):
    """An answer that the proxy gives by itself."""

    status: int
    body: bytes = b"<html>It works!</html>"
    headers: dict[str, str] = {}


class Passed(msgspec.Struct):
    """A request on its way to the gateway, which may be changed there."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


type Meddle = Callable[[Passed], Page | None]
"""Changes a request, or answers it."""


class Meddler:
    """Passes requests on to a port of this machine, but for what `meddle` does with them, and
    answers at once or, when it `buffers`, as a whole; use as a context manager.
    """

    def __init__(self, to: int, meddle: Meddle = lambda _: None, *, buffers: bool = False) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(to, meddle, buffers))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port = self._server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(to: int, meddle: Meddle, buffers: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            length = int(self.headers.get("content-length", 0))
            passed = Passed(
                self.command, self.path, dict(self.headers.items()), self.rfile.read(length)
            )
            if page := meddle(passed):
                self.answer(page.status, page.headers)
                self.wfile.write(page.body)
                return
            gateway = http.client.HTTPConnection("127.0.0.1", to, timeout=30)
            gateway.request(passed.method, passed.path, passed.body, passed.headers)
            response = gateway.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            kept = {name: named[name] for name in named.keys() - {"transfer-encoding"}}
            if buffers:
                body = response.read()
                self.answer(response.status, kept)
                self.wfile.write(body)
            else:
                self.answer(response.status, kept)
                while piece := response.read1():
                    self.wfile.write(piece)
            gateway.close()

        def answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response_only(status)
            for name, value in {**headers, "connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # one for each method
                return self.pass_on
            raise AttributeError(name)

    return Handler
