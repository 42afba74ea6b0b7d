"""What serves the clients of a cluster, whatever it is made of."""

from contextlib import ExitStack, closing
from pathlib import Path
from signal import Signals
from types import TracebackType
from typing import Protocol, Self

import psutil  # type: ignore[import-untyped]

from shared.store import open_engine
from shared.store.engine import Engine
from tests.support.gateway import Gateway, upstream_environment

__all__ = ("Topology", "Workers")


class Topology(Protocol):
    """Data planes over one database behind one address; a context manager that starts them and
    ends all.
    """

    base_url: str
    """What a client enters; each new connection may lead to any of them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...

    def new_user(self, name: str) -> str:
        """Make an account; its virtual key."""
        ...

    def data_planes(self) -> list[psutil.Process]:
        """All that run, those too that only end what they are answering."""
        ...

    def end(self, one: psutil.Process, how: Signals) -> None:
        """Send one of them a signal that ends it; another one takes its place by itself."""
        ...

    def books(self) -> Engine:
        """The database, as long as it is all there."""
        ...

    @property
    def log(self) -> str: ...


class Workers:
    """Several workers of one machine, which share a port and an SQLite file."""

    def __init__(self, directory: Path, upstream: str, *, workers: int) -> None:
        self._gateway = Gateway(
            directory, upstream_environment(upstream), config=f"[server]\nworkers = {workers}\n"
        )
        self._open = ExitStack()
        self.base_url = self._gateway.base_url

    def __enter__(self) -> Self:
        self._open.enter_context(self._gateway)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._open.close()

    def new_user(self, name: str) -> str:
        return self._gateway.new_user(name)

    def data_planes(self) -> list[psutil.Process]:
        return self._gateway.data_planes()

    def end(self, one: psutil.Process, how: Signals) -> None:
        one.send_signal(how)

    def books(self) -> Engine:
        engine = open_engine(self._gateway.environment["DATABASE_URL"])
        return self._open.enter_context(closing(engine))

    @property
    def log(self) -> str:
        return self._gateway.log
