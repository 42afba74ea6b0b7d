"""Calls the sidecar makes to upstreams: only where they may lead, bounded in time and size;
no redirect is followed.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import certifi
import h11
import msgspec

from shared.config.schema import Upstream
from shared.errors import ThinkbackError
from shared.security.addresses import is_public_address

__all__ = ("MAX_BYTES", "Answer", "OutboundError", "fetch", "refuse_private", "tls_context")

MAX_BYTES = 1024 * 1024
_RESOLVE_SECONDS = 5
_CONNECT_SECONDS = 3
"""To one address when there are more."""

_HEAD_BYTES = 64 * 1024

_FAILURES = {
    errno.ECONNREFUSED: "The connection was refused: no server listens there.",
    errno.ECONNRESET: "The server closed the connection without an answer.",
    errno.ENETUNREACH: "There is no way to this host from here.",
    errno.EHOSTUNREACH: "There is no way to this host from here.",
}


class OutboundError(ThinkbackError):
    """There is no answer; the message says why in a sentence without network addresses."""


class Answer(msgspec.Struct, frozen=True):
    """An upstream's answer."""

    status: int
    body: bytes


async def refuse_private(host: str) -> None:
    """Raise OutboundError when the host leads anywhere but to the Internet; a name that
    does not resolve leads nowhere.

    What a name resolves to may change: whoever connects has to look again.
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
    """GET a path of the upstream's host; OutboundError when there is no answer.

    When `guarded`, every address of the host must be public, and it is one of those that is
    connected to.
    """
    try:
        async with asyncio.timeout(seconds):
            addresses = await _resolve(upstream.host)
            if guarded:
                _refuse_private(upstream.host, addresses)
            return await _exchange(upstream, addresses, _request(target, headers), tls)
    except TimeoutError:
        raise OutboundError(f"There was no answer within {seconds} seconds.") from None
    except ssl.SSLCertVerificationError as error:
        raise OutboundError(
            f"The certificate of the server is not valid: {error.verify_message}."
        ) from None
    except ssl.SSLError:
        raise OutboundError(
            "The TLS handshake failed: perhaps the server speaks plain http at this port."
        ) from None
    except OSError as error:
        raise OutboundError(
            _FAILURES.get(error.errno or 0, "The server could not be reached.")
        ) from None
    except h11.RemoteProtocolError:
        raise OutboundError("What came back is not an HTTP answer.") from None


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """What mitmproxy with these options trusts upstreams by, so that a test tells what the
    data plane would meet.
    """
    file, folder = (
        options.get(f"ssl_verify_upstream_trusted_{kind}") for kind in ("ca", "confdir")
    )
    context = ssl.create_default_context(
        cafile=file or (None if folder else certifi.where()), capath=folder
    )
    context.verify_flags &= (
        ~ssl.VERIFY_X509_STRICT
    )  # Python's own addition; mitmproxy does not ask for it
    if options.get("ssl_insecure"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _resolve(host: str) -> list[str]:
    """Every address of the host, whatever its spelling, as the system's resolver gives them
    to all programs.

    A dot at the end is left away: with it some resolvers do not know `localhost` and
    addresses, and others do.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host.rstrip("."), None, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        raise OutboundError(f"The name {host} does not resolve: check base_url.") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _refuse_private(host: str, addresses: Sequence[str]) -> None:
    if not all(map(is_public_address, addresses)):
        raise OutboundError(
            f"{host} leads into a private network or to this machine, which only "
            "upstreams in config.toml may, "
            "unless [server] allow_private_upstreams is true."
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
    reader, writer = await _connect(
        upstream, addresses, tls if upstream.scheme == "https" else None
    )
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
    """A connection to the first of the addresses that takes one."""
    name = upstream.host.rstrip(".") if tls else None
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
    status, body, received = 0, bytearray(), 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            piece = await reader.read(_HEAD_BYTES)
            received += len(piece)
            if received > MAX_BYTES:
                raise OutboundError("The answer is too long to be a list of models.")
            connection.receive_data(piece)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            raise OutboundError("The server closed the connection without an answer.")
