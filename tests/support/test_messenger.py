import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from tests.support.messenger import StrictMessenger, overloaded
from tests.support.provider import Answer, Refusal
from tests.support.signatures import state_of
from tests.support.talks import MessagesTalk, Result, anthropic_sdk
from tests.support.turns import Call, Json, Turn

MODEL = "claude-opus-4-8"
MANUAL = {"type": "enabled", "budget_tokens": 2048}
CALLING = Turn(
    reasoning="why", calls=(Call("", "Read", '{"path":"a"}'), Call("", "Grep", '{"for":"b"}'))
)
SAYING = Turn(reasoning="because", text="Done.")


@pytest.fixture(scope="module")
def running() -> Iterator[StrictMessenger]:
    with StrictMessenger(chain=True, interleaves=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: StrictMessenger) -> Iterator[anthropic.Anthropic]:
    with anthropic_sdk(running.base_url, "sk-ant-good") as client:
        yield client


@pytest.fixture
def messenger(running: StrictMessenger) -> StrictMessenger:
    running.reset()
    return running


@pytest.fixture
def talk(client: anthropic.Anthropic) -> MessagesTalk:
    return begun(MessagesTalk(client, MODEL))


def begun(talk: MessagesTalk) -> MessagesTalk:
    talk.say("Fix the bug.")
    return talk


def step(talk: MessagesTalk, *, streamed: bool = False) -> None:
    """One turn, and what follows from it."""
    if calls := talk.ask(streamed=streamed).calls:
        talk.answer([Result(call, "fine") for call in calls])
    else:
        talk.say("Go on.")


