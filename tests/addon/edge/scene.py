"""A real gateway without sockets whose database other programs write to, and lines to it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pysqlite3

from addon.edge import http1
from addon.edge.gateway import Gateway
from tests.addon.edge.conftest import add_key, make_node
from tests.addon.edge.line import Clock, Line

__all__ = ("Heard", "Scene")


class Scene:
    """A real gateway, and lines to it."""

    def __init__(self, folder: Path, options: object, *, watched: bool = False) -> None:
        http1.install()
        self.clock = Clock()
        self.node = make_node(folder, self.clock)
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
