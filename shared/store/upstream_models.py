"""What upstreams list as their models: the verbs over the table `upstream_models`.

The sidecar asks and writes; both programs read.
"""

import logging
from collections.abc import Iterable

import msgspec

from shared.config.schema import Upstream
from shared.errors import StoreError
from shared.store.engine import Engine, Statement

__all__ = (
    "Listing",
    "forget_listing",
    "keep_listing",
    "listed_models",
    "listings",
    "upstreams_with_listing",
)

_COLUMNS = "upstream, endpoint, asked_at, listed_at, models, fault, status"
_log = logging.getLogger("thinkback.books")


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking one upstream for its models."""

    upstream: str
    endpoint: str
    """Where its requests go: a list of another endpoint tells nothing of this one."""

    asked_at: int
    """When it was asked last, epoch milliseconds."""

    listed_at: int | None
    """When it last gave a list; None: never."""

    models: tuple[str, ...] = ()
    """That list."""

    fault: str = ""
    """Why the last attempt failed, as a person reads it; empty: it did not."""

    status: int = 0
    """The HTTP status of the failure; 0: there was no response."""

    @property
    def has_no_list(self) -> bool:
        """Whether it works as far as is known, but lists nothing: some providers don't."""
        return self.status in (404, 405)


def listings(engine: Engine, upstreams: Iterable[Upstream]) -> dict[str, Listing]:
    """Return what is known of these upstreams, by name, where they are now.

    Nothing while the table is damaged: what is configured works all the same.
    """
    try:
        rows = engine.read(f"SELECT {_COLUMNS} FROM upstream_models")  # noqa: S608 - ours
    except StoreError as error:
        _log.warning("What upstreams list as their models can't be read (%s).", error)
        return {}
    found = {
        (row[0], row[1]): Listing(
            upstream=row[0],
            endpoint=row[1],
            asked_at=row[2],
            listed_at=row[3],
            models=msgspec.json.decode(row[4], type=tuple[str, ...]),
            fault=row[5],
            status=row[6],
        )
        for row in rows
    }
    wanted = ((upstream.name, upstream.endpoint) for upstream in upstreams)
    return {name: found[name, at] for name, at in wanted if (name, at) in found}


def listed_models(engine: Engine, upstreams: Iterable[Upstream]) -> dict[str, tuple[str, ...]]:
    """Return the models that clients may request because the upstreams list them, by upstream.

    None of Azure's: it lists what could be deployed, while requests name deployments
    (https://learn.microsoft.com/rest/api/azureopenai/models/list).
    """
    asked = [upstream for upstream in upstreams if not upstream.is_azure]
    return {name: listing.models for name, listing in listings(engine, asked).items()}


def upstreams_with_listing(engine: Engine) -> set[str]:
    """Return the names of all upstreams of which something is known."""
    return {name for (name,) in engine.read("SELECT upstream FROM upstream_models")}


def keep_listing(listing: Listing) -> Statement:
    """Record it; a failure (`listed_at` None) keeps the last list of the same endpoint."""
    sql = """
        INSERT INTO upstream_models
            (upstream, endpoint, asked_at, listed_at, models, fault, status)
        VALUES (:upstream, :endpoint, :asked_at, :listed_at, :models, :fault, :status)
        ON CONFLICT (upstream) DO UPDATE SET
            models = CASE
                WHEN excluded.listed_at IS NULL AND upstream_models.endpoint = excluded.endpoint
                THEN upstream_models.models ELSE excluded.models END,
            listed_at = CASE
                WHEN excluded.listed_at IS NULL AND upstream_models.endpoint = excluded.endpoint
                THEN upstream_models.listed_at ELSE excluded.listed_at END,
            endpoint = excluded.endpoint, asked_at = excluded.asked_at,
            fault = excluded.fault, status = excluded.status
    """
    models = msgspec.json.encode(listing.models).decode()
    return sql, msgspec.structs.asdict(listing) | {"models": models}


def forget_listing(upstream: str) -> Statement:
    """Delete what is known of the upstream with this name."""
    return "DELETE FROM upstream_models WHERE upstream = :upstream", {"upstream": upstream}
