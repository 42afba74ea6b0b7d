"""Any client format over any upstream format: a hub with one way in and one way out for each.

A client's body becomes a neutral request, which is lowered to what the upstream takes and
written for it; what the upstream answers becomes deltas or turns, which are raised to what
the client declared and written for it.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from addon.formats import cursor
from addon.formats.chat import request as chat_request
from addon.formats.chat import response as chat_response
from addon.formats.chat import writer as chat_writer
from addon.formats.chat.carriers import Quirks
from addon.formats.chat.reader import ChatReader
from addon.formats.messages import request as messages_request
from addon.formats.messages import response as messages_response
from addon.formats.messages import writer as messages_writer
from addon.formats.messages.reader import MessagesReader
from addon.formats.messages.thinking import effort_of
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.deltas import CUT, UNREADABLE, StreamError
from addon.formats.neutral.protocols import Head, Mint, Reader, Seal, Unseal, Writer
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import Edit, Turn, Usage, edited, opened_message
from addon.formats.responses import request as responses_request
from addon.formats.responses import response as responses_response
from addon.formats.responses import writer as responses_writer
from addon.formats.responses.reader import ResponsesReader
from addon.formats.wire import sse

__all__ = ("CLIENTS", "UPSTREAMS", "Client", "Upstream", "Whole", "opened", "restored")


class Whole(msgspec.Struct, frozen=True):
    """A whole answer of an upstream."""

    turns: dict[int, Turn]
    usage: Usage | None
    error: StreamError | None


class Client(msgspec.Struct, frozen=True):
    """How a client's format is read and answered."""

    decode: Callable[[bytes], Request]
    writer: Callable[[Request, Head, Mint, Seal], Writer]
    whole: Callable[[dict[int, Turn], Usage | None, Request, Head, Mint, Seal], bytes]
    ping: bytes = sse.KEEP_ALIVE
    """What says between two events that the stream is alive."""


class Upstream(msgspec.Struct, frozen=True):
    """How an upstream's format is written and read."""

    encode: Callable[[Request, str, Abilities], bytes]
    """(lowered request, upstream's name of the model, what it takes) -> body"""

    reader: Callable[[], Reader]
    whole: Callable[[bytes], Whole | None]
    """None for a body that is no answer."""

    def read_whole(self, body: bytes) -> Whole | None:
        """The answer in a body, also in the events of a server that streams unasked; None for
        a body that is no answer.
        """
        if not sse.holds_events(body):
            return self.whole(body)
        return _heard(self.reader(), body)

    def with_quirks(self, quirks: Quirks) -> "Upstream":
        """The same for an upstream whose chat answers have these."""
        if self.whole is not _read_chat or quirks == Quirks():
            return self
        return Upstream(
            self.encode, partial(ChatReader, quirks), partial(_read_chat, quirks=quirks)
        )


def _heard(reader: Reader, body: bytes) -> Whole:
    accumulator, events = Accumulator(), sse.Events()
    deltas = [delta for raw in events.feed(body) for delta in reader.read(raw)]
    # Some servers end without the last blank line; a piece of an event says nothing.
    deltas += [delta for delta in reader.read(events.rest() + b"\n\n") if delta != UNREADABLE]
    for delta in deltas:
        accumulator.add(delta)
    error = next((delta for delta in deltas if isinstance(delta, StreamError)), None)
    if error is None and not accumulator.finished:
        error = CUT
    return Whole(accumulator.turns(), accumulator.usage, error)


def restored(request: Request, edits: dict[int, Edit]) -> Request:
    """The request with edits made to its messages."""
    kept = [at for at in range(len(request.messages)) if at not in edits or not edits[at].dropped]
    messages = [
        edited(request.messages[at], edits[at]) if at in edits else request.messages[at]
        for at in kept
    ]
    return msgspec.structs.replace(request, messages=messages)


def opened(request: Request, unseal: Unseal) -> Request:
    """The request with the client's copies of reasoning replaced by what they hold, or left out."""
    messages = [opened_message(message, unseal) for message in request.messages]
    return msgspec.structs.replace(request, messages=messages)


def _for_others(request: Request) -> Request:
    """What a Messages client says in words that only Messages has, in those of the other
    formats.
    """
    if request.origin != "messages":
        return request
    thinking = msgspec.structs.replace(request.thinking, effort=effort_of(request.thinking))
    return msgspec.structs.replace(request, thinking=thinking, extra={})


def _for_chat(request: Request, model: str, abilities: Abilities) -> bytes:
    return chat_request.encode(
        _for_others(request), model=model, completion_tokens=abilities.completion_tokens
    )


def _for_responses(request: Request, model: str, abilities: Abilities) -> bytes:
    return responses_request.encode(
        _for_others(request), model=model, encrypted=abilities.encrypted_reasoning
    )


def _for_messages(request: Request, model: str, abilities: Abilities) -> bytes:
    return messages_request.encode(request, model=model, abilities=abilities)


def _chat_writer(request: Request, head: Head, mint: Mint, seal: Seal) -> Writer:
    return chat_writer.ChatWriter(head, show_usage=request.usage_asked, mint=mint)


def _chat_whole(
    turns: dict[int, Turn],
    usage: Usage | None,
    request: Request,
    head: Head,
    mint: Mint,
    seal: Seal,
) -> bytes:
    return chat_writer.encode(turns, usage, request, head, mint=mint)


def _responses_writer(request: Request, head: Head, mint: Mint, seal: Seal) -> Writer:
    return responses_writer.ResponsesWriter(request, head, mint=mint, seal=seal)


def _responses_whole(
    turns: dict[int, Turn],
    usage: Usage | None,
    request: Request,
    head: Head,
    mint: Mint,
    seal: Seal,
) -> bytes:
    turn = turns.get(0) or Turn(finish_reason="stop")
    return responses_writer.encode(turn, usage, request, head, mint=mint, seal=seal)


def _messages_writer(request: Request, head: Head, mint: Mint, seal: Seal) -> Writer:
    return messages_writer.MessagesWriter(request, head, mint=mint, seal=seal)


def _messages_whole(
    turns: dict[int, Turn],
    usage: Usage | None,
    request: Request,
    head: Head,
    mint: Mint,
    seal: Seal,
) -> bytes:
    turn = turns.get(0) or Turn(finish_reason="stop")
    return messages_writer.encode(turn, usage, request, head, mint=mint, seal=seal)


def _read_chat(body: bytes, quirks: Quirks = Quirks()) -> Whole | None:
    answer = chat_response.decode(body, quirks)
    return Whole(answer.turns, answer.usage, answer.error) if answer else None


def _read_responses(body: bytes) -> Whole | None:
    answer = responses_response.decode(body)
    return Whole(answer.turns, answer.usage, answer.error) if answer else None


def _read_messages(body: bytes) -> Whole | None:
    answer = messages_response.decode(body)
    return Whole(answer.turns, answer.usage, answer.error) if answer else None


CLIENTS: dict[WireFormat, Client] = {
    "chat": Client(cursor.decode, _chat_writer, _chat_whole),
    "responses": Client(responses_request.decode, _responses_writer, _responses_whole),
    "messages": Client(
        messages_request.decode, _messages_writer, _messages_whole, messages_writer.PING
    ),
}

UPSTREAMS: dict[WireFormat, Upstream] = {
    "chat": Upstream(_for_chat, ChatReader, _read_chat),
    "responses": Upstream(_for_responses, ResponsesReader, _read_responses),
    "messages": Upstream(_for_messages, MessagesReader, _read_messages),
}
