"""How the doctor reaches the gateway, as a client does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

__all__ = ("Door", "open_door")

_SECONDS = 15.0
"""People wait for the doctor; a tunnel that has just been opened takes some."""


class Door:
    """One address of the gateway."""

    def __init__(self, client: httpx.AsyncClient, origin: str, connect_to: str = "") -> None:
        self.origin = origin
        self._client = client
        self._connect_to = connect_to

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] = {},
        content: bytes = b"",
        seconds: float = _SECONDS,
    ) -> httpx.Response:
        """Send a request, and read the answer to its end. Raises httpx.HTTPError."""
        request = self._request(method, path, headers, content, seconds)
        return await self._client.send(request)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        seconds: float = _SECONDS,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, and leave its answer to be read as it comes."""
        request = self._request(method, path, headers, content, seconds)
        answer = await self._client.send(request, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()

    def at(self, origin: str) -> "Door":
        """Return the door at another origin, reached in the same way."""
        return Door(self._client, origin, self._connect_to)

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes, seconds: float
    ) -> httpx.Request:
        url, named = httpx.URL(self.origin + path), dict(headers)
        extensions: dict[str, object] = {"timeout": httpx.Timeout(seconds).as_dict()}
        if self._connect_to:
            named["Host"] = url.netloc.decode()
            extensions["sni_hostname"] = url.host
            url = url.copy_with(host=self._connect_to)
        return self._client.build_request(
            method, url, headers=named, content=content, extensions=extensions
        )


@asynccontextmanager
async def open_door(origin: str, connect_to: str = "") -> AsyncIterator[Door]:
    """Reach the gateway at its origin; an address takes the place of what the name resolves to.

    Certificates are trusted that everybody trusts: Cursor's servers know no others.
    """
    # What is on this machine is not behind the environment's proxy.
    beyond = origin.startswith("https://") and not connect_to
    context = httpx.create_ssl_context()
    named = {"User-Agent": "thinkback-doctor"}
    async with httpx.AsyncClient(verify=context, trust_env=beyond, headers=named) as client:
        yield Door(client, origin, connect_to)
