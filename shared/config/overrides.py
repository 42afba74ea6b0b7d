"""What the database holds of the configuration: settings and upstreams that were made in
the web pages.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.config.schema import Upstream
from shared.errors import Problem

__all__ = ("EDITABLE", "DatabaseUpstream", "Overrides")

EDITABLE: Mapping[str, str] = {
    "server.public_url": (
        "The address under which the outside reaches Thinkback, shown in instructions."
    ),
    "logging.level": "How much is logged.",
    "logging.body_max_chars": "How much of a body is logged at level debug, in characters.",
    "logging.message_max_chars": "How much of a message is logged at level debug, in characters.",
    "recall.max_age_days": "How long reasoning is remembered, in days.",
    "recall.max_mib": "How much reasoning is kept in the database, in MiB; the oldest goes first.",
    "registration.allowed": (
        "Whether people may make an account by themselves. "
        "Unless it is set, they may only while this machine alone reaches Thinkback."
    ),
    "registration.quota_tokens": (
        "How many tokens such an account may use until an admin grants more."
    ),
    "registration.invite_codes": "When there are any, registering takes one of these codes.",
    "tiers.small_model": "The model that stands for Claude's small ones (haiku); empty: none does.",
    "tiers.small_effort": "How hard it is to think; empty: as the client says.",
    "tiers.big_model": (
        "The model that stands for Claude's big ones (sonnet, opus, fable); empty: none does."
    ),
    "tiers.big_effort": "How hard it is to think; empty: as the client says.",
    "ledger.max_age_days": "How long single exchanges are listed, in days; the sums per day stay.",
    "audit.mode": (
        "What is kept of what users ask: nothing, the last user message, or the whole "
        "conversation too."
    ),
    "audit.max_age_days": "How long it is kept, in days.",
    "audit.max_mib": "How much of it is kept in the database, in MiB; the oldest goes first.",
    "responses.max_age_days": (
        "How long the answers of Responses clients are stored, in days; 0: not at all."
    ),
    "responses.max_mib": (
        "How much of them is stored in the database, in MiB; the oldest goes first."
    ),
}
"""The settings the database may hold, and what they are for. None of them opens a way in."""


class DatabaseUpstream(Upstream, frozen=True, kw_only=True, dict=True):
    """An upstream from the database."""

    id: int

    @property
    def guarded(self) -> bool:
        return True


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of the database's layer, still to be held against the rest of the
    configuration.
    """

    settings: Mapping[str, Any] = {}
    """Plain values by dotted name."""

    upstreams: tuple[DatabaseUpstream, ...] = ()
    """In their order."""

    problems: tuple[Problem, ...] = ()
    """Of rows that could not be read."""
