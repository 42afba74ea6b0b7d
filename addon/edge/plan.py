"""What becomes of a flow, and who says so."""

from typing import Protocol

import msgspec
from mitmproxy import http
from mitmproxy.proxy import commands

from addon.exchange.intake import Intake
from addon.exchange.verdict import UpstreamCall
from shared.clock import Clock

__all__ = ("Plan", "Planner")


class Plan(msgspec.Struct):
    """What becomes of a flow: an LLM call, or a request that is passed to the sidecar as it is."""

    intake: Intake | None = None
    sidecar: http.Request | None = None
    max_body: int = 0
    """Bytes the request's body may have."""

    @property
    def call(self) -> UpstreamCall | None:
        """What an upstream is asked, once the request has been read."""
        if self.intake is None:
            return None
        return self.intake.call


class Planner(Protocol):
    """Says what was planned for a flow; the gateway implements it."""

    clock: Clock
    watched: bool = True
    """Whether other addons want to hear of flows; telling mitmproxy's thirty is most of
    what a request costs.
    """

    def hear(self, hook: commands.StartHook) -> None:
        """Take a hook of a flow that no other addon hears."""

    def plan_of(self, flow: http.HTTPFlow) -> Plan | None:
        """The flow's plan, or None: it goes nowhere."""
