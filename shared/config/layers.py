"""The layers of the configuration, one over the other: environment, file, database, default."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from shared.config.check import check
from shared.config.lines import key_text
from shared.config.overrides import EDITABLE, Stored, StoredUpstream
from shared.config.rules import RULES
from shared.config.schema import Snapshot, Upstream
from shared.errors import Problem

__all__ = (
    "SETTINGS",
    "Base",
    "Effective",
    "Source",
    "combine",
    "decide_registration",
    "setting_fault",
    "upstream_key",
)

Source = Literal["environment", "file", "database", "default"]


def _settings() -> Iterator[tuple[str, inspect.Type]]:
    snapshot = inspect.type_info(Snapshot)
    assert isinstance(snapshot, inspect.StructType)
    for section in snapshot.fields:
        if isinstance(section.type, inspect.StructType):
            for field in section.type.fields:
                yield f"{section.encode_name}.{field.encode_name}", field.type


SETTINGS: Mapping[str, inspect.Type] = dict(_settings())
"""The type of every setting by its dotted name; upstreams are none."""


class Base(msgspec.Struct, frozen=True):
    """File and environment together, checked."""

    tree: Mapping[str, Any]
    """Plain values in the shape of `Snapshot`."""

    overridden: frozenset[str]
    """The dotted names of settings that the environment gave."""

    def source(self, name: str) -> Source | None:
        """Which of the two gave a setting, if any."""
        if name in self.overridden:
            return "environment"
        section, key = name.split(".")
        return "file" if key in self.tree.get(section, {}) else None


class Effective(msgspec.Struct, frozen=True):
    """The configuration of all layers."""

    snapshot: Snapshot
    sources: Mapping[str, Source]
    """Which layer gave a setting, by dotted name."""

    problems: tuple[Problem, ...]
    """What the database holds that can't be used, and was left out."""


def combine(base: Base, stored: Stored) -> Effective:
    """Lay what is stored below file and environment; whatever of it is unfit is left out alone."""
    problems = list(stored.problems)
    laid: dict[str, Any] = {}
    for name, value in stored.settings.items():
        if fault := setting_fault(name, value):
            problems.append(Problem(name, fault, source="database"))
        elif not base.source(name):
            laid[name] = value
    snapshot = msgspec.convert(_tree(base, laid), Snapshot)
    upstreams = list(snapshot.upstreams)
    for upstream in stored.upstreams:
        if reason := _why_left_out(upstream, upstreams, snapshot):
            problems.append(Problem(upstream_key(upstream.name), reason, source="database"))
        else:
            upstreams.append(upstream)
    sources = _sources(base, laid)
    snapshot = decide_registration(replace(snapshot, upstreams=tuple(upstreams)), sources)
    return Effective(snapshot, sources, tuple(problems))


def decide_registration(snapshot: Snapshot, sources: Mapping[str, Source]) -> Snapshot:
    """Close registration where others than this machine reach the server, unless a layer
    says whether it is open.

    An open one would let any stranger of the Internet make accounts by the mere default.
    """
    if sources["registration.allowed"] != "default":
        return snapshot
    allowed = not snapshot.server.is_exposed
    return replace(snapshot, registration=replace(snapshot.registration, allowed=allowed))


def upstream_key(name: str) -> str:
    """What a problem with a stored upstream goes by."""
    return key_text(("upstreams", name))


def setting_fault(name: str, value: object) -> str:
    """Why the database may not hold this value; empty when it may."""
    if name not in EDITABLE:
        return "can't be set in the database"
    return "; ".join(finding.message for finding in check(value, SETTINGS[name], RULES, name))


def _tree(base: Base, laid: Mapping[str, Any]) -> dict[str, Any]:
    tree = dict(base.tree)
    for name, value in laid.items():
        section, key = name.split(".")
        tree[section] = {**tree.get(section, {}), key: value}
    return tree


def _why_left_out(upstream: StoredUpstream, others: Iterable[Upstream], settings: Snapshot) -> str:
    """Why a stored upstream can't stand beside the others; empty when it can."""
    if upstream.name.casefold() in (each.name.casefold() for each in others):
        return "is left out: file or environment have an upstream of this name"
    if upstream.scheme != "https" and not settings.server.allow_private_upstreams:
        return "is left out: without [server] allow_private_upstreams its base_url must start with https://"
    if upstream.profile and upstream.profile not in settings.known_profiles.names:
        return "is left out: there is no profile of the name that it has"
    return ""


def _sources(base: Base, laid: Mapping[str, Any]) -> dict[str, Source]:
    return {
        name: base.source(name) or ("database" if name in laid else "default") for name in SETTINGS
    }
