"""The bodies of the routes over exchanges."""

from typing import Self

import msgspec

from manage_api.domains.usage.schemas import Usage
from shared.store.ledger import Entry
from shared.store.reports import Try, TurnNote, read_details
from shared.store.upstream_health import Health

__all__ = ("ConversationView", "Overview", "RequestView", "UpstreamHealth")


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange."""

    id: int | None
    """Null: it is still running."""

    exchange: str
    at: int
    """When the request arrived, epoch milliseconds."""

    user_id: int | None
    """Null: the caller used an upstream's own key."""

    username: str
    key_id: int | None
    key_suffix: str
    format: str
    model: str
    """The requested model."""

    upstream: str
    upstream_key: str
    """`…` and its last four characters."""

    upstream_model: str
    streamed: bool
    status: int
    """HTTP status of the response; 0: there was none."""

    error_class: str
    """Empty on success."""

    attempts: int
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    """Part of the completion tokens."""

    cached_tokens: int
    """Part of the prompt tokens."""

    estimated: bool
    """Whether the tokens are estimates, as the upstream reported none."""

    cost_micros: int | None
    """Millionths of a US dollar; null: the price is unknown."""

    first_byte_ms: int | None
    duration_ms: int
    restored: int
    """Turns that got their reasoning back."""

    missing: int
    """Turns whose reasoning was not found."""

    client: str
    user_agent: str
    conversation: str
    """The conversation it belongs to; empty: unknown."""

    tries: tuple[Try, ...]
    turns: tuple[TurnNote, ...]
    """How each replayed turn was resolved; of many, those not found and the latest."""

    rules: dict[str, int]
    """How many replayed turns each rule resolved."""

    notes: tuple[str, ...]
    """What was removed from or changed in the request, in sentences."""

    policy: str
    """The upstream's profile, and how it treats turns without known reasoning."""

    @classmethod
    def of(cls, number: int | None, entry: Entry) -> Self:
        fields = msgspec.structs.asdict(entry)
        del fields["details"]
        details = read_details(entry)
        return cls(
            **fields | {"upstream_key": _masked(entry.upstream_key)},
            id=number,
            tries=tuple(
                msgspec.structs.replace(each, key=_masked(each.key)) for each in details.tries
            ),
            turns=details.turns,
            rules=details.counts,
            notes=details.notes,
            policy=details.policy,
        )


class ConversationView(Usage, frozen=True, kw_only=True):
    """The total usage of one conversation."""

    conversation: str
    user_id: int
    """0: the caller used an upstream's own key."""

    username: str
    model: str
    """The model of the latest request."""

    upstream: str
    """Of the latest request, like the next two."""

    upstream_model: str
    user_agent: str
    first_at: int
    """When the first request arrived, epoch milliseconds."""

    last_at: int


class UpstreamHealth(Health, frozen=True, kw_only=True):
    """How an upstream has done recently."""

    error_rate: float
    """Failures per request."""

    restore_rate: float | None
    """The share of turns whose reasoning was restored; null: none needed it."""

    @classmethod
    def of(cls, health: Health) -> Self:
        restore_rate = None
        if needed := health.restored + health.missing:
            restore_rate = health.restored / needed
        return cls(
            **msgspec.structs.asdict(health),
            error_rate=health.failures / health.requests,
            restore_rate=restore_rate,
        )


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway is doing."""

    minutes: int
    """The period that `upstreams` covers."""

    running: int
    """Exchanges under way."""

    upstreams: list[UpstreamHealth]


def _masked(key: str) -> str:
    """Mask the key, even if the whole of it was stored."""
    return f"…{key[-4:]}" if key else ""
