"""What each provider family demands of replayed reasoning; the table itself is `profiles.toml`."""

import re
import tomllib
from fnmatch import fnmatch
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

__all__ = (
    "Decided",
    "Profile",
    "Step",
    "builtin_profiles",
    "choose_profile",
    "decide_profile",
    "says_reasoning_is_missing",
)

type Step = Literal["omit", "empty", "off", "reject"]
type Decided = Literal["name", "host", "model", "default"]
"""What a profile was chosen by."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table; `profiles.toml` says what each field means."""

    name: str
    family: str
    hosts: tuple[str, ...]
    models: tuple[str, ...]
    writes: tuple[str, ...]
    send: Literal["all", "current", "none"]
    scope: Literal["tools", "calls", "current", "none"]
    missing: tuple[Step, ...]
    none: Literal["empty", "like-others", "omit"]
    off: dict[str, Any] = {}


# Texts of the providers' "reasoning is missing" errors, on the whole body with backticks removed:
# DeepSeek and MiMo (github.com/crewAIInc/crewAI/issues/5878), DeepSeek V3.2
# (github.com/anomalyco/opencode/issues/9397), Kimi and its resellers (github.com/mastra-ai/mastra/issues/12592).
_MISSING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"reasoning_content.{0,12}in the thinking mode must be passed back",
        r"missing .?reasoning_content.? field in the assistant message at message index (\d+)",
        r"reasoning_content is missing in assistant tool call message at index (\d+)",
        r"reasoning(_content|_text)?\b.{0,40} must be (passed|sent) back",
    )
)


def says_reasoning_is_missing(text: str) -> bool:
    """Whether an upstream's error (its full text) demands reasoning that the request did not carry."""
    return any(pattern.search(text) for pattern in _MISSING)


@cache
def builtin_profiles() -> dict[str, Profile]:
    """The built-in table, in the order in which profiles are tried."""
    table = tomllib.loads((files(__package__) / "profiles.toml").read_text())
    return {name: msgspec.convert({"name": name, **row}, Profile) for name, row in table.items()}


def choose_profile(profiles: dict[str, Profile], *, name: str, host: str, model: str) -> Profile:
    """The named profile, else the one whose host fits, else the one whose model fits, else `field-generic`."""
    return decide_profile(profiles, name=name, host=host, model=model)[0]


def decide_profile(profiles: dict[str, Profile], *, name: str, host: str, model: str) -> tuple[Profile, Decided]:
    """The same profile, and what it was chosen by."""
    if name:
        return profiles[name], "name"
    by_host = (row for row in profiles.values() if any(fnmatch(host.lower(), pattern) for pattern in row.hosts))
    if found := next(by_host, None):
        return found, "host"
    bare = model.lower().rpartition("/")[2].partition(":")[0]
    by_model = (row for row in profiles.values() if any(re.match(pattern, bare) for pattern in row.models))
    if found := next(by_model, None):
        return found, "model"
    return profiles["field-generic"], "default"
