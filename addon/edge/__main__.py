"""`python -m addon.edge`: mitmdump with the same arguments, and a third less of it in memory."""

import os
import signal
import sys
from types import ModuleType

from addon.edge.event_loop import VARIABLE, choose
from shared.deferred import defer

__all__ = ("DEFERRED",)

DEFERRED = (
    "aioquic",  # QUIC, which mitm.toml has off, as what follows
    "pylsqpack",
    "mitmproxy.proxy.layers.quic",
    "mitmproxy.proxy.layers.http._http2",  # HTTP/2
    "mitmproxy.proxy.layers.http._http3",
    "ldap3",  # passwords of proxies
    "flask",  # mitmproxy's certificate page
    "werkzeug",
    "mitmproxy.flowfilter",  # filters of flows, and the commands of a console
    "mitmproxy.command_lexer",
    "pyparsing",
)


class _NoPage:
    """In the place of mitmproxy's own page, which the gateway does not run with."""

    def __init__(self) -> None:
        self.config: dict[str, object] = {}


def _defer() -> None:
    defer(DEFERRED)
    page = ModuleType("mitmproxy.addons.onboardingapp")
    page.app = _NoPage()  # type: ignore[attr-defined]
    sys.modules[page.__name__] = page


if __name__ == "__main__":
    # mitmproxy's answer to it cuts every stream, and is there before ours: `Lifecycle` lets it
    # through.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    choose(os.environ.get(VARIABLE, ""))
    _defer()  # before the rest imports them
    from mitmproxy.tools.main import mitmdump

    mitmdump()