def refusal(talk: MessagesTalk) -> str:
    """The words with which the next request is refused."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        talk.ask(streamed=False)
    return str(caught.value)


@pytest.mark.parametrize(
    "thinking", [{"type": "adaptive", "display": "omitted"}, {"type": "disabled"}], ids=str
)
def test_a_client_that_keeps_thinking_is_never_refused(
    messenger: StrictMessenger, talk: MessagesTalk, thinking: Json
) -> None:
    talk.wanted["thinking"] = thinking
    for turn in range(20):
        step(talk, streamed=bool(turn % 2))
    assert messenger.rejections == []
    assert len(messenger.bodies) == 20


def test_a_streamed_turn_arrives_as_it_was_issued(
    messenger: StrictMessenger, talk: MessagesTalk
) -> None:
    messenger.script(Answer(turn=CALLING))
    said = talk.ask(streamed=True)
    kinds = [block["type"] for block in talk.messages[-1]["content"]]
    assert kinds == ["thinking", "tool_use", "thinking", "tool_use"]
    assert [(call.name, call.arguments) for call in said.calls] == [
        ("Read", {"path": "a"}),
        ("Grep", {"for": "b"}),
    ]


def spoil(block: Json) -> None:
    block["thinking"] += "!"


def unsign(block: Json) -> None:
    block["signature"] = ""


def forge(block: Json) -> None:
    block["signature"] = "made up"


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (spoil, "Invalid `signature`"),
        (forge, "Invalid `signature`"),
        (unsign, "signature: Field required"),
    ],
)
def test_thinking_that_was_not_issued_so_is_refused(
    messenger: StrictMessenger, talk: MessagesTalk, spoilt: Callable[[Json], None], words: str
) -> None:
    messenger.script(Answer(turn=CALLING))
    step(talk)
    spoilt(talk.messages[1]["content"][0])
    assert words in refusal(talk)
    assert len(messenger.rejections) == 1


def test_thinking_of_another_account_is_refused(
    messenger: StrictMessenger, talk: MessagesTalk
) -> None:
    messenger.script(Answer(turn=CALLING))
    step(talk)
    messenger.signatures.forget()
    assert "Invalid `signature` in `thinking` block" in refusal(talk)


def test_the_latest_turn_keeps_all_of_its_thinking_or_none(
    messenger: StrictMessenger, talk: MessagesTalk
) -> None:
    messenger.script(Answer(turn=CALLING))
    step(talk)
    whole = list(talk.messages[1]["content"])
    talk.messages[1]["content"] = [block for block in whole if block is not whole[2]]
    assert "cannot be modified" in refusal(talk)
    talk.messages[1]["content"] = [block for block in whole if not state_of(block)]
    talk.ask(streamed=False)


def test_a_tool_loop_with_a_budget_begins_with_thinking(
    messenger: StrictMessenger, talk: MessagesTalk
) -> None:
    messenger.script(Answer(turn=CALLING))
    talk.wanted |= {"model": "claude-haiku-4-5", "thinking": MANUAL}
    step(talk)
    talk.messages[1]["content"] = [
        block for block in talk.messages[1]["content"] if not state_of(block)
    ]
    assert "Expected `thinking` or `redacted_thinking`, but found `tool_use`" in refusal(talk)


def three_turns(messenger: StrictMessenger, talk: MessagesTalk) -> None:
    messenger.script(*[Answer(turn=SAYING)] * 3)
    for _ in range(3):
        step(talk)


@pytest.mark.parametrize("omitted", [(1,), (1, 3), (1, 3, 5), (5,)], ids=str)
def test_the_oldest_thinking_and_the_latest_may_be_left_out(
    messenger: StrictMessenger, talk: MessagesTalk, omitted: tuple[int, ...]
) -> None:
    three_turns(messenger, talk)
    for at in omitted:
        del talk.messages[at]["content"][0]
    talk.ask(streamed=False)


def reword(messages: list[Json]) -> None:
    messages[0]["content"] = "Another bug."


def leave_a_gap(messages: list[Json]) -> None:
    del messages[3]["content"][0]


@pytest.mark.parametrize("changed", [reword, leave_a_gap])
def test_thinking_is_bound_to_what_was_before_it(
    messenger: StrictMessenger, talk: MessagesTalk, changed: Callable[[list[Json]], None]
) -> None:
    three_turns(messenger, talk)
    changed(talk.messages)
    assert "The block is bound to a different conversation" in refusal(talk)


def test_thinking_that_comes_back_late_unbinds_what_was_thought_without_it(
    messenger: StrictMessenger, talk: MessagesTalk
) -> None:
    messenger.script(*[Answer(turn=SAYING)] * 2)
    step(talk)
    thought = talk.messages[1]["content"].pop(0)
    step(talk)
    talk.messages[1]["content"].insert(0, thought)
    assert "bound to a different conversation" in refusal(talk)


USE = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}


def history(*contents: Any) -> Json:
    roles = ("user", "assistant")
    return {
        "messages": [
            {"role": roles[at % 2], "content": content} for at, content in enumerate(contents)
        ]
    }


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"reasoning_effort": "low"}, "reasoning_effort: Extra inputs are not permitted"),
        ({"metadata": {"team": "x"}}, "metadata.team: Extra inputs"),
        ({"temperature": 0.5}, "`temperature` is deprecated"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "`max_tokens` must be greater"),
        (
            {"thinking": MANUAL, "tool_choice": {"type": "any"}},
            "may not be enabled when tool_choice forces",
        ),
        (
            {"thinking": MANUAL, "temperature": 0.5, "model": "claude-haiku-4-5"},
            "may only be set to 1",
        ),
        ({"thinking": MANUAL}, '"thinking.type.enabled" is not supported for this model'),
        (
            {"output_config": {"effort": "low"}, "model": "claude-haiku-4-5"},
            "does not support the effort parameter",
        ),
        (
            {"thinking": {"type": "adaptive"}, "model": "claude-haiku-4-5"},
            "not supported on this model",
        ),
        ({"messages": [{"role": "system", "content": "x"}]}, 'should be "user" or "assistant"'),
        ({"messages": [{"role": "user", "content": "x"}] * 2}, "roles must alternate"),
        (history([]), "non-empty content"),
        (history(" "), "non-whitespace"),
        (history("x", [USE], "y"), "without `tool_result` blocks immediately after: toolu_1"),
        (history("x", [USE]), "without `tool_result` blocks immediately after"),
        (history("x", [USE, USE], [RESULT]), "must be unique"),
        (history([RESULT]), "unexpected `tool_use_id`"),
        (
            history("x", [USE | {"id": "a.b"}], [RESULT | {"tool_use_id": "a.b"}]),
            "String should match pattern",
        ),
    ],
)
def test_a_request_of_the_wrong_form_is_refused(
    messenger: StrictMessenger, talk: MessagesTalk, members: Json, words: str
) -> None:
    given: Any = {
        **talk.wanted,
        "messages": talk.messages,
        "thinking": {"type": "disabled"},
        **copy.deepcopy(members),
    }
    with pytest.raises(anthropic.BadRequestError, match=re.escape(words)):
        talk.client.messages.create(
            **{key: given.pop(key) for key in ("model", "max_tokens", "messages")}, extra_body=given
        )
    assert len(messenger.rejections) == 1


def test_a_bad_key_is_refused(messenger: StrictMessenger) -> None:
    with (
        anthropic_sdk(messenger.base_url, "wrong") as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        begun(MessagesTalk(client, MODEL)).ask(streamed=False)


def test_scripted_errors_are_anthropics(messenger: StrictMessenger, talk: MessagesTalk) -> None:
    messenger.script(Refusal(529, "Overloaded"), Answer(fault=overloaded))
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        talk.ask(streamed=True)
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        talk.ask(streamed=True)
    assert messenger.rejections == []


def test_tokens_are_counted(messenger: StrictMessenger, talk: MessagesTalk) -> None:
    counted = talk.client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "hello"}]
    )
    assert counted.input_tokens > 0
    assert len(messenger.counted) == 1
