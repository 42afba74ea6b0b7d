"""Agents at work, whose requests go over a new connection each."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import openai
from httpx import ConnectError, HTTPError

from tests.support.client import Conversation, Reply, sdk

__all__ = ("MODEL", "Cut", "Load")

MODEL = "deepseek-v4-pro"
TURNS = 8
"""Of a conversation: then another one begins, as a history that grows for ever costs more and
more.
"""

type Cut = tuple[float, float, str]
"""From when to when an answer was awaited that did not come whole, and what the client saw."""


class Load:
    """Clients that go on as soon as they are answered, and ask again what was not answered whole.

    Each request names a model of its own: the books have its name.
    """

    def __init__(self, base_url: str, keys: list[str]) -> None:
        self._base_url = base_url
        self._keys = keys
        self._over = threading.Event()
        self.whole: list[str] = []
        """The models of answers that were read to their end."""

        self.cut: list[Cut] = []
        self.refused: list[str] = []
        """What clients were told that could not connect."""

        self.rejected: list[str] = []
        """The same of requests that were answered with an error."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Work inside the block."""
        threads = [
            threading.Thread(target=self._work, args=(who, key))
            for who, key in enumerate(self._keys)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)

    def seen(self) -> Counter[str]:
        """How many answers came to what."""
        told = {"whole": self.whole, "cut": self.cut, "refused": self.refused}
        return Counter({name: len(found) for name, found in told.items()})

    def _work(self, who: int, key: str) -> None:
        conversations = asked = 0
        with sdk(self._base_url, key) as client:
            client = client.with_options(default_headers={"connection": "close"})
            while not self._over.is_set():
                conversations += 1
                conversation = Conversation(client, MODEL, marker=f"{who}.{conversations}")
                while len(conversation.replies) < TURNS and not self._over.is_set():
                    asked += 1
                    conversation.model = f"{MODEL}-{who}.{asked}"
                    if reply := self._ask(conversation):
                        conversation.keep(reply)

    def _ask(self, conversation: Conversation) -> Reply | None:
        began = time.monotonic()
        try:
            reply = conversation.ask()
            assert reply.finish_reason
        except openai.APIStatusError as error:
            self.rejected.append(f"{conversation.model}: {error}")
        except (openai.APIError, HTTPError, AssertionError) as error:
            if isinstance(error.__cause__, ConnectError):
                self.refused.append(repr(error.__cause__))
            self.cut.append((began, time.monotonic(), repr(error)))
        else:
            self.whole.append(conversation.model)
            return reply
        return None
