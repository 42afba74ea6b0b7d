"""What coding agents are asked to do, in turns that a strict provider makes of whatever
tools an agent declares.
"""

import asyncio
import json
import sys
from pathlib import Path
from random import Random

from shared.store import open_engine
from tests.support.gateway import Gateway
from tests.support.rawhttp import Loopback, Received, Reply, json_reply
from tests.support.turns import FIELD, Call, Json, Turn, TurnMaker

__all__ = ("DONE", "PROMPT", "Amnesia", "Errand", "carried")

PROMPT = "Say goodbye in greeting.txt."
DONE = "The greeting says goodbye."
WANTED = "goodbye\nand thanks\n"
PATCH = "*** Begin Patch\n*** Update File: greeting.txt\n@@\n-hello\n+goodbye\n*** End Patch\n"


class Errand(TurnMaker):
    """Has the file `greeting.txt` of a folder read, edited and looked at in four turns with
    calls, then says so.
    """

    def __init__(self, folder: Path, rng: Random) -> None:
        super().__init__(rng)
        self.folder = folder
        self.turns: list[Turn] = []
        self.interlude = ""
        """A command that every second turn runs too."""

        self._file = folder / "greeting.txt"
        self._file.write_text("hello\n", "utf-8")

    @property
    def is_done(self) -> bool:
        return self._file.read_text("utf-8") == WANTED

    def make(self, request: Json) -> Turn:
        """The next turn, for an agent that has the tools of the request."""
        uses = self._uses(len(self.turns))
        if self.interlude and len(self.turns) % 2:
            uses.append(_run(self.interlude))
        declared = {
            tool["name"]: tool
            for tool in (given.get("function", given) for given in request["tools"])
            if "name" in tool
        }
        calls = tuple(self._call_of(declared, ways) for ways in uses)
        self.turns.append(
            Turn(reasoning=self._reasoning() or "Hm.", text="" if calls else DONE, calls=calls)
        )
        return self.turns[-1]

    def _uses(self, at: int) -> list[Json]:
        """What a turn does: for each call, the tools that can do it and their arguments."""
        path = str(self._file)
        match at:
            case 0:
                return [{"Read": {"file_path": path}} | _run("cat greeting.txt"), _run("ls")]
            case 1:
                write = {
                    "apply_patch": {"input": PATCH},
                    "Write": {"file_path": path, "content": "goodbye\n"},
                }
                return [write | _run(f"apply_patch <<'EOF'\n{PATCH}EOF")]
            case 2:
                return [_run("echo and thanks >> greeting.txt")]
            case 3:
                return [_run("cat greeting.txt")]
        return []

    def _call_of(self, declared: Json, ways: Json) -> Call:
        name, given = next((name, given) for name, given in ways.items() if name in declared)
        takes_text = declared[name].get("type") == "custom"
        return Call(
            self._id({}, name, 0), name, given["input"] if takes_text else json.dumps(given)
        )


def _run(command: str) -> Json:
    """The tools that run a command: Codex's, Claude Code's, and that of the tests' own agent."""
    alone = {"command": command}
    return {"exec_command": {"cmd": command, "yield_time_ms": 30_000}, "Bash": alone, "run": alone}


def carried(bodies: list[Json]) -> list[list[str | None]]:
    """The reasoning of the assistant turns in each of the requests."""
    return [
        [said.get(FIELD) for said in body["messages"] if said["role"] == "assistant"]
        for body in bodies
    ]


class Amnesia(Loopback):
    """Whoever runs its `command` makes a gateway forget all turns: its table is emptied,
    its processes are replaced.
    """

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self.times = 0
        self.gateway = gateway

    @property
    def command(self) -> str:
        return f"{sys.executable} -c \"import urllib.request as u; u.urlopen('{self.base_url}')\""

    async def _answer(self, request: Received) -> Reply:
        await asyncio.to_thread(self._forget)
        return json_reply(b"{}")

    def _forget(self) -> None:
        self.gateway.kill()
        engine = open_engine(f"sqlite:{self.gateway.directory}/adapter.db")
        engine.transact(lambda work: work.run("DELETE FROM recall_turns"))
        engine.close()
        self.gateway.start()
        self.times += 1
