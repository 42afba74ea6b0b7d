import contextlib

import msgspec
import openai
import pytest

from tests.support.client import Conversation, Habits, sdk
from tests.support.dialects import Dialect
from tests.support.faults import FAULTS, FaultCase, held
from tests.support.ledger import Foreign, Scope
from tests.support.provider import Answer, Refusal, StrictProvider
from tests.support.rawhttp import Gate
from tests.support.turns import Call, IdStyle, Turn

EXACT = Habits(reasoning="exact")
CALL_TURN = Turn(reasoning="why", calls=(Call("call_1", "Read", '{"path": "a"}'),))


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("ids", ["unique", "repeating", "kimi"])
def test_a_client_that_keeps_reasoning_is_never_refused(ids: IdStyle, streamed: bool) -> None:
    with StrictProvider(ids=ids) as provider, sdk(provider.base_url + "/v1", "sk-good") as client:
        conversation = Conversation(client, "deepseek-v4-pro", habits=EXACT)
        conversation.run(20, streamed=streamed)
        assert not provider.rejections
        assert not conversation.crossed(provider.requests)


def test_a_streamed_turn_arrives_as_it_was_issued(provider: StrictProvider) -> None:
    with sdk(provider.base_url + "/v1", "sk-good") as client:
        conversation = Conversation(client, "deepseek-v4-pro", habits=EXACT)
        conversation.run(10)
    for reply, turn in zip(conversation.replies, provider.ledger.issued, strict=True):
        assert (reply.reasoning, reply.text) == (turn.reasoning, turn.text)
        assert [call["id"] for call in reply.calls] == [call.id for call in turn.calls]
        assert reply.usage


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ("deepseek", "must be passed back"),
        ("deepseek-legacy", "message index 3"),
        ("mimo", "Param Incorrect"),
        ("kimi", "tool call message at index 3"),
        ("siliconflow", "is missing in assistant tool call"),
    ],
)
def test_dropped_reasoning_is_refused_in_the_dialect_s_words(dialect: Dialect, words: str) -> None:
    with (
        StrictProvider(dialect=dialect) as provider,
        sdk(provider.base_url + "/v1", "sk-good") as client,
    ):
        provider.script(Answer(turn=CALL_TURN))
        conversation = Conversation(client, "deepseek-v4-pro")
        conversation.step()
        with pytest.raises(openai.BadRequestError, match=words):
            conversation.step()
        assert [rejection.fault for rejection in provider.rejections] == ["missing"]


def _faults(provider: StrictProvider, reasoning: str, call_id: str = "call_1") -> list[str]:
    """What is wrong with the one call turn, replayed with this reasoning and id."""
    provider.ledger.add(CALL_TURN)
    call = {
        "id": call_id,
        "type": "function",
        "function": {"name": "Read", "arguments": '{"path":"a"}'},
    }
    message = {
        "role": "assistant",
        "content": [],
        "tool_calls": [call],
        "reasoning_content": reasoning,
    }
    result = {"role": "tool", "tool_call_id": call_id, "content": "x"}
    found = provider.ledger.check({"messages": [message, result], "tools": [{}]})
    return [found.fault] if found else []


def test_altered_reasoning_is_found(provider: StrictProvider) -> None:
    assert _faults(provider, "why ") == ["altered"]


def test_issued_reasoning_is_accepted_whatever_the_spelling_of_arguments(
    provider: StrictProvider,
) -> None:
    assert _faults(provider, "why") == []


def test_an_id_the_provider_did_not_give_is_found(provider: StrictProvider) -> None:
    assert _faults(provider, "why", "call_minted") == ["unknown id"]


@pytest.mark.parametrize(
    ("scope", "has_tools", "has_calls", "refused"),
    [
        ("all", False, False, True),
        ("tools", False, True, False),
        ("tools", True, False, True),
        ("tool_turns", True, False, False),
        ("tool_turns", False, True, True),
        ("none", True, True, False),
    ],
)
def test_scope_says_which_turns_need_reasoning(
    scope: Scope, has_tools: bool, has_calls: bool, refused: bool
) -> None:
    provider = StrictProvider(scope=scope)
    provider.ledger.add(Turn(reasoning="why", text="hello"))
    provider.ledger.add(CALL_TURN)
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "Read", "arguments": '{"path":"a"}'},
    }
    message = (
        {"role": "assistant", "tool_calls": [call]}
        if has_calls
        else {"role": "assistant", "content": "hello"}
    )
    found = provider.ledger.check({"messages": [message], "tools": [{}] if has_tools else []})
    assert (found is not None) == refused


