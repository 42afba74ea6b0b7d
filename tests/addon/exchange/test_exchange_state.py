"""State of reasoning, whoever carries it: it stands at its own place, goes to the account that
made it, and what was refused of it stays away.
"""

import json

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again
from shared.config.schema import Upstream
from tests.addon.desk import Desk, error, upstream
from tests.addon.exchange.dialogue import PATHS, Dialogue, calls_of, sent
from tests.addon.recall.chat import Json
from tests.support.turns import Turn, completion


def message(**members: object) -> bytes:
    """A chat upstream's whole answer."""
    return completion(Turn(reasoning=None), "m", message={"role": "assistant", **members})


def signed(signature: str, path: str, call_id: str) -> Json:
    """A call of Gemini's."""
    function = {"name": "Read", "arguments": json.dumps({"path": path})}
    annex = {"google": {"thought_signature": signature}}
    return {"id": call_id, "type": "function", "function": function, "extra_content": annex}


def thought(mark: str = "x") -> list[Json]:
    """Details of OpenRouter's with state."""
    text = {"type": "reasoning.text", "text": "thought", "signature": f"sig-{mark}"}
    data = {"type": "reasoning.encrypted", "data": f"blob-{mark}", "id": f"rs_{mark}"}
    return [text, data]


def read(call_id: str = "call_own") -> Json:
    """A call without anything beside it."""
    bare = signed("", "a.py", call_id)
    del bare["extra_content"]
    return bare


def output(*items: Json) -> bytes:
    """A Responses upstream's whole answer."""
    return json.dumps({"id": "resp_1", "status": "completed", "output": items}).encode()


def blocks(*content: Json) -> bytes:
    """A Messages upstream's whole answer."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": CLAUDE}
    return json.dumps({**head, "content": content, "stop_reason": "end_turn"}).encode()


CLAUDE = "claude-opus-5"
ITEM: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA-state"}
ITEM_CALL: Json = {
    "type": "function_call",
    "call_id": "call_theirs",
    "name": "Read",
    "arguments": '{"path": "a.py"}',
}
THINKING: Json = {"type": "thinking", "thinking": "thought", "signature": "signed"}
USING: Json = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a.py"}}
SAID: Json = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Done."}],
}
ITEM_LOOK: Json = {**SAID, "content": [{"type": "output_text", "text": "I look."}]}

WITH_STATE: dict[str, bytes] = {
    "gemini": message(content=None, tool_calls=[signed("one", "a.py", "call_own")]),
    "openrouter": message(content=None, reasoning_details=thought(), tool_calls=[read()]),
    "responses": output(ITEM, ITEM_CALL),
    "messages": blocks(THINKING, USING),
}
"""An answer with state that only its account may send back, by upstream."""

ANSWERS: dict[str, bytes] = WITH_STATE | {
    "field-generic": message(content="I look.", reasoning="thought", tool_calls=[read()]),
    "together": message(content="I look.", reasoning_content="thought", tool_calls=[read()]),
    "minimax": message(content="<think>\nthought\n</think>\n\nI look.", tool_calls=[read()]),
    "mistral": message(
        content=[{"type": "thinking", "thinking": [{"type": "text", "text": "thought"}]}],
        tool_calls=[read()],
    ),
}
"""An answer with reasoning, in each place that there is for it."""

WITHOUT: dict[str, bytes] = {
    **dict.fromkeys(ANSWERS, message(content="Done.")),
    "responses": output(SAID),
    "messages": blocks({"type": "text", "text": "Done."}),
}
STAND_IN = "skip_thought_signature_validator"
KEYS = ("sk-a-secret", "sk-b-secret", "sk-c-secret")


def upstream_of(kind: str, *keys: str) -> Upstream:
    """An upstream with accounts that don't share their state."""
    if kind in ("responses", "messages"):
        return upstream(api=kind, api_keys=keys or KEYS)
    return upstream(profile=kind, api_keys=keys or KEYS)


def states(exchange: Exchange) -> list[str]:
    """All the state that goes out."""
    body = exchange.outgoing.body.decode()
    return [one for one in ("sig-x", "gAAAA-state", '"signed"', '"one"') if one in body]


