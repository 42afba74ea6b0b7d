"""What was set in the web pages, as lines of a configuration file."""

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

__all__ = ("exported",)

_BEGINNING = "# Thinkback's configuration; docs/configuration.md explains every setting.\n"


def exported(
    text: str, snapshot: Snapshot, sources: Mapping[str, Source], *, with_keys: bool
) -> str:
    """The file `text` with every setting and upstream of the snapshot that is in the
    database; comments stay.

    Without `with_keys`, keys and secret headers give way to words that tell which they are,
    also those in `text`. Raises ThinkbackError when the file is laid out in a way that
    lines can't be added to.
    """
    document = tomlkit.parse(text or _BEGINNING)
    stored = [
        _plain(upstream)
        for upstream in snapshot.upstreams
        if isinstance(upstream, DatabaseUpstream)
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
        lines += ["", "# Made in the web pages.", tomlkit.dumps({"upstreams": [upstream]}).rstrip()]
    return _checked("\n".join(lines) + "\n", wanted)


def _checked(text: str, wanted: Mapping[str, Any]) -> str:
    try:
        if tomllib.loads(text) == wanted:
            return text
    except ValueError:
        pass
    raise ThinkbackError(
        "The configuration file can't be added to: write its settings below headers "
        "like [audit], not as audit.mode or "
        "audit = {…}, and its upstreams below [[upstreams]]."
    )


def _plain(upstream: Upstream) -> dict[str, Any]:
    """What a person would write: without what is the default anyway."""
    defaults = _as_file(Upstream(name="", base_url=""))
    return {
        key: value
        for key, value in _as_file(upstream).items()
        if key != "id" and value != defaults.get(key)
    }


def _as_file(value: object) -> Any:
    """Plain values of the types that a file gives: lists, no tuples."""
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
    """Write a setting where a person would: over its commented line, else below the header,
    else at the end.
    """
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
