"""HEAD is answered as GET, and nothing else is changed."""

import asyncio
from typing import Any

from litestar.types import Receive, Scope, Send

from manage_api.access.head import answering_head


def method_seen(scope: dict[str, Any]) -> str | None:
    """The method with which an application behind it is called."""
    seen: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope))

    async def nothing(*_: Any) -> Any:
        return {}

    asyncio.run(answering_head(app)(scope, nothing, nothing))  # type: ignore[arg-type]
    method: str | None = seen[0].get("method")
    return method


def test_head_is_get_for_the_application_alone() -> None:
    scope = {"type": "http", "method": "HEAD"}
    assert method_seen(scope) == "GET"
    assert scope["method"] == "HEAD"  # the server looks here when it leaves the body out


def test_other_methods_and_other_scopes_stay() -> None:
    assert method_seen({"type": "http", "method": "POST"}) == "POST"
    assert method_seen({"type": "lifespan"}) is None
