"""Tokens of prompts that nobody has counted."""

import json

from addon.exchange.estimate import prompt_tokens
from addon.exchange.exchange import Exchange
from addon.formats.neutral.turn import Image, Text, message_of
from shared.store.ratios import Ratio
from tests.addon.desk import MODEL, Desk, open_exchange, reply_of, upstream
from tests.addon.translation.clients import PATHS
from tests.support.grammar import events
from tests.support.turns import Json, Turn, completion

PROMPT = "fix it " * 400
ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
TEXT = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
END: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
COUNTED = {"usage": {"prompt_tokens": 77, "completion_tokens": 1}}


def test_a_prompt_has_a_token_for_every_four_bytes_unless_more_is_known() -> None:
    said = [message_of("user", [Text("x")])]
    assert prompt_tokens(said, b"x" * 400, Ratio(0, 0)) == 100
    assert prompt_tokens(said, b"x" * 400, Ratio(20_000, 10_000)) == 200


def test_pictures_count_as_such_however_long_their_urls_are() -> None:
    said = [message_of("user", [Text("x"), Image(url="y" * 4_000)])]
    assert prompt_tokens(said, b"x" * 4_400, Ratio(0, 0)) == 1_700


def told(desk: Desk, *chunks: Json) -> tuple[Json, Json]:
    """The usages in the first event and in the last but one of a client of Messages whose
    upstream says this.
    """
    raws = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    answer = _opened(desk).stream({"content-type": "text/event-stream"})
    return _usages(b"".join([*map(answer.feed, raws), answer.end()]))


def _opened(desk: Desk) -> Exchange:
    desk.upstreams = (upstream(api="chat"),)
    body = {"model": MODEL, "max_tokens": 9, "stream": True}
    body["messages"] = [{"role": "user", "content": PROMPT}]
    return open_exchange(desk.intake(path=PATHS["messages"]), json.dumps(body).encode())


def _usages(stream: bytes) -> tuple[Json, Json]:
    said = [json.loads(text) for _, text in events(stream)]
    return said[0]["message"]["usage"], said[-2]["usage"]


def test_a_stream_of_messages_begins_with_the_estimate_and_ends_with_the_count(
    desk: Desk,
) -> None:
    begun, ended = told(desk, ROLE, TEXT, END, {"choices": [], **COUNTED})
    assert 700 <= begun["input_tokens"] <= 760
    assert begun["output_tokens"] == 0
    assert (ended["input_tokens"], ended["output_tokens"]) == (77, 1)


def test_a_count_that_comes_first_is_told_first(desk: Desk) -> None:
    begun, _ = told(desk, ROLE | COUNTED, TEXT, END)
    assert begun["input_tokens"] == 77


def test_an_upstream_that_does_not_count_leaves_the_estimate(desk: Desk) -> None:
    begun, ended = told(desk, TEXT, END)
    assert begun["input_tokens"] == ended["input_tokens"] > 700


def test_a_whole_answer_that_becomes_a_stream_begins_with_its_count(desk: Desk) -> None:
    answer = completion(Turn(text="a", reasoning=None), "m")
    verdict = _opened(desk).whole(200, {"content-type": "application/json"}, answer)
    begun, ended = _usages(reply_of(verdict).body)
    assert begun["input_tokens"] == ended["input_tokens"] > 0
