"""A transport for the SDKs that checks every stream which they read to its end."""

import json
from collections.abc import Iterator

import httpx2 as httpx

from addon.formats.neutral.request import WireFormat
from tests.support.well_formed import check_stream

__all__ = ("Checking", "client")

_FORMATS: dict[str, WireFormat] = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/messages": "messages",
}
"""By the end of the path."""

MOST = 25
"""Streams that each client checks: those of a crowd are alike, and a check takes milliseconds."""

_ENDS = (
    b"data: [DONE]",
    b"event: message_stop",
    b"event: response.completed",
    b"event: response.incomplete",
)


class Checking(httpx.HTTPTransport):
    """Raises what `check_stream` raises before the end of the stream is read; one that ends with
    an error is not checked.
    """

    _checked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, which is checked while it is read."""
        response = super().handle_request(request)
        path = request.url.path.rstrip("/")
        found = [name for end, name in _FORMATS.items() if path.endswith(end)]
        streams = "event-stream" in response.headers.get("content-type", "")
        if found and streams and self._checked < MOST:
            self._checked += 1
            assert isinstance(response.stream, httpx.SyncByteStream)
            response.stream = _Checked(response.stream, found[0], _usage_asked(request))
        return response


class _Client(httpx.Client):
    """Closes itself as the SDKs' own do, for those who don't close the SDK's."""

    def __del__(self) -> None:
        if not self.is_closed:
            self.close()


def client(*, checks: bool = True) -> httpx.Client:
    """What an SDK sends by; `checks` all that is streamed to it."""
    return _Client(transport=Checking() if checks else httpx.HTTPTransport(), timeout=30)


def _last_event(stream: bytearray) -> bytes:
    """The last event, once it is whole; the SDKs don't read beyond the one that is the end."""
    if not stream.endswith(b"\n\n"):
        return b""
    return bytes(stream[stream.rfind(b"\n\n", 0, -2) + 2 :])


def _usage_asked(request: httpx.Request) -> bool:
    options = json.loads(request.content).get("stream_options") or {}
    return bool(options.get("include_usage"))


class _Checked(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, name: WireFormat, usage: bool) -> None:
        self._stream = stream
        self._format = name
        self._usage = usage

    def __iter__(self) -> Iterator[bytes]:
        whole = bytearray()
        for piece in self._stream:
            whole += piece
            if _last_event(whole).startswith(_ENDS) and b'"error":{' not in whole:
                check_stream(self._format, bytes(whole), usage=self._usage or None)
            yield piece

    def close(self) -> None:
        self._stream.close()
