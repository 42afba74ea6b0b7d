"""The bodies of the routes over the installation."""

import msgspec

__all__ = (
    "DatabaseView",
    "Health",
    "HealthReport",
    "NodeView",
    "ProblemView",
    "PublicConfig",
    "UpstreamState",
)


class PublicConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Public settings."""

    allow_registration: bool
    invite_needed: bool
    """Whether registering requires an invite code."""

    public_url: str
    version: str


class WorkerView(msgspec.Struct, frozen=True):
    """One of several data planes that share the port."""

    name: str
    pid: int
    started_at: int
    """Epoch milliseconds."""


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """The response of a working program."""

    status: str
    pid: int | None = None
    """Of what started both programs, for callers on this machine."""

    url: str = ""
    """Where the gateway answers, for the same."""

    workers: list[WorkerView] = []
    """What serves it there where several do, for the same."""


class DatabaseView(msgspec.Struct, frozen=True, kw_only=True):
    """The database file."""

    bytes: int
    wal_bytes: int
    """Of the write-ahead log beside it."""

    integrity: str | None
    """`ok`, or what is damaged; null: not checked."""


class RecallView(msgspec.Struct, frozen=True, kw_only=True):
    """The remembered reasoning."""

    turns: int
    bytes: int
    """What they take in the database."""

    max_bytes: int
    """What they may take."""

    max_age_days: int
    """Turns that were not used for longer are forgotten."""

    oldest_at: int | None
    """When the turn that was unused for the longest time was last used, epoch milliseconds;
    null: there is none.
    """

    days_fitting: int | None
    """How many days of work fit in `max_bytes`, at the pace of the last week; null: not known
    before the first day is over.
    """


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A data plane that runs or ran within the last day."""

    node: str
    worker: str
    """Its name among those that share a port, like `worker 2`; empty for one alone."""

    version: str
    started_at: int
    seen_at: int
    """Epoch milliseconds, as above."""

    alive: bool


class UpstreamState(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream answered when it was last asked for its models."""

    name: str
    works: bool
    """Whether all of its keys do; also true if it only has no list of models."""

    message: str
    """What is wrong, or that it has no list; else empty."""

    models: int
    """How many its last list has."""

    asked_at: int
    """Epoch milliseconds."""


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """A fault in the configuration, which is therefore not applied."""

    key: str
    message: str
    source: str
    """The file's path, `environment` or `database`."""

    line: int | None
    """Line of the file."""


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the installation."""

    versions: dict[str, str]
    uptime_seconds: int
    """Of the sidecar."""

    database: DatabaseView
    recall: RecallView
    nodes: list[NodeView]
    """The most recently seen first."""

    upstreams: list[UpstreamState]
    """Those that were asked for their models; `[models] refresh_seconds` says how often."""

    problems: list[ProblemView]
    risks: list[str]
    """What is less safe than it could be, as sentences."""

    last_settled_at: int | None
    """When the last exchange entered the ledger, epoch milliseconds; null: never."""
