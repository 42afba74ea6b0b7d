"""What each provider family demands of replayed reasoning; the table itself is `profiles.toml`."""

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

__all__ = (
    "Decided",
    "Profile",
    "Profiles",
    "Step",
    "budget_members",
    "builtin_profiles",
    "decide_profile",
    "kept_members",
    "merged_profiles",
    "thinking_members",
)

type Step = Literal["omit", "empty", "off", "trim", "reject"]
type Decided = Literal["name", "api", "host", "model", "default"]
"""What a profile was chosen by."""

_LEVELS = ("minimal", "low", "medium", "high", "xhigh", "max")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table; `profiles.toml` says what each field means."""

    name: str
    family: str
    hosts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    send: Literal["all", "current", "none"] = "all"
    scope: Literal["tools", "calls", "current", "none"] = "none"
    missing: tuple[Step, ...] = ("omit",)
    none: Literal["empty", "like-others", "omit"] = "omit"
    fill: str = ""
    stand_in: str = ""
    tags: bool = False
    repeats: bool = False
    opaque: bool = False
    off: dict[str, Any] = {}
    keep: dict[str, Any] = {}
    efforts: dict[str, dict[str, Any]] = {}
    budget: dict[str, Any] = {}
    kinds: tuple[str, ...] = ()
    limit: Literal["", "max_tokens", "max_completion_tokens"] = ""
    stops: int = 4
    prefill: str = ""
    plain_schemas: bool = False
    refuses: tuple[str, ...] = ()
    refuses_in_messages: tuple[str, ...] = ()


@cache
def builtin_profiles() -> dict[str, Profile]:
    """The built-in table, in the order in which profiles are tried."""
    table = tomllib.loads((files(__package__) / "profiles.toml").read_text())
    return {name: msgspec.convert({"name": name, **row}, Profile) for name, row in table.items()}


def merged_profiles(configured: Mapping[str, Mapping[str, Any]]) -> dict[str, Profile]:
    """The built-in table with a user's own profiles, which are tried first.

    One with the name of a built-in changes what it names of it; another starts as the one
    it is `like`, else as `field-generic`, and has its own name as family. Raises ValueError
    for one that can't be understood, in words.
    """
    builtin = builtin_profiles()
    own = {name: _configured(name, dict(row), builtin) for name, row in configured.items()}
    return own | {name: profile for name, profile in builtin.items() if name not in own}


def _configured(name: str, row: dict[str, Any], builtin: dict[str, Profile]) -> Profile:
    akin = "like" in row or name in builtin
    like = row.pop("like", name if name in builtin else "field-generic")
    if not isinstance(like, str) or like not in builtin:
        raise ValueError(f"profiles.{name}.like: '{like}' is none of {', '.join(builtin)}.")
    start = msgspec.to_builtins(builtin[like])
    if name not in builtin:
        start |= {"hosts": [], "models": [], "family": builtin[like].family if akin else name}
    try:
        found = msgspec.convert(start | row | {"name": name}, Profile)
        [re.compile(pattern) for pattern in found.models]
    except msgspec.ValidationError as error:
        raise ValueError(f"profiles.{name}: {error}.") from error
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"profiles.{name}.models: a pattern is malformed ({error}).") from error
    if not found.missing:
        raise ValueError(f"profiles.{name}.missing: needs at least one step, like 'omit'.")
    return found


class Profiles:
    """The table in force."""

    def __init__(self, configured: Mapping[str, Mapping[str, Any]] = {}) -> None:
        """Raises ValueError as `merged_profiles` does."""
        self._table = merged_profiles(configured)
        self.families = frozenset(row.family for row in self._table.values())
        self._decided: dict[tuple[str, str, str, str], tuple[Profile, Decided]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._table)

    def decide(self, *, name: str, api: str, host: str, model: str) -> tuple[Profile, Decided]:
        """The profile of a model at an upstream, and what it was chosen by; `name` is what
        its configuration says.
        """
        asked = (name, api, host, model)
        if asked not in self._decided:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()  # clients choose the names of models
            self._decided[asked] = self._decide(*asked)
        return self._decided[asked]

    def _decide(self, name: str, api: str, host: str, model: str) -> tuple[Profile, Decided]:
        if not name and api != "chat":
            return self._table[api], "api"
        return decide_profile(self._table, name=name, host=host, model=model)


_REMEMBERED = 1024


def decide_profile(
    profiles: dict[str, Profile], *, name: str, host: str, model: str
) -> tuple[Profile, Decided]:
    """Return the named profile, else the first whose host, or else whose model fits.

    The second value is what it was chosen by; without a match it is `field-generic`.

    Of several profiles of one host it is the first that names no models or this one, else
    the last. One that was chosen by the model alone adds nothing to requests by itself, and
    sends reasoning back as it came: who hosts a model need not speak as its vendor does.
    """
    if name:
        return profiles[name], "name"
    bare = model.lower().rpartition("/")[2].partition(":")[0]
    there = [
        row
        for row in profiles.values()
        if any(fnmatch(host.lower(), pattern) for pattern in row.hosts)
    ]
    if there:
        return next(
            (row for row in there if not row.models or _serves(row, bare)), there[-1]
        ), "host"
    if found := next((row for row in profiles.values() if _serves(row, bare)), None):
        return msgspec.structs.replace(found, keep={}, writes=(), tags=True), "model"
    return profiles["field-generic"], "default"


def _serves(profile: Profile, model: str) -> bool:
    return any(re.match(pattern, model) for pattern in profile.models)


def thinking_members(profile: Profile, effort: str) -> dict[str, Any]:
    """The top-level members that make an upstream think so hard; none where it has no say in it.

    `effort` is `off` (or `none`), `minimal`, `low`, `medium`, `high`, `xhigh` or `max`; one
    that the profile does not name is the next higher that it names, else its highest.
    """
    if effort in ("off", "none"):
        effort, off = _LEVELS[0], profile.efforts.get("off") or profile.off
        if off:
            return off
    if effort not in _LEVELS:
        return {}
    named = [level for level in _LEVELS if level in profile.efforts]
    higher = [level for level in named if _LEVELS.index(level) >= _LEVELS.index(effort)]
    return profile.efforts[(higher or named[-1:])[0]] if named else {}


def budget_members(profile: Profile, tokens: int) -> dict[str, Any]:
    """The top-level members that let an upstream think with so many tokens; none where it
    takes no budget.
    """
    return {name: _filled(member, tokens) for name, member in profile.budget.items()}


def _filled(member: Any, tokens: int) -> Any:
    """The member with the tokens in the place of its 0."""
    if isinstance(member, dict):
        return {name: _filled(inner, tokens) for name, inner in member.items()}
    if member == 0 and not isinstance(member, bool):
        return tokens
    return member


def kept_members(keep: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level members to set of a profile's `keep`; what is `given` wins, member by
    member.
    """
    wanted = {name: _joined(kept, given.get(name)) for name, kept in keep.items()}
    return {name: made for name, made in wanted.items() if made != given.get(name)}


def _joined(kept: Any, given: Any) -> Any:
    if given is None:
        return kept
    return {**kept, **given} if isinstance(kept, dict) and isinstance(given, dict) else given
