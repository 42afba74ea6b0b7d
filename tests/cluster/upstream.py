"""A strict upstream that keeps its own books."""

from collections import defaultdict

from msgspec.structs import replace

from tests.support.counting import Count
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Reply
from tests.support.turns import Json, used_by

__all__ = ("Upstream",)


class Upstream(StrictProvider):
    """Refuses any turn whose reasoning is not what it said; `books` has by model what it told of
    each request that it answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.books: defaultdict[str, list[Count]] = defaultdict(list)

    def _say(self, answer: Answer, body: Json) -> Reply:
        turn = answer.turn or self.maker.make(body)
        used = used_by(turn)
        self.books[body["model"]].append(Count(used["prompt_tokens"], used["completion_tokens"]))
        self.requests.clear()  # a long run has thousands, each with its history
        return super()._say(replace(answer, turn=turn), body)
