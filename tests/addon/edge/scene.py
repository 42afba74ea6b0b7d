"""A real gateway without sockets whose database other programs write to, and lines to it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3
from mitmproxy import http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http import GetHttpConnection, _events
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted as Connected

from addon.edge import http1
from addon.edge.gateway import Gateway
from addon.edge.http1 import Tick
from addon.edge.stream import CutOff
from shared.store import open_engine
from shared.store.engine import Engine
from tests.addon.edge.conftest import add_key, make_node
from tests.addon.edge.line import Clock, Line

__all__ = ("Heard", "Scene", "an_event")


class Scene:
    """A real gateway, and lines to it."""

    def __init__(
        self,
        folder: Path,
        options: object,
        *,
        watched: bool = False,
        open_store: Callable[[str, Any], Engine] = open_engine,
    ) -> None:
        http1.install()
        self.clock = Clock()
        self.node = make_node(folder, self.clock, open_store)
        self.database = folder / "data" / "adapter.db"
        self.key = add_key(self.node)
        self.options = options
        self.gateway = Gateway(self.node)
        self.gateway.watched = watched

    def line(self, *, holds: bool = False) -> Line:
        # What other lines left to be written would keep the database busy.
        self.node.engine.flush()
        return Line(self.gateway, self.clock, self.options, holds=holds)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While another process writes into the database."""
        writer = pysqlite3.connect(str(self.database), isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        yield
        writer.execute("ROLLBACK")
        writer.close()


class Heard(logging.Handler):
    """What the log says of requests and of faults."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "thinkback.request":
            self.lines.append(record.getMessage())
        else:
            self.faults.append(f"{record.getMessage()}: {record.exc_info}")

    def __enter__(self) -> None:
        for name in ("thinkback.request", "thinkback.stream"):
            logging.getLogger(name).addHandler(self)

    def __exit__(self, *_: object) -> None:
        for name in ("thinkback.request", "thinkback.stream"):
            logging.getLogger(name).removeHandler(self)


def an_event(kind: type[events.Event]) -> events.Event:
    """An event of this kind, of the first request."""
    response = http.Response.make(200, b"", {"content-type": "text/event-stream"})
    samples = {
        _events.RequestHeaders: lambda: _events.RequestHeaders(
            1, http.Request.make("POST", "http://x"), False
        ),
        _events.RequestData: lambda: _events.RequestData(1, b"]"),
        _events.RequestTrailers: lambda: _events.RequestTrailers(1, http.Headers()),
        _events.RequestEndOfMessage: lambda: _events.RequestEndOfMessage(1),
        _events.RequestProtocolError: lambda: _events.RequestProtocolError(
            1, "left", _events.ErrorCode.CLIENT_DISCONNECTED
        ),
        Connected: lambda: Connected(
            GetHttpConnection(("x", 1), False, None), (None, "Connect call failed")
        ),
        _events.ResponseHeaders: lambda: _events.ResponseHeaders(1, response),
        _events.ResponseData: lambda: _events.ResponseData(1, b": comment\n\n"),
        _events.ResponseTrailers: lambda: _events.ResponseTrailers(1, http.Headers()),
        _events.ResponseEndOfMessage: lambda: _events.ResponseEndOfMessage(1),
        _events.ResponseProtocolError: lambda: _events.ResponseProtocolError(
            1, "lost", _events.ErrorCode.GENERIC_SERVER_ERROR
        ),
        events.Wakeup: lambda: events.Wakeup(commands.RequestWakeup(0)),
        Tick: Tick,
        CutOff: CutOff,
    }
    return samples[kind]()
