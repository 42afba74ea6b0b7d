"""Merges file and environment into the values of a `Snapshot`."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import inspect

from shared.config.azure import AZURE_ENVIRONMENT, TIER_EFFORT, azure_upstream
from shared.config.check import check
from shared.config.document import Document
from shared.config.lines import KeyPath
from shared.config.rules import RULES
from shared.config.schema import Snapshot, Upstream
from shared.errors import Problem

__all__ = ("ENVIRONMENT", "UPSTREAM_ENVIRONMENT", "Draft")

ENVIRONMENT: Mapping[str, str] = {
    "CONFIG_PATH": "config_path",
    "DATABASE_URL": "database_url",
    "JWT_SECRET": "jwt_secret",
    "ADMIN_PASSWORD": "admin_password",
    "ANTHROPIC_AUTH_TOKEN": "auth_token",
    "LISTEN_ADDR": "server.listen_addr",
    "ADMIN_LISTEN_ADDR": "server.admin_addr",
    "PUBLIC_URL": "server.public_url",
    "TRUSTED_PROXIES": "server.trusted_proxies",
    "WORKERS": "server.workers",
    "LOG_LEVEL": "logging.level",
    "LOG_COLOR": "logging.color",
    "LOG_BODY_MAX_CHARS": "logging.body_max_chars",
    "MESSAGE_LOG_MAX_CHARS": "logging.message_max_chars",
    "ALLOW_REGISTRATION": "registration.allowed",
    "MODELS_REFRESH_SECONDS": "models.refresh_seconds",
    "SMALL_MODEL": "tiers.small_model",
    "SMALL_EFFORT": "tiers.small_effort",
    "BIG_MODEL": "tiers.big_model",
    "BIG_EFFORT": "tiers.big_effort",
}
"""Environment variables and the settings they override.

