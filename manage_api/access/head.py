"""HEAD, for which no page and no endpoint has a route of its own."""

from typing import cast

from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

__all__ = ("answering_head",)


def answering_head(app: ASGIApp) -> ASGIApp:
    """The application, which answers HEAD with the head of what GET gives (RFC 9110 §9.3.2):
    clients look with it whether anybody is there. The server leaves the body out.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            # A copy: the server looks into its own when it leaves the body out.
            scope = cast("HTTPScope", {**scope, "method": "GET"})
        await app(scope, receive, send)

    return answer
