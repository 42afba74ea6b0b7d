"""The simulated Cursor sends what the real one was seen to send."""

import json
from pathlib import Path
from typing import Any

import pytest

from manage_api.domains.doctor.cursor import AZURE, MODES, OPENAI, VERIFY, Chat, ChatError, Way
from manage_api.domains.doctor.door import open_door
from manage_api.domains.doctor.stand_in import Turn, next_turn, pieces
from tests.support.meddling import Meddler, Page, Passed

ASK, AGENT, PLAN, CMD_K = MODES
SEEN = Path(__file__).parents[3] / "wire"


def seen(file: str) -> list[dict[str, Any]]:
    """The requests of a capture."""
    lines = map(json.loads, (SEEN / file).read_text().splitlines())
    return [line for line in lines if "body" in line]


def streamed(turn: Turn) -> Page:
    return Page(200, b"".join(pieces(turn, "m")), {"Content-Type": "text/event-stream"})


class Asked:
    """What answers a chat, and notes what it was asked."""

    def __init__(self, *answers: Page) -> None:
        self.requests: list[Passed] = []
        self._answers = list(answers)

    def __call__(self, passed: Passed) -> Page:
        self.requests.append(passed)
        return self._answers.pop(0)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.requests]


async def talk(asked: Asked, mode: Any, *, way: Way = OPENAI, turns: int = 1) -> None:
    with Meddler(0, asked) as gateway:
        async with open_door(gateway.origin) as door:
            chat = Chat(door, "t", mode=mode, model="my-alias", agent="", way=way)
            chat.say("Go.")
            for _ in range(turns):
                await chat.ask()


def shape(value: Any) -> Any:
    """The kinds of things in a value, whatever they say."""
    match value:
        case dict():
            return {name: shape(inner) for name, inner in value.items()}
        case list():
            return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize(
    ("mode", "file"),
    [
        pytest.param(ASK, "ask-3.17.jsonl", id="Ask"),
        pytest.param(AGENT, "plain-3.17.8.jsonl", id="Agent"),
        pytest.param(VERIFY, "verify-button.jsonl", id="Verify"),
    ],
)
async def test_a_first_request_is_shaped_as_it_was_seen(mode: Any, file: str) -> None:
    asked = Asked(streamed(next_turn([], "t", tools=False)))
    await talk(asked, mode)
    captured = seen(file)[0]

    [body] = asked.bodies
    assert body.keys() == captured["body"].keys()
    assert [shape(each) for each in body["messages"]] == [
        shape(each) for each in captured["body"]["messages"]
    ]
    names = {name.lower() for name in captured["headers"]}
    assert names - {"accept-encoding"} <= {name.lower() for name in asked.requests[0].headers}


async def test_a_turn_is_replayed_without_reasoning_in_parts_and_spelt_anew() -> None:
    turn = next_turn([], "t", tools=True)
    asked = Asked(streamed(turn), streamed(next_turn([], "t", tools=False)))
    await talk(asked, AGENT, turns=2)

    *_, reply, result = asked.bodies[1]["messages"]
    assert turn.call
    call = turn.call | {"function": {"name": "Read", "arguments": '{"path":"README.md"}'}}
    assert reply == {"role": "assistant", "content": [], "tool_calls": [call]}
    assert result["tool_call_id"] == turn.call["id"]
    assert shape(result) == shape(seen("plain-3.17.8.jsonl")[1]["body"]["messages"][2]) | {
        "tool_call_id": "str"
    }


async def test_text_may_have_any_character() -> None:
    text = "one\u2028two\x85three"
    asked = Asked(*[streamed(Turn(reasoning="", text=text))] * 2)
    await talk(asked, CMD_K, turns=2)

    assert asked.bodies[1]["messages"][-1]["content"] == text


async def test_the_modes_differ_in_their_tools() -> None:
    for mode, tool in ((ASK, ""), (AGENT, "SwitchMode"), (PLAN, "CreatePlan"), (CMD_K, "")):
        asked = Asked(streamed(next_turn([], "t", tools=False)))
        await talk(asked, mode)
        names = [each["function"]["name"] for each in asked.bodies[0].get("tools", [])]
        assert names[-1:] == [tool] * bool(tool)


async def test_azure_s_way_names_the_model_in_the_path_and_the_key_in_its_header() -> None:
    asked = Asked(streamed(next_turn([], "t", tools=False)))
    await talk(asked, AGENT, way=AZURE)

    [request] = asked.requests
    assert request.path.startswith("/openai/deployments/my-alias/chat/completions?api-version=")
    assert {name.lower(): text for name, text in request.headers.items()}["api-key"] == "t"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (Page(400, b'{"error":{"message":"Too long."}}'), "status 400: Too long."),
        (Page(502), "no error of an LLM's API"),
        (Page(200, b"data: {}\n\n"), "without"),
        (Page(200, b"data: {\n\n"), "not JSON"),
        (Page(200, b'data: {"error":{"message":"over"}}\n\n'), "over"),
    ],
    ids=["error", "page", "cut", "broken", "error in a stream"],
)
async def test_what_ends_a_conversation_is_told(page: Page, words: str) -> None:
    with pytest.raises(ChatError, match=words):
        await talk(Asked(page), AGENT)
