"""The layers of the configuration: environment over file over database over defaults."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from shared.config.check import check
from shared.config.lines import key_text
from shared.config.overrides import EDITABLE, DatabaseUpstream, Overrides
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
    """The dotted names of settings from the environment."""

    def source(self, name: str) -> Source | None:
        """Which of the two sets it, if any."""
        if name in self.overridden:
            return "environment"
        section, key = name.split(".")
        if key in self.tree.get(section, {}):
            return "file"
        return None


class Effective(msgspec.Struct, frozen=True):
    """The configuration of all layers."""

    snapshot: Snapshot
    sources: Mapping[str, Source]
    """The layer that each setting comes from, by dotted name."""

    problems: tuple[Problem, ...]
    """The faults of overrides that were left out."""


def combine(base: Base, overrides: Overrides) -> Effective:
    """Put the overrides below file and environment, leaving out each one that is unusable."""
    problems = list(overrides.problems)
    values: dict[str, Any] = {}
    for name, value in overrides.settings.items():
        if fault := setting_fault(name, value):
            problems.append(Problem(name, fault, source="database"))
        elif not base.source(name):
            values[name] = value
    snapshot = msgspec.convert(_tree(base, values), Snapshot)
    upstreams = list(snapshot.upstreams)
    for upstream in overrides.upstreams:
        if reason := _why_left_out(upstream, upstreams, snapshot):
            problems.append(Problem(upstream_key(upstream.name), reason, source="database"))
        else:
            upstreams.append(upstream)
    sources = _sources(base, values)
    snapshot = decide_registration(replace(snapshot, upstreams=tuple(upstreams)), sources)
    return Effective(snapshot, sources, tuple(problems))


def decide_registration(snapshot: Snapshot, sources: Mapping[str, Source]) -> Snapshot:
    """Close registration on an exposed server unless a layer sets it.

    A mere default must not let strangers from the Internet create accounts.
    """
    if sources["registration.allowed"] != "default":
        return snapshot
    allowed = not snapshot.server.is_exposed
    return replace(snapshot, registration=replace(snapshot.registration, allowed=allowed))


def upstream_key(name: str) -> str:
    """Return the key under which problems with an upstream from the database are listed."""
    return key_text(("upstreams", name))


def setting_fault(name: str, value: object) -> str:
    """Explain why a value can't be set in the database; empty when it can."""
    if name not in EDITABLE:
        return "can't be set in the database"
    return "; ".join(finding.message for finding in check(value, SETTINGS[name], RULES, name))


def _tree(base: Base, values: Mapping[str, Any]) -> dict[str, Any]:
    tree = dict(base.tree)
    for name, value in values.items():
        section, key = name.split(".")
        tree[section] = {**tree.get(section, {}), key: value}
    return tree


def _why_left_out(
    upstream: DatabaseUpstream, others: Iterable[Upstream], settings: Snapshot
) -> str:
    """Why an upstream from the database can't be used; empty when it can."""
    if upstream.name.casefold() in (each.name.casefold() for each in others):
        return "the file or the environment has an upstream of this name"
    barred = upstream.guarded and not settings.server.allow_private_upstreams
    if upstream.scheme != "https" and barred:
        return (
            "its base_url must start with https:// unless [server] allow_private_upstreams is true"
        )
    if upstream.profile and upstream.profile not in settings.known_profiles.names:
        return "its profile does not exist"
    return ""


def _sources(base: Base, values: Mapping[str, Any]) -> dict[str, Source]:
    return {
        name: base.source(name) or ("database" if name in values else "default")
        for name in SETTINGS
    }
