"""A client's conversation with a model, with recall in between: what the client holds, and
what the upstream gets.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from addon.formats.chat import patch_request as chat_request
from addon.formats.neutral.turn import Reasoning, ToolCall, Turn
from addon.recall.memory import Recall
from addon.recall.replay import Replay
from addon.recall.restore import Policy, Restoration
from shared.profiles import Profile, builtin_profiles
from shared.store.engine import Engine
from shared.store.sqlite import connect
from tests.support.database import full_disk, open_database

__all__ = ("FIELD", "ID_KEY", "Chat", "Json", "Memory", "StoppedClock", "call", "turn")

type Json = dict[str, Any]

FIELD = "reasoning_content"
ID_KEY = b"a key for the tests that is secret"


class StoppedClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def pass_days(self, days: float) -> None:
        self.ms += int(days * 86_400_000)


class Memory:
    """The recall of one gateway process over a database file."""

    def __init__(
        self,
        path: Path,
        clock: StoppedClock | None = None,
        *,
        memory_bytes: int = 1 << 20,
        shared: bool = False,
    ) -> None:
        """`shared`: other processes remember turns in the same table."""
        self.shared = shared
        self.path = path
        self.clock = clock or StoppedClock()
        self.memory_bytes = memory_bytes
        self.random = Random(1)
        self.engine: Engine = open_database(path, self.clock)
        self.recall = self._recall()

    def restart(self) -> None:
        """The process ends and starts again."""
        self.engine.close()
        self.engine = open_database(self.path, self.clock)
        self.recall = self._recall()

    def _recall(self) -> Recall:
        return Recall(self.engine, self.clock, memory_bytes=self.memory_bytes, shared=self.shared)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another program writes for long: nothing gets into the table meanwhile."""
        other = connect(self.path)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")
        other.close()

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Every commit of this process fails meanwhile."""
        with full_disk():
            yield

    def forget(self, token: str) -> None:
        """Lose one turn, as pruning does, and everything held in memory."""
        self.engine.flush()
        self.engine.transact(
            lambda work: work.run(
                "DELETE FROM recall_turns WHERE token = :token", {"token": token}
            ),
            alone=(),
        )
        self.restart()

    def tokens(self) -> list[str]:
        """The remembered turns in the order in which they were made."""
        self.engine.flush()
        return [
            token for (token,) in self.engine.read("SELECT token FROM recall_turns ORDER BY rowid")
        ]


class Chat:
    """One conversation; `messages` are the client's, to be altered at will."""

    def __init__(
        self,
        memory: Memory,
        prompt: str = "Fix the bug.",
        *,
        principal: str = "user:1",
        profile: str = "deepseek-v4",
        tools: bool = True,
    ) -> None:
        self.memory = memory
        self.principal = principal
        self.profile: Profile = builtin_profiles()[profile]
        self.policy = Policy(self.profile.missing[0])
        self.origin = ""
        """The account that its requests go to."""

        self.conversation = ""
        """What the client calls it."""

        self.tools: Json = {"tools": [{"type": "function"}]} if tools else {}
        self.messages: list[Json] = [{"role": "system", "content": "You are an agent."}]
        self.restoration: Restoration | None = None
        self.ask(prompt)

    def ask(self, text: str) -> None:
        """The user says something."""
        self.messages.append({"role": "user", "content": text})

    def prepare(self) -> None:
        """Make the request for the messages as they are, as `sent`."""
        body = json.dumps({"model": "m", "messages": self.messages, **self.tools}).encode()
        request = chat_request.decode(body)
        self.talk = Replay(
            recall=self.memory.recall,
            clock=self.memory.clock,
            id_key=ID_KEY,
            random=self.memory.random.randbytes,
            principal_id=self.principal,
            messages=request.messages,
            has_tools=request.has_tools,
            conversation=self.conversation,
        )
        self.restoration = self.talk.restore(self.profile, self.policy, self.origin)
        self.sent = chat_request.encode(request, model="m", edits=self.restoration.edits, extra=[])

    def send(self) -> list[Json]:
        """Send the messages as they are: what the upstream gets, and accepts."""
        self.prepare()
        assert self.restoration is not None
        self.talk.accepted(self.restoration)
        sent: list[Json] = json.loads(self.sent)["messages"]
        return sent

    def answer(self, given: Turn, *, complete: bool = True, results: str = "fine") -> Json:
        """Send, and let the model answer; the client keeps the answer, and the results of
        its calls.
        """
        self.send()
        self.talk.remember({0: given}, complete=complete, durable=True, origin=self.origin)
        message = self.kept(given)
        self.messages.append(message)
        for made in message.get("tool_calls", []):
            self.messages.append({"role": "tool", "tool_call_id": made["id"], "content": results})
        return message

    def kept(self, given: Turn) -> Json:
        """The answer as the client keeps it: without its reasoning."""
        message: Json = {"role": "assistant", "content": given.text}
        if given.calls:
            functions = [{"name": one.name, "arguments": one.arguments} for one in given.calls]
            message["tool_calls"] = [
                {"id": self.talk.mint(0, at, one.id), "type": "function", "function": function}
                for at, (one, function) in enumerate(zip(given.calls, functions, strict=True))
            ]
        return message

    def say_elsewhere(self, message: Json) -> None:
        """A turn that another model made, or the client itself."""
        self.messages.append({"role": "assistant", **message})
        for made in message.get("tool_calls", []):
            self.messages.append({"role": "tool", "tool_call_id": made["id"], "content": "fine"})

    def carried(self, field: str = FIELD) -> list[str | None]:
        """Send: the reasoning each assistant message carries upstream; None where it
        carries none.
        """
        return [message.get(field) for message in self.send() if message["role"] == "assistant"]

    def rules(self) -> list[str]:
        """Send: how each assistant message was resolved."""
        self.send()
        assert self.restoration is not None
        return [one.rule for one in self.restoration.diagnoses]


def turn(reasoning: str | None, text: str = "", *calls: ToolCall, field: str = FIELD) -> Turn:
    """A turn of the model."""
    thought = None if reasoning is None else Reasoning(reasoning, field)
    return Turn(
        text=text, calls=calls, reasoning=thought, finish_reason="tool_calls" if calls else "stop"
    )


def call(
    name: str = "Read", arguments: str = '{"path": "README.md"}', call_id: str = "call_0"
) -> ToolCall:
    """A call as the model makes it, with an id that every turn repeats."""
    return ToolCall(call_id, name, arguments)
