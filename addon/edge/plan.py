"""What becomes of a flow, and who says so."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec
from mitmproxy import http
from mitmproxy.proxy import commands

from addon.admission.body_room import BodyRoom
from addon.edge.upstream_pool import UpstreamPool
from addon.exchange.intake import Intake
from shared.clock import Clock
from shared.config.schema import Server

__all__ = ("FAULT", "LlmCall", "Plan", "Planner", "Slices", "ToSidecar")

FAULT = "fault inside the gateway"
"""What a flow's error says when it is our own."""

SLICE_SECONDS = 0.002
"""A delta of somebody else's stream may wait so long: nobody sees it, and less would make the
long work longer.
"""


class LlmCall(msgspec.Struct, frozen=True):
    """The flow's answer comes from an upstream, once the intake has taken the body."""

    intake: Intake
    max_body: int
    """Bytes the request's body may have."""

    owner: str
    """Whose bytes they are until the request is let in."""

    coding: str = ""
    """The body's Content-Encoding, one that we read."""


class ToSidecar(msgspec.Struct, frozen=True):
    """The request is passed to the sidecar, and its response to the client."""

    request: http.Request


class Slices:
    """The time that long work has in each round of the loop, shared by all who have some."""

    def __init__(self) -> None:
        self.workers = 0

    @property
    def seconds(self) -> float:
        """How long one of them may work at a time."""
        return SLICE_SECONDS / max(1, self.workers)


type Plan = LlmCall | ToSidecar


class Planner(Protocol):
    """Says what was planned for a flow; the gateway implements it."""

    clock: Clock
    room: BodyRoom
    """For what comes of requests."""

    slices: Slices

    pool: UpstreamPool | None = None
    """Connections to upstreams that all clients share; None: mitmproxy makes them."""

    note_tls: Callable[[str], object]
    """To be called when somebody at an address speaks TLS to our port, which takes plain HTTP."""

    def note_opened(self, flow: http.HTTPFlow, call: LlmCall) -> None:
        """The body of the call was taken in."""

    @property
    def server(self) -> Server:
        """`[server]` as it is in force."""

    watched: bool = True
    """Whether other addons want to hear of flows; telling mitmproxy's thirty is most of
    what a request costs.
    """

    def hear(self, hook: commands.StartHook) -> Coroutine[Any, Any, None] | None:
        """Take a hook of a flow that no other addon hears; what has to be awaited before the
        flow goes on.
        """

    def plan_of(self, flow: http.HTTPFlow) -> Plan | None:
        """The flow's plan, or None: it goes nowhere."""

    def note_progress(self, flow: http.HTTPFlow) -> None:
        """Note in the books what has come of a running answer."""

    def settle(self, flow: http.HTTPFlow, status: int) -> None:
        """Close the books on a flow before its client can see its end, which waits for the
        commit.
        """

    def let_go(self, flow: http.HTTPFlow) -> None:
        """Close what is still open of a flow that has ended, as the hook of its end may have
        failed, and keep no body of it.
        """
