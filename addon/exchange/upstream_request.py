"""What goes to an upstream and what comes back from it, beside the body: targets, headers, keys."""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from addon.formats.wire.inflate import Inflate, Unreadable
from addon.routing.candidates import Candidate
from shared.security.keys import mask

__all__ = (
    "Outgoing",
    "inflated",
    "labelled_json",
    "outgoing_to",
    "returned",
    "without_addresses",
    "without_keys",
)

_FORWARDED = ("accept", "http-referer", "idempotency-key", "user-agent", "x-title")
"""Request headers that upstreams get to see; everything else stays here."""

_BETA = {"chat": "openai-beta", "messages": "anthropic-beta", "responses": "openai-beta"}
"""The header by which clients ask for what an API has not settled yet."""

_MESSAGES_VERSION = "2023-06-01"
"""https://platform.claude.com/docs/en/api/versioning."""

_SECRET_HEADER = re.compile("auth|key|token|secret|cookie|password", re.IGNORECASE)
"""Names of an upstream's own headers whose values are masked where it echoes them."""

_SHORTEST_SECRET = 8
"""Characters: masking a shorter value would garble ordinary words."""


_PRIVATE_ADDRESS = re.compile(
    rb"\b(?:10\.\d{1,3}|127\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01])|169\.254)"
    rb"(?:\.\d{1,3}){2}\b(?::\d{1,5}\b)?"
)
"""Addresses of private networks (RFC 1918), of the machine and of the link, with their ports."""

_RETURNED = ("content-type", "request-id", "retry-after", "x-request-id")
_RETURNED_PREFIXES = ("anthropic-", "openai-", "x-ratelimit-")
"""Response headers that clients' libraries read: ids for support, limits, waits."""

_ACCOUNT = ("anthropic-organization-id", "openai-organization", "openai-project")
"""Response headers that name the account that pays; it is nobody's business but the operator's."""


class Outgoing(msgspec.Struct, frozen=True):
    """A request for an upstream."""

    tls: bool
    host: str
    port: int
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def outgoing_to(candidate: Candidate, client: Mapping[str, str], body: bytes) -> Outgoing:
    """The request that takes the body to a candidate; `client` are the headers of the
    client's request.
    """
    upstream = candidate.upstream
    headers = [(name, client[name]) for name in _FORWARDED if name in client]
    if upstream.api == "messages":
        headers += [("anthropic-version", client.get("anthropic-version", _MESSAGES_VERSION))]
    beta = _BETA[upstream.api]
    if beta in client:
        headers.append((beta, client[beta]))
    headers += [
        ("host", _authority(upstream.host, upstream.port, upstream.scheme)),
        ("accept-encoding", "identity"),
        ("content-type", "application/json"),
    ]
    if candidate.key:
        name, before = upstream.key_header
        headers.append((name, before + candidate.key))
    if upstream.headers:
        own = {given.lower() for given in upstream.headers}
        headers = [(name, text) for name, text in headers if name not in own]
    headers += [*upstream.headers.items(), ("content-length", str(len(body)))]
    target = upstream.target(candidate.model)
    return Outgoing(upstream.scheme == "https", upstream.host, upstream.port, target, headers, body)


def without_keys(body: bytes, tried: Iterable[Candidate]) -> bytes:
    """Upstreams echo keys in their errors."""
    for secret in {secret for candidate in tried for secret in _secrets(candidate)}:
        body = body.replace(secret.encode(), mask(secret).encode())
    return body


def without_addresses(body: bytes) -> bytes:
    """Proxies before an upstream tell where in their network they looked for it."""
    return _PRIVATE_ADDRESS.sub(b"(a private address)", body)


def _secrets(candidate: Candidate) -> Iterator[str]:
    """Its key, and the keys that stand in headers of its own."""
    if candidate.key:
        yield candidate.key
    for name, text in candidate.upstream.headers.items():
        secret = text.rpartition(" ")[2]
        if _SECRET_HEADER.search(name) and len(secret) >= _SHORTEST_SECRET:
            yield secret


def _authority(host: str, port: int, scheme: str) -> str:
    if ":" in host:
        host = f"[{host}]"
    if (scheme, port) in (("https", 443), ("http", 80)):
        return host
    return f"{host}:{port}"


def returned(headers: Mapping[str, str]) -> dict[str, str]:
    """The upstream's response headers that clients get to see."""
    return {
        name: text
        for name, text in headers.items()
        if (name in _RETURNED or name.startswith(_RETURNED_PREFIXES)) and name not in _ACCOUNT
    }


def labelled_json(headers: dict[str, str]) -> dict[str, str]:
    """The headers for a body that is JSON: some upstreams label it a stream or a page, which
    a browser would show as one.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return headers
    return headers | {"content-type": "application/json"}


def inflated(headers: Mapping[str, str], body: bytes) -> bytes:
    try:
        return Inflate(headers.get("content-encoding", "")).feed(body)
    except Unreadable:
        return body
