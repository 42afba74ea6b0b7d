"""Conversations up to one turn and what follows it, exactly as the client sent them: what a
provider's prefix cache goes by; pure.
"""

from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256

from addon.formats.neutral.turn import Message
from addon.formats.wire.pace import breathe
from addon.recall.words import Words

__all__ = ("prefixes",)

type Prefix = list[bytes | str]


def prefixes(messages: Sequence[Message], wanted: Collection[int]) -> Iterator[tuple[int, Prefix]]:
    """Each of the wanted assistant messages with the digest of the messages up to it, and with
    what answers it: results, and the user's words, without what a client adds to the latest
    message alone.
    """
    # Of the digests of the standard library this is the fastest on long texts.
    state = sha256()
    for at in range(max(wanted, default=-1) + 1):
        message = messages[at]
        state.update(_spelled(message))
        if at in wanted:
            yield at, [state.digest(), *_answers(messages, at)]


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
