"""What coding agents are asked to have done by a second agent, in turns that a strict provider
makes of the tools that they declare, or find first.
"""

import json

from tests.clients.calls import results
from tests.clients.errand import LOOK, Errand, shell, tools_of
from tests.support.turns import Json, Turn

__all__ = ("Delegation",)

TASK = "Look twice."
REPORT = "There are two plums."
WAIT = "multi_agent_v1__wait_agent"
"""Codex's: Claude Code waits by itself."""


class Delegation(Errand):
    """Has an agent search for tools, where it can, and send a second agent to look, each beside
    another call; then it says so.
    """

    has_report = False
    """Whether the first agent was told what the second one found."""

    @property
    def prompt(self) -> str:
        return "Have everything looked at."

    def make(self, request: Json) -> Turn:
        """The next turn of either agent. Raises KeyError for a request that lost a call."""
        tools, came = tools_of(request), results(request)
        first = self.prompt in json.dumps(request)
        self.has_report |= first and any(REPORT in result for result in came)
        uses = _of_first(tools, came) if first else _of_second(came)
        calls = tuple(self._call_of(tools, ways) for ways in uses)
        if calls:
            return self._said("", calls)
        return self._said(self.done if first else REPORT)


def _of_first(tools: Json, came: list[str]) -> list[Json]:
    """What the first agent does when its calls have come to this."""
    look = shell(LOOK)
    match len(came):
        case 0:
            return [_search() | look, look]
        case 2:
            return [_delegate(), look]
        case 4 if WAIT in tools:
            return [{WAIT: {"targets": [json.loads(came[2])["agent_id"]]}}, look]
    return []


def _of_second(came: list[str]) -> list[Json]:
    return [] if came else [shell(LOOK), shell(LOOK)]


def _search() -> Json:
    """The tools that look for tools: Codex's and Claude Code's."""
    return {
        "tool_search": {"query": "spawn an agent and wait for it"},
        "ToolSearch": {"query": "select:WebFetch,WebSearch"},
    }


def _delegate() -> Json:
    """The tools that start an agent: Codex's and Claude Code's."""
    told = {"description": "Look", "prompt": TASK, "run_in_background": False}
    return {"multi_agent_v1__spawn_agent": {"message": TASK}, "Agent": told}
