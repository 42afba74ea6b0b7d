"""F6: an upstream that fails in any way costs its client a clear error in time, and is one row."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import openai
from openai import OpenAI

from shared.store import open_engine
from shared.store.engine import Engine
from tests.harden.figure import Figure
from tests.support.client import Conversation, Reply, sdk
from tests.support.faults import FAULTS, FaultCase, held
from tests.support.gateway import Gateway, eventually, upstream_table
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate
from tests.support.turns import Turn

__all__ = ("figures",)

MODEL = "deepseek-v4-pro"
SILENCE_SECONDS = 2
"""The upstream's deadlines for its first byte and between two."""

SLACK_SECONDS = 1
"""Deadlines are looked at each second."""

CLIENT_SECONDS = 0.2
"""What the client and the loopback interface take."""

_numbers = count()


def _cases() -> Iterator[FaultCase]:
    yield from FAULTS
    for streamed in (True, False):
        yield FaultCase("silent_before_the_head", held(Gate()), streamed, "error")
        yield FaultCase("silent_in_the_middle", held(Gate(), before=0), streamed, "error")
        yield FaultCase("silent_at_the_end", held(Gate(), before=-1), streamed, "error")


def _wrong(gateway: Gateway, key: str, provider: StrictProvider, case: FaultCase) -> Iterator[str]:
    """What is not as it should be with a request that meets the fault on a new connection:
    one that is lost when it is used again is made anew. Some faults leave what is no whole turn
    and no error either, so the stream is not checked.
    """
    with sdk(gateway.base_url, key, checks=False) as client:
        yield from _met(client, provider, case)


def _met(client: OpenAI, provider: StrictProvider, case: FaultCase) -> Iterator[str]:
    turn = Turn(
        reasoning="weighing it", text=f"Grüße – 思考 🧠 {next(_numbers)}, and so on and on."
    )
    provider.reset()
    provider.script(Answer(turn=turn, fault=case.apply))
    began = time.monotonic()
    try:
        seen: Reply | openai.APIError = Conversation(client, MODEL).ask(streamed=case.streamed)
    except openai.APIConnectionError:
        yield f"{case}: no well-formed answer"
        return
    except openai.APIError as error:
        seen = error
    if time.monotonic() - began > SILENCE_SECONDS + SLACK_SECONDS + CLIENT_SECONDS:
        yield f"{case}: too late"
    if isinstance(seen, Reply):
        if case.outcome == "error" or seen.text != turn.text:
            yield f"{case}: no whole answer"
    elif case.outcome == "whole":
        yield f"{case}: an error"
    elif "127.0.0.1" in str(seen) or str(provider.base_url) in str(seen):
        yield f"{case}: an internal address"


def _rows(books: Engine) -> int:
    return int(books.read("SELECT count(*) FROM ledger")[0][0])


def figures() -> Iterable[Figure]:
    cases = list(_cases())
    timeouts = {"first_byte": SILENCE_SECONDS, "idle": SILENCE_SECONDS}
    with TemporaryDirectory() as folder, StrictProvider() as provider:
        config = upstream_table("one", provider.base_url, timeouts=timeouts)
        with (
            Gateway(Path(folder), config=config) as gateway,
            closing(open_engine(f"sqlite:{folder}/adapter.db")) as books,
        ):
            key = gateway.new_user("ada")
            wrong = [why for case in cases for why in _wrong(gateway, key, provider, case)]
            eventually(lambda: _rows(books) >= len(cases))
            rows, open_ = _rows(books), books.read("SELECT count(*) FROM open_exchanges")[0][0]
    measured = "; ".join([f"{len(wrong)} wrong", *wrong[:3], f"{rows - len(cases):+} rows"])
    yield Figure(
        "F6",
        f"{len(cases)} faults of upstreams, before the head and within answers",
        f"{measured}, {open_} reservations kept",
        f"0 wrong, ≤ deadline + {SLACK_SECONDS} s, one row each, 0 kept",
        not wrong and rows == len(cases) and not open_,
    )
