"""Whether what is streamed arrives as it is sent."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import httpx
import msgspec

from manage_api.domains.doctor.controller import PACE_SECONDS, PIECES
from manage_api.domains.doctor.door import Door
from manage_api.domains.doctor.findings import Finding, fault, ok, warning
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.doctor.stand_in import PACED
from shared.doctor import issue_token

__all__ = ("check_streaming",)

_SPREAD_SECONDS = PACE_SECONDS
"""Between the first and the last of the events; all at once takes no time at all."""

_PACED_BODY = msgspec.json.encode(
    {"model": PACED, "stream": True, "messages": [{"role": "user", "content": "Take your time."}]}
)
_REMEDY = (
    "Switch response buffering off in the proxy (nginx: proxy_buffering off; Caddy: flush_interval "
    "-1), and compression for text/event-stream."
)


async def check_streaming(installation: Installation, door: Door) -> AsyncIterator[Finding]:
    """Report on an answer to a POST, as clients get it, and to a GET, as the pages do."""
    token = issue_token(installation.secret, now=installation.clock.now_ms() // 1000)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    buffered = fault(
        "streaming by POST",
        f"Answers arrive in one piece after up to {PIECES * PACE_SECONDS:.1f} s instead of word by "
        "word: something in front buffers them.",
        _REMEDY,
    )
    yield await _check(
        installation,
        buffered,
        door.stream("POST", "/v1/chat/completions", headers=headers, content=_PACED_BODY),
    )
    if installation.snapshot.server.ui == "local":
        return  # then no page is there
    remedy = _REMEDY
    if (urlsplit(door.origin).hostname or "").endswith(".trycloudflare.com"):
        remedy = "Quick tunnels of cloudflared do that; a named tunnel does not."
    buffered = warning(
        "streaming by GET",
        "Streams that are fetched by GET arrive in one piece: the live pages ask every 5 seconds "
        "instead. Clients are not concerned.",
        remedy,
    )
    yield await _check(
        installation, buffered, door.stream("GET", "/doctor/stream", headers=headers)
    )


async def _check(
    installation: Installation,
    buffered: Finding,
    stream: AbstractAsyncContextManager[httpx.Response],
) -> Finding:
    """Measure a stream; `buffered` is what is found when it arrives at once."""
    times: list[float] = []
    try:
        async with stream as answer:
            times += [installation.clock.monotonic() async for _ in answer.aiter_raw()]
    except httpx.HTTPError as error:
        return fault(
            buffered.check,
            f"The stream was cut ({type(error).__name__}).",
            "Give the proxy in front more time for an answer (nginx: proxy_read_timeout 1900s).",
        )
    if answer.status_code != 200:
        return fault(
            buffered.check,
            f"The request was answered {answer.status_code}.",
            "See the log of the proxy and the gateway.",
        )
    if times[-1] - times[0] < _SPREAD_SECONDS:
        return buffered
    return ok(buffered.check, "Each piece arrives when it is sent.")
