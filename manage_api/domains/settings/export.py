"""Writes settings and upstreams from the database into a configuration file."""

import re
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from operator import attrgetter
from typing import Any

import msgspec
import tomlkit

from manage_api.domains.upstreams.secrecy import is_secret_header
from shared.config.layers import Source
from shared.config.overrides import EDITABLE, DatabaseUpstream
from shared.config.schema import Snapshot, Upstream
from shared.errors import ThinkbackError
from shared.security.keys import suffix

__all__ = ("export_config", "plain")

_BEGINNING = "# Thinkback's configuration; docs/configuration.md explains every setting.\n"


def export_config(
    text: str, snapshot: Snapshot, sources: Mapping[str, Source], *, with_keys: bool
) -> str:
    """Add the database's settings and upstreams to the file `text`, keeping its comments.

    Without `with_keys`, placeholders replace all keys and secret headers, also those in
    `text`. Raises ThinkbackError for a file whose layout allows no added lines.
    """
    document = tomlkit.parse(text or _BEGINNING)
    stored = [
        plain(upstream) for upstream in snapshot.upstreams if isinstance(upstream, DatabaseUpstream)
    ]
    if not with_keys:
        for upstream in [*_upstreams_in(document), *stored]:
            _hide_secrets(upstream)
    lines, wanted = document.as_string().splitlines(), document.unwrap()
    for name in EDITABLE:
        if sources[name] == "database":
            section, key = name.split(".")
            wanted.setdefault(section, {})[key] = value = _as_file(attrgetter(name)(snapshot))
            _set(lines, section, key, f"{key} = {tomlkit.item(value).as_string()}", EDITABLE[name])
    for upstream in stored:
        wanted.setdefault("upstreams", []).append(upstream)
        lines += [
            "",
            "# Added in the web pages.",
            tomlkit.dumps({"upstreams": [upstream]}).rstrip(),
        ]
    return _checked("\n".join(lines) + "\n", wanted)


def _checked(text: str, wanted: Mapping[str, Any]) -> str:
    try:
        if tomllib.loads(text) == wanted:
            return text
    except ValueError:
        pass
    raise ThinkbackError(
        "Can't add to the configuration file: write its settings under headers like [audit], "
        "not as audit.mode or audit = {…}, and its upstreams under [[upstreams]]."
    )


def plain(upstream: Upstream) -> dict[str, Any]:
    """Return the upstream as a person would write it, without defaults."""
    defaults = _as_file(Upstream(name="", base_url=""))
    return {
        key: value
        for key, value in _as_file(upstream).items()
        if key not in ("id", "local") and value != defaults.get(key)
    }


def _as_file(value: object) -> Any:
    """Convert to the types that a TOML file has: lists, no tuples."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _upstreams_in(document: Mapping[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    yield from document.get("upstreams", [])
    if "upstream" in document:
        yield document["upstream"]


def _hide_secrets(upstream: MutableMapping[str, Any]) -> None:
    if "api_key" in upstream:
        upstream["api_key"] = _placeholder(1, upstream["api_key"])
    keys = upstream.get("api_keys", [])
    for index, key in enumerate(keys):
        keys[index] = _placeholder(index + 1, key)
    headers = upstream.get("headers", {})
    for name in filter(is_secret_header, list(headers)):
        headers[name] = "PUT-THE-VALUE-HERE"


def _placeholder(number: int, key: str) -> str:
    return f"PUT-KEY-{number}-HERE-IT-ENDS-IN-{suffix(key)}"


def _set(lines: list[str], section: str, key: str, line: str, about: str) -> None:
    """Replace the setting's commented line, or else add it below its header or at the end."""
    header = re.compile(rf"\s*\[\s*{section}\s*\]")
    at = next((number for number, each in enumerate(lines) if header.match(each)), None)
    if at is None:
        lines += ["", f"[{section}]"]
        at = len(lines) - 1
    end = next(
        (number for number in range(at + 1, len(lines)) if lines[number].lstrip().startswith("[")),
        len(lines),
    )
    commented = re.compile(rf"#\s?{key}\s*=")
    for number in range(at + 1, end):
        if commented.match(lines[number]):
            lines[number] = line
            return
    lines[at + 1 : at + 1] = [f"# {about}", line]