def signatures(exchange: Exchange) -> list[str | None]:
    """The signatures beside all calls that go out."""
    found = [call.get("extra_content") for call in calls_of(sent(exchange)["messages"])]
    return [annex and annex["google"]["thought_signature"] for annex in found]


# -- at its own place ------------------------------------------------------------------------------


@pytest.mark.parametrize("replaced", [None, "", "own"], ids=["kept", "dropped", "replaced"])
@pytest.mark.parametrize("own", ["same", ""], ids=["repeated", "none"])
@pytest.mark.parametrize("wire_format", PATHS)
def test_each_of_several_calls_with_one_id_gets_its_own_signature(
    desk: Desk, wire_format: str, own: str, replaced: str | None
) -> None:
    desk.upstreams = (upstream(profile="gemini"),)
    talk = Dialogue(desk, wire_format)
    calls = [signed("one", "a.py", own), signed("two", "b.py", own)]
    talk.hear(talk.open(), message(content=None, tool_calls=calls))
    if replaced is not None:
        talk.replace_ids(replaced)
    assert signatures(talk.open()) == ["one", "two"]


LOOK: Json = {"type": "text", "text": "I look."}
UNSIGNED: Json = {"type": "thinking", "thinking": "thought"}
MORE: Json = {"type": "thinking", "thinking": "and more", "signature": "signed too"}


def turn_blocks(exchange: Exchange) -> list[Json]:
    """The blocks that a Messages upstream takes for one turn."""
    messages = sent(exchange)["messages"]
    assistants = [one["content"] for one in messages if one["role"] == "assistant"]
    return [block for content in assistants for block in content]


@pytest.mark.parametrize("keeps", [True, False], ids=["keeping", "dropping"])
@pytest.mark.parametrize("wire_format", PATHS)
@pytest.mark.parametrize(
    "content",
    [[THINKING, LOOK, USING], [UNSIGNED, LOOK, USING], [THINKING, LOOK, MORE, USING]],
    ids=["signed", "unsigned", "interleaved"],
)
def test_a_turn_in_two_messages_thinks_once_where_messages_become_one_turn(
    desk: Desk, wire_format: str, content: list[Json], keeps: bool
) -> None:
    desk.upstreams = (upstream_of("messages", "sk-a-secret"),)
    talk = Dialogue(desk, wire_format)
    talk.hear(talk.open(), blocks(*content))
    talk.split()
    if not keeps:
        talk.forget_reasoning()
    for _ in range(2):
        assert turn_blocks(talk.open()) == content
        talk.say("Go on.")


@pytest.mark.parametrize("keeps", [True, False], ids=["keeping", "dropping"])
@pytest.mark.parametrize("wire_format", PATHS)
@pytest.mark.parametrize("plain", [True, False], ids=["words", "state"])
def test_a_turn_in_two_messages_has_one_item_of_reasoning(
    desk: Desk, wire_format: str, plain: bool, keeps: bool
) -> None:
    thinking = ITEM
    if plain:
        words = {"type": "reasoning_text", "text": "thought"}
        thinking = {"type": "reasoning", "summary": [], "content": [words]}
    desk.upstreams = (upstream_of("responses", "sk-a-secret"),)
    talk = Dialogue(desk, wire_format)
    talk.hear(talk.open(), output(thinking, ITEM_LOOK, ITEM_CALL))
    talk.split()
    if not keeps:
        talk.forget_reasoning()
    found = sent(talk.open())["input"]
    kinds = [item.get("type", "message") for item in found]
    calling = ["function_call", "function_call_output"]
    assert kinds == ["message", "reasoning", "message", *calling]
    assert thinking.items() <= found[1].items() or found[1]["content"] == thinking["content"]


def test_calls_that_a_client_replays_one_by_one_have_one_item_of_reasoning(desk: Desk) -> None:
    desk.upstreams = (upstream_of("responses", "sk-a-secret"),)
    talk = Dialogue(desk, "chat")
    second = {**ITEM_CALL, "call_id": "call_second"}
    [kept] = talk.hear(talk.open(), output(ITEM, ITEM_CALL, second))
    asked, _, *results = talk.items
    talk.items = [asked]
    for call, result in zip(kept["tool_calls"], results, strict=True):
        talk.items += [{"role": "assistant", "content": None, "tool_calls": [call]}, result]
    calling = ["function_call", "function_call_output"]
    kinds = [item.get("type", "message") for item in sent(talk.open())["input"]]
    assert kinds == ["message", "reasoning", *calling, *calling]


