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
