"""Responses clients that let the gateway keep their conversations: gone on from, looked at,
and deleted.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

from tests.e2e.test_responses import empty
from tests.support.client import sdk
from tests.support.gateway import Gateway, Served
from tests.support.provider import Answer, StrictProvider
from tests.support.turns import Turn

MODEL = "deepseek-v4-pro"
TOOLS: Any = [{"type": "function", "name": "Read", "parameters": {"type": "object"}}]


@pytest.fixture
def stranger(gateway: Gateway, other_key: str) -> Iterator[OpenAI]:
    """Another user of the same gateway."""
    with sdk(gateway.base_url, other_key) as running:
        yield running


def answered(client: OpenAI, given: Any, *, streamed: bool = False, **members: Any) -> Any:
    wanted: Any = {"model": MODEL, "input": given, "tools": TOOLS, **members}
    if not streamed:
        return client.responses.create(**wanted)
    *_, last = client.responses.create(**wanted, stream=True)
    return last.response


def results(response: Any) -> Any:
    """What the client sends next, and nothing else."""
    calls = [item.call_id for item in response.output if item.type == "function_call"]
    outputs = [
        {"type": "function_call_output", "call_id": call_id, "output": "fine"} for call_id in calls
    ]
    return outputs or "Go on."


def test_a_client_sends_only_what_is_new(client: OpenAI, provider: StrictProvider) -> None:
    response = answered(client, "Fix the bug, please.")
    for turn in range(10):
        response = answered(
            client, results(response), streamed=bool(turn % 2), previous_response_id=response.id
        )
        assert response.status == "completed"
    assert provider.rejections == []
    sent = [len(body["messages"]) for body in provider.bodies()]
    assert sent == sorted(set(sent))
    assert (len(sent), sent[0]) == (11, 1)


def test_a_conversation_that_is_gone_on_from_outlives_the_table_of_recall(
    fresh: Served[StrictProvider],
) -> None:
    gateway, provider = fresh
    # The upstream's own ids are in the table only: without it calls go by those that the
    # client has.
    provider.ledger.any_ids = True
    with sdk(gateway.base_url, gateway.new_user("ada")) as client:
        first = answered(client, "Fix the bug, please.")
        second = answered(client, results(first), previous_response_id=first.id)
        gateway.kill()
        empty(gateway.directory)
        gateway.start()
        answered(client, results(second), previous_response_id=second.id)
    assert provider.rejections == []


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_stored_answer_is_what_the_client_was_told(client: OpenAI, streamed: bool) -> None:
    response = answered(client, "Fix the bug, please.", streamed=streamed)
    stored = client.responses.retrieve(response.id)
    assert stored.to_dict() == response.to_dict()
    assert stored.to_dict()["store"] is True


def test_what_an_answer_answers_is_listed_page_by_page(client: OpenAI) -> None:
    first = answered(
        client, [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}]
    )
    second = answered(client, results(first), previous_response_id=first.id)
    listed = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    texts = [item.content[0].text for item in listed[:2] if item.type == "message"]
    assert texts == ["One.", "Two."]
    assert [item.id for item in listed[2 : 2 + len(first.output)]] == [
        item.id for item in first.output
    ]
    newest = client.responses.input_items.list(second.id).data[0]
    assert newest.id == listed[-1].id


def test_an_item_may_be_named_instead_of_sent(client: OpenAI, provider: StrictProvider) -> None:
    first = answered(client, "Fix the bug, please.")
    named = [{"type": "item_reference", "id": item.id} for item in first.output]
    given: Any = [{"role": "user", "content": "Fix the bug, please."}, *named]
    tail = results(first)
    given += tail if isinstance(tail, list) else [{"role": "user", "content": tail}]
    answered(client, given, store=False)
    assert provider.rejections == []


def test_nobody_else_sees_an_answer(client: OpenAI, stranger: OpenAI) -> None:
    theirs = answered(client, "Fix the bug, please.").id
    for wanted in (theirs, "resp_0123456789abcdef01234567"):
        with pytest.raises(NotFoundError, match=f"Response with id '{wanted}' not found"):
            stranger.responses.retrieve(wanted)
        with pytest.raises(NotFoundError):
            stranger.responses.delete(wanted)
        with pytest.raises(NotFoundError):
            stranger.responses.input_items.list(wanted)
        with pytest.raises(
            BadRequestError, match=f"Previous response with id '{wanted}' not found"
        ):
            answered(stranger, "Go on.", previous_response_id=wanted)
    assert client.responses.retrieve(theirs).id == theirs


def test_a_deleted_answer_is_gone(client: OpenAI) -> None:
    first = answered(client, "Fix the bug, please.")
    second = answered(client, results(first), previous_response_id=first.id)
    client.responses.delete(first.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(BadRequestError) as refused:
        answered(client, results(second), previous_response_id=second.id)
    assert (refused.value.code, refused.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )


def test_an_answer_that_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    response = answered(client, "Fix the bug, please.", store=False)
    assert response.to_dict()["store"] is False
    with pytest.raises(NotFoundError):
        client.responses.retrieve(response.id)


def test_what_can_not_be_done_is_said(client: OpenAI) -> None:
    response = answered(client, "Fix the bug, please.")
    with pytest.raises(BadRequestError, match="Nothing runs in the background"):
        client.responses.cancel(response.id)
    with pytest.raises(BadRequestError, match="not streamed again"):
        client.responses.retrieve(response.id, stream=True)


def test_where_nothing_is_stored_answers_say_so(tmp_path: Any, provider: StrictProvider) -> None:
    config = f'[responses]\nmax_age_days = 0\n[upstream]\nbase_url = "{provider.base_url}"\napi_key = "sk-good"\n'
    with (
        Gateway(tmp_path, config=config) as gateway,
        sdk(gateway.base_url, gateway.new_user("ada")) as client,
    ):
        response = answered(client, "Fix the bug, please.")
        assert response.to_dict()["store"] is False
        with pytest.raises(BadRequestError, match="not stored here: send the whole conversation"):
            answered(client, "Go on.", previous_response_id=response.id)


class Verdict(BaseModel):
    """What the model is asked for."""

    text: str


def test_a_parsed_answer_is_gone_on_from_and_stored_too(
    client: OpenAI, provider: StrictProvider
) -> None:
    provider.script(Answer(), Answer(turn=Turn(text='{"text": "fixed"}', reasoning="So it was.")))
    first = client.responses.create(model=MODEL, input="Fix the bug, please.")
    parsed = client.responses.parse(
        model=MODEL, input="Was it fixed?", text_format=Verdict, previous_response_id=first.id
    )
    assert parsed.output_parsed == Verdict(text="fixed")
    assert [message["role"] for message in provider.bodies()[-1]["messages"]] == [
        "user",
        "assistant",
        "user",
    ]
    stored = client.responses.retrieve(parsed.id)
    assert (stored.output_text, stored.previous_response_id) == ('{"text": "fixed"}', first.id)
