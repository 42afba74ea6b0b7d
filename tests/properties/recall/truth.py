"""What really was said: the turns that models gave, and what a client holds of them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from tests.support.turns import Json, Turn

__all__ = (
    "MARK",
    "Conversation",
    "Entry",
    "Habits",
    "Held",
    "HeldCall",
    "Issued",
    "Words",
    "runs_of",
)

MARK = re.compile(r"#\d+#|(?:sig|blob|rs)[-_][0-9a-f]{24}")
"""What only one turn's reasoning or state holds."""


class Issued(msgspec.Struct, eq=False, kw_only=True):
    """A turn as its model gave it."""

    number: int
    user: str
    family: str
    account: str
    turn: Turn
    pieces: tuple[str, ...]
    """Its reasoning as the upstream must get it back, in this order."""

    bound: bool
    """Whether only the account may send it back."""

    words: str
    """The user's words that it answers, without anything that a client puts around them."""

    before: bytes
    """Digest of what was said before these words."""

    asked: bytes
    """Digest of all that was said before it, ids as the client sent them."""

    question: bytes
    """Digest of all that was said up to the words that it answers, without ids and results."""

    after: "Issued | None"
    """The turn of the last id of the gateway's before it, as the client sent it."""

    complete: bool = True


class HeldCall(msgspec.Struct):
    """A call that the client holds, and its result."""

    minted: str
    """The gateway's id."""

    number: int
    """Its number in the turn."""

    name: str
    arguments: str
    result: str
    annex: Json = {}
    """Members beside the call that the client keeps with its own copies."""


class Held(msgspec.Struct, eq=False):
    """An assistant message that the client holds."""

    issued: list[Issued]
    """The turns it was made of; none for what no model of the gateway's said."""

    text: str
    calls: list[HeldCall]
    copies: list[Json] = []
    """The client's own copies of the reasoning, in its format's words."""

    part: Literal["", "text", "calls"] = ""
    """Which part of a split turn it is."""

    borrowed: dict[int, str] = {}
    """Ids that the client took from other turns, by the number of the call."""


class Words(msgspec.Struct, eq=False):
    """What the user said."""

    text: str


type Entry = Words | Held


class Habits(msgspec.Struct):
    """How a client spells what it holds."""

    ids: Literal["kept", "replaced", "anew", "shortened", "repeated", "swapped"] = "kept"
    copies: Literal["dropped", "kept", "some", "trimmed"] = "dropped"
    words: Literal["bare", "wrapped", "grown", "unwrapped"] = "bare"
    text: Literal["kept", "padded", "crlf", "decomposed"] = "kept"
    respells: bool = False
    """Arguments are written in another way."""

    parts: bool = False
    """Contents are arrays."""

    drops_text: bool = False
    """The text beside calls is left out."""

    dates: bool = False
    """The system prompt is another in each request, and the surroundings are told first."""

    reverses: bool = False
    """Results come in the reverse order."""

    streams: bool = False

    @property
    def keeps_ids(self) -> bool:
        return self.ids in ("kept", "swapped")


class Conversation(msgspec.Struct, eq=False, kw_only=True):
    """One client's conversation."""

    name: str
    user: str
    habits: Habits
    script: str
    """What is asked and answered: the same in conversations that are alike."""

    history: list[Entry] = []
    steps: int = 0

    @property
    def helds(self) -> list[Held]:
        return [entry for entry in self.history if isinstance(entry, Held)]

    @property
    def pending(self) -> bool:
        """Whether the model is to go on, without words of the user."""
        return bool(self.history) and not _ends(self.history[-1])


def _ends(entry: Entry) -> bool:
    """Whether the user is to speak after it."""
    return isinstance(entry, Held) and not entry.calls


def runs_of(history: Sequence[Entry]) -> list[list[Held]]:
    """The assistant messages, those together between which neither words nor results stand."""
    return [run for run in _split(history) if run]


def _split(history: Iterable[Entry]) -> Iterator[list[Held]]:
    run: list[Held] = []
    for entry in history:
        if isinstance(entry, Held):
            run.append(entry)
            if not entry.calls:
                continue
        yield run
        run = []
    yield run
