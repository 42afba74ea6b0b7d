"""The gateway as the Internet sees it: through its public name and the proxy in front."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import msgspec

from manage_api.addresses import is_public
from manage_api.domains.doctor.door import Door
from manage_api.domains.doctor.findings import Finding, fault, ok, warning
from manage_api.domains.doctor.installation import Installation
from shared.doctor import issue_token
from shared.security.addresses import is_public_address

__all__ = ("check_certificate", "check_name", "check_outside", "check_plain_http")

_DEPLOY = "as in deploy/ (docs/operating.md)"
_BODY_BYTES = 30_000_000
"""A long conversation with pictures; the gateway takes 32 MiB by default."""

_BODY_SECONDS = 120.0
"""For 30 MB over a line of 2 Mbit/s."""

_RENEWED = timedelta(days=10)
"""Certificates that renew themselves do so when a third of their life is left."""

_UNREACHABLE = (502, 503, 504, 521, 522, 523, 530)
"""What proxies answer when nothing does behind them; those from 520 on are Cloudflare's."""


class _Health(msgspec.Struct):
    status: str


async def check_outside(installation: Installation, door: Door) -> AsyncIterator[Finding]:
    """Report on the way to the gateway; stops where nothing further can be seen."""
    token = issue_token(installation.secret, now=installation.clock.now_ms() // 1000)
    if is_public(urlsplit(door.origin).hostname or ""):  # else the address is told as it is written
        yield await check_name(installation, door.origin)
    reached = [finding async for finding in _check_reachable(door)]
    for finding in reached:
        yield finding
    if any(finding.verdict == "fault" for finding in reached):
        return
    async for finding in _check_plain_http(door):
        yield finding
    known = await _check_caller(door, token)
    yield known
    yield await _check_cors(door)
    if known.verdict == "ok":
        yield await _check_body(installation, door, token)


async def check_name(installation: Installation, origin: str) -> Finding:
    """Report whether the name leads to an address of the Internet."""
    host = urlsplit(origin).hostname or ""
    if installation.connect_to:
        return ok("name", f"{host} is asked at {installation.connect_to}, as you said.")
    addresses = await _resolve(host)
    if not addresses:
        return fault(
            "name",
            f"The name {host} does not resolve.",
            "Add a DNS record for it, or correct PUBLIC_URL.",
        )
    if private := [each for each in addresses if not is_public_address(each)]:
        return fault(
            "name",
            f"{host} leads to {private[0]}, which is in a private network or this machine: Cursor "
            "answers “Access to private networks is forbidden”.",
            "Let the DNS record name the public address, or open a tunnel (thinkback tunnel).",
        )
    return ok("name", f"{host} leads to {', '.join(addresses)}.")


async def _resolve(host: str) -> list[str]:
    """Return the addresses of a host, none when it has none."""
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, None, type=1)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in rows))


async def _check_reachable(door: Door) -> AsyncIterator[Finding]:
    try:
        async with door.stream("GET", "/healthz", headers={}) as answer:
            body = await answer.aread()
            certificate = _expiry(answer)
    except httpx.HTTPError as error:
        yield _unreachable(door, error)
        return
    yield _judge_health(door, answer, body)
    if certificate:
        yield certificate


def _unreachable(door: Door, error: httpx.HTTPError) -> Finding:
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return fault(
            "TLS",
            f"The certificate at {door.origin} is not valid: {cause.verify_message}.",
            "Install a certificate for this name, with its chain, from an authority that everybody "
            "trusts (Let's Encrypt).",
        )
    if isinstance(cause, ssl.SSLError):
        return fault(
            "TLS",
            f"There is no TLS at {door.origin}.",
            f"Let the proxy in front serve https on this port, {_DEPLOY}.",
        )
    return fault(
        "reachable",
        f"Nothing answers at {door.origin} ({type(error).__name__}).",
        "See that the proxy or tunnel runs and the firewall lets the port in; if only this machine "
        "can't reach its own public name, name the proxy's address by --connect-to.",
    )


def _cause(error: BaseException) -> BaseException:
    """Return what an error of the library is about."""
    while not isinstance(error, ssl.SSLError) and (below := error.__cause__ or error.__context__):
        error = below
    return error


def _judge_health(door: Door, answer: httpx.Response, body: bytes) -> Finding:
    status = answer.status_code
    if status in _UNREACHABLE:
        return fault(
            "reachable",
            f"The proxy at {door.origin} answers {status}: it does not reach the gateway.",
            "Let it pass requests on to LISTEN_ADDR, and start the gateway.",
        )
    if 300 <= status < 400:
        return fault(
            "reachable",
            f"{door.origin} redirects to {answer.headers.get('location', 'nowhere')[:200]}, "
            "which clients don't follow.",
            "Set PUBLIC_URL to where it leads, or let the proxy pass requests on instead.",
        )
    if status in (401, 403):
        return fault(
            "reachable",
            f"Something in front of the gateway refuses requests to {door.origin} ({status}).",
            "Take the sign-in, the bot protection or the list of addresses there away from the "
            "API's paths.",
        )
    try:
        works = msgspec.json.decode(body, type=_Health).status == "ok" and status == 200
    except (msgspec.DecodeError, msgspec.ValidationError):
        works = False
    if works:
        return ok("reachable", f"The gateway answers at {door.origin}.")
    return fault(
        "reachable",
        f"Something else than Thinkback answers at {door.origin} ({status}).",
        "Let the name lead to the gateway, and the proxy pass all paths on.",
    )


