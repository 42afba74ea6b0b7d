"""Copies of reasoning that clients carry: theirs win over what memory takes for it, and none
goes to another family's model.
"""

import json

import pytest
from msgspec.structs import replace

from addon.exchange.exchange import Exchange
from shared.config.schema import Upstream
from tests.addon.desk import Desk, upstream
from tests.addon.exchange.answers import KINDS, answer, chat_members, turn
from tests.addon.exchange.dialogue import PATHS, Dialogue, calls_of, sent
from tests.addon.recall.chat import Json
from tests.support.turns import Turn, completion

OWN, TWINS = "thought alpha", "thought beta"


def upstream_of(kind: str) -> Upstream:
    if kind in ("responses", "messages"):
        return upstream(api=kind)
    return upstream(profile=kind)


def forget_own(desk: Desk) -> None:
    """The first turn that was remembered is no longer."""
    desk.memory.forget(desk.memory.tokens()[0])
    desk.restart()


# -- copies win ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire_format", PATHS)
def test_a_copy_wins_over_the_turn_of_a_twin(desk: Desk, wire_format: str, kind: str) -> None:
    desk.upstreams = (upstream_of(kind),)
    own, twin = (Dialogue(desk, wire_format) for _ in range(2))
    own.hear(own.open(), answer(kind, OWN))
    twin.hear(twin.open(), answer(kind, TWINS))
    own.replace_ids("own")
    forget_own(desk)
    for _ in range(2):
        body = own.open().outgoing.body.decode()
        assert (OWN in body, TWINS in body) == (True, False)
        own.say("Go on.")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire_format", PATHS)
def test_a_copy_of_the_turn_that_is_remembered_changes_nothing(
    desk: Desk, wire_format: str, kind: str
) -> None:
    desk.upstreams = (upstream_of(kind),)
    talk = Dialogue(desk, wire_format)
    talk.hear(talk.open(), answer(kind, OWN))
    talk.replace_ids("own")
    kept = turns_of(talk.open())
    talk.forget_reasoning()
    assert kept == turns_of(talk.open())


def turns_of(exchange: Exchange) -> list[Json]:
    """What the assistant has said, as it goes out; reasoning may stand under any name."""
    body = sent(exchange)
    found = body["messages"] if "messages" in body else body["input"]
    return [one for one in found if one.get("role") != "user" and one.get("type") != "message"]


PLAIN = ("deepseek-v4", "groq", "vllm", "field-generic", "minimax", "mistral")


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize(
    ("copy", "wins"),
    [("thought alpha", False), ("", False), (" ", False), ("thought gamma", True)],
    ids=["trimmed", "empty", "blank", "altered"],
)
def test_a_plain_copy_that_is_only_trimmed_gives_way_to_what_was_issued(
    desk: Desk, kind: str, copy: str, wins: bool
) -> None:
    desk.upstreams = (upstream_of(kind),)
    talk = Dialogue(desk, "chat")
    issued = f"{OWN} \n"
    [kept] = talk.hear(talk.open(), answer(kind, issued))
    names = [name for name in kept if name.startswith("reasoning")]
    kept |= dict.fromkeys(names, copy)
    talk.say("Go on.")
    body = talk.open().outgoing.body.decode()
    assert (json.dumps(issued)[1:-1] in body) != wins
    assert (copy in body) == (wins or copy != "thought gamma")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemini"])
@pytest.mark.parametrize("wire_format", PATHS)
def test_a_copy_counts_for_all_messages_of_a_split_turn(
    desk: Desk, wire_format: str, kind: str
) -> None:
    desk.upstreams = (upstream_of(kind),)
    own, twin = (Dialogue(desk, wire_format) for _ in range(2))
    own.hear(own.open(), turn(kind, OWN, "I look.", 1))
    twin.hear(twin.open(), turn(kind, TWINS, "I look.", 1))
    own.replace_ids("own")
    own.split()
    forget_own(desk)
    body = own.open().outgoing.body.decode()
    assert (OWN in body, TWINS in body) == (True, False)


@pytest.mark.parametrize("wire_format", ["responses", "messages"])
def test_a_signature_that_a_client_carries_before_the_calls_stands_beside_its_call(
    desk: Desk, wire_format: str
) -> None:
    desk.upstreams = (upstream_of("gemini"),)
    talk = Dialogue(desk, wire_format)
    talk.hear(talk.open(), turn("gemini", OWN, "I look.", 1))
    talk.split()
    desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    desk.restart()
    calls = calls_of(sent(talk.open())["messages"])
    assert [one["extra_content"] for one in calls] == [
        {"google": {"thought_signature": f"sig {OWN}"}}
    ]


