"""The two programs, asked from this machine."""

from collections.abc import AsyncIterator

import httpx
import msgspec

from manage_api.addresses import local_url
from manage_api.domains.doctor.findings import Finding, fault, ok, warning
from manage_api.domains.doctor.installation import Installation
from shared.store.ledger import DEAD_AFTER_MS

__all__ = ("check_running",)

_SECONDS = 5.0
_START = "Start it: thinkback up, or thinkback start; its log says why it ended."


class _Ready(msgspec.Struct):
    """What `/readyz` of the data plane, and `/healthz` of the sidecar, answer."""

    status: str
    upstreams: int | None = None


async def check_running(installation: Installation) -> AsyncIterator[Finding]:
    """Report whether both programs answer, and are what is installed and configured now."""
    server = installation.snapshot.server
    ready = await _ask(f"{local_url(server.listen_addr)}/readyz", "gateway")
    yield _judged(ready, "gateway", local_url(server.listen_addr))
    healthy = await _ask(f"{local_url(server.admin_addr)}/healthz", "sidecar")
    yield _judged(healthy, "sidecar", local_url(server.admin_addr))
    if isinstance(ready, _Ready):
        for finding in (_upstreams(installation, ready), _version(installation)):
            if finding:
                yield finding


async def _ask(url: str, check: str) -> _Ready | Finding:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_SECONDS) as client:
            answer = await client.get(url)
        return msgspec.json.decode(answer.content, type=_Ready)
    except httpx.ConnectError:
        return fault(check, f"Nothing answers at {url}.", _START)
    except httpx.HTTPError as error:
        seen = f"{url} does not answer ({type(error).__name__})."
        return fault(check, seen, "Restart Thinkback: thinkback restart, or the service.")
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return fault(
            check,
            f"Another program answers at {url}.",
            "Stop that program, or set LISTEN_ADDR and ADMIN_LISTEN_ADDR to free ports.",
        )


def _judged(answer: _Ready | Finding, check: str, url: str) -> Finding:
    if isinstance(answer, Finding):
        return answer
    if answer.status not in ("ok", "ready"):
        return fault(check, f"It answers at {url}: {answer.status}.", _START)
    return ok(check, f"It answers at {url}.")


def _upstreams(installation: Installation, ready: _Ready) -> Finding | None:
    """Report a gateway that goes by another configuration."""
    configured = len(installation.snapshot.upstreams)
    if ready.upstreams in (None, configured):
        return None
    return warning(
        "configuration",
        f"Upstreams of the gateway that runs: {ready.upstreams}; of the configuration read here: "
        f"{configured}. It was started with another environment or in another directory.",
        "Run the doctor with the environment and in the directory of the gateway, or put the "
        "variables into the file .env, which every command reads, and restart.",
    )


def _version(installation: Installation) -> Finding | None:
    rows = installation.store.read(
        "SELECT DISTINCT version FROM nodes WHERE seen_at > :since",
        {"since": installation.clock.now_ms() - DEAD_AFTER_MS},
    )
    others = sorted(version for (version,) in rows if version != installation.version)
    if not others:
        return None
    return warning(
        "version",
        f"Thinkback {', '.join(others)} runs, and {installation.version} is installed.",
        "Run thinkback restart, which cuts no answer.",
    )
