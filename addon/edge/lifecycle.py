"""The gateway's life in mitmproxy's process: what must hold at its start, what is done each
second, what at its end.
"""

import asyncio
import logging
import resource

from mitmproxy import connection, ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.utils import asyncio_utils

from addon.edge import http1
from addon.edge.http_layer import widen_backlog
from addon.node import Node
from shared.config.mitm import REQUIRED, SINK

__all__ = ("BASELINE", "ClientLimit", "Lifecycle")

BASELINE: dict[str, object] = {
    **REQUIRED,
    "save_stream_file": None,
    "client_replay": [],
    "server_replay": [],
}
"""mitmproxy options that must hold when somebody launches it without `mitm.toml`."""

SHOWN_FLOWS = 500
"""mitmweb keeps every flow in memory, 55 KB for one of 50 KB: the latest are kept."""

_log = logging.getLogger("thinkback")


class Lifecycle:
    """A mitmproxy addon that starts the gateway, does its periodic work and ends it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ticking: asyncio.Task[None] | None = None

    def load(self, loader: Loader) -> None:
        http1.install()

    def running(self) -> None:
        _refuse_other_options()
        widen_backlog(ctx.master.addons.get("proxyserver").servers)
        self._ticking = asyncio_utils.create_task(
            self._tick(), name="thinkback each second", keep_ref=True
        )

    def done(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        # Streams that are being cut are settled after this hook: the store must still take them.
        self._node.engine.flush()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            try:
                self._node.each_second()
                _forget_shown_flows()
            except Exception:
                _log.exception("the periodic work failed")


class ClientLimit:
    """A mitmproxy addon that turns clients away before file descriptors run out."""

    def __init__(self) -> None:
        # Two descriptors a client, its own and its upstream's; 128 for everything else.
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._limit = max(64, (descriptors - 128) // 2)
        self._clients: set[str] = set()

    def client_connected(self, client: connection.Client) -> None:
        self._clients.add(client.id)
        if len(self._clients) > self._limit:
            client.error = "too many connections"

    def client_disconnected(self, client: connection.Client) -> None:
        self._clients.discard(client.id)


def _refuse_other_options() -> None:
    wrong = [name for name, value in BASELINE.items() if getattr(ctx.options, name) != value]
    for name in wrong:
        _log.error("mitmproxy's option %s must be %r: mend mitm.toml", name, BASELINE[name])
    modes = [mode for mode in ctx.options.mode if not mode.startswith(f"{SINK}@")]
    for mode in modes:
        _log.error("mitmproxy's mode must be %s@…, not %s: mend mitm.toml", SINK, mode)
    if wrong or modes:
        raise SystemExit(1)


def _forget_shown_flows() -> None:
    view = ctx.master.addons.get("view")
    if view is not None and len(view) > SHOWN_FLOWS:
        view.remove(list(view)[: len(view) - SHOWN_FLOWS])