@pytest.mark.parametrize("keeps", [True, False], ids=["keeping", "dropping"])
@pytest.mark.parametrize("wire_format", ["chat", "messages"])
def test_state_of_a_turn_in_two_messages_stands_in_the_first(
    desk: Desk, wire_format: str, keeps: bool
) -> None:
    desk.upstreams = (upstream_of("openrouter", "sk-a-secret"),)
    talk = Dialogue(desk, wire_format)
    answer = message(content="I look.", reasoning_details=thought(), tool_calls=[read()])
    talk.hear(talk.open(), answer)
    talk.split()
    if not keeps:
        talk.forget_reasoning()
    first, second = [one for one in sent(talk.open())["messages"] if one["role"] == "assistant"]
    assert first["reasoning_details"] == thought()
    assert not {"reasoning_details", "reasoning"} & second.keys()


@pytest.mark.parametrize("keeps", [True, False], ids=["keeping", "dropping"])
@pytest.mark.parametrize("kind", ["minimax", "mistral", "cerebras-glm"])
@pytest.mark.parametrize("wire_format", ["chat", "messages"])
def test_the_text_of_a_turn_in_two_messages_is_said_once(
    desk: Desk, wire_format: str, kind: str, keeps: bool
) -> None:
    desk.upstreams = (upstream_of(kind, "sk-a-secret"),)
    talk = Dialogue(desk, wire_format)
    answer = message(content="I look.", reasoning="thought", tool_calls=[read()])
    talk.hear(talk.open(), answer)
    talk.split()
    if not keeps:
        talk.forget_reasoning()
    found = [one for one in sent(talk.open())["messages"] if one["role"] == "assistant"]
    said = [json.dumps(one.get("content")) for one in found]
    assert ["I look." in one for one in said] == [True, False]


# -- to the account that made it -------------------------------------------------------------------


@pytest.mark.parametrize("kind", WITH_STATE)
@pytest.mark.parametrize("wire_format", PATHS)
@pytest.mark.parametrize("keeps", [True, False], ids=["keeping", "dropping"])
def test_a_conversation_stays_with_the_account_that_has_its_state(
    desk: Desk, wire_format: str, kind: str, keeps: bool
) -> None:
    desk.upstreams = (upstream_of(kind),)
    talk = Dialogue(desk, wire_format, model=CLAUDE)
    exchange = talk.open()
    first = exchange.candidate.key
    talk.hear(exchange, WITH_STATE[kind])
    for _ in range(4):
        if not keeps:
            talk.forget_reasoning()
        exchange = talk.open()
        assert exchange.candidate.key == first
        assert len(states(exchange)) == 1
        talk.hear(exchange, WITHOUT[kind])
        talk.say("Go on.")


@pytest.mark.parametrize("kind", WITH_STATE)
def test_a_conversation_that_changes_between_processes_stays_with_its_account(
    desk: Desk, kind: str
) -> None:
    desk.upstreams = (upstream_of(kind),)
    beside = Desk(desk.memory.path, *desk.upstreams)
    talk = Dialogue(desk, "chat", model=CLAUDE)
    exchange = talk.open()
    first = exchange.candidate.key
    talk.hear(exchange, WITH_STATE[kind])
    for turn in range(4):
        talk.move((beside, desk)[turn % 2])
        talk.forget_reasoning()
        exchange = talk.open()
        assert (exchange.candidate.key, len(states(exchange))) == (first, 1)
        talk.hear(exchange, WITHOUT[kind])
        talk.say("Go on.")
    beside.memory.engine.close()


