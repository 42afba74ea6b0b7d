"""The configuration's layer in the database: settings and upstreams from the web pages."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.config.schema import Upstream
from shared.errors import Problem

__all__ = ("EDITABLE", "DatabaseUpstream", "Overrides")

EDITABLE: Mapping[str, str] = {
    "server.public_url": ("The public address of Thinkback, shown in instructions."),
    "logging.level": "The lowest level that is logged.",
    "logging.body_max_chars": "How many characters of a body are logged at level debug.",
    "logging.message_max_chars": "How many characters of a message are logged at level debug.",
    "recall.max_age_days": "How long reasoning is remembered, in days.",
    "recall.max_mib": (
        "How much reasoning the database keeps, in MiB; what was not used for the longest time "
        "is deleted first. 0: a tenth of the space that is free on the disk or taken by the "
        "database when Thinkback starts, from 512 MiB to 20 GiB."
    ),
    "registration.allowed": (
        "Whether people can register. Unless it is set, they can only while no other machine "
        "reaches Thinkback."
    ),
    "registration.quota_tokens": (
        "How many tokens a registered account may use until an admin grants more."
    ),
    "registration.invite_codes": "If there are any, registering requires one of these codes.",
    "tiers.small_model": "The model that replaces Claude's small ones (haiku); empty: none.",
    "tiers.small_effort": "Its reasoning effort; empty: as the client requests.",
    "tiers.big_model": (
        "The model that replaces Claude's big ones (sonnet, opus, fable); empty: none."
    ),
    "tiers.big_effort": "Its reasoning effort; empty: as the client requests.",
    "ledger.max_age_days": "How long single requests are listed, in days; the daily totals stay.",
    "audit.mode": (
        "What the audit log keeps of a request: nothing (off), the last user message (last), "
        "or the whole conversation (full)."
    ),
    "audit.max_age_days": "How long the audit log keeps it, in days.",
    "audit.max_mib": "How large the audit log may become, in MiB; the oldest is deleted first.",
    "responses.max_age_days": (
        "How long answers to Responses clients are stored, in days; 0: not at all."
    ),
    "responses.max_mib": ("How many of them are stored, in MiB; the oldest are deleted first."),
}
"""The settings that the pages can change, and their purpose. None of them opens a way in."""


class DatabaseUpstream(Upstream, frozen=True, kw_only=True, dict=True):
    """An upstream from the database."""

    id: int
    local: bool = False
    """Whether an admin on this machine put it where only they may: in a private network, or
    without TLS.
    """

    @property
    def guarded(self) -> bool:
        return not self.local


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """The database's layer, not yet checked against the rest of the configuration."""

    settings: Mapping[str, Any] = {}
    """Plain values by dotted name."""

    upstreams: tuple[DatabaseUpstream, ...] = ()
    """In their order."""

    problems: tuple[Problem, ...] = ()
    """Faults of rows that could not be read."""
