"""What the doctor looks at."""

import msgspec

from shared.clock import Clock
from shared.config.schema import Snapshot
from shared.store.engine import Engine

__all__ = ("Installation",)


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """An installation, as the programs see it."""

    snapshot: Snapshot
    store: Engine
    """Open on the thread of the doctor's loop."""

    secret: bytes
    clock: Clock
    version: str
    """Of what is installed now."""

    live: bool = False
    """Whether upstreams are asked for answers, which costs a few tokens."""

    connect_to: str = ""
    """The address to ask in the place of the public one; empty: what its name resolves to."""
