"""A fuzzed client: whatever it does to its history, no turn ever carries another turn's reasoning.

Many conversations of one principal begin with the same words, get the same short answers
and the same calls under the provider ids that every turn repeats; each turn's reasoning is
unique. Between requests the history is forked, rewound, compacted, stopped and continued by
other models, and every replay spells it differently.
"""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from addon.formats.neutral.turn import Turn
from tests.addon.recall.chat import FIELD, Chat, Memory, call, turn

type Json = dict[str, Any]

RUNS = 120
STEPS = 25
PROMPTS = ("continue", "go on", "Fix the bug.")
ANSWERS = ("Done.", "OK", "Sure, all of it is done now.")
ELSEWHERE = ("Sure", "Sure, all of it is", "All right.")
"""What other models say: never all of an answer of ours, which nobody could tell apart at
the same place.
"""

CALLS: tuple[tuple[str, Json], ...] = (
    ("Read", {"path": "README.md", "limit": 1}),
    ("Shell", {"command": "git status", "deep": {"b": "é", "a": [2]}}),
    ("Glob", {}),
)


class Said(msgspec.Struct):
    """One message as it truly is."""

    role: str
    text: str = ""
    calls: list[Json] = []
    result_of: str = ""
    reasoning: str | None = None
    """None for a turn of another model, or one that had none."""

    certain: bool = False
    """Whatever the client does from here on, the turn can be told from all others."""

    first: str = ""
    """Id of the first call it was made with."""


