"""A kill right after an answer was read loses no turn, while other programs keep the database
busy.
"""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import openai
import psutil  # type: ignore[import-untyped]
import pytest
from httpx import HTTPError
from openai import OpenAI

from tests.shared.processes import start
from tests.support.client import Conversation, Reply, sdk
from tests.support.gateway import Gateway, Served, upstream_environment
from tests.support.provider import StrictProvider

MODEL = "deepseek-v4-pro"
KILLS = 200 if os.environ.get("HARDEN") else 6
"""Each costs a start of the gateway."""

AT_ONCE = 4
"""Answers that run when the kill comes: whichever have told their end by then must be there."""

WRITE = """
import random, sys, time
from pathlib import Path
from shared.store.sqlite import connect

connection = connect(Path(sys.argv[1]))
sql = "INSERT INTO learned VALUES (:who, :value, 1) ON CONFLICT DO UPDATE SET value = :value"
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(sql, {"who": sys.argv[2], "value": "x" * 10_000})
    time.sleep(random.uniform(0.005, 0.03))
    connection.execute("COMMIT")
    time.sleep(random.uniform(0, 0.002))
"""


@contextmanager
def busy(database: Path) -> Iterator[None]:
    """While two other programs write, one batch of up to 30 ms after the other."""
    with ExitStack() as stack:
        for name in ("first", "second"):
            stack.callback(_end, start(WRITE, database, name))
        yield


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served[StrictProvider]]:
    with (
        StrictProvider() as provider,
        Gateway(tmp_path, upstream_environment(provider.base_url)) as gateway,
    ):
        yield Served(gateway, provider)


def read_until_the_end(data_plane: psutil.Process, conversation: Conversation) -> bool:
    """Read an answer up to `finish_reason` and kill the gateway at once; whether that was read."""
    reply = Reply()
    try:
        with conversation.open() as stream:
            while not reply.finish_reason:
                reply.add(next(stream))
            with suppress(psutil.NoSuchProcess):  # another one's end came first
                data_plane.kill()
    except (openai.APIError, HTTPError):
        return False
    conversation.keep(reply)
    return True


def go_on(conversation: Conversation) -> str:
    """Send the next request; why it was refused, or nothing."""
    try:
        conversation.ask(streamed=False)
    except openai.APIError as error:
        return f"{conversation.marker}: {error}"
    return ""


def kill_once(served: Served[StrictProvider], key: str, number: int) -> list[str]:
    """Kill the gateway as soon as an answer has ended; what is wrong with the next requests
    of the conversations whose end was read.
    """
    gateway, provider = served
    provider.reset()
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as threads:
        client: OpenAI = stack.enter_context(sdk(gateway.base_url, key))
        asked = [
            Conversation(client, MODEL, marker=f"{number}.{which}") for which in range(AT_ONCE)
        ]
        read = list(threads.map(partial(read_until_the_end, gateway.data_plane()), asked))
        assert any(read)
        ended = [
            conversation for conversation, was_read in zip(asked, read, strict=True) if was_read
        ]
        gateway.restart()
        refused = [why for why in threads.map(go_on, ended) if why]
        return refused + [lost for one in ended for lost in one.crossed(provider.requests)]


def test_a_kill_right_after_an_answer_was_read_loses_no_turn(
    served: Served[StrictProvider],
) -> None:
    key = served.gateway.new_user("ada")
    with busy(served.gateway.directory / "adapter.db"):
        lost = [wrong for number in range(KILLS) for wrong in kill_once(served, key, number)]
    assert lost == []
    assert "A crash would lose them" not in served.gateway.log