@pytest.mark.parametrize("kind", ["gemini", "openrouter"])
def test_a_copy_tells_look_alikes_apart_and_whose_account_has_its_state(
    desk: Desk, kind: str
) -> None:
    talks: list[Dialogue] = []
    for key, thought in (("sk-a-secret", OWN), ("sk-b-secret", TWINS)):
        desk.upstreams = (replace(upstream_of(kind), api_keys=(key,)),)
        talks.append(Dialogue(desk, "chat"))
        talks[-1].hear(talks[-1].open(), answer(kind, thought))
        talks[-1].replace_ids("own")
        talks[-1].say("Go on.")
    desk.upstreams = (replace(upstream_of(kind), api_keys=("sk-a-secret", "sk-b-secret")),)
    for _ in range(2):
        for talk, key, thought in zip(talks, "ab", (OWN, TWINS), strict=True):
            exchange = talk.open()
            assert exchange.candidate.key == f"sk-{key}-secret"
            assert f"sig {thought}" in exchange.outgoing.body.decode()


# -- and stay in their family ----------------------------------------------------------------------


@pytest.mark.parametrize("wire_format", ["responses", "messages"])
@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("deepseek-v4", "kimi"),
        ("openrouter", "deepseek-v4"),
        ("minimax", "mistral"),
        ("messages", "deepseek-v4"),
        ("responses", "field-generic"),
        ("deepseek-v4", "messages"),
        ("field-generic", "responses"),
    ],
)
def test_a_copy_of_another_family_s_model_is_not_sent(
    desk: Desk, wire_format: str, kind: str, other: str
) -> None:
    desk.upstreams = two_families(kind, other)
    talk = Dialogue(desk, wire_format)
    talk.hear(talk.open(), answer(kind, OWN))
    talk.say("Go on.")
    desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    desk.restart()
    talk.model = "n"
    exchange = talk.open()
    assert OWN not in exchange.outgoing.body.decode()
    talk.hear(exchange, answer(other, TWINS))
    for model, is_own in (("m", True), ("n", False)):
        talk.model = model
        body = talk.open().outgoing.body.decode()
        assert (OWN in body, TWINS in body) == (is_own, not is_own)


@pytest.mark.parametrize("wire_format", ["responses", "messages"])
def test_a_family_s_other_models_read_a_copy(desk: Desk, wire_format: str) -> None:
    desk.upstreams = (upstream(profile="kimi"),)
    talk = Dialogue(desk, wire_format)
    talk.hear(talk.open(), answer("deepseek-v4", OWN))
    talk.say("Go on.")
    desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    desk.restart()
    desk.upstreams = (upstream(profile="kimi-thinking"),)
    assert OWN in talk.open().outgoing.body.decode()


def two_families(kind: str, other: str) -> tuple[Upstream, Upstream]:
    """An upstream of each, with the models `m` and `n`."""
    one, two = upstream_of(kind), upstream_of(other)
    return replace(one, name="one", models=("m",)), replace(two, name="two", models=("n",))


CALL: Json = {"id": "own", "type": "function", "function": {"name": "Read", "arguments": "{}"}}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("kind", "other"),
    [("deepseek-v4", "kimi"), ("openrouter", "groq"), ("gemini", "openrouter"), ("vllm", "mimo")],
)
def test_what_a_client_keeps_of_another_family_s_turn_is_not_sent(
    desk: Desk, kind: str, other: str, restarted: bool
) -> None:
    desk.upstreams = two_families(kind, other)
    talk = Dialogue(desk, "chat")
    said = {"role": "assistant", "content": None, "tool_calls": [CALL]} | chat_members(kind, OWN)
    talk.hear(talk.open(), completion(Turn(reasoning=None), "m", message=said))
    if restarted:
        desk.restart()
    talk.model = "n"
    for _ in range(2):
        assert OWN not in talk.open().outgoing.body.decode()
    talk.model = "m"
    assert OWN in talk.open().outgoing.body.decode()


def test_what_is_kept_of_a_turn_that_nobody_knows_is_sent(desk: Desk) -> None:
    desk.upstreams = two_families("deepseek-v4", "kimi")
    talk = Dialogue(desk, "chat", model="n")
    talk.items += [{"role": "assistant", "content": "Elsewhere.", "reasoning_content": OWN}]
    talk.say("Go on.")
    assert OWN in talk.open().outgoing.body.decode()
    known = Dialogue(desk, "chat")
    said = {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": OWN}
    known.hear(known.open(), completion(Turn(reasoning=None), "m", message=said))
    known.model = "n"
    desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    desk.restart()
    assert OWN in known.open().outgoing.body.decode()
