"""What browsers are told with every answer, which of their requests are refused, and the
cookie of their session.
"""

from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import PermissionDeniedException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from manage_api.access.callers import Connection, forwarded
from shared.security.tokens import LIFETIME_SECONDS

__all__ = ("SameOrigin", "add_security_headers", "no_cookie", "session_cookie", "shown_cookie")

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

    `Sec-Fetch-Site` (W3C Fetch Metadata) is believed; a browser without it still sends
    `Origin`. Programs send neither.
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
    # Not parsed: what is no URL is nobody's own.
    return origin is None or origin.partition("://")[2] == connection.headers.get("host")


def session_cookie(connection: Connection, token: str, lifetime: int = LIFETIME_SECONDS) -> Cookie:
    """The cookie that carries a session token, for `lifetime` seconds; scripts and other
    sites' pages can't use it.
    """
    return Cookie(
        key=_cookie_name(connection),
        value=token,
        max_age=lifetime,
        secure=_is_https(connection),
        httponly=True,
        samesite="strict",
    )


def no_cookie(connection: Connection) -> Cookie:
    """What takes the cookie away."""
    return session_cookie(connection, "", 0)


def shown_cookie(connection: Connection) -> str:
    """The session token in the cookie, or an empty string."""
    return connection.cookies.get(_cookie_name(connection), "")


def _cookie_name(connection: Connection) -> str:
    """The prefix keeps other hosts of the domain, and plain http, from setting it (RFC
    6265bis, section 4.1.3.2).
    """
    return "__Host-thinkback" if _is_https(connection) else "thinkback"


def _is_https(connection: Connection) -> bool:
    return forwarded(connection, "proto") == "https"
