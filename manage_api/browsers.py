"""What browsers are told with every answer, and which of their requests are refused."""

from urllib.parse import urlsplit

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import PermissionDeniedException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from manage_api.callers import Connection

__all__ = ("SameOrigin", "add_security_headers")

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Set where a route did not set its own."""


async def add_security_headers(message: Message, _: Scope) -> None:
    """Litestar `before_send` hook: error answers of the router pass here too."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)


class SameOrigin(ASGIMiddleware):
    """Refuses unsafe requests that another site's page made.

    `Sec-Fetch-Site` (W3C Fetch Metadata) is believed; a browser without it still sends `Origin`. Programs send neither.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope.get("method") not in _SAFE_METHODS and not _is_own(Connection(scope)):
            raise PermissionDeniedException("A page of another site may not do this.")
        await next_app(scope, receive, send)


def _is_own(connection: Connection) -> bool:
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host")