A setting without a dot can only be set there.
"""

UPSTREAM_ENVIRONMENT: Mapping[str, str] = {
    "UPSTREAM_BASE_URL": "base_url",
    "UPSTREAM_API_KEY": "api_keys",
    "UPSTREAM_CHAT_COMPLETIONS_PATH": "path",
}
"""Environment variables and the keys of the one upstream they define or complete."""

BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


class Draft:
    """Plain values in the shape of `Snapshot`, their origins and their faults.

    Call `complete` once, then `check`.
    """

    def __init__(
        self, document: Document, environ: Mapping[str, str], unreadable: Sequence[Problem] = ()
    ) -> None:
        """`unreadable` explains why the document of an existing file is empty."""
        self.tree = document.tree
        self._document = document
        self._environ = {name: text for name, text in environ.items() if text}
        self._unreadable = unreadable
        self._problems = list(unreadable)
        # The path in the file of each value that is elsewhere in the tree.
        self._moved: dict[KeyPath, KeyPath] = {}
        # The environment variable that set a part of the tree.
        self._overridden: dict[KeyPath, str] = {}

    @property
    def overridden(self) -> frozenset[str]:
        """The dotted names of settings from the environment."""
        return frozenset(
            ENVIRONMENT[name] for name in self._overridden.values() if name in ENVIRONMENT
        )

    def complete(self) -> None:
        """Normalise every accepted spelling, then apply the environment."""
        self._refuse_environment_settings()
        self._replace_upstreams()
        self._append_legacy_upstream()
        self._spread_single_keys()
        self._apply_upstream_environment()
        self._apply_environment()
        self._apply_azure()

    def check(self) -> list[Problem]:
        """Return every problem, those of the file first and in its order."""
        for finding in check(self.tree, inspect.type_info(Snapshot), RULES):
            self._object(finding.path, finding.message)
        return sorted(
            self._problems, key=lambda problem: (problem.source == "environment", problem.line or 0)
        )

    def _object(self, path: KeyPath, message: str) -> None:
        """Record a problem under the name that the person used."""
        if place := nearest(self._overridden, path):
            self._problems.append(Problem(self._overridden[place], message, source="environment"))
            return
        place = nearest(self._moved, path)
        written = (*self._moved.get(place, ()), *path[len(place) :])
        self._problems.append(self._document.problem(written, message))

    def _refuse_environment_settings(self) -> None:
        for name, key in ENVIRONMENT.items():
            if key in self.tree:
                self._object((key,), f"can only be set with the environment variable {name}")
                del self.tree[key]

    def _replace_upstreams(self) -> None:
        if base_url := self._environ.get("UPSTREAM_BASE_URL"):
            self.tree.pop("upstream", None)
            self.tree["upstreams"] = [{"name": host_of(base_url)}]

    def _append_legacy_upstream(self) -> None:
        if "upstream" not in self.tree:
            return
        legacy = self.tree.pop("upstream")
        if isinstance(legacy, dict):
            legacy.setdefault("name", "upstream")
        upstreams = self.tree.setdefault("upstreams", [])
        if isinstance(upstreams, list):
            self._moved["upstreams", len(upstreams)] = ("upstream",)
            upstreams.append(legacy)

    def _upstreams(self) -> list[Any]:
        upstreams = self.tree.get("upstreams")
        if isinstance(upstreams, list):
            return upstreams
        return []

    def _spread_single_keys(self) -> None:
        """Turn `api_key` into `api_keys` with one key."""
        for index, upstream in enumerate(self._upstreams()):
            if not isinstance(upstream, dict) or "api_key" not in upstream:
                continue
            place = ("upstreams", index)
            keys = [upstream.pop("api_key")]
            if upstream.setdefault("api_keys", keys) is keys:
                self._moved[*place, "api_keys", 0] = (*self._moved.get(place, place), "api_key")
            else:
                self._object(
                    (*place, "api_key"),
                    "can't be used together with api_keys: put the key in there",
                )

    def _apply_upstream_environment(self) -> None:
        upstreams = self._upstreams()
        names = [name for name in UPSTREAM_ENVIRONMENT if name in self._environ]
        # The old [upstream] table, always the last, is what these variables were made for.
        if len(upstreams) == 1 or ("upstream",) in self._moved.values():
            for name in names:
                path = ("upstreams", len(upstreams) - 1, UPSTREAM_ENVIRONMENT[name])
                self._override(name, upstreams[-1], inspect.type_info(Upstream), path)
        elif not self._unreadable:
            message = (
                "belongs to no upstream: set UPSTREAM_BASE_URL too, "
                "or configure exactly one upstream"
            )
            self._problems += [Problem(name, message, source="environment") for name in names]

    def _apply_environment(self) -> None:
        for name, setting in ENVIRONMENT.items():
            if name in self._environ:
                *section, _ = path = tuple(setting.split("."))
                table, kind = self.tree, inspect.type_info(Snapshot)
                for key in section:
                    table, kind = table.setdefault(key, {}), field_type(kind, key)
                self._override(name, table, kind, path)

    def _apply_azure(self) -> None:
        """Define the upstream of AzureGptProxy's variables, which other programs use too: only
        when nothing else defines upstreams.
        """
        if "AZURE_OPENAI_ENDPOINT" not in self._environ or self.tree.get("upstreams"):
            self.tree.pop("auth_token", None)  # Claude Code's own
            return
        if "AZURE_OPENAI_API_KEY" not in self._environ:
            message = "is missing: set it, or unset AZURE_OPENAI_ENDPOINT"
            self._problems.append(Problem("AZURE_OPENAI_API_KEY", message, source="environment"))
        self.tree["upstreams"] = [azure_upstream(self._environ)]
        for name, key in AZURE_ENVIRONMENT.items():
            self._overridden["upstreams", 0, key] = name
        tiers = self.tree.get("tiers", {})
        for size in ("small", "big"):
            if isinstance(tiers, dict) and tiers.get(f"{size}_model"):
                tiers.setdefault(f"{size}_effort", TIER_EFFORT)

    def _override(self, name: str, table: Any, kind: inspect.Type, path: KeyPath) -> None:
        """Put the environment's text under the last key of the path, if the table is one."""
        if isinstance(table, dict):
            table[path[-1]] = parse(self._environ[name], field_type(kind, path[-1]))
            self._overridden[path] = name


def nearest(places: Mapping[KeyPath, object], path: KeyPath) -> KeyPath:
    """Return the longest of the places that the path begins with; empty when there is none."""
    return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in places), ())


def host_of(url: str) -> str:
    """Name the upstream at this URL, which may be invalid."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if host.strip() and host.isprintable():
        return host
    return "upstream"


def field_type(kind: inspect.Type, key: str | int) -> inspect.Type:
    assert isinstance(kind, inspect.StructType)
    return next(field.type for field in kind.fields if field.encode_name == key)


def parse(text: str, kind: inspect.Type) -> Any:
    """Parse the text as a value of the kind; invalid text is left for `check` to refuse."""
    match kind:
        case inspect.BoolType():
            return BOOLEANS.get(text.strip().lower(), text)
        case inspect.IntType() if text.strip().isdecimal():
            return int(text)
        case inspect.LiteralType():
            return text.strip().lower()
        case inspect.UnionType(types=kinds):
            parsed = (parse(text, each) for each in kinds)
            return next((value for value in parsed if value != text), text)
        case inspect.VarTupleType():
            return [part for part in map(str.strip, text.split(",")) if part]
    return text
