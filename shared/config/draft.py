"""The configuration on its way from file and environment to a `Snapshot`."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import inspect

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
    "LISTEN_ADDR": "server.listen_addr",
    "ADMIN_LISTEN_ADDR": "server.admin_addr",
    "PUBLIC_URL": "server.public_url",
    "LOG_LEVEL": "logging.level",
    "LOG_COLOR": "logging.color",
    "LOG_BODY_MAX_CHARS": "logging.body_max_chars",
    "MESSAGE_LOG_MAX_CHARS": "logging.message_max_chars",
    "ALLOW_REGISTRATION": "registration.allowed",
    "SMALL_MODEL": "tiers.small_model",
    "SMALL_EFFORT": "tiers.small_effort",
    "BIG_MODEL": "tiers.big_model",
    "BIG_EFFORT": "tiers.big_effort",
}
"""Environment names and the settings they override; a setting without a dot has no key in
the file.
"""

UPSTREAM_ENVIRONMENT: Mapping[str, str] = {
    "UPSTREAM_BASE_URL": "base_url",
    "UPSTREAM_API_KEY": "api_keys",
    "UPSTREAM_CHAT_COMPLETIONS_PATH": "path",
}
"""Environment names and the keys of the one upstream they make or complete."""

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
    """Plain values in the shape of `Snapshot`, where each of them came from, and what is
    wrong with them.

    `complete` is called once, then `check`.
    """

    def __init__(
        self, document: Document, environ: Mapping[str, str], unreadable: Sequence[Problem] = ()
    ) -> None:
        """`unreadable` says why the document is empty although there is a file."""
        self.tree = document.tree
        self._document = document
        self._environ = {name: text for name, text in environ.items() if text}
        self._unreadable = unreadable
        self._problems = list(unreadable)
        self._moved: dict[
            KeyPath, KeyPath
        ] = {}  # where the file has what stands elsewhere in the tree
        self._overridden: dict[
            KeyPath, str
        ] = {}  # the environment names that gave a part of the tree

    @property
    def overridden(self) -> frozenset[str]:
        """The dotted names of settings that the environment gave."""
        return frozenset(
            ENVIRONMENT[name] for name in self._overridden.values() if name in ENVIRONMENT
        )

    def complete(self) -> None:
        """Bring every accepted spelling into one shape, and the environment over it."""
        self._refuse_environment_settings()
        self._replace_upstreams()
        self._append_legacy_upstream()
        self._spread_single_keys()
        self._apply_upstream_environment()
        self._apply_environment()

    def check(self) -> list[Problem]:
        """Every problem, those of the file first and in its order."""
        for finding in check(self.tree, inspect.type_info(Snapshot), RULES):
            self._object(finding.path, finding.message)
        return sorted(
            self._problems, key=lambda problem: (problem.source == "environment", problem.line or 0)
        )

    def _object(self, path: KeyPath, message: str) -> None:
        """Note a problem under the name the person used."""
        if place := nearest(self._overridden, path):
            self._problems.append(Problem(self._overridden[place], message, source="environment"))
            return
        place = nearest(self._moved, path)
        written = (*self._moved.get(place, ()), *path[len(place) :])
        self._problems.append(self._document.problem(written, message))

    def _refuse_environment_settings(self) -> None:
        for name, key in ENVIRONMENT.items():
            if key in self.tree:
                self._object(
                    (key,), f"is set with the environment variable {name}, not in the file"
                )
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
        return upstreams if isinstance(upstreams, list) else []

    def _spread_single_keys(self) -> None:
        """`api_key` is `api_keys` with one key."""
        for index, upstream in enumerate(self._upstreams()):
            if not isinstance(upstream, dict) or "api_key" not in upstream:
                continue
            place = ("upstreams", index)
            keys = [upstream.pop("api_key")]
            if upstream.setdefault("api_keys", keys) is keys:
                self._moved[*place, "api_keys", 0] = (*self._moved.get(place, place), "api_key")
            else:
                self._object(
                    (*place, "api_key"), "can't stand beside api_keys; put the key in there"
                )

    def _apply_upstream_environment(self) -> None:
        upstreams = self._upstreams()
        given = [name for name in UPSTREAM_ENVIRONMENT if name in self._environ]
        # The old [upstream] table, always the last, is what these names spoke of from the start.
        if len(upstreams) == 1 or ("upstream",) in self._moved.values():
            for name in given:
                path = ("upstreams", len(upstreams) - 1, UPSTREAM_ENVIRONMENT[name])
                self._override(name, upstreams[-1], inspect.type_info(Upstream), path)
        elif not self._unreadable:
            message = (
                "belongs to no upstream: set UPSTREAM_BASE_URL too, or configure "
                "exactly one upstream"
            )
            self._problems += [Problem(name, message, source="environment") for name in given]

    def _apply_environment(self) -> None:
        for name, setting in ENVIRONMENT.items():
            if name in self._environ:
                *section, _ = path = tuple(setting.split("."))
                table, kind = self.tree, inspect.type_info(Snapshot)
                for key in section:
                    table, kind = table.setdefault(key, {}), field_type(kind, key)
                self._override(name, table, kind, path)

    def _override(self, name: str, table: Any, kind: inspect.Type, path: KeyPath) -> None:
        """Put the environment's text under the last key of the path, unless the table is none."""
        if isinstance(table, dict):
            table[path[-1]] = parse(self._environ[name], field_type(kind, path[-1]))
            self._overridden[path] = name


def nearest(places: Mapping[KeyPath, object], path: KeyPath) -> KeyPath:
    """The longest of the places that leads to the path; empty when none does."""
    return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in places), ())


def host_of(url: str) -> str:
    """What to call the upstream at this URL, which may still be wrong."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return host if host.strip() and host.isprintable() else "upstream"


def field_type(kind: inspect.Type, key: str | int) -> inspect.Type:
    assert isinstance(kind, inspect.StructType)
    return next(field.type for field in kind.fields if field.encode_name == key)


def parse(text: str, kind: inspect.Type) -> Any:
    """The text as a value of the kind; text that is none is left for `check` to refuse."""
    match kind:
        case inspect.BoolType():
            return BOOLEANS.get(text.strip().lower(), text)
        case inspect.IntType():
            return int(text) if text.strip().isdecimal() else text
        case inspect.LiteralType():
            return text.strip().lower()
        case inspect.VarTupleType():
            return [part for part in map(str.strip, text.split(",")) if part]
    return text
