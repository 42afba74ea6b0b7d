"""What a setting must be beyond its type: `RULES`, at the end, has a line for each."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from shared.config.address import split_address
from shared.config.check import Finding, Rule, between, closest
from shared.config.schema import EFFORTS, PROFILE_NAMES, Server, Snapshot
from shared.profiles import merged_profiles
from shared.security.passwords import is_well_known

__all__ = ("RULES",)

MINUTE = 60
DAY = 86400
WIDEST = 8
"""Bits of the widest private networks, 10.0.0.0/8 and fd00::/8: no proxies take more."""

MOST_WORKERS = 256
"""Each takes some 70 MB, and whoever means more has mistyped it."""

SET_BY_US = frozenset(
    """
    accept-encoding connection content-encoding content-length content-type expect host
    keep-alive proxy-connection te trailer transfer-encoding upgrade
    """.split()  # noqa: SIM905 - a list with one name a line would hide the code below it
)
"""Headers that say where a request ends and whose it is: another `Host` could lead past the
check of private addresses, another length hides a second request in the first.
"""

HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")
"""A name or an address, as `urlsplit` gives it: lower-case, brackets taken off."""


def address(text: str) -> Iterator[Finding]:
    try:
        split_address(text)
    except ValueError as error:
        yield Finding(str(error))


def two_addresses(server: dict[str, Any]) -> Iterator[Finding]:
    public = server.get("listen_addr", Server().listen_addr)
    if public == server.get("admin_addr", Server().admin_addr):
        key, other = "listen_addr", "admin_addr"
        if other in server:
            key, other = other, key
        yield Finding(f"is the same as {other}: each program needs its own port", (key,))


def workers(number: int | str) -> Iterator[Finding]:
    if isinstance(number, int):
        yield from between(1, MOST_WORKERS)(number)


def network(text: str) -> Iterator[Finding]:
    try:
        parsed = ipaddress.ip_network(text)
    except ValueError:
        yield Finding("must be an address or a network, like 10.0.0.5 or 10.0.0.0/8")
        return
    if parsed.prefixlen < WIDEST:
        yield Finding(
            "trusts so many addresses that anyone could pretend to be anybody: name the proxies"
        )


def whole(tree: dict[str, Any]) -> Iterator[Finding]:
    """Check settings that depend on others elsewhere."""
    yield from profiles_known(tree)
    yield from well_known_admin_password(tree)


def well_known_admin_password(tree: dict[str, Any]) -> Iterator[Finding]:
    """Refuse a password that anyone could guess on an exposed server."""
    password = tree.get("admin_password")
    if (
        isinstance(password, str)
        and is_well_known(password, "admin")
        and is_exposed(tree.get("server", {}))
    ):
        message = (
            "is a well-known password, and other machines can reach the gateway: choose "
            "another one, or unset it if the account admin already has one"
        )
        yield Finding(message, ("admin_password",))


def is_exposed(server: Any) -> bool:
    """Whether `[server]` exposes the gateway; False if it is malformed, a fault of its own."""
    try:
        return msgspec.convert(server, Server).is_exposed
    except (msgspec.ValidationError, ValueError):
        return False


def not_empty(text: str) -> Iterator[Finding]:
    if not text.strip() or not text.isprintable():
        yield Finding("must not be empty or hold control characters")


def web_address(text: str) -> Iterator[Finding]:
    """An http(s) URL that a path can be appended to."""
    if not text.isascii() or not text.isprintable() or " " in text:
        yield Finding("must be plain ASCII without spaces")
        return
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        yield Finding("is not a URL; write it like https://api.example.com/v1")
        return
    if url.scheme not in ("http", "https") or not HOST.fullmatch(url.hostname or "") or port == 0:
        yield Finding(
            "must start with http:// or https:// and name a host, like https://api.example.com/v1"
        )
    if "@" in url.netloc:
        yield Finding("must not contain a username or password")
    if "#" in text or ("?" in text and not _VERSION.fullmatch(url.query)):
        yield Finding("must not have a fragment (#) or a query (?), except Azure's ?api-version=")


_VERSION = re.compile(r"api-version=[\w.-]+", re.ASCII)


def public_url(text: str) -> Iterator[Finding]:
    """An origin: `/v1` and the paths of the pages are added to it."""
    if not text:
        return
    if findings := list(web_address(text)):
        yield from findings
    elif "?" in text:
        yield Finding("must not have a query (?)")
    elif urlsplit(text).path not in ("", "/"):
        yield Finding(
            "must end after the host and port, like https://think.example.com: /v1 is appended"
        )


def base_url(text: str) -> Iterator[Finding]:
    yield from web_address(text)
    for suffix in ("/chat/completions", "/responses", "/messages"):
        if text.partition("?")[0].rstrip("/").endswith(suffix):
            yield Finding(f"must end before {suffix}, which is appended to it")


def path(text: str) -> Iterator[Finding]:
    if text and not (
        text.startswith("/") and text.isascii() and text.isprintable() and " " not in text
    ):
        yield Finding("must start with / and be plain ASCII without spaces, like /chat/completions")


def profiles(table: dict[str, Any]) -> Iterator[Finding]:
    for name, row in table.items():
        if not isinstance(row, dict):
            continue
        try:
            merged_profiles({name: row})
        except ValueError as error:
            yield Finding(
                str(error).removeprefix(f"profiles.{name}").lstrip(".: ").removesuffix("."), (name,)
            )


def profiles_known(tree: dict[str, Any]) -> Iterator[Finding]:
    """Require that each upstream's profile is built in or configured."""
    names = [*PROFILE_NAMES]
    if isinstance(own := tree.get("profiles"), dict):
        names = [*own, *names]
    for index, name in enumerate(texts_at("profile", tree.get("upstreams"))):
        if name and name not in names:
            message = f"must be one of {', '.join(names)}{closest(name, names)}"
            yield Finding(message, ("upstreams", index, "profile"))


