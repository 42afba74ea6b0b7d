"""Anthropic's Messages at both ends: no turn is refused, no thought is lost, and errors are
the client's own.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anthropic
import openai
import pytest

from shared.store import open_engine
from tests.e2e.trio import CLIENTS, MODELS, UPSTREAMS, ScriptedResponder, Trio
from tests.support.client import post
from tests.support.gateway import Gateway, upstream_table
from tests.support.messenger import StrictMessenger, overloaded, overloaded_at_once
from tests.support.provider import Answer, Refusal
from tests.support.talks import FailedResponseError, MessagesTalk, Result, Talk, anthropic_sdk
from tests.support.turns import Json, Turn

TURNS = 14
BUDGET = {"type": "enabled", "budget_tokens": 2048}
OF_EACH = pytest.mark.parametrize("upstream", UPSTREAMS)
CARRYING = pytest.mark.parametrize("carries", [True, False], ids=["carrying", "dropping"])


@pytest.fixture(scope="module")
def shared_trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    tiers = {
        "SMALL_MODEL": "my-gpt-5",
        "SMALL_EFFORT": "low",
        "BIG_MODEL": "claude-opus-4-8",
        "BIG_EFFORT": "max",
    }
    with ExitStack() as stack:
        yield Trio(stack, tmp_path_factory.mktemp("trio"), environment=tiers)


@pytest.fixture
def trio(shared_trio: Trio) -> Trio:
    shared_trio.reset()
    return shared_trio


def run(talk: Talk, turns: int) -> None:
    """Work through that many turns more, every other one streamed."""
    talk.say("Fix the bug, please.")
    for turn in range(turns):
        step(talk, streamed=bool(turn % 2))


def step(talk: Talk, *, streamed: bool) -> None:
    """One turn, and what follows from it."""
    if calls := talk.ask(streamed=streamed).calls:
        talk.answer([Result(call, f"result of {call.name}") for call in reversed(calls)])
    else:
        talk.say("Go on.")


# -- The anthropic SDK over every upstream ---------------------------------------------------------


@CARRYING
@OF_EACH
def test_the_anthropic_sdk_works_over_every_upstream(
    trio: Trio, upstream: str, carries: bool
) -> None:
    before = len(trio.bodies(upstream))
    run(trio.talk("messages", MODELS[upstream], carries=carries), TURNS)
    assert trio.rejections == []
    assert len(trio.bodies(upstream)) == before + TURNS
    assert trio.thoughts(upstream) == TURNS - 1


@CARRYING
def test_a_budget_of_thinking_keeps_every_tool_loop_whole(trio: Trio, carries: bool) -> None:
    run(trio.talk("messages", "claude-haiku-4-5", carries=carries, thinking=BUDGET), TURNS)
    assert trio.rejections == []
    assert trio.messages.bodies[-1]["thinking"] == BUDGET


@pytest.mark.parametrize(
    ("model", "thinking", "told"),
    [
        ("think-adaptive", BUDGET, {"type": "adaptive"}),
        ("think-budget", {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 6400}),
    ],
)
def test_how_much_to_think_is_told_as_the_model_takes_it(
    trio: Trio, model: str, thinking: Json, told: Json
) -> None:
    run(trio.talk("messages", model, thinking=thinking), 3)
    assert trio.rejections == []
    assert trio.messages.bodies[-1]["thinking"] == told


def test_thinking_that_is_not_shown_comes_back_all_the_same(trio: Trio) -> None:
    run(
        trio.talk(
            "messages", MODELS["messages"], thinking={"type": "adaptive", "display": "omitted"}
        ),
        TURNS,
    )
    assert trio.rejections == []
    assert trio.thoughts("messages") == TURNS - 1


class AnyIds(ScriptedResponder):
    """Judges no calls: the upstream's own ids are in the table only, without it calls go by
    those of the client.
    """

    def _fault(self, items: list[Json]) -> str:
        return ""


def test_a_client_that_carries_its_thinking_needs_no_table(tmp_path: Path) -> None:
    with ExitStack() as stack:
        trio = Trio(stack, tmp_path, responses=AnyIds())
        trio.chat.ledger.any_ids = True
        talks = [trio.talk("messages", model) for model in MODELS.values()]
        for talk in talks:
            talk.say("Fix the bug, please.")
        for turn in range(3):
            if turn:
                trio.gateway.kill()
                empty(tmp_path)
                trio.gateway.start()
            for talk in talks:
                step(talk, streamed=bool(turn % 2))
        assert trio.rejections == []
        assert [trio.thoughts(upstream) for upstream in UPSTREAMS] == [2, 2, 2]


def empty(directory: Path) -> None:
    engine = open_engine(f"sqlite:{directory}/adapter.db")
    engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    engine.close()


# -- The openai SDK over Messages ------------------------------------------------------------------


@pytest.mark.parametrize("client", ["chat", "responses"])
@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("think-adaptive", {"type": "adaptive"}),
        ("think-budget", {"type": "enabled", "budget_tokens": 16_384}),
    ],
    ids=["adaptive", "budget"],
)
def test_the_openai_sdk_drops_all_thinking_and_no_turn_is_refused(
    trio: Trio, client: str, model: str, thinking: Json
) -> None:
    run(trio.talk(client, model), TURNS)
    assert trio.rejections == []
    body = trio.messages.bodies[-1]
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == (
        "high" if model == "think-adaptive" else None
    )
    assert trio.thoughts("messages") == TURNS - 1


def test_thinking_that_is_bound_to_its_conversation_is_restored_without_a_gap(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        trio = Trio(stack, tmp_path, messages=StrictMessenger(chain=True, interleaves=True))
        talks = [trio.talk(client, "think-adaptive") for client in CLIENTS]
        for talk in talks:
            run(talk, TURNS // 2)
        trio.gateway.restart()
        for talk in talks:
            run(talk, TURNS // 2)
            assert trio.thoughts("messages") == 2 * (TURNS // 2) - 1
        assert trio.rejections == []


def test_refused_thinking_costs_one_more_round_trip_and_not_another(trio: Trio) -> None:
    talk = trio.talk("chat", "think-adaptive")
    run(talk, 3)
    trio.messages.signatures.forget()
    before = len(trio.messages.requests)
    step(talk, streamed=True)
    assert trio.messages.rejections.pop().endswith("block")
    assert len(trio.messages.requests) == before + 2
    step(talk, streamed=False)
    step(talk, streamed=True)
    assert trio.rejections == []
    assert trio.thoughts("messages") == 2


# -- Errors ----------------------------------------------------------------------------------------


def sdk_of(gateway: Gateway) -> anthropic.Anthropic:
    return anthropic_sdk(gateway.origin, gateway.new_user("ada"))


def test_an_overloaded_upstream_is_left_for_the_next(tmp_path: Path) -> None:
    with StrictMessenger() as busy, StrictMessenger() as idle:
        busy.script(Refusal(529, "Overloaded"))
        upstreams = {"busy": busy, "idle": idle}
        settings: Json = {"api": "messages", "api_keys": ["sk-ant-good"]}
        config = "\n".join(
            upstream_table(name, each.base_url, **settings) for name, each in upstreams.items()
        )
        with Gateway(tmp_path, config=config) as gateway, sdk_of(gateway) as client:
            run(MessagesTalk(client, "claude-opus-4-8"), 2)
    assert (len(busy.requests), len(idle.bodies)) == (1, 2)
    assert idle.rejections == []


def test_an_upstream_that_stays_overloaded_is_told_in_the_clients_words(trio: Trio) -> None:
    trio.messages.script(Refusal(529, "Overloaded"))
    talk = trio.talk("messages", MODELS["messages"])
    talk.say("Hello.")
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error") as caught:
        talk.ask(streamed=True)
    assert caught.value.status_code == 529


FAILS: dict[str, type[Exception]] = {
    "chat": openai.APIError,
    "responses": FailedResponseError,
    "messages": anthropic.APIStatusError,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_fault_in_the_middle_of_a_stream_is_the_clients_own_error(
    trio: Trio, client: str
) -> None:
    trio.messages.script(
        Answer(fault=overloaded, turn=Turn(reasoning="why", text="A long answer. " * 20))
    )
    talk = trio.talk(client, "think-adaptive")
    talk.say("Hello.")
    with pytest.raises(FAILS[client], match="Overloaded"):
        talk.ask(streamed=True)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_fault_at_the_head_of_a_stream_is_told_as_an_error_of_the_clients_own(
    trio: Trio, client: str
) -> None:
    trio.messages.script(
        Answer(fault=overloaded_at_once, turn=Turn(reasoning="why", text="Never said."))
    )
    talk = trio.talk(client, "think-adaptive")
    talk.say("Hello.")
    with pytest.raises(
        (anthropic.APIStatusError, openai.APIStatusError), match="Overloaded"
    ) as caught:
        talk.ask(streamed=True)
    assert caught.value.response.headers["content-type"].startswith("application/json")
    if client == "messages":
        assert caught.value.response.json()["type"] == "error"


# -- What else a Messages client asks --------------------------------------------------------------


def test_tokens_are_counted_by_an_upstream_that_counts(trio: Trio) -> None:
    before = len(trio.messages.counted)
    for model in MODELS.values():
        found = trio.anthropic.messages.count_tokens(
            model=model, messages=[{"role": "user", "content": "hi " * 400}]
        )
        assert 100 < found.input_tokens < 1000
    assert len(trio.messages.counted) == before + 1
    assert trio.rejections == []


def test_models_are_listed_as_the_anthropic_sdk_reads_them(trio: Trio) -> None:
    listed = {model.id: model.type for model in trio.anthropic.models.list()}
    assert listed == dict.fromkeys({model.id for model in trio.openai.models.list()}, "model")
    assert set(MODELS.values()) <= set(listed)


def test_anthropics_key_header_is_taken_too(trio: Trio) -> None:
    body = b'{"model":"claude-opus-4-8","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
    answers = [
        post(trio.gateway.origin, "/cursor/messages", body, x_api_key=key)
        for key in (trio.key, "wrong")
    ]
    assert [answer.status for answer in answers] == [200, 401]
    assert answers[1].json["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("claude-3-haiku-20240307", ("my-gpt-5", "low")),
        ("claude-sonnet-9", ("claude-opus-4-8", "max")),
    ],
)
def test_tiers_stand_for_models_that_nobody_serves(
    trio: Trio, asked: str, served: tuple[str, str]
) -> None:
    talk = trio.talk("messages", asked)
    talk.say("Hello.")
    talk.ask(streamed=True)
    if served[0] == "my-gpt-5":
        body = trio.responses.bodies[-1]
        assert (body["model"], body["reasoning"]["effort"]) == served
    else:
        body = trio.messages.bodies[-1]
        assert (body["model"], body["output_config"]["effort"]) == served
