"""A stream that waits for the database without stopping the loop: mitmproxy holds back the events
of a layer whose command blocks, and others go on.
"""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from mitmproxy.proxy import commands

__all__ = ("WaitForStoreHook", "Waiter")


@dataclass
class WaitForStoreHook(commands.StartHook):
    """What has to be there before a stream goes on."""

    awaited: Coroutine[Any, Any, Any]


class Waiter:
    """A mitmproxy addon that waits on behalf of streams: a hook is a task, a layer is none."""

    async def wait_for_store(self, awaited: Coroutine[Any, Any, Any]) -> None:
        await awaited
