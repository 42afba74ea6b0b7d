"""The LLM paths of the public port; all others are the sidecar's."""

import re
from typing import Literal
from urllib.parse import unquote

import msgspec

from addon.formats.neutral.request import WireFormat

__all__ = ("Endpoint", "Kind", "classify")

type Kind = Literal[
    "chat",
    "responses",
    "response",
    "input_items",
    "cancel",
    "messages",
    "count_tokens",
    "input_tokens",
    "models",
    "model",
    "healthz",
    "readyz",
    "unknown",
    "unknown_messages",
]
"""`unknown` and `unknown_messages` are paths of the APIs that are not served."""


class Endpoint(msgspec.Struct, frozen=True):
    """An LLM path of ours."""

    kind: Kind
    deployment: str = ""
    """Azure clients name the model in the path; it wins over the body's."""

    id: str = ""
    """The stored answer or the model that the path names."""

    @property
    def wire_format(self) -> WireFormat:
        """The format its answers have."""
        return _FORMATS.get(self.kind, "chat")

    @property
    def methods(self) -> tuple[str, ...]:
        """The HTTP methods that it takes."""
        return _METHODS.get(self.kind, ("POST",))


_METHODS: dict[str, tuple[str, ...]] = {
    "healthz": ("GET", "HEAD"),
    "input_items": ("GET",),
    "model": ("GET", "HEAD"),
    "models": ("GET", "HEAD"),
    "readyz": ("GET", "HEAD"),
    "response": ("GET", "DELETE"),
}
"""Methods of the kinds that don't take `POST`."""


_FORMATS: dict[str, WireFormat] = {
    "cancel": "responses",
    "count_tokens": "messages",
    "input_tokens": "responses",
    "input_items": "responses",
    "messages": "messages",
    "response": "responses",
    "responses": "responses",
    "unknown_messages": "messages",
}

# Base URLs of clients end with any mix of the prefixes, and some with a slash too many.
_PREFIXED = re.compile(
    r"(?:/cursor|/v1){0,2}/(chat/completions|responses/input_tokens|responses"
    r"|messages/count_tokens|messages|models)/?",
    re.ASCII,
)
_STORED = re.compile(r"(?:/cursor|/v1){0,2}/responses/([^/]+)(/input_items|/cancel)?/?", re.ASCII)
_MODEL = re.compile(r"(?:/cursor|/v1){0,2}/models/(.+)", re.ASCII)
_RESERVED = ("compact", "input_tokens")
"""Endpoints of the Responses API that stand where the id of an answer does."""

_API = re.compile(r"/{1,}(?:(?:cursor/{1,})?v1|cursor)(?:/.*)?|/{1,}openai/.*", re.ASCII)
"""Whatever else a client looks for there: it reads the API's errors, not pages."""

_SLASHES = re.compile("/{2,}")

_AZURE = re.compile(r"(?:/cursor)?/openai/deployments/([^/]+)/chat/completions/?", re.ASCII)
_HEALTH: dict[str, Kind] = {"/healthz": "healthz", "/readyz": "readyz", "/cursor/health": "healthz"}
_KINDS: dict[str, Kind] = {
    "chat/completions": "chat",
    "responses": "responses",
    "messages": "messages",
    "messages/count_tokens": "count_tokens",
    "responses/input_tokens": "input_tokens",
    "models": "models",
}
_STORED_KINDS: dict[str | None, Kind] = {
    None: "response",
    "/input_items": "input_items",
    "/cancel": "cancel",
}


def classify(target: str) -> Endpoint | None:
    """The endpoint of a request target (path with query), or None: the sidecar's."""
    path = target.partition("?")[0]
    return _served(path) or _served(_SLASHES.sub("/", path)) or _unknown(path)


def _served(path: str) -> Endpoint | None:
    if match := _PREFIXED.fullmatch(path):
        return Endpoint(_KINDS[match[1]])
    match = _STORED.fullmatch(path)
    if match and match[1] not in _RESERVED:
        return Endpoint(_STORED_KINDS[match[2]], id=unquote(match[1]))
    if match := _MODEL.fullmatch(path):
        return Endpoint("model", id=unquote(match[1]))
    if match := _AZURE.fullmatch(path):
        return Endpoint("chat", deployment=unquote(match[1]))
    if kind := _HEALTH.get(path.removesuffix("/")):
        return Endpoint(kind)
    return None


def _unknown(path: str) -> Endpoint | None:
    if not _API.fullmatch(path):
        return None
    if "/messages" in path:
        return Endpoint("unknown_messages")
    return Endpoint("unknown")
