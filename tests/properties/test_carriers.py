"""Carriers of reasoning: how a stream is cut changes nothing, and no client mixes up what
its turns carry.
"""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.formats.chat import response
from addon.formats.chat.carriers import Quirks
from addon.formats.chat.details import Details
from addon.formats.chat.patch_stream import PatchStream
from addon.formats.chat.reader import ChatReader
from addon.formats.chat.tags import Tags
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.turn import Reasoning, Turn
from addon.formats.wire import sse
from shared.profiles import builtin_profiles
from tests.addon.recall.chat import Memory
from tests.harden.figure import at_scale
from tests.properties.test_recall import HAPPENINGS, STEPS, Client, Said
from tests.support.carriers import CARRIERS, Carrier
from tests.support.turns import Call, Json, completion, events
from tests.support.turns import Turn as Issued

SEEDS = at_scale(200, 500)
"""test_recall.py tells the same happenings of the plainest carrier at length."""

WORDS = st.sampled_from(
    ["<think>", "</think>", "<thi", "nk>", "</", "<", " ", "\n\n", "a", "思考", "\r\n", "answer"]
)
CONTENTS = st.lists(WORDS, max_size=12).map("".join)


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text cut at these places."""
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def parted(parts: list[str]) -> tuple[str, str, str]:
    tags = Tags()
    found = [*(tags.feed(part) for part in parts), tags.close()]
    return "".join(thought for thought, _ in found), "".join(text for _, text in found), tags.head


@given(CONTENTS, st.lists(st.integers(0, 200)))
def test_where_tags_are_cut_changes_nothing(content: str, cuts: list[int]) -> None:
    thought, text, head = parted(pieces(content, cuts))
    assert (thought, text, head) == parted([content])
    assert head + text == content


@given(st.text(), st.lists(st.integers(0, 200)))
def test_where_details_are_cut_changes_nothing(text: str, cuts: list[int]) -> None:
    whole, cut = Details(), Details()
    item: Json = {
        "type": "reasoning.text",
        "text": text,
        "format": "anthropic-claude-v1",
        "index": 0,
        "id": None,
    }
    whole.add([item | {"signature": "s"}])
    for piece in pieces(text, cuts):
        cut.add([item | {"text": piece}])
    cut.add([{"type": "reasoning.text", "index": 0, "signature": "s"}])
    assert json.loads(cut.text) == json.loads(whole.text)


ODD = st.sampled_from(
    [None, "", "<think>r", "</think>", "a", 7, {}, [], ["a"], [{"type": "thinking"}]]
)
THINKING = st.sampled_from(
    [{"type": "thinking", "thinking": "r"}, {"type": "text", "text": "a"}, {"type": "odd"}, 1]
)
DETAIL = st.sampled_from(
    [{"type": "reasoning.text", "text": "r"}, {"type": "reasoning.encrypted", "data": 1}, {}, "a"]
)
ODD_CALL = st.fixed_dictionaries(
    {"index": st.integers(0, 1), "extra_content": ODD, "function": st.just({"name": "f"})}
)
STEPS_OF_ODDITIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "content": ODD | st.lists(THINKING, max_size=3),
            "reasoning": ODD,
            "reasoning_details": ODD | st.lists(DETAIL, max_size=3),
            "tool_calls": st.lists(ODD_CALL, max_size=2),
        },
    ),
    max_size=6,
)


@given(STEPS_OF_ODDITIES, st.booleans(), st.booleans())
def test_whatever_comes_is_read_and_the_client_gets_json(
    steps: list[Json], tags: bool, repeats: bool
) -> None:
    stream = PatchStream(
        model="m", hide_usage=False, mint=lambda *_: "ours", quirks=Quirks(tags, repeats)
    )
    collected = Accumulator()
    for step in [*steps, {}]:
        choice = {"index": 0, "delta": step, "finish_reason": None if step else "stop"}
        deltas, out = stream.feed(
            b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n"
        )
        for raw in sse.Events().feed(out):
            json.loads(sse.data_of(raw) or b"")
        for delta in deltas:
            collected.add(delta)
    found = [part for part in collected.turns()[0].ordered if isinstance(part, Reasoning)]
    assert all(
        isinstance(part.opaque, str) and (part.text or part.opaque or part.field) for part in found
    )


def quirks(name: str) -> Quirks:
    profile = builtin_profiles()[name]
    return Quirks(tags=profile.tags, repeats=profile.repeats)


def heard(reader: ChatReader, raws: list[bytes]) -> Turn:
    collected = Accumulator()
    for raw in raws:
        for delta in reader.read(raw):
            collected.add(delta)
    return collected.turns()[0]


def issued(rng: Random, number: int) -> Issued:
    calls = tuple(
        Call(f"call_{at}", "Read", json.dumps({"n": number})) for at in range(rng.randint(0, 2))
    )
    text = rng.choice(
        (
            "",
            "Done.",
            f"I have changed the file in step {number}, and ran all of its tests after that.",
        )
    )
    reasoning = rng.choice((f"Thought {number}\n", f" {number} <b> ", ""))
    return Issued(reasoning=reasoning, text=text if calls else text or "OK", calls=calls)


@pytest.mark.parametrize("name", CARRIERS)
def test_a_stream_in_any_steps_is_the_whole_turn(name: str) -> None:
    carrier = CARRIERS[name]
    for seed in range(100):
        turn = carrier.prepared(issued(Random(seed), seed))
        body = completion(turn, "m", message=carrier.message(turn, "a"))
        whole = response.decode(body, quirks(name))
        assert whole is not None
        for steps in range(3):
            deltas = [*carrier.deltas(turn, "a", Random(steps))]
            raws = events(turn, "m", Random(steps), usage=True, deltas=deltas)
            streamed = heard(ChatReader(quirks(name)), raws)
            assert states(streamed) == states(whole.turns[0])
            assert (streamed.text, streamed.calls) == (whole.turns[0].text, whole.turns[0].calls)


def states(turn: Turn) -> list[tuple[str, str, str]]:
    """Carrier, place and state of what is to go back, with one spelling for arrays."""
    found = [part for part in turn.ordered if isinstance(part, Reasoning) and part.opaque]
    return [(one.carrier, one.id, spelled(one.opaque)) for one in found]


def spelled(opaque: str) -> str:
    return (
        json.dumps(json.loads(opaque), sort_keys=True) if opaque.startswith(("[", "{")) else opaque
    )


class CarryingClient(Client):
    """A conversation over a provider that has its own place for reasoning; the client drops
    all of it.
    """

    @property
    def carrier(self) -> Carrier:
        return CARRIERS[self.chat.profile.name]

    def answer(self, number: int) -> None:
        before = len(self.history)
        super().answer(number)
        for said in self.history[before:]:
            if said.calls:
                said.first = said.calls[0]["id"]

    def drop_call(self) -> None:
        super().drop_call()
        for said in self.history:
            if said.calls and said.first != said.calls[0]["id"] and self.chat.profile.stand_in:
                said.certain = False  # its signature has gone with its call

    def _made(self, number: int) -> Turn:
        made = super()._made(number)
        thought = made.reasoning.text if made.reasoning else None
        calls = tuple(Call(call.id, call.name, call.arguments) for call in made.calls)
        turn = self.carrier.prepared(Issued(reasoning=thought, text=made.text, calls=calls))
        self.issued = self._shown(self.carrier.issued(self.carrier.message(turn, "a")))
        deltas = [*self.carrier.deltas(turn, "a", self.rng)]
        reader = ChatReader(quirks(self.chat.profile.name))
        return heard(reader, events(turn, "m", self.rng, deltas=deltas))

    def _thought(self, given: Turn) -> str | None:
        return self.issued

    def _carried(self, message: Json) -> str:
        return self._shown(self.carrier.carried(message)) or ""

    def _shown(self, carried: str | None) -> str | None:
        """Without the text, which a stopped turn has less of."""
        return carried and carried.partition("</think>")[0]

    def _copy(self, said: Said) -> str | None:
        return None


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    found = Memory(tmp_path_factory.mktemp("carriers") / "adapter.db", memory_bytes=1 << 18)
    yield found
    found.engine.close()


@pytest.mark.parametrize("name", CARRIERS)
def test_no_turn_ever_carries_the_reasoning_of_another(memory: Memory, name: str) -> None:
    for seed in range(-(-SEEDS // len(CARRIERS))):
        rng = Random(f"{name} {seed}")
        clients: list[Any] = [CarryingClient(memory, rng, f"{name} {seed}", name) for _ in range(4)]
        for number in range(STEPS):
            client = rng.choice(clients)
            happening = rng.choices([*HAPPENINGS, Client.fork, None], [8, 5, 7, 8, 8, 64])[0]
            if happening is Client.fork:
                clients.append(client.fork())
            elif happening is not None:
                getattr(client, happening.__name__)()
            client.answer(number)
    memory.restart()
