"""What the routes over exchanges give."""

from typing import Self

import msgspec

from manage_api.domains.usage.schemas import Usage
from shared.store.ledger import Entry
from shared.store.reports import Health, Try, TurnNote, read_details

__all__ = ("ConversationView", "Overview", "RequestView", "UpstreamHealth")


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange."""

    id: int | None
    """Null: it runs."""

    exchange: str
    at: int
    """When the request came, epoch milliseconds."""

    user_id: int | None
    """Null: the caller showed an upstream's own key."""

    username: str
    key_id: int | None
    key_suffix: str
    format: str
    model: str
    """The one that was asked for."""

    upstream: str
    upstream_key: str
    """`…` and its last four characters."""

    upstream_model: str
    streamed: bool
    status: int
    """HTTP status of the answer; 0: there was none."""

    error_class: str
    """Empty when all went well."""

    attempts: int
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    """Part of the completion tokens."""

    cached_tokens: int
    """Part of the prompt tokens."""

    estimated: bool
    """The upstream did not count: the tokens are a guess."""

    cost_micros: int | None
    """Millionths of a US dollar; null: nobody knows the price."""

    first_byte_ms: int | None
    duration_ms: int
    restored: int
    """Turns that got their reasoning back."""

    missing: int
    """Turns whose reasoning was not found."""

    client: str
    user_agent: str
    conversation: str
    """The one it belongs to; empty: not known."""

    tries: tuple[Try, ...]
    turns: tuple[TurnNote, ...]
    """How each replayed turn was resolved."""

    notes: tuple[str, ...]
    """What of the request the upstream did not get, in sentences."""

    policy: str
    """The upstream's profile, and what is done for turns whose reasoning is not known."""

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
            notes=details.notes,
            policy=details.policy,
        )


class ConversationView(Usage, frozen=True, kw_only=True):
    """What the requests of one conversation used together."""

    conversation: str
    user_id: int
    """0: the caller showed an upstream's own key."""

    username: str
    model: str
    """The one that was asked for last."""

    upstream: str
    """Of the latest request, as the next two."""

    upstream_model: str
    user_agent: str
    first_at: int
    """When the first request came, epoch milliseconds."""

    last_at: int


class UpstreamHealth(Health, frozen=True, kw_only=True):
    """How an upstream did lately."""

    error_rate: float
    """Failures per request."""

    restore_rate: float | None
    """Turns that got their reasoning back per turn that needed it; null: none did."""

    @classmethod
    def of(cls, health: Health) -> Self:
        needed = health.restored + health.missing
        return cls(
            **msgspec.structs.asdict(health),
            error_rate=health.failures / health.requests,
            restore_rate=health.restored / needed if needed else None,
        )


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway does."""

    minutes: int
    """What `upstreams` look back on."""

    running: int
    """Exchanges under way."""

    upstreams: list[UpstreamHealth]


def _masked(key: str) -> str:
    """No more of it than its end, whatever was written."""
    return f"…{key[-4:]}" if key else ""