@pytest.mark.parametrize(
    ("foreign", "fields", "refused"),
    [
        ("empty", {"reasoning_content": ""}, False),
        ("empty", {}, True),
        ("empty", {"reasoning_content": "invented"}, True),
        ("absent", {}, False),
        ("absent", {"reasoning_content": ""}, True),
        ("any", {"reasoning_content": "its own"}, False),
        ("reject", {"reasoning_content": ""}, True),
    ],
)
def test_foreign_turns_are_judged_by_their_own_rule(
    foreign: Foreign, fields: dict[str, str], refused: bool
) -> None:
    ledger = StrictProvider(foreign=foreign).ledger
    request = {"messages": [{"role": "assistant", "content": "few-shot", **fields}], "tools": [{}]}
    assert (ledger.check(request) is not None) == refused
    assert ledger.check({**request, "thinking": {"type": "disabled"}}) is None


def test_a_stopped_turn_is_found_by_the_beginning_of_its_text(provider: StrictProvider) -> None:
    provider.ledger.add(Turn(reasoning="why", text="a long answer"))
    message = {"role": "assistant", "content": "a long", "reasoning_content": "why"}
    assert provider.ledger.check({"messages": [message], "tools": [{}]}) is None


def test_keys_get_what_was_arranged_for_them() -> None:
    refused = {"sk-slow": Refusal(429, headers=(("retry-after", "7"),))}
    with StrictProvider(refused=refused) as provider:
        for key in ("sk-good", "sk-slow", "sk-bad"):
            with (
                sdk(provider.base_url + "/v1", key) as client,
                contextlib.suppress(openai.APIStatusError),
            ):
                Conversation(client, "m").ask(streamed=False)
        given = [(request.key, request.status) for request in provider.requests]
    assert given == [("sk-good", 200), ("sk-slow", 429), ("sk-bad", 401)]


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_a_fault_ends_in_time_and_harmless_ones_keep_the_turn(
    case: FaultCase, provider: StrictProvider
) -> None:
    turn = Turn(reasoning="why", text="héllo wörld")
    provider.script(Answer(turn=turn, fault=case.apply))
    with sdk(provider.base_url + "/v1", "sk-good") as client:
        conversation = Conversation(client, "m")
        try:
            reply = conversation.ask(streamed=case.streamed)
        except Exception:
            assert case.outcome != "whole"
        else:
            assert reply.text == turn.text or case.outcome != "whole"


def test_a_gate_holds_the_answer_until_it_opens(provider: StrictProvider) -> None:
    gate = Gate()
    provider.script(Answer(fault=held(gate, before=3)))
    with sdk(provider.base_url + "/v1", "sk-good") as client:
        stream = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        first = next(stream)
        assert first.choices
        assert gate.reached.wait(30)
        gate.open()
        assert list(stream)[-1].choices[0].finish_reason == "stop"


def test_a_gate_sees_the_client_leave(provider: StrictProvider) -> None:
    gate = Gate()
    provider.script(Answer(fault=held(gate, before=3)))
    with sdk(provider.base_url + "/v1", "sk-good") as client:
        stream = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        next(stream)
        assert gate.reached.wait(30)
        stream.close()
        assert gate.left.wait(30)


def test_a_provider_that_refuses_connections_comes_back_on_its_port(
    provider: StrictProvider,
) -> None:
    with sdk(provider.base_url + "/v1", "sk-good") as client:
        provider.refuse()
        with pytest.raises(openai.APIConnectionError):
            Conversation(client, "m").ask()
        provider.listen()
        assert Conversation(client, "m").ask().finish_reason


def test_a_lone_surrogate_is_issued_as_an_escape(provider: StrictProvider) -> None:
    provider.script(Answer(turn=Turn(reasoning="half \ud83e", text="x")))
    with sdk(provider.base_url + "/v1", "sk-good") as client:
        assert Conversation(client, "m").ask().reasoning == "half \ud83e"


def test_a_received_request_keeps_its_bytes(provider: StrictProvider) -> None:
    with sdk(provider.base_url + "/v1", "sk-good") as client:
        Conversation(client, "m").ask()
    assert msgspec.json.decode(provider.requests[0].body)["model"] == "m"
