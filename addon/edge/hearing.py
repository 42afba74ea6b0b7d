"""Who hears a hook of mitmproxy, and who its lines of each connection.

It asks each of its seventy addons for each of the six hooks of a connection, and once more for
each line of the log: most of what a connection costs, and nobody hears.
"""

import logging
from typing import Any

from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.exceptions import AddonHalt
from mitmproxy.hooks import Hook
from mitmproxy.log import ALERT

__all__ = ("Hearers", "leave_out_connections")

_CONNECTIONS = logging.getLogger("mitmproxy.proxy.server")
_SAID_BY_ITS_OWN = ("debug", "info")


class Hearers:
    """Triggers hooks as mitmproxy's addon manager does, for those of its addons that have them."""

    def __init__(self, addons: AddonManager) -> None:
        self._addons = addons
        self._chain: list[Any] = []
        self._length = 0
        self._hearers: dict[str, list[Any]] = {}
        """By the name of a hook."""

    def install(self) -> None:
        """Trigger what the addon manager is asked to trigger."""
        self._addons.trigger_event = self.trigger_event  # type: ignore[method-assign]

    async def trigger_event(self, event: Hook) -> None:
        for addon in self._of(event.name):
            try:
                with safecall():
                    await self._addons.invoke_addon(addon, event)
            except AddonHalt:
                return

    def _of(self, hook: str) -> list[Any]:
        """The addons that have the hook, or others within them: scripts come and go there."""
        chain = self._addons.chain
        if chain is not self._chain or len(chain) != self._length:
            self._chain, self._length, self._hearers = chain, len(chain), {}
        if hook not in self._hearers:
            self._hearers[hook] = [
                one for one in chain if hasattr(one, "addons") or getattr(one, hook, None)
            ]
        return self._hearers[hook]


def leave_out_connections(verbosity: str) -> None:
    """Have mitmproxy log no line for each connect and disconnect, unless its option
    `termlog_verbosity` asks for such lines.
    """
    level = logging.NOTSET if verbosity in _SAID_BY_ITS_OWN else ALERT
    _CONNECTIONS.setLevel(level)
