"""Conversations up to one turn and what follows it, exactly as the client sent them: what a
provider's prefix cache goes by; pure.
"""

from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from typing import Any

from addon.formats.neutral.turn import Message
from addon.formats.wire.pace import breathe
from addon.recall.words import Words

__all__ = ("prefixes",)

type Prefix = list[bytes | str]

_LOOK_BACK = 32
"""Messages in which the turn stands that the request before went up to: those after it are the
results of its calls.
"""


def prefixes(messages: Sequence[Message], wanted: Collection[int]) -> Iterator[tuple[int, Prefix]]:
    """Each of the wanted assistant messages with the digest of the messages up to it, and with
    what answers it: results, and the user's words, without what a client adds to the latest
    message alone.
    """
    names = [message.fact(_name) for message in messages[: max(wanted, default=-1) + 1]]
    at, state = _begun(messages, names, min(wanted, default=0))
    while at < len(names):
        if at in wanted:
            begun = messages[at].fact(_Begun)
            begun.names, begun.state = _all_of(names, at), state.copy()
        state.update(_spelled(messages[at]))
        if at in wanted:
            yield at, [state.digest(), *_answers(messages, at)]
        at += 1


class _Begun:
    """The digest of what stood before a message in an earlier request: the next one goes on from
    there.
    """

    def __init__(self, _: Message) -> None:
        self.names = b""
        """All that stood there."""

        # Of the digests of the standard library this is the fastest on long texts.
        self.state = sha256()


def _begun(messages: Sequence[Message], names: list[bytes], first: int) -> tuple[int, Any]:
    """The last message up to the first that is wanted before which the digest is known, and the
    digest.
    """
    for at in range(first, max(first - _LOOK_BACK, 0), -1):
        begun = messages[at].fact(_Begun)
        if begun.names and begun.names == _all_of(names, at):
            return at, begun.state.copy()
    return 0, sha256()


def _all_of(names: list[bytes], count: int) -> bytes:
    """Stands for so many of the messages."""
    return sha256(b"".join(names[:count])).digest()


def _name(message: Message) -> bytes:
    return sha256(_spelled(message)).digest()


def _spelled(message: Message) -> bytes:
    breathe()
    content = message.content
    if not content.startswith(b'"'):
        # In parts there may be marks for the cache, which move from request to request.
        content = message.text.encode("utf-8", "surrogatepass")
    names = [message.role, message.result_of]
    names += [piece for call in message.calls for piece in (call.id, call.name, call.arguments)]
    # Lengths, lest other pieces read the same.
    sizes = " ".join([str(len(piece)) for piece in [*names, content]])
    return "".join([sizes, "\n", *names]).encode("utf-8", "surrogatepass") + content


def _answers(messages: Sequence[Message], at: int) -> Prefix:
    answers: Prefix = []
    for after in range(at + 1, len(messages)):
        message = messages[after]
        if message.role == "assistant":
            break
        text = message.text
        if message.role == "user":
            text = Words(text).first
        answers += [message.role, text]
    return answers
