"""How a data plane ends: it takes no more connections, ends its answers, and is gone.

Another one serves meanwhile on the same sockets, unless the whole gateway is stopped.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from mitmproxy import http
from mitmproxy.utils import asyncio_utils

from addon.edge.listening import Port
from shared.clock import Clock
from shared.lifeline import Lifeline

__all__ = ("Leaving",)

QUIET_SECONDS = 1.0
"""For how long nothing may have been answered before the end. Clients keep their connections:
one that is just sending its next request gets an answer, and is told to connect anew for more.
"""

_POLL_SECONDS = 0.05
_CUT_POLLS = 60
"""3 s, for the errors of what is cut to be sent and entered into the books."""

_log = logging.getLogger("thinkback")


class Leaving:
    """The end of this process, from the first word of it."""

    def __init__(self, port: Port, lifeline: Lifeline, clock: Clock) -> None:
        self._port = port
        self._lifeline = lifeline
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self.cutting = False
        """Whether answers that run are cut."""

        self.announced = False
        """Whether balancers and clients are told to go elsewhere."""

    @property
    def begun(self) -> bool:
        """Whether the process takes no more connections."""
        return self._task is not None

    def announce(self) -> None:
        """Tell those who ask that this process is not ready, and go on."""
        self.announced = True

    def send_elsewhere(self, flow: http.HTTPFlow) -> None:
        """Have a client connect anew for its next request, once this process leaves or will."""
        if flow.response is not None and self.announced:
            flow.response.headers["connection"] = "close"

    def begin(self, seconds: int, end: Callable[[], None]) -> None:
        """Leave: `end` is called once all running answers have ended, or were cut after
        `seconds`. Told again, cut them now.
        """
        if self._task is not None:
            self.cutting = True
            return
        self.announce()
        self._port.close()
        self._lifeline.tell(f"leaving {self._port.running} {seconds}")
        self._task = asyncio_utils.create_task(
            self._leave(seconds, end), name="thinkback leaves", keep_ref=True
        )

    async def _leave(self, seconds: int, end: Callable[[], None]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until_quiet()
        if self._port.running:
            self.cutting = True
            _log.warning("answers are cut off: %d", self._port.running)
            await self._cut()
        end()

    async def _until_quiet(self) -> None:
        quiet_since = self._clock.monotonic()
        # A connection that was accepted as the port closed is known a few rounds of the loop later.
        await asyncio.sleep(_POLL_SECONDS)
        while not self.cutting and self._port.connected:
            now = self._clock.monotonic()
            if self._port.running or not self._port.flushed:
                quiet_since = now
            elif now - quiet_since >= QUIET_SECONDS:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _cut(self) -> None:
        await self._port.cut()
        for _ in range(_CUT_POLLS):
            if self._port.flushed and not self._port.running:
                return
            await asyncio.sleep(_POLL_SECONDS)
