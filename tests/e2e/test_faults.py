"""Broken upstreams: the client gets a whole turn or a clear error, and the gateway goes on
serving.
"""

import itertools
import json
from contextlib import closing
from http.client import HTTPConnection

import openai
import pytest
from openai import OpenAI

from tests.support.client import Conversation, Reply, sdk
from tests.support.faults import FAULTS, FaultCase, held
from tests.support.gateway import Gateway
from tests.support.provider import Answer, Refusal, StrictProvider
from tests.support.rawhttp import Gate
from tests.support.turns import Turn

MODEL = "deepseek-v4-pro"
numbers = itertools.count()


def unique_turn() -> Turn:
    return Turn(
        reasoning="weighing it",
        text=f"Grüße – 思考 🧠 number {next(numbers)}, and so on and on and on.",
    )


def outcome(conversation: Conversation, *, streamed: bool) -> Reply | openai.APIError:
    """What a client of the SDK sees; any other exception is a malformed answer."""
    try:
        return conversation.ask(streamed=streamed)
    except openai.APIConnectionError as error:
        raise AssertionError(f"no well-formed answer: {error.__cause__!r}") from error
    except openai.APIError as error:
        return error


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_a_fault_upstream_is_a_whole_turn_or_a_clear_error(
    client: OpenAI, provider: StrictProvider, case: FaultCase
) -> None:
    turn = unique_turn()
    provider.script(Answer(turn=turn, fault=case.apply))
    # What an upstream makes either way is no well-formed stream that has to stay one.
    checks = case.outcome != "either"
    with sdk(str(client.base_url), client.api_key, checks=checks) as checking:
        seen = outcome(Conversation(checking, MODEL), streamed=case.streamed)
    if isinstance(seen, Reply):
        assert case.outcome != "error"
        assert seen.text == turn.text
    else:
        assert case.outcome != "whole"
        assert seen.message
    provider.reset()
    assert Conversation(client, MODEL).ask(streamed=case.streamed).finish_reason


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
def test_an_upstream_that_refuses_connections_is_a_clear_error(
    client: OpenAI, provider: StrictProvider, streamed: bool
) -> None:
    provider.refuse()
    try:
        with pytest.raises(openai.APIStatusError):
            Conversation(client, MODEL).ask(streamed=streamed)
    finally:
        provider.listen()
    assert Conversation(client, MODEL).ask(streamed=streamed).finish_reason


@pytest.mark.parametrize("before", [None, 3], ids=["before the answer", "within the stream"])
def test_a_client_that_leaves_takes_the_upstream_request_with_it(
    gateway: Gateway, key: str, provider: StrictProvider, before: int | None
) -> None:
    gate = Gate()
    provider.script(Answer(turn=unique_turn(), fault=held(gate, before=before)))
    asked = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    with closing(HTTPConnection("127.0.0.1", gateway.port)) as connection:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(asked), headers)
        assert gate.reached.wait(30)
    assert gate.left.wait(30)


def test_silence_is_not_the_end_of_a_stream(client: OpenAI, provider: StrictProvider) -> None:
    gate, turn = Gate(), unique_turn()
    provider.script(Answer(turn=turn, fault=held(gate, before=4)))
    with Conversation(client, MODEL).open() as stream:
        reply = Reply()
        reply.add(next(stream))
        assert gate.reached.wait(30)
        gate.open()
        for chunk in stream:
            reply.add(chunk)
    assert (reply.text, reply.finish_reason) == (turn.text, "stop")


@pytest.mark.parametrize("status", [400, 402, 404, 422, 429, 500, 503, 529])
def test_an_error_of_the_upstream_reaches_the_client_with_its_words(
    gateway: Gateway, client: OpenAI, provider: StrictProvider, status: int
) -> None:
    provider.script(*[Refusal(status, f"words about {status}")] * 4)
    with pytest.raises(openai.APIStatusError, match=f"words about {status}") as caught:
        Conversation(client, MODEL).ask()
    assert caught.value.status_code == status
    provider.reset()
    assert Conversation(client, MODEL).ask().finish_reason
    assert "Traceback" not in gateway.log
