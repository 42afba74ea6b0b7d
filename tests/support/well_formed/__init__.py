"""Streams as clients get them, checked against the rules of their format and read by the SDKs.

Unlike the readers of `grammar`, which know all that the gateway says by itself, these allow
events, items, blocks and members that nobody knows: what is patched passes with them.
"""

import json

from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

from addon.formats.neutral.request import WireFormat
from tests.support.turns import Json
from tests.support.well_formed.chat import check_chat
from tests.support.well_formed.events import strictly
from tests.support.well_formed.messages import check_messages
from tests.support.well_formed.responses import check_responses

__all__ = ("check_stream", "check_whole")


def check_stream(wire_format: WireFormat, stream: bytes, *, usage: bool | None = None) -> Json:
    """The whole answer that the stream makes; AssertionError or pydantic's ValidationError when
    it is not well-formed. `usage`: whether a chat client asked for it (None: unknown).
    """
    match wire_format:
        case "chat":
            return check_chat(stream, usage=usage)
        case "responses":
            return check_responses(stream)
        case "messages":
            return check_messages(stream)


def check_whole(wire_format: WireFormat, body: bytes) -> Json:
    """The whole answer in a body; pydantic's ValidationError when the SDK's model refuses it."""
    answer: Json = json.loads(body)
    strictly(_WHOLE[wire_format], answer)
    return answer


_WHOLE: dict[WireFormat, type[BaseModel]] = {
    "chat": ChatCompletion,
    "responses": Response,
    "messages": Message,
}