def _expiry(answer: httpx.Response) -> Finding | None:
    """Report on the certificate of the connection; None without TLS."""
    connection = answer.extensions["network_stream"].get_extra_info("ssl_object")
    if connection is None:
        return None
    begin, end = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(connection.getpeercert()[name]), UTC)
        for name in ("notBefore", "notAfter")
    )
    return check_certificate(begin, end, datetime.now(UTC))


def check_certificate(begin: datetime, end: datetime, now: datetime) -> Finding:
    """Report whether a certificate is renewed in time."""
    left = end - now
    if left > min(_RENEWED, (end - begin) / 5):
        return ok("TLS", f"The certificate is valid until {end:%Y-%m-%d}.")
    return warning(
        "TLS",
        f"The certificate ends in {left.days} days.",
        "Renew it, and see why that did not happen by itself.",
    )


async def _check_plain_http(door: Door) -> AsyncIterator[Finding]:
    """Report what answers beside https: whoever leaves out the s sends the key in clear."""
    url = httpx.URL(door.origin)
    if url.scheme != "https" or url.port:
        return
    try:
        answer = await door.at(f"http://{url.host}").ask("GET", "/healthz", seconds=5)
    except httpx.HTTPError:
        yield ok("http://", "Nothing answers without TLS.")
        return
    yield check_plain_http(url.host, answer.status_code)


def check_plain_http(host: str, status: int) -> Finding:
    """Report on what answers at port 80."""
    if status == 200:
        return warning(
            "http://",
            f"http://{host} is answered, too: who leaves out the s sends the key in clear.",
            "Redirect http to https in the proxy, or close port 80; and enter https:// in Cursor.",
        )
    if 300 <= status < 400:
        return ok("http://", "It redirects to https.")
    return ok("http://", f"It is refused ({status}).")


async def _check_caller(door: Door, token: str) -> Finding:
    """Report whether it is this gateway, and the key arrives there."""
    try:
        answer = await door.ask("GET", "/v1/models", headers=_authorised(token))
    except httpx.HTTPError as error:
        return _unreachable(door, error)
    if answer.status_code == 200:
        return ok("key", "The key arrives, and /v1/models answers.")
    if "No API key was sent" in answer.text:
        return fault(
            "key",
            "The header Authorization does not arrive at the gateway.",
            "Let the proxy pass it on (nginx: proxy_set_header Authorization $http_authorization).",
        )
    return fault(
        "key",
        f"The gateway there does not know this installation's doctor ({answer.status_code}).",
        "Let the name lead to this gateway: another one, or an older version, answers.",
    )


async def _check_cors(door: Door) -> Finding:
    """Report whether a page or an app may ask, as Cursor's settings do."""
    headers = {
        "Origin": "vscode-file://vscode-app",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    try:
        answer = await door.ask("OPTIONS", "/v1/chat/completions", headers=headers)
    except httpx.HTTPError as error:
        return _unreachable(door, error)
    if answer.is_success and answer.headers.get("access-control-allow-origin") == "*":
        return ok("CORS", "Preflight requests are answered.")
    return fault(
        "CORS",
        f"The proxy answers preflight requests itself ({answer.status_code}): Cursor's settings "
        "page can't ask the gateway.",
        "Let it pass OPTIONS on, and neither add nor remove Access-Control headers.",
    )


async def _check_body(installation: Installation, door: Door, token: str) -> Finding:
    """Report whether a request as large as a long conversation gets through."""
    size = min(_BODY_BYTES, installation.snapshot.server.max_body_mib * 1024 * 1024)
    head = b'{"model":"thinkback-doctor","messages":[{"role":"user","content":"'
    tail = b'"}]}'
    body = head + b"x" * (size - len(head) - len(tail)) + tail
    headers = {**_authorised(token), "Content-Type": "application/json"}
    told = f"{size // 1_000_000} MB"
    try:
        answer = await door.ask(
            "POST",
            "/v1/messages/count_tokens",
            headers=headers,
            content=body,
            seconds=_BODY_SECONDS,
        )
    except (httpx.TimeoutException, httpx.WriteError, httpx.RemoteProtocolError) as error:
        return warning(
            "body size",
            f"A request of {told} did not get through ({type(error).__name__}).",
            "Give the proxy more time and room (nginx: client_max_body_size 32m), or the line more "
            "upload.",
        )
    except httpx.HTTPError as error:
        return _unreachable(door, error)
    return _judge_body(answer, told)


def _judge_body(answer: httpx.Response, told: str) -> Finding:
    if answer.status_code == 200:
        return ok("body size", f"A request of {told} gets through.")
    if answer.status_code == 413:
        return fault(
            "body size",
            f"The proxy refuses a request of {told} (413): long conversations end with its error.",
            "Raise its limit to [server] max_body_mib (nginx: client_max_body_size 32m).",
        )
    return fault(
        "body size",
        f"A request of {told} is answered {answer.status_code}.",
        "See the log of the proxy and the gateway.",
    )


def _authorised(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
