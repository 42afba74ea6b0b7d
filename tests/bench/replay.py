"""The fixed replay whose work is counted: small requests, a stream, and two conversations that are
replayed. `python -m tests.bench.replay` plays it and prints the counts.
"""

import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from statistics import median
from typing import Any

import msgspec

from tests.bench.answers import (
    MODEL,
    PLAIN_ANSWER,
    STREAM_HEAD,
    answer,
    chunked,
    delta,
    ending,
    post,
    request,
)
from tests.bench.stage import Stage, on_stage

__all__ = ("Cost", "Counts")

REQUESTS = 20
DELTAS = 40

SHORT, LONG = 40, 160
"""Turns of the two conversations: what the longer one costs more is for its messages."""

TEXT = b"some words of it " * 45


class Cost(msgspec.Struct, frozen=True):
    """What one of something costs."""

    calls: float
    """Python calls."""

    blocks: float
    """Blocks of memory that it holds while it lasts."""

    called: dict[str, float]
    """The calls by the file of what is called, the most first."""


type Counts = dict[str, Cost]
"""By what is done once."""


def play(stage: Stage) -> Counts:
    """Do each of it in turn; the turns of the conversations, which are not counted, go before."""
    with closing(stage.connect()) as client:
        turns = [_turn(stage, client, number) for number in range(SHORT + LONG)]
    stage.count()
    replays = _replays(stage, [turns[:SHORT], turns[SHORT:]])
    return {
        "a delta": _stream(stage),
        "a delta of eight that come together": _stream(stage, 8),
        "a small request on a kept connection": _kept(stage),
        "a small request on a new connection": _fresh(stage),
        **replays,
    }


def _kept(stage: Stage) -> Cost:
    with closing(stage.connect()) as client:
        return _each(stage, REQUESTS, lambda _: _steps(stage, client))


def _fresh(stage: Stage) -> Cost:
    def steps(_: int) -> Iterator[None]:
        with closing(stage.connect()) as client:
            yield from _steps(stage, client)

    return _each(stage, REQUESTS, steps)


def _steps(stage: Stage, client: socket.socket) -> Iterator[None]:
    stage.send(client, request(stage.key, "plain"))
    upstream = stage.take()
    yield
    upstream.sendall(PLAIN_ANSWER)
    stage.receive_answer(client)


def _stream(stage: Stage, together: int = 1) -> Cost:
    """A delta of those that come so many together."""
    with closing(stage.connect()) as client:
        stage.send(client, request(stage.key, "flood"))
        upstream = stage.take()
        upstream.sendall(STREAM_HEAD)

        def steps(number: int) -> Iterator[None]:
            _pass_on(stage, upstream, client, range(number * together, (number + 1) * together))
            yield

        found = _each(stage, DELTAS // together, steps, together)
        upstream.sendall(b"".join(chunked([ending()])) + b"0\r\n\r\n")
        stage.receive(client, b"0\r\n\r\n")
    return found


def _pass_on(stage: Stage, upstream: socket.socket, client: socket.socket, numbers: range) -> None:
    said = [b" thought %d." % number for number in numbers]
    upstream.sendall(b"".join(chunked(delta(1, text) for text in said)))
    stage.receive(client, said[-1])


def _each(stage: Stage, times: int, steps: Callable[[int], Iterator[None]], many: int = 1) -> Cost:
    """The calls that one of so many takes, without those of the counting, and the blocks that are
    there more where it yields: medians.
    """
    idle, calls, blocks = _since(stage, stage.calls()), [], [0] * times
    for number in range(times):
        before = stage.calls()
        for _ in steps(number):
            pass
        calls.append(_since(stage, before))
    for number in range(times):
        there = stage.blocks()
        for _ in steps(times + number):
            blocks[number] = stage.blocks() - there
    files = idle.keys() | Counter(chain.from_iterable(calls)).keys()
    called = {file: (median(each[file] for each in calls) - idle[file]) / many for file in files}
    return _cost(called, median(blocks) / many)


def _since(stage: Stage, before: Counter[str]) -> Counter[str]:
    calls = stage.calls()
    calls.subtract(before)
    return calls


def _cost(called: dict[str, float], blocks: float) -> Cost:
    most = sorted(called.items(), key=lambda each: (-each[1], each[0]))
    shown = {file: round(count, 1) for file, count in most if round(count, 1) > 0}
    return Cost(round(sum(called.values()), 1), round(blocks, 1), shown)


# -- conversations ---------------------------------------------------------------------------------

type _Replayed = tuple[Counter[str], int]
"""The calls of a request, and the blocks that it holds."""


def _turn(stage: Stage, client: socket.socket, number: int) -> list[dict[str, Any]]:
    """The two messages that a turn adds to a conversation: its call, and what came of that."""
    function = b'{"name":"Read","arguments":"{\\"path\\":\\"%d.py\\",\\"text\\":\\"%b\\"}"}'
    call = b'{"index":0,"id":"call_%d","type":"function","function":%b}'
    said = b'{"role":"assistant","content":null,"reasoning_content":"why %d","tool_calls":[%b]}'
    made = said % (number, call % (number, function % (number, TEXT)))
    told = _ask(stage, client, request(stage.key, "turn"), answer(made, b"tool_calls"))
    [choice] = msgspec.json.decode(told.partition(b"\r\n\r\n")[2])["choices"]
    calls = choice["message"]["tool_calls"]
    result = {"role": "tool", "tool_call_id": calls[0]["id"], "content": TEXT.decode()}
    return [{"role": "assistant", "content": [], "tool_calls": calls}, result]


def _replays(stage: Stage, conversations: list[list[list[dict[str, Any]]]]) -> Counts:
    """What each message of a conversation costs when it comes for the first time, and again."""
    with closing(stage.connect()) as client:
        first = [_replay(stage, client, turns, 0) for turns in conversations]
        again = [_replay(stage, client, turns, 1) for turns in conversations]
    return {
        "a message of a history that is new": _per_message(*first),
        "a message of a history that came before": _per_message(*again),
    }


def _per_message(short: _Replayed, long: _Replayed) -> Cost:
    messages = 2 * (LONG - SHORT)
    files = short[0].keys() | long[0].keys()
    called = {file: (long[0][file] - short[0][file]) / messages for file in files}
    return _cost(called, (long[1] - short[1]) / messages)


def _replay(
    stage: Stage, client: socket.socket, turns: list[list[dict[str, Any]]], step: int
) -> _Replayed:
    """The calls of a request, and the blocks that are there more when it has gone upstream."""
    said = {"role": "user", "content": f"Rewrite it all. {'Go on. ' * step}"}
    messages = [message for turn in turns for message in turn]
    body = msgspec.json.encode({"model": MODEL.decode(), "messages": [*messages, said]})
    message = post(stage.key, body)
    blocks, calls = stage.blocks(), stage.calls()
    stage.send(client, message)
    upstream = stage.take()
    held = stage.blocks() - blocks
    upstream.sendall(PLAIN_ANSWER)
    stage.receive_answer(client)
    return _since(stage, calls), held


def _ask(stage: Stage, client: socket.socket, message: bytes, said: bytes) -> bytes:
    stage.send(client, message)
    stage.take().sendall(said)
    return stage.receive_answer(client)


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(on_stage(play)).decode() + "\n")
