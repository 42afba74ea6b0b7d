"""What the routes over the installation give."""

import msgspec

__all__ = ("DatabaseView", "Health", "HealthReport", "NodeView", "ProblemView", "PublicConfig")


class PublicConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that are no secret."""

    allow_registration: bool
    invite_needed: bool
    """Registering takes an invite code."""

    public_url: str
    version: str


class Health(msgspec.Struct, frozen=True):
    """The answer of a program that works."""

    status: str = "ok"


class DatabaseView(msgspec.Struct, frozen=True, kw_only=True):
    """The database file."""

    bytes: int
    wal_bytes: int
    """Of the write-ahead log beside it."""

    integrity: str | None
    """`ok`, or what is broken; null: not checked this time."""


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A data plane, running or not long dead."""

    node: str
    version: str
    started_at: int
    seen_at: int
    """Epoch milliseconds, as above."""

    alive: bool


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """Something of the configuration that is not in force because it can't be used."""

    key: str
    message: str
    source: str
    """The file's path, `environment` or `database`."""

    line: int | None
    """Of the file."""


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the installation does."""

    versions: dict[str, str]
    uptime_seconds: int
    """Of the sidecar."""

    database: DatabaseView
    nodes: list[NodeView]
    """The one seen last first."""

    problems: list[ProblemView]
    last_settled_at: int | None
    """When the last exchange was entered into the ledger, epoch milliseconds; null: there
    is none.
    """
