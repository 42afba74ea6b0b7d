"""What coding agents are asked to do, in turns that a strict provider makes of whatever
tools an agent declares.
"""

import asyncio
import json
import sys
from itertools import zip_longest
from pathlib import Path
from random import Random

from shared.store import open_engine
from tests.clients.calls import results
from tests.support.gateway import Gateway
from tests.support.rawhttp import Loopback, Received, Reply, json_reply
from tests.support.turns import FIELD, Call, Json, Turn, TurnMaker

__all__ = ("LOOK", "Amnesia", "Errand", "TextErrand", "carried", "shell", "tools_of")

PATCH = "*** Begin Patch\n*** Update File: greeting.txt\n@@\n-hello\n+{}\n*** End Patch\n"

LOOK = "echo looked >> looks.txt"
RESULTS = ("hello", "", "", "", "", "and thanks", "")
"""What stands in the results of an errand's calls, as far as all agents pass it on."""

COMPACT = ("CONTEXT CHECKPOINT COMPACTION", "Respond with TEXT ONLY")
"""What Codex and Claude Code say when they want a summary to go on with."""

FOLLOW_UP = "What does the file say now?"


class Errand(TurnMaker):
    """Has the file `greeting.txt` of a folder read, edited and looked at in four turns with
    calls, then says so, as often as asked.
    """

    lost = 2
    """Turns that have been made when the interlude ends."""

    def __init__(self, folder: Path, rng: Random, word: str = "goodbye") -> None:
        super().__init__(rng)
        self.folder = folder
        self.word = word
        self.turns: list[Turn] = []
        self.interludes: dict[int, str] = {}
        """Commands that turns run besides, by the turns' places."""

        self.thoughtless = 0
        """The first turns, whose reasoning is empty: clients keep no copy of that."""

        self.ponders: int | None = None
        """The place of a turn whose reasoning fills the context that agents take for granted."""

        self.compactions = 0
        """How often an agent had its conversation put into few words."""

        self.last_request: Json = {}

        self._file = folder / "greeting.txt"
        self._file.write_text("hello\n", "utf-8")

    @property
    def prompt(self) -> str:
        return f"Say {self.word} in greeting.txt."

    @property
    def done(self) -> str:
        return f"The greeting says {self.word}."

    @property
    def is_done(self) -> bool:
        return self._file.read_text("utf-8") == f"{self.word}\nand thanks\n" and self.has_looked

    @property
    def has_looked(self) -> bool:
        """Whether the commands of this kind that were called were run, each once."""
        calls = [call.arguments for turn in self.turns for call in turn.calls]
        looks = self.folder / "looks.txt"
        looked = looks.read_text("utf-8").splitlines() if looks.exists() else []
        return len(looked) == sum(LOOK in call for call in calls)

    @property
    def lost_calls(self) -> list[int]:
        """The places, among all calls that were made, of those whose results are not in the last
        request.
        """
        came = results(self.last_request)
        wanted = RESULTS[: sum(len(turn.calls) for turn in self.turns)]
        pairs = zip_longest(wanted, came, fillvalue=None)
        return [
            at
            for at, (mark, result) in enumerate(pairs)
            if mark is None or result is None or mark not in result
        ]

    def prompts(self, interlude: str = "") -> list[str]:
        """What a user says to have it done, and asks then; `interlude` is a command that is
        run in between.
        """
        if interlude:
            self.interludes[self.lost - 1] = interlude
        return [self.prompt, FOLLOW_UP]

    def make(self, request: Json) -> Turn:
        """The next turn, for an agent that has the tools of the request; what an agent asks for
        itself besides, as for a title, is no turn of the errand.
        """
        declared = tools_of(request)
        told = json.dumps((request["messages"] or request["input"])[-1])
        self.compactions += (compacts := any(words in told for words in COMPACT))
        if compacts or not declared.keys() & shell("").keys():
            return Turn(reasoning="Hm.", text="<summary>A greeting</summary>")
        self.last_request = request
        at = len(self.turns)
        uses = self._uses(at)
        if at in self.interludes:
            uses.append(shell(self.interludes[at]))
        calls = tuple(self._call_of(declared, ways) for ways in uses)
        return self._said("" if calls else self.done, calls)

    def _said(self, text: str, calls: tuple[Call, ...] = ()) -> Turn:
        reasoning = ""
        if len(self.turns) >= self.thoughtless:
            reasoning = self._reasoning() or "Hm."
        if len(self.turns) == self.ponders:
            reasoning = "What a greeting. " * 18_000
        self.turns.append(Turn(reasoning=reasoning, text=text, calls=calls))
        return self.turns[-1]

    def _uses(self, at: int) -> list[Json]:
        """What a turn does: for each call, the tools that can do it and their arguments."""
        path = str(self._file)
        match at:
            case 0:
                return [_read(path) | shell("cat greeting.txt"), shell(LOOK)]
            case 1:
                patch = PATCH.format(self.word)
                written = _write(path, f"{self.word}\n") | shell(f"apply_patch <<'EOF'\n{patch}EOF")
                return [{"apply_patch": {"input": patch}} | written]
            case 2:
                return [shell("echo and thanks >> greeting.txt")]
            case 3:
                return [shell("cat greeting.txt")]
            case 5:
                return [_read(path) | shell("cat greeting.txt"), shell(LOOK)]
        return []

    def _call_of(self, declared: Json, ways: Json) -> Call:
        name, given = next((name, given) for name, given in ways.items() if name in declared)
        tool = declared[name]
        call_id = self._id({}, name, 0)
        if tool.get("type") == "custom":
            return Call(call_id, name, given["input"])
        schema = tool.get("parameters") or tool["input_schema"]
        taken = {member: given[member] for member in given if member in schema["properties"]}
        return Call(call_id, name, json.dumps(taken))