class Client:
    """One conversation, its true history, and what its client does to it."""

    def __init__(self, memory: Memory, rng: Random, principal: str, profile: str) -> None:
        self.rng = rng
        self.chat = Chat(memory, principal=principal, profile=profile)
        self.history = [Said("user", rng.choice(PROMPTS))]
        self.keeps_ids = True

    def fork(self) -> "Client":
        other = type(self)(self.chat.memory, self.rng, self.chat.principal, self.chat.profile.name)
        other.history, other.keeps_ids = list(self.history), self.keeps_ids
        return other

    def answer(self, number: int) -> None:
        """The model answers, and the client goes on from it."""
        given = self._made(number)
        complete = self.rng.random() < 0.85
        message = self._answered(given, complete)
        calls = message.get("tool_calls", [])
        unique = bool(calls) or len(given.text) > 64
        reasoning = self._thought(given)
        said = Said(
            "assistant", given.text, calls, reasoning=reasoning, certain=unique and complete
        )
        if not complete:
            said.text = given.text[: self.rng.randint(0, len(given.text))]
            if self.rng.random() < 0.3:
                self._lose_ids(said)
        self.history.append(said)
        self.history += [
            Said("tool", f"result {self.rng.random()}", result_of=one["id"]) for one in said.calls
        ]
        if not calls:
            self.history.append(Said("user", self.rng.choice(PROMPTS)))

    def _thought(self, given: Turn) -> str | None:
        """What must come back with the turn."""
        return given.reasoning.text if given.reasoning else None

    def _carried(self, message: Json) -> str:
        """What came back with it."""
        return message.get(FIELD) or ""

    def _made(self, number: int) -> Turn:
        rng = self.rng
        thought = rng.choice(
            (f"thought {number} \n", f"thought {number}", f"thought {number}", "", None)
        )
        long = (
            f"In step {number} I changed the file as you wanted it, and I ran the tests "
            "after that; all passed."
        )
        if rng.random() < 0.45:
            return turn(thought, rng.choice((*ANSWERS, long)))
        made = rng.sample(CALLS, rng.choice((1, 1, 2, 3)))
        ids = rng.choice((["call_0", "call_1", "call_2"], ["", "", ""], ["same", "same", "same"]))
        calls = [call(name, json.dumps(given), ids[at]) for at, (name, given) in enumerate(made)]
        return turn(thought, rng.choice(("", *ANSWERS)), *calls)

    def _answered(self, given: Turn, complete: bool) -> Json:
        self.chat.messages = self._replay()
        message = self.chat.answer(given, complete=complete)
        self._judge(json.loads(self.chat.sent)["messages"])
        return message

    def _lose_ids(self, said: Said) -> None:
        lost = self.rng.choice(("", "toolu_x"))
        said.calls = [
            {**one, "id": lost + str(at) if lost else ""} for at, one in enumerate(said.calls)
        ]
        said.certain = self.keeps_ids = False

    # -- what becomes of the history ---------------------------------------------------------------

    def rewind(self) -> None:
        """Back to before some answer: regenerated, edited, or a checkpoint restored."""
        answers = [at for at, said in enumerate(self.history) if said.role == "assistant"]
        if answers:
            del self.history[self.rng.choice(answers) :]
            if self.history[-1].role == "user" and self.rng.random() < 0.5:
                self.history[-1] = Said("user", self.rng.choice(PROMPTS))

    def compact(self) -> None:
        """A summary takes the place of the beginning."""
        starts = [at for at, said in enumerate(self.history) if said.role in ("user", "assistant")]
        self.history = [
            Said("user", f"<summary>{self.rng.random()}</summary>"),
            *self.history[self.rng.choice(starts) :],
        ]

    def drop_call(self) -> None:
        """One call of a parallel set was rejected."""
        sets = [at for at, said in enumerate(self.history) if len(said.calls) > 1 and said.certain]
        if sets:
            at = self.rng.choice(sets)
            calls = self.history[at].calls
            gone = self.rng.choice(calls)["id"]
            kept = [made for made in calls if made["id"] != gone]
            self.history[at] = msgspec.structs.replace(self.history[at], calls=kept)
            self.history = [said for said in self.history if said.result_of != gone]

    def speak_elsewhere(self) -> None:
        """Another model takes a turn; after words of its own when it makes the calls that
        ours make.
        """
        if self.rng.random() < 0.6:
            self.history.append(Said("assistant", self.rng.choice(ELSEWHERE)))
            self.history.append(Said("user", self.rng.choice(PROMPTS)))
            return
        if self.history[-1].role != "user":
            return
        self.history[-1] = Said("user", f"only here {self.rng.random()}")
        name, given = self.rng.choice(CALLS)
        made = {
            "id": "call_0",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(given)},
        }
        self.history += [Said("assistant", calls=[made]), Said("tool", "fine", result_of="call_0")]

    # -- how a replay spells it --------------------------------------------------------------------

    def _replay(self) -> list[Json]:
        head = [{"role": "system", "content": f"Today is {self.rng.random()}."}]
        if self.rng.random() < 0.5:
            head.append(
                {"role": "user", "content": f"<environment>{self.rng.random()}</environment>"}
            )
        return head + [self._spelled(said) for said in self.history]

    def _spelled(self, said: Said) -> Json:
        message: Json = {"role": said.role, "content": self._content(said)}
        if said.result_of or said.role == "tool":
            message["tool_call_id"] = said.result_of
        if said.calls:
            message["tool_calls"] = [self._spelled_call(made) for made in said.calls]
        if self.rng.random() < 0.1 and (copy := self._copy(said)):
            message[FIELD] = copy
        return message

    def _copy(self, said: Said) -> str | None:
        """The reasoning as the client sends it itself."""
        return said.reasoning and said.reasoning.strip()

    def _content(self, said: Said) -> Any:
        text = said.text
        if said.role == "user":
            text = f"<timestamp>{self.rng.random()}</timestamp><user_query>\n{text}\n</user_query>"
        elif said.role == "assistant":
            text = self.rng.choice(("", " ", "\r\n")) + text + self.rng.choice(("", "\n", " \t"))
        at = self.rng.randint(0, len(text))
        part, other = {"type": "text", "text": text[:at]}, {"type": "text", "text": text[at:]}
        return self.rng.choice((text, [part, other], *((None, []) if not text.strip() else ())))

    def _spelled_call(self, made: Json) -> Json:
        given = json.loads(made["function"]["arguments"])
        spelled = json.dumps(
            {key: float(one) if one == 1 else one for key, one in given.items()},
            sort_keys=self.rng.random() < 0.5,
            ensure_ascii=self.rng.random() < 0.5,
            indent=self.rng.choice((None, 1)),
        )
        return {
            **made,
            "index": 0,
            "function": {"name": made["function"]["name"], "arguments": spelled},
        }

    # -- the judgement -----------------------------------------------------------------------------

    def _judge(self, sent: list[Json]) -> None:
        answers = [said for said in self.history if said.role == "assistant"]
        carried = [self._carried(message) for message in sent if message["role"] == "assistant"]
        for said, found in zip(answers, carried, strict=True):
            mine = said.reasoning or ""
            assert found in (mine, mine.strip(), ""), "another turn's reasoning"
            if said.certain and (said.calls or self.keeps_ids):
                assert found == mine, "not restored"
        self._judge_ids(sent)

    def _judge_ids(self, sent: list[Json]) -> None:
        known: set[str] = set()
        for message in sent:
            if message["role"] == "assistant":
                known = {made["id"] for made in message.get("tool_calls", [])}
            assert message["role"] != "tool" or message["tool_call_id"] in known, (
                "a result without its call"
            )


HAPPENINGS = (Client.rewind, Client.compact, Client.drop_call, Client.speak_elsewhere)
"""What may become of a history between two answers, beside a fork."""


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    found = Memory(tmp_path_factory.mktemp("recall") / "adapter.db", memory_bytes=1 << 18)
    yield found
    found.engine.close()


@pytest.mark.parametrize("profile", ["deepseek-v4", "kimi"])
@pytest.mark.parametrize("tens", range(RUNS // 20), ids=lambda tens: f"runs {tens}0")
def test_no_turn_ever_carries_the_reasoning_of_another(
    memory: Memory, profile: str, tens: int
) -> None:
    for seed in range(tens * 10, tens * 10 + 10):
        rng = Random(f"{profile} {seed}")
        clients = [Client(memory, rng, f"{profile} {seed}", profile) for _ in range(4)]
        for number in range(STEPS):
            client = rng.choice(clients)
            happening = rng.choices([*HAPPENINGS, Client.fork, None], [8, 5, 7, 8, 8, 64])[0]
            if happening is Client.fork:
                clients.append(client.fork())
            elif happening is not None:
                happening(client)
            client.answer(number)
    memory.restart()
