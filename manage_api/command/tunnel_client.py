"""The programs that open a tunnel: how each is run, and how it tells its public URL.

Pure: nothing is started here.
"""

import re
import shutil
from collections.abc import Callable

import msgspec

from shared.config.rules import public_url
from shared.errors import ThinkbackError

__all__ = ("PROGRAMS", "TunnelClient", "TunnelError", "choose")

PROGRAMS = ("cloudflared", "tailscale", "ngrok")
"""The first that is installed is taken: cloudflared needs no account."""

_ORIGIN = r"(https?://[\w.-]+(?::\d+)?)/?"

_IN_A_BOX = re.compile(rf"\|\s+{_ORIGIN}\s+\|", re.ASCII)
"""`2026-01-16T08:32:58Z INF |  https://four-words.trycloudflare.com  |`. URLs in other boxes stand
in sentences.
"""

_ALONE = re.compile(rf"^(?:Available on the internet:)?\s*{_ORIGIN}$", re.ASCII)
"""`https://host.tailnet.ts.net/`. The page where an admin has to allow it has a path."""

_CHANGES = "This address changes at each start of the tunnel: enter the new one in Cursor then."

_QUICK = (
    f"{_CHANGES} Such a quick tunnel holds 200 requests at once, and buffers event streams that "
    "are fetched by GET, so that live pages ask every few seconds instead. A named tunnel does "
    "neither (docs/operating.md)."
)
"""From developers.cloudflare.com/cloudflare-one, "Quick Tunnels"."""

_NGROK = "A free ngrok account shows browsers a warning before the web pages."

_INSTALL = """\
No program that opens a tunnel is installed. Install one of these, then run this again:
  cloudflared  needs no account: brew install cloudflared, or
               https://github.com/cloudflare/cloudflared/releases
  tailscale    needs an account, the address stays: https://tailscale.com/download
  ngrok        needs an account: https://ngrok.com/download"""


class TunnelError(ThinkbackError):
    """No tunnel can be opened; the message says why, and what to do."""


class TunnelClient(msgspec.Struct, frozen=True, kw_only=True):
    """A program that opens a tunnel, and how it is run."""

    program: str
    command: tuple[str, ...]
    url: str = ""
    """The public URL, where it is known beforehand."""

    note: str = ""
    """What the tunnel's users should know."""

    def url_in(self, line: str) -> str:
        """Return the public URL that a line of its output tells; empty when it tells none."""
        match self.program:
            case "cloudflared":
                found = _IN_A_BOX.search(line)
            case "tailscale":
                found = _ALONE.search(line.rstrip())
            case _:
                return _started(line)
        return found[1] if found else ""


def choose(
    wanted: str,
    *,
    target: str,
    name: str = "",
    url: str = "",
    find: Callable[[str], str | None] = shutil.which,
) -> TunnelClient:
    """Return how to open a tunnel to `target`, the gateway's local URL.

    `wanted` is one of `PROGRAMS`; empty: whichever is installed. `name` is a tunnel that
    `cloudflared tunnel create` has made, `url` the public address of that, or a domain of the
    ngrok account. Raises TunnelError.
    """
    program = wanted or _able(name, url) or next(filter(find, PROGRAMS), "")
    if not program:
        raise TunnelError(_INSTALL)
    path = find(program)
    if not path:
        raise TunnelError(f"{program} is not installed.\n{_INSTALL}")
    origin = _origin(url)
    if name and program != "cloudflared":
        raise TunnelError(f"{program} has no named tunnels: leave the name out.")
    match program:
        case "cloudflared":
            return _cloudflared(path, name, origin, target)
        case "tailscale":
            return _tailscale(path, origin, target)
        case _:
            return _ngrok(path, origin, target)


def _able(name: str, url: str) -> str:
    """Name the only program that can open such a tunnel; empty when any can."""
    if name:
        return "cloudflared"
    return "ngrok" if url else ""


def _cloudflared(path: str, name: str, url: str, target: str) -> TunnelClient:
    start = (path, "tunnel", "--no-autoupdate")
    if not name and not url:
        # Its configuration file is of named tunnels: quick ones don't work beside it.
        quick = ("--config", "/dev/null", "--url", target)
        return TunnelClient(program="cloudflared", command=(*start, *quick), note=_QUICK)
    if not name:
        raise TunnelError(
            "cloudflared gives an address of your own to named tunnels only: make one with "
            "`cloudflared tunnel create NAME` (docs/operating.md), and say its name."
        )
    if not url:
        raise TunnelError(
            f"cloudflared does not tell the address of the tunnel {name}: give the host name that "
            "`cloudflared tunnel route dns` has got, or set PUBLIC_URL."
        )
    return TunnelClient(
        program="cloudflared", command=(*start, "run", "--url", target, name), url=url
    )


def _tailscale(path: str, url: str, target: str) -> TunnelClient:
    if url:
        raise TunnelError("tailscale gives the machine's own name only: leave the address out.")
    return TunnelClient(program="tailscale", command=(path, "funnel", target))


def _ngrok(path: str, url: str, target: str) -> TunnelClient:
    log = ("--log", "stdout", "--log-format", "json")
    if url:
        return TunnelClient(
            program="ngrok", command=(path, "http", target, *log, "--url", url), note=_NGROK
        )
    return TunnelClient(
        program="ngrok", command=(path, "http", target, *log), note=f"{_CHANGES} {_NGROK}"
    )


class _Logged(msgspec.Struct):
    """A line of ngrok's log in JSON."""

    msg: str = ""
    url: str = ""


def _started(line: str) -> str:
    try:
        logged = msgspec.json.decode(line, type=_Logged)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return ""
    return logged.url.rstrip("/") if logged.msg == "started tunnel" else ""


def _origin(text: str) -> str:
    """Return the URL of a host name or a URL."""
    if not text:
        return ""
    url = text.rstrip("/") if "://" in text else f"https://{text}"
    if faults := list(public_url(url)):
        raise TunnelError(f"The tunnel's address {text} {faults[0].message}.")
    return url
