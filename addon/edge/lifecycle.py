"""The gateway's life in mitmproxy's process: what must hold at its start, what is done each
second, what at its end.
"""

import asyncio
import logging
import os
import signal

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.utils import asyncio_utils

from addon.edge import header_fields, http1, shortcuts
from addon.edge.accept_filter import Door
from addon.edge.hearing import Hearers
from addon.edge.leaving import Leaving
from addon.edge.listening import Port
from addon.edge.memory import Collector, FreeMemory
from addon.edge.plan import Slices
from addon.edge.upstream_pool import UpstreamPool
from addon.formats.wire.pace import worked
from addon.node import Node
from shared.config.mitm import REQUIRED, SINK
from shared.errors import StoreError
from shared.lifeline import BEAT_SECONDS, UNREADY, Lifeline, handed_sockets

__all__ = ("BASELINE", "Lifecycle")

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

    def __init__(self, node: Node, door: Door, slices: Slices, pool: UpstreamPool) -> None:
        self._node = node
        self._slices = slices
        self.pool = pool
        self._collector = Collector()
        self._port = Port(handed_sockets(os.environ), door)
        self._lifeline = Lifeline(os.environ)
        self.leaving = Leaving(self._port, self._lifeline, node.clock)
        self._ticking: asyncio.Task[None] | None = None

    def load(self, loader: Loader) -> None:
        http1.install()
        header_fields.install()
        shortcuts.install()
        Hearers(loader.master.addons).install()
        _have_mitmproxy_log_as_we_do()

    def running(self) -> None:
        _refuse_other_options()
        loop = asyncio.get_running_loop()
        if type(loop).__module__.startswith("uvloop"):
            _log.info("the event loop is uvloop's (EVENT_LOOP=asyncio switches it off)")
        for number in (signal.SIGINT, signal.SIGTERM):  # mitmproxy's own cut every stream
            loop.add_signal_handler(number, self._leave)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(UNREADY, self.leaving.announce)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP, signal.SIGTERM, UNREADY])
        self._ticking = asyncio_utils.create_task(
            self._live(), name="thinkback each second", keep_ref=True
        )

    def done(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        # Streams that are being cut are settled after this hook: the store must still take them.
        self._node.finish()

    def _leave(self) -> None:
        self.leaving.begin(self._node.snapshot.server.drain_seconds, ctx.master.shutdown)

    def _reload(self) -> None:
        work = worked(self._node.reload, self._node.clock.monotonic)
        asyncio_utils.create_task(work, name="thinkback reload", keep_ref=True)

    async def tend_node(self) -> None:
        """The node's work of each second, which waits until a lost database is back."""
        try:
            await worked(self._node.each_second, self._node.clock.monotonic)
        except StoreError:
            if not self._node.engine.lost:
                raise

    async def _live(self) -> None:
        self._collector.begin()
        free_memory = FreeMemory()
        if self.leaving.begun:  # told to while it started
            return
        await self._port.open()
        self._lifeline.begin()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._lifeline.tell("alive")
            try:
                await self.tend_node()
                self.pool.each_second()
                is_working = self._slices.workers > 0
                self._collector.each_second(is_working=is_working)
                free_memory.each_second(is_working=is_working)
                _forget_shown_flows()
            except Exception:
                _log.exception("the periodic work failed")


def _refuse_other_options() -> None:
    wrong = [name for name, value in BASELINE.items() if getattr(ctx.options, name) != value]
    for name in wrong:
        _log.error("mitmproxy's option %s must be %r: mend mitm.toml", name, BASELINE[name])
    modes = [mode for mode in ctx.options.mode if not mode.startswith(f"{SINK}@")]
    for mode in modes:
        _log.error("mitmproxy's mode must be %s@…, not %s: mend mitm.toml", SINK, mode)
    if wrong or modes:
        raise SystemExit(1)


def _have_mitmproxy_log_as_we_do() -> None:
    termlog, ours = ctx.master.addons.get("termlog"), logging.getLogger("thinkback").handlers
    if termlog is not None and ours:
        termlog.logger.setFormatter(ours[0].formatter)


def _forget_shown_flows() -> None:
    view = ctx.master.addons.get("view")
    if view is not None and len(view) > SHOWN_FLOWS:
        view.remove(list(view)[: len(view) - SHOWN_FLOWS])
