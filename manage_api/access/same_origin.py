"""Protects browsers: security headers, refusal of cross-site requests, the session cookie."""

from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import PermissionDeniedException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from manage_api.access.callers import Connection, forwarded
from shared.security.tokens import LIFETIME_SECONDS

__all__ = ("SameOrigin", "add_security_headers", "expired_cookie", "read_cookie", "session_cookie")

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

_FORMS = frozenset(("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"))
"""What a form can send without being asked (https://fetch.spec.whatwg.org/#simple-header)."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Defaults for routes that do not set their own."""


async def add_security_headers(message: Message, _: Scope) -> None:
    """Add the default headers; a `before_send` hook also sees the router's error responses."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)


class SameOrigin(ASGIMiddleware):
    """Refuses unsafe requests from other sites' pages.

    Browsers send `Sec-Fetch-Site` (W3C Fetch Metadata), old ones `Origin`; other clients
    send neither. What sends neither, but a cookie and a form's media type, may be the form of
    another site in a browser that hides where it comes from.
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
    if origin is None:
        return not (read_cookie(connection) and _is_form(connection))
    # Not parsed as a URL: a malformed origin simply never equals the host.
    return origin.partition("://")[2] == connection.headers.get("host")


def _is_form(connection: Connection) -> bool:
    media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type in _FORMS


def session_cookie(connection: Connection, token: str, lifetime: int = LIFETIME_SECONDS) -> Cookie:
    """Return the cookie with a session token, out of reach of scripts and other sites."""
    return Cookie(
        key=_cookie_name(connection),
        value=token,
        max_age=lifetime,
        secure=_is_https(connection),
        httponly=True,
        samesite="strict",
    )


def expired_cookie(connection: Connection) -> Cookie:
    """Return the cookie that deletes the session's."""
    return session_cookie(connection, "", 0)


def read_cookie(connection: Connection) -> str:
    """Return the session token in the cookie, or an empty string."""
    return connection.cookies.get(_cookie_name(connection), "")


def _cookie_name(connection: Connection) -> str:
    """Return the cookie's name, whose prefix keeps others from setting it.

    Neither other hosts of the domain nor plain http can (RFC 6265bis, section 4.1.3.2).
    """
    if _is_https(connection):
        return "__Host-thinkback"
    return "thinkback"


def _is_https(connection: Connection) -> bool:
    return forwarded(connection, "proto") == "https"
