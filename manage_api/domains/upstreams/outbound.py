"""Calls from the sidecar to upstreams, bounded in time and size, without redirects."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import h11
import msgspec

from shared.config.schema import Upstream
from shared.errors import ThinkbackError
from shared.security import trust
from shared.security.addresses import is_public_address

__all__ = ("MAX_BYTES", "Answer", "OutboundError", "fetch", "refuse_private", "tls_context")

MAX_BYTES = 4 * 1024 * 1024
"""A list that describes and prices each of hundreds of models may have a MiB."""

_RESOLVE_SECONDS = 5
_CONNECT_SECONDS = 3
"""To one of several addresses; the next is tried then."""

_HEAD_BYTES = 64 * 1024

_FAILURES = {
    errno.ECONNREFUSED: "The connection was refused: no server is listening there.",
    errno.ECONNRESET: "The server closed the connection without a response.",
    errno.ENETUNREACH: "There is no route to this host from here.",
    errno.EHOSTUNREACH: "There is no route to this host from here.",
}


class OutboundError(ThinkbackError):
    """There was no response; the message says why, without network addresses."""


class Answer(msgspec.Struct, frozen=True):
    """An upstream's response."""

    status: int
    body: bytes
    date: str = ""
    """Its `Date`, when it has one."""


async def refuse_private(host: str) -> None:
    """Raise OutboundError if the host resolves to a private address.

    A name may resolve to something else later, so `fetch` checks again.
    """
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            addresses = await _resolve(host)
    except (OutboundError, TimeoutError):
        return
    _refuse_private(host, addresses)


async def fetch(
    upstream: Upstream,
    target: str,
    headers: Sequence[tuple[str, str]],
    *,
    guarded: bool,
    tls: ssl.SSLContext,
    seconds: float = 10,
) -> Answer:
    """GET a path of the upstream's host; raises OutboundError if there is no response.

    If `guarded`, all addresses of the host must be public, and only they are connected to.
    """
    try:
        async with asyncio.timeout(seconds):
            addresses = await _resolve(upstream.host)
            if guarded:
                _refuse_private(upstream.host, addresses)
            return await _exchange(upstream, addresses, _request(target, headers), tls)
    except TimeoutError:
        raise OutboundError(f"There was no response within {seconds} seconds.") from None
    except ssl.SSLCertVerificationError as error:
        raise OutboundError(
            f"The server's certificate is not valid: {error.verify_message}."
        ) from None
    except ssl.SSLError:
        raise OutboundError(
            "The TLS handshake failed: perhaps the server expects plain http on this port."
        ) from None
    except OSError as error:
        raise OutboundError(
            _FAILURES.get(error.errno or 0, "The server could not be reached.")
        ) from None
    except h11.RemoteProtocolError:
        raise OutboundError("The server's response is not HTTP.") from None


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Trust upstreams as mitmproxy with these options does, so that a test predicts it."""
    context = trust.tls_context(
        options.get("ssl_verify_upstream_trusted_ca"),
        options.get("ssl_verify_upstream_trusted_confdir"),
    )
    if options.get("ssl_insecure"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _resolve(host: str) -> list[str]:
    """Return every address of the host, by the system's resolver.

    Without a final dot: with it, some resolvers know `localhost` and addresses, others
    don't.
    """
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(
            host.rstrip("."), None, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        raise OutboundError(f"The name {host} does not resolve: check base_url.") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in rows))


def _refuse_private(host: str, addresses: Sequence[str]) -> None:
    if not all(map(is_public_address, addresses)):
        raise OutboundError(
            f"{host} is in a private network or this machine. Only upstreams in config.toml, or "
            "added in a browser on the gateway's own machine, may be there, unless [server] "
            "allow_private_upstreams is true."
        )


def _request(target: str, headers: Sequence[tuple[str, str]]) -> h11.Request:
    try:
        encoded = [(name.encode(), text.encode()) for name, text in headers]
        return h11.Request(method="GET", target=target, headers=encoded)
    except (h11.LocalProtocolError, UnicodeEncodeError):
        raise OutboundError("The headers of this upstream can't be sent.") from None


async def _exchange(
    upstream: Upstream, addresses: Sequence[str], request: h11.Request, tls: ssl.SSLContext
) -> Answer:
    context = None
    if upstream.scheme == "https":
        context = tls
    reader, writer = await _connect(upstream, addresses, context)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        writer.write(
            (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")
        )
        return await _read(connection, reader)
    finally:
        writer.transport.abort()


async def _connect(
    upstream: Upstream, addresses: Sequence[str], tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first of the addresses that accepts."""
    name = None
    if tls:
        name = upstream.host.rstrip(".")
    *others, last = addresses
    for address in others:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(
                    address, upstream.port, ssl=tls, server_hostname=name
                )
        except ssl.SSLError:
            raise
        except OSError:
            continue
    return await asyncio.open_connection(last, upstream.port, ssl=tls, server_hostname=name)


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    status, body, received, date = 0, bytearray(), 0, ""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            piece = await reader.read(_HEAD_BYTES)
            received += len(piece)
            if received > MAX_BYTES:
                raise OutboundError("The response is too long to be a list of models.")
            connection.receive_data(piece)
        elif isinstance(event, h11.Response):
            status = event.status_code
            date = dict(event.headers).get(b"date", b"").decode("latin-1")
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, bytes(body), date)
        elif isinstance(event, h11.ConnectionClosed):
            raise OutboundError("The server closed the connection without a response.")
