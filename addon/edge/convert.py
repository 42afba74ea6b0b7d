"""Requests, replies and errors in mitmproxy's terms, and mitmproxy's in ours."""

import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from mitmproxy import http
from mitmproxy.net.http import status_codes
from mitmproxy.proxy.layers.http import GetHttpConnection

from addon.admission import problems
from addon.exchange.local_answers import problem_reply
from addon.exchange.upstream_request import Outgoing
from addon.exchange.verdict import Reply
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.paths import classify
from addon.formats.tolerant.error_words import message_of
from shared.clock import SystemClock
from shared.errors import StoreError

__all__ = (
    "EVERY_ANSWER",
    "address_of",
    "connect_words",
    "connection_to",
    "failure",
    "fault",
    "head_of",
    "header_map",
    "no_room",
    "peer_address",
    "problem_of",
    "request_for",
    "response_of",
    "sidecar_down",
)

_clock = SystemClock()
"""For mitmproxy's timestamps, which only those see who look at flows."""

EVERY_ANSWER = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "*",
    "x-content-type-options": "nosniff",
}
"""Headers of whatever is answered to programs. What upstreams say in an error, a browser must
not take for a page of ours.
"""


def request_for(outgoing: Outgoing) -> http.Request:
    """The request that goes to the upstream."""
    return http.Request(
        host=outgoing.host,
        port=outgoing.port,
        method=b"POST",
        scheme=b"https" if outgoing.tls else b"http",
        authority=b"",
        path=outgoing.target.encode(),
        http_version=b"HTTP/1.1",
        headers=http.Headers(_fields(outgoing.headers)),
        content=outgoing.body,
        trailers=None,
        timestamp_start=0,
        timestamp_end=0,
    )


def head_of(outgoing: Outgoing) -> bytes:
    """The head of that request, as bytes."""
    lines = [f"POST {outgoing.target} HTTP/1.1"]
    lines += [f"{name}: {text}" for name, text in outgoing.headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def connection_to(request: http.Request) -> GetHttpConnection:
    """The wish for a connection to a request's host, kept open or new."""
    tls = request.scheme == "https"
    return GetHttpConnection((request.host, request.port), tls, None, "tcp")


def response_of(reply: Reply, extra: Mapping[str, str] = {}) -> http.Response:
    """The response that the client gets, with more headers."""
    length = {"content-length": str(len(reply.body))}
    now = _clock.now_ms() / 1000
    # As `Response.make` does, which for each header costs more than all of this.
    return http.Response(
        http_version=b"HTTP/1.1",
        status_code=reply.status,
        reason=status_codes.RESPONSES.get(reply.status, "").encode(),
        headers=http.Headers(_fields({**EVERY_ANSWER, **reply.headers, **extra, **length}.items())),
        content=reply.body,
        trailers=None,
        timestamp_start=now,
        timestamp_end=now,
    )


def _fields(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), text.encode("utf-8", "surrogateescape")) for name, text in headers]


def failure(error: Exception, log: logging.Logger, what: str) -> Problem:
    """What a client is told of a failure of ours; the log has `what` failed, and why. That the
    database is lost it has from the store, once for all requests.
    """
    if isinstance(error, StoreError):
        return problems.store_lost()
    log.error("%s; the request is refused", what, exc_info=error)
    return problems.gateway_failed()


def fault(path: str, problem: Problem | None = None) -> http.Response:
    """The response to a request that the gateway itself failed on, in the format of its path."""
    endpoint = classify(path)
    wire_format = endpoint.wire_format if endpoint else "chat"
    response = response_of(problem_reply(problem or problems.gateway_failed(), wire_format, ""))
    response.headers["connection"] = "close"
    return response


def sidecar_down() -> Reply:
    """The reply for the sidecar's paths while it does not answer."""
    return _reply(problems.sidecar_down())


def no_room() -> Reply:
    """The reply for the sidecar's paths when nothing more can be read."""
    return _reply(problems.no_room())


def problem_of(reply: Reply) -> Problem:
    """What a reply says, for a client whose stream has begun."""
    return problems.told_by_upstream(reply.status, message_of(reply.body))


def header_map(headers: http.Headers) -> dict[str, str]:
    """The headers with their names in lower case, without those that would break a head
    they are copied to.

    Headers of the same name are joined by commas (RFC 9110 §5.3). mitmproxy's own mapping
    takes quadratic time.
    """
    found: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for raw_name, raw_text in headers.fields:
        name = _usual_name(raw_name) if len(raw_name) <= _LONGEST_USUAL else _name(raw_name)
        text = raw_text.decode("utf-8", "surrogateescape")
        if not name or not (text.isprintable() or _CONTROL.search(raw_text) is None):
            continue
        if name in found:
            repeated.setdefault(name, [found[name]]).append(text)
        else:
            found[name] = text
    return found | {name: ", ".join(texts) for name, texts in repeated.items()}


def _name(raw: bytes) -> str:
    """A header's name in lower case; empty for what is no name."""
    return raw.lower().decode() if _NAME.fullmatch(raw) else ""


_usual_name = lru_cache(maxsize=1024)(_name)
_LONGEST_USUAL = 64
"""Bytes: what is kept must not grow with what strangers send."""

_NAME = re.compile(rb"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def peer_address(flow: http.HTTPFlow) -> str:
    """The address at the other end of the client's connection; a proxy's when one is in front."""
    return address_of(flow.client_conn.peername)


def address_of(peername: tuple[str, int] | None) -> str:
    """The address at the other end of a connection."""
    if peername is None:
        return ""
    return peername[0].removeprefix("::ffff:")


def connect_words(error: str) -> str:
    """A connect error without addresses: `[Errno 111] Connect call failed ('127.0.0.1', 9)`
    tells too much.
    """
    text = error.lower()
    return next((words for sign, words in _CONNECT_ERRORS.items() if sign in text), "no connection")


_CONNECT_ERRORS = {
    "private address": "its address is private: see allow_private_upstreams",
    "connect call failed": "connection refused",
    "refused": "connection refused",
    "name or service not known": "its name does not resolve",
    "no address": "its name does not resolve",
    "name resolution": "its name does not resolve",
    "cancelled": "no connection in time",
    "certificate": "its TLS certificate is not valid",
    "tls": "the TLS handshake failed",
}


def _reply(problem: Problem) -> Reply:
    headers = {"content-type": "application/json"}
    return Reply(problem.status, headers, error_body("chat", problem))