def texts_at(key: str, tables: object) -> Iterator[str]:
    """Yield the text under the key of each table, "" where there is none."""
    if not isinstance(tables, list):
        return
    for table in tables:
        text = isinstance(table, dict) and table.get(key)
        yield text if isinstance(text, str) else ""


def names_differ(upstreams: list[Any]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, name in enumerate(texts_at("name", upstreams)):
        if name and first.setdefault(name, index) != index:
            message = f"is the same as that of upstream number {first[name] + 1}"
            yield Finding(message, (index, "name"))


def keys_differ(keys: list[Any]) -> Iterator[Finding]:
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield Finding("repeats a key of this upstream", (index,))


def api_key(key: str) -> Iterator[Finding]:
    if not re.fullmatch(r"[!-~]+", key):
        yield Finding("must be plain ASCII without spaces or line breaks")


def headers(table: dict[str, Any]) -> Iterator[Finding]:
    """Names are tokens (RFC 9110 §5.6.2)."""
    for name in table:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            yield Finding("is not a header name; use letters, digits and -", (name,))
        elif name.lower() in SET_BY_US:
            yield Finding("is set by Thinkback itself", (name,))


def header(text: str) -> Iterator[Finding]:
    if not text.isprintable():
        yield Finding("must not contain control characters or line breaks")


def rewrite(table: dict[str, Any]) -> Iterator[Finding]:
    """Require exactly one of the two forms, complete."""
    forms = (("from", "to"), ("from_pattern", "to_template"))
    begun = [form for form in forms if any(key in table for key in form)]
    if len(begun) != 1:
        yield Finding("needs either from and to, or from_pattern and to_template")
        return
    for key in begun[0]:
        if key not in table:
            yield Finding("is missing", (key,))
    yield from template(table.get("from_pattern"), table.get("to_template"))


def effort(name: str) -> Iterator[Finding]:
    if name and name not in EFFORTS:
        yield Finding(f"must be one of {', '.join(EFFORTS)}{closest(name, EFFORTS)}")


def refresh(seconds: int) -> Iterator[Finding]:
    if seconds and not MINUTE <= seconds <= 30 * DAY:
        yield Finding(f"must be 0, or from {MINUTE} to {30 * DAY}")


def version(text: str) -> Iterator[Finding]:
    if text and not re.fullmatch(r"[\w.-]+", text, re.ASCII):
        yield Finding("must be a version like 2025-04-01-preview")


def template(pattern: object, text: object) -> Iterator[Finding]:
    """`{0}` is the whole match, `{1}` the first group; other braces are literal."""
    if not isinstance(pattern, str) or not isinstance(text, str) or list(regex(pattern)):
        return
    groups = re.compile(pattern).groups
    for digits in dict.fromkeys(re.findall(r"\{(\d+)\}", text)):
        if len(digits) > 9 or int(digits) > groups:
            yield Finding(
                f"uses {{{digits}}}, but the groups of from_pattern end at {{{groups}}}",
                ("to_template",),
            )


def regex(pattern: str) -> Iterator[Finding]:
    yield from not_empty(pattern)
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        yield Finding(f"is not a regular expression: {error}")


def directory(text: str) -> Iterator[Finding]:
    if not text.isprintable():
        yield Finding("must not contain control characters")


def database_url(url: str) -> Iterator[Finding]:
    scheme, _, rest = url.partition(":")
    file = rest.partition("?")[0].strip("/")
    if scheme in ("postgresql", "postgres"):
        if not re.match(r"//[^/]*/[^/]+", rest.partition("?")[0]):
            yield Finding(
                "must name a database, like postgresql://user:password@host:5432/thinkback"
            )
    elif scheme != "sqlite" or not file or file == ":memory:":
        yield Finding(
            "must be sqlite: and a file that both programs can open, like "
            f"{Snapshot().database_url}, or postgresql:// and a database"
        )


def jwt_secret(secret: str) -> Iterator[Finding]:
    """RFC 7518 §3.2: a key for HS256 has at least the size of its hash, 32 bytes."""
    if size(secret) < 32:
        yield Finding("must be at least 32 bytes of UTF-8: generate one with openssl rand -hex 32")


def admin_password(password: str) -> Iterator[Finding]:
    if not 0 < size(password) <= 72:
        yield Finding("must be at most 72 bytes of UTF-8, the limit of bcrypt")


def auth_token(token: str) -> Iterator[Finding]:
    if not re.fullmatch(r"[!-~]{8,512}", token):
        yield Finding("must be 8 to 512 ASCII characters without spaces, as it is a key")


def size(secret: str) -> int:
    """Count the bytes in UTF-8; 0 for what the environment has in another encoding."""
    try:
        return len(secret.encode())
    except UnicodeEncodeError:
        return 0


RULES: Mapping[str, Rule] = {
    "": whole,
    "profiles": profiles,
    "server": two_addresses,
    "server.listen_addr": address,
    "server.admin_addr": address,
    "server.public_url": public_url,
    "server.trusted_proxies[]": network,
    "server.workers": workers,
    "server.max_body_mib": between(1, 1024),
    "server.max_messages": between(1, 1_000_000),
    "server.drain_seconds": between(0, 86_400),
    "server.shutdown_delay_seconds": between(0, 3600),
    "server.max_connections_per_address": between(1, 1_000_000),
    "server.max_connections_per_network": between(1, 1_000_000),
    "server.max_waiting_mib": between(1, 64 * 1024),
    "server.head_seconds": between(1, 600),
    "server.idle_seconds": between(1, 3600),
    "server.min_body_kib": between(0.001, 1024),
    "recall.max_age_days": between(1, 36500),
    "recall.max_mib": between(0, 1024 * 1024),
    "recall.memory_mib": between(1, 64 * 1024),
    "recall.max_restored_mib": between(1, 1024),
    "registration.invite_codes[]": not_empty,
    "ledger.max_age_days": between(1, 36500),
    "audit.max_age_days": between(1, 36500),
    "audit.max_mib": between(1, 1024 * 1024),
    "responses.max_age_days": between(0, 36500),
    "responses.max_mib": between(1, 1024 * 1024),
    "backup.every_hours": between(0, 24 * 366),
    "backup.keep": between(1, 10_000),
    "backup.directory": directory,
    "models.refresh_seconds": refresh,
    "tiers.small_effort": effort,
    "tiers.big_effort": effort,
    "upstreams": names_differ,
    "upstreams[].name": not_empty,
    "upstreams[].base_url": base_url,
    "upstreams[].api_keys": keys_differ,
    "upstreams[].api_keys[]": api_key,
    "upstreams[].models[]": not_empty,
    "upstreams[].path": path,
    "upstreams[].api_version": version,
    "upstreams[].headers": headers,
    "upstreams[].headers{}": header,
    "upstreams[].timeouts.connect": between(0, DAY),
    "upstreams[].timeouts.first_byte": between(0, DAY),
    "upstreams[].timeouts.idle": between(0, DAY),
    "upstreams[].timeouts.total": between(0, DAY),
    "upstreams[].model_rewrites[]": rewrite,
    "upstreams[].model_rewrites[].from": not_empty,
    "upstreams[].model_rewrites[].to": not_empty,
    "upstreams[].model_rewrites[].from_pattern": regex,
    "upstreams[].model_rewrites[].to_template": not_empty,
    "upstreams[].model_rewrites[].effort": effort,
    "database_url": database_url,
    "jwt_secret": jwt_secret,
    "admin_password": admin_password,
    "auth_token": auth_token,
}
"""Numbers without a line here must be 0 or more."""
