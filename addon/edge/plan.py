"""What was planned for a flow, and plans and replies in mitmproxy's terms."""

import re
from typing import Protocol

import msgspec
from mitmproxy import http
from mitmproxy.proxy import commands

from addon.admission import problems
from addon.exchange.intake import Intake
from addon.exchange.upstream_request import Outgoing
from addon.exchange.verdict import Reply, UpstreamCall
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.tolerant.error_body import message_of
from shared.clock import Clock

__all__ = (
    "Plan",
    "Planner",
    "connect_words",
    "fault",
    "lowered",
    "request_for",
    "response_of",
    "sidecar_down",
    "told",
)


class Plan(msgspec.Struct):
    """What becomes of a flow: an LLM call, or a request that is passed to the sidecar as it is."""

    intake: Intake | None = None
    sidecar: http.Request | None = None
    max_body: int = 0
    """Bytes the request's body may have."""

    @property
    def call(self) -> UpstreamCall | None:
        """What an upstream is asked, once the request has been read."""
        if self.intake is None:
            return None
        return self.intake.call


class Planner(Protocol):
    """Says what was planned for a flow; the gateway implements it."""

    clock: Clock
    watched: bool = True
    """Whether other addons want to hear of flows; telling mitmproxy's thirty is most of
    what a request costs.
    """

    def hear(self, hook: commands.StartHook) -> None:
        """Take a hook of a flow that no other addon hears."""

    def plan_of(self, flow: http.HTTPFlow) -> Plan | None:
        """The flow's plan, or None: it goes nowhere."""


def request_for(outgoing: Outgoing) -> http.Request:
    """The request that goes to the upstream."""
    fields = [
        (name.encode(), text.encode("utf-8", "surrogateescape")) for name, text in outgoing.headers
    ]
    return http.Request(
        host=outgoing.host,
        port=outgoing.port,
        method=b"POST",
        scheme=b"https" if outgoing.tls else b"http",
        authority=b"",
        path=outgoing.target.encode(),
        http_version=b"HTTP/1.1",
        headers=http.Headers(fields),
        content=outgoing.body,
        trailers=None,
        timestamp_start=0,
        timestamp_end=0,
    )


def response_of(reply: Reply) -> http.Response:
    """The response that the client gets."""
    return http.Response.make(
        reply.status, reply.body, {"access-control-allow-origin": "*", **reply.headers}
    )


def fault() -> http.Response:
    """The response to a request that the gateway itself failed on."""
    return response_of(_reply(problems.gateway_failed()))


def sidecar_down() -> Reply:
    """The reply for the sidecar's paths while it does not answer."""
    return _reply(problems.sidecar_down())


def told(reply: Reply) -> Problem:
    """What a reply says, for a client whose stream has begun."""
    return problems.told_by_upstream(reply.status, message_of(reply.body))


def lowered(headers: http.Headers) -> dict[str, str]:
    """The headers with their names in lower case, without those that would break a head
    they are copied to.

    Headers of the same name are joined by commas (RFC 9110 §5.3). mitmproxy's own mapping
    takes quadratic time.
    """
    found: dict[str, list[str]] = {}
    for raw_name, raw_text in headers.fields:
        if _NAME.fullmatch(raw_name) and not _CONTROL.search(raw_text):
            name, text = (
                raw.decode("utf-8", "surrogateescape") for raw in (raw_name.lower(), raw_text)
            )
            found.setdefault(name, []).append(text)
    return {name: ", ".join(texts) for name, texts in found.items()}


_NAME = re.compile(rb"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def connect_words(error: str) -> str:
    """A connect error without addresses: `[Errno 111] Connect call failed ('127.0.0.1', 9)`
    tells too much.
    """
    known = error.lower()
    return next(
        (words for sign, words in _CONNECT_ERRORS.items() if sign in known), "no connection"
    )


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