class TextErrand(Errand):
    """The same, for an agent without tools, which writes the files that an answer holds."""

    lost = 1

    def prompts(self, interlude: str = "") -> list[str]:
        """As an errand's; the user types the command."""
        typed = [f"!{interlude}"] if interlude else []
        return [self.prompt, *typed, "Say thanks, too.", FOLLOW_UP]

    def make(self, request: Json) -> Turn:
        """The next turn, whatever the request."""
        self.last_request = request
        lines = {0: f"{self.word}\n", 1: f"{self.word}\nand thanks\n"}
        text = self.done
        if len(self.turns) in lines:
            text = f"This is the greeting then.\n\ngreeting.txt\n```\n{lines[len(self.turns)]}```\n"
        return self._said(text)


def tools_of(request: Json) -> Json:
    """The tools of a request by their names."""
    given = (tool.get("function", tool) for tool in request.get("tools") or ())
    return {tool["name"]: tool for tool in given if "name" in tool}


def shell(command: str) -> Json:
    """The tools that run a command: Codex's, those of Claude Code and Continue, of Cline, of Qwen
    Code, and of the tests' own agent.
    """
    alone = {"command": command}
    return {
        "exec_command": {"cmd": command, "yield_time_ms": 30_000},
        "Bash": alone,
        "run_commands": {"commands": [command]},
        "run_shell_command": {**alone, "is_background": False},
        "run": alone,
        "bash": {**alone, "description": "Look"},
    }


def _read(path: str) -> Json:
    """The tools that read a file; Claude Code and Continue call it by the same name."""
    return {
        "Read": {"file_path": path, "filepath": path},
        "read": {"path": path, "filePath": path},
        "read_files": {"files": [{"path": path}]},
        "read_file": {"file_path": path},
    }


def _write(path: str, content: str) -> Json:
    """The tools that write a whole file."""
    written = {"file_path": path, "filepath": path, "content": content}
    written |= {"path": path, "filePath": path}
    return {
        "Write": written,
        "write": written,
        "write_file": written,
        "editor": {"path": path, "old_text": "hello\n", "new_text": content},
    }


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
        self.loses_key = False
        """Whether the copies that clients carry can't be opened afterwards either."""

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
        engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
        engine.close()
        if self.loses_key:
            (self.gateway.directory / "secret.key").unlink()
        self.gateway.start()
        self.times += 1