@pytest.mark.parametrize("lost", [0, 1], ids=["the earlier", "the later"])
@pytest.mark.parametrize("kind", ["responses", "messages"])
@pytest.mark.parametrize("wire_format", ["responses", "messages"])
def test_of_what_is_remembered_and_what_is_carried_the_later_decides(
    desk: Desk, wire_format: str, kind: str, lost: int
) -> None:
    talk = Dialogue(desk, wire_format, model=CLAUDE)
    carried: list[list[Json]] = []
    for key in KEYS[:2]:
        desk.upstreams = (upstream_of(kind, key),)
        before = len(talk.items)
        talk.hear(talk.open(), WITH_STATE[kind])
        talk.say("Go on.")
        carried.append(talk.items[before:])
    kept = carried[lost]
    talk.items = talk.items[:1] + carried[1 - lost]
    talk.forget_reasoning()
    bare = talk.items[1:]
    talk.items = [talk.items[0], *(kept + bare if lost == 0 else bare + kept)]
    desk.memory.forget(desk.memory.tokens()[lost])
    desk.restart()
    desk.upstreams = (upstream_of(kind, *KEYS[::-1]),)
    assert talk.open().candidate.key == KEYS[1]


# -- the same again --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("wire_format", PATHS)
@pytest.mark.parametrize("keeps", [True, False], ids=["keeping", "dropping"])
def test_a_request_goes_out_with_the_same_bytes_whatever_runs_in_between(
    desk: Desk, wire_format: str, kind: str, keeps: bool
) -> None:
    desk.upstreams = (upstream_of(kind),)
    talk = Dialogue(desk, wire_format, model=CLAUDE)
    talk.items.append({"role": "assistant", "content": "Said elsewhere."})
    for at, answer in enumerate((WITHOUT[kind], ANSWERS[kind], WITHOUT[kind])):
        talk.say(f"Step {at}.")
        talk.hear(talk.open(), answer)
    talk.say("Go on.")
    if not keeps:
        talk.forget_reasoning()
    bodies: set[bytes] = set()
    for at in range(10):
        exchange = talk.open()
        exchange.accepted()
        bodies.add(exchange.outgoing.body)
        other = Dialogue(desk, wire_format, f"Something else, {at}.", model=CLAUDE)
        for answer in (ANSWERS[kind], WITHOUT[kind], WITHOUT[kind]):
            other.hear(other.open(), answer)
    assert len(bodies) == 1


# -- what was refused ------------------------------------------------------------------------------

PLAIN: Json = {"type": "reasoning.text", "text": "in plain words"}
SIGNATURE = error("messages.1.content.0: Invalid `signature` in `thinking` block")
CORRUPTED = error("Corrupted thought signature.")


def carried(exchange: Exchange) -> list[Json]:
    """What the assistant's messages carry at a chat upstream."""
    found = [one for one in sent(exchange)["messages"] if one["role"] == "assistant"]
    names = ("reasoning", "reasoning_content", "reasoning_details")
    return [{name: one[name] for name in names if name in one} for one in found]


def refused(exchange: Exchange, complaint: bytes) -> bool:
    """The upstream refuses; whether the request is tried otherwise."""
    return exchange.refused(400, {}, complaint) == Again()


@pytest.mark.parametrize("keeps", ["keeping", "dropping", "only the client keeping"])
@pytest.mark.parametrize("wire_format", PATHS)
def test_a_refusal_of_state_leaves_the_words_of_other_turns(
    desk: Desk, wire_format: str, keeps: str
) -> None:
    desk.upstreams = (upstream_of("openrouter", "sk-a-secret"),)
    talk = Dialogue(desk, wire_format)
    for number, details in enumerate(([PLAIN], thought(), [PLAIN, thought("y")[1]])):
        call = read(f"call_{number}")
        words = {"reasoning": "in plain words"} if PLAIN in details else {}
        answer = message(content=None, reasoning_details=details, tool_calls=[call], **words)
        talk.hear(talk.open(), answer)
    if keeps == "dropping":
        talk.forget_reasoning()
    elif keeps != "keeping":
        desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
        desk.restart()
    exchange = talk.open()
    assert refused(exchange, SIGNATURE)
    bare = exchange.outgoing.body
    left = [one.get("reasoning_details") or None for one in carried(exchange)]
    assert left == [[PLAIN], None, [PLAIN]]
    exchange.accepted()
    for _ in range(2):
        assert talk.open().outgoing.body == bare
        desk.restart()


