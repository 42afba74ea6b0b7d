"""Lists settings and checks changes to them."""

from collections.abc import Mapping
from operator import attrgetter

import msgspec
from litestar.exceptions import ValidationException
from msgspec import inspect

from manage_api.domains.settings.schemas import SettingView, Value
from manage_api.problems import Conflict
from manage_api.sidecar import Sidecar
from shared.config.draft import ENVIRONMENT
from shared.config.layers import SETTINGS, Source, setting_fault
from shared.config.overrides import EDITABLE
from shared.config.schema import EFFORTS, Snapshot

__all__ = ("check", "views")

_VARIABLES = {setting: name for name, setting in ENVIRONMENT.items()}
_FIXED = ("environment", "file")
"""The layers above the database."""


def views(sidecar: Sidecar) -> list[SettingView]:
    """List every setting."""
    sidecar.configuration.refresh()
    problems = {
        each.key: each.message
        for each in sidecar.configuration.problems
        if each.source == "database"
    }
    return [_view(sidecar, name, problems.get(name, "")) for name in SETTINGS]


def check(sidecar: Sidecar, changes: Mapping[str, Value | None]) -> None:
    """Raise ValidationException for invalid values, or Conflict for one set elsewhere."""
    sources = sidecar.configuration.sources
    faults = {name: fault for name, value in changes.items() if (fault := _fault(name, value))}
    if faults:
        raise ValidationException(
            extra=[{"key": name, "message": fault} for name, fault in faults.items()]
        )
    for name, value in changes.items():
        if value is not None and sources[name] in _FIXED:
            raise Conflict(
                f"{name} is set by {_set_by(sidecar, name, sources[name])}: change it there."
            )


def _fault(name: str, value: Value | None) -> str:
    if name not in SETTINGS:
        return "is not a setting"
    if name not in EDITABLE:
        return "can only be set in the file, as it concerns the machine or its security"
    if value is None:
        return ""
    return setting_fault(name, value)


def _view(sidecar: Sidecar, name: str, problem: str) -> SettingView:
    source = sidecar.configuration.sources[name]
    return SettingView(
        name=name,
        about=EDITABLE.get(name, ""),
        value=_plain(sidecar.snapshot, name),
        default=_default(sidecar.snapshot, name),
        choices=_choices(name),
        source=source,
        set_by=_set_by(sidecar, name, source),
        editable=name in EDITABLE and source not in _FIXED,
        problem=problem,
    )


def _default(snapshot: Snapshot, name: str) -> Value:
    """Return the value of a setting that no layer sets."""
    if name == "registration.allowed":
        return not snapshot.server.is_exposed
    return _plain(Snapshot(), name)


def _choices(name: str) -> list[str]:
    if name.endswith("_effort"):
        return ["", *EFFORTS]
    kind = SETTINGS[name]
    if not isinstance(kind, inspect.LiteralType):
        return []
    return [str(choice) for choice in kind.values]


def _plain(snapshot: Snapshot, name: str) -> Value:
    value: Value = msgspec.to_builtins(attrgetter(name)(snapshot))
    return value


def _set_by(sidecar: Sidecar, name: str, source: Source) -> str:
    match source:
        case "environment":
            return _VARIABLES[name]
        case "file":
            return sidecar.snapshot.config_path
    return ""