@pytest.mark.parametrize("keeps", [True, False], ids=["keeping", "dropping"])
@pytest.mark.parametrize("wire_format", PATHS)
def test_a_refused_signature_is_stood_in_for(desk: Desk, wire_format: str, keeps: bool) -> None:
    desk.upstreams = (upstream_of("gemini", "sk-a-secret"),)
    talk = Dialogue(desk, wire_format)
    answer = message(content=None, tool_calls=[signed("one", "a.py", "call_own")])
    talk.hear(talk.open(), answer)
    if not keeps:
        talk.forget_reasoning()
    exchange = talk.open()
    assert refused(exchange, CORRUPTED)
    assert signatures(exchange) == [STAND_IN]
    exchange.accepted()
    desk.restart()
    assert signatures(talk.open()) == [STAND_IN]


@pytest.mark.parametrize("profile", ["openrouter", "gemini"])
def test_what_a_client_keeps_of_a_turn_that_is_not_known_loses_no_more_than_was_refused(
    desk: Desk, profile: str
) -> None:
    desk.upstreams = (upstream_of(profile, "sk-a-secret"),)
    talk = Dialogue(desk, "chat")
    said: Json = {"role": "assistant", "content": None, "tool_calls": [read()]}
    if profile == "gemini":
        said["tool_calls"] = [signed("one", "a.py", "call_own")]
    else:
        said |= {"reasoning": "in plain words", "reasoning_details": [PLAIN, *thought()]}
    talk.items += [said, {"role": "tool", "tool_call_id": "call_own", "content": "fine"}]
    talk.items += [{"role": "assistant", "content": "So.", "reasoning": "and more"}]
    talk.say("Go on.")
    exchange = talk.open()
    assert refused(exchange, SIGNATURE)
    exchange.accepted()
    desk.restart()
    for one in (exchange, talk.open()):
        if profile == "openrouter":
            left = {"reasoning": "in plain words", "reasoning_details": [PLAIN]}
            assert carried(one) == [left, {"reasoning": "and more"}]
        else:
            assert signatures(one) == [STAND_IN]
            assert carried(one)[1] == {"reasoning": "and more"}


def test_what_is_refused_again_goes_without_any_reasoning_and_then_the_client_is_told(
    desk: Desk,
) -> None:
    desk.upstreams = (upstream_of("openrouter", "sk-a-secret"),)
    talk = Dialogue(desk, "chat")
    for details in ([PLAIN], thought()):
        talk.hear(talk.open(), message(content="So.", reasoning_details=details))
        talk.say("Go on.")
    exchange = talk.open()
    assert refused(exchange, SIGNATURE)
    assert carried(exchange)[0] == {"reasoning_details": [PLAIN]}
    assert refused(exchange, SIGNATURE)
    assert carried(exchange) == [{}, {}]
    assert not refused(exchange, SIGNATURE)


@pytest.mark.parametrize("wire_format", PATHS)
def test_thinking_without_a_signature_stays_until_it_is_refused(
    desk: Desk, wire_format: str
) -> None:
    desk.upstreams = (upstream_of("messages", "sk-a-secret"),)
    talk = Dialogue(desk, wire_format)
    for number, thinking in enumerate((UNSIGNED, THINKING)):
        talk.hear(talk.open(), blocks(thinking, {**USING, "id": f"toolu_{number}"}))
    exchange = talk.open()
    assert refused(exchange, SIGNATURE)
    assert [one for one in turn_blocks(exchange) if one["type"] == "thinking"] == [UNSIGNED] * 2
    assert refused(exchange, error("messages.1.content.0.thinking.signature: Field required"))
    bare = exchange.outgoing.body
    assert [one["type"] for one in turn_blocks(exchange)] == ["tool_use", "tool_use"]
    exchange.accepted()
    desk.restart()
    assert talk.open().outgoing.body == bare


def test_an_upstream_without_a_word_for_reasoning_gets_none_however_often_it_refuses(
    desk: Desk,
) -> None:
    desk.upstreams = (upstream_of("openrouter", "sk-a-secret"),)
    talk = Dialogue(desk, "chat")
    talk.hear(talk.open(), message(content="So.", reasoning_details=thought()))
    talk.say("Go on.")
    exchange = talk.open()
    assert refused(exchange, error("reasoning_details: Extra inputs are not permitted"))
    exchange.accepted()
    for complaint in (SIGNATURE, CORRUPTED):
        exchange = talk.open()
        assert carried(exchange) == [{}]
        assert not refused(exchange, complaint)
